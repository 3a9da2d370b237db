"""The ordered writer of one ledger: queue, group commit, receipts.

All writes of a ledger pass here. Concurrent requests queue and are taken as one batch when the
previous commit ends; no timer, so a lone request does not wait. A batch is one transaction: lock
the head, look up keys, load what is missing, run the pure state machine, write, commit; then one
signature over the committed head. A rolled-back head is never signed, and the signer is never
called under the lock. When the outcome of a commit is unknown, all memory is dropped and the
batch's random id is looked up under the lock before anybody gets an answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from ledger import leaf
from ledger.batch import Batch, BatchLimits
from ledger.domain import commands as c
from ledger.domain.commands import Post, Request
from ledger.domain.fold import LedgerState
from ledger.domain.outcomes import Outcome
from ledger.memory import Memory
from ledger.metrics import LedgerMetrics
from ledger.store.batches import Head, find_commit
from timebank.arrivals import let_arrive
from timebank.clock import Clock
from timebank.database.sessions import UnknownCommit, WriterSession
from timebank.errors import Reason, TimebankError

_LOG = structlog.get_logger("ledger.sequencer")
ARRIVED_ENOUGH = 32
"""Requests for which a batch waits no longer: the others travel while it is committed."""
IDLE_S = 1.0
"""A writer that has had nothing to do for this long gives its connection back."""
_POSTINGS = {c.CaptureHold: 2, c.Refund: 2, c.Reverse: 64}
"""The most postings that a command of a kind writes; a Post has its own."""
POSTINGS_OF_OTHERS = 4
"""What a command about members and records writes, as a rule."""
LOOKUP_ATTEMPTS = 20
LOOKUP_PAUSE_S = 0.5
"""A commit whose outcome is unknown is looked up for 10 seconds before its callers hear
UNAVAILABLE.
"""


class Answer(NamedTuple):
    """What a submission gets: an outcome a request, and the signed checkpoint that covers them.

    `faults` holds the places of requests that failed by a fault of ours; their outcomes are empty.
    """

    outcomes: list[Outcome]
    head: Head
    checkpoint: str
    faults: frozenset[int] = frozenset()


@dataclass(slots=True)
class Submission:
    """Requests that wait together for the next commit. `deadline_s` is on the loop's clock."""

    requests: Sequence[Request]
    future: asyncio.Future[Answer]
    deadline_s: float | None
    commands: int = field(init=False)
    postings: int = field(init=False)

    def __post_init__(self) -> None:
        commands = postings = 0
        for request in self.requests:
            commands += len(request.commands)
            for command in request.commands:
                if type(command) is Post:
                    postings += len(command.postings)
                else:
                    postings += _POSTINGS.get(type(command), POSTINGS_OF_OTHERS)
        self.commands = commands
        self.postings = postings


