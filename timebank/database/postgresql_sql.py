"""Statements in PostgreSQL's words: arrays and unnest(), one round trip each."""

import functools
import re
from typing import Any

from sqlalchemy import BigInteger, Boolean, LargeBinary, SmallInteger, Table, Text

from timebank.database.statements import Lock, Read, Rows, Write

_LOCK = """
SELECT {columns}, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock_us
FROM {table} WHERE ledger_no = $1 FOR UPDATE
"""

_LOCK_AND_LOOK_UP = """
WITH k({names}) AS (SELECT * FROM unnest({arrays})), found AS ({sql}),
head AS ({lock}) SELECT * FROM head LEFT JOIN found ON true
"""

_LOOK_UP = re.compile(r"\s*SELECT\s+(.*?)\s+FROM k CROSS JOIN (.*?)\s*", re.DOTALL)
"""What a Read says of one key: its columns, and where they are found."""

COPY_ROWS_MIN = 256
"""Inserts of fewer rows of a table travel with the others in one statement."""

_TYPES = {"int64": "bigint", "int16": "smallint", "bytes": "bytea", "text": "text"}
_COLUMN_TYPES = {
    BigInteger: "bigint",
    SmallInteger: "smallint",
    LargeBinary: "bytea",
    Text: "text",
    Boolean: "boolean",
}


def read(statement: Read) -> tuple[str, list[list[Any]]]:
    """Gives the SQL of a read, whose first parameter is the ledger, and its arrays."""
    return _read_sql(statement.sql, statement.types), _columns(statement.keys)


def lock(statement: Lock) -> tuple[str, list[list[Any]]]:
    """Gives the SQL that takes the ledger's row, whose first parameter is the ledger, and its
    arrays.
    """
    lookup = statement.lookup
    if lookup is None:
        return _lock_sql(statement.table, statement.columns), []
    sql = _lock_and_look_up_sql(statement.table, statement.columns, lookup.sql, lookup.types)
    return sql, _columns(lookup.keys)


@functools.lru_cache(maxsize=64)
def _lock_sql(table: str, columns: tuple[str, ...]) -> str:
    return _LOCK.format(columns=", ".join(columns), table=table)


@functools.lru_cache(maxsize=256)
def _lock_and_look_up_sql(
    table: str, columns: tuple[str, ...], sql: str, types: tuple[str, ...]
) -> str:
    names, arrays = _keys(types)
    looked_up = _each(sql).replace(":ledger", "$1")
    lock_sql = _lock_sql(table, columns)
    return _LOCK_AND_LOOK_UP.format(names=names, arrays=arrays, sql=looked_up, lock=lock_sql)


@functools.lru_cache(maxsize=256)
def _read_sql(sql: str, types: tuple[str, ...]) -> str:
    names, arrays = _keys(types)
    looked_up = _each(sql).replace(":ledger", "$1")
    return f"WITH k({names}) AS (SELECT * FROM unnest({arrays})) {looked_up}"


def _each(sql: str) -> str:
    """Has each key looked up by itself, behind a fence (OFFSET 0) that the planner does not cross.

    A table that grew within the last minute has no statistics yet: left to itself, the planner
    takes it for a tiny one and reads all of a ledger's rows for a few keys.
    """
    return " UNION ALL ".join(_alone(part) for part in sql.split("UNION ALL"))


def _alone(sql: str) -> str:
    found = _LOOK_UP.fullmatch(sql)
    if found is None:
        return sql
    columns, tables = found.groups()
    return f"SELECT f.* FROM k CROSS JOIN LATERAL (SELECT {columns} FROM {tables} OFFSET 0) f"


def _keys(types: tuple[str, ...]) -> tuple[str, str]:
    arrays = ", ".join(f"${number + 2}::{_TYPES[name]}[]" for number, name in enumerate(types))
    return ", ".join(f"k{number}" for number in range(len(types))), arrays


def split(statement: Write) -> tuple[list[Rows], Write]:
    """Takes out the tables of which so many rows are inserted that COPY is worth a round trip."""
    copied = [rows for rows in statement.inserted if len(rows.rows) >= COPY_ROWS_MIN]
    if not copied:
        return [], statement
    return copied, statement._replace(
        inserted=[rows for rows in statement.inserted if len(rows.rows) < COPY_ROWS_MIN]
    )


def write(statement: Write) -> tuple[str, list[list[Any]]]:
    """Gives one statement that writes every table, and its arrays.

    It also lifts the statement time-out, so that nothing cuts the commit that follows.
    """
    parts: list[tuple[str, Table]] = []
    arguments: list[list[Any]] = []
    for action, groups in zip(("insert", "upsert", "add", "delete"), statement, strict=True):
        for table, rows in groups:
            if rows:
                parts.append((action, table))
                arguments.extend(_columns(rows))
    return _write_sql(tuple(parts)), arguments


def _columns(rows: Any) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


@functools.lru_cache(maxsize=256)
def _write_sql(parts: tuple[tuple[str, Table], ...]) -> str:
    clauses = []
    parameter = 2
    for number, (action, table) in enumerate(parts):
        names = _key_names(table) if action == "delete" else _names(table)
        arrays = ", ".join(
            f"${parameter + offset}::{_column_type(table, name)}[]"
            for offset, name in enumerate(names)
        )
        parameter += len(names)
        clauses.append(f"w{number} AS ({_clause(action, table, names, arrays)})")
    with_ = "WITH " + ", ".join(clauses) if clauses else ""
    return f"{with_} SELECT set_config('statement_timeout', '0', true) WHERE $1::bigint IS NOT NULL"


def _clause(action: str, table: Table, names: list[str], arrays: str) -> str:
    listed = ", ".join(names)
    if action == "delete":
        same = " AND ".join(f"t.{name} = u.{name}" for name in names)
        return (
            f"DELETE FROM {table.name} AS t USING unnest({arrays}) AS u({listed}) "
            f"WHERE t.ledger_no = $1 AND {same}"
        )
    sql = (
        f"INSERT INTO {table.name} AS t (ledger_no, {listed}) "
        f"SELECT $1, {listed} FROM unnest({arrays}) AS u({listed})"
    )
    return sql + conflict(action, table, names)


def conflict(action: str, table: Table, names: list[str]) -> str:
    """Gives what an insert does with a row that is there: nothing to say, replace it, or add to its
    last column.
    """
    if action == "insert":
        return ""
    key = ", ".join(["ledger_no", *_key_names(table)])
    values = [name for name in names if name not in _key_names(table)]
    if action == "add":
        sums = f"{values[-1]} = t.{values[-1]} + excluded.{values[-1]}"
        return f" ON CONFLICT ({key}) DO UPDATE SET {sums}"
    sets = ", ".join(f"{name} = excluded.{name}" for name in values)
    return f" ON CONFLICT ({key}) DO UPDATE SET {sets}"


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name != "ledger_no"]


def _key_names(table: Table) -> list[str]:
    return [column.name for column in table.primary_key if column.name != "ledger_no"]


def _column_type(table: Table, name: str) -> str:
    return _COLUMN_TYPES[type(table.columns[name].type)]
