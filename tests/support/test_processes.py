"""A server process of the tests starts, freezes, dies and comes back as a real one does."""

import tomllib

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.conftest import ServerFactory
from tests.support.processes import ServerProcess, Settings, check_health, toml


def test_settings_read_back_as_they_were_written() -> None:
    settings: Settings = {
        "server": {"grpc_address": "127.0.0.1:1", "drain_s": 1.5, "workers": 2},
        "database": {"url": 'a "quoted" \\ 威海', "echo": False, "hosts": ["a", "b"]},
    }
    assert tomllib.loads(toml(settings)) == settings


async def test_a_started_server_says_that_it_serves(start_server: ServerFactory) -> None:
    server = start_server()
    await server.serving()
    async with server.channel() as channel:
        answer = await check_health(channel, timeout_s=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_killed_server_comes_back_on_its_port(start_server: ServerFactory) -> None:
    server = start_server()
    await server.serving()
    server.kill()
    assert not server.running
    server.start()
    await server.serving()


async def test_a_paused_server_is_silent_until_it_is_resumed(start_server: ServerFactory) -> None:
    server = start_server()
    await server.serving()
    async with server.channel() as channel:
        server.pause()
        with pytest.raises(grpc.aio.AioRpcError) as silence:
            await check_health(channel, timeout_s=0.5)
        server.resume()
        answer = await check_health(channel, timeout_s=10)
    assert silence.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_terminated_server_drains_and_exits_with_zero(start_server: ServerFactory) -> None:
    server = start_server()
    await server.serving()
    assert server.terminate() == 0


async def test_a_server_that_cannot_start_shows_its_log(start_server: ServerFactory) -> None:
    server: ServerProcess = start_server({"server": {"grpc_adress": "127.0.0.1:1"}})
    with pytest.raises(RuntimeError, match="grpc_adress"):
        await server.serving()
    assert server.wait() != 0
