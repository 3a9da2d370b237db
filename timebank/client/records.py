"""The methods about service records 志愿服务记录: submitting one or very many, and what follows.

Owns: how many records travel in one call. Rules: a record id is unique in the ledger for ever, and
the same draft again is the same record, so that a submission may be repeated as a whole.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from timebank.client.drafts import RecordDraft
from timebank.client.hours_answers import record_from_wire, submitted_from_wire
from timebank.client.hours_requests import item_to_wire, record_state_to_wire, record_to_wire
from timebank.client.hours_views import RecordView, SubmittedRecord
from timebank.client.kinds import RecordState
from timebank.client.names import Names
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.client.session import Session
from timebank.errors import TimebankError
from timebank.ledger.v1 import hours_service_pb2 as service_pb2
from timebank.ledger.v1 import record_pb2

CHUNK_RECORDS = 2_000
CHUNK_BYTES_MAX = 4 * 1024 * 1024
"""A call carries at most so many records, and no more bytes unless one record has them."""
ANY_STATE = record_pb2.ServiceRecord.STATE_UNSPECIFIED

RecordProgress = Callable[[int], None]
"""Told how many records have got their result so far."""
SubmitResult = SubmittedRecord | TimebankError
_Item = service_pb2.SubmitRecordItem | TimebankError


class Records(Session):
    """Service records."""

    async def submit_record(self, draft: RecordDraft, *, request_id: str = "") -> RecordView:
        """Submits one record. Raises TimebankError: see SubmitRecord in the contract."""
        request = service_pb2.SubmitRecordRequest(
            parent=self.ledger,
            request_id=request_id or new_request_id(),
            record_id=draft.record_id,
            record=record_to_wire(draft, self._names),
        )
        return record_from_wire(await self._call(self._hours_stub.SubmitRecord, request))

    async def submit_records(
        self, drafts: Iterable[RecordDraft], *, progress: RecordProgress | None = None
    ) -> tuple[SubmitResult, ...]:
        """Submits any number of records in order, each by itself, 2,000 a call.

        Returns what became of each, in order: the record, or why it was refused. Raises
        TimebankError when a whole call is refused or fails: submit all of them again, those that
        are in the ledger come back as `replayed`.
        """
        results: list[SubmitResult] = []
        for chunk in _chunks(_item(draft, self._names) for draft in drafts):
            results += await self._submit(chunk)
            if progress is not None:
                progress(len(results))
        return tuple(results)

    async def _submit(self, chunk: list[_Item]) -> list[SubmitResult]:
        """Sends the sound items of a chunk; the others keep their refusal."""
        items = [item for item in chunk if not isinstance(item, TimebankError)]
        results: Iterator[SubmitResult] = iter(())
        if items:
            request = service_pb2.BatchSubmitRecordsRequest(
                parent=self.ledger, request_id=new_request_id(), items=items
            )
            response = await self._call(self._hours_stub.BatchSubmitRecords, request)
            results = map(submitted_from_wire, response.results)
        return [item if isinstance(item, TimebankError) else next(results) for item in chunk]

    async def get_record(self, record: str) -> RecordView:
        """Reads a record with its content. Raises TimebankError: RECORD_NOT_FOUND."""
        request = service_pb2.GetRecordRequest(name=self._names.record(record))
        return record_from_wire(await self._call(self._hours_stub.GetRecord, request))

    def list_records(
        self,
        *,
        volunteer: str = "",
        state: RecordState | None = None,
        alarm: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[RecordView]:
        """Yields records, newest entry first, without content; empty and None: any."""

        async def read(token: str) -> Page[RecordView]:
            request = service_pb2.ListRecordsRequest(
                parent=self.ledger,
                page_size=page_size,
                page_token=token,
                volunteer=self._names.member(volunteer),
                state=ANY_STATE if state is None else record_state_to_wire(state),
                alarm=alarm,
            )
            response = await self._call(self._hours_stub.ListRecords, request)
            return map(record_from_wire, response.records), response.next_page_token

        return pages(read)

    async def verify_record(
        self, record: str, *, verifier: str = "", request_id: str = ""
    ) -> RecordView:
        """Attests a record 核实 as the caller, or as who a service names.

        Raises TimebankError: RECORD_NOT_FOUND, RECORD_STATE, SCOPE_MISSING, FOUR_EYES_REQUIRED.
        """
        request = service_pb2.VerifyRecordRequest(
            name=self._names.record(record),
            request_id=request_id or new_request_id(),
            verifier=verifier,
        )
        return record_from_wire(await self._call(self._hours_stub.VerifyRecord, request))

    async def dispute_record(
        self, record: str, *, memo: str = "", request_id: str = ""
    ) -> RecordView:
        """Disputes a record 异议 that is not posted yet.

        Raises TimebankError: RECORD_NOT_FOUND, RECORD_STATE, SCOPE_MISSING.
        """
        request = service_pb2.DisputeRecordRequest(
            name=self._names.record(record), request_id=request_id or new_request_id(), memo=memo
        )
        return record_from_wire(await self._call(self._hours_stub.DisputeRecord, request))

    async def resolve_dispute(
        self, record: str, *, upheld: bool, memo: str = "", request_id: str = ""
    ) -> RecordView:
        """Resolves a dispute: upheld, the record is void; else it stands and goes on.

        Raises TimebankError: RECORD_NOT_FOUND, RECORD_STATE, FOUR_EYES_REQUIRED, RECORD_OVERLAPS.
        """
        request = service_pb2.ResolveDisputeRequest(
            name=self._names.record(record),
            request_id=request_id or new_request_id(),
            upheld=upheld,
            memo=memo,
        )
        return record_from_wire(await self._call(self._hours_stub.ResolveDispute, request))

    async def void_record(self, record: str, *, memo: str = "", request_id: str = "") -> RecordView:
        """Declares a record void 作废; what it credited is taken back.

        Raises TimebankError: RECORD_NOT_FOUND, RECORD_STATE, SCOPE_MISSING, FOUR_EYES_REQUIRED.
        """
        request = service_pb2.VoidRecordRequest(
            name=self._names.record(record), request_id=request_id or new_request_id(), memo=memo
        )
        return record_from_wire(await self._call(self._hours_stub.VoidRecord, request))

    async def resolve_spot_check(
        self, record: str, *, passed: bool, memo: str = "", request_id: str = ""
    ) -> RecordView:
        """Says how the spot check 抽查 of a back-entry went; a failed one voids the record.

        Raises TimebankError: RECORD_NOT_FOUND, RECORD_STATE, SCOPE_MISSING, FOUR_EYES_REQUIRED.
        """
        request = service_pb2.ResolveSpotCheckRequest(
            name=self._names.record(record),
            request_id=request_id or new_request_id(),
            passed=passed,
            memo=memo,
        )
        return record_from_wire(await self._call(self._hours_stub.ResolveSpotCheck, request))


def _item(draft: RecordDraft, names: Names) -> _Item:
    """Gives the item of a draft, or why it cannot travel."""
    try:
        return item_to_wire(draft, names)
    except TimebankError as error:
        return error


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Cuts items into calls by number and bytes."""
    chunk: list[_Item] = []
    size_bytes = 0
    for item in items:
        item_bytes = 0 if isinstance(item, TimebankError) else item.ByteSize()
        if len(chunk) == CHUNK_RECORDS or (chunk and size_bytes + item_bytes > CHUNK_BYTES_MAX):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(item)
        size_bytes += item_bytes
    if chunk:
        yield chunk
