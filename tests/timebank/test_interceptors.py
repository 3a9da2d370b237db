"""Metrics, errors, identity, permission and deadline around every call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2, status_pb2

from tests.timebank.probes import (
    ANYBODY,
    SERVICE,
    TILLS,
    Probe,
    serving,
    streaming,
    unary,
)
from timebank import interceptors
from timebank.answers import STATUS_BYTES_MAX
from timebank.auth import Permission, PrincipalKind, current_actor, current_call, current_principal
from timebank.errors import STATUS_DETAILS_KEY, Reason, TimebankError, from_rpc_error

AS_TILL = (("authorization", "Bearer till"),)
AS_MEMBER = (("authorization", "Bearer member"),)
AS_MATCHING = (("authorization", "Bearer matching"),)
EVERYBODY = Permission(frozenset(PrincipalKind))


async def echo(request: StringValue, context: Any) -> StringValue:
    return StringValue(value=request.value)


async def wait(request: StringValue, context: Any) -> StringValue:
    await asyncio.Event().wait()
    return StringValue()


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """The error of a call; it must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def refusal(call: Any) -> TimebankError:
    """The refusal of a call; it must be refused."""
    return from_rpc_error(await failure(call))


def raising(error: BaseException) -> Any:
    async def handler(request: StringValue, context: Any) -> StringValue:
        raise error

    return unary(handler)


async def test_a_call_reaches_its_handler_and_is_counted() -> None:
    async with serving({"Echo": (unary(echo), ANYBODY)}) as probe:
        answer = await probe.call("Echo")(StringValue(value="时间"))
        assert answer.value == "时间"
        assert probe.counted("Echo", "OK") == 1
        labels = {"service": SERVICE, "method": "Echo"}
        assert probe.registry.get_sample_value("timebank_rpc_seconds_count", labels) == 1
        assert probe.registry.get_sample_value("timebank_rpc_in_flight") == 0
        assert probe.log == []


async def test_an_unexpected_exception_tells_the_caller_nothing_and_the_log_everything() -> None:
    async with serving({"Fail": (raising(KeyError("password=1234")), ANYBODY)}) as probe:
        error = await failure(probe.call("Fail")(StringValue()))
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
        assert tuple(error.trailing_metadata() or ()) == ()
        assert probe.counted("Fail", "INTERNAL") == 1
        line = probe.logged("unexpected error in a call")[0]
        assert "KeyError: 'password=1234'" in line["exception"]
        assert line["method"] == f"/{SERVICE}/Fail"


async def test_an_answer_that_cannot_be_written_tells_the_caller_nothing() -> None:
    async def wrong(request: StringValue, context: Any) -> str:
        return "secret"

    async with serving({"Wrong": (unary(wrong), ANYBODY)}) as probe:
        error = await failure(probe.call("Wrong")(StringValue()))
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")


async def test_a_refusal_travels_with_reason_metadata_and_violations() -> None:
    refused = TimebankError(
        Reason.INSUFFICIENT_BALANCE, "expected 5, got 3", violations=[("amount", "≤ 3")], account=7
    )
    async with serving({"Refuse": (raising(refused), ANYBODY)}) as probe:
        error = await refusal(probe.call("Refuse")(StringValue()))
        assert error.reason is Reason.INSUFFICIENT_BALANCE
        assert error.message == "expected 5, got 3"
        assert error.metadata == {"account": "7"}
        assert error.violations == (("amount", "≤ 3"),)
        assert probe.counted("Refuse", "FAILED_PRECONDITION") == 1


@pytest.mark.parametrize(("language", "localized"), [("zh-CN,zh;q=0.9", 1), ("en", 0)])
async def test_a_chinese_caller_gets_a_chinese_message_too(language: str, localized: int) -> None:
    refused = TimebankError(Reason.ACCOUNT_FROZEN, "account a: frozen")
    async with serving({"Refuse": (raising(refused), ANYBODY)}) as probe:
        call = probe.call("Refuse")(StringValue(), metadata=(("accept-language", language),))
        error = await failure(call)
        status = status_pb2.Status.FromString(dict(error.trailing_metadata())[STATUS_DETAILS_KEY])
        texts = [error_details_pb2.LocalizedMessage() for _ in status.details]
        found = [t for t, d in zip(texts, status.details, strict=True) if d.Unpack(t)]
        assert len(found) == localized
        assert all("账户已冻结" in text.message for text in found)


