"""The `timebank` command as a user runs it: in a process of its own, or quickly in this one.

Owns running it without any setting of this machine, and what a refusal looks like.
"""

import asyncio
import os
import pathlib
import sys
from dataclasses import dataclass

import pytest

from tests.support.processes import ROOT
from timebank.__main__ import main

COMMAND_TIMEOUT_S = 60


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    error: str


async def timebank(folder: pathlib.Path, *arguments: str, **variables: str) -> Result:
    """Runs the command line in a folder, without any setting of the machine's."""
    return await run_program(folder, sys.executable, "-m", "timebank", *arguments, **variables)


async def run_program(folder: pathlib.Path, *command: str, **variables: str) -> Result:
    """Runs a program in a folder; what it starts finds this source tree."""
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("TIMEBANK_")}
    wide = {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=inherited | wide | variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            out, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return Result(process.returncode or 0, out.decode(), error.decode())


class Shell:
    """Runs commands in this process, in a folder of its own; not for a server that starts."""

    def __init__(
        self,
        folder: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        for name in list(os.environ):
            if name.startswith("TIMEBANK_"):
                monkeypatch.delenv(name)

    def run(self, *arguments: str) -> Result:
        self._monkeypatch.setattr(sys, "argv", ["timebank", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else int(code is not None), said.out, said.err)


def assert_refused(result: Result, *words: str) -> None:
    """One line on stderr that starts with `error: ` and ends with the reason; exit code 1."""
    assert result.code == 1
    assert len(result.error.splitlines()) == 1
    assert result.error.startswith("error: ")
    assert result.error.endswith(")\n")
    for word in words:
        assert word in result.error
