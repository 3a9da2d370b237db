"""The records of a settlement file: header, lines and trailer, as values and as bytes.

Owns: the rules of each record and how its cells are written. Refuses: the order of records, their
checks and sums (see merchant.domain.settlement_files).
Rules: a value has one way to be written, and any other is refused when it is read. A text cell that
a spreadsheet could take for a formula (it begins, after spaces, with = + - @ or their full-width
forms) or that begins with an apostrophe is written with an apostrophe before it and read back
without; control characters, line separators and marks that turn the direction of writing are
refused anywhere. A negative number is a number and stays as it is.
"""

from __future__ import annotations

import csv
import enum
import re
from datetime import datetime
from typing import NamedTuple

from merchant.domain.business_days import check_time, from_us, parse_date, to_us
from merchant.domain.remainders import POINTS_PER_RATE, check_rate, fen_of_points
from timebank.errors import Reason, TimebankError

FORMAT = "timebank-settlement/1"
TEXT_CHARACTERS_MAX = 200
SEQUENCE_MAX = 1_000_000
POINTS_MAX = 10**12
"""Most points of one line: so many that the points of a full file sum to 64 bits."""
MINUTES_MAX = 10**12
"""Most minutes of one line, likewise."""
COLUMNS = (
    b"COLUMNS,kind,redemption_id,merchant_ref,original_date,business_time,points,minutes,fen,check"
)
"""The second record: it names the cells of the lines."""
FORBIDDEN = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that no text cell may hold."""
_CELLS = {"HEADER": 8, "LINE": 9, "TRAILER": 5}
_FORMULA_MARKS = tuple("=+-@＝＋－＠")
_INTEGER = re.compile("0|-?[1-9][0-9]{0,18}")
_SHA256 = re.compile("[0-9a-f]{64}")
_TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z")


class LineKind(enum.StrEnum):
    """What a line settles."""

    REDEMPTION = "REDEMPTION"
    REFUND = "REFUND"


_KINDS = {kind.value: kind for kind in LineKind}


class SettlementHeader(NamedTuple):
    """Which batch a file is of. `previous_sha256` is in lower-case hex, empty for the first."""

    ledger: str
    merchant: str
    business_date: str
    sequence: int
    fen_per_hundred_points: int
    previous_sha256: str


class SettlementLine(NamedTuple):
    """One redemption, or one refund with negative amounts: in points, or in minutes of TIME, which
    come to no fen. `original_date` is the earlier business date of a late line, else empty;
    `business_time_us` counts from 1970 UTC.
    """

    kind: LineKind
    redemption_id: str
    merchant_ref: str
    original_date: str
    business_time_us: int
    points: int
    minutes: int
    fen: int


class SettlementTotals(NamedTuple):
    """The control totals of a file: how many lines, and the sums of their points, of their minutes
    of TIME, and of their fen.
    """

    line_count: int
    points: int
    minutes: int
    fen: int


def check_text(field: str, text: str) -> None:
    """Raises VALIDATION_FAILED for text that no settlement file can hold: over 200 characters, or
    with control characters, line separators, marks of direction or lone surrogates.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        expected = f"expected at most {TEXT_CHARACTERS_MAX} characters"
        raise refusal(field, f"{expected}, got {len(text)}")
    if found := FORBIDDEN.search(text):
        raise refusal(field, f"expected printable text, got U+{ord(found[0]):04X}")


def check_header(header: SettlementHeader) -> None:
    """Raises VALIDATION_FAILED for a header that breaks a rule."""
    _check_name("ledger", header.ledger)
    _check_name("merchant", header.merchant)
    parse_date("business_date", header.business_date)
    if not 1 <= header.sequence <= SEQUENCE_MAX:
        raise refusal("sequence", f"expected 1 to {SEQUENCE_MAX}, got {header.sequence}")
    check_rate(header.fen_per_hundred_points)
    previous = header.previous_sha256
    if previous and _SHA256.fullmatch(previous) is None:
        expected = "expected 64 digits of lower-case hex, or nothing for the first file"
        raise refusal("previous_sha256", f"{expected}, got {previous[:80]!r}")


