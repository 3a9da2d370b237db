"""Comparing stored rows with those that follow from the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from timebank.audits import DifferenceFound, differs, row_missing, row_surplus
from timebank.database.snapshots import Pages
from timebank.database.statements import Row

PAGE_ROWS = 2_048
"""Rows read at a time: at most 128 MiB of the longest leaves."""


class TableShape:
    """How to name the rows of a table: its columns as they are read, and how many of them are the
    key.
    """

    def __init__(self, name: str, columns: Sequence[str], key_size: int) -> None:
        self.name = name
        self.columns = columns
        self.key_size = key_size

    def key_of(self, row: Sequence[object]) -> dict[str, object]:
        """Names a row by its key."""
        return dict(zip(self.columns[: self.key_size], row, strict=False))

    def difference(
        self, expected: Sequence[Sequence[object]], stored: Sequence[Row]
    ) -> DifferenceFound | None:
        """Finds the first difference of two lists of rows that are sorted by key, if there is
        one.
        """
        for wanted, row in zip(expected, stored, strict=False):
            found = tuple(row)
            if found == wanted:
                continue
            if found[: self.key_size] != wanted[: self.key_size]:
                return self._stray(wanted, found)
            return self._column(wanted, found)
        if len(stored) < len(expected):
            return row_missing(self.name, self.key_of(expected[len(stored)]))
        if len(stored) > len(expected):
            return row_surplus(self.name, self.key_of(tuple(stored[len(expected)])))
        return None

    def _stray(self, wanted: Sequence[object], found: Sequence[object]) -> DifferenceFound:
        size = self.key_size
        numbers = all(type(value) is int for value in (*wanted[:size], *found[:size]))
        # The expected row was passed over: it is not there. A key that is no number sorts anywhere.
        if numbers and tuple(found[:size]) > tuple(wanted[:size]):
            return row_missing(self.name, self.key_of(wanted))
        return row_surplus(self.name, self.key_of(found))

    def _column(self, wanted: Sequence[object], found: Sequence[object]) -> DifferenceFound:
        column, expected, got = next(
            (column, left, right)
            for column, left, right in zip(self.columns, wanted, found, strict=True)
            if left != right
        )
        return differs(self.name, self.key_of(wanted), column, expected=expected, got=got)

    async def compare(self, expected: Iterable[Sequence[object]], stored: Pages) -> int:
        """Compares a table, page by page, and counts its rows. Raises DifferenceFound."""
        count = 0
        remaining = iter(expected)
        while True:
            wanted = list(islice(remaining, PAGE_ROWS))
            rows = await stored.take(PAGE_ROWS)
            found = self.difference(wanted, rows)
            if found is not None:
                raise found
            count += len(wanted)
            if len(wanted) < PAGE_ROWS:
                return count
