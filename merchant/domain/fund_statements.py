"""The fund's statement of a quarter 季度收支: income by source, spending by kind.

Owns: when a quarter begins and ends, and its sums. Refuses: balances, which are the ledger's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from merchant.domain.business_days import business_day, unchanging
from merchant.domain.documents import Income, Spending
from timebank.errors import Reason, TimebankError

YEAR_MIN, YEAR_MAX = 2000, 9997
MONTHS = 3


class Quarter(NamedTuple):
    """A calendar quarter with its half-open bounds in microseconds since 1970 UTC."""

    year: int
    quarter: int
    start_us: int
    end_us: int


class Total(NamedTuple):
    """A sum in fen by source or kind, and of how many."""

    number: int
    amount_fen: int
    times: int


class FundStatement(NamedTuple):
    """What came in and went out between two balances, in fen."""

    opening_fen: int
    incomes: tuple[Total, ...]
    spendings: tuple[Total, ...]
    settlement_fen: int
    closing_fen: int
    log_size: int


def quarter_of(year: int, quarter: int, *, zone: str) -> Quarter:
    """Gives a calendar quarter in a zone. Raises VALIDATION_FAILED for one that is none."""
    wrong = []
    if not YEAR_MIN <= year <= YEAR_MAX:
        wrong.append(("year", f"expected {YEAR_MIN} to {YEAR_MAX}, got {year}"))
    if not 1 <= quarter <= 4:
        wrong.append(("quarter", f"expected 1 to 4, got {quarter}"))
    if wrong:
        text = "; ".join(f"{field}: {what}" for field, what in wrong)
        field = wrong[0][0]
        raise TimebankError(Reason.VALIDATION_FAILED, text, violations=wrong, field=field)
    first = quarter * MONTHS - MONTHS + 1
    end = f"{year + 1}-01-01" if quarter == 4 else f"{year}-{first + MONTHS:02}-01"
    return Quarter(
        year, quarter, _midnight_us(f"{year}-{first:02}-01", zone), _midnight_us(end, zone)
    )


def sum_up(
    incomes: Iterable[Income], spendings: Iterable[Spending]
) -> tuple[tuple[Total, ...], tuple[Total, ...]]:
    """Sums incomes by source and spendings by kind, in the order of their numbers."""
    by_source = _totals((income.source, income.amount_fen) for income in incomes)
    return by_source, _totals((spending.kind, spending.amount_fen) for spending in spendings)


def _totals(amounts: Iterable[tuple[int, int]]) -> tuple[Total, ...]:
    found: dict[int, Total] = {}
    for number, amount_fen in amounts:
        total = found.get(number, Total(number, 0, 0))
        found[number] = Total(number, total.amount_fen + amount_fen, total.times + 1)
    return tuple(found[number] for number in sorted(found))


def _midnight_us(date: str, zone: str) -> int:
    """Gives the midnight that begins a date: business days that end at midnight are its days."""
    return business_day(date, unchanging(zone, 0)).start_us
