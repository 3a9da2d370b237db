"""What the merchant service remembers: each document the whole of its subject.

Owns the classes. Refuses: rules (see redemption_rules.py and its neighbours), how documents are
found (places.py) and bytes (store/documents.py). Times are microseconds since 1970 UTC, amounts
points or minutes, money fen. An id that lies below a merchant begins with the merchant's id and a
slash.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.states import (
    MerchantState,
    Method,
    OfferState,
    OfferUnit,
    RedemptionState,
    Step,
    TerminalState,
)


class Merchant(NamedTuple):
    """A merchant 商户 with its accounts in the ledger."""

    merchant_id: str
    display_name: str
    category: int
    state: MerchantState
    fen_per_hundred_points: int
    cut_off_minute: int
    budget: str
    debt_points_max: int
    points_account: str
    time_account: str
    fund_account: str
    created_us: int
    version: int = 1
    batches: int = 0
    """How many settlement batches were closed, all days."""
    last_closed_date: str = ""
    last_file_sha256: str = ""
    open_batch: str = ""
    """Id of the batch that is being closed: one at a time, because each file names the one before
    it.
    """


class TerminalKey(NamedTuple):
    """A public key of a till; `expires_us` 0: until it is rotated."""

    key_id: str
    public_key: str
    expires_us: int = 0


class Terminal(NamedTuple):
    """A till 收银终端. Its id is `merchant/terminal`; `nonces` are those of the last minutes."""

    terminal_id: str
    display_name: str
    location: str
    state: TerminalState
    points_per_transaction_max: int
    created_us: int
    keys: tuple[TerminalKey, ...] = ()
    enrolment_digest: str = ""
    enrolment_expires_us: int = 0
    version: int = 1


class Offer(NamedTuple):
    """An item of a merchant's catalogue. Its id is `merchant/offer`; price 0: a free amount."""

    offer_id: str
    title: str
    description: str
    unit: OfferUnit
    price: int
    cash_fen: int
    price_version: int
    state: OfferState
    stock: int | None
    per_member_daily_max: int
    daily_max: int
    valid_from_us: int
    valid_until_us: int
    created_us: int
    version: int = 1


class Control(NamedTuple):
    """A velocity control: what one subject may redeem in a window; 0: no limit."""

    control_id: str
    scope: str
    window: str
    amount_max: int
    count_max: int


class Controls(NamedTuple):
    """All velocity controls of a ledger."""

    controls_id: str
    controls: tuple[Control, ...] = ()


class Counter(NamedTuple):
    """What one subject has redeemed in one window. The id names control, subject and window."""

    counter_id: str
    amount: int = 0
    times: int = 0


class Code(NamedTuple):
    """A payment code 付款码, by its digest."""

    digest: str
    member_id: str
    device: str
    issued_us: int
    used_us: int = 0
    replaced_us: int = 0


class Wallet(NamedTuple):
    """What a member pays with: accounts in the ledger, the live code, how many were issued this
    hour, the PIN's hash and its wrong tries, and the card.
    """

    member_id: str
    points_account: str = ""
    time_account: str = ""
    live_code: str = ""
    hour_us: int = 0
    issued: int = 0
    pin_hash: str = ""
    pin_failed: int = 0
    pin_locked: bool = False
    card: str = ""


class Tries(NamedTuple):
    """Wrong codes of one till within a minute."""

    terminal_id: str
    window_us: int = 0
    wrong: int = 0


class Card(NamedTuple):
    """A card 积分卡 for members without a phone, by the digest of its number."""

    digest: str
    card_id: str
    member_id: str
    blocked: bool
    created_us: int


class Capture(NamedTuple):
    """One entry of the ledger that paid a part, and how much of it went back."""

    entry: str
    amount: int
    refunded: int = 0


class Pending(NamedTuple):
    """What is asked of the ledger and not answered yet; the same request id is sent until it is."""

    step: Step
    request_id: str
    op_ref: str
    amount: int
    final: bool
    since_us: int


class Done(NamedTuple):
    """An operation with a reference of the merchant's that was carried out or declined."""

    op_ref: str
    step: Step
    amount: int
    reason: str = ""
    message: str = ""


class Redemption(NamedTuple):
    """Points or TIME for goods or a service. The id is `merchant/digest of the merchant's
    reference`, so that a reference is there once for ever.
    """

    redemption_id: str
    merchant_ref: str
    fingerprint: str
    state: RedemptionState
    created_us: int
    terminal: str = ""
    offer: str = ""
    quantity: int = 0
    price_version: int = 0
    unit: OfferUnit = OfferUnit.POINTS
    method: Method = Method.PAYMENT_CODE
    member_id: str = ""
    device: str = ""
    payer_account: str = ""
    amount: int = 0
    cash_fen: int = 0
    captured: int = 0
    refunded: int = 0
    hold: str = ""
    redeems: bool = False
    pin_required: bool = False
    officer: str = ""
    expires_us: int = 0
    captured_us: int = 0
    reason: str = ""
    message: str = ""
    budget: str = ""
    fen_per_hundred_points: int = 0
    counters: tuple[str, ...] = ()
    captures: tuple[Capture, ...] = ()
    pending: Pending | None = None
    done: tuple[Done, ...] = ()
    lines: int = 0
    business_date: str = ""
    batch: str = ""


class Line(NamedTuple):
    """One line of a settlement: a redemption (positive) or a refund (negative)."""

    line_id: str
    redemption_id: str
    merchant_ref: str
    kind: str
    points: int
    rate: int
    moved_us: int
    business_date: str
    batch: str = ""


class Advice(NamedTuple):
    """What the bank says it paid for a batch on one day."""

    paid_date: str
    paid_fen: int


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


class Budget(NamedTuple):
    """Money set aside for redemptions, in fen."""

    budget_id: str
    display_name: str
    limit_fen: int
    reserved_fen: int = 0
    spent_fen: int = 0
    valid_from_us: int = 0
    valid_until_us: int = 0
    version: int = 1


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


class Voucher(NamedTuple):
    """A voucher 兑换码: bought now, collected later; the id is the digest of its code."""

    digest: str
    voucher_id: str
    merchant_id: str
    offer: str
    member_id: str
    state: int
    redemption_id: str
    issued_us: int
    expires_us: int
    collected_by: str = ""


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


Document = (
    Merchant
    | Terminal
    | Offer
    | Controls
    | Counter
    | Code
    | Wallet
    | Tries
    | Card
    | Redemption
    | Line
    | Batch
    | Budget
    | Spending
    | Income
    | Voucher
    | Item
    | IncomeReference
    | Comparison
)
