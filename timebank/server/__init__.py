"""Serving: from a configuration to a process that answers until it is told to stop.

Owns: the event loop, signals, and the text that says the server is ready. Refuses: any service's
business; services are found by name and register themselves.
Rules: SIGTERM and SIGINT drain, a second one stops at once; a failed background task stops the
process with an error.
"""

import asyncio
import importlib
import signal
import sys
from collections.abc import Coroutine, Sequence
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from timebank.clock import SystemClock
from timebank.config import Config
from timebank.dev_tokens import development_tokens, token_file
from timebank.errors import Reason, TimebankError
from timebank.runtime import Runtime
from timebank.server.listening import (
    check_exposure,
    parse_address,
    probe,
    server_credentials,
)
from timebank.server.permissions import build_permissions
from timebank.server.process import Register, ServerProcess, build_runtime, open_server
from timebank.server.workers import Workers, until_parent_is_gone
from timebank.telemetry import take_library_logs

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

__all__ = [
    "Register",
    "ServerProcess",
    "build_permissions",
    "build_runtime",
    "open_server",
    "ready_text",
    "serve",
]


def serve(config: Config) -> None:
    """Serves until a signal comes; returns when everything is closed.

    Raises: VALIDATION_FAILED when it may not or cannot listen, SHUTTING_DOWN when a background task
    failed, and whatever a service refuses to start for.
    """
    run(_serve_workers(config) if config.server.workers > 1 else _serve(config))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine in an event loop of its own."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main)


def load_services(names: Sequence[str]) -> list[ModuleType]:
    """Imports the service modules, `ledger.service` for `ledger`.

    Raises: VALIDATION_FAILED for an unknown one.
    """
    found = []
    for name in names:
        try:
            found.append(importlib.import_module(f"{name}.service"))
        except ModuleNotFoundError as error:
            if error.name not in (name, f"{name}.service"):
                raise
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"services: expected names of services, got {name!r}: no module {name}.service",
            ) from error
    return found


def ready_text(config: Config, *, grpc_port: int, http_port: int) -> str:
    """Says where the server listens and who may call."""
    grpc_address = parse_address(config.server.grpc_address)._replace(port=grpc_port)
    http_address = parse_address(config.server.http_address)._replace(port=http_port)
    scheme = "https" if config.identity.tls_certificate_file else "http"
    lines = [
        f"gRPC on {grpc_address}, {config.server.workers} worker(s), identity: "
        f"{config.identity.mode}",
        f"HTTP on {scheme}://{http_address}: /metrics /healthz",
    ]
    if config.identity.mode == "development":
        lines.append("Development: whoever sends no token is an operator. Tokens to try:")
        tokens = development_tokens(config.data_directory, clock=SystemClock())
        lines += [f"  {word:9}{token}" for word, token in tokens.items()]
        lines.append(f"They are also in {token_file(config.data_directory, '*')}.")
    return "\n".join(lines)


async def print_ready(runtime: Runtime, services: Sequence[ModuleType], text: str) -> None:
    """Writes the ready text, and what the services add to it, to stdout."""
    texts = [text]
    for service in services:
        hook = getattr(service, "ready_text", None)
        if hook is not None:
            texts.append(await hook(runtime))
    sys.stdout.write("\n".join(filter(None, texts)) + "\n")
    sys.stdout.flush()


def catch_signals(*numbers: signal.Signals) -> asyncio.Event:
    """Gives an event that the first stop signal sets.

    Called before the loop answers anybody: who was told SERVING may stop the process at once.
    """
    stopped = asyncio.Event()
    for number in numbers or STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def until_stopped(
    runtime: Runtime, stopped: asyncio.Event, *, second_ends: bool = True
) -> float:
    """Waits for a signal or a failed background task; gives the seconds that calls may still take.

    A second signal ends the process at once, unless told otherwise.
    """
    waits = [asyncio.ensure_future(event.wait()) for event in (stopped, runtime.failed)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    for number in STOP_SIGNALS if second_ends else ():
        asyncio.get_running_loop().remove_signal_handler(number)
    drain_s = 0 if runtime.failed.is_set() else runtime.config.server.drain_seconds
    runtime.logger.info("draining", seconds_max=drain_s)
    return drain_s


async def _serve(config: Config) -> None:
    services = load_services(config.services)
    process = await open_server(config, [service.register for service in services])
    stopped = catch_signals()
    runtime = process.runtime
    take_library_logs(runtime.logger, level=config.log.level)
    http_port = process.http.port if process.http else 0
    try:
        text = ready_text(config, grpc_port=process.grpc_port, http_port=http_port)
        await print_ready(runtime, services, text)
    except BaseException:
        await process.stop(0)
        raise
    runtime.logger.info("serving", grpc_port=process.grpc_port, http_port=http_port)
    await process.stop(await until_stopped(runtime, stopped))
    runtime.logger.info("stopped")
    check_failure(runtime)


async def _serve_workers(config: Config) -> None:
    """Serves HTTP here and gRPC in worker processes."""
    check_exposure(config)
    server_credentials(config)
    address = parse_address(config.server.grpc_address)
    if not address.port:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "server.grpc_address: expected a port for several workers to share, got 0; set one",
        )
    probe("grpc_address", address)
    services = load_services(config.services)
    runtime = build_runtime(config)
    take_library_logs(runtime.logger, level=config.log.level)
    workers = Workers(work, config, runtime.logger)
    process = await ServerProcess.register(runtime, [service.register for service in services])
    process.registry = workers.registry()
    try:
        await workers.start()
        stopped = catch_signals()
        process.start_http(lambda: workers.serving and not runtime.draining.is_set())
        runtime.spawn("workers", workers.watch())
        http_port = process.http.port if process.http else 0
        text = ready_text(config, grpc_port=address.port, http_port=http_port)
        await print_ready(runtime, services, text)
        runtime.logger.info("serving", grpc_port=address.port, http_port=http_port)
        await until_stopped(runtime, stopped)
    finally:
        runtime.draining.set()
        await workers.stop()
        await process.stop(0)
    runtime.logger.info("stopped")
    check_failure(runtime)


def work(config: Config, parent: Connection) -> None:
    """Serves gRPC as a worker, until a signal comes or the parent is gone."""
    # Ctrl-C reaches the whole group: it is the parent that decides, and says so by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run(_work(config, parent))
    except TimebankError as error:
        sys.exit(f"error: {error}")


async def _work(config: Config, parent: Connection) -> None:
    services = load_services(config.services)
    registers = [service.register for service in services]
    process = await open_server(config, registers, share_port=True, http=False)
    stopped = catch_signals(signal.SIGTERM)
    runtime = process.runtime
    take_library_logs(runtime.logger, level=config.log.level)

    async def watch_parent() -> None:
        await until_parent_is_gone(parent)
        signal.raise_signal(signal.SIGTERM)

    runtime.spawn("parent", watch_parent())
    parent.send_bytes(b"serving")
    # Whoever signals the group is followed by the parent: its word must not cut the drain.
    await process.stop(await until_stopped(runtime, stopped, second_ends=False))
    check_failure(runtime)


def check_failure(runtime: Runtime) -> None:
    """Raises SHUTTING_DOWN when it was a background task that ended the process."""
    if runtime.failed.is_set():
        raise TimebankError(
            Reason.SHUTTING_DOWN, "a background task failed and the server stopped; see its log"
        )
