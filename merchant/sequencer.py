"""The ordered writer of one programme: queue, group commit, answers.

All writes of the merchant service pass here. Concurrent requests queue and are taken as one batch
when the previous commit ends; a lone request does not wait. A batch is one transaction: lock the
programme's row, look up what earlier requests of the same keys got, load the documents that the
rules ask for, run the rules in order, write, commit. What is kept in memory between batches counts
only while the programme's row is the one that this process wrote last, so any number of processes
may share a programme on PostgreSQL. When the outcome of a commit is unknown, the memory is dropped
and the batch is carried out again under the lock: what it had committed is found by its requests'
keys, and rules without a key change nothing the second time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from merchant.domain.documents import Document
from merchant.domain.places import Key, key_of
from merchant.domain.states import DocumentKind
from merchant.domain.transactions import NotLoaded, State, Transaction
from merchant.metrics import Committed, changes_of
from merchant.store.documents import Asked, Programme, load, open_batch, store
from timebank.arrivals import let_arrive
from timebank.clock import Clock
from timebank.database.sessions import UnknownCommit, WriterSession
from timebank.database.statements import Plan
from timebank.errors import MEANINGS, Reason, TimebankError, decode_error, encode_error

_LOG = structlog.get_logger("merchant.sequencer")
BATCH_MAX = 500
"""Requests of one transaction."""
QUEUE_MAX = 20_000
ARRIVED_ENOUGH = 32
"""Requests for which a batch waits no longer: the others travel while it is committed."""
KEPT_MAX = 20_000
"""Documents that the writer keeps between batches, as long as nobody else writes."""
ROUNDS_MAX = 12
"""Look-ups of one batch; a redemption needs three."""
UNKNOWN_COMMITS_MAX = 3
_STORED_STATUSES = ("FAILED_PRECONDITION", "ALREADY_EXISTS")
_STORED_REASONS = frozenset({Reason.PAYMENT_CODE_INVALID, Reason.VOUCHER_NOT_FOUND})
"""Refusals that counted a wrong try: a repetition must not count another."""
_ASKED_AGAIN = frozenset({Reason.PIN_REQUIRED})
"""Refusals that the same request avoids when it is made again with what was missing."""

Rule = Callable[[Transaction], Document]


class Request(NamedTuple):
    """What a caller asks: a rule that ends with a document. `key` is what a replay is found by, 16
    bytes for caller and request id; empty for what the service does by itself.
    """

    rule: Rule
    key: bytes = b""
    fingerprint: bytes = b""
    hints: tuple[Key, ...] = ()
    """Documents that the rule is sure to ask for."""
    remembers: bool = True
    """False for a question before the request itself: the key is looked up, and kept for later."""


class Answer(NamedTuple):
    """What a request ended with."""

    document: Document
    replayed: bool = False


@dataclass(slots=True)
class _Waiting:
    request: Request
    future: asyncio.Future[Answer]


@dataclass(slots=True)
class _Batch:
    """One batch while it is carried out."""

    waiting: Sequence[_Waiting]
    state: State = field(default_factory=State)
    sequences: dict[Key, int] = field(default_factory=dict)
    asked: dict[bytes, Asked] = field(default_factory=dict)
    new: list[Asked] = field(default_factory=list)
    outcomes: list[Answer | Exception] = field(default_factory=list)


class Sequencer:
    """The writer of one programme."""

    def __init__(
        self,
        ledger_no: int,
        ledger_id: str,
        *,
        session: WriterSession,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        observer: Callable[[Committed], None] | None = None,
    ) -> None:
        self._observer = observer
        self._ledger_no = ledger_no
        self._ledger_id = ledger_id
        self._session = session
        self._clock = clock
        self._random_bytes = random_bytes
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._alone = True
        self._stopped = asyncio.Event()
        self._kept: dict[Key, Document | None] = {}
        self._kept_places: dict[Key, int] = {}
        self._kept_at: tuple[int, int] | None = None

    async def submit(self, request: Request) -> Answer:
        """Waits until a request is committed or refused; cancelling the caller does not cancel it.

        Raises QUEUE_FULL, SHUTTING_DOWN, what a failing database raises, and what the rule refuses
        with.
        """
        if self._closing:
            raise TimebankError(Reason.SHUTTING_DOWN, "the server is stopping: call again")
        if len(self._queue) >= QUEUE_MAX:
            raise TimebankError(
                Reason.QUEUE_FULL, f"{len(self._queue)} writes wait already: try again in a moment"
            )
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.future

    async def run(self) -> None:
        """Takes and commits batches until `close`; run it as one task."""
        try:
            while not (self._closing and not self._queue):
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                if not self._alone or len(self._queue) > 1:
                    await let_arrive(lambda: len(self._queue), enough=ARRIVED_ENOUGH)
                count = min(len(self._queue), BATCH_MAX)
                self._alone = count == 1
                await self._commit([self._queue.popleft() for _ in range(count)])
        finally:
            self._closing = True
            for waiting in self._queue:
                if not waiting.future.done():
                    ended = TimebankError(Reason.SHUTTING_DOWN, "the writer has ended: call again")
                    waiting.future.set_exception(ended)
            self._stopped.set()

    async def close(self) -> None:
        """Lets what is queued finish, then stops."""
        self._closing = True
        self._wake.set()
        await self._stopped.wait()
        await self._session.close()

    async def _commit(self, taken: list[_Waiting]) -> None:
        if not taken:
            return
        try:
            outcomes = await self._carry_out(taken)
        except TimebankError as error:
            outcomes = [error] * len(taken)
        except Exception as error:  # noqa: BLE001  # a fault of ours must reach its callers, not end the writer
            _LOG.error("batch failed", requests=len(taken), exc_info=error)
            if len(taken) > 1:
                for waiting in taken:
                    await self._commit([waiting])
                return
            outcomes = [error]
        for waiting, outcome in zip(taken, outcomes, strict=True):
            if waiting.future.done():
                continue
            if isinstance(outcome, Exception):
                waiting.future.set_exception(outcome)
            else:
                waiting.future.set_result(outcome)

    async def _carry_out(self, taken: list[_Waiting]) -> list[Answer | Exception]:
        started_s = asyncio.get_running_loop().time()
        for _ in range(UNKNOWN_COMMITS_MAX):
            batch = _Batch(taken)
            try:
                await self._transact(batch)
            except UnknownCommit as error:
                self._forget()
                _LOG.warning("commit outcome unknown, asking again", cause=str(error))
                continue
            except BaseException:
                self._forget()
                await self._session.rollback()
                raise
            self._observe(batch, started_s)
            return batch.outcomes
        raise TimebankError(
            Reason.DATABASE_UNAVAILABLE,
            "the outcome of the write is not known: repeat it with the same request id",
        )

    def _observe(self, batch: _Batch, started_s: float) -> None:
        """Tells the observer of a batch; a fault of it must not make committed requests fail."""
        if self._observer is None:
            return
        seconds = asyncio.get_running_loop().time() - started_s
        changes = changes_of(batch.state.before, batch.state.changed)
        try:
            self._observer(Committed(len(batch.waiting), len(self._queue), seconds, changes))
        except Exception as error:  # noqa: BLE001  # likewise: it is logged, and the answers go out
            _LOG.error("observing a batch failed", exc_info=error)

    async def _transact(self, batch: _Batch) -> None:
        keys = [item.request.key for item in batch.waiting if item.request.key]
        plan = open_batch(list(dict.fromkeys(keys)))
        programme, asked = await self._session.run(self._ledger_no, plan, begin=True)
        batch.asked = asked
        if self._kept_at != (programme.sequence, programme.moved_us):
            self._forget()
        batch.state.documents, batch.sequences = self._kept, self._kept_places
        hints = {key: None for item in batch.waiting for key in item.request.hints}
        hints.update({(found.kind, found.document_id): None for found in asked.values()})
        await self._load(batch, hints)
        now_us = max(self._clock.now_us(), programme.moved_us + 1)
        for position in range(len(batch.waiting)):
            await self._one(batch, position, now_us)
        if not batch.state.changed and not batch.state.gone and not batch.new:
            await self._session.rollback()
            self._kept_at = (programme.sequence, programme.moved_us)
            self._forget_oldest()
            return
        written, head = self._writes(batch, programme, now_us)
        self._kept_at = None
        await self._session.run(self._ledger_no, written, commit=True)
        self._kept_at = head
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        if len(self._kept) <= KEPT_MAX:
            return
        for key in list(itertools.islice(self._kept, len(self._kept) - KEPT_MAX // 2)):
            del self._kept[key]
            self._kept_places.pop(key, None)

    def _forget(self) -> None:
        self._kept, self._kept_places, self._kept_at = {}, {}, None

    async def _one(self, batch: _Batch, position: int, now_us: int) -> None:
        request = batch.waiting[position].request
        replay = self._replayed(batch, request)
        if replay is not None:
            batch.outcomes.append(replay)
            return
        for _ in range(ROUNDS_MAX):
            transaction = Transaction(batch.state, now_us, self._random_bytes)
            try:
                document = request.rule(transaction)
            except NotLoaded:
                others = self._missing(batch, position + 1, now_us)
                await self._load(batch, transaction.missing | others)
                continue
            except TimebankError as error:
                transaction.settle(refused=True)
                self._remember(batch, request, None, error)
                batch.outcomes.append(error)
                return
            transaction.settle(refused=False)
            self._remember(batch, request, document, None)
            batch.outcomes.append(Answer(document))
            return
        raise RuntimeError(f"a request wants more after {ROUNDS_MAX} look-ups")

    def _missing(self, batch: _Batch, position: int, now_us: int) -> dict[Key, None]:
        """Tries all from a position on without keeping what they do: what they lack is loaded with
        what one before them lacks.
        """
        missing: dict[Key, None] = {}
        for waiting in batch.waiting[position:]:
            if waiting.request.key in batch.asked:
                continue
            trial = Transaction(batch.state, now_us, self._random_bytes)
            try:
                waiting.request.rule(trial)
            except (NotLoaded, TimebankError):
                missing.update(trial.missing)
        return missing

    async def _load(self, batch: _Batch, keys: dict[Key, None]) -> None:
        wanted = [key for key in keys if key not in batch.state.documents]
        if not wanted:
            return
        loaded = await self._session.run(self._ledger_no, load(wanted))
        batch.sequences.update(loaded.sequences)
        for key in wanted:
            batch.state.documents[key] = loaded.documents.get(key)

    @staticmethod
    def _replayed(batch: _Batch, request: Request) -> Answer | Exception | None:
        found = batch.asked.get(request.key) if request.key else None
        if found is None:
            return None
        if found.fingerprint != request.fingerprint:
            return TimebankError(
                Reason.REQUEST_ID_REUSED,
                "this request_id was used for other content: make a new one for each new request",
                field="request_id",
            )
        if found.error is not None:
            return decode_error(found.error)
        document = batch.state.documents.get((found.kind, found.document_id))
        if document is None and found.kind == DocumentKind.ITEM:
            return TimebankError(
                Reason.RECONCILIATION_ITEM_NOT_FOUND, "a later comparison took this item away"
            )
        if document is None:
            return TimebankError(
                Reason.DATABASE_UNAVAILABLE, "what this request made is not there any more"
            )
        return Answer(document, replayed=True)

    @staticmethod
    def _remember(
        batch: _Batch, request: Request, document: Document | None, error: TimebankError | None
    ) -> None:
        if not request.key or not request.remembers:
            return
        if error is not None and not _is_stored(error):
            return
        kind, document_id = key_of(document) if document is not None else (0, "")
        data = encode_error(error) if error is not None else None
        asked = Asked(request.key, request.fingerprint, int(kind), document_id, data)
        batch.asked[request.key] = asked
        batch.new.append(asked)

    def _writes(
        self, batch: _Batch, programme: Programme, now_us: int
    ) -> tuple[Plan[None], tuple[int, int]]:
        """Gives what is written, and sequence and time of the programme afterwards."""
        sequence = programme.sequence
        changed = []
        for key, document in batch.state.changed.items():
            place = batch.sequences.get(key)
            if place is None:
                sequence += 1
                place = batch.sequences[key] = sequence
            changed.append((key, place, document))
        plan = store(
            (self._ledger_id, sequence, now_us),
            changed,
            batch.state.gone,
            [(asked, now_us) for asked in batch.new],
        )
        return plan, (sequence, now_us)


def _is_stored(error: TimebankError) -> bool:
    """A refusal that depended on state is final; one that a better call avoids is not stored."""
    if error.reason in _ASKED_AGAIN:
        return False
    return error.reason in _STORED_REASONS or (
        MEANINGS[error.reason].status.name in _STORED_STATUSES
    )
