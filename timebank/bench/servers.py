"""The server under test: `python -m timebank serve` on a configuration and data of its own.

Owns: that configuration, the signing key of the benchmark's log, and the life of the process.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from timebank.bench.processes import PythonProcess, free_port
from timebank.bench.workloads import HEALTH_CHECK
from timebank.signing import KeyRing

START_TIMEOUT_S = 60.0
POLL_S = 0.1
ORIGIN = "timebank.example/bench"
IMPORT_ORIGIN = "timebank.example/bench-import"
GROWTH_ORIGIN = "timebank.example/bench-growth"
HOURS_ORIGIN = "timebank.example/bench-hours"
SHOP_ORIGIN = "timebank.example/bench-shop"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, its configuration file, and its process; the yardstick
    serves no HTTP.
    """

    address: str
    http_address: str | None
    config: Path
    process: PythonProcess


@asynccontextmanager
async def running_server(folder: Path, database_url: str | None) -> AsyncIterator[Server]:
    """Runs a server with its data in `folder` until the block ends.

    `database_url` None: SQLite in the folder. Raises DATABASE_UNAVAILABLE when it does not start.
    """
    address = f"127.0.0.1:{free_port()}"
    config = folder / "timebank.toml"
    http_address = f"127.0.0.1:{free_port()}"
    text = _configuration(folder, address, http_address, database_url)
    config.write_text(text, encoding="utf-8")
    ring = KeyRing(folder / "data" / "keys")
    for origin in (ORIGIN, IMPORT_ORIGIN, GROWTH_ORIGIN, HOURS_ORIGIN, SHOP_ORIGIN):
        ring.create(origin)
    process = PythonProcess("timebank", ["serve", "--config", str(config)], folder / "server.log")
    try:
        await serving(address, process)
        yield Server(address, http_address, config, process)
    finally:
        await asyncio.to_thread(process.stop)


@asynccontextmanager
async def running_bare(folder: Path) -> AsyncIterator[Server]:
    """Runs the yardstick: a server without anything around its handler."""
    port = free_port()
    process = PythonProcess("timebank.bench.bare", [str(port)], folder / "bare.log")
    try:
        await serving(f"127.0.0.1:{port}", process)
        yield Server(f"127.0.0.1:{port}", None, folder, process)
    finally:
        await asyncio.to_thread(process.stop)


async def serving(address: str, process: PythonProcess) -> None:
    """Returns when the server answers. Raises DATABASE_UNAVAILABLE when it never does."""
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
    loop = asyncio.get_running_loop()
    end_s = loop.time() + START_TIMEOUT_S
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(HEALTH_CHECK)
        while process.running and loop.time() < end_s:
            try:
                if await check(b"", timeout=1.0, wait_for_ready=True):
                    return
            except grpc.aio.AioRpcError as error:
                if error.code() not in (
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    grpc.StatusCode.UNAVAILABLE,
                ):
                    raise
            await asyncio.sleep(POLL_S)
    raise process.failure(f"a server that answers within {START_TIMEOUT_S:.0f} s")


def _configuration(folder: Path, address: str, http_address: str, database_url: str | None) -> str:
    """Writes the configuration as TOML; JSON's strings are TOML's too."""
    lines = [
        f"data_directory = {json.dumps(str(folder / 'data'))}",
        'services = ["ledger", "merchant"]',
        "[server]",
        f"grpc_address = {json.dumps(address)}",
        f"http_address = {json.dumps(http_address)}",
        "[identity]",
        'mode = "development"',
    ]
    if database_url is not None:
        for section in ("database", "merchant_database"):
            lines += [f"[{section}]", f"url = {json.dumps(database_url)}"]
    return "\n".join(lines) + "\n"