async def test_a_refusal_with_thousands_of_violations_still_reaches_the_caller() -> None:
    many = [(f"items[{i}].account", "金额" * 200) for i in range(8_000)]
    refused = TimebankError(
        Reason.VALIDATION_FAILED, "坏" * 5_000, violations=many, note="x" * 9_000
    )
    async with serving({"Refuse": (raising(refused), ANYBODY)}) as probe:
        error = await failure(probe.call("Refuse")(StringValue()))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert len(dict(error.trailing_metadata())[STATUS_DETAILS_KEY]) <= STATUS_BYTES_MAX
        assert "more violations" in from_rpc_error(error).message


async def test_a_caller_without_identity_is_refused_before_the_request_is_read() -> None:
    async with serving({"Echo": (unary(echo), TILLS)}) as probe:
        error = await refusal(probe.raw("Echo")(b"\xff\xff"))
        assert error.reason is Reason.TOKEN_INVALID
        assert probe.logged("denied")[0]["reason"] == "TOKEN_INVALID"


async def test_bytes_that_are_no_request_are_a_validation_error() -> None:
    async with serving({"Echo": (unary(echo), ANYBODY)}) as probe:
        error = await refusal(probe.raw("Echo")(b"\xff\xff"))
        assert error.reason is Reason.VALIDATION_FAILED


async def test_a_bad_token_is_refused_even_where_anybody_may_call() -> None:
    async with serving({"Echo": (unary(echo), ANYBODY)}) as probe:
        metadata = (("authorization", "Bearer forged"),)
        error = await refusal(probe.call("Echo")(StringValue(), metadata=metadata))
        assert error.reason is Reason.TOKEN_INVALID


async def test_the_permission_of_the_method_decides_and_denials_are_audited() -> None:
    async with serving({"Echo": (unary(echo), TILLS)}) as probe:
        await probe.call("Echo")(StringValue(), metadata=AS_TILL)
        error = await refusal(probe.call("Echo")(StringValue(), metadata=AS_MEMBER))
        assert error.reason is Reason.SCOPE_MISSING
        denied = probe.logged("denied")
        assert [line["principal"] for line in denied] == ["member/zhang"]
        assert denied[0]["logger"] == "audit"


async def test_a_denial_by_the_method_itself_is_audited_once() -> None:
    async def deny(request: StringValue, context: Any) -> StringValue:
        raise TimebankError(Reason.SCOPE_MISSING, "not yours")

    async with serving({"Deny": (unary(deny), TILLS)}) as probe:
        error = await refusal(probe.call("Deny")(StringValue(), metadata=AS_TILL))
        assert error.reason is Reason.SCOPE_MISSING
        denied = probe.logged("denied")
        assert [line["principal"] for line in denied] == ["terminal/till-1"]


async def test_what_keeps_the_server_from_working_is_told_once_in_a_while() -> None:
    async def fail(request: StringValue, context: Any) -> StringValue:
        raise TimebankError(Reason.READ_ONLY, "the disk is full")

    async with serving({"Fail": (unary(fail), ANYBODY)}) as probe:
        for _ in range(3):
            await refusal(probe.call("Fail")(StringValue()))
        told = probe.logged("calls fail")
        assert [(line["reason"], line["message"]) for line in told] == [
            ("READ_ONLY", "the disk is full")
        ]


