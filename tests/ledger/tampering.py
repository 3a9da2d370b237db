"""Copies of the audited ledger's database, and a hand that changes them behind the ledger's
back.
"""

import asyncio
import pathlib
import shutil
import sqlite3
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Boolean, Column, LargeBinary, SmallInteger, Table, Text

from ledger.audit.run import Kept, audit_database
from ledger.store import schema
from ledger.store.hours_schema import SCHEMA_TABLES
from tests.ledger.audited import Writer, write_history
from timebank.audits import Report
from timebank.config import DatabaseConfig

FAR = 1_000_003
"""Far from every number in a key."""
FAR_SMALL = 10_007
"""Likewise for 16-bit columns."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Changes rows of one database directly; parameters are `?1`, `?2` ..."""

    url: str

    async def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Runs one statement and gives its rows."""
        if self.url.startswith("sqlite"):
            connection = sqlite3.connect(self.url.removeprefix("sqlite:///"))
            try:
                with connection:
                    return connection.execute(sql, values).fetchall()
            finally:
                connection.close()
        driver = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await driver.fetch(sql.replace("?", "$"), *values)]
        finally:
            await driver.close()

    async def row(self, table: Table, where: str = "") -> dict[str, Any]:
        """Gives the row in the middle of a table, in the order of its key."""
        names = [column.name for column in table.columns]
        order = ", ".join(column.name for column in table.primary_key)
        rows = await self.run(
            f"SELECT {', '.join(names)} FROM {table.name} {where} ORDER BY {order}"
        )
        assert rows, f"no row of {table.name} {where}"
        return dict(zip(names, rows[len(rows) // 2], strict=True))

    async def change(self, table: Table, row: dict[str, Any], **values: object) -> None:
        """Sets columns of one row."""
        keys = [column.name for column in table.primary_key]
        sets = ", ".join(f"{name} = ?{number}" for number, name in enumerate(values, 1))
        same = " AND ".join(
            f"{name} = ?{number}" for number, name in enumerate(keys, len(values) + 1)
        )
        arguments = [*values.values(), *(row[name] for name in keys)]
        await self.run(f"UPDATE {table.name} SET {sets} WHERE {same}", *arguments)

    async def delete(self, table: Table, row: dict[str, Any]) -> None:
        """Deletes one row."""
        keys = [column.name for column in table.primary_key]
        same = " AND ".join(f"{name} = ?{number}" for number, name in enumerate(keys, 1))
        await self.run(f"DELETE FROM {table.name} WHERE {same}", *(row[name] for name in keys))

    async def add(self, table: Table, row: dict[str, Any]) -> None:
        """Inserts one row."""
        marks = ", ".join(f"?{number}" for number in range(1, len(row) + 1))
        await self.run(
            f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({marks})", *row.values()
        )

    async def audit(self, *, kept: Kept | None = None, parallel_from: int = 10**9) -> Report:
        """Audits the database, in one process unless told otherwise."""
        return await audit_database(
            DatabaseConfig(url=self.url), kept=kept, parallel_from=parallel_from
        )


def changed(column: Column[Any], value: Any) -> object:
    """Gives another value of the same type."""
    if isinstance(column.type, Boolean):
        return not value
    if isinstance(column.type, Text):
        return f"{value}x"
    if isinstance(column.type, LargeBinary):
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    far = FAR_SMALL if isinstance(column.type, SmallInteger) else FAR
    return value + (far if column.primary_key else 1)


def filled(column: Column[Any]) -> object:
    """Gives a value for a column that holds none."""
    if isinstance(column.type, Text):
        return "x"
    return b"x" * 16 if isinstance(column.type, LargeBinary) else 1


def another_row(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Gives a row like the one given that breaks no unique index."""
    unique = {column.name for column in table.primary_key}
    for index in table.indexes:
        if index.unique:
            unique.update(column.name for column in index.columns)
    copy = dict(row)
    for name in sorted(unique - {"ledger_no"}) or ["ledger_no"]:
        column = table.columns[name]
        copy[name] = None if column.nullable else changed(column, row[name])
    return copy


def audited_tables() -> list[Table]:
    """Lists the tables whose rows the log determines."""
    roles = (schema.LOG, schema.PROJECTION)
    return [table for table in SCHEMA_TABLES if table.info["role"] in roles]


def write_original(url: str) -> None:
    """Writes the history into an empty database."""

    async def write() -> None:
        writer = await Writer.open(url)
        try:
            await write_history(writer)
        finally:
            await writer.close()

    asyncio.run(write())


def copy_of(original: pathlib.Path, folder: pathlib.Path) -> str:
    """Copies a SQLite file that nobody has open; gives the url of the copy."""
    shutil.copy(original, folder / "ledger.db")
    return f"sqlite:///{folder / 'ledger.db'}"
