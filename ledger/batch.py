"""One batch from lock to commit: what is read, decided and written in one transaction."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger import leaf
from ledger.domain.book import Book
from ledger.domain.commands import Command, Request
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.fold import LedgerState
from ledger.domain.hours_commands import SubmitRecord, is_hours_command
from ledger.domain.hours_view import Who
from ledger.domain.hours_wants import want
from ledger.domain.outcomes import Outcome, Recorded, Written, natural_name
from ledger.domain.register import Wants
from ledger.domain.working_days import NO_HOLIDAYS, Holidays
from ledger.memory import Memory, load_texts, restore_memory, wanted_by
from ledger.store.batches import (
    Changes,
    Head,
    Opened,
    Wanted,
    WrittenEntry,
    find_commit,
    load,
    open_batch,
    write_batch,
)
from ledger.store.facts import look_up
from timebank.clock import Clock
from timebank.database.sessions import WriterSession
from timebank.errors import Reason, TimebankError, decode_error, encode_error

FOLLOWERS_MAX = 16
"""Entries of one request about members that a repeated answer looks at."""
LOOKUP_ROUNDS_MAX = 10
"""A member, its root, its duplicates, its records, what these supersede: five at most."""


class BatchLimits(NamedTuple):
    """Bounds of the write path."""

    queue_items_max: int
    batch_items_max: int
    batch_postings_max: int
    clock_skew_seconds: int
    accounts_cached_max: int
    holidays: Holidays = NO_HOLIDAYS


class Batch:
    """Requests that are committed together; `outcomes` has one answer a request."""

    def __init__(
        self,
        ledger_no: int,
        requests: Sequence[Request],
        *,
        batch_id: bytes,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        encode: Callable[[str, Entry], bytes],
        limits: BatchLimits,
        check_key: Callable[[LedgerState], None] | None = None,
    ) -> None:
        self.batch_id = batch_id
        self.outcomes: list[Outcome] = []
        self.memory_after: Memory | None = None
        self._ledger_no = ledger_no
        self._requests = requests
        self._clock = clock
        self._random_bytes = random_bytes
        self._encode = encode
        self._limits = limits
        self._check_key = check_key

    async def carry_out(self, session: WriterSession, memory: Memory | None) -> Memory:
        """Runs the batch in one transaction and gives the memory of the new head.

        Raises CLOCK_SKEW and the database's reasons, with nothing written; UnknownCommit when
        nobody can tell.
        """
        opened = await self._open(session, memory.head if memory is not None else None)
        if self._skew_us(opened.head) > self._limits.clock_skew_seconds * 1_000_000:
            await self._check_clock(session)
        if memory is None or not memory.matches(opened.head):
            memory = await session.run(
                self._ledger_no, restore_memory(self._ledger_no, opened.head)
            )
        book = Book(
            memory.state,
            next_index=opened.head.size,
            now_us=max(self._clock.now_us(), opened.head.recorded_us + 1),
            random_bytes=self._random_bytes,
            encode=self._encode,
            holidays=self._limits.holidays,
        )
        await self._load(session, memory, book, opened)
        await self._look_up(session, memory, book, self._requests)
        register = memory.state.register
        known = register.policies_changed, register.members_changed
        for request in self._requests:
            changed = (register.policies_changed, register.members_changed) != known
            if book.written and (changed or not _is_plain(request.commands[0])):
                # An earlier request of the batch may have made what this one is about.
                await self._look_up(session, memory, book, [request])
            self.outcomes.append(book.execute(request))
        if not book.written and not book.declines:
            await session.rollback()
            memory.settle(memory.head, accounts_max=self._limits.accounts_cached_max)
            return memory
        if self._check_key is not None:
            self._check_key(memory.state.ledger)
        return await self._store(session, memory, book, opened.head)

    async def _open(self, session: WriterSession, known: Head | None) -> Opened:
        keys = {request.key: None for request in self._requests}
        keys.pop(b"", None)
        names = [
            name
            for request in self._requests
            for command in request.commands
            if (name := natural_name(command)) is not None
        ]
        plan = open_batch(keys, dict.fromkeys(names), known=known)
        return await session.run(self._ledger_no, plan, begin=True)

    def _skew_us(self, head: Head) -> int:
        return 0 if head.clock_us is None else abs(self._clock.now_us() - head.clock_us)

    async def _check_clock(self, session: WriterSession) -> None:
        """Asks for the database's clock again: it may have been read before a wait for the lock."""
        head, _ = await session.run(self._ledger_no, find_commit(self.batch_id))
        skew_us = self._skew_us(head)
        if skew_us > self._limits.clock_skew_seconds * 1_000_000:
            raise TimebankError(
                Reason.CLOCK_SKEW,
                f"this server's clock is {skew_us // 1000} ms from the database's: set the clocks",
                skew_ms=skew_us // 1000,
            )

    async def _load(
        self, session: WriterSession, memory: Memory, book: Book, opened: Opened
    ) -> None:
        """Fills the book with earlier answers, and memory with the accounts and holds it lacks."""
        earlier = _earlier_entries(opened)
        wanted = wanted_by(self._requests)
        indexes = [*wanted.entry_indexes, *self._chain_indexes(opened, earlier)]
        missing = memory.missing(wanted._replace(entry_indexes=indexes))
        if missing:
            loaded = await session.run(self._ledger_no, load(missing))
            memory.add(loaded)
            book.originals.update(
                {index: leaf.decode(data) for index, data in loaded.leaves.items()}
            )
        payers = [
            posting.account_id
            for index in indexes
            if index in book.originals
            for posting in book.originals[index].postings
        ]
        others = [
            memory.state.holds[name].account_id
            for name in wanted.hold_ids
            if name in memory.state.holds
        ]
        more = memory.missing(Wanted(list(dict.fromkeys([*payers, *others]))))
        if more:
            memory.add(await session.run(self._ledger_no, load(more)))
        book.originals.update({entry.log_index: entry for entry in earlier.values()})
        if earlier or opened.entries_by_natural:
            book.texts_of = await session.run(self._ledger_no, load_texts(list(book.originals)))
        self._remember(book, opened, earlier)

    async def _look_up(
        self, session: WriterSession, memory: Memory, book: Book, requests: Sequence[Request]
    ) -> None:
        """Looks up what requests about members and records need, until nothing more is wanted."""
        asking = [
            request
            for request in requests
            if is_hours_command(request.commands[0]) and request.key not in book.recorded
        ]
        for _ in range(LOOKUP_ROUNDS_MAX):
            view = book.view(Who())
            view.wants = Wants()
            lacking = []
            for request in asking:
                view.complete = True
                want(view, request.commands[0])  # type: ignore[arg-type]  # they were chosen by it
                if not view.complete:
                    lacking.append(request)
            if view.wants:
                memory.take(view.wants, await session.run(self._ledger_no, look_up(view.wants)))
            asking = lacking
            if not asking:
                return
        if asking:
            raise RuntimeError(f"a request wants more after {LOOKUP_ROUNDS_MAX} look-ups")

    def _chain_indexes(self, opened: Opened, earlier: dict[bytes, Entry]) -> list[int]:
        indexes: list[int] = []
        naturals = {name: leaf.decode(data) for name, data in opened.entries_by_natural.items()}
        for request in self._requests:
            count = _entries_max(request)
            entry = earlier.get(request.key) if earlier else None
            if entry is not None:
                indexes.extend(range(entry.log_index, entry.log_index + count))
            if naturals:
                for command in request.commands:
                    hit = naturals.get(natural_name(command) or (EntryKind.REVERSAL, ""))
                    if hit is not None:
                        first = hit.log_index - hit.chain_position
                        indexes.extend(range(first, first + count))
        return list(dict.fromkeys(indexes))

    def _remember(self, book: Book, opened: Opened, earlier: dict[bytes, Entry]) -> None:
        for name, data in opened.entries_by_natural.items():
            book.natural[name] = leaf.decode(data)
        if not earlier and not opened.declines:
            return
        for request in self._requests:
            entry = earlier.get(request.key)
            if entry is not None:
                chain = _chain_of(book, entry, _entries_max(request))
                book.recorded[request.key] = Recorded(entry.fingerprint, Outcome(chain))
            declined = opened.declines.get(request.key)
            if declined is not None:
                error = decode_error(declined[1])
                book.recorded[request.key] = Recorded(declined[0], Outcome(error=error))

    async def _store(
        self, session: WriterSession, memory: Memory, book: Book, before: Head
    ) -> Memory:
        tiles = memory.tree.append([item.leaf for item in book.written])
        head = Head(
            memory.tree.size,
            memory.tree.root(),
            memory.tree.frontier_bytes(),
            book.written[-1].entry.recorded_us if book.written else before.recorded_us,
            self.batch_id,
        )
        changes = Changes(
            head,
            book.now_us,
            [_row(item) for item in book.written],
            tiles,
            book.declines,
            [encode_error(decline.error) for decline in book.declines],
            book.texts,
        )
        self.memory_after = Memory(head, memory.state, memory.tree)
        plan = write_batch(changes, memory.state)
        await session.run(self._ledger_no, plan, commit=True)
        memory.settle(head, accounts_max=self._limits.accounts_cached_max)
        return memory


def _entries_max(request: Request) -> int:
    """Gives how many entries a request may have made, as far as its answer needs them."""
    return FOLLOWERS_MAX if is_hours_command(request.commands[0]) else len(request.commands)


def _chain_of(book: Book, first: Entry, entries_max: int) -> tuple[Entry, ...]:
    """Gives the entries of one request: they follow each other and share its id."""
    chain = [first]
    for index in range(first.log_index + 1, first.log_index + entries_max):
        entry = book.originals.get(index)
        if entry is None or entry.request_id != first.request_id or not entry.chain_position:
            break
        chain.append(entry)
    return tuple(chain)


def _is_plain(command: Command) -> bool:
    """Says whether a command needs what it says itself, whatever the batch did before."""
    return not is_hours_command(command) or (
        type(command) is SubmitRecord and not command.record.supersedes
    )


def _earlier_entries(opened: Opened) -> dict[bytes, Entry]:
    return {key: leaf.decode(data) for key, data in opened.entries_by_request.items()}


def _row(item: Written) -> WrittenEntry:
    entry = item.entry
    return WrittenEntry(
        entry.log_index,
        int(entry.kind),
        entry.recorded_us,
        item.request_key,
        entry.natural_key or None,
        entry.cause or None,
        item.leaf,
    )
