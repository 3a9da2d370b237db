"""Channels to a server far away and to one in the same process behave alike."""

import asyncio
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.timebank.certificates import Authority
from tests.timebank.probes import (
    ANYBODY,
    MATCHING,
    MEMBER,
    SERVICE,
    TILLS,
    Probe,
    serving,
    streaming,
    unary,
)
from timebank.auth import (
    Call,
    Permission,
    Principal,
    PrincipalKind,
    current_actor,
    current_call,
    current_principal,
    enter_call,
)
from timebank.channels import ATTEMPTS_MAX, TlsFiles, call_metadata, channel_options, open_channel
from timebank.errors import Reason, TimebankError, from_rpc_error
from timebank.local_channels import MESSAGES_AHEAD_MAX, LocalChannel

SERVICES = Permission(frozenset({PrincipalKind.SERVICE}))


class Flaky:
    """Fails the first calls with a status, then answers how often it was called."""

    def __init__(self, code: grpc.StatusCode, failures: int) -> None:
        self.code = code
        self.failures = failures
        self.calls = 0

    async def __call__(self, request: StringValue, context: Any) -> StringValue:
        self.calls += 1
        if self.calls <= self.failures:
            await context.abort(self.code, "not now")
        return StringValue(value=str(self.calls))

    def handler(self) -> Any:
        async def flaky(request: StringValue, context: Any) -> StringValue:
            return await self(request, context)

        return unary(flaky)


def stub(channel: grpc.aio.Channel, method: str) -> Any:
    return channel.unary_unary(
        f"/{SERVICE}/{method}", StringValue.SerializeToString, StringValue.FromString
    )


def stream_stub(channel: grpc.aio.Channel, method: str) -> Any:
    return channel.unary_stream(
        f"/{SERVICE}/{method}", StringValue.SerializeToString, StringValue.FromString
    )


@pytest.mark.parametrize(
    ("code", "failures", "calls", "succeeds"),
    [
        (grpc.StatusCode.UNAVAILABLE, ATTEMPTS_MAX - 1, ATTEMPTS_MAX, True),
        (grpc.StatusCode.UNAVAILABLE, ATTEMPTS_MAX, ATTEMPTS_MAX, False),
        (grpc.StatusCode.ABORTED, 1, 1, False),
        (grpc.StatusCode.INTERNAL, 1, 1, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 1, 1, False),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 1, 1, False),
    ],
)
async def test_only_unavailable_is_retried_and_not_for_ever(
    code: grpc.StatusCode, failures: int, calls: int, succeeds: bool
) -> None:
    flaky = Flaky(code, failures)
    async with (
        serving({"Flaky": (flaky.handler(), ANYBODY)}) as probe,
        open_channel(probe.target) as channel,
    ):
        call = stub(channel, "Flaky")(StringValue())
        if succeeds:
            assert (await call).value == str(calls)
        else:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is code
    assert flaky.calls == calls


async def test_a_message_beyond_the_limit_is_refused_by_the_channel() -> None:
    async def echo(request: StringValue, context: Any) -> StringValue:
        return request

    async with (
        serving({"Echo": (unary(echo), ANYBODY)}) as probe,
        open_channel(probe.target, message_bytes_max=1_000) as channel,
    ):
        assert await stub(channel, "Echo")(StringValue(value="x" * 900))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel, "Echo")(StringValue(value="x" * 1_100))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_every_channel_keeps_its_connection_alive_without_calls() -> None:
    options = dict(channel_options())
    assert options["grpc.keepalive_permit_without_calls"] == 1
    assert options["grpc.keepalive_time_ms"] > 30_000


def test_the_metadata_of_a_call_names_only_what_is_given() -> None:
    assert call_metadata() == ()
    assert call_metadata(token="t", actor="member/a", language="zh-CN") == (
        ("authorization", "Bearer t"),
        ("timebank-actor", "member/a"),
        ("accept-language", "zh-CN"),
    )


def test_a_missing_tls_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TimebankError, match=r"none.pem: cannot be read"):
        open_channel("127.0.0.1:1", tls=TlsFiles(ca_file=tmp_path / "none.pem"))


