"""A real Envoy with the shipped configuration, on free ports, and curl to call it.

Owns both processes, and the changes of port that let several run at once. Refuses: a machine
without curl, which is told by name.
"""

import asyncio
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc.aio
from typer.testing import CliRunner

from tests.support.processes import RECONNECT_FAST, ROOT, free_port
from timebank.protos_cli import app

ENVOY = pathlib.Path(sys.executable).parent / "envoy"
CONFIG = ROOT / "deploy" / "envoy" / "envoy.yaml"
PRINTED_PORT = "port_value: 8080"
PRINTED_SERVER_PORT = "port_value: 50051"
DESCRIPTORS = "data/descriptors.binpb"
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
CALL_TIMEOUT_S = 30
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
OPERATOR = ""
"""The token of a caller who has none, and is an operator in development."""


class Answer(NamedTuple):
    """What curl got."""

    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict), found
        return found

    @property
    def reason(self) -> str:
        """The reason of a refusal, from its ErrorInfo."""
        details = self.json["details"]
        (reason,) = (one["reason"] for one in details if one["@type"] == ERROR_INFO)
        return str(reason)


def program(name: str) -> str:
    """The path of a program that every machine with a till has; AssertionError without it."""
    found = shutil.which(name)
    assert found, f"expected the program {name} on this machine, found none: install it"
    return found


def curl(
    url: str, *options: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Runs curl and gives the answer, whatever its status; a `body` is posted."""
    shown = ["--silent", "--show-error", "--write-out", "%{stderr}%{http_code} %{content_type}"]
    named = [word for key, value in (headers or {}).items() for word in ("-H", f"{key}: {value}")]
    posted = [] if body is None else ["--data-binary", "@-"]
    done = subprocess.run(
        [program("curl"), *shown, *named, *posted, *options, url],
        input=body or b"",
        capture_output=True,
        check=False,
        timeout=CALL_TIMEOUT_S,
    )
    said = done.stderr.decode()
    assert done.returncode == 0, said
    status, _, content_type = said.partition(" ")
    return Answer(int(status), content_type, done.stdout)


def envoy_config(*, port: int, server_port: int) -> str:
    """The shipped configuration, listening and calling elsewhere."""
    text = CONFIG.read_text(encoding="utf-8")
    assert PRINTED_PORT in text
    assert PRINTED_SERVER_PORT in text
    text = text.replace(PRINTED_PORT, f"port_value: {port}")
    return text.replace(PRINTED_SERVER_PORT, f"port_value: {server_port}")


@contextmanager
def running_envoy(
    folder: pathlib.Path, server_port: int, *, changes: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Envoy with the shipped configuration; gives its address once it listens.

    `changes` replaces texts of the configuration that are there. Not for a running event loop.
    """
    port = free_port()
    text = envoy_config(port=port, server_port=server_port)
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    config = folder / "envoy.yaml"
    config.write_text(text, encoding="utf-8")
    written = CliRunner().invoke(app, ["descriptors", "--out", str(folder / DESCRIPTORS)])
    assert written.exit_code == 0, written.output
    arguments = ["--config-path", str(config), "--disable-hot-restart", "--concurrency", "1"]
    log = folder / "envoy.log"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [str(ENVOY), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        try:
            asyncio.run(_listening(port))
        except TimeoutError as error:
            said = log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"expected Envoy on port {port}, it says:\n{said}") from error
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(STOP_TIMEOUT_S)


async def _listening(port: int) -> None:
    """Returns when the port speaks h2: Envoy opens it after the first check of the server."""
    address = f"127.0.0.1:{port}"
    async with (
        asyncio.timeout(START_TIMEOUT_S),
        grpc.aio.insecure_channel(address, options=RECONNECT_FAST) as channel,
    ):
        await channel.channel_ready()
