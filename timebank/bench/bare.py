"""The yardstick: a grpc.aio server with one handler that does nothing, and nothing around it.

Owns: a process of its own, `python -m timebank.bench.bare PORT`. Answers the same method as the
case `empty`, without interceptors, so that the two differ by what the server adds to a call.
"""

import asyncio
import signal
import sys
from typing import Any

import grpc
import grpc.aio
import uvloop

SERVICE = "grpc.health.v1.Health"
METHOD = "Check"
SERVING = b"\x08\x01"
"""HealthCheckResponse with status SERVING."""


async def _check(_request: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    return SERVING


async def serve(port: int) -> None:
    """Serves on a loopback port until SIGTERM."""
    server = grpc.aio.server()
    # Without serialisers: bytes in, bytes out.
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_check)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
