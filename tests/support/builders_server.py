"""A server in the test's own event loop: the whole stack of a process, with a clock to move.

Owns the configuration and the life of the server; what it serves is the product's own.
"""

import pathlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import grpc.aio
import structlog

import ledger.service
from tests.support.keys import ORIGIN, make_key
from tests.support.processes import RECONNECT_FAST, Settings
from timebank.clock import Clock
from timebank.config import Config, load_config
from timebank.server import Register, open_server


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where a server in this process listens, and who has connected to it."""

    address: str
    channel: grpc.aio.Channel
    verifier_key: str


def server_config(folder: pathlib.Path, settings: Settings | None = None) -> Config:
    """A valid configuration on free ports and files in `folder`/data; `settings` win."""
    values: dict[str, object] = {
        "data_directory": str(folder / "data"),
        "server.grpc_address": "127.0.0.1:0",
        "server.http_address": "127.0.0.1:0",
        "identity.mode": "development",
        "log.level": "warning",
    }
    for section, rows in (settings or {}).items():
        values |= {f"{section}.{key}": value for key, value in rows.items()}
    return load_config(None, {}, values)


@asynccontextmanager
async def local_server(
    folder: pathlib.Path,
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
    registers: Sequence[Register] = (ledger.service.register,),
) -> AsyncIterator[LocalServer]:
    """Serves in this event loop, with a signing key for ORIGIN, until the block ends."""
    vkey = make_key(folder, ORIGIN)
    process = await open_server(
        server_config(folder, settings),
        registers,
        clock=clock,
        logger=structlog.get_logger("test"),
        http=False,
    )
    address = f"127.0.0.1:{process.grpc_port}"
    try:
        async with grpc.aio.insecure_channel(address, options=RECONNECT_FAST) as channel:
            yield LocalServer(address=address, channel=channel, verifier_key=vkey)
    finally:
        await process.stop(0)
