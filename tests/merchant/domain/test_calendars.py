"""A changed cut-off: it holds from a day that has not begun, and no moment changes its day."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.business_days import (
    BusinessDay,
    CutOff,
    business_day,
    business_day_of,
    neighbours,
    to_us,
)
from merchant.domain.calendars import CUT_OFFS_MAX, calendar_of_merchant, with_cut_off
from merchant.domain.documents import Merchant
from merchant.domain.states import MerchantState
from merchant.store.bodies import body_of, document_from_body
from tests.merchant.domain.test_business_days import HOUR_US, SHANGHAI, ZONES, local_us
from timebank.errors import Reason, TimebankError

SHOP = Merchant(*("shop", "小卖部", 2, MerchantState.ACTIVE, 100, 0, "b", 500, "p", "t", "f", 0))
NOON_US = local_us("2026-03-01 12:00:00")
START_US = to_us(datetime(2024, 1, 1, tzinfo=UTC))
"""Weeks from here on have changes of clocks in some zones."""


def changed(
    merchant: Merchant, minute: int, effective_date: str = "", now_us: int = NOON_US
) -> Merchant:
    return with_cut_off(
        merchant, minute=minute, effective_date=effective_date, zone=SHANGHAI, now_us=now_us
    )


def bounds(merchant: Merchant, date: str) -> tuple[int, int]:
    day = business_day(date, calendar_of_merchant(merchant, SHANGHAI))
    return day.start_us, day.end_us


def test_a_new_cut_off_ends_the_next_business_day_and_not_the_running_one() -> None:
    shop = changed(SHOP, 1_320)
    assert (shop.cut_off_minute, shop.cut_offs) == (
        1_320,
        (CutOff("", 0), CutOff("2026-03-02", 1_320)),
    )
    assert bounds(shop, "2026-03-01") == bounds(SHOP, "2026-03-01")
    assert bounds(shop, "2026-03-02") == (
        local_us("2026-03-02 00:00:00"),
        local_us("2026-03-02 22:00:00"),
    )
    assert bounds(shop, "2026-03-03")[1] == local_us("2026-03-03 22:00:00")


def test_the_business_day_that_runs_is_that_of_the_old_cut_off() -> None:
    evening_us = local_us("2026-03-01 23:00:00")
    late = changed(SHOP._replace(cut_off_minute=1_320), 0, now_us=evening_us)
    assert late.cut_offs[-1] == CutOff("2026-03-03", 0), "2 March began at 22:00"


def test_a_date_in_the_future_may_be_named_and_one_that_has_begun_may_not() -> None:
    shop = changed(SHOP, 60, "2026-04-01")
    assert bounds(shop, "2026-03-31") == bounds(SHOP, "2026-03-31")
    assert bounds(shop, "2026-04-01")[1] == local_us("2026-04-01 01:00:00")
    for date in ("2026-03-01", "2026-02-01", "tomorrow"):
        with pytest.raises(TimebankError) as refused:
            changed(SHOP, 60, date)
        assert refused.value.reason is Reason.VALIDATION_FAILED


def test_a_change_takes_the_place_of_one_whose_day_has_not_begun() -> None:
    waiting = changed(SHOP, 60, "2026-04-01")
    assert changed(waiting, 90).cut_offs == (CutOff("", 0), CutOff("2026-03-02", 90))
    assert changed(waiting, 60) == waiting, "saying it again changes nothing"
    assert changed(waiting, 60, "2026-03-09").cut_offs[-1] == CutOff("2026-03-09", 60)
    assert changed(waiting, 0) == SHOP, "it is given up"


def test_what_held_is_kept_and_what_holds_is_changed_once_only() -> None:
    shop = changed(changed(SHOP, 60), 90, now_us=NOON_US + 48 * HOUR_US)
    assert shop.cut_offs == (
        *(CutOff("", 0), CutOff("2026-03-02", 60)),
        CutOff("2026-03-05", 90),
    )
    assert changed(shop, 60, now_us=NOON_US + 48 * HOUR_US).cut_offs == shop.cut_offs[:2]
    assert document_from_body(1, body_of(shop)) == shop


def test_a_merchant_has_a_bounded_number_of_cut_offs() -> None:
    shop, now_us = SHOP, NOON_US
    for number in range(1, CUT_OFFS_MAX):
        shop = changed(shop, number % 2, now_us=now_us)
        now_us += 48 * HOUR_US
    assert len(shop.cut_offs) == CUT_OFFS_MAX
    with pytest.raises(TimebankError) as refused:
        changed(shop, 5, now_us=now_us)
    assert refused.value.reason is Reason.LIMIT_EXCEEDED


CHANGES = st.lists(
    st.tuples(
        st.integers(1, 100).map(lambda hours: hours * HOUR_US - 1),
        st.sampled_from([0, 1, 60, 150, 720, 1_320, 1_439]),
        st.sampled_from([0, 0, 0, 1, 5]),
    ),
    max_size=6,
)
"""How long after the one before a change is made, its minute, and how many days it waits more."""


@given(st.sampled_from(ZONES), CHANGES, st.integers(0, 400))
def test_each_moment_has_one_business_day_and_keeps_it_whatever_changes(
    zone: str, changes: list[tuple[int, int, int]], first_day: int
) -> None:
    shop, now_us = SHOP, START_US + first_day * 24 * HOUR_US
    made_us = now_us
    days: dict[str, BusinessDay] = {}
    for wait_us, minute, days_later in changes:
        now_us += wait_us
        calendar = calendar_of_merchant(shop, zone)
        today = business_day_of(now_us, calendar)
        # Whatever was or is being counted stays as it was counted.
        for date, day in days.items():
            assert business_day(date, calendar) == day
        days[today.date] = today
        date = today.date
        for _ in range(days_later and days_later + 1):
            date = neighbours(date)[1]
        effective_date = date if days_later else ""
        shop = with_cut_off(
            shop, minute=minute, effective_date=effective_date, zone=zone, now_us=now_us
        )
    calendar = calendar_of_merchant(shop, zone)
    assert all(business_day(date, calendar) == day for date, day in days.items())
    day = business_day_of(made_us, calendar)
    while day.start_us <= now_us + 200 * HOUR_US:
        following = business_day(neighbours(day.date)[1], calendar)
        assert day.start_us <= day.end_us == following.start_us, "neither gap nor overlap"
        for time_us in (day.start_us, (day.start_us + day.end_us) // 2, day.end_us - 1):
            if day.start_us <= time_us < day.end_us:
                assert business_day_of(time_us, calendar) == day
        day = following
