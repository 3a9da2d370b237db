"""Balances, now or as of a point of the log; concurrent questions share one look-up."""

import asyncio
from typing import NamedTuple

from ledger.domain.account import Account
from ledger.domain.calendar import year_of
from ledger.store import reads
from ledger.store.balances import BalanceRow, load_balances
from ledger.usecases.caller import account_not_found, may_see
from ledger.usecases.ledgers import Handle, Ledgers
from ledger.usecases.lookups import SharedLookup
from timebank.auth import Principal
from timebank.database.sessions import open_read_session


class BalanceRead(NamedTuple):
    """An account's balance; amounts are in its unit."""

    account: Account
    posted: int
    held: int
    debt: int
    log_size: int
    earned: tuple[int, int]
    expired_pending: bool


class Balances:
    """Reads balances for a principal."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._reader = ledgers.world.databases.reader
        self._lookups: dict[int, SharedLookup[BalanceRow]] = {}
        self._session = open_read_session(ledgers.world.databases)
        self._session_free = asyncio.Lock()

    async def now(self, ledger_id: str, account_id: str, principal: Principal) -> BalanceRead:
        """Reads the balance as it is. Raises ACCOUNT_NOT_FOUND."""
        handle = await self._ledgers.handle(ledger_id, principal)
        row = await self._lookup(handle).find(account_id)
        if row is None or not may_see(principal, row.account):
            raise account_not_found(ledger_id, account_id)
        account = row.account
        return BalanceRead(
            account,
            account.posted,
            account.held,
            account.debt,
            account.changed_index + 1,
            (row.earned, row.earned_in_year),
            row.due_us <= self._ledgers.world.clock.now_us(),
        )

    def _lookup(self, handle: Handle) -> SharedLookup[BalanceRow]:
        lookup = self._lookups.get(handle.ledger_no)
        if lookup is None:

            async def load(account_ids: list[str]) -> dict[str, BalanceRow]:
                year = year_of(self._ledgers.world.clock.now_us(), handle.time_zone)
                plan = load_balances(account_ids, year)
                async with self._session_free:
                    return await self._session.run(handle.ledger_no, plan)

            lookup = self._lookups[handle.ledger_no] = SharedLookup(load)
        return lookup

    async def at_size(
        self, ledger_id: str, account_id: str, principal: Principal, size: int
    ) -> BalanceRead:
        """Reads the posted balance after the first `size` entries, at most all there are; exact."""
        account, ledger_no = await self._visible(ledger_id, account_id, principal)
        row = await self._ledgers.row(ledger_id, principal)
        size = min(size, row.head.size)
        posted = await reads.posted_at_size(self._reader, ledger_no, account.no, size)
        return BalanceRead(account, posted, 0, 0, size, (0, 0), False)

    async def at_recorded(
        self, ledger_id: str, account_id: str, principal: Principal, recorded_us: int
    ) -> BalanceRead:
        """Reads the posted balance after every entry recorded at or before a time; exact."""
        handle = await self._ledgers.handle(ledger_id, principal)
        size = await reads.size_at(self._reader, handle.ledger_no, recorded_us)
        return await self.at_size(ledger_id, account_id, principal, size)

    async def at_effective(
        self, ledger_id: str, account_id: str, principal: Principal, effective_us: int
    ) -> BalanceRead:
        """Reports what had happened by a time as far as the log knows now; may be negative."""
        account, ledger_no = await self._visible(ledger_id, account_id, principal)
        row = await self._ledgers.row(ledger_id, principal)
        posted = await reads.posted_at_effective(
            self._reader, ledger_no, account.no, effective_us, row.head.size
        )
        return BalanceRead(account, posted, 0, 0, row.head.size, (0, 0), False)

    async def _visible(
        self, ledger_id: str, account_id: str, principal: Principal
    ) -> tuple[Account, int]:
        handle = await self._ledgers.handle(ledger_id, principal)
        found = await reads.find_accounts(self._reader, handle.ledger_no, [account_id])
        account = found.get(account_id)
        if account is None or not may_see(principal, account):
            raise account_not_found(ledger_id, account_id)
        return account, handle.ledger_no
