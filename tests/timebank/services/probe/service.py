"""A service for real processes: it tells who answers, and fails, waits and dies when asked."""

import asyncio
import os
import signal
import sys
from typing import Any

import grpc.aio

from timebank.ledger.v1 import log_service_pb2 as messages
from timebank.ledger.v1 import log_service_pb2_grpc as stubs
from timebank.runtime import Runtime

SERVICE = "timebank.ledger.v1.LogService"


class Probe(stubs.LogServiceServicer):
    """Answers with the id of its process."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def GetCheckpoint(
        self, request: messages.GetCheckpointRequest, context: Any
    ) -> messages.Checkpoint:
        """Answers at once."""
        return messages.Checkpoint(size=os.getpid())

    async def GetReceipt(self, request: messages.GetReceiptRequest, context: Any) -> Any:
        """Answers once the process is draining."""
        sys.stdout.write("waiting\n")
        sys.stdout.flush()
        await self.runtime.draining.wait()
        return messages.Receipt(proof="drained")

    async def GetInclusionProof(
        self, request: messages.GetInclusionProofRequest, context: Any
    ) -> Any:
        """Makes a background task fail."""
        self.runtime.spawn("doomed", fail())
        return messages.InclusionProof()

    async def GetConsistencyProof(
        self, request: messages.GetConsistencyProofRequest, context: Any
    ) -> Any:
        """Kills the process."""
        os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.Event().wait()


async def fail() -> None:
    """Fails."""
    raise RuntimeError("doomed")


async def register(runtime: Runtime) -> None:
    """Adds the probe, and says when it is closed."""

    async def close() -> None:
        sys.stdout.write("closed\n")
        sys.stdout.flush()

    def add(server: grpc.aio.Server) -> None:
        stubs.add_LogServiceServicer_to_server(Probe(runtime), server)

    runtime.add_service(SERVICE, add)
    runtime.on_drain(close)


async def ready_text(runtime: Runtime) -> str:
    """Says so."""
    return "the probe is ready"
