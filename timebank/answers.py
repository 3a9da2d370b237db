"""Errors as the answers that leave the process, whatever was raised.

Owns: which exception becomes which status, and how much of it fits into trailing metadata.
Refuses: telling a caller anything about an unexpected exception.
Rules: a refusal keeps its reason; a time-out inside is DEADLINE_PASSED, never INTERNAL; all else
is INTERNAL "internal error" to the caller and a full trace in the log.
"""

from typing import NamedTuple

import grpc
from google.protobuf.message import DecodeError

from timebank.errors import STATUS_DETAILS_KEY, Reason, TimebankError, status_proto

STATUS_BYTES_MAX = 4_096
"""A peer takes 8 KiB of metadata by default, and the message travels in it twice."""
MESSAGE_CHARACTERS_MAX = 500
VIOLATIONS_MAX = 20
INTERNAL_MESSAGE = "internal error"


class Answer(NamedTuple):
    """A status that ends a call."""

    code: grpc.StatusCode
    message: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


INTERNAL = Answer(grpc.StatusCode.INTERNAL, INTERNAL_MESSAGE, ())


def refusal(error: Exception) -> TimebankError | None:
    """Gives the refusal that an exception means, None when it is unexpected."""
    if isinstance(error, TimebankError):
        return error
    if isinstance(error, DecodeError):
        return TimebankError(
            Reason.VALIDATION_FAILED,
            "request: expected a message of the method's request type, got other bytes",
        )
    if isinstance(error, TimeoutError):
        return TimebankError(
            Reason.DEADLINE_PASSED,
            "the server waited too long for something it needs; retry with the same request id",
        )
    return None


def answer(error: TimebankError, *, language: str) -> Answer:
    """Writes a refusal as an answer that fits into trailing metadata, its longest parts
    shortened.
    """
    short = _shortened(error, MESSAGE_CHARACTERS_MAX, VIOLATIONS_MAX)
    status = status_proto(short, language=language)
    while status.ByteSize() > STATUS_BYTES_MAX:
        if short.violations:
            short = _shortened(error, MESSAGE_CHARACTERS_MAX, len(short.violations) // 2)
        elif short.metadata:
            short.metadata = {}
        else:
            break
        status = status_proto(short, language=language)
    return Answer(error.code, short.message, ((STATUS_DETAILS_KEY, status.SerializeToString()),))


def _shortened(error: TimebankError, characters: int, violations: int) -> TimebankError:
    """Copies an error with at most so many characters and violations, saying how many were left
    out.
    """
    shown = [(name[:100], text[:200]) for name, text in error.violations[:violations]]
    message = error.message
    if len(message) > characters:
        message = f"{message[: characters - 1]}…"
    if left_out := len(error.violations) - violations:
        message = f"{message} (and {left_out} more violations)" if left_out > 0 else message
    copy = TimebankError(error.reason, message, violations=shown)
    copy.metadata = dict(error.metadata)
    return copy
