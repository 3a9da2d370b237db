"""Statements of a write path, free of input and output: what to read by keys and what to write in
bulk.

A plan is a generator that yields statements and is sent their rows. The same plan runs on every
database; `timebank.database.sessions` knows how. A statement is one round trip whatever its number
of keys or rows.
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Table

T = TypeVar("T")
Row = Sequence[Any]  # a row of a driver: the plan that asked knows its columns


class Read(NamedTuple):
    """Rows by keys: `sql` selects from `k(k0, k1 ...)`, the keys, and names the ledger `:ledger`.

    `types` are the column types of the keys: int64, int16, bytes or text. Write `CROSS JOIN` from
    `k` to the table: SQLite looks rows up by key then instead of scanning, and PostgreSQL is given
    each key by itself, so that an order is one within a key, and a limit belongs to a single key.
    """

    sql: str
    types: tuple[str, ...]
    keys: Sequence[Sequence[Any]]


class Lock(NamedTuple):
    """Takes the ledger's row of a table for this transaction; gives its columns and the clock.

    The clock is the database's in microseconds since 1970 UTC, None where it has none of its own.
    With a `lookup`, its columns follow in the same round trip: a row for each that was found, or
    one with nothing in them. They are as of before the lock was given, so they count only when the
    row shows that nobody committed meanwhile.
    """

    table: str
    columns: tuple[str, ...]
    lookup: Read | None = None


class Rows(NamedTuple):
    """Rows of a table without the ledger: its columns in order, or its key to delete."""

    table: Table
    rows: Sequence[Sequence[Any]]


class Write(NamedTuple):
    """Everything a batch writes; rows of `added` sum into the last column."""

    inserted: Sequence[Rows] = ()
    upserted: Sequence[Rows] = ()
    added: Sequence[Rows] = ()
    deleted: Sequence[Rows] = ()

    def size(self) -> int:
        """Counts the rows."""
        return sum(len(rows) for groups in self for _, rows in groups)


Statement = Read | Lock | Write
Plan = Generator[Statement, list[Row], T]