async def test_a_disclosing_call_is_audited_before_it_discloses() -> None:
    seen: list[str] = []
    probes: list[Probe] = []

    async def disclose(request: StringValue, context: Any) -> StringValue:
        seen.extend(line["method"] for line in probes[0].logged("disclosed"))
        return StringValue()

    permission = Permission(frozenset({PrincipalKind.SERVICE}), discloses=True)
    async with serving({"Disclose": (unary(disclose), permission)}) as probe:
        probes.append(probe)
        metadata = (*AS_MATCHING, ("timebank-actor", "officer/li"))
        await probe.call("Disclose")(StringValue(), metadata=metadata)
        assert seen == [f"/{SERVICE}/Disclose"]
        line = probe.logged("disclosed")[0]
        assert (line["principal"], line["actor"]) == ("service/matching", "officer/li")


@pytest.mark.parametrize(
    ("caller", "actor"), [(AS_MATCHING, "member/zhang"), (AS_TILL, "terminal/till-1")]
)
async def test_only_who_may_act_for_others_names_an_actor(caller: Any, actor: str) -> None:
    async def who(request: StringValue, context: Any) -> StringValue:
        return StringValue(value=f"{current_principal().name} for {current_actor()}")

    async with serving({"Who": (unary(who), EVERYBODY)}) as probe:
        metadata = (*caller, ("timebank-actor", "member/zhang"))
        answer = await probe.call("Who")(StringValue(), metadata=metadata)
        assert answer.value.endswith(f" for {actor}")


async def test_an_actor_that_is_too_long_is_refused() -> None:
    async with serving({"Echo": (unary(echo), EVERYBODY)}) as probe:
        metadata = (*AS_MATCHING, ("timebank-actor", "m" * 129))
        error = await refusal(probe.call("Echo")(StringValue(), metadata=metadata))
        assert error.reason is Reason.VALIDATION_FAILED


async def test_a_call_without_deadline_ends_at_the_default_one() -> None:
    async with serving({"Wait": (unary(wait), ANYBODY)}, deadline_default_s=0.05) as probe:
        error = await refusal(probe.call("Wait")(StringValue()))
        assert error.reason is Reason.DEADLINE_PASSED
        assert probe.counted("Wait", "DEADLINE_EXCEEDED") == 1


async def test_a_deadline_beyond_the_cap_ends_at_the_cap() -> None:
    async with serving({"Wait": (unary(wait), ANYBODY)}, deadline_max_s=0.05) as probe:
        error = await refusal(probe.call("Wait")(StringValue(), timeout=600))
        assert error.reason is Reason.DEADLINE_PASSED
        assert "same request id" in error.message


async def test_the_handler_knows_the_deadline() -> None:
    async def remaining(request: StringValue, context: Any) -> StringValue:
        deadline_s = current_call().deadline_s
        assert deadline_s is not None
        return StringValue(value=str(deadline_s - asyncio.get_running_loop().time()))

    async with serving({"Remaining": (unary(remaining), ANYBODY)}) as probe:
        call = probe.call("Remaining")
        assert 9 < float((await call(StringValue())).value) <= 10.1
        assert 4 < float((await call(StringValue(), timeout=5)).value) <= 5.1
        assert 59 < float((await call(StringValue(), timeout=600)).value) <= 60.1


async def test_a_client_that_goes_away_cancels_the_handler_but_no_shielded_commit() -> None:
    started, commit, cancelled, done = (asyncio.Event() for _ in range(4))

    async def committing() -> None:
        await commit.wait()
        done.set()

    async def post(request: StringValue, context: Any) -> StringValue:
        work = asyncio.ensure_future(committing())
        started.set()
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return StringValue()

    async with serving({"Post": (unary(post), ANYBODY)}) as probe, asyncio.timeout(10):
        call = probe.call("Post")(StringValue())
        await started.wait()
        call.cancel()
        await cancelled.wait()
        commit.set()
        await done.wait()
        await asyncio.sleep(0)
        assert probe.counted("Post", "CANCELLED") == 1


async def test_a_time_out_inside_never_surfaces_as_internal() -> None:
    async with serving({"Fail": (raising(TimeoutError("pool")), ANYBODY)}) as probe:
        error = await refusal(probe.call("Fail")(StringValue()))
        assert error.reason is Reason.DEADLINE_PASSED
        assert "pool" not in error.message
        assert "TimeoutError" in probe.logged("time-out in a call")[0]["exception"]


