"""What happens around every call: metrics, errors, identity, permission and deadline.

Owns: the order metrics -> errors -> identity -> deadline, as one wrapping made when a method is
registered, so that a call pays for no interception. Refuses: methods without a permission and
handlers that block.
Rules: nothing is raised outside the wrapped handler; messages are read and written inside it too,
so that no exception but a refusal reaches the caller; a client that goes away cancels the
handler, which shields its commits.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import grpc.aio
from structlog.typing import FilteringBoundLogger

from timebank.answers import INTERNAL, Answer, answer, refusal
from timebank.auth import Call, Permission, Principal, actor_of, calling, enter_call, permit
from timebank.errors import Reason, TimebankError
from timebank.identity import Authenticator
from timebank.telemetry import MethodMetrics, RpcMetrics

ACTOR_KEY = "timebank-actor"
AUTHORIZATION_KEY = "authorization"
LANGUAGE_KEY = "accept-language"
CALLS_MAX = 20_000
"""Calls under way in one process; public ones are served beyond it, or health would fail under
load.
"""
TROUBLES = frozenset(
    {
        Reason.READ_ONLY,
        Reason.DATABASE_UNAVAILABLE,
        Reason.SIGNER_UNAVAILABLE,
        Reason.SIGNING_KEY_MISSING,
        Reason.CLOCK_SKEW,
    }
)
"""Refusals that are no fault of the caller: the operator has to do something."""
TROUBLE_SECONDS = 10
"""How often one of them is told in the log at most; the metrics count every call."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour: TypeAlias = Callable[[Any, Context], Any]
Wrapped: TypeAlias = Callable[[Any, Context], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method, everything about it resolved at start-up."""

    path: str
    behaviour: Behaviour
    generates: bool
    parse: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]
    permission: Permission
    metrics: MethodMetrics


class Watch:
    """A call that the server may end before its handler does: at its deadline, or when draining."""

    __slots__ = ("_task", "reason", "timer")

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("expected a call to run in a task")
        self._task = task
        self.reason: Reason | None = None
        self.timer: asyncio.TimerHandle | None = None

    def end(self, reason: Reason) -> None:
        """Cancels the handler; the call is answered with the reason."""
        if self.reason is None:
            self.reason = reason
            self._task.cancel()

    def refusal(self) -> TimebankError | None:
        """Gives the refusal when it was the server that ended the call, and takes the
        cancellation back.
        """
        if self.reason is None:
            return None
        self._task.uncancel()
        message = "the server is stopping; call again, and resume a stream where it was"
        if self.reason is Reason.DEADLINE_PASSED:
            message = "the call took longer than its deadline; retry it with the same request id"
        return TimebankError(self.reason, message)


class Interceptors:
    """Wraps the handlers of a server."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        metrics: RpcMetrics,
        logger: FilteringBoundLogger,
        deadline_default_s: float,
        deadline_max_s: float,
    ) -> None:
        self.methods: dict[str, Method] = {}
        self._authenticator = authenticator
        self._metrics = metrics
        self._logger = logger
        self._audit: FilteringBoundLogger = logger.bind(logger="audit")
        self._deadline_default_s = deadline_default_s
        self._deadline_max_s = deadline_max_s
        self._streams: set[Watch] = set()
        self._calls = 0
        self._denial: TimebankError | None = None
        self._told_s: dict[Reason, float] = {}

    def wrap(self, path: str, handler: Handler, permission: Permission) -> Handler:
        """Makes the handler that the server gets for the method at `/service/method`.

        Raises: TypeError for a handler that would block the event loop.
        """
        behaviour, generates = _behaviour(path, handler)
        parse, serialize = handler.request_deserializer, handler.response_serializer
        method = Method(
            path,
            behaviour,
            generates,
            parse or _same,
            serialize or _same,
            permission,
            self._metrics.method(path),
        )
        self.methods[path] = method
        if not handler.response_streaming:
            return grpc.unary_unary_rpc_method_handler(self._unary(method))
        if handler.request_streaming:
            stream = self._stream(method, _same)
            return grpc.stream_stream_rpc_method_handler(stream, parse, serialize)
        stream = self._stream(method, method.parse)
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=serialize)

    def end_streams(self) -> None:
        """Ends every stream with SHUTTING_DOWN, so that a graceful stop need not wait for it."""
        for watch in self._streams:
            watch.end(Reason.SHUTTING_DOWN)

    def admit(self, method: Method, principal: Principal | None, actor: str | None) -> Call:
        """Lets a caller in and makes its call the running one of this task; refusals are audited.

        Raises: TOKEN_INVALID, SCOPE_MISSING, QUEUE_FULL, VALIDATION_FAILED for a bad actor.
        """
        try:
            permit(principal, method.permission)
        except TimebankError as error:
            self._denied(method, principal, error)
            raise
        if self._calls > CALLS_MAX and not method.permission.public:
            raise TimebankError(
                Reason.QUEUE_FULL,
                f"calls under way: expected at most {CALLS_MAX}, got more; retry after a pause",
            )
        call = Call(principal, actor_of(principal, actor), None)
        enter_call(call)
        return call

    def disclosing(self, method: Method, call: Call, request: Any) -> None:
        """Writes a call that discloses what others hold to the audit log, before it does."""
        self._audit.info(
            "disclosed",
            method=method.path,
            principal=call.principal.name if call.principal else None,
            actor=call.actor,
            resource=getattr(request, "name", "") or getattr(request, "parent", ""),
        )

    def answer_to(
        self, method: Method, error: BaseException, *, watch: Watch | None, language: str
    ) -> Answer | None:
        """Gives the status that answers an exception; None when it ends the call by itself.

        An unexpected exception is logged with its trace and answered with nothing of it.
        """
        if isinstance(error, asyncio.CancelledError):
            ended = watch.refusal() if watch else None
            return answer(ended, language=language) if ended else None
        if not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
            return None
        refused = refusal(error)
        at_the_door, self._denial = self._denial, None
        if refused is not None:
            if refused.reason is Reason.SCOPE_MISSING and refused is not at_the_door:
                # The method lets this kind of caller in, but not to what it asked for.
                call = calling()
                self._denied(method, call.principal if call else None, refused)
                self._denial = None
            elif refused.reason in TROUBLES:
                self._trouble(method, refused)
            if refused is not error:
                self._logger.warning("time-out in a call", method=method.path, exc_info=error)
            return answer(refused, language=language)
        self._logger.error("unexpected error in a call", method=method.path, exc_info=error)
        return INTERNAL

    def began(self) -> None:
        """Counts a call that begins."""
        self._calls += 1
        self._metrics.in_flight.inc()

    def ended(self, metrics: MethodMetrics, started_s: float, code: str) -> None:
        """Counts a call that ended with a status code, and how long it took."""
        self._calls -= 1
        self._metrics.in_flight.dec()
        metrics.seconds.observe(time.monotonic() - started_s)
        if code == "OK":
            metrics.succeeded.inc()
        else:
            self._metrics.failed(metrics, code)

    def _trouble(self, method: Method, error: TimebankError) -> None:
        """Tells the operator what keeps the server from working, once in a while."""
        now_s = time.monotonic()
        if now_s - self._told_s.get(error.reason, -TROUBLE_SECONDS) >= TROUBLE_SECONDS:
            self._told_s[error.reason] = now_s
            self._logger.warning(
                "calls fail", method=method.path, reason=error.reason.value, message=error.message
            )

    def _denied(self, method: Method, principal: Principal | None, error: TimebankError) -> None:
        self._denial = error
        self._audit.warning(
            "denied",
            method=method.path,
            principal=principal.name if principal else None,
            reason=error.reason.value,
        )

    def _enter(self, method: Method, context: Context) -> Call:
        """Identifies the caller of a call from the network, and lets it in."""
        authorization: Any = None
        actor: Any = None
        for key, value in context.invocation_metadata() or ():
            if key == AUTHORIZATION_KEY:
                authorization = value
            elif key == ACTOR_KEY:
                actor = value
        try:
            principal = self._authenticator.principal(authorization, context.auth_context)
        except TimebankError as error:
            self._denied(method, None, error)
            raise
        return self.admit(method, principal, actor)

    def _limit(self, remaining_s: float | None) -> tuple[float, Watch | None]:
        """Gives the seconds that a unary call has, and a watch that ends it unless its client
        does so itself.
        """
        if remaining_s is not None and remaining_s <= self._deadline_max_s:
            return remaining_s, None
        remaining_s = self._deadline_default_s if remaining_s is None else self._deadline_max_s
        watch = Watch()
        loop = asyncio.get_running_loop()
        watch.timer = loop.call_later(remaining_s, watch.end, Reason.DEADLINE_PASSED)
        return remaining_s, watch

    def _unary(self, method: Method) -> Wrapped:
        """Wraps a handler with one answer. Every call passes here: what can be bound early is."""
        behaviour, parse, serialize = method.behaviour, method.parse, method.serialize
        discloses = method.permission.discloses
        enter, limit, began, ended = self._enter, self._limit, self.began, self.ended
        monotonic = time.monotonic

        async def unary(raw: bytes, context: Context) -> bytes:
            started_s = monotonic()
            watch = None
            code = "OK"
            began()
            try:
                call = enter(method, context)
                remaining_s, watch = limit(context.time_remaining())
                call.deadline_s = started_s + remaining_s
                request = parse(raw)
                if discloses:
                    self.disclosing(method, call, request)
                return serialize(await behaviour(request, context))
            except BaseException as error:
                reply = self.answer_to(method, error, watch=watch, language=_language(context))
                code = _code(reply, error, context)
                if reply is None:
                    raise
                await context.abort(*reply)
            finally:
                if watch is not None and watch.timer is not None:
                    watch.timer.cancel()
                ended(method.metrics, started_s, code)

        return unary

    def _stream(self, method: Method, parse: Callable[[Any], Any]) -> Wrapped:
        """Wraps a handler with many answers: no deadline of ours, but it ends when the server
        drains.
        """

        async def stream(raw: Any, context: Context) -> None:
            started_s = time.monotonic()
            watch = Watch()
            code = "OK"
            self.began()
            self._streams.add(watch)
            try:
                call = self._enter(method, context)
                request = parse(raw)
                if method.permission.discloses:
                    self.disclosing(method, call, request)
                if method.generates:
                    async with aclosing(method.behaviour(request, context)) as answers:
                        async for message in answers:
                            await context.write(message)
                else:
                    await method.behaviour(request, context)
            except BaseException as error:
                reply = self.answer_to(method, error, watch=watch, language=_language(context))
                code = _code(reply, error, context)
                if reply is None:
                    raise
                await context.abort(*reply)
            finally:
                self._streams.discard(watch)
                self.ended(method.metrics, started_s, code)

        return stream


def _behaviour(path: str, handler: Handler) -> tuple[Behaviour, bool]:
    """Gives what a handler calls, and whether that generates its answers."""
    if handler.request_streaming and not handler.response_streaming:
        raise TypeError(f"{path}: expected a unary call or a stream of answers")
    behaviour: Any = (
        handler.unary_unary or handler.unary_stream or handler.stream_stream  # whichever is set
    )
    if inspect.isasyncgenfunction(behaviour):
        return behaviour, True
    if inspect.iscoroutinefunction(behaviour):
        return behaviour, False
    raise TypeError(
        f"{path}: expected `async def`, got {behaviour!r}; a blocking handler stops all others"
    )


def _same(message: Any) -> Any:
    return message


def _language(context: Context) -> str:
    """Gives the language that the caller asks for first."""
    for key, value in context.invocation_metadata() or ():
        if key == LANGUAGE_KEY:
            return str(value).strip().lower()
    return "en"


def _code(reply: Answer | None, error: BaseException, context: Context) -> str:
    """Names the status that a failed call is counted under."""
    if reply is not None:
        return reply.code.name
    if isinstance(error, grpc.aio.AbortError):
        code = context.code()
        return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"
    return "CANCELLED"
