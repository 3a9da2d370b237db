"""One server process: built, started, drained.

Owns: the order in which a process comes up and goes down. Refuses: signals and other processes (see
__init__.py and workers.py).
Rules: health says NOT_SERVING before calls are turned away; calls under way get `drain_seconds`;
services close after the last call.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from structlog.typing import FilteringBoundLogger

from timebank.clock import Clock, SystemClock
from timebank.config import Config
from timebank.dev_tokens import AUDIENCE, ISSUER, development_jwks
from timebank.http import HttpServer, build_app
from timebank.identity import Authenticator
from timebank.interceptors import Interceptors
from timebank.runtime import Runtime
from timebank.server.infrastructure import Health, add_infrastructure
from timebank.server.interpreter import tune_interpreter
from timebank.server.listening import (
    busy,
    check_exposure,
    listen,
    parse_address,
    probe,
    server_credentials,
    server_options,
)
from timebank.server.permissions import build_permissions
from timebank.signing import KeyRing
from timebank.telemetry import RpcMetrics, open_logger
from timebank.tokens import TokenVerifier

NOTICE_SECONDS = 0.1
"""Time for watchers of the health to hear NOT_SERVING before their streams end."""

Register: TypeAlias = Callable[[Runtime], Awaitable[None]]


def build_runtime(
    config: Config,
    *,
    clock: Clock | None = None,
    logger: FilteringBoundLogger | None = None,
    share_port: bool = False,
) -> Runtime:
    """Makes the runtime of a process; it has no services yet and listens nowhere.

    Raises: VALIDATION_FAILED when identity files cannot be used.
    """
    clock = clock or SystemClock()
    logger = logger or open_logger(sys.stderr, level=config.log.level, format=config.log.format)
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    authenticator = build_authenticator(config, clock, logger)
    interceptors = Interceptors(
        authenticator=authenticator,
        metrics=RpcMetrics(registry),
        logger=logger,
        deadline_default_s=config.server.deadline_default_seconds,
        deadline_max_s=config.server.deadline_seconds_max,
    )
    return Runtime(
        config=config,
        clock=clock,
        registry=registry,
        keyring=KeyRing(config.keys.directory),
        logger=logger,
        authenticator=authenticator,
        interceptors=interceptors,
        server=grpc.aio.server(options=server_options(config, share_port=share_port)),
        permissions=build_permissions,
    )


def build_authenticator(
    config: Config, clock: Clock, logger: FilteringBoundLogger
) -> Authenticator:
    """Makes what identifies callers, as `config.identity` says."""
    identity = config.identity
    development = identity.mode == "development"
    tokens = None
    if identity.jwks_file is not None:
        tokens = TokenVerifier(
            identity.jwks_file,
            issuer=identity.issuer,
            audience=identity.audience,
            clock=clock,
            logger=logger,
        )
    elif development:
        jwks_file = development_jwks(config.data_directory)
        tokens = TokenVerifier(
            jwks_file, issuer=ISSUER, audience=AUDIENCE, clock=clock, logger=logger
        )
    trust_domain = identity.trust_domain if identity.client_ca_file is not None else ""
    return Authenticator(tokens=tokens, trust_domain=trust_domain, development=development)


@dataclass
class ServerProcess:
    """The server of this process, on gRPC, on HTTP, or on both."""

    runtime: Runtime
    registry: CollectorRegistry
    health: Health = field(default_factory=Health)
    http: HttpServer | None = None
    grpc_port: int = 0
    _listens: bool = False

    @classmethod
    async def register(cls, runtime: Runtime, registers: Sequence[Register]) -> "ServerProcess":
        """Registers the services and the infrastructure; what was opened is closed on failure."""
        try:
            for register in registers:
                await register(runtime)
            health = add_infrastructure(runtime)
        except BaseException:
            await runtime.end()
            raise
        return cls(runtime, runtime.registry, health)

    async def start_grpc(self, credentials: grpc.ServerCredentials | None) -> None:
        """Serves gRPC. Raises: VALIDATION_FAILED when the address is busy."""
        config = self.runtime.config
        server = self.runtime.server
        server.add_generic_rpc_handlers((self.runtime.methods,))
        address = str(parse_address(config.server.grpc_address))
        try:
            if credentials is None:
                self.grpc_port = server.add_insecure_port(address)
            else:
                self.grpc_port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise busy("grpc_address", address, "the port is in use") from error
        await server.start()
        self._listens = True
        self.health.serve()

    def start_http(self, serving: Callable[[], bool] | None = None) -> None:
        """Serves HTTP. Raises: VALIDATION_FAILED when the address is busy."""
        config = self.runtime.config
        listener = listen("http_address", parse_address(config.server.http_address))
        app = build_app(
            self.registry,
            serving=serving or (lambda: self.health.serving),
            routes=self.runtime.http_routes,
        )
        self.http = HttpServer(
            app,
            listener,
            tls_certificate_file=config.identity.tls_certificate_file,
            tls_key_file=config.identity.tls_key_file,
        )
        self.http.start(self.runtime.spawn)

    async def stop(self, drain_s: float | None = None) -> None:
        """Drains and closes everything: at most `drain_s` for the calls under way."""
        if drain_s is None:
            drain_s = self.runtime.config.server.drain_seconds
        self.runtime.draining.set()
        self.health.stop()
        if self._listens:
            stopping = asyncio.ensure_future(self.runtime.server.stop(drain_s))
            await asyncio.sleep(min(NOTICE_SECONDS, drain_s))
            self.runtime.interceptors.end_streams()
            await stopping
        if self.http is not None:
            await self.http.stop()
        await self.runtime.end()


async def open_server(
    config: Config,
    registers: Sequence[Register],
    *,
    clock: Clock | None = None,
    logger: FilteringBoundLogger | None = None,
    share_port: bool = False,
    http: bool = True,
) -> ServerProcess:
    """Starts a server in this event loop and returns it serving; the caller stops it.

    Raises: VALIDATION_FAILED when it may not or cannot listen where it should.
    """
    check_exposure(config)
    credentials = server_credentials(config)
    if not share_port:
        probe("grpc_address", parse_address(config.server.grpc_address))
    tune_interpreter()
    runtime = build_runtime(config, clock=clock, logger=logger, share_port=share_port)
    process = await ServerProcess.register(runtime, registers)
    try:
        if http:
            process.start_http()
        await process.start_grpc(credentials)
    except BaseException:
        await process.stop(0)
        raise
    return process