class Sequencer:
    """The ordered writer of one ledger."""

    def __init__(
        self,
        *,
        ledger_no: int,
        session: WriterSession,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        sign: Callable[[Memory], str],
        check_key: Callable[[LedgerState], None],
        limits: BatchLimits,
        metrics: LedgerMetrics,
    ) -> None:
        self._ledger_no = ledger_no
        self._session = session
        self._clock = clock
        self._random_bytes = random_bytes
        self._sign = sign
        self._check_key = check_key
        self._limits = limits
        self.metrics = metrics
        self._queue: deque[Submission] = deque()
        self._queued_items = 0
        self._wake = asyncio.Event()
        self._memory: Memory | None = None
        self._checkpoint: tuple[Head, str] | None = None
        self._closing = False
        self._batches = 0
        self._idle_since = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_idle = False
        self._stopped = asyncio.Event()
        self.committed = asyncio.Event()

    async def submit(
        self, requests: Sequence[Request], *, deadline_s: float | None = None
    ) -> Answer:
        """Waits until the requests are committed or declined.

        Cancelling the caller does not cancel the commit. Raises QUEUE_FULL, DEADLINE_PASSED,
        SHUTTING_DOWN, and the reasons of a database or signer that is unavailable; a retry with the
        same request ids replays.
        """
        if self._closing:
            raise TimebankError(Reason.SHUTTING_DOWN, "the server is stopping: call again")
        if self._queued_items + len(requests) > self._limits.queue_items_max:
            raise TimebankError(
                Reason.QUEUE_FULL,
                f"{self._queued_items} writes wait already: try again in a moment",
                queued=self._queued_items,
            )
        loop = asyncio.get_running_loop()
        submission = Submission(requests, loop.create_future(), deadline_s)
        self._queue.append(submission)
        self._queued_items += len(requests)
        self.metrics.queue_items.set(self._queued_items)
        self._wake.set()
        return await submission.future

    async def run(self) -> None:
        """Takes and commits batches until `close`; run it as one task."""
        try:
            while not (self._closing and not self._queue):
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                else:
                    await let_arrive(lambda: self._queued_items, enough=ARRIVED_ENOUGH)
                await self._step()
        finally:
            self._closing = True
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._fail_all(self._queue)
            self._queue.clear()
            self._stopped.set()

    async def _step(self) -> None:
        submissions = self._take()
        if not submissions:
            if self._is_idle:
                self._is_idle = False
                await self._session.release()
            return
        try:
            await self._commit(submissions)
        finally:
            self._fail_all(submissions)
        self._batches += 1
        if self._session.is_crowded():
            await self._session.release()
        elif self._idle_timer is None:
            self._watch_idle()

    def _watch_idle(self) -> None:
        self._idle_since = self._batches
        self._idle_timer = asyncio.get_running_loop().call_later(IDLE_S, self._look_idle)

    def _look_idle(self) -> None:
        if self._batches != self._idle_since or self._queue:
            self._watch_idle()
            return
        self._idle_timer = None
        self._is_idle = True
        self._wake.set()

    @staticmethod
    def _fail_all(submissions: Iterable[Submission]) -> None:
        """Answers whom nobody else answered: the writer has ended."""
        for submission in submissions:
            if not submission.future.done():
                ended = TimebankError(Reason.SHUTTING_DOWN, "the writer has ended: call again")
                submission.future.set_exception(ended)

    async def close(self) -> None:
        """Lets what is queued finish, then stops."""
        self._closing = True
        self._wake.set()
        await self._stopped.wait()

    def _take(self) -> list[Submission]:
        taken: list[Submission] = []
        items = postings = 0
        now_s = asyncio.get_running_loop().time()
        while self._queue:
            submission = self._queue[0]
            items += submission.commands
            postings += submission.postings
            full = (
                items > self._limits.batch_items_max or postings > self._limits.batch_postings_max
            )
            if taken and full:
                break
            self._queue.popleft()
            self._queued_items -= len(submission.requests)
            if submission.future.done():
                continue
            if submission.deadline_s is not None and submission.deadline_s <= now_s:
                late = TimebankError(
                    Reason.DEADLINE_PASSED,
                    "the deadline passed while the request waited; nothing was done",
                )
                submission.future.set_exception(late)
                continue
            taken.append(submission)
        self.metrics.queue_items.set(self._queued_items)
        return taken

    async def _commit(self, submissions: list[Submission]) -> None:
        if not submissions:
            return
        try:
            outcomes, checkpoint = await self._write(submissions)
        except TimebankError as error:
            self._memory = None
            for submission in submissions:
                _fail(submission, error)
            return
        except Exception as error:  # noqa: BLE001  # a fault of ours must reach its callers, not end the writer
            self._memory = None
            await self._give_up()
            await self._isolate(submissions, error)
            return
        head, note = checkpoint
        start = 0
        for submission in submissions:
            end = start + len(submission.requests)
            if not submission.future.done():
                submission.future.set_result(Answer(outcomes[start:end], head, note))
            start = end

    async def _isolate(self, submissions: list[Submission], error: Exception) -> None:
        """After a fault of ours: carries each submission out alone, and a large one in halves, so
        that one request cannot fail the others.
        """
        _LOG.error("batch failed", submissions=len(submissions), exc_info=error)
        if len(submissions) > 1:
            for submission in submissions:
                await self._commit([submission])
        elif len(submissions[0].requests) > 1:
            await self._halve(submissions[0], error)
        else:
            _fail(submissions[0], error)

    async def _halve(self, submission: Submission, error: Exception) -> None:
        requests = submission.requests
        middle = len(requests) // 2
        outcomes: list[Outcome] = []
        faults: set[int] = set()
        last: Answer | None = None
        for part in (requests[:middle], requests[middle:]):
            half = Submission(part, asyncio.get_running_loop().create_future(), None)
            await self._commit([half])
            failure = half.future.exception()
            if isinstance(failure, TimebankError):
                _fail(submission, failure)
                return
            start = len(outcomes)
            if failure is not None:
                outcomes.extend(Outcome() for _ in part)
                faults.update(range(start, start + len(part)))
                continue
            last = half.future.result()
            outcomes.extend(last.outcomes)
            faults.update(start + place for place in last.faults)
        if last is None:
            _fail(submission, error)
        elif not submission.future.done():
            answer = Answer(outcomes, last.head, last.checkpoint, frozenset(faults))
            submission.future.set_result(answer)

    async def _give_up(self) -> None:
        try:
            await self._session.rollback()
        except Exception as error:  # noqa: BLE001  # the fault before it is the one to tell
            _LOG.error("rollback failed", exc_info=error)
            await self._session.close()

    async def _write(self, submissions: list[Submission]) -> tuple[list[Outcome], tuple[Head, str]]:
        requests = [request for submission in submissions for request in submission.requests]
        batch = Batch(
            self._ledger_no,
            requests,
            batch_id=self._random_bytes(16),
            clock=self._clock,
            random_bytes=self._random_bytes,
            encode=leaf.encode,
            limits=self._limits,
            check_key=self._check_key,
        )
        started_s = asyncio.get_running_loop().time()
        try:
            memory = await batch.carry_out(self._session, self._memory)
        except UnknownCommit as error:
            self._memory = None
            memory = await self._resolve(batch, error)
        except BaseException:
            await self._give_up()
            raise
        else:
            self._memory = memory
        self.metrics.commit_seconds.observe(asyncio.get_running_loop().time() - started_s)
        self.metrics.batch_items.observe(len(requests))
        self.metrics.log_entries.set(memory.head.size)
        for outcome in batch.outcomes:
            if not outcome.replayed and outcome.entries and outcome.entries[0].facts:
                self.metrics.count_records(outcome.entries)
        checkpoint = self._signed(memory)
        self.committed.set()
        self.committed = asyncio.Event()
        return batch.outcomes, checkpoint

    def _signed(self, memory: Memory) -> tuple[Head, str]:
        """Signs the committed head once; a head that did not grow keeps its checkpoint."""
        known = self._checkpoint
        if known is None or known[0].size != memory.head.size:
            try:
                known = (memory.head, self._sign(memory))
            except TimebankError as error:
                # It is committed: a reason that reads as a decline would be a lie.
                raise TimebankError(Reason.SIGNER_UNAVAILABLE, error.message) from error
            self._checkpoint = known
        return known

    async def _resolve(self, batch: Batch, cause: Exception) -> Memory:
        """Finds out under the lock whether a batch was committed, on a new connection."""
        _LOG.warning("commit outcome unknown", cause=str(cause))
        for _ in range(LOOKUP_ATTEMPTS):
            try:
                _, found = await self._session.run(
                    self._ledger_no, find_commit(batch.batch_id), begin=True
                )
                await self._session.rollback()
            except TimebankError as error:
                _LOG.warning("commit lookup failed", reason=error.reason.value)
                await asyncio.sleep(LOOKUP_PAUSE_S)
                continue
            if found and batch.memory_after is not None:
                return batch.memory_after
            break
        raise TimebankError(
            Reason.DATABASE_UNAVAILABLE,
            "the database connection broke during the commit: call again with the same request_id,"
            " it replays if the commit went through",
        ) from cause


def _fail(submission: Submission, error: Exception) -> None:
    if not submission.future.done():
        submission.future.set_exception(error)
