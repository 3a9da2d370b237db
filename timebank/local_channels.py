"""A channel to the services of the same process, shaped like a remote one.

Owns: calls that never touch the network. Refuses: sharing messages: each side has its own copy.
Rules: the calling service is the caller and the end user stays the actor; a call has the deadline
of the call that it serves; it raises what the remote one would.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio

from timebank.auth import Principal, calling
from timebank.errors import Reason
from timebank.interceptors import ACTOR_KEY, LANGUAGE_KEY, Interceptors, Method, Watch

MESSAGES_AHEAD_MAX = 16
"""Messages of a stream that wait for their reader."""
Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class LocalChannel(grpc.aio.Channel):
    """A channel on which one service of the process calls the others; generated stubs take it."""

    def __init__(self, interceptors: Interceptors, caller: Principal) -> None:
        self._interceptors = interceptors
        self._caller = caller

    def unary_unary(self, method: str, *serializers: Any, **options: Any) -> Any:
        """Gives what calls a method with one answer."""
        return functools.partial(LocalCall, self._interceptors, self._caller, method)

    def unary_stream(self, method: str, *serializers: Any, **options: Any) -> Any:
        """Gives what calls a method with many answers."""
        return functools.partial(LocalStream, self._interceptors, self._caller, method)

    def stream_unary(self, method: str, *serializers: Any, **options: Any) -> Any:
        """Gives what refuses: no service has streams of requests."""
        return _refuse_stream

    def stream_stream(self, method: str, *serializers: Any, **options: Any) -> Any:
        """Gives what refuses: no service has streams of requests."""
        return _refuse_stream

    async def close(self, grace: float | None = None) -> None:
        """Does nothing: there is no connection."""

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Says that the channel is ready, as it always is."""
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Returns when the state changed, which it never does after READY."""
        if last_observed_state is grpc.ChannelConnectivity.READY:
            await asyncio.get_running_loop().create_future()

    async def channel_ready(self) -> None:
        """Returns at once."""

    async def __aenter__(self) -> "LocalChannel":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class LocalContext:
    """What a handler may ask its context in a local call."""

    def __init__(self, metadata: Metadata, deadline_s: float | None) -> None:
        self._metadata = tuple(metadata)
        self._deadline_s = deadline_s
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: Metadata = ()
        self.messages: asyncio.Queue[Any] = asyncio.Queue(MESSAGES_AHEAD_MAX)

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Gives the metadata of the caller."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Gives the seconds until the deadline, None without one."""
        if self._deadline_s is None:
            return None
        return max(0.0, self._deadline_s - time.monotonic())

    def peer(self) -> str:
        """Says where the caller is."""
        return "local"

    def code(self) -> grpc.StatusCode | None:
        """Gives the status set so far."""
        return self._code

    def details(self) -> str:
        """Gives the message of the status set so far."""
        return self._details

    def set_code(self, code: grpc.StatusCode) -> None:
        """Sets the status."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Sets the message of the status."""
        self._details = details

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        """Sets the metadata that goes with the status."""
        self._trailing = metadata

    def trailing_metadata(self) -> Metadata:
        """Gives the metadata that goes with the status."""
        return self._trailing

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> NoReturn:
        """Ends the call with a status."""
        self._code, self._details, self._trailing = code, details, trailing_metadata
        raise grpc.aio.AbortError("Locally aborted.")

    async def write(self, message: Any) -> None:
        """Hands a message of a stream to its reader; waits while too many are ahead of it."""
        await self.messages.put(_copied(message))


class _Answering:
    """One local call: what the wrapping of a remote one does, without the network."""

    def __init__(
        self,
        interceptors: Interceptors,
        caller: Principal,
        path: str,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **_: object,
    ) -> None:
        outer = calling()
        pairs = dict(metadata or ())
        self._interceptors = interceptors
        self._caller = caller
        self._path = path
        self._request = _copied(request)
        self._actor = str(pairs.get(ACTOR_KEY) or (outer.actor if outer else "")) or None
        self._language = str(pairs.get(LANGUAGE_KEY, "en"))
        deadlines = [] if timeout is None else [time.monotonic() + timeout]
        if outer is not None and outer.deadline_s is not None:
            deadlines.append(outer.deadline_s)
        self._deadline_s = min(deadlines, default=None)
        self.context = LocalContext(tuple(pairs.items()), self._deadline_s)
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"local {path}")

    async def _run(self) -> Any:
        """Answers in a task of its own, so that the running call of the caller stays its own."""
        method = self._interceptors.methods.get(self._path)
        if method is None:
            raise _rpc_error(grpc.StatusCode.UNIMPLEMENTED, f"no method {self._path}")
        started_s, code, watch = time.monotonic(), "OK", Watch()
        self._interceptors.began()
        try:
            return await self._answered(method, watch)
        except grpc.aio.AbortError:
            failed = self.context.code() or grpc.StatusCode.UNKNOWN
            code = failed.name
            trailing = self.context.trailing_metadata()
            raise _rpc_error(failed, self.context.details(), trailing) from None
        except BaseException as error:
            reply = self._interceptors.answer_to(
                method, error, watch=watch, language=self._language
            )
            code = reply.code.name if reply else "CANCELLED"
            if reply is None:
                raise
            raise _rpc_error(*reply) from None
        finally:
            if watch.timer is not None:
                watch.timer.cancel()
            self._interceptors.ended(method.metrics, started_s, code)

    async def _answered(self, method: Method, watch: Watch) -> Any:
        if self._deadline_s is not None:
            remaining_s = max(0.0, self._deadline_s - time.monotonic())
            loop = asyncio.get_running_loop()
            watch.timer = loop.call_later(remaining_s, watch.end, Reason.DEADLINE_PASSED)
        call = self._interceptors.admit(method, self._caller, self._actor)
        call.deadline_s = self._deadline_s
        if method.permission.discloses:
            self._interceptors.disclosing(method, call, self._request)
        context: Any = self.context
        if not method.generates:
            answer = await method.behaviour(self._request, context)
            return None if answer is None else _copied(answer)
        async with aclosing(method.behaviour(self._request, context)) as answers:
            async for message in answers:
                await self.context.write(message)
        return None


class LocalCall(_Answering):
    """A call with one answer: await it."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self.task.__await__()

    def cancel(self) -> bool:
        """Cancels the call; tells whether it was still under way."""
        return self.task.cancel()

    def done(self) -> bool:
        """Tells whether the call ended."""
        return self.task.done()


class LocalStream(_Answering):
    """A call with many answers: iterate over it."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        messages = self.context.messages
        try:
            while True:
                while not messages.empty():
                    yield messages.get_nowait()
                if self.task.done():
                    break
                getting = asyncio.ensure_future(messages.get())
                try:
                    both = (getting, self.task)
                    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                    if getting.done():
                        yield getting.result()
                finally:
                    getting.cancel()
            await self.task
        finally:
            self.task.cancel()

    def cancel(self) -> bool:
        """Cancels the call; tells whether it was still under way."""
        return self.task.cancel()


def _copied(message: Any) -> Any:
    """Copies a message: neither side sees what the other changes later."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _rpc_error(
    code: grpc.StatusCode, details: str, trailing_metadata: Metadata = ()
) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata(*trailing_metadata)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details)


def _refuse_stream(*arguments: object, **options: object) -> NoReturn:
    raise NotImplementedError("expected a method with one request, got a stream of requests")
