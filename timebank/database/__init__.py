"""Databases: opening the reader and the writer of the configured database.

Owns: the choice between SQLite and PostgreSQL, engines and their life. Refuses: tables and
statements (see the services' store/), migrations (see timebank.migrations).
Rules: reads and writes go through separate engines, and the reader cannot write; opening connects
to nothing; every failure of a database is told as one TimebankError without SQL and without
secrets.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank.config import DatabaseConfig
from timebank.database import postgresql, sqlite
from timebank.database.failures import DATABASE_ERRORS, translate_database_error

__all__ = [
    "DATABASE_ERRORS",
    "Databases",
    "open_databases",
    "reading",
    "translate_database_error",
]

Dialect = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Databases:
    """The engines of one database.

    `reader` gives snapshots: every statement of one of its transactions sees the same state.
    `writer` is asynchronous on PostgreSQL; on SQLite it is synchronous, for a thread of its own,
    and begins with BEGIN IMMEDIATE. `lookups` is for single statements that many callers share.
    """

    dialect: Dialect
    reader: AsyncEngine
    writer: Engine | AsyncEngine
    lookups: Engine | AsyncEngine
    _lock: sqlite.FileLock | None = field(default=None, repr=False)

    async def check(self) -> None:
        """Asks the database for an answer. Raises: DATABASE_UNAVAILABLE without one."""
        async with reading(self.reader) as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Closes the connections and frees the file for another process."""
        await self.reader.dispose()
        if isinstance(self.writer, AsyncEngine):
            await self.writer.dispose()
        else:
            self.writer.dispose()
        if isinstance(self.lookups, Engine):
            self.lookups.dispose()
        if self._lock is not None:
            self._lock.release()


async def scrub(databases: Databases) -> None:
    """Removes what was erased from SQLite's log of changes; PostgreSQL's VACUUM does its own."""
    if isinstance(databases.writer, Engine):
        await asyncio.to_thread(sqlite.truncate_log, databases.writer)


@asynccontextmanager
async def reading(reader: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Opens a connection to read with; what fails on it is DATABASE_UNAVAILABLE."""
    try:
        async with reader.connect() as connection:
            yield connection
    except DATABASE_ERRORS as error:
        raise translate_database_error(error) from error


def open_databases(database: DatabaseConfig, *, exclusive: bool = True) -> Databases:
    """Opens the configured database; missing directories of a SQLite file are made.

    `exclusive` takes a SQLite file for this process until `close`; a process that only reads need
    not. Raises: DATABASE_UNAVAILABLE when another process has taken the file, or it cannot be made
    or opened; READ_ONLY when it cannot be written; VALIDATION_FAILED when the password file cannot
    be read.
    """
    if not database.is_sqlite:
        reader = postgresql.open_reader(database)
        return Databases("postgresql", reader, postgresql.open_writer(database), reader)
    path = sqlite.path_of(database.url)
    lock = sqlite.take(path) if exclusive else None
    if not exclusive:
        sqlite.expect(path)
    return Databases(
        "sqlite",
        sqlite.open_reader(path),
        sqlite.open_writer(path),
        sqlite.open_lookups(path),
        lock,
    )
