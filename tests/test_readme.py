"""The commands in the README work as printed, one after the other, against a running server."""

import asyncio
import os
import pathlib
import re
import shutil
import signal
import sys

import pytest

from tests.conftest import ServerFactory
from tests.support.envoys import envoy_config
from tests.support.processes import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
READMES = ["README.md", "README.zh-CN.md"]
SCRIPT_TIMEOUT_S = 120
PRINTED_GRPC_ADDRESS = "127.0.0.1:50051"
PRINTED_HTTP_ADDRESS = "127.0.0.1:9464"
PRINTED_ENVOY_ADDRESS = "127.0.0.1:8080"
ENDS_WHAT_IT_STARTED = "trap 'kill $(jobs -p) && wait' EXIT"
RUN_BLOCK = re.compile(r"^```sh run\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_blocks(name: str) -> list[str]:
    """The blocks of a README that are marked to be run."""
    return RUN_BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))


async def test_the_commands_of_the_readme_work_in_their_order(
    start_server: ServerFactory,
) -> None:
    """Those of both languages, which are the same: see below."""
    server = start_server({"": {"services": ["ledger", "merchant"]}})
    await server.serving("timebank.ledger.v1.LedgerService")
    port = free_port()
    shutil.copytree(ROOT / "deploy", server.folder / "deploy")
    (server.folder / "deploy" / "envoy" / "envoy.yaml").write_text(
        envoy_config(port=port, server_port=int(server.grpc_address.rpartition(":")[2])),
        encoding="utf-8",
    )
    script = "\n".join(["set -euo pipefail", ENDS_WHAT_IT_STARTED, *run_blocks("README.md")])
    script = script.replace(PRINTED_ENVOY_ADDRESS, f"127.0.0.1:{port}")
    script = script.replace(PRINTED_GRPC_ADDRESS, server.grpc_address)
    script = script.replace(PRINTED_HTTP_ADDRESS, server.http_address)
    programs = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        cwd=server.folder,
        env={
            **os.environ,
            "PATH": programs,
            "TIMEBANK_SERVER": server.grpc_address,
            "TIMEBANK_HTTP": f"http://127.0.0.1:{port}",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SCRIPT_TIMEOUT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output.decode()


def test_the_readme_has_commands_for_each_of_its_readers() -> None:
    assert len(run_blocks("README.md")) == 5


def test_both_languages_show_the_same_commands() -> None:
    english, chinese = (
        re.findall(r"^```sh.*?^```$", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)
        for name in READMES
    )
    without_comments = [
        [re.sub(r"\s+#.*$", "", block, flags=re.M) for block in blocks]
        for blocks in (english, chinese)
    ]
    assert without_comments[0] == without_comments[1]


@pytest.mark.parametrize("name", READMES)
def test_every_file_that_the_readme_links_to_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
