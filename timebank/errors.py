"""The one error type, the closed list of reasons, and how both travel.

Owns: which reasons exist, the status and meaning of each, and the google.rpc details of an
answer. Refuses: any other error in an answer. A reason with the domain `timebank` keeps one
meaning for ever; the table grows only together with a test that reaches the new reason.
"""

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "timebank"
STATUS_DETAILS_KEY = "grpc-status-details-bin"
RETRY_AFTER_MS = 200


class Reason(enum.StrEnum):
    """Why a call was refused; `MEANINGS` says what each means."""

    VALIDATION_FAILED = "VALIDATION_FAILED"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    PAGE_TOKEN_MISMATCH = "PAGE_TOKEN_MISMATCH"
    UNBALANCED_ENTRY = "UNBALANCED_ENTRY"
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    ENTRY_TOO_LARGE = "ENTRY_TOO_LARGE"
    AMOUNT_OVERFLOW = "AMOUNT_OVERFLOW"
    LEDGER_NOT_FOUND = "LEDGER_NOT_FOUND"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    ENTRY_NOT_FOUND = "ENTRY_NOT_FOUND"
    HOLD_NOT_FOUND = "HOLD_NOT_FOUND"
    MEMBER_NOT_FOUND = "MEMBER_NOT_FOUND"
    RECORD_NOT_FOUND = "RECORD_NOT_FOUND"
    POLICY_NOT_FOUND = "POLICY_NOT_FOUND"
    CERTIFICATE_NOT_FOUND = "CERTIFICATE_NOT_FOUND"
    PERSONAL_DATA_ERASED = "PERSONAL_DATA_ERASED"
    MEMBER_EXISTS = "MEMBER_EXISTS"
    RECORD_EXISTS = "RECORD_EXISTS"
    NO_SHOW_EXISTS = "NO_SHOW_EXISTS"
    EVALUATION_EXISTS = "EVALUATION_EXISTS"
    MEMBER_NOT_ACTIVE = "MEMBER_NOT_ACTIVE"
    FAMILY_LINK_MISSING = "FAMILY_LINK_MISSING"
    HOLDS_REMAIN = "HOLDS_REMAIN"
    EVALUATION_REFUSED = "EVALUATION_REFUSED"
    RECORD_OVERLAPS = "RECORD_OVERLAPS"
    RECORD_STATE = "RECORD_STATE"
    EVIDENCE_TOO_WEAK = "EVIDENCE_TOO_WEAK"
    FOUR_EYES_REQUIRED = "FOUR_EYES_REQUIRED"
    STAR_STATE = "STAR_STATE"
    CERTIFICATE_STATE = "CERTIFICATE_STATE"
    CERTIFICATE_EMPTY = "CERTIFICATE_EMPTY"
    LEDGER_EXISTS = "LEDGER_EXISTS"
    ACCOUNT_EXISTS = "ACCOUNT_EXISTS"
    ENTRY_EXISTS = "ENTRY_EXISTS"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    ACCOUNT_FROZEN = "ACCOUNT_FROZEN"
    ACCOUNT_NOT_FROZEN = "ACCOUNT_NOT_FROZEN"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    ACCOUNT_NOT_EMPTY = "ACCOUNT_NOT_EMPTY"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    HOLD_RELEASED = "HOLD_RELEASED"
    ALREADY_CAPTURED = "ALREADY_CAPTURED"
    AMOUNT_EXCEEDS_HOLD = "AMOUNT_EXCEEDS_HOLD"
    REFUND_EXCEEDS_CAPTURE = "REFUND_EXCEEDS_CAPTURE"
    MOVEMENT_NOT_ALLOWED = "MOVEMENT_NOT_ALLOWED"
    ALREADY_REVERSED = "ALREADY_REVERSED"
    LINKED_ITEM_FAILED = "LINKED_ITEM_FAILED"
    OPENING_CLOSED = "OPENING_CLOSED"
    SIGNING_KEY_MISSING = "SIGNING_KEY_MISSING"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    QUEUE_FULL = "QUEUE_FULL"
    SLOW_READER = "SLOW_READER"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    SCOPE_MISSING = "SCOPE_MISSING"
    TOKEN_INVALID = "TOKEN_INVALID"
    READ_ONLY = "READ_ONLY"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    SIGNER_UNAVAILABLE = "SIGNER_UNAVAILABLE"
    CLOCK_SKEW = "CLOCK_SKEW"


