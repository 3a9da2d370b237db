"""One call to the server, with what every call needs: metadata, a deadline, and repetition.

Owns: which failures are tried again by the client itself, how often and after which pause.
Rules: UNAVAILABLE is repeated by the channel (its service config), not here. ABORTED, an answer
that came too late and an UNKNOWN one are repeated here with the same message and so the same
request id, which makes it safe: the server carries a request out once. ETAG_MISMATCH is ABORTED
too, but the same etag can never fit later, so it is given back at once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
import grpc.aio

from timebank.channels import call_metadata
from timebank.client.failures import error_from_call, name_request
from timebank.errors import Reason, TimebankError

REPEATED = frozenset(
    {grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN}
)
ATTEMPTS_MAX = 5
PAUSE_S = 0.05
PAUSE_MAX_S = 2.0
TIMEOUT_S = 10.0

Request = TypeVar("Request", contravariant=True)
Response = TypeVar("Response", covariant=True)
Answer = TypeVar("Answer")
Question = TypeVar("Question")
Metadata = tuple[tuple[str, str], ...]
Sleep = Callable[[float], Awaitable[object]]


class Method(Protocol[Request, Response]):
    """A unary method of a stub."""

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Awaitable[Response]:
        """Starts the call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """How often a call is made at most, and how long to wait in between, in seconds.

    The pause doubles each time up to `pause_max_s`; a random part keeps callers out of step.
    """

    attempts_max: int = ATTEMPTS_MAX
    pause_s: float = PAUSE_S
    pause_max_s: float = PAUSE_MAX_S
    sleep: Sleep = asyncio.sleep

    def pause_after(self, attempt: int) -> float:
        """Gives the pause after an attempt, counted from 1, in seconds."""
        full_s = min(self.pause_max_s, self.pause_s * 2.0 ** (attempt - 1))
        return full_s * random.uniform(0.5, 1.0)


class Caller:
    """Makes calls with the metadata and the deadline of one client."""

    __slots__ = ("_actor", "_language", "_repetition", "_timeout_s", "_token")

    def __init__(
        self,
        *,
        token: str | Callable[[], str] | None = None,
        actor: str | None = None,
        language: str | None = None,
        timeout_s: float = TIMEOUT_S,
        repetition: Repetition | None = None,
    ) -> None:
        """Takes who calls (a bearer token or what gives one), for whom, and how patiently."""
        self._token = token
        self._actor = actor
        self._language = language
        self._timeout_s = timeout_s
        self._repetition = repetition or Repetition()

    async def __call__(self, method: Method[Question, Answer], request: Question) -> Answer:
        """Makes a call until it is answered.

        Raises TimebankError: why it was refused, or the last failure once the attempts are used up.
        """
        attempt = 1
        while True:
            try:
                return await method(request, timeout=self._timeout_s, metadata=self.metadata())
            except grpc.aio.AioRpcError as failure:
                error = error_from_call(failure)
                if attempt >= self._repetition.attempts_max or not _may_help(failure, error):
                    name_request(error, getattr(request, "request_id", ""))
                    raise error from failure
            await self._repetition.sleep(self._repetition.pause_after(attempt))
            attempt += 1

    def metadata(self) -> Metadata:
        """Gives the metadata of the next call."""
        token = self._token() if callable(self._token) else self._token
        return call_metadata(token=token, actor=self._actor, language=self._language)

    async def pause(self, attempt: int) -> None:
        """Waits before a stream is opened again; `attempt` counts failures in a row from 1."""
        await self._repetition.sleep(self._repetition.pause_after(attempt))

    @property
    def attempts_max(self) -> int:
        """Gives how often a call is made at most."""
        return self._repetition.attempts_max


def _may_help(failure: grpc.aio.AioRpcError, error: TimebankError) -> bool:
    return failure.code() in REPEATED and error.reason is not Reason.ETAG_MISMATCH
