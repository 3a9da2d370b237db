"""The table of reasons is complete, and errors survive the journey to a caller."""

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from timebank.errors import (
    DOMAIN,
    MEANINGS,
    STATUS_DETAILS_KEY,
    Reason,
    TimebankError,
    from_rpc_error,
    from_status,
    status_proto,
)

RETRIABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


def rpc_error(
    code: grpc.StatusCode, details: str = "", trailing: bytes | None = None
) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata()
    if trailing is not None:
        metadata.add(STATUS_DETAILS_KEY, trailing)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details)


def kinds(status: status_pb2.Status) -> list[str]:
    return [detail.TypeName().rpartition(".")[2] for detail in status.details]


def test_every_reason_has_a_meaning_and_no_other_has() -> None:
    assert set(MEANINGS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_failure_with_one_line_in_both_languages(reason: Reason) -> None:
    meaning = MEANINGS[reason]
    assert reason.value == reason.name
    assert meaning.status is not grpc.StatusCode.OK
    assert meaning.en
    assert "\n" not in meaning.en
    assert any("\u4e00" <= character <= "\u9fff" for character in meaning.zh)


def test_no_two_reasons_mean_the_same() -> None:
    assert len({meaning.en for meaning in MEANINGS.values()}) == len(MEANINGS)
    assert len({meaning.zh for meaning in MEANINGS.values()}) == len(MEANINGS)


@pytest.mark.parametrize("reason", Reason)
def test_every_error_has_exactly_one_error_info(reason: Reason) -> None:
    status = status_proto(TimebankError(reason, "message", account="a"))
    assert kinds(status).count("ErrorInfo") == 1
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason, dict(info.metadata)) == (DOMAIN, reason, {"account": "a"})
    assert status.code == MEANINGS[reason].status.value[0]


@pytest.mark.parametrize("reason", Reason)
def test_only_what_may_pass_says_when_to_retry(reason: Reason) -> None:
    found = kinds(status_proto(TimebankError(reason, "message")))
    assert ("RetryInfo" in found) == (MEANINGS[reason].status in RETRIABLE)


@pytest.mark.parametrize("reason", Reason)
def test_an_error_survives_the_journey(reason: Reason) -> None:
    sent = TimebankError(reason, "message", violations=[("field", "wrong")], account="a")
    error = from_rpc_error(
        rpc_error(sent.code, sent.message, status_proto(sent).SerializeToString())
    )
    assert error.reason is reason
    assert error.message == "message"
    assert error.metadata == {"account": "a"}
    assert error.violations == (("field", "wrong"),)


def test_only_a_chinese_caller_gets_a_localized_message() -> None:
    error = TimebankError(Reason.ACCOUNT_FROZEN, "message")
    assert "LocalizedMessage" in kinds(status_proto(error, language="zh-CN"))
    assert "LocalizedMessage" not in kinds(status_proto(error))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.DATABASE_UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_PASSED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.QUEUE_FULL),
        (grpc.StatusCode.UNAUTHENTICATED, Reason.TOKEN_INVALID),
        (grpc.StatusCode.PERMISSION_DENIED, Reason.SCOPE_MISSING),
        (grpc.StatusCode.INTERNAL, Reason.VALIDATION_FAILED),
    ],
)
@pytest.mark.parametrize("trailing", [None, b"\xff", b""])
def test_a_status_without_our_details_gets_the_nearest_reason(
    code: grpc.StatusCode, reason: Reason, trailing: bytes | None
) -> None:
    error = from_rpc_error(rpc_error(code, "text", trailing))
    assert error.reason is reason
    assert error.metadata == {"code": code.name}
    assert error.message == f"{code.name}: text"


def test_a_message_that_grpc_finds_too_long_is_a_batch_too_large() -> None:
    text = "Received message larger than max (70000 vs. 65536)"
    error = from_rpc_error(rpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED, text))
    assert error.reason is Reason.BATCH_TOO_LARGE


@pytest.mark.parametrize(("domain", "reason"), [("other", "QUEUE_FULL"), (DOMAIN, "NEWER")])
def test_a_reason_that_is_not_ours_is_not_taken_for_one(domain: str, reason: str) -> None:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(domain=domain, reason=reason))
    status = status_pb2.Status(code=grpc.StatusCode.ABORTED.value[0], details=[packed])
    assert from_status(status).reason is Reason.VALIDATION_FAILED


def test_an_error_says_its_message_and_its_reason() -> None:
    error = TimebankError(Reason.HOLD_NOT_FOUND, "no hold h")
    assert str(error) == "no hold h (HOLD_NOT_FOUND)"
    assert error.code is grpc.StatusCode.NOT_FOUND
