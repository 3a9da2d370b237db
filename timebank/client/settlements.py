"""The client of settlement and reconciliation, for a merchant's back office and the operator.

Owns: closing batches, their files, and sending journals and advices in. Refuses: reading what is in
a file (see `timebank settle`). Rules: a merchant is given by its id or its resource name; what
changes carries a request id, so that a repeated call changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import grpc.aio

from timebank.channels import TlsFiles, open_channel
from timebank.client.calls import TIMEOUT_S, Caller, Repetition
from timebank.client.failures import error_from_call
from timebank.client.kinds import kind_to_wire, kinds_by_number
from timebank.client.names import Names
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.client.settlement_views import (
    BatchState,
    BatchView,
    ReconciliationItemView,
    ReconciliationOutcome,
    SubmissionView,
)
from timebank.client.times import optional_time, time_to_wire
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import settlement_pb2
from timebank.merchant.v1 import settlement_service_pb2 as service_pb2
from timebank.merchant.v1.settlement_service_pb2_grpc import SettlementServiceStub

if TYPE_CHECKING:
    from timebank.merchant.v1.settlement_service_pb2_grpc import SettlementServiceAsyncStub

FILE_BYTES_MAX = 1_000_000_000
"""Most bytes of a settlement file that are downloaded: 200,000 lines of 4,096 bytes."""
SUBMISSION_TIMEOUT_S = 60.0
_STATES = kinds_by_number(dict(settlement_pb2.SettlementBatch.State.items()), "STATE_", BatchState)
_OUTCOME_NUMBERS = dict(settlement_pb2.ReconciliationItem.Outcome.items())
_OUTCOMES = kinds_by_number(_OUTCOME_NUMBERS, "OUTCOME_", ReconciliationOutcome)


class SettlementClient:
    """A connection to a server, for the settlement of one ledger's merchants."""

    def __init__(self, channel: grpc.aio.Channel, *, ledger: str, call: Caller) -> None:
        """Takes an open channel; leaving the block closes it."""
        self._channel = channel
        self._names = Names(ledger)
        self._call = call
        self._stub = cast("SettlementServiceAsyncStub", SettlementServiceStub(channel))

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        ledger: str,
        token: str | Callable[[], str] | None = None,
        tls: TlsFiles | None = None,
        timeout_s: float = TIMEOUT_S,
        repetition: Repetition | None = None,
    ) -> Self:
        """Makes a client of the server at `host:port`; nothing is sent before the first call.

        Raises VALIDATION_FAILED when a TLS file cannot be read.
        """
        call = Caller(token=token, timeout_s=timeout_s, repetition=repetition)
        return cls(open_channel(address, tls=tls), ledger=ledger, call=call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    def merchant(self, merchant: str) -> str:
        """Gives the name of a merchant by its id or name; `-` is all of them."""
        return merchant if "/" in merchant else f"{self._names.ledger}/merchants/{merchant}"

    async def close_batch(
        self, merchant: str, business_date: str, *, request_id: str = ""
    ) -> BatchView:
        """Closes a business day, YYYY-MM-DD, that is over, and settles it.

        Raises TimebankError: VALIDATION_FAILED, MERCHANT_NOT_FOUND, FUND_EXHAUSTED,
        OUTCOME_UNKNOWN.
        """
        request = service_pb2.CloseBatchRequest(
            parent=self.merchant(merchant),
            request_id=request_id or new_request_id(),
            business_date=business_date,
        )
        return batch_from_wire(await self._call(self._stub.CloseBatch, request))

    async def get_batch(self, name: str) -> BatchView:
        """Reads a batch by its resource name. Raises TimebankError: BATCH_NOT_FOUND."""
        request = service_pb2.GetBatchRequest(name=name)
        return batch_from_wire(await self._call(self._stub.GetBatch, request))

    def list_batches(
        self,
        merchant: str,
        *,
        start_date: str = "",
        end_date: str = "",
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[BatchView]:
        """Yields the batches of a merchant, newest first."""

        async def read(token: str) -> Page[BatchView]:
            request = service_pb2.ListBatchesRequest(
                parent=self.merchant(merchant),
                page_size=page_size,
                page_token=token,
                start_date=start_date,
                end_date=end_date,
            )
            response = await self._call(self._stub.ListBatches, request)
            return map(batch_from_wire, response.batches), response.next_page_token

        return pages(read)

    async def download(self, batch: str) -> AsyncIterator[bytes]:
        """Yields the pieces of a closed batch's file, whatever is in it.

        Raises TimebankError: BATCH_NOT_FOUND, BATCH_STATE, and BATCH_TOO_LARGE for a file over
        FILE_BYTES_MAX.
        """
        stream = self._stub.DownloadBatchFile(
            service_pb2.DownloadBatchFileRequest(name=batch), metadata=self._call.metadata()
        )
        size_bytes = 0
        try:
            async for piece in stream:
                size_bytes += len(piece.data)
                if size_bytes > FILE_BYTES_MAX:
                    stream.cancel()
                    raise TimebankError(
                        Reason.BATCH_TOO_LARGE,
                        f"{batch}: expected a file of at most {FILE_BYTES_MAX:,} bytes, got more",
                    )
                yield piece.data
        except grpc.aio.AioRpcError as failure:
            raise error_from_call(failure) from failure

    async def submit_journal(
        self,
        merchant: str,
        content: bytes,
        *,
        start_date: str,
        end_date: str,
        request_id: str = "",
    ) -> SubmissionView:
        """Sends a merchant's journal of complete business days in; at most 31.

        Raises TimebankError: VALIDATION_FAILED, MERCHANT_NOT_FOUND, BATCH_TOO_LARGE, SCOPE_MISSING.
        """
        request = service_pb2.SubmitMerchantJournalRequest(
            parent=self.merchant(merchant),
            request_id=request_id or new_request_id(),
            content=content,
            start_date=start_date,
            end_date=end_date,
        )
        return _submission(await self._call(self._stub.SubmitMerchantJournal, request))

    async def submit_advice(self, content: bytes, *, request_id: str = "") -> SubmissionView:
        """Sends the bank's advice of payments in.

        Raises TimebankError: VALIDATION_FAILED, LEDGER_NOT_FOUND, BATCH_TOO_LARGE.
        """
        request = service_pb2.SubmitPayoutAdviceRequest(
            parent=self._names.ledger,
            request_id=request_id or new_request_id(),
            content=content,
        )
        return _submission(await self._call(self._stub.SubmitPayoutAdvice, request))

    async def record_payout(
        self,
        batch: str,
        *,
        paid_fen: int,
        paid_time: datetime,
        invoice_number: str = "",
        request_id: str = "",
    ) -> BatchView:
        """Records that a closed batch was paid out.

        Raises TimebankError: VALIDATION_FAILED, BATCH_NOT_FOUND, BATCH_STATE, OUTCOME_UNKNOWN.
        """
        request = service_pb2.RecordPayoutRequest(
            name=batch,
            request_id=request_id or new_request_id(),
            paid_fen=paid_fen,
            invoice_number=invoice_number,
            paid_time=time_to_wire(paid_time, "paid_time"),
        )
        return batch_from_wire(await self._call(self._stub.RecordPayout, request))

    def list_items(
        self,
        merchant: str,
        *,
        outcome: ReconciliationOutcome | None = None,
        start_date: str = "",
        end_date: str = "",
        resolved: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[ReconciliationItemView]:
        """Yields what comparisons found, oldest first; None: all but MATCHED."""
        number = 0 if outcome is None else kind_to_wire(_OUTCOME_NUMBERS, "OUTCOME_", outcome)

        async def read(token: str) -> Page[ReconciliationItemView]:
            request = service_pb2.ListReconciliationItemsRequest(
                parent=self.merchant(merchant),
                page_size=page_size,
                page_token=token,
                outcome=settlement_pb2.ReconciliationItem.Outcome.ValueType(number),
                start_date=start_date,
                end_date=end_date,
                resolved=resolved,
            )
            response = await self._call(self._stub.ListReconciliationItems, request)
            return map(_item, response.reconciliation_items), response.next_page_token

        return pages(read)


def batch_from_wire(message: settlement_pb2.SettlementBatch) -> BatchView:
    """Reads a batch."""
    return BatchView(
        name=message.name,
        business_date=message.business_date,
        sequence=message.sequence,
        state=_STATES.get(message.state, BatchState.UNKNOWN),
        line_count=message.line_count,
        redeemed_points=message.redeemed_points,
        refunded_points=message.refunded_points,
        net_points=message.net_points,
        net_minutes=message.net_minutes,
        net_fen=message.net_fen,
        file_sha256=message.file_sha256,
        previous_file_sha256=message.previous_file_sha256,
        file_signature=message.file_signature,
        invoice_number=message.invoice_number,
        paid_fen=message.paid_fen,
        close_time=optional_time(message.close_time),
        replayed=message.replayed,
    )


def _item(message: settlement_pb2.ReconciliationItem) -> ReconciliationItemView:
    return ReconciliationItemView(
        name=message.name,
        business_date=message.business_date,
        merchant_ref=message.merchant_ref,
        outcome=_OUTCOMES.get(message.outcome, ReconciliationOutcome.UNKNOWN),
        ledger_amount=message.ledger_amount,
        merchant_amount=message.merchant_amount,
        settled_fen=message.settled_fen,
        paid_fen=message.paid_fen,
        owner=message.owner,
        open_time=optional_time(message.open_time),
        resolve_time=optional_time(message.resolve_time),
        resolution=message.resolution,
    )


def _submission(
    message: service_pb2.SubmitMerchantJournalResponse | service_pb2.SubmitPayoutAdviceResponse,
) -> SubmissionView:
    return SubmissionView(
        row_count=message.row_count,
        accepted_count=message.accepted_count,
        rejected_count=message.rejected_count,
        errors=tuple((error.row, error.message) for error in message.errors),
        matched_count=message.matched_count,
        item_count=message.item_count,
        replayed=message.replayed,
    )
