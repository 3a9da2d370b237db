"""Calls that a till signs: reading the signature from the metadata, and who may do without one."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import grpc.aio

from merchant.domain.terminal_signatures import TillCall
from merchant.names import invalid, terminal_from_name
from merchant.usecases.programmes import Programme
from merchant.usecases.tills import Tills
from timebank.auth import PrincipalKind, current_principal
from timebank.errors import Reason, TimebankError

Context = grpc.aio.ServicerContext[Any, Any]
TERMINAL_KEY = "timebank-terminal"
TIMESTAMP_KEY = "timebank-timestamp"
NONCE_KEY = "timebank-nonce"
SIGNATURE_KEY = "timebank-signature"
SIGNATURE_CHARACTERS = 86


async def check_signed(
    tills: Tills,
    programme: Programme,
    context: Context,
    request: Any,
    *,
    merchant_id: str,
    terminal: str = "",
    code: str = "",
    in_use: bool = False,
) -> None:
    """Checks the signature of a call by a till of a merchant; `terminal` is the id of the till that
    the request names, `in_use` asks for one that is not suspended.

    A merchant's back office, an operator and a service may move a redemption without one, but only
    a till begins one. Raises TERMINAL_SIGNATURE_INVALID, RATE_LIMITED, TERMINAL_NOT_FOUND,
    TERMINAL_SUSPENDED.
    """
    metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
    signature = metadata.get(SIGNATURE_KEY)
    if signature is None:
        must = bool(terminal) or current_principal().kind is PrincipalKind.TERMINAL
        if must:
            raise TimebankError(
                Reason.TERMINAL_SIGNATURE_INVALID,
                f"metadata {SIGNATURE_KEY}: expected the till's signature, got nothing",
            )
        return
    named = _text(metadata, TERMINAL_KEY)
    ledger_id, owner, own_id = terminal_from_name(named, TERMINAL_KEY)
    signer = f"{owner}/{own_id}"
    own = (ledger_id, owner) == (programme.ledger_id, merchant_id)
    if not own or (terminal and signer != terminal):
        raise TimebankError(
            Reason.TERMINAL_SIGNATURE_INVALID,
            f"metadata {TERMINAL_KEY}: expected the till of the request, got {named[:80]!r}",
        )
    timestamp = _text(metadata, TIMESTAMP_KEY)
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise invalid(TIMESTAMP_KEY, "expected Unix seconds in decimal digits")
    call = TillCall(
        type(request).__name__.removesuffix("Request"),
        request.request_id,
        getattr(request, "merchant_ref", ""),
        getattr(request, "amount", 0),
        code,
        int(timestamp),
        _text(metadata, NONCE_KEY),
    )
    await tills.check(programme, signer, call, _signature(signature))
    if in_use:
        await tills.check_in_use(programme, signer)


def own_id_of(
    programme: Programme, merchant_id: str, found: tuple[str, str, str], field: str
) -> str:
    """Gives the document id of a till or offer that must be of a merchant, VALIDATION_FAILED."""
    if found[:2] != (programme.ledger_id, merchant_id):
        raise invalid(
            field, f"expected one of ledgers/{programme.ledger_id}/merchants/{merchant_id}"
        )
    return f"{merchant_id}/{found[2]}"


def _text(metadata: dict[str, Any], key: str) -> str:
    value = metadata.get(key)
    if not isinstance(value, str) or not value:
        raise TimebankError(
            Reason.TERMINAL_SIGNATURE_INVALID, f"metadata {key}: expected a text, got nothing"
        )
    return value


def _signature(value: object) -> bytes:
    text = value if isinstance(value, str) else ""
    try:
        if len(text) == SIGNATURE_CHARACTERS:
            return base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        pass  # told below, as any other text
    raise TimebankError(
        Reason.TERMINAL_SIGNATURE_INVALID,
        f"metadata {SIGNATURE_KEY}: expected {SIGNATURE_CHARACTERS} characters of base64url",
    )
