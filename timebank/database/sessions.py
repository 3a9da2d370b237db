"""The one place that knows the database's name: how a plan runs on SQLite and on PostgreSQL.

A session is one writer's connection. `run` carries out a plan, beginning a transaction before it or
committing after it when asked. A commit whose outcome is not known raises `UnknownCommit`; any
other failure has rolled back. Errors of the driver come out as TimebankError.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import asyncpg
import sqlalchemy
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank.database import (
    DATABASE_ERRORS,
    Databases,
    postgresql_sql,
    sqlite_sql,
    translate_database_error,
)
from timebank.database.sqlite import BUSY_MS, WRITER_BEGIN
from timebank.database.statements import Lock, Plan, Read, Row, Statement, Write

T = TypeVar("T")

_LOG = structlog.get_logger("timebank.database")
_WRITERS: WeakKeyDictionary[sqlalchemy.Engine, asyncio.Lock] = WeakKeyDictionary()
"""SQLite has one writer: who waits for it here leaves the event loop to the one who writes."""
_DURABLE = """SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off'"""
"""A commit that was acknowledged is on the disk, whatever the role or the database prefers."""
INLINE_ROWS_MAX = 256
"""Writes of more rows than this leave the event loop to others."""


class UnknownCommit(Exception):
    """The connection broke, or the database warned, while a commit was under way."""


class WriterSession(Protocol):
    """One writer's connection to the database."""

    async def run(
        self, ledger_no: int, plan: Plan[T], *, begin: bool = False, commit: bool = False
    ) -> T:
        """Runs a plan in the session's transaction; see the module for what it raises."""
        ...

    async def rollback(self) -> None:
        """Gives the transaction up; never raises."""
        ...

    async def close(self) -> None:
        """Drops the connection; the next run opens another one. Never raises."""
        ...

    async def release(self) -> None:
        """Gives the connection back between transactions; the next run takes one again."""
        ...

    def is_crowded(self) -> bool:
        """Tells whether every connection is taken, so that others may wait for this one."""
        ...


