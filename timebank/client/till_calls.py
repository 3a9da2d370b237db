"""One call of a till: signed anew at each attempt, and repeated while its outcome is not known.

Owns: which failures leave the outcome open, how often a call is made, and the channel of a till.
Rules: the channel repeats nothing, for it would send the same nonce again, which a server refuses
as a replay; so UNAVAILABLE is repeated here too, with the same message and request id and with
another time, nonce and signature.
"""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from timebank.channels import (
    MESSAGE_BYTES_MAX,
    PEM_BYTES_MAX,
    TlsFiles,
    call_metadata,
    channel_options,
)
from timebank.client.calls import Metadata, Method, Repetition
from timebank.client.failures import error_from_call, name_request
from timebank.client.till_keys import TillKey
from timebank.client.till_signatures import (
    NONCE_BYTES,
    call_of,
    call_text,
    signature_metadata,
    to_base64url,
)
from timebank.clock import Clock
from timebank.errors import Reason, TimebankError

TILL_TIMEOUT_S = 3.0
TILL_REPETITION = Repetition(attempts_max=4, pause_s=0.5, pause_max_s=2.0)
US_PER_S = 1_000_000
OPEN_STATUSES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
    }
)
"""Statuses that say nothing of the outcome. INTERNAL, UNKNOWN and CANCELLED without our details
read as UNAVAILABLE (see failures.py); OUTCOME_UNKNOWN is UNAVAILABLE."""
NOT_ABOUT_THE_REQUEST = frozenset(
    {
        Reason.VALIDATION_FAILED,
        Reason.LEDGER_NOT_FOUND,
        Reason.MERCHANT_NOT_FOUND,
        Reason.TERMINAL_NOT_FOUND,
        Reason.TERMINAL_SIGNATURE_INVALID,
        Reason.TOKEN_INVALID,
        Reason.SCOPE_MISSING,
        Reason.QUEUE_FULL,
        Reason.RATE_LIMITED,
        Reason.REQUEST_ID_REUSED,
    }
)
"""Refusals that a server gives before it looks whether it carried the request out already: after an
attempt with an open outcome they prove nothing. An expired token is the everyday example;
REQUEST_ID_REUSED even says that something was done."""

Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer")


def is_open(error: TimebankError) -> bool:
    """Says whether a failure leaves open what became of the call."""
    return error.code in OPEN_STATUSES


class OutcomeOpenError(TimebankError):
    """Every attempt failed and at least one may have been carried out."""


class TillCaller:
    """Makes the calls of one till."""

    def __init__(
        self,
        *,
        terminal: str,
        clock: Clock,
        token: str | Callable[[], str] | None = None,
        language: str | None = None,
        timeout_s: float = TILL_TIMEOUT_S,
        repetition: Repetition = TILL_REPETITION,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Takes the till's resource name, who says so (a bearer token), and how patient it is."""
        self._terminal = terminal
        self._clock = clock
        self._token = token
        self._language = language
        self._timeout_s = timeout_s
        self._random_bytes = random_bytes
        self.repetition = repetition

    async def read(
        self,
        method: Method[Question, Answer],
        request: Question,
        *,
        attempts_max: int | None = None,
    ) -> Answer:
        """Makes a call that changes nothing. Raises TimebankError, the last failure."""
        return await self._repeated(
            lambda: self._once(method, request, ()), request, attempts_max, was_open=False
        )

    async def signed(
        self,
        method: Method[Question, Answer],
        request: Question,
        key: TillKey,
        *,
        attempts_max: int | None = None,
        was_open: bool = False,
    ) -> Answer:
        """Makes a call that the till signs, until it is answered.

        `was_open`: it was made before, and nobody knows what became of it. Raises OutcomeOpenError
        when that is so now: ask again with the same request, look it up, or reverse it. Raises any
        other TimebankError when it was refused.
        """
        return await self._repeated(
            lambda: self._once(method, request, self.signature(request, key)),
            request,
            attempts_max,
            was_open=was_open,
        )

    def signature(self, request: Message, key: TillKey) -> Metadata:
        """Signs one attempt of a call."""
        call = call_of(
            request,
            timestamp_s=self._clock.now_us() // US_PER_S,
            nonce=to_base64url(self._random_bytes(NONCE_BYTES)),
        )
        return signature_metadata(self._terminal, call, key.sign(call_text(call)))

    async def pause(self, attempt: int) -> None:
        """Waits after an attempt, counted from 1, longer each time."""
        await self.repetition.sleep(self.repetition.pause_after(attempt))

    async def _once(
        self, method: Method[Question, Answer], request: Question, signature: Metadata
    ) -> Answer:
        token = self._token() if callable(self._token) else self._token
        metadata = call_metadata(token=token, language=self._language) + signature
        try:
            return await method(request, timeout=self._timeout_s, metadata=metadata)
        except grpc.aio.AioRpcError as failure:
            raise error_from_call(failure) from failure

    async def _repeated(
        self,
        attempt: Callable[[], Awaitable[Answer]],
        request: Message,
        attempts_max: int | None,
        *,
        was_open: bool,
    ) -> Answer:
        limit = attempts_max or self.repetition.attempts_max
        for count in range(1, limit + 1):
            try:
                return await attempt()
            except TimebankError as error:
                name_request(error, str(getattr(request, "request_id", "")))
                open_now = is_open(error)
                if not open_now and not (was_open and error.reason in NOT_ABOUT_THE_REQUEST):
                    raise
                if not open_now or count == limit:
                    raise _left_open(error) from error
                was_open = True
            await self.pause(count)
        raise AssertionError("unreachable: the last attempt returns or raises")


def open_till_channel(address: str, *, tls: TlsFiles | None = None) -> grpc.aio.Channel:
    """Opens the channel of a till: as every client's, but it repeats nothing by itself.

    Raises VALIDATION_FAILED when a TLS file cannot be read.
    """
    changed = {"grpc.service_config": "{}", "grpc.enable_retries": 0}
    options = [
        (name, changed.get(name, value))
        for name, value in channel_options(message_bytes_max=MESSAGE_BYTES_MAX)
    ]
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(tls.ca_file),
        private_key=_pem(tls.key_file),
        certificate_chain=_pem(tls.certificate_file),
    )
    return grpc.aio.secure_channel(address, credentials, options=options)


def _left_open(error: TimebankError) -> OutcomeOpenError:
    opened = OutcomeOpenError(error.reason, error.message, violations=error.violations)
    opened.metadata = dict(error.metadata)
    return opened


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read(PEM_BYTES_MAX)
    except OSError as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED, f"TLS file {path}: cannot be read ({error.strerror})"
        ) from error
