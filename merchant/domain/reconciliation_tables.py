"""Tables of the contract: a merchant's journal by redemption, and the bank's advice by batch.

Owns: what each cell may say. Refuses: what rows mean for each other (see reconciliation_rules.py).
Rules: CSV in UTF-8 (see merchant.domain.tables for what else is understood), at most 2,000,000
bytes and 20,000 rows; columns by name in any order, others ignored. A row that breaks a rule does
not count and is told by its number, from 1 for the one after the header; the others count.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from merchant.domain.business_days import neighbours, parse_date
from merchant.domain.documents import BadRow
from merchant.domain.settlement_records import POINTS_MAX, check_text
from merchant.domain.states import RedemptionState
from merchant.domain.tables import read_table
from timebank.errors import Reason, TimebankError

CONTENT_BYTES_MAX = 2_000_000
ROWS_MAX = 20_000
BAD_ROWS_MAX = 100
"""Bad rows that are told; the rest is counted."""
FEN_MAX = 10**15
_HEADING_ROWS = 1
_JOURNAL = ("merchant_ref", "business_date", "state", "captured_amount", "refunded_amount")
_JOURNAL_OPTIONAL = ("offline",)
_YES_OR_NO = {"": False, "0": False, "false": False, "1": True, "true": True}
_ADVICE = ("batch", "paid_fen", "paid_date")
_INTEGER_DIGITS_MAX = 18
_STATES = dict(RedemptionState.__members__)
_Row = TypeVar("_Row")


class JournalRow(NamedTuple):
    """What a merchant says of one redemption; amounts are points or minutes. `offline`: it was sold
    while the till's line was down.
    """

    row: int
    merchant_ref: str
    business_date: str
    state: RedemptionState
    captured: int
    refunded: int
    offline: bool = False


class AdviceRow(NamedTuple):
    """What the bank says it paid; negative fen came back 退汇."""

    row: int
    batch_id: str
    paid_fen: int
    paid_date: str


class Rows(NamedTuple):
    """How many rows a table has, and which do not count, of which the first are told."""

    row_count: int
    rejected_count: int
    bad_rows: tuple[BadRow, ...]


def parse_journal(data: bytes, *, first_date: str, last_date: str) -> tuple[list[JournalRow], Rows]:
    """Reads a journal that covers some days; rows of other days than these and their neighbours do
    not count.

    Raises BATCH_TOO_LARGE, VALIDATION_FAILED for a file that is no such table.
    """
    earliest, latest = neighbours(first_date)[0], neighbours(last_date)[1]

    def parse(number: int, cells: list[str]) -> JournalRow:
        ref, day, said, captured_cell, refunded_cell, *more = cells
        if not ref:
            raise _Problem("merchant_ref: expected text, got nothing")
        check_text("merchant_ref", ref)
        date = _date("business_date", day)
        if not earliest <= date <= latest:
            raise _Problem(f"business_date: expected {first_date} to {last_date}, got {date}")
        state = _STATES.get(said)
        if state is None:
            raise _Problem(f"state: expected one of {', '.join(_STATES)}, got {said[:40]!r}")
        captured = _integer("captured_amount", captured_cell, 0, POINTS_MAX)
        refunded = _integer("refunded_amount", refunded_cell, 0, captured)
        offline = _YES_OR_NO.get(more[0].lower()) if more else False
        if offline is None:
            raise _Problem(f"offline: expected true or false, got {more[0][:40]!r}")
        return JournalRow(number, ref, date, state, captured, refunded, offline)

    return _parse(data, _JOURNAL, parse, optional=_JOURNAL_OPTIONAL)


def parse_advice(data: bytes, *, ledger_id: str) -> tuple[list[AdviceRow], Rows]:
    """Reads an advice about batches of a ledger.

    Raises BATCH_TOO_LARGE, VALIDATION_FAILED for a file that is no such table.
    """
    ledger = f"ledgers/{re.escape(ledger_id)}"
    batch = re.compile(f"{ledger}/merchants/([a-z0-9-]{{1,64}})/batches/([a-z0-9-]{{1,64}})")

    def parse(number: int, cells: list[str]) -> AdviceRow:
        name = batch.fullmatch(cells[0])
        if name is None:
            expected = f"expected the resource name of a batch of ledger {ledger_id}"
            raise _Problem(f"batch: {expected}, got {cells[0][:120]!r}")
        paid_fen = _integer("paid_fen", cells[1], -FEN_MAX, FEN_MAX)
        paid_date = _date("paid_date", cells[2])
        return AdviceRow(number, "/".join(name.groups()), paid_fen, paid_date)

    return _parse(data, _ADVICE, parse)


class _Problem(ValueError):
    """Why one row does not count."""


def _parse(
    data: bytes,
    columns: tuple[str, ...],
    parse: Callable[[int, list[str]], _Row],
    *,
    optional: tuple[str, ...] = (),
) -> tuple[list[_Row], Rows]:
    if len(data) > CONTENT_BYTES_MAX:
        raise _too_large(f"expected at most {CONTENT_BYTES_MAX} bytes, got {len(data)}")
    table = read_table(data, {name: name for name in columns + optional}, required=columns)
    cells_of = table.cells_of([*columns, *(name for name in optional if name in table.columns)])
    rows: list[_Row] = []
    bad: list[BadRow] = []
    count = rejected = 0
    for number, cells, problem in table.records():
        count += 1
        if count > ROWS_MAX:
            raise _too_large(f"expected at most {ROWS_MAX} rows, got more")
        if not problem:
            try:
                rows.append(parse(number - _HEADING_ROWS, cells_of(cells)))
                continue
            except _Problem as error:
                problem = str(error)
            except TimebankError as error:
                problem = error.message
        rejected += 1
        if len(bad) < BAD_ROWS_MAX:
            bad.append(BadRow(number - _HEADING_ROWS, problem))
    return rows, Rows(count, rejected, tuple(bad))


def reject(rows: Rows, row: int, message: str) -> Rows:
    """Adds a row that does not count after all."""
    bad = sorted((*rows.bad_rows, BadRow(row, message)))[:BAD_ROWS_MAX]
    return Rows(rows.row_count, rows.rejected_count + 1, tuple(bad))


@functools.lru_cache(maxsize=1_024)
def _date(field: str, cell: str) -> str:
    """Reads a date; a table has few of them. Raises VALIDATION_FAILED for what is no date."""
    return parse_date(field, cell).isoformat()


def _integer(field: str, cell: str, lowest: int, highest: int) -> int:
    digits = cell.removeprefix("-")
    if digits.isdigit() and digits.isascii() and len(digits) <= _INTEGER_DIGITS_MAX:
        number = int(cell)
        if lowest <= number <= highest:
            return number
    raise _Problem(f"{field}: expected an integer {lowest} to {highest}, got {cell[:40]!r}")


def _too_large(text: str) -> TimebankError:
    return TimebankError(Reason.BATCH_TOO_LARGE, f"content: {text}; split it", field="content")
