"""One consistent reading of the database, in big pages and with rows as the driver gives them.

Owns: a read-only transaction on a connection of its own. Refuses: writing, and any rule about what
the rows mean. Rules: every statement of a snapshot sees the same state, whatever is committed
meanwhile; parameters are `?1`, `?2` ...; a text that is not UTF-8 comes as surrogate escapes, so
that a damaged row can be shown. A reading may take as long as it needs: the server's limits on
statements and idle transactions are lifted for it alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank.config import DatabaseConfig
from timebank.database import (
    DATABASE_ERRORS,
    Databases,
    open_databases,
    translate_database_error,
)
from timebank.database.statements import Row
from timebank.errors import Reason, TimebankError

STATEMENT_SECONDS_MAX = 6 * 3_600
"""A sort of hundreds of millions of rows ends within this; a server that is silent is given up
after it.
"""


class Snapshot(Protocol):
    """One state of the database; close it, for it keeps old rows alive."""

    name: str
    """What another connection may open the same state by; empty when the database has no such
    names.
    """

    byte_order: str
    """What follows a text column in ORDER BY to sort it by its bytes."""

    async def rows(self, sql: str, *arguments: object) -> list[Row]:
        """Reads all rows of a query that has few. Raises the reasons of a database that fails."""
        ...

    def pages(self, sql: str, *arguments: object) -> Pages:
        """Starts a query that has many rows."""
        ...

    async def close(self) -> None:
        """Ends the transaction and drops the connection."""
        ...


class Pages(Protocol):
    """The rows of a query in order, as many at a time as are asked for."""

    async def take(self, count: int) -> list[Row]:
        """Gives the next rows, fewer than `count` only at the end."""
        ...


@asynccontextmanager
async def reading_snapshot(
    database: DatabaseConfig, *, name: str = ""
) -> AsyncIterator[tuple[Databases, Snapshot]]:
    """Opens a database for reading alone, beside whoever writes it, and a snapshot of it; with a
    `name` the one that another connection holds open.

    Raises DATABASE_UNAVAILABLE.
    """
    databases = open_databases(database, exclusive=False)
    try:
        snapshot = await open_snapshot(databases, name=name)
        try:
            yield databases, snapshot
        finally:
            await snapshot.close()
    finally:
        await databases.close()


async def open_snapshot(databases: Databases, *, name: str = "") -> Snapshot:
    """Opens a snapshot, with a `name` the one that another connection holds open.

    Raises DATABASE_UNAVAILABLE when the database cannot be read or the named snapshot is gone.
    """
    lookups = databases.lookups
    try:
        if isinstance(lookups, Engine):
            return _open_sqlite(lookups)
        return await _open_postgresql(databases.reader, name)
    except DATABASE_ERRORS as error:
        raise _unreadable(error) from error


def _open_sqlite(engine: Engine) -> SqliteSnapshot:
    connection = engine.connect()
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # pysqlite's own connection
    driver.text_factory = _text
    driver.execute("BEGIN")
    # SQLite takes the snapshot at the first read, not at BEGIN.
    driver.execute("SELECT count(*) FROM sqlite_master").fetchall()
    return SqliteSnapshot(connection, driver)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class SqliteSnapshot:
    """A snapshot of a SQLite file, which any number of servers and readers may have open."""

    def __init__(self, connection: Connection, driver: sqlite3.Connection) -> None:
        self.name = ""
        self.byte_order = ""
        self._connection = connection
        self._driver = driver

    async def rows(self, sql: str, *arguments: object) -> list[Row]:
        """Reads all rows of a query that has few."""
        try:
            return self._driver.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(error) from error

    def pages(self, sql: str, *arguments: object) -> SqlitePages:
        """Starts a query that has many rows."""
        return SqlitePages(self._driver, sql, arguments)

    async def close(self) -> None:
        """Ends the transaction and drops the connection."""
        self._connection.invalidate()
        self._connection.close()


class SqlitePages:
    """A cursor; the query starts when the first rows are taken."""

    def __init__(self, driver: sqlite3.Connection, sql: str, arguments: Sequence[Any]) -> None:
        self._driver = driver
        self._query: tuple[str, Sequence[Any]] | None = (sql, arguments)
        self._cursor = driver.cursor()

    async def take(self, count: int) -> list[Row]:
        """Gives the next rows."""
        try:
            if self._query is not None:
                self._cursor.execute(*self._query)
                self._query = None
            return self._cursor.fetchmany(count)
        except sqlite3.Error as error:
            raise _unreadable(error) from error


async def _open_postgresql(engine: AsyncEngine, name: str) -> PostgresqlSnapshot:
    connection = await engine.connect()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    if name:
        # The name came from pg_export_snapshot(); the statement takes no parameters.
        quoted = name.replace("'", "''")
        await driver.execute(f"SET TRANSACTION SNAPSHOT '{quoted}'")
    await driver.execute("SET LOCAL statement_timeout = 0")
    await driver.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    exported = name or await driver.fetchval("SELECT pg_export_snapshot()")
    return PostgresqlSnapshot(connection, driver, exported)


class PostgresqlSnapshot:
    """A snapshot of a PostgreSQL database, which other connections may open by its name."""

    def __init__(self, connection: AsyncConnection, driver: Any, name: str) -> None:
        self.name = name
        self.byte_order = ' COLLATE "C"'
        self._connection = connection
        self._driver = driver

    async def rows(self, sql: str, *arguments: object) -> list[Row]:
        """Reads all rows of a query that has few."""
        try:
            found: list[Row] = await self._driver.fetch(
                _numbered(sql), *arguments, timeout=STATEMENT_SECONDS_MAX
            )
        except DATABASE_ERRORS as error:
            raise _unreadable(error) from error
        return found

    def pages(self, sql: str, *arguments: object) -> PostgresqlPages:
        """Starts a query that has many rows."""
        return PostgresqlPages(self._driver, _numbered(sql), arguments)

    async def close(self) -> None:
        """Ends the transaction by dropping the connection."""
        self._driver.terminate()
        await self._connection.invalidate()
        await self._connection.close()


class PostgresqlPages:
    """A cursor; the query starts when the first rows are taken."""

    def __init__(self, driver: Any, sql: str, arguments: Sequence[Any]) -> None:
        self._driver = driver
        self._sql = sql
        self._arguments = arguments
        self._cursor: Any = None

    async def take(self, count: int) -> list[Row]:
        """Gives the next rows."""
        try:
            if self._cursor is None:
                self._cursor = await self._driver.cursor(
                    self._sql, *self._arguments, timeout=STATEMENT_SECONDS_MAX
                )
            found: list[Row] = await self._cursor.fetch(count, timeout=STATEMENT_SECONDS_MAX)
        except DATABASE_ERRORS as error:
            raise _unreadable(error) from error
        return found


async def every_row(pages: Pages, count: int) -> AsyncIterator[Row]:
    """Gives the rows of a query one by one, reading `count` at a time."""
    while page := await pages.take(count):
        for row in page:
            yield row


def _numbered(sql: str) -> str:
    return sql.replace("?", "$")


def _unreadable(error: BaseException) -> TimebankError:
    """Names a failure; tables or columns that are not there are a database that does not fit."""
    if isinstance(error, sqlite3.OperationalError | asyncpg.UndefinedTableError):
        known = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR
        if not known:
            return TimebankError(
                Reason.DATABASE_UNAVAILABLE,
                "database: the service's tables are not there or do not fit this program; check its"
                " url, and run `timebank migrate`",
            )
    return translate_database_error(error)