async def test_a_status_that_the_handler_sets_itself_stays_and_is_counted() -> None:
    async def abort(request: StringValue, context: Any) -> StringValue:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return StringValue()

    async with serving({"Abort": (unary(abort), ANYBODY)}) as probe:
        error = await failure(probe.call("Abort")(StringValue()))
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing")
    # The handler sent its answer before it ended: it is counted when the server has stopped.
    assert probe.counted("Abort", "NOT_FOUND") == 1


async def test_beyond_the_limit_of_calls_only_public_ones_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interceptors, "CALLS_MAX", 0)
    handlers = {"Echo": (unary(echo), TILLS), "Health": (unary(echo), ANYBODY)}
    async with serving(handlers) as probe:
        error = await refusal(probe.call("Echo")(StringValue(), metadata=AS_TILL))
        assert error.reason is Reason.QUEUE_FULL
        assert (await probe.call("Health")(StringValue(value="up"))).value == "up"


async def test_a_stream_answers_until_it_is_refused() -> None:
    async def count(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        yield StringValue(value=f"1 for {current_principal().name}")
        raise TimebankError(Reason.SLOW_READER, "read faster")

    async with serving({"Count": (streaming(count), TILLS)}) as probe:
        call = probe.stream_of("Count")(StringValue(), metadata=AS_TILL)
        stream = aiter(call)
        assert (await anext(stream)).value == "1 for terminal/till-1"
        error = await refusal(anext(stream))
        assert error.reason is Reason.SLOW_READER
        assert probe.counted("Count", "RESOURCE_EXHAUSTED") == 1


async def test_an_unexpected_exception_in_a_stream_tells_the_caller_nothing() -> None:
    async def fail(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        yield StringValue()
        raise KeyError("secret")

    async with serving({"Fail": (streaming(fail), ANYBODY)}) as probe:
        stream = aiter(probe.stream_of("Fail")(StringValue()))
        await anext(stream)
        error = await failure(anext(stream))
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")


async def test_a_stream_has_no_deadline_of_the_servers() -> None:
    async def deadline(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        yield StringValue(value=str(current_call().deadline_s))

    handlers = {"Deadline": (streaming(deadline), ANYBODY)}
    async with serving(handlers, deadline_default_s=0.01) as probe:
        values = [message.value async for message in probe.stream_of("Deadline")(StringValue())]
        assert values == ["None"]


async def test_a_reader_that_leaves_closes_the_generator() -> None:
    closed = asyncio.Event()

    async def forever(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        try:
            yield StringValue()
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with serving({"Forever": (streaming(forever), ANYBODY)}) as probe, asyncio.timeout(10):
        call = probe.stream_of("Forever")(StringValue())
        await anext(aiter(call))
        call.cancel()
        await closed.wait()


async def test_draining_ends_streams_and_says_to_resume() -> None:
    async def forever(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        yield StringValue()
        await asyncio.Event().wait()

    async with serving({"Forever": (streaming(forever), ANYBODY)}) as probe:
        stream = aiter(probe.stream_of("Forever")(StringValue()))
        await anext(stream)
        probe.interceptors.end_streams()
        error = await refusal(anext(stream))
        assert error.reason is Reason.SHUTTING_DOWN
        assert "resume" in error.message


def blocking(request: StringValue, context: Any) -> StringValue:
    return request


async def consuming(requests: Any, context: Any) -> StringValue:
    return StringValue()


@pytest.mark.parametrize(
    "handler", [unary(blocking), grpc.stream_unary_rpc_method_handler(consuming)]
)
async def test_a_handler_that_would_block_or_is_of_no_known_shape_is_refused(handler: Any) -> None:
    async with serving({}) as probe:
        with pytest.raises(TypeError, match="expected"):
            probe.interceptors.wrap(f"/{SERVICE}/Bad", handler, ANYBODY)
