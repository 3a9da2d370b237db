"""What callers read of settlement 结算 and reconciliation 对账.

Owns: the frozen views of batches, items and submissions. Rules: points or minutes are `*_amount`
and `*_points`, money is in fen; a number that this client does not know reads as UNKNOWN.
"""

import enum
from dataclasses import dataclass
from datetime import datetime


class BatchState(enum.StrEnum):
    """Where a batch stands; it only moves forward."""

    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    PAID = "PAID"


class ReconciliationOutcome(enum.StrEnum):
    """What a comparison found; everything but MATCHED is work."""

    UNKNOWN = "UNKNOWN"
    MATCHED = "MATCHED"
    MISSING_AT_MERCHANT = "MISSING_AT_MERCHANT"
    MISSING_IN_LEDGER = "MISSING_IN_LEDGER"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    STATE_MISMATCH = "STATE_MISMATCH"
    DUPLICATE_AT_MERCHANT = "DUPLICATE_AT_MERCHANT"
    CUTOFF_SHIFT = "CUTOFF_SHIFT"
    LATE_OFFLINE = "LATE_OFFLINE"
    UNPAID = "UNPAID"
    OVERPAID = "OVERPAID"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """What a merchant is paid for one business day 结算批次."""

    name: str
    business_date: str
    sequence: int
    state: BatchState
    line_count: int
    redeemed_points: int
    refunded_points: int
    net_points: int
    net_fen: int
    file_sha256: str
    previous_file_sha256: str
    file_signature: str
    invoice_number: str
    paid_fen: int
    close_time: datetime | None
    replayed: bool
    net_minutes: int = 0
    """Minutes of TIME taken less those given back: listed in the file, never turned into fen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationItemView:
    """What ledger, journal and advice say of one redemption or batch 对账差异."""

    name: str
    business_date: str
    merchant_ref: str
    outcome: ReconciliationOutcome
    ledger_amount: int
    merchant_amount: int
    settled_fen: int
    paid_fen: int
    owner: str
    open_time: datetime | None
    resolve_time: datetime | None
    resolution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionView:
    """What became of a journal or an advice; `errors` are rows from 1 and what is wrong."""

    row_count: int
    accepted_count: int
    rejected_count: int
    errors: tuple[tuple[int, str], ...]
    matched_count: int
    item_count: int
    replayed: bool
