"""Entries of the log as they are read and watched."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import structlog

from ledger import leaf
from ledger.domain.entry import Entry
from ledger.store import reads
from ledger.store.ledgers import find_ledger
from ledger.usecases.caller import (
    OWNERS,
    account_not_found,
    check_sees_all_accounts,
    may_see,
    sees_all_accounts,
)
from ledger.usecases.ledgers import Handle, Ledgers
from timebank.auth import Principal
from timebank.errors import Reason, TimebankError

_LOG = structlog.get_logger("ledger.entries")
POLL_S = 0.05
"""How often a process looks for entries that other processes wrote, while somebody watches."""
WATCH_PAGE_ENTRIES = 256


class LeafRead(NamedTuple):
    """An entry with the exact bytes of its leaf."""

    log_index: int
    leaf: bytes


class Entries:
    """Reads entries for a principal."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._reader = ledgers.world.databases.reader
        self._heads: dict[str, _HeadWatch] = {}

    async def get(self, ledger_id: str, log_index: int, principal: Principal) -> LeafRead:
        """Reads one entry. Raises ENTRY_NOT_FOUND, also when it is not for the caller."""
        handle = await self._ledgers.handle(ledger_id, principal)
        found = await reads.find_leaves(self._reader, handle.ledger_no, log_index, log_index + 1)
        if not found or not await self._may_read(handle, leaf.decode(found[0][1]), principal):
            raise TimebankError(
                Reason.ENTRY_NOT_FOUND, f"no entry {log_index} in {ledger_id}", entry=log_index
            )
        return LeafRead(*found[0])

    async def _may_read(self, handle: Handle, entry: Entry, principal: Principal) -> bool:
        if sees_all_accounts(principal):
            return True
        names = {posting.account_id for posting in entry.postings}
        names.update(change.account_id for change in entry.hold_changes)
        if entry.account is not None:
            names.add(entry.account.account_id)
        found = await reads.find_accounts(self._reader, handle.ledger_no, sorted(names))
        visible = [may_see(principal, account) for account in found.values()]
        return any(visible) if principal.kind in OWNERS else bool(visible)

    async def page(
        self,
        ledger_id: str,
        account_id: str,
        wanted: reads.EntryFilter,
        principal: Principal,
        limit: int,
    ) -> list[LeafRead]:
        """Lists entries. Raises ACCOUNT_NOT_FOUND, or SCOPE_MISSING across accounts."""
        handle = await self._ledgers.handle(ledger_id, principal)
        if account_id:
            found = await reads.find_accounts(self._reader, handle.ledger_no, [account_id])
            account = found.get(account_id)
            if account is None or not may_see(principal, account):
                raise account_not_found(ledger_id, account_id)
            wanted = wanted._replace(account_no=account.no)
        else:
            check_sees_all_accounts(principal)
        rows = await reads.list_leaves(self._reader, handle.ledger_no, wanted, limit)
        return [LeafRead(*row) for row in rows]

    async def watch(
        self, ledger_id: str, start: int, principal: Principal, *, heartbeat_s: float
    ) -> AsyncIterator[LeafRead | int]:
        """Gives every entry from an index on, in order and without a gap; a heartbeat is the next
        index.
        """
        handle = await self._ledgers.handle(ledger_id, principal)
        head = self._heads.get(ledger_id)
        if head is None:
            head = self._heads[ledger_id] = _HeadWatch(self._ledgers, handle)
        position = start
        async with head:
            while True:
                end = position + WATCH_PAGE_ENTRIES
                page = await reads.find_leaves(self._reader, handle.ledger_no, position, end)
                for row in page:
                    yield LeafRead(*row)
                position += len(page)
                if not page and not await head.grew_beyond(position, heartbeat_s):
                    yield position


class _HeadWatch:
    """One poller of a ledger's head for all watchers of this process, woken at once by its own
    commits.
    """

    def __init__(self, ledgers: Ledgers, handle: Handle) -> None:
        self._reader = ledgers.world.databases.reader
        self._handle = handle
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None
        self._size = 0
        self._grown = asyncio.Condition()

    async def __aenter__(self) -> None:
        self._watchers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._poll())

    async def __aexit__(self, *_: object) -> None:
        self._watchers -= 1

    async def grew_beyond(self, size: int, seconds: float) -> bool:
        """Waits until the log is longer than `size`; False when `seconds` pass before."""
        try:
            async with asyncio.timeout(seconds), self._grown:
                await self._grown.wait_for(lambda: self._size > size)
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> None:
        failing = False
        try:
            while self._watchers:
                try:
                    await self._look()
                    failing = False
                except Exception as error:  # noqa: BLE001  # an outage must not end the polling
                    if not failing:
                        _LOG.warning("poll failed", ledger=self._handle.ledger_id, exc_info=error)
                    failing = True
                try:
                    async with asyncio.timeout(POLL_S):
                        await self._handle.sequencer.committed.wait()
                except TimeoutError:
                    continue
        finally:
            self._task = None

    async def _look(self) -> None:
        row = await find_ledger(self._reader, self._handle.ledger_id)
        if row is not None and row.head.size > self._size:
            self._size = row.head.size
            async with self._grown:
                self._grown.notify_all()
