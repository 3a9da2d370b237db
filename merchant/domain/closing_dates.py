"""Which business dates of a merchant are closed, and in which order.

Owns: the date that is due, and the refusal of one that is not. Refuses: what closing does (see
settlement_rules.py).
Rules: from the first business date of a merchant on, each one that is over gets a batch, be it an
empty one, and they are closed one after the other: a date is refused while an earlier one waits, so
that none is left out and each file names the one of the day before. A date that is closed takes
what is late in more sequences, and a date from before the merchant's first may be closed at any
time. A merchant that has left has no days any more: what is late for it, and what it gives back,
makes a batch of any date that is over.
"""

from __future__ import annotations

from merchant.domain.business_days import business_day, business_day_of, neighbours
from merchant.domain.calendars import calendar_of_merchant
from merchant.domain.documents import Merchant
from merchant.domain.states import MerchantState
from timebank.errors import Reason, TimebankError


def first_open_date(merchant: Merchant, zone: str) -> str:
    """Gives the first business date of a merchant that is not closed, whether it is over or not."""
    made = business_day_of(merchant.created_us, calendar_of_merchant(merchant, zone)).date
    last = merchant.last_closed_date
    return max(made, neighbours(last)[1]) if last else made


def last_over_date(merchant: Merchant, zone: str, now_us: int) -> str:
    """Gives the last business date of a merchant that is over."""
    return neighbours(business_day_of(now_us, calendar_of_merchant(merchant, zone)).date)[0]


def check_over(merchant: Merchant, business_date: str, zone: str, now_us: int) -> None:
    """Refuses a business date that is not over, with VALIDATION_FAILED."""
    if business_day(business_date, calendar_of_merchant(merchant, zone)).end_us > now_us:
        expected = f"expected a business day that is over, got {business_date}"
        raise _refusal(f"{expected}: close it after its cut-off")


def check_in_turn(merchant: Merchant, business_date: str, zone: str) -> None:
    """Refuses a business date that others come before, with VALIDATION_FAILED."""
    due = first_open_date(merchant, zone)
    if business_date > due and merchant.state is not MerchantState.LEFT:
        expected = f"expected {due}, which is not closed yet, or an earlier one"
        raise _refusal(f"{expected}, got {business_date}: close {due} first")


def _refusal(text: str) -> TimebankError:
    field = "business_date"
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )
