"""The one error type, the closed list of reasons, and how both travel.

Owns: which reasons exist, the status and meaning of each, and the google.rpc details of an
answer. Refuses: any other error in an answer. A reason with the domain `timebank` keeps one
meaning for ever; the table grows only together with a test that reaches the new reason.
"""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from timebank.reasons import MEANINGS as MEANINGS
from timebank.reasons import Meaning as Meaning
from timebank.reasons import Reason as Reason

DOMAIN = "timebank"
STATUS_DETAILS_KEY = "grpc-status-details-bin"
RETRY_AFTER_MS = 200


class TimebankError(Exception):
    """A refusal: why, in words that say what to do next, and what it is about.

    `metadata` holds everything dynamic as text; `violations` names fields and what is wrong with
    each.

    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        violations: Sequence[tuple[str, str]] = (),
        **metadata: object,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.metadata = {key: str(value) for key, value in metadata.items()}

    @property
    def code(self) -> grpc.StatusCode:
        """Gives the canonical status of the reason."""
        return MEANINGS[self.reason].status

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})"


def status_proto(error: TimebankError, *, language: str = "en") -> status_pb2.Status:
    """Builds the google.rpc.Status of an error: always one ErrorInfo, and what else applies."""
    meaning = MEANINGS[error.reason]
    status = status_pb2.Status(code=meaning.status.value[0], message=error.message)
    _pack(
        status,
        error_details_pb2.ErrorInfo(
            reason=error.reason.value, domain=DOMAIN, metadata=error.metadata
        ),
    )
    if error.violations:
        violation = error_details_pb2.BadRequest.FieldViolation
        found = [violation(field=name, description=text) for name, text in error.violations]
        _pack(status, error_details_pb2.BadRequest(field_violations=found))
    if meaning.status in (_C.UNAVAILABLE, _C.RESOURCE_EXHAUSTED):
        delay = duration_pb2.Duration(nanos=RETRY_AFTER_MS * 1_000_000)
        _pack(status, error_details_pb2.RetryInfo(retry_delay=delay))
    if language.lower().startswith("zh"):
        text = f"{meaning.zh}：{error.message}"
        _pack(status, error_details_pb2.LocalizedMessage(locale="zh-CN", message=text))
    return status


def _pack(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    # The order of a map's entries is that of a hash: a repeated answer would have other bytes.
    packed.Pack(detail, deterministic=True)
    status.details.append(packed)


def from_status(status: status_pb2.Status) -> TimebankError:
    """Reads an error out of a google.rpc.Status.

    A status without our ErrorInfo becomes DATABASE_UNAVAILABLE when retrying may help, else
    VALIDATION_FAILED.

    """
    info = error_details_pb2.ErrorInfo()
    violations: list[tuple[str, str]] = []
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(bad):
            violations = [(item.field, item.description) for item in bad.field_violations]
        else:
            detail.Unpack(info)
    metadata = dict(info.metadata.items())
    known = info.domain == DOMAIN and info.reason in Reason.__members__
    reason = Reason(info.reason) if known else None
    if reason is None:
        retriable = status.code == _C.UNAVAILABLE.value[0]
        reason = Reason.DATABASE_UNAVAILABLE if retriable else Reason.VALIDATION_FAILED
    error = TimebankError(reason, status.message, violations=violations)
    error.metadata = metadata
    return error


_C = grpc.StatusCode
_BARE_REASONS = {
    _C.UNAVAILABLE: Reason.DATABASE_UNAVAILABLE,
    _C.DEADLINE_EXCEEDED: Reason.DEADLINE_PASSED,
    _C.RESOURCE_EXHAUSTED: Reason.QUEUE_FULL,
    _C.UNAUTHENTICATED: Reason.TOKEN_INVALID,
    _C.PERMISSION_DENIED: Reason.SCOPE_MISSING,
}
"""Reasons of statuses that the transport or a proxy made, without our details."""
_OVERSIZE = "larger than max"
"""Stands in what gRPC itself says of a message that is too long."""


def from_rpc_error(error: grpc.RpcError) -> TimebankError:
    """Reads the error of a call, as the client library raised it, out of its rich status.

    A status without our details gets the reason nearest to its code, with the code in `metadata`.
    """
    call: Any = error
    for key, value in call.trailing_metadata() or ():
        if key == STATUS_DETAILS_KEY and (status := _parsed(value)) is not None:
            return from_status(status)
    code = call.code()
    reason = _BARE_REASONS.get(code, Reason.VALIDATION_FAILED)
    if code is _C.RESOURCE_EXHAUSTED and _OVERSIZE in (call.details() or ""):
        reason = Reason.BATCH_TOO_LARGE
    return TimebankError(reason, f"{code.name}: {call.details() or 'no details'}", code=code.name)


def _parsed(data: bytes) -> status_pb2.Status | None:
    """Parses the details of a status; None when they are none of ours."""
    try:
        status = status_pb2.Status.FromString(data)
    except DecodeError:
        return None
    ours = any(detail.TypeName() == "google.rpc.ErrorInfo" for detail in status.details)
    return status if ours else None


def encode_error(error: TimebankError) -> bytes:
    """Writes an error as the bytes of its status, to be stored with a declined request."""
    return status_proto(error).SerializeToString()


def decode_error(data: bytes) -> TimebankError:
    """Reads what `encode_error` wrote."""
    return from_status(status_pb2.Status.FromString(data))
