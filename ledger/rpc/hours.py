"""HoursService: service records."""

from typing import Any

import grpc.aio

from ledger.domain import hours_commands as h
from ledger.domain.facts import FactKind, Record, RecordState, key_of
from ledger.domain.hours_view import MEMBERS
from ledger.domain.outcomes import Outcome
from ledger.domain.service_split import day_of
from ledger.names import invalid, ledger_id_from_name, record_from_name, us_from_wire
from ledger.store.hours_reads import FactFilter
from ledger.usecases.hours import Hours
from ledger.usecases.ledgers import Handle
from ledger.usecases.writes import Chain
from ledger.wire_members import check_memo, member_of
from ledger.wire_records import Submitter, record_to_wire, submit_from_wire, verifier_from_wire
from timebank.auth import Principal, PrincipalKind, current_call, current_principal
from timebank.errors import Reason, TimebankError, status_proto
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import hours_service_pb2, record_pb2
from timebank.ledger.v1.hours_service_pb2_grpc import HoursServiceServicer
from timebank.paging import page_number, page_size_of, page_token

ITEMS_MAX = 8_000
Context = grpc.aio.ServicerContext[Any, Any]


class HoursRpcs(HoursServiceServicer):
    """HoursService."""

    def __init__(self, hours: Hours) -> None:
        self._hours = hours

    async def SubmitRecord(
        self, request: hours_service_pb2.SubmitRecordRequest, context: Context
    ) -> record_pb2.ServiceRecord:
        """Submits a record."""
        ledger_id = ledger_id_from_name(request.parent)
        request_id = uuid_bytes(request.request_id)
        handle = await self._hours.handle(ledger_id, current_principal())
        command = self._command(handle, request.record_id, request.record)
        await self._hours.carry_out(ledger_id, request_id, command, current_call())
        return await self._record(ledger_id, request.record_id)

    def _command(
        self, handle: Handle, record_id: str, message: record_pb2.ServiceRecord
    ) -> h.SubmitRecord:
        ledger_id = handle.ledger_id
        day_us = 0
        if message.date_only:
            started_us = us_from_wire(message.start_time, "record.start_time")
            if started_us > self._hours.now_us():
                raise invalid("record.start_time", "a service is recorded when it is over")
            day_us = day_of(started_us, handle.time_zone).start_us
        submitter = Submitter(ledger_id, current_principal(), self._hours.now_us(), day_us)
        draw = self._hours.draw(ledger_id, record_id)
        return submit_from_wire(submitter, record_id, message, draw)

    async def BatchSubmitRecords(
        self, request: hours_service_pb2.BatchSubmitRecordsRequest, context: Context
    ) -> hours_service_pb2.BatchSubmitRecordsResponse:
        """Submits many records, each by itself; each gets a request id derived from the call's."""
        ledger_id = ledger_id_from_name(request.parent)
        request_id = int.from_bytes(uuid_bytes(request.request_id), "big")
        if not 1 <= len(request.items) <= ITEMS_MAX:
            raise TimebankError(
                Reason.BATCH_TOO_LARGE,
                f"items: expected 1 to {ITEMS_MAX}, got {len(request.items)}; send several batches",
                field="items",
            )
        handle = await self._hours.handle(ledger_id, current_principal())
        results: list[hours_service_pb2.SubmitRecordResult | None] = [None] * len(request.items)
        chains: list[Chain] = []
        positions: list[int] = []
        for position, item in enumerate(request.items):
            try:
                command = self._command(handle, item.record_id, item.record)
            except TimebankError as error:
                results[position] = _refusal(error)
                continue
            item_id = (request_id + 1 + position) % 2**128
            chains.append(Chain(item_id.to_bytes(16, "big"), (command,)))
            positions.append(position)
        checkpoint = ""
        if chains:
            answer = await self._hours.carry_out_many(ledger_id, chains, current_call())
            checkpoint = answer.checkpoint
            pairs = zip(positions, answer.outcomes, strict=True)
            for place, (position, outcome) in enumerate(pairs):
                record_id = request.items[position].record_id
                fault = place in answer.faults
                results[position] = _result(ledger_id, record_id, outcome, fault=fault)
        return hours_service_pb2.BatchSubmitRecordsResponse(
            results=results,  # type: ignore[arg-type]  # every place was filled
            checkpoint=checkpoint,
        )

    async def GetRecord(
        self, request: hours_service_pb2.GetRecordRequest, context: Context
    ) -> record_pb2.ServiceRecord:
        """Reads a record."""
        return await self._record(*record_from_name(request.name))

    async def _record(self, ledger_id: str, record_id: str) -> record_pb2.ServiceRecord:
        principal = current_principal()
        handle = await self._hours.handle(ledger_id, principal)
        record, index, content = await self._hours.record(handle, record_id, principal)
        return record_to_wire(ledger_id, record, index, content)

    async def ListRecords(
        self, request: hours_service_pb2.ListRecordsRequest, context: Context
    ) -> hours_service_pb2.ListRecordsResponse:
        """Lists records."""
        ledger_id, principal = ledger_id_from_name(request.parent), current_principal()
        size = page_size_of(request.page_size)
        key = ("records", ledger_id, request.volunteer, request.state, request.alarm)
        before = page_number(request.page_token, *key, first=-1)
        handle = await self._hours.handle(ledger_id, principal)
        parents = await self._parents(handle, request.volunteer, principal)
        if request.state and int(request.state) not in {int(state) for state in RecordState}:
            raise invalid("state", f"expected a state of the contract, got {request.state}")
        states = (request.state,) if request.state else ()
        wanted = FactFilter(parents, states, None if before < 0 else before)
        found = await self._hours.records(
            handle, principal, wanted, alarm=request.alarm, limit=size + 1
        )
        last = str(found[size - 1][1]) if len(found) > size else ""
        return hours_service_pb2.ListRecordsResponse(
            records=[record_to_wire(ledger_id, record, index) for record, index in found[:size]],
            next_page_token=page_token(last, *key) if last else "",
        )

    async def _parents(
        self, handle: Handle, volunteer: str, principal: Principal
    ) -> list[str] | None:
        member_id = member_of(handle.ledger_id, volunteer, "volunteer")
        if principal.kind is PrincipalKind.MEMBER:
            member_id = member_id or principal.id
        if not member_id:
            return None
        member = await self._hours.member(handle, member_id, principal)
        return await self._hours.group_ids(handle, member)

    async def _move(
        self, name: str, request_id: str, command: h.HoursCommand
    ) -> record_pb2.ServiceRecord:
        ledger_id, record_id = record_from_name(name)
        await self._hours.carry_out(ledger_id, uuid_bytes(request_id), command, current_call())
        return await self._record(ledger_id, record_id)

    async def VerifyRecord(
        self, request: hours_service_pb2.VerifyRecordRequest, context: Context
    ) -> record_pb2.ServiceRecord:
        """Attests a record."""
        ledger_id, record_id = record_from_name(request.name)
        verifier = _caller()
        if request.verifier:
            verifier = verifier_from_wire(ledger_id, request.verifier)
            trusted = (PrincipalKind.SERVICE, PrincipalKind.OPERATOR)
            if current_principal().kind not in trusted and verifier != _caller():
                raise TimebankError(
                    Reason.SCOPE_MISSING, f"you attest as {_caller()}: leave the verifier out"
                )
        command = h.VerifyRecord(record_id, verifier)
        return await self._move(request.name, request.request_id, command)

    async def DisputeRecord(
        self, request: hours_service_pb2.DisputeRecordRequest, context: Context
    ) -> record_pb2.ServiceRecord:
        """Disputes a record."""
        _, record_id = record_from_name(request.name)
        command = h.DisputeRecord(record_id, _caller(), check_memo(request.memo))
        return await self._move(request.name, request.request_id, command)

    async def ResolveDispute(
        self, request: hours_service_pb2.ResolveDisputeRequest, context: Context
    ) -> record_pb2.ServiceRecord:
        """Resolves a dispute."""
        _, record_id = record_from_name(request.name)
        memo = check_memo(request.memo)
        command = h.ResolveDispute(record_id, _caller(), request.upheld, memo)
        return await self._move(request.name, request.request_id, command)

    async def VoidRecord(
        self, request: hours_service_pb2.VoidRecordRequest, context: Context
    ) -> record_pb2.ServiceRecord:
        """Declares a record void."""
        _, record_id = record_from_name(request.name)
        command = h.VoidRecord(record_id, _caller(), check_memo(request.memo))
        return await self._move(request.name, request.request_id, command)

    async def ResolveSpotCheck(
        self, request: hours_service_pb2.ResolveSpotCheckRequest, context: Context
    ) -> record_pb2.ServiceRecord:
        """Says how a spot check went."""
        _, record_id = record_from_name(request.name)
        memo = check_memo(request.memo)
        command = h.ResolveSpotCheck(record_id, _caller(), request.passed, memo)
        return await self._move(request.name, request.request_id, command)


