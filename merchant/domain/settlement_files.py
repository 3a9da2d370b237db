"""The settlement file 结算文件 of a batch: what a merchant is paid for, to be checked by anybody.

Owns: the order of the records, their checks and sums. Refuses: signing (see
merchant.domain.detached_signatures), and what a line is worth (see merchant.domain.remainders).
Form: UTF-8 without BOM, RFC 4180, CRLF, one record a line, in this order:

    HEADER,format,ledger,merchant,business_date,sequence,fen_per_hundred_points,previous_sha256,check
    COLUMNS,kind,redemption_id,merchant_ref,original_date,business_time,points,minutes,fen,check
    LINE,... once for each line, in the columns that the record before names
    TRAILER,line_count,points,minutes,fen,check

Rules: a record's check is the first 8 digits of the SHA-256 of all bytes before the comma of the
check, the trailer's is all 64: so the first record that was changed, added or left out is known by
its number, 1 being the header. `previous_sha256` is that of the merchant's previous file, empty for
the first. A line is in points or in minutes of TIME, and the trailer sums them apart. The fen of a
line lie less than one fen from its points at the rate, and their sum is that of the summed points,
rounded; minutes come to no fen. Checks find damage; only the signature finds fraud.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from merchant.domain.settlement_records import (
    COLUMNS,
    SettlementHeader,
    SettlementLine,
    SettlementTotals,
    cells_from_bytes,
    check_totals,
    header_from_cells,
    header_to_bytes,
    line_from_cells,
    line_to_bytes,
    refusal,
    totals_from_cells,
    totals_to_bytes,
)
from timebank.errors import TimebankError

LINES_MAX = 200_000
LINE_BYTES_MAX = 4_096
CHUNK_BYTES = 65_536
_CHECK_DIGITS = 8
_ROWS_BEFORE_LINES = 2


class SettlementFile(NamedTuple):
    """A file that was read and found right; `sha256` is of all its bytes, in lower-case hex."""

    header: SettlementHeader
    lines: tuple[SettlementLine, ...]
    totals: SettlementTotals
    sha256: str


class SettlementFileWriter:
    """Writes one file, once: iterate it for the chunks, then ask for `totals` and `sha256`.

    Takes the lines one by one and keeps none. Raises VALIDATION_FAILED, with the row, for a header
    or line that breaks a rule, more than 200,000 lines, and fen that do not sum to the whole; the
    chunks before are no file then.
    """

    def __init__(self, header: SettlementHeader, lines: Iterable[SettlementLine]) -> None:
        self._records = _Records()
        self._header = header
        self._lines = lines
        self._totals: SettlementTotals | None = None
        self._begun = False

    def __iter__(self) -> Iterator[bytes]:
        if self._begun:
            raise RuntimeError("a settlement file is written once: make another writer")
        self._begun = True
        chunk = bytearray()
        for record in self._write():
            chunk += record
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        yield bytes(chunk)

    @property
    def totals(self) -> SettlementTotals:
        """Gives the control totals, once the file is written."""
        if self._totals is None:
            raise RuntimeError("the settlement file is not written to its end yet")
        return self._totals

    @property
    def sha256(self) -> str:
        """Gives the digest of the whole file in lower-case hex, once it is written."""
        return self._records.sha256 if self.totals else ""

    def _write(self) -> Iterator[bytes]:
        header, records = self._header, self._records
        row, points, minutes, fen = 1, 0, 0, 0
        try:
            yield records.close(header_to_bytes(header), _CHECK_DIGITS)
            yield records.add(COLUMNS + b"\r\n")
            for row, line in enumerate(self._lines, start=_ROWS_BEFORE_LINES + 1):
                if row > LINES_MAX + _ROWS_BEFORE_LINES:
                    raise refusal("lines", f"expected at most {LINES_MAX} lines, got more")
                body = line_to_bytes(line, header)
                points += line.points
                minutes += line.minutes
                fen += line.fen
                yield records.close(body, _CHECK_DIGITS)
            row = max(row, _ROWS_BEFORE_LINES) + 1
            totals = SettlementTotals(row - _ROWS_BEFORE_LINES - 1, points, minutes, fen)
            check_totals(totals, header)
        except TimebankError as error:
            raise _at_row(row, error) from error
        yield records.close(totals_to_bytes(totals), None)
        self._totals = totals


def read_settlement_file(chunks: Iterable[bytes], *, previous_sha256: str) -> SettlementFile:
    """Reads a file of any chunking and checks all its rules, and that it follows the file with the
    given digest (empty: that it is the merchant's first).

    Raises VALIDATION_FAILED for the first wrong record; `row` in the metadata is its number.
    """
    reader = _Reader(previous_sha256)
    try:
        for record in _cut(chunks):
            reader.take(record)
        reader.row += 1
        return reader.end()
    except _CutError as error:
        raise _at_row(reader.row + 1, refusal("record", str(error))) from error
    except TimebankError as error:
        raise _at_row(reader.row, error) from error


class _Records:
    """The running SHA-256 of a file, of which the check of every record is taken."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def add(self, data: bytes) -> bytes:
        self._hash.update(data)
        return data

    def close(self, body: bytes, digits: int | None) -> bytes:
        """Gives a record with its check, of so many digits or all, and its line end."""
        self._hash.update(body)
        tail = f",{self._hash.hexdigest()[:digits]}\r\n".encode("ascii")
        self._hash.update(tail)
        return body + tail


class _Reader:
    """Takes the records of a file in order."""

    def __init__(self, previous_sha256: str) -> None:
        self.row = 0
        self._previous_sha256 = previous_sha256
        self._records = _Records()
        self._header: SettlementHeader | None = None
        self._columns_were_read = False
        self._lines: list[SettlementLine] = []
        self._points = self._minutes = self._fen = 0
        self._totals: SettlementTotals | None = None

    def take(self, record: bytes) -> None:
        """Reads and checks the next record. Raises VALIDATION_FAILED."""
        self.row += 1
        if self._totals is not None:
            raise refusal("record", "expected nothing after the trailer")
        if self._header is not None and not self._columns_were_read:
            self._take_columns(record)
            return
        body, _, check = record.rpartition(b",")
        cells = cells_from_bytes(body)
        if self._header is None:
            self._header = self._read_header(cells)
        elif cells[0] == "LINE":
            self._take_line(line_from_cells(cells, self._header))
        else:
            self._totals = self._read_totals(cells, self._header)
        digits = None if self._totals else _CHECK_DIGITS
        expected = self._records.close(body, digits)[len(body) + 1 : -2]
        if check != expected:
            text = f"expected {expected.decode()}, got {check[:64].decode('ascii', 'replace')!r}"
            raise refusal("check", f"{text}: this record was changed, or one before it left out")

    def end(self) -> SettlementFile:
        """Gives the file. Raises VALIDATION_FAILED when it has no trailer."""
        if self._header is None or self._totals is None:
            expected = "HEADER" if self._header is None else "LINE or TRAILER"
            raise refusal("record", f"expected {expected}, got the end of the file")
        return SettlementFile(self._header, tuple(self._lines), self._totals, self._records.sha256)

    def _read_header(self, cells: list[str]) -> SettlementHeader:
        header = header_from_cells(cells)
        if header.previous_sha256 != self._previous_sha256:
            expected = f"expected {self._previous_sha256 or 'nothing, for the first file'}"
            got = header.previous_sha256 or "nothing"
            raise refusal("previous_sha256", f"{expected}, got {got}")
        return header

    def _take_columns(self, record: bytes) -> None:
        if record != COLUMNS:
            raise refusal("record", f"expected {COLUMNS.decode()}")
        self._records.add(record + b"\r\n")
        self._columns_were_read = True

    def _take_line(self, line: SettlementLine) -> None:
        if len(self._lines) >= LINES_MAX:
            raise refusal("lines", f"expected at most {LINES_MAX} lines, got more")
        self._lines.append(line)
        self._points += line.points
        self._minutes += line.minutes
        self._fen += line.fen

    def _read_totals(self, cells: list[str], header: SettlementHeader) -> SettlementTotals:
        if cells[0] != "TRAILER":
            raise refusal("record", f"expected LINE or TRAILER, got {cells[0]}")
        totals = totals_from_cells(cells)
        counted = SettlementTotals(len(self._lines), self._points, self._minutes, self._fen)
        for field, expected, got in zip(counted._fields, counted, totals, strict=True):
            if got != expected:
                raise refusal(field, f"expected {expected}, the sum of the lines, got {got}")
        check_totals(totals, header)
        return totals


class _CutError(ValueError):
    """The next record does not end as a record does."""


def _cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cuts chunks into records without their CRLF, in memory for a chunk and a record."""
    rest = b""
    for chunk in chunks:
        *records, rest = (rest + chunk).split(b"\n")
        for record in records:
            if len(record) > LINE_BYTES_MAX:
                raise _CutError(f"expected at most {LINE_BYTES_MAX} bytes, got {len(record)}")
            if not record.endswith(b"\r"):
                raise _CutError("expected CRLF at its end, got LF")
            yield record[:-1]
        if len(rest) > LINE_BYTES_MAX:
            raise _CutError(f"expected at most {LINE_BYTES_MAX} bytes, got more")
    if rest:
        raise _CutError("expected CRLF at its end, got the end of the file")


def _at_row(row: int, error: TimebankError) -> TimebankError:
    """Says in which record an error is."""
    return TimebankError(
        error.reason,
        f"row {row}: {error.message}",
        violations=[(f"rows[{row}].{field}", text) for field, text in error.violations],
        row=row,
        **error.metadata,
    )
