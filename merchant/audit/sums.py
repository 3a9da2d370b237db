"""Sums over documents by document and figure, on disk, so that memory does not grow with them.

Owns: a private database of SQLite that is gone with its connection. Rules: what other documents add
to a figure is what is expected of it, what its own document says is what was got; a document that
is excused is not compared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from timebank.units import INT64_MAX

BUFFER_ROWS = 5_000
CACHE_KIB = 65_536
"""Memory for pages; what is more lies on disk."""
PAID = 101
"""The kind under which figures of a redemption stand that a ledger knows too."""
REFERRED = 102
"""The kind of merchants that others name; one that is there is excused."""
_OPEN = f"""
PRAGMA cache_size = -{CACHE_KIB};
PRAGMA temp_store = FILE;
PRAGMA synchronous = OFF;
PRAGMA journal_mode = OFF;
CREATE TABLE sums (kind INTEGER, document TEXT, figure TEXT, expected INTEGER, got INTEGER,
    PRIMARY KEY (kind, document, figure)) WITHOUT ROWID;
CREATE TABLE excused (kind INTEGER, document TEXT, PRIMARY KEY (kind, document)) WITHOUT ROWID;
CREATE TABLE origins (log_index INTEGER PRIMARY KEY, document TEXT);
"""
_ADD = """
INSERT INTO sums VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    expected = expected + excluded.expected,
    got = coalesce(got + excluded.got, got, excluded.got)
"""
_DIFFERENT = """
SELECT kind, document, figure, expected, got FROM sums
WHERE (got IS NULL AND expected <> 0 OR got <> expected) AND NOT EXISTS (SELECT 1 FROM excused
    WHERE excused.kind = sums.kind AND excused.document = sums.document)
ORDER BY kind, document, figure
"""


class Figure(NamedTuple):
    """What a document adds to what is expected of a figure, or what the figure's own document says;
    `got` None: it is not said here.
    """

    kind: int
    document: str
    name: str
    expected: int = 0
    got: int | None = None


class Sums:
    """The sums of one programme."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_OPEN)
        self._database.execute("BEGIN")
        self._waiting: list[Figure] = []

    def close(self) -> None:
        """Drops everything."""
        self._database.close()

    def add(self, figures: Iterable[Figure]) -> None:
        """Adds figures up."""
        self._waiting.extend(figures)
        if len(self._waiting) >= BUFFER_ROWS:
            self._write()

    def excuse(self, kind: int, document: str) -> None:
        """Leaves a document's figures of a kind out."""
        self._database.execute("INSERT OR IGNORE INTO excused VALUES (?, ?)", (kind, document))

    def remember_origin(self, log_index: int, document: str) -> None:
        """Keeps which document an entry of a ledger belongs to."""
        self._database.execute("INSERT OR IGNORE INTO origins VALUES (?, ?)", (log_index, document))

    def origin(self, log_index: int) -> str:
        """Gives the document of an entry; empty when it belongs to none."""
        query = "SELECT document FROM origins WHERE log_index = ?"
        found = self._database.execute(query, (log_index,)).fetchone()
        return found[0] if found else ""

    def differences(self) -> Iterator[Figure]:
        """Gives the figures that are not what is expected; `got` None: no document says them."""
        self._write()
        for row in self._database.execute(_DIFFERENT):
            yield Figure(*row)

    def _write(self) -> None:
        rows = [
            (kind, document, name, _bounded(expected), None if got is None else _bounded(got))
            for kind, document, name, expected, got in self._waiting
        ]
        self._database.executemany(_ADD, rows)
        self._waiting.clear()


def _bounded(amount: int) -> int:
    """Keeps what was computed of hostile numbers within what a database holds."""
    return min(max(amount, -INT64_MAX), INT64_MAX)
