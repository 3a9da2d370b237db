"""What callers read of merchants, tills and redemptions.

Owns: the frozen views and the closed lists of states. Rules: a name is the contract's without its
prefix; a number that this client does not know yet reads as UNKNOWN. Amounts of redemptions are in
their unit: whole points, or minutes of TIME; cash and settlements are in fen.
"""

import enum
from dataclasses import dataclass
from datetime import datetime

from timebank.units import Unit


class MerchantCategory(enum.StrEnum):
    """What a merchant offers."""

    UNKNOWN = "UNKNOWN"
    SERVICE = "SERVICE"
    DISCOUNT = "DISCOUNT"
    CULTURE = "CULTURE"


class MerchantState(enum.StrEnum):
    """Where a merchant stands."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    LEAVING = "LEAVING"
    LEFT = "LEFT"


class TerminalState(enum.StrEnum):
    """Where a till stands; PENDING: it has no key yet."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


class OfferState(enum.StrEnum):
    """Whether an offer is open."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class RedemptionState(enum.StrEnum):
    """Where a redemption stands; UNKNOWN: ask again."""

    UNKNOWN = "UNKNOWN"
    PENDING_MEMBER = "PENDING_MEMBER"
    AUTHORIZED = "AUTHORIZED"
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REVERSED = "REVERSED"
    EXPIRED = "EXPIRED"
    DECLINED = "DECLINED"

    @property
    def is_taken(self) -> bool:
        """Says whether the member's points are held or paid."""
        return self in _TAKEN

    @property
    def is_ended(self) -> bool:
        """Says whether nothing was or will be taken."""
        return self in _ENDED


_TAKEN = frozenset(
    {RedemptionState.AUTHORIZED, RedemptionState.PARTIALLY_CAPTURED, RedemptionState.CAPTURED}
)
_ENDED = frozenset(
    {
        RedemptionState.VOIDED,
        RedemptionState.REVERSED,
        RedemptionState.EXPIRED,
        RedemptionState.DECLINED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantView:
    """A merchant 商户; the terms are empty for callers who may not see them. Business days before
    `cut_off_effective_date` end by another cut-off; empty: none does.
    """

    name: str
    display_name: str
    category: MerchantCategory
    state: MerchantState
    fen_per_hundred_points: int
    cut_off_minute: int
    cut_off_effective_date: str
    budget: str
    debt_points_max: int | None
    points_account: str
    time_account: str
    fund_account: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalView:
    """A till 收银终端; the enrolment code is only in the answer that made it."""

    name: str
    display_name: str
    location: str
    state: TerminalState
    key_ids: tuple[str, ...]
    enrolment_code: str
    enrolment_expire_time: datetime | None
    points_per_transaction_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """What a merchant gives for points 兑换项目; `price` 0: the till says the amount."""

    name: str
    title: str
    unit: Unit
    price: int
    cash_fen: int
    price_version: int
    stock: int | None
    state: OfferState

    @property
    def id(self) -> str:
        """Gives the id within its merchant."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteView:
    """What a redemption would cost."""

    unit: Unit
    amount: int
    cash_fen: int
    price_version: int
    pin_required: bool
    payer_checked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionView:
    """A redemption 兑换 as the server tells it."""

    name: str
    merchant_ref: str
    state: RedemptionState
    unit: Unit | None
    amount: int
    cash_fen: int
    captured_amount: int
    refunded_amount: int
    held_amount: int
    offer: str
    quantity: int
    pin_required: bool
    decline_reason: str
    decline_message: str
    expire_time: datetime | None
    business_date: str
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """How much of the special fund redemptions may reserve and spend 预算, in fen.

    `adjusted_fen` is the part of what is spent that closed batches booked, less than 0 where they
    took from it.
    """

    name: str
    display_name: str
    limit_fen: int
    reserved_fen: int
    spent_fen: int
    adjusted_fen: int
    available_fen: int
    etag: str


class IncomeSource(enum.StrEnum):
    """Where money of the special fund comes from."""

    UNKNOWN = "UNKNOWN"
    GOVERNMENT = "GOVERNMENT"
    DONATION = "DONATION"
    SPONSORSHIP = "SPONSORSHIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomeView:
    """Money that came into the special fund 基金收入, in fen."""

    name: str
    source: IncomeSource
    amount_fen: int
    earmark: str
    reference: str
    entry: str
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCodeView:
    """A payment code 付款码: good once, until `expire_time`."""

    code: str
    expire_time: datetime | None
