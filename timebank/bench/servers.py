"""The server under test: `python -m timebank serve` on a configuration and data of its own.

Owns: that configuration, the signing keys of the benchmark's logs, and the life of the process.
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
BOOKS_ORIGIN = "timebank.example/bench-books"
ORIGINS = (ORIGIN, IMPORT_ORIGIN, GROWTH_ORIGIN, HOURS_ORIGIN, SHOP_ORIGIN, BOOKS_ORIGIN)
LEDGER_SERVICE, MERCHANT_SERVICE = "ledger", "merchant"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, its configuration file, and its process; the yardstick
    serves no HTTP.
    """

    address: str
    http_address: str | None
    config: Path
    process: PythonProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a server runs, and on which database; `database_url` None: SQLite in its folder.

    A merchant service alone asks the ledger at `ledger_address`.
    """

    services: tuple[str, ...] = (LEDGER_SERVICE, MERCHANT_SERVICE)
    database_url: str | None = None
    ledger_address: str = ""


@asynccontextmanager
async def running_server(folder: Path, setting: Setting) -> AsyncIterator[Server]:
    """Runs a server with its data in `folder` until the block ends; a second run in the same folder
    finds the data of the first.

    Raises DATABASE_UNAVAILABLE when it does not start.
    """
    address = f"127.0.0.1:{free_port()}"
    config = folder / "timebank.toml"
    http_address = f"127.0.0.1:{free_port()}"
    text = _configuration(folder, address, http_address, setting)
    config.write_text(text, encoding="utf-8")
    keys = folder / "data" / "keys"
    if LEDGER_SERVICE in setting.services and not keys.exists():
        ring = KeyRing(keys)
        for origin in ORIGINS:
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


def _configuration(folder: Path, address: str, http_address: str, setting: Setting) -> str:
    """Writes the configuration as TOML; JSON's strings are TOML's too."""
    lines = [
        f"data_directory = {json.dumps(str(folder / 'data'))}",
        f"services = {json.dumps(setting.services)}",
        "[server]",
        f"grpc_address = {json.dumps(address)}",
        f"http_address = {json.dumps(http_address)}",
        "[identity]",
        'mode = "development"',
    ]
    if setting.ledger_address:
        lines += ["[merchant]", f"ledger_address = {json.dumps(setting.ledger_address)}"]
    if setting.database_url is not None:
        for section in ("database", "merchant_database"):
            lines += [f"[{section}]", f"url = {json.dumps(setting.database_url)}"]
    return "\n".join(lines) + "\n"
