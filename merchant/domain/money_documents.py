"""What the merchant service remembers of settlement, reconciliation and the special fund.

Owns the classes, which documents.py gives to everybody. Times are microseconds since 1970 UTC,
money is fen. An id that lies below a merchant begins with the merchant's id and a slash.
"""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One line of a settlement: a redemption (positive) or a refund (negative), in points or in
    minutes of TIME. `spent_fen` is what it made its budget spend, rounded up by redemption.
    """

    line_id: str
    redemption_id: str
    merchant_ref: str
    kind: str
    points: int
    rate: int
    moved_us: int
    business_date: str
    batch: str = ""
    minutes: int = 0
    budget: str = ""
    spent_fen: int = 0


class Advice(NamedTuple):
    """What the bank says it paid for a batch on one day."""

    paid_date: str
    paid_fen: int


class RemainderCount(NamedTuple):
    """How many lines of a batch have a remainder: hundredths of a fen, at the batch's rate."""

    remainder: int
    lines: int


class Batch(NamedTuple):
    """A settlement batch. Its id is `merchant/date-sequence`; `attempts` counts what the ledger
    declined, `settled_us` is the ledger's time of the entry.
    """

    batch_id: str
    business_date: str
    sequence: int
    state: str
    rate: int
    created_us: int
    line_count: int = 0
    redeemed_points: int = 0
    refunded_points: int = 0
    net_points: int = 0
    net_fen: int = 0
    file_sha256: str = ""
    previous_file_sha256: str = ""
    jws: str = ""
    invoice_number: str = ""
    entry: str = ""
    payout_entry: str = ""
    paid_fen: int = 0
    closed_us: int = 0
    paid_us: int = 0
    attempts: int = 0
    settled_us: int = 0
    advices: tuple[Advice, ...] = ()
    remainders: tuple[RemainderCount, ...] = ()
    redeemed_minutes: int = 0
    refunded_minutes: int = 0
    adjusted_fen: int = 0
    """By how much its close changed what budgets have spent, all together."""

    @property
    def net_minutes(self) -> int:
        """Gives the minutes of TIME taken less those given back."""
        return self.redeemed_minutes - self.refunded_minutes


class Budget(NamedTuple):
    """Money set aside for redemptions, in fen. `adjusted_fen` is the part of what is spent that
    batches booked when they closed, so that all that is spent is what was paid.
    """

    budget_id: str
    display_name: str
    limit_fen: int
    reserved_fen: int = 0
    spent_fen: int = 0
    valid_from_us: int = 0
    valid_until_us: int = 0
    version: int = 1
    adjusted_fen: int = 0


class Spending(NamedTuple):
    """Money of the fund for something else than redemptions; a second person approves. `paying` is
    the request that the ledger has not answered yet, `declined` the last one that it declined.
    """

    spending_id: str
    kind: int
    amount_fen: int
    purpose: str
    state: int
    proposer: str
    approver: str = ""
    entry: str = ""
    created_us: int = 0
    decided_us: int = 0
    attempts: int = 0
    paying: str = ""
    declined: str = ""
    reason: str = ""
    message: str = ""
    recorded_us: int = 0
    """The ledger's time of the entry."""


class Income(NamedTuple):
    """Money that came into the fund; no entry: the ledger has not answered yet."""

    income_id: str
    source: int
    amount_fen: int
    earmark: str
    reference: str
    entry: str
    created_us: int
    attempts: int = 0
    recorded_us: int = 0
    """The ledger's time of the entry."""


class IncomeReference(NamedTuple):
    """Which income a reference of a bank or donor belongs to: one for ever."""

    reference: str
    income_id: str


class Item(NamedTuple):
    """A work item of a reconciliation."""

    item_id: str
    business_date: str
    merchant_ref: str
    outcome: str
    ledger_points: int
    merchant_points: int
    ledger_fen: int
    paid_fen: int
    opened_us: int
    owner: str = ""
    resolved_us: int = 0
    resolution: str = ""
    batch: str = ""
    """Id of the batch that it is about; empty: it is about one redemption."""


class BadRow(NamedTuple):
    """Why a row of a table that was sent in does not count."""

    row: int
    message: str


class Comparison(NamedTuple):
    """What came of a journal or a payout advice that was sent in."""

    comparison_id: str
    created_us: int
    row_count: int
    rejected_count: int
    matched_count: int
    item_count: int
    bad_rows: tuple[BadRow, ...] = ()
