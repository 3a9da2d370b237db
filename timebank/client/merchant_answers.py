"""Answers of the merchant services become views.

Owns: the conversions from messages of merchants, tills, offers and redemptions to
`timebank.client.merchant_views`. Rules: a number that this client does not know reads as UNKNOWN.
"""

from timebank.client.kinds import kinds_by_number
from timebank.client.merchant_views import (
    BudgetView,
    IncomeSource,
    IncomeView,
    MerchantCategory,
    MerchantState,
    MerchantView,
    OfferState,
    OfferView,
    PaymentCodeView,
    QuoteView,
    RedemptionState,
    RedemptionView,
    TerminalState,
    TerminalView,
)
from timebank.client.times import optional_time
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import fund_pb2, merchant_pb2, redemption_pb2, redemption_service_pb2
from timebank.units import Unit

UNITS: dict[int, Unit] = {
    merchant_pb2.UNIT_POINTS: Unit.POINTS,
    merchant_pb2.UNIT_TIME: Unit.TIME,
}
_CATEGORIES = kinds_by_number(
    dict(merchant_pb2.Merchant.Category.items()), "CATEGORY_", MerchantCategory
)
_MERCHANT_STATES = kinds_by_number(
    dict(merchant_pb2.Merchant.State.items()), "STATE_", MerchantState
)
_TERMINAL_STATES = kinds_by_number(
    dict(merchant_pb2.Terminal.State.items()), "STATE_", TerminalState
)
_OFFER_STATES = kinds_by_number(dict(merchant_pb2.Offer.State.items()), "STATE_", OfferState)
_REDEMPTION_STATES = kinds_by_number(
    dict(redemption_pb2.Redemption.State.items()), "STATE_", RedemptionState
)


INCOME_SOURCES = dict(fund_pb2.Income.Source.items())
_SOURCES = kinds_by_number(INCOME_SOURCES, "SOURCE_", IncomeSource)


def price_unit_from_wire(number: int) -> Unit:
    """Reads the unit of a price. Raises VALIDATION_FAILED for one that this client lacks."""
    if number not in UNITS:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"expected a price in POINTS or TIME, got unit {number}; use a newer client",
            field="unit",
        )
    return UNITS[number]


def merchant_from_wire(message: merchant_pb2.Merchant) -> MerchantView:
    """Reads a merchant."""
    return MerchantView(
        name=message.name,
        display_name=message.display_name,
        category=_CATEGORIES.get(message.category, MerchantCategory.UNKNOWN),
        state=_MERCHANT_STATES.get(message.state, MerchantState.UNKNOWN),
        fen_per_hundred_points=message.fen_per_hundred_points,
        cut_off_minute=message.cut_off_minute,
        cut_off_effective_date=message.cut_off_effective_date,
        budget=message.budget,
        debt_points_max=message.debt_points_max if message.HasField("debt_points_max") else None,
        points_account=message.points_account,
        time_account=message.time_account,
        fund_account=message.fund_account,
        etag=message.etag,
    )


def terminal_from_wire(message: merchant_pb2.Terminal) -> TerminalView:
    """Reads a till."""
    return TerminalView(
        name=message.name,
        display_name=message.display_name,
        location=message.location,
        state=_TERMINAL_STATES.get(message.state, TerminalState.UNKNOWN),
        key_ids=tuple(key.key_id for key in message.keys),
        enrolment_code=message.enrolment_code,
        enrolment_expire_time=optional_time(message.enrolment_expire_time),
        points_per_transaction_max=message.points_per_transaction_max,
    )


def offer_from_wire(message: merchant_pb2.Offer) -> OfferView:
    """Reads an offer. Raises VALIDATION_FAILED for a unit that this client lacks."""
    return OfferView(
        name=message.name,
        title=message.title,
        unit=price_unit_from_wire(message.unit),
        price=message.price,
        cash_fen=message.cash_fen,
        price_version=message.price_version,
        stock=message.stock if message.HasField("stock") else None,
        state=_OFFER_STATES.get(message.state, OfferState.UNKNOWN),
    )


def quote_from_wire(message: redemption_service_pb2.QuoteRedemptionResponse) -> QuoteView:
    """Reads a quote. Raises VALIDATION_FAILED for a unit that this client lacks."""
    return QuoteView(
        unit=price_unit_from_wire(message.unit),
        amount=message.amount,
        cash_fen=message.cash_fen,
        price_version=message.price_version,
        pin_required=message.pin_required,
        payer_checked=message.payer_checked,
    )


def redemption_from_wire(message: redemption_pb2.Redemption) -> RedemptionView:
    """Reads a redemption; one that was reversed before its authorisation has no unit."""
    return RedemptionView(
        name=message.name,
        merchant_ref=message.merchant_ref,
        state=_REDEMPTION_STATES.get(message.state, RedemptionState.UNKNOWN),
        unit=UNITS.get(message.unit),
        amount=message.amount,
        cash_fen=message.cash_fen,
        captured_amount=message.captured_amount,
        refunded_amount=message.refunded_amount,
        held_amount=message.held_amount,
        offer=message.offer,
        quantity=message.quantity,
        pin_required=message.pin_required,
        decline_reason=message.decline_reason,
        decline_message=message.decline_message,
        expire_time=optional_time(message.expire_time),
        business_date=message.business_date,
        replayed=message.replayed,
    )


def budget_from_wire(message: fund_pb2.Budget) -> BudgetView:
    """Reads a budget."""
    return BudgetView(
        name=message.name,
        display_name=message.display_name,
        limit_fen=message.limit_fen,
        reserved_fen=message.reserved_fen,
        spent_fen=message.spent_fen,
        adjusted_fen=message.adjusted_fen,
        available_fen=message.available_fen,
        etag=message.etag,
    )


def income_from_wire(message: fund_pb2.Income) -> IncomeView:
    """Reads an income."""
    return IncomeView(
        name=message.name,
        source=_SOURCES.get(message.source, IncomeSource.UNKNOWN),
        amount_fen=message.amount_fen,
        earmark=message.earmark,
        reference=message.reference,
        entry=message.entry,
        replayed=message.replayed,
    )


def payment_code_from_wire(message: redemption_pb2.PaymentCode) -> PaymentCodeView:
    """Reads a payment code."""
    return PaymentCodeView(code=message.code, expire_time=optional_time(message.expire_time))
