"""Statements in SQLite's words: many rows a statement, because each step gives the interpreter lock
away.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table

from timebank.database.postgresql_sql import conflict
from timebank.database.statements import Read, Write

CHUNKS = tuple(2**power for power in range(10, -1, -1))
"""Numbers of rows a statement takes: few, so that prepared statements are found again, and so that
few statements make any number of rows.
"""
READ_SIZES = (1, 4, 16, 64, 256, 1024)
"""Numbers of keys a read takes."""


@functools.lru_cache(maxsize=64)
def lock(table: str, columns: tuple[str, ...]) -> str:
    """Gives the SQL that reads the ledger's row; the transaction has the file to itself already."""
    return f"SELECT {', '.join(columns)}, NULL AS clock_us FROM {table} WHERE ledger_no = ?"


def read(statement: Read, ledger_no: int) -> Iterator[tuple[str, list[Any]]]:
    """Gives the statements of a read with their parameters.

    The last one is filled up with keys of NULL, which find nothing: one statement costs less than
    several small ones, and few sizes are prepared.
    """
    width, keys = len(statement.types), statement.keys
    for start in range(0, len(keys), CHUNKS[0]):
        chunk = keys[start : start + CHUNKS[0]]
        size = next(size for size in READ_SIZES if size >= len(chunk))
        values = [value for key in chunk for value in key]
        values += [None] * (width * (size - len(chunk)))
        yield _read_sql(statement.sql, width, size), [ledger_no, *values]


@functools.lru_cache(maxsize=1024)
def _read_sql(sql: str, width: int, count: int) -> str:
    names = ", ".join(f"k{number}" for number in range(width))
    rows = ", ".join(
        "(" + ", ".join(f"?{2 + row * width + column}" for column in range(width)) + ")"
        for row in range(count)
    )
    return f"WITH k({names}) AS (VALUES {rows}) " + sql.replace(":ledger", "?1")


def write(statement: Write, ledger_no: int) -> Iterator[tuple[str, list[Any]]]:
    """Gives the statements that write every table, with their parameters."""
    for action, groups in zip(("insert", "upsert", "add", "delete"), statement, strict=True):
        for table, rows in groups:
            for chunk in _chunks(rows):
                arguments: list[Any] = []
                for row in chunk:
                    arguments.append(ledger_no)
                    arguments.extend(row)
                yield _write_sql(action, table, len(chunk)), arguments


def _chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    start = 0
    for size in CHUNKS:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@functools.lru_cache(maxsize=1024)
def _write_sql(action: str, table: Table, count: int) -> str:
    keys = [column.name for column in table.primary_key]
    names = keys if action == "delete" else [column.name for column in table.columns]
    row = "(" + ", ".join("?" * len(names)) + ")"
    rows = ", ".join([row] * count)
    listed = ", ".join(names)
    if action == "delete":
        return f"DELETE FROM {table.name} WHERE ({listed}) IN (VALUES {rows})"
    changes = conflict(action, table, names[1:])
    return f"INSERT INTO {table.name} AS t ({listed}) VALUES {rows}{changes}"