def _caller() -> str:
    """Gives the id that the caller attests and decides with."""
    principal = current_principal()
    return MEMBERS + principal.id if principal.kind is PrincipalKind.MEMBER else principal.id


def _refusal(error: TimebankError) -> hours_service_pb2.SubmitRecordResult:
    return hours_service_pb2.SubmitRecordResult(error=status_proto(error))


def _result(
    ledger_id: str, record_id: str, outcome: Outcome, *, fault: bool
) -> hours_service_pb2.SubmitRecordResult:
    if fault:
        internal = TimebankError(Reason.DATABASE_UNAVAILABLE, "internal error: nothing was done")
        return _refusal(internal)
    if outcome.error is not None:
        return _refusal(outcome.error)
    if outcome.fact is not None and isinstance(outcome.fact.fact, Record):
        ok = record_to_wire(ledger_id, outcome.fact.fact, outcome.fact.log_index)
        return hours_service_pb2.SubmitRecordResult(ok=ok, replayed=True)
    for entry in reversed(outcome.entries):
        for fact in entry.facts:
            if key_of(fact) == (FactKind.RECORD, record_id) and isinstance(fact, Record):
                ok = record_to_wire(ledger_id, fact, entry.log_index)
                return hours_service_pb2.SubmitRecordResult(ok=ok, replayed=outcome.replayed)
    raise ValueError(f"the entries of record {record_id} do not state it")
