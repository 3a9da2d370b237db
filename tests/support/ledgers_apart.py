"""A ledger in a process of its own that can be killed, on a clock that the test moves.

Owns the process, its port, which stays the same over restarts, and the clock that both processes
read. What tests ask of it is what they ask of every ledger: `LedgerWorld`.
"""

import asyncio
import os
import pathlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from typing import Any

import grpc.aio
import structlog

import ledger.service
from tests.support.builders_server import server_config
from tests.support.commands import START_US
from tests.support.forked_servers import FORKS
from tests.support.keys import ORIGIN, make_key
from tests.support.ledgers import FAR_CLOCKS, LedgerWorld
from tests.support.processes import RECONNECT_FAST, check_health, free_port
from timebank.auth import Principal
from timebank.clock import ManualClock
from timebank.server import open_server

START_TIMEOUT_S = 30.0


class SharedClock(ManualClock):
    """A clock that other processes see move."""

    def __init__(self, now_us: int) -> None:
        self._shared = FORKS.Value("q", now_us, lock=False)

    def now_us(self) -> int:
        """Gives microseconds since 1970-01-01T00:00:00Z."""
        return int(self._shared.value)

    def advance(self, *, seconds: int = 0, us: int = 0) -> None:
        """Moves the clock, backwards with negative amounts."""
        self._shared.value += seconds * 1_000_000 + us


class DistantWorld(LedgerWorld):
    """The world of a ledger elsewhere. Its own `process` serves nothing."""

    def channel_of(self, principal: Principal) -> grpc.aio.Channel:
        """The one channel: who calls over it without a token is the operator."""
        return self.channel


class LedgerProcess:
    """The process of a ledger on a database, to be killed and started again."""

    def __init__(self, folder: pathlib.Path, database_url: str, clock: SharedClock) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder, self._url, self._clock = folder, database_url, clock
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Starts the process and returns at once."""
        arguments = (self._folder, self._url, self.address, self._clock)
        self._process = FORKS.Process(target=serve_ledger, args=arguments)
        self._process.start()

    def kill(self) -> None:
        """kill -9; returns when the process is gone."""
        assert self._process is not None, "it was started"
        self._process.kill()
        self._process.join(START_TIMEOUT_S)
        assert self._process.exitcode is not None, "it is gone"


def serve_ledger(folder: pathlib.Path, database_url: str, address: str, clock: SharedClock) -> None:
    """Serves a ledger in this process until it is killed; its log is `folder`/ledger.log."""
    with open(folder / "ledger.log", "ab", buffering=0) as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    asyncio.run(_serve(folder, database_url, address, clock))


async def _serve(folder: pathlib.Path, database_url: str, address: str, clock: SharedClock) -> None:
    values: dict[str, dict[str, Any]] = {
        "database": {"url": database_url},
        "ledger": dict(FAR_CLOCKS),
        "server": {"grpc_address": address},
    }
    await open_server(
        server_config(folder, values),
        [ledger.service.register],
        clock=clock,
        logger=structlog.get_logger("ledger"),
        http=False,
    )
    await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def ledger_apart(
    folder: pathlib.Path, database_url: str
) -> AsyncIterator[tuple[LedgerWorld, LedgerProcess]]:
    """Serves a ledger in another process until the block ends; this one only calls it."""
    vkey = make_key(folder, ORIGIN)
    clock = SharedClock(START_US)
    caller_folder = folder / "caller"
    caller_folder.mkdir()
    settings: Mapping[str, Any] = {"database": {"url": database_url}}
    caller = await open_server(
        server_config(caller_folder, settings),
        [],
        clock=clock,
        logger=structlog.get_logger("test"),
        http=False,
    )
    process = LedgerProcess(folder, database_url, clock)
    process.start()
    try:
        async with grpc.aio.insecure_channel(process.address, options=RECONNECT_FAST) as channel:
            await check_health(channel, timeout_s=START_TIMEOUT_S)
            world = DistantWorld(caller, clock, channel, vkey, database_url)
            await world.create()
            yield world, process
    finally:
        process.kill()
        await caller.stop(0)
