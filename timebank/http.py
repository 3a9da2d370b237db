"""The HTTP side: metrics, liveness, and whatever routes the services add.

Owns: the application and its server in this event loop. Refuses: signals, which belong to the
process.
Rules: a refusal is answered as JSON with the status that gRPC's own mapping gives.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from timebank.errors import TimebankError

Spawn: TypeAlias = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]
CONNECTIONS_MAX = 1_000
KEEP_ALIVE_SECONDS = 30
STOP_SECONDS = 5
_C = grpc.StatusCode
HTTP_STATUS = {
    _C.INVALID_ARGUMENT: 400,
    _C.FAILED_PRECONDITION: 400,
    _C.OUT_OF_RANGE: 400,
    _C.UNAUTHENTICATED: 401,
    _C.PERMISSION_DENIED: 403,
    _C.NOT_FOUND: 404,
    _C.ALREADY_EXISTS: 409,
    _C.ABORTED: 409,
    _C.RESOURCE_EXHAUSTED: 429,
    _C.UNAVAILABLE: 503,
    _C.DEADLINE_EXCEEDED: 504,
}
"""Status of HTTP by status of gRPC, as google.rpc.Code documents it."""


def build_app(
    registry: CollectorRegistry, *, serving: Callable[[], bool], routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """Makes the application: /metrics, /healthz (503 unless serving), and the services' routes."""

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(request: Request) -> Response:
        if serving():
            return PlainTextResponse("serving\n")
        return PlainTextResponse("not serving\n", status_code=503)

    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, TimebankError):
            raise error
        body = {"reason": error.reason.value, "message": error.message}
        return JSONResponse({"error": body}, status_code=HTTP_STATUS.get(error.code, 500))

    return Starlette(
        routes=[Route("/metrics", metrics), Route("/healthz", healthz), *routes],
        exception_handlers={TimebankError: refused},
    )


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process."""
        yield


class HttpServer:
    """Serves an application on a socket that listens already."""

    def __init__(
        self,
        app: Starlette,
        listener: socket.socket,
        *,
        tls_certificate_file: Path | None = None,
        tls_key_file: Path | None = None,
    ) -> None:
        self._listener = listener
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=tls_certificate_file,
            ssl_keyfile=tls_key_file,
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._listener.getsockname()[1])

    def start(self, spawn: Spawn) -> None:
        """Starts serving as a background task."""
        self._task = spawn("http", self._server.serve(sockets=[self._listener]))

    async def stop(self) -> None:
        """Answers what is under way, for STOP_SECONDS at most, and closes the socket."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()
