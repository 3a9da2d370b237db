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
_ADVICE = ("batch", "paid_fen", "paid_date")
_INTEGER = re.compile("-?[0-9]{1,18}")
_BATCH = re.compile(
    "ledgers/([a-z][a-z0-9-]{1,39})/merchants/([a-z0-9-]{1,64})/batches/([a-z0-9-]{1,64})"
)
_Row = TypeVar("_Row")


class JournalRow(NamedTuple):
    """What a merchant says of one redemption; amounts are points or minutes."""

    row: int
    merchant_ref: str
    business_date: str
    state: RedemptionState
    captured: int
    refunded: int


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

    def parse(number: int, cells: dict[str, str]) -> JournalRow:
        ref = cells["merchant_ref"]
        if not ref:
            raise _Problem("merchant_ref: expected text, got nothing")
        check_text("merchant_ref", ref)
        date = _date("business_date", cells["business_date"])
        if not earliest <= date <= latest:
            raise _Problem(f"business_date: expected {first_date} to {last_date}, got {date}")
        state = RedemptionState.__members__.get(cells["state"])
        if state is None:
            expected = ", ".join(RedemptionState.__members__)
            raise _Problem(f"state: expected one of {expected}, got {cells['state'][:40]!r}")
        captured = _integer("captured_amount", cells["captured_amount"], 0, POINTS_MAX)
        refunded = _integer("refunded_amount", cells["refunded_amount"], 0, captured)
        return JournalRow(number, ref, date, state, captured, refunded)

    return _parse(data, _JOURNAL, parse)


def parse_advice(data: bytes, *, ledger_id: str) -> tuple[list[AdviceRow], Rows]:
    """Reads an advice about batches of a ledger.

    Raises BATCH_TOO_LARGE, VALIDATION_FAILED for a file that is no such table.
    """

    def parse(number: int, cells: dict[str, str]) -> AdviceRow:
        name = _BATCH.fullmatch(cells["batch"])
        if name is None or name[1] != ledger_id:
            expected = f"expected the resource name of a batch of ledger {ledger_id}"
            raise _Problem(f"batch: {expected}, got {cells['batch'][:120]!r}")
        paid_fen = _integer("paid_fen", cells["paid_fen"], -FEN_MAX, FEN_MAX)
        paid_date = _date("paid_date", cells["paid_date"])
        return AdviceRow(number, f"{name[2]}/{name[3]}", paid_fen, paid_date)

    return _parse(data, _ADVICE, parse)


class _Problem(ValueError):
    """Why one row does not count."""


def _parse(
    data: bytes, columns: tuple[str, ...], parse: Callable[[int, dict[str, str]], _Row]
) -> tuple[list[_Row], Rows]:
    if len(data) > CONTENT_BYTES_MAX:
        raise _too_large(f"expected at most {CONTENT_BYTES_MAX} bytes, got {len(data)}")
    table = read_table(data, {name: name for name in columns}, required=columns)
    rows: list[_Row] = []
    bad: list[BadRow] = []
    count = rejected = 0
    for record in table.records():
        count += 1
        if count > ROWS_MAX:
            raise _too_large(f"expected at most {ROWS_MAX} rows, got more")
        number, problem = record.number - _HEADING_ROWS, record.problem
        if not problem:
            cells = {name: table.cell(record.cells, name) for name in columns}
            try:
                rows.append(parse(number, cells))
            except _Problem as error:
                problem = str(error)
            except TimebankError as error:
                problem = error.message
        if problem:
            rejected += 1
            if len(bad) < BAD_ROWS_MAX:
                bad.append(BadRow(number, problem))
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
    if _INTEGER.fullmatch(cell) and lowest <= (number := int(cell)) <= highest:
        return number
    raise _Problem(f"{field}: expected an integer {lowest} to {highest}, got {cell[:40]!r}")


def _too_large(text: str) -> TimebankError:
    return TimebankError(Reason.BATCH_TOO_LARGE, f"content: {text}; split it", field="content")
