"""The tables of the books: what a shop's journal and the bank's advice of payments say, as CSV.

Owns: made-up sales and payments, and the differences that are put into a journal or an advice, with
the outcomes that a reconciliation must find. Rules: the same numbers make the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from timebank.client.settlement_views import ReconciliationOutcome as Outcome

JOURNAL_HEAD = "merchant_ref,business_date,state,captured_amount,refunded_amount"
ADVICE_HEAD = "batch,paid_fen,paid_date"
POINTS_MAX = 300
FEN_MAX = 90_000


class Sale(NamedTuple):
    """A row of a journal."""

    merchant_ref: str
    business_date: str
    state: str
    points: int
    refunded: int = 0


class Payment(NamedTuple):
    """A row of an advice; the batch by its resource name."""

    batch: str
    paid_fen: int
    paid_date: str


_Row = TypeVar("_Row", Sale, Payment)


@dataclass(frozen=True, slots=True)
class Spoilt(Generic[_Row]):
    """Rows that differ from what the service knows, how, and how many rows agree with it."""

    rows: list[_Row]
    outcomes: Counter[Outcome]
    matched_count: int


def days_before(last: date, count: int) -> list[str]:
    """Gives so many dates up to the last one, oldest first."""
    return [(last - timedelta(days=back)).isoformat() for back in reversed(range(count))]


def sales_of(dates: Sequence[str], a_day: int) -> list[list[Sale]]:
    """Gives the sales of each day."""
    return [
        [
            Sale(f"{day}-{number:05d}", day, "CAPTURED", 1 + (number * 37 + place) % POINTS_MAX)
            for number in range(a_day)
        ]
        for place, day in enumerate(dates)
    ]


def payments_of(merchants: Sequence[str], dates: Sequence[str], parts: int) -> list[list[Payment]]:
    """Gives a payment for one batch of each merchant, by resource name, and date, in parts that
    follow each other; merchants have one batch a day.
    """
    paid = [
        Payment(f"{merchant}/batches/{day}-1", 1 + (number * 41 + place * 7) % FEN_MAX, day)
        for place, day in enumerate(dates)
        for number, merchant in enumerate(merchants)
    ]
    size = -(-len(paid) // parts)  # rounded up
    return [paid[start : start + size] for start in range(0, len(paid), size)]


def spoil_journal(sold: Sequence[Sale]) -> Spoilt[Sale]:
    """Makes a day's journal that differs from its sales, of which there are at least five;
    it has as many rows.
    """
    missing, forgotten, wrong, other, first, *rest = sold
    rows = [
        wrong._replace(points=wrong.points + 1),
        other._replace(state="PARTIALLY_CAPTURED"),
        first,
        *rest,
        first,
        missing._replace(merchant_ref=f"{forgotten.merchant_ref}-ghost"),
    ]
    outcomes = (
        Outcome.MISSING_AT_MERCHANT,
        Outcome.MISSING_AT_MERCHANT,
        Outcome.AMOUNT_MISMATCH,
        Outcome.STATE_MISMATCH,
        Outcome.DUPLICATE_AT_MERCHANT,
        Outcome.MISSING_IN_LEDGER,
    )
    return Spoilt(rows, Counter(outcomes), matched_count=len(rest) + 1)


def spoil_advice(paid: Sequence[Payment]) -> Spoilt[Payment]:
    """Makes an advice that pays one batch too little and one too much, of at least two."""
    less, more, *rest = paid
    rows = [
        less._replace(paid_fen=less.paid_fen - 1),
        more._replace(paid_fen=more.paid_fen + 1),
        *rest,
    ]
    outcomes = Counter((Outcome.UNPAID, Outcome.OVERPAID))
    return Spoilt(rows, outcomes, matched_count=len(rest))


def table_of(head: str, rows: Sequence[tuple[object, ...]]) -> bytes:
    """Writes CSV; no cell needs quotes."""
    return "\r\n".join((head, *(",".join(map(str, row)) for row in rows), "")).encode()


def write_tables(
    folder: Path, name: str, head: str, parts: Sequence[Sequence[tuple[object, ...]]]
) -> list[Path]:
    """Writes each part to a file of its own."""
    paths = [folder / f"{name}-{number}.csv" for number in range(len(parts))]
    for path, rows in zip(paths, parts, strict=True):
        path.write_bytes(table_of(head, rows))
    return paths
