"""PolicyService: versions of the points policy."""

import hashlib
from typing import Any

import grpc.aio
import structlog

from ledger.domain import hours_commands as h
from ledger.domain.account import NEVER_US
from ledger.domain.facts import PolicyRow
from ledger.domain.policy_text import parse_policy, policy_to_text
from ledger.names import invalid, ledger_id_from_name, numbered_from_name, us_to_wire
from ledger.store.hours_reads import posted_records
from ledger.usecases.hours import Hours
from ledger.usecases.ledgers import Ledgers
from ledger.usecases.writes import Chain
from timebank.auth import current_call, current_principal
from timebank.errors import Reason
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import policy_service_pb2
from timebank.ledger.v1.policy_service_pb2_grpc import PolicyServiceServicer
from timebank.paging import page_number, page_position, page_size_of, page_token

_LOG = structlog.get_logger("ledger.policies")
DOCUMENT_BYTES_MAX = 32_768
REPLAY_PAGE_RECORDS = 1_000
Context = grpc.aio.ServicerContext[Any, Any]


class PolicyRpcs(PolicyServiceServicer):
    """PolicyService."""

    def __init__(self, ledgers: Ledgers, hours: Hours) -> None:
        self._hours = hours
        self._reader = ledgers.world.databases.reader

    async def AdoptPolicy(
        self, request: policy_service_pb2.AdoptPolicyRequest, context: Context
    ) -> policy_service_pb2.Policy:
        """Adopts a version of the policy."""
        ledger_id = ledger_id_from_name(request.parent)
        request_id = uuid_bytes(request.request_id)
        if len(request.document.encode()) > DOCUMENT_BYTES_MAX:
            raise invalid("document", f"expected at most {DOCUMENT_BYTES_MAX} bytes")
        text = policy_to_text(parse_policy(request.document))
        if len(text.encode()) > DOCUMENT_BYTES_MAX:
            raise invalid("document", f"expected at most {DOCUMENT_BYTES_MAX} bytes with defaults")
        command = h.AdoptPolicy(text, request.replay)
        written = await self._hours.carry_out(ledger_id, request_id, command, current_call())
        adopted = written.entries[0].facts[0]
        assert isinstance(adopted, PolicyRow), "an adoption states its policy"
        return _to_wire(ledger_id, adopted)

    async def GetPolicy(
        self, request: policy_service_pb2.GetPolicyRequest, context: Context
    ) -> policy_service_pb2.Policy:
        """Reads a version of the policy."""
        ledger_id, version = numbered_from_name(request.name, "policies")
        handle = await self._hours.handle(ledger_id, current_principal())
        return _to_wire(ledger_id, await self._hours.policy(handle, version))

    async def ListPolicies(
        self, request: policy_service_pb2.ListPoliciesRequest, context: Context
    ) -> policy_service_pb2.ListPoliciesResponse:
        """Lists the versions of the policy."""
        ledger_id = ledger_id_from_name(request.parent)
        size = page_size_of(request.page_size)
        key = ("policies", ledger_id)
        start = page_number(request.page_token, *key)
        handle = await self._hours.handle(ledger_id, current_principal())
        rows = [item.fact for item in await self._hours.policies(handle)]
        page = [row for row in rows[start : start + size] if isinstance(row, PolicyRow)]
        more = len(rows) > start + size
        return policy_service_pb2.ListPoliciesResponse(
            policies=[_to_wire(ledger_id, row) for row in page],
            next_page_token=page_token(str(start + size), *key) if more else "",
        )

    async def ReplayPolicy(
        self, request: policy_service_pb2.ReplayPolicyRequest, context: Context
    ) -> policy_service_pb2.ReplayPolicyResponse:
        """Applies a replayed version to a page of posted records."""
        ledger_id, version = numbered_from_name(request.name, "policies")
        request_id = uuid_bytes(request.request_id)
        key = ("replay", ledger_id, version)
        after = page_position(request.page_token, *key)
        handle = await self._hours.handle(ledger_id, current_principal())
        policy = await self._hours.policy(handle, version)
        if not policy.replays:
            raise invalid("name", f"policy {version} was not adopted as a replay")
        ids = await posted_records(
            self._reader,
            handle.ledger_no,
            from_us=policy.from_us,
            until_us=policy.to_us or NEVER_US,
            after=after,
            limit=REPLAY_PAGE_RECORDS,
        )
        chains = [
            Chain(_item_id(request_id, name), (h.ReapplyPolicy(name, version),)) for name in ids
        ]
        corrected = refused = 0
        if chains:
            answer = await self._hours.carry_out_many(ledger_id, chains, current_call())
            for record_id, outcome in zip(ids, answer.outcomes, strict=True):
                if outcome.error is not None:
                    if outcome.error.reason is Reason.REQUEST_ID_REUSED:
                        raise outcome.error
                    refused += 1
                    _LOG.warning("not corrected", record=record_id, reason=outcome.error.reason)
                corrected += bool(outcome.entries)
        more = len(ids) == REPLAY_PAGE_RECORDS
        return policy_service_pb2.ReplayPolicyResponse(
            records=len(ids),
            corrected=corrected,
            refused=refused,
            next_page_token=page_token(ids[-1], *key) if more else "",
        )


def _item_id(request_id: bytes, record_id: str) -> bytes:
    """Derives the request id of one record: pages may shift between a call and its repetition."""
    return hashlib.sha256(request_id + record_id.encode()).digest()[:16]


def _to_wire(ledger_id: str, row: PolicyRow) -> policy_service_pb2.Policy:
    return policy_service_pb2.Policy(
        name=f"ledgers/{ledger_id}/policies/{row.version}",
        effective_time=us_to_wire(row.from_us),
        end_time=us_to_wire(row.to_us) if row.to_us else None,
        document=row.text,
        replays=row.replays,
    )
