"""The methods that read: balances, lots, holds, entries, and proofs about the log.

Owns: asking. Refuses: believing; `timebank.client.verification` checks what a proof claims.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime, timedelta

from timebank.client.answers import (
    balance_from_wire,
    checkpoint_from_wire,
    consistency_from_wire,
    hold_from_wire,
    inclusion_from_wire,
    lot_from_wire,
)
from timebank.client.entries import entry_from_wire
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.session import Session
from timebank.client.times import time_to_wire
from timebank.client.views import (
    Balance,
    CheckpointView,
    ConsistencyProof,
    EntryView,
    HoldView,
    InclusionProof,
    LotView,
)
from timebank.client.watch import HEARTBEAT, watch
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import ledger_service_pb2 as service_pb2
from timebank.ledger.v1 import log_service_pb2


class Readings(Session):
    """Reading the ledger and its log."""

    async def get_balance(
        self,
        account: str,
        *,
        as_of_log_size: int | None = None,
        as_of_recorded_time: datetime | None = None,
        as_of_effective_time: datetime | None = None,
    ) -> Balance:
        """Reads a balance, now or as of one point of the log.

        As of an effective time it is a report of what is known now, and may be negative.
        Raises TimebankError: ACCOUNT_NOT_FOUND, VALIDATION_FAILED.
        """
        name = self._names.account(account)
        points = (as_of_log_size, as_of_recorded_time, as_of_effective_time)
        if sum(point is not None for point in points) > 1:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                "as_of: expected at most one of log size, recorded time and effective time, got "
                "several; ask once for each",
                field="as_of",
            )
        request = service_pb2.GetBalanceRequest(
            name=name,
            as_of_recorded_time=time_to_wire(as_of_recorded_time, "as_of_recorded_time"),
            as_of_effective_time=time_to_wire(as_of_effective_time, "as_of_effective_time"),
        )
        if as_of_log_size is not None:
            request.as_of_log_size = as_of_log_size
        return balance_from_wire(await self._call(self._ledger_stub.GetBalance, request))

    def list_lots(self, account: str, *, page_size: int = PAGE_SIZE) -> AsyncIterator[LotView]:
        """Yields the lots of an account, next expiry first, those that never expire last."""

        async def read(token: str) -> Page[LotView]:
            request = service_pb2.ListLotsRequest(
                parent=self._names.account(account), page_size=page_size, page_token=token
            )
            response = await self._call(self._ledger_stub.ListLots, request)
            return map(lot_from_wire, response.lots), response.next_page_token

        return pages(read)

    async def get_hold(self, hold: str) -> HoldView:
        """Reads a hold. Raises TimebankError: HOLD_NOT_FOUND."""
        request = service_pb2.GetHoldRequest(name=self._names.hold(hold))
        return hold_from_wire(await self._call(self._ledger_stub.GetHold, request))

    async def get_entry(self, entry: str | int) -> EntryView:
        """Reads an entry by its index from 0 or its name. Raises TimebankError: ENTRY_NOT_FOUND."""
        request = service_pb2.GetEntryRequest(name=self._names.entry(entry))
        return entry_from_wire(await self._call(self._ledger_stub.GetEntry, request))

    def list_entries(
        self,
        *,
        account: str = "",
        cause: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        oldest_first: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[EntryView]:
        """Yields entries by account, cause and recorded time [start_time, end_time)."""

        async def read(token: str) -> Page[EntryView]:
            request = service_pb2.ListEntriesRequest(
                parent=self.ledger,
                page_size=page_size,
                page_token=token,
                account=self._names.account(account) if account else "",
                cause=cause,
                start_time=time_to_wire(start_time, "start_time"),
                end_time=time_to_wire(end_time, "end_time"),
                oldest_first=oldest_first,
            )
            response = await self._call(self._ledger_stub.ListEntries, request)
            return map(entry_from_wire, response.entries), response.next_page_token

        return pages(read)

    def watch_entries(
        self, *, start_index: int = 0, heartbeat: timedelta = HEARTBEAT
    ) -> AsyncGenerator[EntryView, None]:
        """Yields every entry from an index on, without a gap and for ever, across broken streams.

        `heartbeat`, 1 s to 60 s, is the longest silence of the server. Close it with
        `contextlib.aclosing`. Raises TimebankError: LEDGER_NOT_FOUND, VALIDATION_FAILED, or the
        last of too many failures in a row.
        """
        return watch(
            self._call,
            self._ledger_stub.WatchEntries,
            parent=self.ledger,
            start_index=start_index,
            heartbeat=heartbeat,
        )

    async def checkpoint(self) -> CheckpointView:
        """Gets the signed head of the log. Raises TimebankError: LEDGER_NOT_FOUND."""
        request = log_service_pb2.GetCheckpointRequest(parent=self.ledger)
        return checkpoint_from_wire(await self._call(self._log_stub.GetCheckpoint, request))

    async def inclusion_proof(self, index: int, *, tree_size: int = 0) -> InclusionProof:
        """Gets the proof that an entry is in the tree of a size; 0: the present one.

        Raises TimebankError: LEDGER_NOT_FOUND, VALIDATION_FAILED.
        """
        request = log_service_pb2.GetInclusionProofRequest(
            parent=self.ledger, index=index, tree_size=tree_size
        )
        return inclusion_from_wire(await self._call(self._log_stub.GetInclusionProof, request))

    async def consistency_proof(self, first_size: int, *, second_size: int = 0) -> ConsistencyProof:
        """Gets the proof that a smaller tree is the beginning of a larger one; 0: the present one.

        Raises TimebankError: LEDGER_NOT_FOUND, VALIDATION_FAILED.
        """
        request = log_service_pb2.GetConsistencyProofRequest(
            parent=self.ledger, first_size=first_size, second_size=second_size
        )
        return consistency_from_wire(await self._call(self._log_stub.GetConsistencyProof, request))

    async def receipt(self, entry: str | int) -> str:
        """Gets the receipt of an entry, by index or name: the text of a C2SP `.tlog-proof`.

        Raises TimebankError: ENTRY_NOT_FOUND, SIGNER_UNAVAILABLE.
        """
        request = log_service_pb2.GetReceiptRequest(name=self._names.entry(entry))
        return (await self._call(self._log_stub.GetReceipt, request)).proof
