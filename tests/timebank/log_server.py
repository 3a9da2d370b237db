"""The whole stack of a server in the test's event loop, around a log that does as it is told.

Owns: the configuration of such a server, its life, and stubs to call it with.
"""

import asyncio
import pathlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import structlog

from timebank.auth import current_principal
from timebank.config import Config, load_config
from timebank.ledger.v1 import log_service_pb2, log_service_pb2_grpc
from timebank.runtime import Runtime
from timebank.server import ServerProcess, open_server

LOG_SERVICE = "timebank.ledger.v1.LogService"


class Logs(log_service_pb2_grpc.LogServiceServicer):
    """A log whose calls end when the test says so."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.released = asyncio.Event()

    async def GetCheckpoint(
        self, request: log_service_pb2.GetCheckpointRequest, context: Any
    ) -> log_service_pb2.Checkpoint:
        return log_service_pb2.Checkpoint(note=current_principal().name)

    async def GetReceipt(
        self, request: log_service_pb2.GetReceiptRequest, context: Any
    ) -> log_service_pb2.Receipt:
        self.started.set()
        await self.released.wait()
        return log_service_pb2.Receipt()

    async def GetInclusionProof(
        self, request: log_service_pb2.GetInclusionProofRequest, context: Any
    ) -> log_service_pb2.InclusionProof:
        return log_service_pb2.InclusionProof()

    async def GetConsistencyProof(
        self, request: log_service_pb2.GetConsistencyProofRequest, context: Any
    ) -> log_service_pb2.ConsistencyProof:
        return log_service_pb2.ConsistencyProof()

    async def register(self, runtime: Runtime) -> None:
        def add(server: grpc.aio.Server) -> None:
            log_service_pb2_grpc.add_LogServiceServicer_to_server(self, server)

        runtime.add_service(LOG_SERVICE, add)


def configured(folder: pathlib.Path, **changes: object) -> Config:
    """A configuration on free ports; changes by `section_key`, the first _ for the dot."""
    values: dict[str, object] = {
        "data_directory": str(folder / "data"),
        "server.grpc_address": "127.0.0.1:0",
        "server.http_address": "127.0.0.1:0",
        "identity.mode": "development",
    }
    values |= {key.replace("_", ".", 1): value for key, value in changes.items()}
    return load_config(None, {}, values)


@asynccontextmanager
async def started(config: Config, logs: Logs) -> AsyncIterator[ServerProcess]:
    """A server that is stopped at once after the block, if the block did not stop it."""
    logger = structlog.get_logger("test")
    process = await open_server(config, [logs.register], logger=logger)
    try:
        yield process
    finally:
        if not process.runtime.draining.is_set():
            await process.stop(0)


def channel_to(process: ServerProcess) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc_port}")


def log_stub(channel: grpc.aio.Channel) -> Any:
    stub: Any = log_service_pb2_grpc.LogServiceStub
    return stub(channel)
