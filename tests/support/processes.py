"""A real server process on real files: started, watched, frozen, killed and started again.

Owns the process and its configuration file. The process has a session of its own, so that a kill
takes its workers along. Nothing here sleeps: readiness is the health service's own answer.
"""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeAlias

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
HEALTH_POLL_S = 0.5
PORTS = range(20_000, 32_000)
PORT_TRIES_MAX = 100
LOG_TAIL_CHARACTERS = 8_000
TOP = ""
"""The name under which settings that are in no section are given, such as `services`."""
RECONNECT_FAST = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
]
STARTING = {
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.NOT_FOUND,
}
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

Value: TypeAlias = str | int | float | bool | list[str]
Settings: TypeAlias = Mapping[str, Mapping[str, Value]]


def free_port() -> int:
    """Returns a loopback port that nobody listens on now.

    It lies below the ports that the system gives to outgoing connections: none of those can take
    it while a server is stopped between two starts.
    """
    for port in random.sample(PORTS, PORT_TRIES_MAX):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"expected a free port in {PORTS}, tried {PORT_TRIES_MAX}")


def toml(settings: Settings) -> str:
    """Writes sections of plain values as TOML; JSON's strings, numbers and lists are TOML's too.

    The section TOP holds the values that stand before every section.
    """
    sections = []
    for section in sorted(settings, key=lambda name: name != TOP):
        head = [] if section == TOP else [f"[{section}]"]
        values = settings[section].items()
        rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values]
        sections.append("\n".join([*head, *rows]))
    return "\n\n".join(sections) + "\n"


class ServerProcess:
    """`python -m timebank serve` on its own configuration file, restartable on the same data.

    What it writes lies in `folder`/data unless the settings say otherwise.
    """

    def __init__(self, folder: pathlib.Path, settings: Settings, *arguments: str) -> None:
        """Chooses ports and writes `folder`/timebank.toml; `settings` win over the defaults."""
        self.folder = folder
        self.grpc_address = f"127.0.0.1:{free_port()}"
        self.http_address = f"127.0.0.1:{free_port()}"
        defaults: dict[str, dict[str, Value]] = {
            "server": {"grpc_address": self.grpc_address, "http_address": self.http_address},
            "identity": {"mode": "development"},
        }
        for section, values in settings.items():
            defaults.setdefault(section, {}).update(values)
        self.config = folder / "timebank.toml"
        self.config.write_text(toml(defaults), encoding="utf-8")
        self.arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self.resume()
            self.kill()

    @property
    def running(self) -> bool:
        """True while the process lives, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def id(self) -> int:
        """The process id; AssertionError before the first start."""
        assert self._process is not None, "expected a started server; call start() first"
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that every start so far wrote to stdout and stderr."""
        path = self.folder / "server.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Starts the process and returns at once; `serving()` waits for it."""
        assert not self.running, f"expected a stopped server, got process {self.id}"
        command = [sys.executable, "-m", "timebank", "serve", "--config", str(self.config)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def serving(self, service: str = "", timeout_s: float = START_TIMEOUT_S) -> None:
        """Returns when health says SERVING; RuntimeError with the log when it never does."""
        deadline_s = time.monotonic() + timeout_s
        async with self.channel() as channel:
            while self.running and time.monotonic() < deadline_s:
                if await _is_serving(channel, service):
                    return
        state = "still starting" if self.running else "gone"
        tail = self.log[-LOG_TAIL_CHARACTERS:]
        raise RuntimeError(f"expected SERVING within {timeout_s} s, the server is {state}:\n{tail}")

    def channel(self) -> grpc.aio.Channel:
        """A new plain-text channel to the server; the caller closes it."""
        return grpc.aio.insecure_channel(self.grpc_address, options=RECONNECT_FAST)

    def kill(self) -> None:
        """kill -9 to the process and its workers; returns when it is gone."""
        os.killpg(self.id, signal.SIGKILL)
        self.wait()

    def terminate(self) -> int:
        """SIGTERM, as an orchestrator stops a server; returns the exit code when it has drained."""
        os.kill(self.id, signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Waits for the end of the process and returns its exit code."""
        assert self._process is not None, "expected a started server; call start() first"
        return self._process.wait(timeout_s)

    def pause(self) -> None:
        """SIGSTOP: alive, connected and silent."""
        os.killpg(self.id, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.killpg(self.id, signal.SIGCONT)


async def check_health(
    channel: grpc.aio.Channel, service: str = "", *, timeout_s: float
) -> health_pb2.HealthCheckResponse:
    """Asks the health service once, waiting for a connection; AioRpcError without an answer."""
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    request = health_pb2.HealthCheckRequest(service=service)
    answer: health_pb2.HealthCheckResponse = await check(
        request, timeout=timeout_s, wait_for_ready=True
    )
    return answer


async def _is_serving(channel: grpc.aio.Channel, service: str) -> bool:
    """Asks once; False when there is no answer yet, or another one than SERVING."""
    try:
        answer = await check_health(channel, service, timeout_s=HEALTH_POLL_S)
    except grpc.aio.AioRpcError as error:
        if error.code() not in STARTING:
            raise
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
