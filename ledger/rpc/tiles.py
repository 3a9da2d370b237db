"""Static tiles over HTTP (C2SP tlog-tiles): checkpoints and hashes for everybody, entries for
auditors.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from structlog.typing import FilteringBoundLogger

from ledger.names import ledger_id_from_name
from ledger.usecases.caller import check_sees_all_accounts
from ledger.usecases.ledgers import not_found
from ledger.usecases.proofs import Proofs
from timebank.auth import Principal
from timebank.errors import TimebankError
from timebank.tlog.tiles import encode_bundle, parse_entries_path, parse_tile_path

SECONDS_CACHED = 2
IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
PRIVATE = {"cache-control": "private, max-age=31536000, immutable"}
_BYTES = "application/octet-stream"


def tile_routes(
    proofs: Proofs, authenticate: Callable[[Request], Principal], audit: FilteringBoundLogger
) -> list[BaseRoute]:
    """Makes the routes below /ledgers/{ledger}/; `audit` is told who asks for entries."""

    def admit(request: Request) -> str:
        """Gives the ledger whose entries the caller may read; refusals are audited."""
        principal = None
        try:
            principal = authenticate(request)
            check_sees_all_accounts(principal)
            ledger_id = _ledger_id(request)
            if not principal.may_use(ledger_id):
                raise not_found(ledger_id)
        except TimebankError as error:
            name = principal.name if principal else None
            path, reason = request.url.path, error.reason.value
            audit.warning("denied", method=path, principal=name, reason=reason)
            raise
        audit.info("disclosed", method=request.url.path, principal=principal.name)
        return ledger_id

    async def checkpoint(request: Request) -> Response:
        signed = await proofs.checkpoint(_ledger_id(request))
        headers = {"cache-control": f"public, max-age={SECONDS_CACHED}"}
        return PlainTextResponse(signed.note, headers=headers)

    async def entries(request: Request) -> Response:
        ledger_id = admit(request)
        bundle = parse_entries_path("tile/entries/" + request.path_params["path"])
        found = await proofs.bundle(ledger_id, bundle.n, bundle.width)
        if found is None:
            return PlainTextResponse("the log is not that long\n", status_code=404)
        return Response(encode_bundle(found), media_type=_BYTES, headers=PRIVATE)

    async def tile(request: Request) -> Response:
        wanted = parse_tile_path("tile/" + request.path_params["path"])
        found = await proofs.tile(_ledger_id(request), wanted.level, wanted.n, wanted.width)
        if found is None:
            return PlainTextResponse("the log is not that long\n", status_code=404)
        return Response(found, media_type=_BYTES, headers=IMMUTABLE)

    return [
        Route("/ledgers/{ledger}/checkpoint", checkpoint),
        Route("/ledgers/{ledger}/tile/entries/{path:path}", entries),
        Route("/ledgers/{ledger}/tile/{path:path}", tile),
    ]


def _ledger_id(request: Request) -> str:
    return ledger_id_from_name("ledgers/" + request.path_params["ledger"], "ledger")
