"""RPCs that read accounts, balances, holds and entries, and the stream of entries."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from ledger.domain.calendar import TIME_US_MAX
from ledger.names import (
    child_from_name,
    index_from_name,
    invalid,
    ledger_id_from_name,
    us_from_wire,
)
from ledger.store.reads import EntryFilter
from ledger.usecases.accounts import Accounts
from ledger.usecases.balances import BalanceRead, Balances
from ledger.usecases.entries import Entries, LeafRead
from ledger.wire import account_to_wire, hold_to_wire, lot_to_wire
from timebank.auth import current_principal
from timebank.clock import Clock
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import (
    account_pb2,
    entry_pb2,
    hold_pb2,
    ledger_pb2,
    ledger_service_pb2,
)
from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceServicer
from timebank.paging import page_position, page_size_of, page_token

NAMES_MAX = 1_000
HEARTBEAT_S = 15
HEARTBEAT_S_MAX = 60
SLOW_READER_S = 10
"""A watcher that takes longer for one message is closed."""
POSITION_DIGITS_MAX = 19
"""As many as a 64-bit number has."""
Context = grpc.aio.ServicerContext[Any, Any]


class ReadRpcs(LedgerServiceServicer):
    """The reads of LedgerService."""

    accounts: Accounts
    balances: Balances
    entries: Entries
    clock: Clock

    async def GetAccount(
        self, request: ledger_service_pb2.GetAccountRequest, context: Context
    ) -> account_pb2.Account:
        """Reads an account."""
        ledger_id, account_id = child_from_name(request.name, "accounts")
        account = await self.accounts.get(ledger_id, account_id, current_principal())
        return account_to_wire(ledger_id, account)

    async def BatchGetAccounts(
        self, request: ledger_service_pb2.BatchGetAccountsRequest, context: Context
    ) -> ledger_service_pb2.BatchGetAccountsResponse:
        """Reads accounts, all or none."""
        ledger_id = ledger_id_from_name(request.parent)
        if not 1 <= len(request.names) <= NAMES_MAX:
            raise TimebankError(
                Reason.BATCH_TOO_LARGE,
                f"names: expected 1 to {NAMES_MAX}, got {len(request.names)}",
                field="names",
            )
        names = [child_from_name(name, "accounts", "names") for name in request.names]
        if any(parent != ledger_id for parent, _ in names):
            raise invalid("names", f"expected accounts of ledger {ledger_id}")
        ids = [account_id for _, account_id in names]
        accounts = await self.accounts.batch(ledger_id, ids, current_principal())
        return ledger_service_pb2.BatchGetAccountsResponse(
            accounts=[account_to_wire(ledger_id, account) for account in accounts]
        )

    async def ListAccounts(
        self, request: ledger_service_pb2.ListAccountsRequest, context: Context
    ) -> ledger_service_pb2.ListAccountsResponse:
        """Lists accounts."""
        ledger_id = ledger_id_from_name(request.parent)
        size = page_size_of(request.page_size)
        _check_account_filter(request)
        arguments = ("accounts", request.parent, request.holder, request.unit, request.kind)
        accounts = await self.accounts.page(
            ledger_id,
            current_principal(),
            holder=request.holder,
            unit=request.unit,
            kind=request.kind,
            after=_number(page_position(request.page_token, *arguments), -1),
            limit=size + 1,
        )
        token = page_token(str(accounts[size - 1].no), *arguments) if len(accounts) > size else ""
        return ledger_service_pb2.ListAccountsResponse(
            accounts=[account_to_wire(ledger_id, account) for account in accounts[:size]],
            next_page_token=token,
        )

    async def ListLots(
        self, request: ledger_service_pb2.ListLotsRequest, context: Context
    ) -> ledger_service_pb2.ListLotsResponse:
        """Lists the lots of an account."""
        ledger_id, account_id = child_from_name(request.parent, "accounts", "parent")
        size = page_size_of(request.page_size)
        arguments = ("lots", request.parent)
        after_us = _number(page_position(request.page_token, *arguments), 0)
        lots = await self.accounts.lots(
            ledger_id, account_id, current_principal(), after_us=after_us, limit=size + 1
        )
        token = page_token(str(lots[size - 1].expires_us), *arguments) if len(lots) > size else ""
        return ledger_service_pb2.ListLotsResponse(
            lots=[lot_to_wire(lot) for lot in lots[:size]], next_page_token=token
        )

    async def GetHold(
        self, request: ledger_service_pb2.GetHoldRequest, context: Context
    ) -> hold_pb2.Hold:
        """Reads a hold."""
        ledger_id, hold_id = child_from_name(request.name, "holds")
        found = await self.accounts.hold(ledger_id, hold_id, current_principal())
        return hold_to_wire(ledger_id, found.hold, found.unit, self.clock.now_us())

    async def GetBalance(
        self, request: ledger_service_pb2.GetBalanceRequest, context: Context
    ) -> account_pb2.Balance:
        """Reads a balance, now or as of a point of the log."""
        ledger_id, account_id = child_from_name(request.name, "accounts")
        principal = current_principal()
        which = request.WhichOneof("as_of")
        if which is None:
            read = await self.balances.now(ledger_id, account_id, principal)
        elif which == "as_of_log_size":
            size = request.as_of_log_size
            if size < 0:
                raise invalid("as_of_log_size", f"expected 0 or more, got {size}")
            read = await self.balances.at_size(ledger_id, account_id, principal, size)
        elif which == "as_of_recorded_time":
            time_us = us_from_wire(request.as_of_recorded_time, which)
            read = await self.balances.at_recorded(ledger_id, account_id, principal, time_us)
        else:
            time_us = us_from_wire(request.as_of_effective_time, which)
            read = await self.balances.at_effective(ledger_id, account_id, principal, time_us)
        return _balance_to_wire(request.name, read)

    async def GetEntry(
        self, request: ledger_service_pb2.GetEntryRequest, context: Context
    ) -> ledger_service_pb2.LoggedEntry:
        """Reads an entry."""
        ledger_id, log_index = index_from_name(request.name)
        read = await self.entries.get(ledger_id, log_index, current_principal())
        return _entry_to_wire(ledger_id, read)

    async def ListEntries(
        self, request: ledger_service_pb2.ListEntriesRequest, context: Context
    ) -> ledger_service_pb2.ListEntriesResponse:
        """Lists entries."""
        ledger_id = ledger_id_from_name(request.parent)
        size = page_size_of(request.page_size)
        account_id = ""
        if request.account:
            parent, account_id = child_from_name(request.account, "accounts", "account")
            if parent != ledger_id:
                raise invalid("account", f"expected an account of ledger {ledger_id}")
        wanted = _filter_from_wire(request)
        arguments = ("entries", request.parent, account_id, *wanted)
        position = page_position(request.page_token, *arguments)
        if position:
            wanted = wanted._replace(after=_number(position, 0))
        rows = await self.entries.page(ledger_id, account_id, wanted, current_principal(), size + 1)
        token = page_token(str(rows[size - 1].log_index), *arguments) if len(rows) > size else ""
        return ledger_service_pb2.ListEntriesResponse(
            entries=[_entry_to_wire(ledger_id, row) for row in rows[:size]], next_page_token=token
        )

    async def WatchEntries(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes
        self, request: ledger_service_pb2.WatchEntriesRequest, context: Context
    ) -> None:
        """Streams the log from an index on."""
        ledger_id = ledger_id_from_name(request.parent)
        if request.start_index < 0:
            raise invalid("start_index", f"expected 0 or more, got {request.start_index}")
        heartbeat_s = float(HEARTBEAT_S)
        if request.HasField("heartbeat"):
            heartbeat_s = request.heartbeat.seconds + request.heartbeat.nanos / 1_000_000_000
            if not 1 <= heartbeat_s <= HEARTBEAT_S_MAX:
                raise invalid("heartbeat", f"expected 1 s to {HEARTBEAT_S_MAX} s")
        events: AsyncIterator[LeafRead | int] = self.entries.watch(
            ledger_id, request.start_index, current_principal(), heartbeat_s=heartbeat_s
        )
        async for event in events:
            await self._send(ledger_id, event, context)

    async def _send(self, ledger_id: str, event: LeafRead | int, context: Context) -> None:
        if isinstance(event, int):
            message = ledger_service_pb2.WatchEntriesResponse(heartbeat_next_index=event)
        else:
            message = ledger_service_pb2.WatchEntriesResponse(
                entry=_entry_to_wire(ledger_id, event)
            )
        try:
            async with asyncio.timeout(SLOW_READER_S):
                await context.write(message)
        except TimeoutError as error:
            raise TimebankError(
                Reason.SLOW_READER,
                f"the last message was not taken within {SLOW_READER_S} s: resume from the index"
                " after the last entry received",
            ) from error


def _filter_from_wire(request: ledger_service_pb2.ListEntriesRequest) -> EntryFilter:
    start_us = end_us = None
    if request.HasField("start_time"):
        start_us = us_from_wire(request.start_time, "start_time")
    if request.HasField("end_time"):
        end_us = us_from_wire(request.end_time, "end_time")
    return EntryFilter(
        cause=request.cause, start_us=start_us, end_us=end_us, oldest_first=request.oldest_first
    )


def _check_account_filter(request: ledger_service_pb2.ListAccountsRequest) -> None:
    if request.unit and request.unit not in ledger_pb2.Unit.values():
        raise invalid("unit", f"expected a unit of the contract or none, got {request.unit}")
    if request.kind and request.kind not in account_pb2.AccountKind.values():
        raise invalid("kind", f"expected a kind of the contract or none, got {request.kind}")
    if not request.holder.isprintable():
        raise invalid("holder", "expected visible characters")


def _number(position: str, default: int) -> int:
    if not position:
        return default
    if not (position.isascii() and position.isdigit() and len(position) <= POSITION_DIGITS_MAX):
        raise TimebankError(
            Reason.PAGE_TOKEN_MISMATCH,
            "page_token: expected the token of the previous page; start again without a token",
            field="page_token",
        )
    return min(int(position), TIME_US_MAX)


def _entry_to_wire(ledger_id: str, read: LeafRead) -> ledger_service_pb2.LoggedEntry:
    return ledger_service_pb2.LoggedEntry(
        name=f"ledgers/{ledger_id}/entries/{read.log_index}",
        leaf=read.leaf,
        entry=entry_pb2.Entry.FromString(read.leaf),
    )


def _balance_to_wire(name: str, read: BalanceRead) -> account_pb2.Balance:
    return account_pb2.Balance(
        account=name,
        unit=read.account.unit,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        posted=read.posted,
        held=read.held,
        available=read.posted - read.held,
        debt=read.debt,
        log_size=read.log_size,
        earned_lifetime=read.earned[0],
        earned_this_year=read.earned[1],
        expired_pending=read.expired_pending,
    )