def check_line(line: SettlementLine, header: SettlementHeader) -> None:
    """Raises VALIDATION_FAILED for a line that breaks a rule under its header."""
    _check_name("redemption_id", line.redemption_id)
    check_text("merchant_ref", line.merchant_ref)
    if line.original_date:
        parse_date("original_date", line.original_date)
        if line.original_date >= header.business_date:
            expected = f"expected a date before {header.business_date}, or nothing"
            raise refusal("original_date", f"{expected}, got {line.original_date}")
    check_time("business_time", line.business_time_us)
    sign = 1 if line.kind is LineKind.REDEMPTION else -1
    if line.minutes:
        _check_amount("minutes", sign * line.minutes, MINUTES_MAX, line)
        if line.points:
            raise refusal("points", f"expected 0 beside {line.minutes} minutes, got {line.points}")
    else:
        _check_amount("points", sign * line.points, POINTS_MAX, line)
    hundredths = line.points * header.fen_per_hundred_points
    if abs(line.fen * POINTS_PER_RATE - hundredths) >= POINTS_PER_RATE:
        expected = f"expected {line.points} points at {header.fen_per_hundred_points} fen per 100"
        raise refusal("fen", f"{expected}, to less than one fen, got {line.fen}")


def _check_amount(field: str, amount: int, maximum: int, line: SettlementLine) -> None:
    """Checks the amount of a line, given without the sign of its kind."""
    if not 0 < amount <= maximum:
        sign = 1 if line.kind is LineKind.REDEMPTION else -1
        expected = f"expected {sign} to {sign * maximum} {field} of a {line.kind}"
        raise refusal(field, f"{expected}, got {sign * amount}")


def check_totals(totals: SettlementTotals, header: SettlementHeader) -> None:
    """Raises VALIDATION_FAILED unless the fen are those of the summed points."""
    rate = header.fen_per_hundred_points
    whole = fen_of_points(totals.points, fen_per_hundred_points=rate)
    if totals.fen != whole:
        expected = f"expected {whole} for {totals.points} points at {rate} fen per 100"
        raise refusal("fen", f"{expected}, got {totals.fen}")


def header_to_bytes(header: SettlementHeader) -> bytes:
    """Writes a header but its check. Raises VALIDATION_FAILED when it breaks a rule."""
    check_header(header)
    ledger, merchant = _shield(header.ledger), _shield(header.merchant)
    numbers = [str(header.sequence), str(header.fen_per_hundred_points)]
    return _join(
        [
            *("HEADER", FORMAT, ledger, merchant, header.business_date),
            *(*numbers, header.previous_sha256),
        ]
    )


def line_to_bytes(line: SettlementLine, header: SettlementHeader) -> bytes:
    """Writes a line but its check. Raises VALIDATION_FAILED when it breaks a rule."""
    check_line(line, header)
    redemption_id, merchant_ref = _shield(line.redemption_id), _shield(line.merchant_ref)
    time = _time_to_text(line.business_time_us)
    return _join(
        [
            *("LINE", line.kind.value, redemption_id, merchant_ref, line.original_date),
            *(time, str(line.points), str(line.minutes), str(line.fen)),
        ]
    )


def totals_to_bytes(totals: SettlementTotals) -> bytes:
    """Writes a trailer but its check."""
    return _join(["TRAILER", *map(str, totals)])


