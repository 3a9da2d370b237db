"""Server processes that start fast: the same command, out of a process that has imported it all.

Owns the fork server of the tests: a process with one thread that has imported the services and
nothing else, neither a database nor a call. Each start forks it and runs `timebank serve` there, in
a session of its own, so that a start costs what the server does and not what Python imports.
"""

import multiprocessing
import os
import pathlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from tests.support.processes import STOP_TIMEOUT_S, ServerProcess, Value
from timebank.__main__ import app

FORKS = multiprocessing.get_context("forkserver")
PRELOADED = [
    *("pytest", "timebank.__main__", "timebank.server", "uvicorn", "uvloop"),
    *("ledger.service", "merchant.service", "aiosqlite", "asyncpg"),
    "tests.support.forked_servers",
]
FORKS.set_forkserver_preload(PRELOADED)


def serve_command(folder: pathlib.Path, arguments: list[str], started: Connection) -> None:
    """Runs `timebank serve` in this process, which becomes one of its own and then says so.

    Output goes to `folder`/server.log; the exit code is that of the command.
    """
    os.setsid()
    os.chdir(folder)
    started.send_bytes(b"started")
    started.close()
    with open(folder / "server.log", "ab", buffering=0) as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    app(["serve", *arguments])


class ForkedServer(ServerProcess):
    """A server process out of the fork server; everything else as `ServerProcess`."""

    _forked: ForkServerProcess | None = None

    @property
    def running(self) -> bool:
        """True while the process lives, frozen or not."""
        return self._forked is not None and self._forked.is_alive()

    @property
    def id(self) -> int:
        """The process id; AssertionError before the first start."""
        assert self._forked is not None, "expected a started server; call start() first"
        assert self._forked.pid is not None, "it was started"
        return self._forked.pid

    def start(self) -> None:
        """Starts the process and returns at once; `serving()` waits for it."""
        assert not self.running, f"expected a stopped server, got process {self.id}"
        arguments = ["--config", str(self.config), *self.arguments]
        started, theirs = FORKS.Pipe(duplex=False)
        self._forked = FORKS.Process(target=serve_command, args=(self.folder, arguments, theirs))
        self._forked.start()
        theirs.close()
        with started:
            started.recv_bytes()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Waits for the end of the process and returns its exit code."""
        assert self._forked is not None, "expected a started server; call start() first"
        self._forked.join(timeout_s)
        code = self._forked.exitcode
        assert code is not None, f"expected the end within {timeout_s} s, the server still runs"
        return code


Serve = Callable[..., ForkedServer]


@contextmanager
def serving_from(folder: pathlib.Path) -> Iterator[Serve]:
    """Gives what starts servers whose keys lie in `folder`/data/keys, each on the database of its
    url; all of them are gone after the block.
    """
    with ExitStack() as processes:
        count = 0

        def start(url: str, **settings: dict[str, Value]) -> ForkedServer:
            nonlocal count
            count += 1
            own = folder / f"server-{count}"
            own.mkdir()
            keys: dict[str, Value] = {"directory": str(folder / "data" / "keys")}
            database = {"url": url} | settings.pop("database", {})
            values = {"keys": keys, "database": database, **settings}
            return processes.enter_context(ForkedServer(own, values))

        yield start
