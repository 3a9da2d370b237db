"""The processes of a benchmark: started, found ready, and ended with everything they made.

Owns: how a Python module is run as a process of its own. Rules: its environment is empty but
for what a program needs, so that no setting of the caller's leads it to another database; it has a
session of its own and is ended by its id.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import timebank
from timebank.errors import Reason, TimebankError

ROOT = Path(timebank.__file__).resolve().parent.parent
ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
STOP_TIMEOUT_S = 40.0
LOG_TAIL_CHARACTERS = 2_000


def free_port() -> int:
    """Gives a loopback port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PythonProcess:
    """`python -m MODULE ARGUMENTS` with its output in a file."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        """Starts the process at once."""
        self.log = log
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def id(self) -> int:
        """Gives the process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Says whether the process lives."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Asks the process to end and waits; one that does not is killed with its descendants."""
        if not self.running:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.id, signal.SIGKILL)
            self._process.wait(STOP_TIMEOUT_S)

    def failure(self, what: str) -> TimebankError:
        """Makes the error that says what was expected, with the end of the output."""
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARACTERS:]
        state = "still running" if self.running else f"gone, exit code {self._process.poll()}"
        text = f"bench: expected {what}; the process is {state}:\n{tail.strip()}"
        return TimebankError(Reason.DATABASE_UNAVAILABLE, text)


def run_to_end(module: str, arguments: Sequence[str], log: Path) -> tuple[int, float]:
    """Runs `python -m MODULE ARGUMENTS` to its end; gives the exit code and the time in seconds."""
    start_s = time.perf_counter()
    with open(log, "ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode, time.perf_counter() - start_s
