"""Serving as real processes: signals, background tasks that fail, several workers on one port."""

import asyncio
import contextlib
import os
import pathlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import httpx
import psutil
import pytest

from tests.support.processes import ROOT, Settings, free_port, toml
from timebank.errors import Reason, from_rpc_error
from timebank.ledger.v1 import log_service_pb2 as messages
from timebank.ledger.v1 import log_service_pb2_grpc as stubs

SERVICES = pathlib.Path(__file__).resolve().parent / "services"
MAIN = """
import pathlib, sys
from timebank.config import load_config
from timebank.errors import TimebankError
from timebank.server import serve
if __name__ == "__main__":
    try:
        serve(load_config(pathlib.Path(sys.argv[1]), {}))
    except TimebankError as error:
        sys.exit(f"error: {error}")
"""
WAIT_S = 60


@dataclass
class Running:
    """A server process and where it listens."""

    process: asyncio.subprocess.Process
    grpc_address: str
    http_address: str

    async def line(self, wanted: str) -> None:
        """Waits for a line on stdout; AssertionError when the process ends without it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            while line := await self.process.stdout.readline():
                if line.decode().strip() == wanted:
                    return
        raise AssertionError(f"expected the line {wanted!r}")

    async def ended(self) -> tuple[int, str]:
        """Waits for the end; gives the exit code and what stderr said."""
        assert self.process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            errors = await self.process.stderr.read()
            return await self.process.wait(), errors.decode()

    def stub(self, channel: grpc.aio.Channel) -> Any:
        made: Any = stubs.LogServiceStub
        return made(channel)

    def channel(self) -> grpc.aio.Channel:
        """A channel with a connection of its own, so that it may reach another worker."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.insecure_channel(self.grpc_address, options=options)

    async def answering_process(self) -> int:
        """The id of the process that answers a new connection."""
        async with self.channel() as channel:
            request = messages.GetCheckpointRequest()
            answer = await self.stub(channel).GetCheckpoint(request, wait_for_ready=True)
            return int(answer.size)


@asynccontextmanager
async def running(folder: pathlib.Path, *, workers: int = 1) -> AsyncIterator[Running]:
    """A server of the probe service; killed with its workers after the block."""
    grpc_address, http_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
    settings: Settings = {
        "server": {
            "grpc_address": grpc_address,
            "http_address": http_address,
            "workers": workers,
            "drain_seconds": 20,
        },
        "identity": {"mode": "development"},
        "database": {"url": "postgresql://nobody@127.0.0.1:1/none"},
    }
    config = folder / "timebank.toml"
    config.write_text('services = ["probe"]\n' + toml(settings), encoding="utf-8")
    main = folder / "main.py"
    main.write_text(MAIN, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(main), str(config)),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SERVICES}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Running(process, grpc_address, http_address)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_closes_the_services_and_ends_well(
    tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    async with running(tmp_path) as server, server.channel() as channel:
        await server.line("the probe is ready")
        call = server.stub(channel).GetReceipt(messages.GetReceiptRequest())
        await server.line("waiting")
        server.process.send_signal(number)
        assert (await call).proof == "drained"
        await server.line("closed")
        code, _ = await server.ended()
        assert code == 0


async def test_a_failed_background_task_ends_the_process_with_an_error(
    tmp_path: pathlib.Path,
) -> None:
    async with running(tmp_path) as server, server.channel() as channel:
        await server.line("the probe is ready")
        await server.stub(channel).GetInclusionProof(messages.GetInclusionProofRequest())
        await server.line("closed")
        code, errors = await server.ended()
        assert code == 1
        assert "RuntimeError: doomed" in errors
        assert errors.splitlines()[-1].startswith("error: a background task failed")


async def test_a_busy_port_ends_a_server_with_one_line(tmp_path: pathlib.Path) -> None:
    async with running(tmp_path) as first:
        await first.line("the probe is ready")
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, str(tmp_path / "main.py"), str(tmp_path / "timebank.toml")),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SERVICES}"},
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await second.communicate()
    assert second.returncode == 1
    assert errors.decode().count("\n") == 1
    assert first.grpc_address in errors.decode()


async def test_workers_share_the_port_and_their_metrics_add_up(tmp_path: pathlib.Path) -> None:
    async with running(tmp_path, workers=2) as server, httpx.AsyncClient() as client:
        await server.line("the probe is ready")
        answered: list[int] = []
        while len(set(answered)) < 2:
            assert len(answered) < 200, "expected both workers to answer"
            answered.append(await server.answering_process())
        assert server.process.pid not in answered
        base = f"http://{server.http_address}"
        assert (await client.get(f"{base}/healthz")).status_code == 200
        metrics = (await client.get(f"{base}/metrics")).text
        labels = 'code="OK",method="GetCheckpoint",service="timebank.ledger.v1.LogService"'
        assert f"timebank_rpc_total{{{labels}}} {len(answered)}.0" in metrics
        server.process.terminate()
        code, _ = await server.ended()
        assert code == 0


async def test_a_worker_that_dies_is_started_again(tmp_path: pathlib.Path) -> None:
    async with running(tmp_path, workers=2) as server, server.channel() as channel:
        await server.line("the probe is ready")
        before = worker_ids(server)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.stub(channel).GetConsistencyProof(messages.GetConsistencyProofRequest())
        assert from_rpc_error(caught.value).reason is Reason.DATABASE_UNAVAILABLE
        new: set[int] = set()
        async with asyncio.timeout(WAIT_S):
            while not new:
                new = set(await answering(server)) - before
        assert len(new) == 1


async def test_workers_end_when_their_parent_is_killed(tmp_path: pathlib.Path) -> None:
    async with running(tmp_path, workers=2) as server:
        await server.line("the probe is ready")
        workers = [psutil.Process(id) for id in worker_ids(server)]
        assert len(workers) == 2
        server.process.kill()
        await server.process.wait()
        loop = asyncio.get_running_loop()
        _, alive = await loop.run_in_executor(None, psutil.wait_procs, workers, WAIT_S)
        assert alive == []


def worker_ids(server: Running) -> set[int]:
    """The workers of a parent: its spawned children but for multiprocessing's own tracker."""
    children = psutil.Process(server.process.pid).children()
    return {child.pid for child in children if "spawn_main" in " ".join(child.cmdline())}


async def answering(server: Running) -> list[int]:
    """Who answers a few new connections."""
    return [await server.answering_process() for _ in range(8)]
