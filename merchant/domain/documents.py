"""What the merchant service remembers: each document the whole of its subject.

Owns the classes. Refuses: rules (see redemption_rules.py and its neighbours), how documents are
found (places.py) and bytes (store/documents.py). Times are microseconds since 1970 UTC, amounts
points or minutes, money fen. An id that lies below a merchant begins with the merchant's id and a
slash.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.business_days import CutOff
from merchant.domain.money_documents import (
    Advice,
    BadRow,
    Batch,
    Budget,
    Comparison,
    Income,
    IncomeReference,
    Item,
    Line,
    RemainderCount,
    Spending,
)
from merchant.domain.states import (
    MerchantState,
    Method,
    OfferState,
    OfferUnit,
    RedemptionState,
    Step,
    TerminalState,
)

__all__ = [
    "Advice",
    "BadRow",
    "Batch",
    "Budget",
    "Comparison",
    "Income",
    "IncomeReference",
    "Item",
    "Line",
    "RemainderCount",
    "Spending",
]
"""Documents of money, which stand in a module of their own and are imported from here."""


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
    cut_offs: tuple[CutOff, ...] = ()
    """The cut-offs that held and hold, oldest first, and last the one agreed on, which may not hold
    yet; empty: `cut_off_minute` always held.
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
    stocked: int | None = None
    """Pieces that were ever put into a stock that has been counted since the offer was made: with
    those that redemptions took they give the stock. None: nobody knows.
    """


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
    final: bool = False


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
    counts_stock: bool = False
    """Whether pieces of a counted stock were taken."""
    captures: tuple[Capture, ...] = ()
    pending: Pending | None = None
    done: tuple[Done, ...] = ()
    lines: int = 0
    business_date: str = ""
    batch: str = ""


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
