"""SQLite: the embedded default, one file for one server process.

Owns: how a file is opened, and the lock that keeps a second server away. Refuses: memory databases.
Rules: WAL, so that readers never wait; a commit is on the disk when it returns (synchronous=FULL);
a writer takes its lock when it begins (BEGIN IMMEDIATE), for SQLite knows no FOR UPDATE and a later
upgrade may fail; readers hold a snapshot and cannot write.
"""

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from timebank.errors import Reason, TimebankError

BUSY_MS = 5_000
WAL_PAGES = 16_000
"""Pages (64 MiB) after which the log of changes is copied into the file: a page that changes often
is copied once.
"""
STATEMENTS_KEPT = 512
"""Prepared statements of a writer: a few sizes for each table and way to write."""
WRITER_BEGIN = "BEGIN IMMEDIATE"
READERS_MAX = 8
READER_WAIT_SECONDS = 5
CACHE_KIB = 65_536
LOCK_SUFFIX = ".lock"
HOLDER_BYTES_MAX = 20
_EVERY_CONNECTION = (f"PRAGMA busy_timeout = {BUSY_MS}", f"PRAGMA cache_size = -{CACHE_KIB}")
_WRITER = (
    *_EVERY_CONNECTION,
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA wal_autocheckpoint = {WAL_PAGES}",
    "PRAGMA foreign_keys = ON",
    # What is erased leaves nothing on its page.
    "PRAGMA secure_delete = ON",
)
_READER = (*_EVERY_CONNECTION, "PRAGMA query_only = ON")


class FileLock:
    """A lock on a file of its own; the kernel frees it when the process ends in whatever way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Frees the lock; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def truncate_log(engine: Engine) -> None:
    """Copies the log of changes into the file and empties it, so that what was erased is gone from
    both; what readers still need stays until the next time.
    """
    with engine.connect() as connection:
        # Past SQLAlchemy, which would begin a transaction: a checkpoint is refused within one.
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # pysqlite's own connection
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def path_of(url: str) -> Path:
    """Gives the file of a SQLite url."""
    return Path(make_url(url).database or "")


def take(path: Path) -> FileLock:
    """Makes the directory of a database file and locks the file for this process.

    Raises: DATABASE_UNAVAILABLE when another process has it or the directory cannot be made;
    READ_ONLY when the directory or the file cannot be written.
    """
    lock_path = path.with_name(path.name + LOCK_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise _read_only(path.parent) from error
        raise _unavailable(
            f"{path.parent} cannot be used ({error.strerror}); check database.url"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, HOLDER_BYTES_MAX, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise _unavailable(
            f"{path} is in use by process {holder or 'unknown'}; stop it, or set database.url "
            "to another file or to PostgreSQL"
        ) from error
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    if path.exists() and not os.access(path, os.W_OK):
        os.close(descriptor)
        raise _read_only(path)
    return FileLock(descriptor)


def expect(path: Path) -> None:
    """Raises: DATABASE_UNAVAILABLE when there is no such file; SQLite would make an empty one."""
    if not path.is_file():
        raise _unavailable(f"expected a file {path}, got none; check database.url")


def open_writer(path: Path) -> Engine:
    """Opens the synchronous engine that writes; its connections may move between threads."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        hide_parameters=True,
        connect_args={"check_same_thread": False, "cached_statements": STATEMENTS_KEPT},
        pool_size=1,
        max_overflow=-1,
    )
    _set_up(engine, _WRITER, begin=WRITER_BEGIN)
    return engine


def open_reader(path: Path) -> AsyncEngine:
    """Opens the asynchronous engine that reads snapshots and cannot write."""
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        hide_parameters=True,
        pool_size=READERS_MAX,
        max_overflow=0,
        pool_timeout=READER_WAIT_SECONDS,
    )
    _set_up(engine.sync_engine, _READER, begin="BEGIN")
    return engine


def open_lookups(path: Path) -> Engine:
    """Opens the synchronous engine of shared look-ups: it cannot write, and each statement stands
    alone. A connection may move between threads, one at a time; nobody waits for one, which would
    be in the event loop.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        hide_parameters=True,
        connect_args={"check_same_thread": False},
        pool_size=READERS_MAX,
        max_overflow=-1,
    )
    _set_up(engine, _READER, begin="BEGIN")
    return engine


def _set_up(engine: Engine, statements: tuple[str, ...], *, begin: str) -> None:
    """Prepares each new connection, and takes the beginning of transactions out of the driver's
    hands.

    The driver would begin before the first change only: a reader would have no snapshot, and a
    writer would start without the lock.
    """

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _unavailable(what: str) -> TimebankError:
    return TimebankError(Reason.DATABASE_UNAVAILABLE, f"database: {what}")


def _read_only(path: Path) -> TimebankError:
    return TimebankError(
        Reason.READ_ONLY,
        f"database: {path} may not be written; check its rights or set database.url to another",
    )