def cells_from_bytes(body: bytes) -> list[str]:
    """Reads the cells of a record without its check; the first says which it is.

    Raises VALIDATION_FAILED unless it is UTF-8 and written as this module writes it.
    """
    try:
        text = body.decode("utf-8")
        cells = next(csv.reader([text], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise refusal("record", "expected a record of CSV in UTF-8") from error
    if found := FORBIDDEN.search(text):
        raise refusal("record", f"expected printable text, got U+{ord(found[0]):04X}")
    kind = cells[0] if cells else ""
    if kind not in _CELLS:
        raise refusal("record", f"expected {', '.join(_CELLS)}, got {kind[:20]!r}")
    if len(cells) != _CELLS[kind]:
        raise refusal(kind, f"expected {_CELLS[kind] + 1} cells, got {len(cells) + 1}")
    if _join(cells) != body:
        raise refusal(kind, "expected quotes where they are needed and nowhere else")
    return cells


def header_from_cells(cells: list[str]) -> SettlementHeader:
    """Reads a header. Raises VALIDATION_FAILED for another record, format or broken rule."""
    if cells[0] != "HEADER":
        raise refusal("record", f"expected HEADER first, got {cells[0]}")
    _, form, ledger, merchant, business_date, sequence, rate, previous = cells
    if form != FORMAT:
        raise refusal("format", f"expected {FORMAT}, got {form[:40]!r}")
    header = SettlementHeader(
        _unshield("ledger", ledger),
        _unshield("merchant", merchant),
        business_date,
        _integer("sequence", sequence),
        _integer("fen_per_hundred_points", rate),
        previous,
    )
    check_header(header)
    return header


def line_from_cells(cells: list[str], header: SettlementHeader) -> SettlementLine:
    """Reads a line under its header. Raises VALIDATION_FAILED for a broken rule."""
    _, kind, redemption_id, merchant_ref, original_date, time, points, minutes, fen = cells
    if kind not in _KINDS:
        raise refusal("kind", f"expected {' or '.join(_KINDS)}, got {kind[:40]!r}")
    line = SettlementLine(
        _KINDS[kind],
        _unshield("redemption_id", redemption_id),
        _unshield("merchant_ref", merchant_ref),
        original_date,
        _time_from_text(time),
        _integer("points", points),
        _integer("minutes", minutes),
        _integer("fen", fen),
    )
    check_line(line, header)
    return line


def totals_from_cells(cells: list[str]) -> SettlementTotals:
    """Reads a trailer. Raises VALIDATION_FAILED for what is no number."""
    names = SettlementTotals._fields
    return SettlementTotals(*map(_integer, names, cells[1:]))


def refusal(field: str, text: str) -> TimebankError:
    """Makes the error of a field that breaks its rule."""
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )


def _check_name(field: str, text: str) -> None:
    if not text:
        raise refusal(field, f"expected 1 to {TEXT_CHARACTERS_MAX} characters, got none")
    check_text(field, text)


def _shield(text: str) -> str:
    """Puts an apostrophe before what a spreadsheet could take for a formula."""
    return f"'{text}" if _needs_shield(text) else text


def _unshield(field: str, cell: str) -> str:
    """Takes the apostrophe away again: it must be there, and only where it is needed."""
    text = cell.removeprefix("'")
    if _shield(text) != cell:
        raise refusal(field, f"expected an apostrophe where it is needed alone, got {cell[:40]!r}")
    return text


def _needs_shield(text: str) -> bool:
    return text.startswith("'") or text.lstrip().startswith(_FORMULA_MARKS)


def _join(cells: list[str]) -> bytes:
    """Writes cells with quotes where RFC 4180 needs them."""
    record = ",".join(cells)
    if '"' in record or record.count(",") >= len(cells):
        record = ",".join(map(_quoted, cells))
    return record.encode("utf-8")


def _quoted(cell: str) -> str:
    if '"' in cell or "," in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _integer(field: str, text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise refusal(field, f"expected an integer without leading zeros, got {text[:40]!r}")
    return int(text)


def _time_to_text(time_us: int) -> str:
    """Writes RFC 3339 in UTC, always with six digits of a second."""
    return from_us(time_us).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _time_from_text(text: str) -> int:
    if _TIME.fullmatch(text):
        try:
            return to_us(datetime.fromisoformat(text))
        except ValueError:
            pass
    raise refusal("business_time", f"expected 2026-01-31T09:30:00.000000Z, got {text[:40]!r}")
