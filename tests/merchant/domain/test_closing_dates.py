"""Which business date of a merchant is closed next, and which ones are refused."""

import pytest

from merchant.domain.business_days import CutOff
from merchant.domain.closing_dates import (
    check_in_turn,
    check_over,
    first_open_date,
    last_over_date,
)
from merchant.domain.documents import Merchant
from merchant.domain.states import MerchantState
from timebank.errors import Reason, TimebankError

ZONE = "Asia/Shanghai"
MADE_US = 1_772_323_200_000_000
"""2026-03-01 08:00 in Shanghai."""
HOUR_US = 3_600_000_000
MERCHANT = Merchant(
    *("shop", "小卖部", 2, MerchantState.ACTIVE, 85, 0, "b", 500, "p", "t", "f", MADE_US)
)
LATE_CUT_OFF = MERCHANT._replace(cut_off_minute=420, cut_offs=(CutOff("", 420),))
"""Its days end at seven in the morning: it was made on the business day of 2 March."""

DUE = [
    (MERCHANT, "2026-03-01"),
    (MERCHANT._replace(last_closed_date="2026-03-01"), "2026-03-02"),
    (MERCHANT._replace(last_closed_date="2026-02-28"), "2026-03-01"),
    (MERCHANT._replace(last_closed_date="2026-02-20"), "2026-03-01"),
    (LATE_CUT_OFF, "2026-03-02"),
]


@pytest.mark.parametrize(("merchant", "date"), DUE)
def test_dates_are_due_one_after_the_other_from_the_first_on(merchant: Merchant, date: str) -> None:
    assert first_open_date(merchant, ZONE) == date
    check_in_turn(merchant, date, ZONE)
    check_in_turn(merchant, "2026-02-10", ZONE)


@pytest.mark.parametrize(("merchant", "date"), DUE)
def test_a_date_out_of_turn_is_refused_by_the_name_of_the_due_one(
    merchant: Merchant, date: str
) -> None:
    with pytest.raises(TimebankError, match=f"close {date} first") as refused:
        check_in_turn(merchant, "2026-03-03", ZONE)
    assert refused.value.reason is Reason.VALIDATION_FAILED
    assert [field for field, _ in refused.value.violations] == ["business_date"]


def test_a_merchant_that_has_left_has_no_turns() -> None:
    check_in_turn(MERCHANT._replace(state=MerchantState.LEFT), "2026-03-31", ZONE)


@pytest.mark.parametrize(
    ("merchant", "hours", "over"),
    [(MERCHANT, 0, "2026-02-28"), (MERCHANT, 16, "2026-03-01"), (LATE_CUT_OFF, 22, "2026-03-01")],
)
def test_a_date_is_over_from_its_cut_off_on(merchant: Merchant, hours: int, over: str) -> None:
    now_us = MADE_US + hours * HOUR_US
    assert last_over_date(merchant, ZONE, now_us) == over
    check_over(merchant, over, ZONE, now_us)
    with pytest.raises(TimebankError, match="that is over"):
        check_over(merchant, "2026-03-04", ZONE, now_us)