class Meaning(NamedTuple):
    """Status of a reason and one line about it in English and Chinese."""

    status: grpc.StatusCode
    en: str
    zh: str


_C = grpc.StatusCode
MEANINGS: dict[Reason, Meaning] = {
    Reason.VALIDATION_FAILED: Meaning(
        _C.INVALID_ARGUMENT, "a field breaks its rule", "字段不符合要求"
    ),
    Reason.REQUEST_ID_REUSED: Meaning(
        _C.INVALID_ARGUMENT, "the request id was used for other content", "请求编号已用于其他内容"
    ),
    Reason.PAGE_TOKEN_MISMATCH: Meaning(
        _C.INVALID_ARGUMENT, "the page token belongs to another list", "分页标记与查询条件不符"
    ),
    Reason.UNBALANCED_ENTRY: Meaning(
        _C.INVALID_ARGUMENT, "the postings of a unit do not sum to zero", "借贷不平衡"
    ),
    Reason.BATCH_TOO_LARGE: Meaning(
        _C.INVALID_ARGUMENT, "too many items in one call", "单次提交项目过多"
    ),
    Reason.ENTRY_TOO_LARGE: Meaning(
        _C.INVALID_ARGUMENT, "the entry exceeds 65,535 bytes", "记录过大"
    ),
    Reason.AMOUNT_OVERFLOW: Meaning(_C.INVALID_ARGUMENT, "an amount exceeds 64 bits", "数额溢出"),
    Reason.LEDGER_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such ledger", "账本不存在"),
    Reason.ACCOUNT_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such account", "账户不存在"),
    Reason.ENTRY_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such entry", "记录不存在"),
    Reason.HOLD_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such hold", "预授权不存在"),
    Reason.MEMBER_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such member", "会员不存在"),
    Reason.RECORD_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such service record", "服务记录不存在"),
    Reason.POLICY_NOT_FOUND: Meaning(
        _C.NOT_FOUND, "no such policy, or none in force then", "政策不存在或当时无有效政策"
    ),
    Reason.CERTIFICATE_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such certificate", "证明不存在"),
    Reason.PERSONAL_DATA_ERASED: Meaning(
        _C.NOT_FOUND, "no personal data is kept", "个人信息不存在或已删除"
    ),
    Reason.MEMBER_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the volunteer number is taken", "志愿者编号已存在"
    ),
    Reason.RECORD_EXISTS: Meaning(
        _C.ALREADY_EXISTS,
        "the record number was used for other content",
        "服务记录编号已用于其他内容",
    ),
    Reason.NO_SHOW_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "this no-show was reported already", "该爽约已登记"
    ),
    Reason.EVALUATION_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "this rater rated this quarter already", "本季度已评价"
    ),
    Reason.MEMBER_NOT_ACTIVE: Meaning(
        _C.FAILED_PRECONDITION, "the member's state does not allow it", "会员状态不允许"
    ),
    Reason.FAMILY_LINK_MISSING: Meaning(
        _C.FAILED_PRECONDITION, "no family link is registered", "未登记亲属关系"
    ),
    Reason.HOLDS_REMAIN: Meaning(
        _C.FAILED_PRECONDITION, "holds on the accounts are still open", "账户仍有预授权"
    ),
    Reason.EVALUATION_REFUSED: Meaning(
        _C.FAILED_PRECONDITION, "self and mutual evaluations do not count", "不接受自评或互相评价"
    ),
    Reason.RECORD_OVERLAPS: Meaning(
        _C.FAILED_PRECONDITION, "the volunteer has a record of the same time", "服务时间重叠"
    ),
    Reason.RECORD_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the record's state does not allow it", "服务记录状态不允许"
    ),
    Reason.EVIDENCE_TOO_WEAK: Meaning(
        _C.FAILED_PRECONDITION, "the evidence does not suffice", "证据不足"
    ),
    Reason.FOUR_EYES_REQUIRED: Meaning(
        _C.FAILED_PRECONDITION, "another person must do it", "须由另一人办理"
    ),
    Reason.STAR_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the star's state does not allow it", "星级状态不允许"
    ),
    Reason.CERTIFICATE_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the certificate's state does not allow it", "证明状态不允许"
    ),
    Reason.CERTIFICATE_EMPTY: Meaning(
        _C.FAILED_PRECONDITION, "no posted record lies in the period", "该期间没有已入账记录"
    ),
    Reason.LEDGER_EXISTS: Meaning(_C.ALREADY_EXISTS, "the ledger exists already", "账本已存在"),
    Reason.ACCOUNT_EXISTS: Meaning(_C.ALREADY_EXISTS, "the account exists already", "账户已存在"),
    Reason.ENTRY_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the natural key was used for other content", "业务编号已用于其他内容"
    ),
    Reason.INSUFFICIENT_BALANCE: Meaning(
        _C.FAILED_PRECONDITION, "not enough available", "余额不足"
    ),
    Reason.LIMIT_EXCEEDED: Meaning(_C.FAILED_PRECONDITION, "a limit would be exceeded", "超出限额"),
    Reason.ACCOUNT_FROZEN: Meaning(_C.FAILED_PRECONDITION, "the account is frozen", "账户已冻结"),
    Reason.ACCOUNT_NOT_FROZEN: Meaning(
        _C.FAILED_PRECONDITION, "the account is not frozen", "账户未冻结"
    ),
    Reason.ACCOUNT_CLOSED: Meaning(_C.FAILED_PRECONDITION, "the account is closed", "账户已销户"),
    Reason.ACCOUNT_NOT_EMPTY: Meaning(
        _C.FAILED_PRECONDITION, "the account still has a balance or holds", "账户仍有余额或预授权"
    ),
    Reason.HOLD_EXPIRED: Meaning(_C.FAILED_PRECONDITION, "the hold has expired", "预授权已过期"),
    Reason.HOLD_RELEASED: Meaning(_C.FAILED_PRECONDITION, "the hold was released", "预授权已撤销"),
    Reason.ALREADY_CAPTURED: Meaning(
        _C.FAILED_PRECONDITION, "the hold was captured", "预授权已完成"
    ),
    Reason.AMOUNT_EXCEEDS_HOLD: Meaning(
        _C.FAILED_PRECONDITION, "more than the hold still reserves", "超出预授权金额"
    ),
    Reason.REFUND_EXCEEDS_CAPTURE: Meaning(
        _C.FAILED_PRECONDITION, "refunds would exceed the original", "退款超出原金额"
    ),
    Reason.MOVEMENT_NOT_ALLOWED: Meaning(
        _C.FAILED_PRECONDITION, "the movement table does not allow it", "不允许的账户变动"
    ),
    Reason.ALREADY_REVERSED: Meaning(
        _C.FAILED_PRECONDITION, "the entry was reversed or refunded", "已冲正或已退款"
    ),
    Reason.LINKED_ITEM_FAILED: Meaning(
        _C.FAILED_PRECONDITION, "another command of the chain failed", "关联操作失败"
    ),
    Reason.OPENING_CLOSED: Meaning(_C.FAILED_PRECONDITION, "the opening is closed", "期初已关闭"),
    Reason.SIGNING_KEY_MISSING: Meaning(
        _C.FAILED_PRECONDITION, "this server lacks the log's signing key", "缺少签名密钥"
    ),
    Reason.ETAG_MISMATCH: Meaning(_C.ABORTED, "the resource changed meanwhile", "数据已被修改"),
    Reason.QUEUE_FULL: Meaning(_C.RESOURCE_EXHAUSTED, "too many writes wait", "写入队列已满"),
    Reason.SLOW_READER: Meaning(_C.RESOURCE_EXHAUSTED, "the reader is too slow", "读取过慢"),
    Reason.DEADLINE_PASSED: Meaning(_C.DEADLINE_EXCEEDED, "the deadline passed first", "已超时"),
    Reason.SCOPE_MISSING: Meaning(_C.PERMISSION_DENIED, "the caller may not do this", "无权限"),
    Reason.TOKEN_INVALID: Meaning(_C.UNAUTHENTICATED, "no valid identity", "身份无效"),
    Reason.READ_ONLY: Meaning(_C.UNAVAILABLE, "the database takes no writes", "数据库只读"),
    Reason.SHUTTING_DOWN: Meaning(_C.UNAVAILABLE, "the server is stopping", "服务正在停止"),
    Reason.DATABASE_UNAVAILABLE: Meaning(
        _C.UNAVAILABLE, "the database does not answer", "数据库不可用"
    ),
    Reason.SIGNER_UNAVAILABLE: Meaning(
        _C.UNAVAILABLE, "the signer does not answer", "签名服务不可用"
    ),
    Reason.CLOCK_SKEW: Meaning(_C.UNAVAILABLE, "clocks are too far apart", "时钟偏差过大"),
}


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