async def test_a_client_certificate_reaches_the_server(tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    pair, server_pair = authority.client("spiffe://c/terminal/1"), authority.server()
    credentials = grpc.ssl_server_credentials(
        [(server_pair.key_file.read_bytes(), server_pair.certificate_file.read_bytes())],
        authority.file.read_bytes(),
        require_client_auth=True,
    )

    async def peer(request: StringValue, context: Any) -> StringValue:
        return StringValue(value=context.auth_context()["peer_spiffe_id"][0].decode())

    tls = TlsFiles(authority.file, pair.certificate_file, pair.key_file)
    async with (
        serving({"Peer": (unary(peer), ANYBODY)}, credentials=credentials) as probe,
        open_channel(probe.target, tls=tls) as channel,
    ):
        answer = await stub(channel, "Peer")(StringValue())
    assert answer.value == "spiffe://c/terminal/1"


def local(probe: Probe, caller: Principal = MATCHING) -> LocalChannel:
    return LocalChannel(probe.interceptors, caller)


async def test_a_local_call_shares_no_message_with_its_handler() -> None:
    kept: list[StringValue] = []

    async def keep(request: StringValue, context: Any) -> StringValue:
        kept.append(request)
        request.value = "changed"
        kept.append(StringValue(value="answer"))
        return kept[-1]

    async with serving({"Keep": (unary(keep), SERVICES)}) as probe:
        request = StringValue(value="mine")
        answer = await stub(local(probe), "Keep")(request)
        kept[-1].value = "later"
        assert (request.value, answer.value) == ("mine", "answer")


async def test_a_local_call_is_the_callers_and_for_the_end_user() -> None:
    async def who(request: StringValue, context: Any) -> StringValue:
        return StringValue(value=f"{current_principal().name} for {current_actor()}")

    async with serving({"Who": (unary(who), SERVICES)}) as probe:
        enter_call(Call(MEMBER, MEMBER.name, None))
        answer = await stub(local(probe), "Who")(StringValue())
        assert answer.value == "service/matching for member/zhang"
        assert current_principal() == MEMBER


async def test_a_local_call_outside_a_call_is_for_the_caller_itself() -> None:
    async def who(request: StringValue, context: Any) -> StringValue:
        return StringValue(value=current_actor())

    async with serving({"Who": (unary(who), SERVICES)}) as probe:
        assert (await stub(local(probe), "Who")(StringValue())).value == "service/matching"


async def test_a_local_call_has_the_nearer_of_both_deadlines() -> None:
    async def remaining(request: StringValue, context: Any) -> StringValue:
        assert current_call().deadline_s is not None
        return StringValue(value=str(context.time_remaining()))

    async with serving({"Remaining": (unary(remaining), SERVICES)}) as probe:
        enter_call(Call(MEMBER, "", asyncio.get_running_loop().time() + 5))
        call = stub(local(probe), "Remaining")
        assert 4 < float((await call(StringValue())).value) <= 5
        assert 4 < float((await call(StringValue(), timeout=60)).value) <= 5
        assert 0 < float((await call(StringValue(), timeout=1)).value) <= 1


async def fails(request: StringValue, context: Any) -> StringValue:
    raise TimebankError(Reason.HOLD_EXPIRED, "hold h: expired", violations=[("f", "t")], hold="h")


async def crashes(request: StringValue, context: Any) -> StringValue:
    raise KeyError("secret")


async def aborts(request: StringValue, context: Any) -> StringValue:
    await context.abort(grpc.StatusCode.NOT_FOUND, "nothing there")
    return StringValue()


async def waits(request: StringValue, context: Any) -> StringValue:
    await asyncio.Event().wait()
    return StringValue()


@pytest.mark.parametrize("name", ["Fails", "Crashes", "Aborts", "Denied", "Missing"])
async def test_a_local_call_raises_what_the_remote_one_raises(name: str) -> None:
    handlers = {
        "Fails": (unary(fails), SERVICES),
        "Crashes": (unary(crashes), SERVICES),
        "Aborts": (unary(aborts), SERVICES),
        "Denied": (unary(fails), TILLS),
    }
    async with serving(handlers) as probe:
        metadata = call_metadata(token="matching", language="zh")
        raised = []
        for channel in (probe.channel, local(probe)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub(channel, name)(StringValue(), metadata=metadata)
            raised.append(caught.value)
        remote, near = raised
        assert near.code() is remote.code()
        assert dict(near.trailing_metadata()) == dict(remote.trailing_metadata())
        if name != "Missing":
            assert near.details() == remote.details()


async def test_a_local_call_ends_at_its_deadline() -> None:
    async with serving({"Waits": (unary(waits), SERVICES)}) as probe:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(local(probe), "Waits")(StringValue(), timeout=0.01)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert from_rpc_error(caught.value).reason is Reason.DEADLINE_PASSED


async def test_cancelling_a_local_call_cancels_its_handler() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: StringValue, context: Any) -> StringValue:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return StringValue()

    async with serving({"Wait": (unary(wait), SERVICES)}) as probe, asyncio.timeout(10):
        call = stub(local(probe), "Wait")(StringValue())
        await started.wait()
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert cancelled.is_set()
        assert probe.counted("Wait", "CANCELLED") == 1


async def test_a_local_stream_gives_every_message_and_then_its_error() -> None:
    async def count(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        for number in range(3 * MESSAGES_AHEAD_MAX):
            yield StringValue(value=str(number))
        raise TimebankError(Reason.SLOW_READER, "read faster")

    async with serving({"Count": (streaming(count), SERVICES)}) as probe:
        values: list[int] = []

        async def read() -> None:
            async for message in stream_stub(local(probe), "Count")(StringValue()):
                values.append(int(message.value))

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read()
        assert values == list(range(3 * MESSAGES_AHEAD_MAX))
        assert from_rpc_error(caught.value).reason is Reason.SLOW_READER


async def test_a_local_stream_waits_for_its_reader() -> None:
    made: list[int] = []
    closed = asyncio.Event()

    async def count(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        try:
            for number in range(10 * MESSAGES_AHEAD_MAX):
                made.append(number)
                yield StringValue(value=str(number))
        finally:
            closed.set()

    async with serving({"Count": (streaming(count), SERVICES)}) as probe, asyncio.timeout(10):
        stream = stream_stub(local(probe), "Count")(StringValue())
        messages = aiter(stream)
        assert (await anext(messages)).value == "0"
        for _ in range(10 * MESSAGES_AHEAD_MAX):
            await asyncio.sleep(0)
        assert len(made) <= MESSAGES_AHEAD_MAX + 3
        await messages.aclose()
        await closed.wait()


async def test_a_local_channel_is_ready_and_has_nothing_to_close() -> None:
    async with serving({}) as probe, local(probe) as channel:
        await channel.channel_ready()
        assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_a_local_channel_takes_no_stream_of_requests() -> None:
    async with serving({}) as probe:
        for opener in (local(probe).stream_unary, local(probe).stream_stream):
            with pytest.raises(NotImplementedError):
                opener(f"/{SERVICE}/X")(iter(()))
