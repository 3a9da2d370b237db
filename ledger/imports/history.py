"""A file of movements, read twice: once to check every row, once to book them.

Owns: the two passes and the natural key of each row. Refuses: what cells mean (see timeoverflow.py
and mapped.py) and the ledger (see booking.py).
Rules: a row without a reference is keyed by its content and by how many equal rows stand above it,
so that two equal rows of one file both count and the same file again counts for nothing; a row
with a reference is keyed by it alone, and a second row with the same reference and content counts
for nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from ledger.imports.balances import RepeatedRows, RunningBalances
from ledger.imports.movements import CellError, Movement, RowError
from ledger.imports.tables import Advance, Row, TableFormat, inspect, rows
from timebank.errors import Reason, TimebankError

KEY_BYTES = 8
_PLAIN_REFERENCE = re.compile(r"[\x21-\x7e]{1,60}")


class RowReader(Protocol):
    """Turns the cells of one kind of file into movements."""

    key_prefix: str
    heading: bool

    def movement(self, number: int, cells: list[str]) -> Movement | None:
        """Reads a row; None: it moves nothing. Raises CellError when a cell breaks its rule."""


class Booking(NamedTuple):
    """A movement to book, and the key that books it once."""

    movement: Movement
    natural_key: str


ErrorSink = Callable[[RowError], None]


@dataclass(slots=True)
class Survey:
    """What the first pass found. `repeated` are rows that occur more than once; `holders` in order
    of appearance.
    """

    rows: int = 0
    movements: int = 0
    zero_rows: int = 0
    errors: int = 0
    minutes: int = 0
    holders: dict[str, None] = field(default_factory=dict)
    balances: RunningBalances = field(default_factory=RunningBalances)
    repeated: frozenset[bytes] = frozenset()


class History:
    """One file and how its rows are read."""

    def __init__(self, path: Path, table: TableFormat, reader: RowReader) -> None:
        self._path = path
        self._table = table
        self._reader = reader
        self._stamp = _stamp(path)

    def survey(self, report: ErrorSink, advance: Advance | None = None) -> Survey:
        """Checks every row, reports every broken one, and sums up.

        Raises VALIDATION_FAILED when the file cannot be read any more.
        """
        survey = Survey()
        repeats = RepeatedRows()
        for item in self._read(advance):
            survey.rows += 1
            if item is None:
                survey.zero_rows += 1
            elif isinstance(item, RowError):
                survey.errors += 1
                report(item)
            else:
                survey.movements += 1
                survey.minutes += item.minutes
                survey.holders.setdefault(item.source)
                survey.holders.setdefault(item.destination)
                survey.balances.take(item)
                repeats.add(_identity(item))
        survey.repeated = repeats.repeated()
        return survey

    def bookings(self, survey: Survey, report: ErrorSink) -> Iterator[Booking | None]:
        """Gives what is to be booked, row by row in the order of the file; None: a row said before.

        Raises VALIDATION_FAILED when the file changed since the survey.
        """
        if _stamp(self._path) != self._stamp:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"{self._path}: changed while it was read; import it again when it is finished",
                file=str(self._path),
            )
        seen: dict[bytes, int] = {}
        contents: dict[bytes, bytes] = {}
        prefix = self._reader.key_prefix
        for item in self._read(None):
            if not isinstance(item, Movement):
                continue
            if item.reference:
                before = self._said_before(item, contents, survey)
                if before is None:
                    yield Booking(item, reference_key(prefix, item.reference))
                elif before == item.digest:
                    yield None
                else:
                    report(_contradiction(item))
                continue
            key = item.digest[:KEY_BYTES]
            ordinal = 0
            if key in survey.repeated:
                ordinal = seen.get(item.digest, 0)
                seen[item.digest] = ordinal + 1
            yield Booking(item, f"{prefix}:row:{item.digest.hex()}:{ordinal}")

    def _said_before(
        self, movement: Movement, contents: dict[bytes, bytes], survey: Survey
    ) -> bytes | None:
        """Gives the content that the reference stood for above; None when it is new."""
        identity = _identity(movement)
        if identity[:KEY_BYTES] not in survey.repeated:
            return None
        before = contents.get(identity)
        contents.setdefault(identity, movement.digest)
        return before

    def _read(self, advance: Advance | None) -> Iterator[Movement | RowError | None]:
        heading = self._reader.heading
        for row in rows(self._path, self._table, advance=advance):
            if heading:
                heading = False
                continue
            yield self._movement(row)

    def _movement(self, row: Row) -> Movement | RowError | None:
        if row.problem:
            return RowError(row.number, "row", row.problem, f"correct line {row.line} of the file")
        try:
            return self._reader.movement(row.number, row.cells)
        except CellError as error:
            return error.at(row.number)


def first_row(path: Path, table: TableFormat) -> list[str]:
    """Gives the first row that has cells. Raises VALIDATION_FAILED when it is broken or there is
    none.
    """
    for row in rows(path, table):
        if row.problem:
            raise TimebankError(
                Reason.VALIDATION_FAILED, f"{path}: row {row.number}: {row.problem}", file=str(path)
            )
        return row.cells
    raise TimebankError(Reason.VALIDATION_FAILED, f"{path}: has no rows", file=str(path))


def open_table(path: Path, encoding: str | None) -> tuple[TableFormat, list[str]]:
    """Inspects a file and gives its format and first row. Raises VALIDATION_FAILED as `inspect`
    does.
    """
    table = inspect(path, encoding=encoding)
    return table, first_row(path, table)


def reference_key(prefix: str, reference: str) -> str:
    """Gives the natural key of a referenced row; a long or foreign reference is hashed."""
    if _PLAIN_REFERENCE.fullmatch(reference):
        return f"{prefix}:ref:{reference}"
    return f"{prefix}:refh:{hashlib.sha256(reference.encode()).hexdigest()[:40]}"


def _identity(movement: Movement) -> bytes:
    """What makes a row the same row: its reference, else its content."""
    if movement.reference:
        return hashlib.sha256(movement.reference.encode()).digest()[:16]
    return movement.digest


def _contradiction(movement: Movement) -> RowError:
    return RowError(
        movement.number,
        "reference",
        f"{movement.reference[:40]!r} stands above with other content",
        "give each movement a reference of its own",
    )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED, f"{path}: {error.strerror}", file=str(path)
        ) from error
    return status.st_size, status.st_mtime_ns