class PostgresqlSession:
    """Plans over asyncpg, on a connection of its own from the writer pool."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._warnings: list[str] = []

    async def run(
        self, ledger_no: int, plan: Plan[T], *, begin: bool = False, commit: bool = False
    ) -> T:
        """Runs a plan, statement by statement."""
        try:
            driver = self._driver or await self._open()
            if begin:
                await driver.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            result = await self._drive(driver, ledger_no, plan)
        except DATABASE_ERRORS as error:
            await self.close()
            raise translate_database_error(error) from error
        if commit:
            await self._commit(driver)
        return result

    async def _drive(self, driver: Any, ledger_no: int, plan: Plan[T]) -> T:
        try:
            statement: Statement = next(plan)
            while True:
                statement = plan.send(await self._execute(driver, ledger_no, statement))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _execute(self, driver: Any, ledger_no: int, statement: Statement) -> list[Row]:
        if isinstance(statement, Lock):
            sql, arguments = postgresql_sql.lock(statement)
            rows: list[Row] = await driver.fetch(sql, ledger_no, *arguments)
        elif isinstance(statement, Read):
            if not statement.keys:
                return []
            sql, arguments = postgresql_sql.read(statement)
            rows = await driver.fetch(sql, ledger_no, *arguments)
        else:
            copied, statement = postgresql_sql.split(statement)
            for table, inserted in copied:
                records = [(ledger_no, *row) for row in inserted]
                columns = [column.name for column in table.columns]
                await driver.copy_records_to_table(table.name, records=records, columns=columns)
            sql, arguments = postgresql_sql.write(statement)
            rows = await driver.fetch(sql, ledger_no, *arguments)
        return rows

    async def _commit(self, driver: Any) -> None:
        self._warnings.clear()
        try:
            await driver.execute("COMMIT")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise UnknownCommit(str(error)) from error
        if self._warnings:
            await self.close()
            raise UnknownCommit("; ".join(self._warnings))

    async def _open(self) -> Any:
        self._connection = await self._engine.connect()
        raw = await self._connection.get_raw_connection()
        self._driver = raw.driver_connection
        self._driver.add_log_listener(self._note_warning)
        await self._driver.execute(_DURABLE)
        return self._driver

    def _note_warning(self, _: object, message: Any) -> None:
        if message.severity_en == "WARNING":
            self._warnings.append(message.message)

    async def rollback(self) -> None:
        """Rolls back, or drops the connection when that fails."""
        if self._driver is None:
            return
        try:
            await self._driver.execute("ROLLBACK")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self.close()

    async def close(self) -> None:
        """Drops the connection without waiting for it."""
        connection, driver = self._connection, self._driver
        self._connection = self._driver = None
        if driver is not None:
            driver.remove_log_listener(self._note_warning)
            driver.terminate()
        if connection is not None:
            try:
                await connection.invalidate()
                await connection.close()
            except Exception as error:  # noqa: BLE001  # it is dropped either way
                _LOG.warning("dropping a connection failed", exc_info=error)

    async def release(self) -> None:
        """Gives the connection back to the pool."""
        connection, driver = self._connection, self._driver
        self._connection = self._driver = None
        if driver is not None:
            driver.remove_log_listener(self._note_warning)
        if connection is not None:
            try:
                await connection.close()
            except Exception as error:  # noqa: BLE001  # the pool opens another one
                _LOG.warning("giving a connection back failed", exc_info=error)

    def is_crowded(self) -> bool:
        """Tells whether the pool has no connection left."""
        pool: Any = self._engine.pool
        return bool(pool.checkedout() >= pool.size())


class SqliteSession:
    """Plans over one sqlite3 connection.

    What takes microseconds runs in the event loop itself: handing it to a thread would cost more,
    and every statement there would wait for the interpreter lock. Large writes and the commit,
    which waits for the disk, run in a thread.
    """

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "sqlite-writer")
        self._connection: sqlalchemy.Connection | None = None
        self._writers = _WRITERS.setdefault(engine, asyncio.Lock())
        self._is_writer = False

    async def run(
        self, ledger_no: int, plan: Plan[T], *, begin: bool = False, commit: bool = False
    ) -> T:
        """Runs a plan, statement by statement."""
        try:
            if begin and not self._is_writer:
                await self._writers.acquire()
                self._is_writer = True
            driver = self._open()
            if begin:
                await self._begin(driver)
            result = await self._drive(driver, ledger_no, plan)
            if commit:
                await self._in_thread(driver.commit)
                self._end_writing()
        except DATABASE_ERRORS as error:
            await self.close()
            raise translate_database_error(error) from error
        return result

    async def _drive(self, driver: sqlite3.Connection, ledger_no: int, plan: Plan[T]) -> T:
        try:
            statement: Statement = next(plan)
            while True:
                if isinstance(statement, Write) and statement.size() > INLINE_ROWS_MAX:
                    large = partial(_execute_sqlite, driver, ledger_no, statement)
                    rows = await self._in_thread(large)
                else:
                    rows = _execute_sqlite(driver, ledger_no, statement)
                statement = plan.send(rows)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
            self._driver().execute("PRAGMA busy_timeout = 0")
        return self._driver()

    def _driver(self) -> sqlite3.Connection:
        driver: sqlite3.Connection = self._opened().connection.driver_connection  # type: ignore[assignment]  # pysqlite's own connection
        return driver

    async def _begin(self, driver: sqlite3.Connection) -> None:
        """Begins at once, or waits for another program's lock in the thread: the loop serves on."""
        try:
            driver.execute(WRITER_BEGIN)
        except sqlite3.OperationalError:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            await self._in_thread(partial(driver.execute, WRITER_BEGIN))
            driver.execute("PRAGMA busy_timeout = 0")

    def _opened(self) -> sqlalchemy.Connection:
        assert self._connection is not None, "opened by run"
        return self._connection

    async def rollback(self) -> None:
        """Rolls back; the connection is opened anew by the next run."""
        await self.close()

    async def close(self) -> None:
        """Drops the connection after what its thread is doing."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                await self._in_thread(connection.close)
        except Exception as error:  # noqa: BLE001  # it is dropped either way
            _LOG.warning("dropping a connection failed", exc_info=error)
        finally:
            self._end_writing()

    def _end_writing(self) -> None:
        if self._is_writer:
            self._is_writer = False
            self._writers.release()

    async def release(self) -> None:
        """Keeps the connection: a file has as many as are asked for."""

    def is_crowded(self) -> bool:
        """Says no: a file has as many connections as are asked for."""
        return False


def _execute_sqlite(driver: sqlite3.Connection, ledger_no: int, statement: Statement) -> list[Row]:
    if isinstance(statement, Lock):
        sql = sqlite_sql.lock(statement.table, statement.columns)
        locked: list[Row] = driver.execute(sql, (ledger_no,)).fetchall()
        found = _read_sqlite(driver, ledger_no, statement.lookup) if statement.lookup else []
        return [(*locked[0], *row) for row in found] or locked
    if isinstance(statement, Read):
        return _read_sqlite(driver, ledger_no, statement)
    for sql, arguments in sqlite_sql.write(statement, ledger_no):
        driver.execute(sql, arguments)
    return []


def _read_sqlite(driver: sqlite3.Connection, ledger_no: int, statement: Read) -> list[Row]:
    rows: list[Row] = []
    for sql, arguments in sqlite_sql.read(statement, ledger_no):
        rows.extend(driver.execute(sql, arguments))
    return rows


def open_session(databases: Databases) -> WriterSession:
    """Opens the writer's session for the database that is configured."""
    return _session(databases.writer)


def open_read_session(databases: Databases) -> WriterSession:
    """Opens a session for shared look-ups, which never begins a transaction."""
    return _session(databases.lookups)


def _session(engine: sqlalchemy.Engine | AsyncEngine) -> WriterSession:
    if isinstance(engine, AsyncEngine):
        return PostgresqlSession(engine)
    return SqliteSession(engine)
