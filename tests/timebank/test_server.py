"""Serving in one event loop: what a server tells about itself, and how it goes down."""

import asyncio
import pathlib
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
import structlog
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from tests.timebank.log_server import LOG_SERVICE, Logs, channel_to, configured, log_stub, started
from timebank.auth import Permission, PrincipalKind
from timebank.errors import Reason, TimebankError, from_rpc_error
from timebank.ledger.v1 import log_service_pb2
from timebank.runtime import Runtime
from timebank.server import load_services, open_server, ready_text
from timebank.server.permissions import build_permissions

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_stub(channel: grpc.aio.Channel) -> Any:
    stub: Any = health_pb2_grpc.HealthStub
    return stub(channel)


def test_every_method_of_ours_has_a_permission() -> None:
    pool = descriptor_pool.Default()
    for service in (LOG_SERVICE, "timebank.ledger.v1.LedgerService"):
        found = build_permissions(service)
        assert set(found) == {method.name for method in pool.FindServiceByName(service).methods}
        assert all(permission.allow or permission.public for permission in found.values())


def test_a_permission_is_what_the_contract_declares() -> None:
    found = build_permissions("timebank.ledger.v1.LedgerService")
    assert found["CreateLedger"] == Permission(frozenset({PrincipalKind.OPERATOR}))
    assert found["WatchEntries"].discloses
    assert PrincipalKind.MEMBER not in found["WatchEntries"].allow


def test_the_server_refuses_to_start_with_a_method_that_has_no_permission() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="bare.proto", package="bare")
    file.message_type.add(name="Empty")
    method = file.service.add(name="Bare").method.add(name="Do")
    method.input_type = method.output_type = ".bare.Empty"
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    with pytest.raises(TimebankError, match=r"method bare.Bare/Do: expected the option"):
        build_permissions("bare.Bare")


async def test_a_service_that_adds_other_methods_than_it_says_is_refused(
    tmp_path: pathlib.Path,
) -> None:
    async def register(runtime: Runtime) -> None:
        runtime.add_service(LOG_SERVICE, lambda server: None)

    with pytest.raises(TypeError, match="expected handlers"):
        await open_server(configured(tmp_path), [register], logger=structlog.get_logger("test"))


async def test_a_failed_start_closes_what_was_opened(tmp_path: pathlib.Path) -> None:
    closed: list[str] = []

    async def opens(runtime: Runtime) -> None:
        async def close(name: str) -> None:
            closed.append(name)

        runtime.on_drain(lambda: close("first"))
        runtime.on_drain(lambda: close("second"))

    async def fails(runtime: Runtime) -> None:
        raise TimebankError(Reason.READ_ONLY, "no")

    with pytest.raises(TimebankError, match="no"):
        await open_server(configured(tmp_path), [opens, fails], logger=structlog.get_logger("test"))
    assert closed == ["second", "first"]


