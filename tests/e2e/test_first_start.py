"""A stranger starts the server, pastes what it prints, stops it, and does the same once more."""

import asyncio
import os
import pathlib
import shutil
import signal
import sys

from tests.conftest import ServerFactory
from tests.support.command_line import Result, run_program
from tests.support.processes import ROOT, START_TIMEOUT_S, ServerProcess
from tests.support.timeoverflow import write
from timebank.dev_tokens import PEOPLE

SERVICE = "timebank.ledger.v1.LedgerService"
SAMPLE = pathlib.Path("deploy/examples/timeoverflow.csv")
HEADING = "Try it:"
LAST = "timebank audit"


async def printed(server: ServerProcess, start: int) -> list[str]:
    """The commands of start number `start`, once the server has printed them all."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while server.log.count(f"\n{LAST}") < start:
            await server.serving(SERVICE)
    lines = server.log.split(HEADING)[start].splitlines()[1:]
    last = next(at for at, line in enumerate(lines) if line.startswith(LAST))
    return lines[: last + 1]


async def paste(server: ServerProcess, commands: list[str]) -> Result:
    """Runs commands in a shell that stops at the first failure."""
    programs = pathlib.Path(sys.executable).parent
    script = "\n".join(["set -euo pipefail", f'export PATH="{programs}:$PATH"', *commands])
    return await run_program(server.folder, "bash", "-c", script)


def interrupt(server: ServerProcess) -> int:
    """Ctrl-C; gives the exit code."""
    os.kill(server.id, signal.SIGINT)
    return server.wait()


async def test_every_printed_command_works_on_the_first_start_and_on_the_next(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / SAMPLE).parent.mkdir(parents=True)
    shutil.copy(ROOT / SAMPLE, tmp_path / SAMPLE)
    with ServerProcess(tmp_path, {"log": {"format": "console"}}) as server:
        commands = await printed(server, 1)
        made = [command.split(" timebank.example")[0] for command in commands]
        assert {"timebank keys new"} < set(made)
        first = await paste(server, commands)
        assert first.code == 0, first
        assert "VERIFIED" in first.out
        assert "Everything agrees" in first.out
        assert interrupt(server) == 0
        server.start()
        commands = await printed(server, 2)
        assert not any("keys new" in line or "ledger create" in line for line in commands)
        again = await paste(server, commands)
        assert again.code == 0, again
        assert "booked before" in again.out
        assert "Traceback" not in server.log


async def test_each_person_has_a_token_that_is_printed_and_in_a_file(
    start_server: ServerFactory,
) -> None:
    server = start_server()
    await printed(server, 1)
    for word in PEOPLE:
        path = server.folder / "data" / "development" / f"{word}.token"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().strip() in server.log


async def test_without_the_development_identity_no_token_and_no_command_is_printed(
    start_server: ServerFactory,
) -> None:
    server = start_server({"identity": {"mode": "none"}})
    await server.serving(SERVICE)
    assert interrupt(server) == 0
    assert "gRPC on" in server.log
    assert HEADING not in server.log
    assert "eyJ" not in server.log


def test_the_sample_is_what_its_script_makes(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "sample.csv", rows=60, seed=1, clean=True)
    assert (tmp_path / "sample.csv").read_bytes() == (ROOT / SAMPLE).read_bytes()
