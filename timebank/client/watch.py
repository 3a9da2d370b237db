"""The log as an endless stream.

Owns: where a stream goes on after it broke. Rules: every entry is yielded once, in order and
without a gap, however often the stream had to be opened again; a stream that is silent for longer
than its heartbeat allows is taken for dead.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Protocol

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

from timebank.client.calls import Caller, Metadata
from timebank.client.entries import entry_from_wire
from timebank.client.failures import error_from_call
from timebank.client.views import EntryView
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1.ledger_service_pb2 import WatchEntriesRequest, WatchEntriesResponse

HEARTBEAT = timedelta(seconds=15)
SILENCE_FACTOR = 3
"""A stream silent for so many heartbeats is taken for dead."""
FAILURES_MAX = 60
"""So many failures in a row, without a message in between, end the iteration."""
RESUMED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""After these a stream is opened again where it broke; SLOW_READER is RESOURCE_EXHAUSTED."""


class WatchCall(Protocol):
    """A stream that was opened."""

    def __aiter__(self) -> AsyncIterator[WatchEntriesResponse]:
        """Reads the messages."""
        ...

    def cancel(self) -> bool:
        """Ends the stream."""
        ...


class WatchMethod(Protocol):
    """The streaming method of the stub."""

    def __call__(
        self, request: WatchEntriesRequest, *, metadata: Metadata | None = None
    ) -> WatchCall:
        """Opens the stream."""
        ...


async def watch(
    call: Caller,
    method: WatchMethod,
    *,
    parent: str,
    start_index: int,
    heartbeat: timedelta = HEARTBEAT,
    silence_factor: float = SILENCE_FACTOR,
    failures_max: int = FAILURES_MAX,
) -> AsyncGenerator[EntryView, None]:
    """Yields the entries of a log from an index on, for ever, opening the stream again as needed.

    Raises TimebankError: why the server refuses the stream, or the last of too many failures.
    """
    silence_s = heartbeat.total_seconds() * silence_factor
    interval = Duration()
    interval.FromTimedelta(heartbeat)
    index = start_index
    failures = 0
    while True:
        request = WatchEntriesRequest(parent=parent, start_index=index, heartbeat=interval)
        try:
            async with aclosing(_messages(call, method, request, silence_s)) as messages:
                async for message in messages:
                    failures = 0
                    if _is_next(message, index):
                        index += 1
                        yield entry_from_wire(message.entry)
            broken = TimebankError(Reason.SHUTTING_DOWN, "the server ended the stream")
        except grpc.aio.AioRpcError as failure:
            broken = error_from_call(failure)
            if failure.code() not in RESUMED:
                raise broken from failure
        except TimeoutError:
            text = f"expected a heartbeat within {silence_s} s, got none"
            broken = TimebankError(Reason.DEADLINE_PASSED, text)
        failures += 1
        if failures >= failures_max:
            raise broken
        await call.pause(failures)


async def _messages(
    call: Caller, method: WatchMethod, request: WatchEntriesRequest, silence_s: float
) -> AsyncGenerator[WatchEntriesResponse, None]:
    """Yields the messages of one stream. Raises TimeoutError when it falls silent."""
    opened = method(request, metadata=call.metadata())
    try:
        stream = aiter(opened)
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    message = await anext(stream)
            except StopAsyncIteration:
                return
            yield message
    finally:
        opened.cancel()


def _is_next(message: WatchEntriesResponse, index: int) -> bool:
    """Says whether a message carries the entry at an index; False when it came already
    or the message is a heartbeat.
    """
    if message.WhichOneof("event") != "entry":
        return False
    got = message.entry.entry.index
    if got > index:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"the stream has a gap: expected entry {index}, got {got}; report it and watch again",
            index=index,
        )
    return got == index
