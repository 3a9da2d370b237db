"""Automatic batching: what concurrent callers ask for travels together.

Owns: the queue of items, which of them go in one BatchExecute, and how each caller gets the outcome
of its own item. No timer: an item that finds the line free goes in the same turn of the event loop,
together with what its neighbours asked for in that turn; what queues up while calls are under way
goes next.
Rules: at most `calls_max` calls under way, each within the limits below; a caller that gives up
takes nothing from the others; an item that makes the server refuse a whole call is told apart by
halving the call, so that its neighbours do not pay for it.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from timebank.client.answers import item_from_wire
from timebank.client.calls import Caller, Method
from timebank.client.failures import duplicate, name_request
from timebank.client.requests import count_postings
from timebank.client.views import ChainResult
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1.command_pb2 import BatchItem
from timebank.ledger.v1.ledger_service_pb2 import BatchExecuteRequest, BatchExecuteResponse

ITEMS_MAX = 1_000
POSTINGS_MAX = 32_000
BYTES_MAX = 4 * 1024 * 1024
CALLS_MAX = 2
SHARED_ITEMS_MIN = 16
"""A queue of more is shared out over the free lines, so that one call travels while another is
carried out; fewer are not worth a second call.
"""
SPLIT_REASONS = frozenset({Reason.VALIDATION_FAILED, Reason.BATCH_TOO_LARGE})
"""Reasons for which the server refuses a whole call although one item may be to blame."""


class _Waiting(NamedTuple):
    item: BatchItem
    postings: int
    size_bytes: int
    outcome: "asyncio.Future[ChainResult]"


class Batcher:
    """Sends items of one ledger in as few calls as the traffic allows."""

    def __init__(
        self,
        call: Caller,
        method: Method[BatchExecuteRequest, BatchExecuteResponse],
        *,
        parent: str,
        items_max: int = ITEMS_MAX,
        calls_max: int = CALLS_MAX,
    ) -> None:
        """Takes how to call, the method, the ledger's name, and the limits."""
        self._call = call
        self._method = method
        self._parent = parent
        self._items_max = items_max
        self._calls_max = calls_max
        self._queue: deque[_Waiting] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._flush_planned = False

    async def execute(self, item: BatchItem) -> ChainResult:
        """Sends an item with its neighbours and waits for its own outcome.

        Raises TimebankError: why it was refused, or why the call that carried it failed.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[ChainResult] = loop.create_future()
        self._queue.append(_Waiting(item, count_postings(item), item.ByteSize(), outcome))
        if not self._flush_planned and len(self._under_way) < self._calls_max:
            self._flush_planned = True
            loop.call_soon(self._flush, context=contextvars.Context())
        return await outcome

    async def drain(self) -> None:
        """Returns when nothing is queued or under way."""
        self._flush()
        while self._under_way:
            await asyncio.wait(self._under_way)

    def abandon(self) -> None:
        """Gives up what is queued or under way: the server may still carry out what it got."""
        while self._queue:
            self._queue.popleft().outcome.cancel()
        for task in self._under_way:
            task.cancel()

    def _flush(self) -> None:
        self._flush_planned = False
        while self._queue and len(self._under_way) < self._calls_max:
            lines_free = self._calls_max - len(self._under_way)
            share = -(-len(self._queue) // lines_free)  # rounded up
            batch = self._take(min(max(share, SHARED_ITEMS_MIN), self._items_max))
            if batch:
                # A call carries items of many: it must look like nobody's in particular.
                task = asyncio.create_task(self._send(batch), context=contextvars.Context())
                self._under_way.add(task)
                task.add_done_callback(partial(self._sent, batch))

    def _take(self, items_max: int) -> list[_Waiting]:
        """Takes the next items that fit one call, leaving out those nobody waits for any more."""
        batch: list[_Waiting] = []
        postings = size_bytes = 0
        while self._queue and len(batch) < items_max:
            waiting = self._queue[0]
            if not waiting.outcome.done():
                postings += waiting.postings
                size_bytes += waiting.size_bytes
                if batch and (postings > POSTINGS_MAX or size_bytes > BYTES_MAX):
                    break
                batch.append(waiting)
            self._queue.popleft()
        return batch

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        request = BatchExecuteRequest(
            parent=self._parent, items=[waiting.item for waiting in batch]
        )
        try:
            response = await self._call(self._method, request)
        except TimebankError as error:
            if error.reason in SPLIT_REASONS and len(batch) > 1:
                half = len(batch) // 2
                await self._send(batch[:half])
                await self._send(batch[half:])
            else:
                _refuse(batch, error)
            return
        _deliver(batch, response)

    def _sent(self, batch: Sequence[_Waiting], task: asyncio.Task[None]) -> None:
        """Makes room for the next call; whatever ended this one, no caller is left waiting."""
        self._under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        for waiting in batch:
            if waiting.outcome.done():
                continue
            if error is None:
                waiting.outcome.cancel()
            else:
                waiting.outcome.set_exception(error)
        self._flush()


def _deliver(batch: Sequence[_Waiting], response: BatchExecuteResponse) -> None:
    """Gives each caller the outcome of its item; callers that gave up are passed over."""
    if len(response.results) != len(batch):
        text = f"expected {len(batch)} results, got {len(response.results)}; ask again"
        _refuse(batch, TimebankError(Reason.DATABASE_UNAVAILABLE, text))
        return
    for waiting, message in zip(batch, response.results, strict=True):
        if waiting.outcome.done():
            continue
        try:
            outcome = item_from_wire(message, checkpoint=response.checkpoint)
        except TimebankError as error:  # an answer beyond what this client can read
            outcome = error
        if isinstance(outcome, TimebankError):
            name_request(outcome, waiting.item.request_id)
            waiting.outcome.set_exception(outcome)
        else:
            waiting.outcome.set_result(outcome)


def _refuse(batch: Sequence[_Waiting], error: TimebankError) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            own = duplicate(error)
            name_request(own, waiting.item.request_id)
            waiting.outcome.set_exception(own)
