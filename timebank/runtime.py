"""What the shared runtime hands to a service when it registers.

Owns: the passed-in world (configuration, clock, randomness, metrics, keys, logs) and the lists that
a service adds to: methods, routes, background tasks, endings. Refuses: knowing any service.
Rules: a background task that fails ends the process; what was added last ends first.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.routing import BaseRoute
from structlog.typing import FilteringBoundLogger

from timebank.auth import Permission, Principal
from timebank.clock import Clock
from timebank.config import Config
from timebank.errors import Reason, TimebankError
from timebank.identity import Authenticator
from timebank.ids import ID_BYTES, id_from_bytes
from timebank.interceptors import Handler, Interceptors
from timebank.signing import KeyRing

Adder: TypeAlias = Callable[[grpc.aio.Server], None]
Ending: TypeAlias = Callable[[], Awaitable[None]]


class Methods(grpc.GenericRpcHandler):
    """Every method of the server in one table; each lookup is one step."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Finds the handler of a call, None when there is no such method."""
        return self.handlers.get(handler_call_details.method)


class _Recorder:
    """Stands in for a server while generated code adds its methods, and keeps what it adds."""

    def __init__(self) -> None:
        self.added: dict[str, dict[str, Handler]] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Takes no notice: the same methods are added by name as well."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Handler]) -> None:
        """Keeps the methods of a service."""
        self.added[service] = handlers


@dataclass(frozen=True)
class Runtime:
    """The world of a service in one process."""

    config: Config
    clock: Clock
    registry: CollectorRegistry
    keyring: KeyRing
    logger: FilteringBoundLogger
    authenticator: Authenticator
    interceptors: Interceptors
    server: grpc.aio.Server
    permissions: Callable[[str], dict[str, Permission]]
    random_bytes: Callable[[int], bytes] = os.urandom
    methods: Methods = field(default_factory=Methods)
    services: list[str] = field(default_factory=list)
    http_routes: list[BaseRoute] = field(default_factory=list)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _endings: list[Ending] = field(default_factory=list)

    def add_service(self, service: str, adder: Adder) -> None:
        """Adds a gRPC service by its full name.

        `adder` gets the server and calls the generated `add_..._to_server`. Raises:
        VALIDATION_FAILED when a method has no permission, TypeError when a handler would block.
        """
        recorder: Any = _Recorder()
        adder(recorder)
        if list(recorder.added) != [service]:
            raise TypeError(f"expected handlers of {service}, got {list(recorder.added)}")
        self.add_methods(service, recorder.added[service])

    def add_methods(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Adds a gRPC service by its full name, as handlers by method name; raises the same."""
        permissions = self.permissions(service)
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self.methods.handlers[path] = self.interceptors.wrap(path, handler, permissions[name])
        self.services.append(service)

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs a background task until the process ends; its failure ends the process."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def on_drain(self, ending: Ending) -> None:
        """Has something closed when the process stops: after the last call has ended."""
        self._endings.append(ending)

    def new_id(self) -> str:
        """Makes a random id of 26 characters."""
        return id_from_bytes(self.random_bytes(ID_BYTES))

    def authenticate_http(self, request: Request) -> Principal:
        """Gives who sends an HTTP request, by its bearer token.

        Raises: TOKEN_INVALID without a valid one.
        """
        principal = self.authenticator.principal(request.headers.get("authorization"))
        if principal is None:
            raise TimebankError(
                Reason.TOKEN_INVALID, "authorization: expected `Bearer TOKEN`, got nothing"
            )
        return principal

    async def end(self) -> None:
        """Stops the background tasks and closes what services asked to close, last first."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._endings:
            ending = self._endings.pop()
            try:
                await ending()
            except Exception as error:
                self.logger.exception("closing failed", exc_info=error)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        self.logger.critical(
            "background task failed", task=task.get_name(), exc_info=task.exception()
        )
        self.failed.set()