async def test_health_tells_each_service_and_lists_all(tmp_path: pathlib.Path) -> None:
    async with started(configured(tmp_path), Logs()) as process, channel_to(process) as channel:
        stub = health_stub(channel)
        for service in ("", LOG_SERVICE, "grpc.health.v1.Health"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="unknown"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        listed: Any = health_pb2
        statuses = (await stub.List(listed.HealthListRequest())).statuses
        assert statuses[LOG_SERVICE].status == SERVING
        assert "" in statuses


async def test_an_unknown_service_is_watched_until_it_is_known(tmp_path: pathlib.Path) -> None:
    async with started(configured(tmp_path), Logs()) as process, channel_to(process) as channel:
        request = health_pb2.HealthCheckRequest(service="unknown")
        answer = await anext(aiter(health_stub(channel).Watch(request)))
        assert answer.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def test_who_watches_health_hears_that_the_server_stops(tmp_path: pathlib.Path) -> None:
    async with (
        started(configured(tmp_path), Logs()) as process,
        channel_to(process) as channel,
        asyncio.timeout(10),
    ):
        watch = aiter(health_stub(channel).Watch(health_pb2.HealthCheckRequest()))
        assert (await anext(watch)).status == SERVING
        stopping = asyncio.ensure_future(process.stop(5))
        assert (await anext(watch)).status == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(watch)
        assert from_rpc_error(caught.value).reason is Reason.SHUTTING_DOWN
        await stopping


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_answers_under_both_names(tmp_path: pathlib.Path, version: str) -> None:
    async with started(configured(tmp_path), Logs()) as process, channel_to(process) as channel:
        call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer: Any = await call.read()
        names = {service.name for service in answer.list_services_response.service}
        assert {LOG_SERVICE, "grpc.reflection.v1.ServerReflection"} <= names
        for symbol in names:
            request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
            await call.write(request)
            answer = await call.read()
            assert answer.file_descriptor_response.file_descriptor_proto, symbol
        await call.done_writing()


async def test_an_unknown_method_is_unimplemented(tmp_path: pathlib.Path) -> None:
    async with started(configured(tmp_path), Logs()) as process, channel_to(process) as channel:
        call: Any = channel.unary_unary(f"/{LOG_SERVICE}/Unknown")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stop_waits_for_the_calls_under_way(tmp_path: pathlib.Path) -> None:
    logs = Logs()
    async with (
        started(configured(tmp_path), logs) as process,
        channel_to(process) as channel,
        asyncio.timeout(20),
    ):
        closed_after: list[bool] = []

        async def close() -> None:
            closed_after.append(logs.released.is_set())

        process.runtime.on_drain(close)
        call = log_stub(channel).GetReceipt(log_service_pb2.GetReceiptRequest())
        await logs.started.wait()
        stopping = asyncio.ensure_future(process.stop(15))
        await process.runtime.draining.wait()
        assert process.http is not None
        logs.released.set()
        assert await call == log_service_pb2.Receipt()
        await stopping
        assert closed_after == [True]


async def test_a_call_that_takes_longer_than_the_drain_is_cut(tmp_path: pathlib.Path) -> None:
    logs = Logs()
    async with (
        started(configured(tmp_path), logs) as process,
        channel_to(process) as channel,
        asyncio.timeout(20),
    ):
        call = log_stub(channel).GetReceipt(log_service_pb2.GetReceiptRequest())
        await logs.started.wait()
        await process.stop(0.2)
        with pytest.raises(grpc.aio.AioRpcError):
            await call


async def test_http_tells_liveness_and_the_metrics_of_calls(tmp_path: pathlib.Path) -> None:
    async with started(configured(tmp_path), Logs()) as process, channel_to(process) as channel:
        await log_stub(channel).GetCheckpoint(log_service_pb2.GetCheckpointRequest())
        assert process.http is not None
        async with httpx.AsyncClient() as client:
            base = f"http://127.0.0.1:{process.http.port}"
            assert (await client.get(f"{base}/healthz")).status_code == 200
            metrics = (await client.get(f"{base}/metrics")).text
        sample = f'{{code="OK",method="GetCheckpoint",service="{LOG_SERVICE}"}} 1.0'
        assert f"timebank_rpc_total{sample}" in metrics
        assert "process_resident_memory_bytes" in metrics


async def test_a_message_beyond_the_limit_is_refused(tmp_path: pathlib.Path) -> None:
    config = configured(tmp_path, server_message_bytes_max=65_536)
    async with started(config, Logs()) as process, channel_to(process) as channel:
        request = log_service_pb2.GetCheckpointRequest(parent="x" * 65_536)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await log_stub(channel).GetCheckpoint(request)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(TimebankError, match="got 'no_such_service'"):
        load_services(["no_such_service"])


def test_the_ready_text_says_where_to_call_and_gives_tokens_in_development_only(
    tmp_path: pathlib.Path,
) -> None:
    text = ready_text(configured(tmp_path), grpc_port=50051, http_port=9464)
    assert "gRPC on 127.0.0.1:50051" in text
    assert "http://127.0.0.1:9464" in text
    assert "till" in text
    plain = ready_text(configured(tmp_path, identity_mode="none"), grpc_port=1, http_port=2)
    assert "till" not in plain
