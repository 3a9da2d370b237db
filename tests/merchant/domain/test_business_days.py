"""Business days: cut-offs, and days on which clocks move."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.business_days import (
    TIME_US_MAX,
    business_day,
    business_day_of,
    neighbours,
    to_us,
    unchanging,
)
from timebank.errors import Reason, TimebankError

SHANGHAI = "Asia/Shanghai"
HOUR_US = 3_600_000_000
ZONES = [
    SHANGHAI,
    "UTC",
    "Europe/Berlin",
    "America/Santiago",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
]


def local_us(text: str, zone: str = SHANGHAI, *, fold: int = 0) -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


def date_of(text: str, cut_off_minute: int, zone: str = SHANGHAI) -> str:
    return business_day_of(local_us(text, zone), unchanging(zone, cut_off_minute)).date


@pytest.mark.parametrize(
    ("moment", "cut_off_minute", "expected"),
    [
        ("2026-03-01 00:00:00", 0, "2026-03-01"),
        ("2026-03-01 23:59:59.999999", 0, "2026-03-01"),
        ("2026-03-02 00:00:00", 0, "2026-03-02"),
        ("2026-03-01 21:59:59.999999", 1_320, "2026-03-01"),
        ("2026-03-01 22:00:00", 1_320, "2026-03-02"),
        ("2026-03-02 00:30:00", 1_320, "2026-03-02"),
        ("2026-02-28 22:00:00", 1_320, "2026-03-01"),
        ("2025-12-31 22:00:00", 1_320, "2026-01-01"),
        ("2026-03-01 00:00:59.999999", 1, "2026-03-01"),
        ("2026-03-01 00:01:00", 1, "2026-03-02"),
        ("2026-03-01 23:58:59.999999", 1_439, "2026-03-01"),
        ("2026-03-01 23:59:00", 1_439, "2026-03-02"),
    ],
)
def test_what_happens_at_the_cut_off_or_later_belongs_to_the_next_day(
    moment: str, cut_off_minute: int, expected: str
) -> None:
    assert date_of(moment, cut_off_minute) == expected


def test_a_business_date_ends_at_the_cut_off_of_its_own_local_day() -> None:
    day = business_day("2026-03-01", unchanging(SHANGHAI, 1_320))
    assert day.start_us == local_us("2026-02-28 22:00:00")
    assert day.end_us == local_us("2026-03-01 22:00:00")


@pytest.mark.parametrize(
    ("date", "cut_off_minute", "hours"),
    [
        ("2026-03-29", 0, 23),
        ("2026-10-25", 0, 25),
        ("2026-03-29", 1_320, 23),
        ("2026-10-25", 1_320, 25),
        ("2026-03-29", 60, 24),
        ("2026-03-30", 60, 23),
    ],
)
def test_a_day_is_as_long_as_the_clock_made_it(date: str, cut_off_minute: int, hours: int) -> None:
    day = business_day(date, unchanging("Europe/Berlin", cut_off_minute))
    assert day.end_us - day.start_us == hours * HOUR_US


def test_a_cut_off_that_the_clock_jumps_over_is_the_jump() -> None:
    # On 29 March Berlin goes from 02:00 to 03:00 at once: 02:30 is never shown.
    day = business_day("2026-03-29", unchanging("Europe/Berlin", 150))
    assert day.end_us == local_us("2026-03-29 03:00:00", "Europe/Berlin")
    assert date_of("2026-03-29 01:59:59.999999", 150, "Europe/Berlin") == "2026-03-29"
    assert date_of("2026-03-29 03:00:00", 150, "Europe/Berlin") == "2026-03-30"


def test_a_cut_off_that_the_clock_shows_twice_is_the_first() -> None:
    # On 25 October Berlin's 02:00 to 03:00 comes twice.
    zone = "Europe/Berlin"
    day = business_day("2026-10-25", unchanging(zone, 150))
    assert day.end_us == local_us("2026-10-25 02:30:00", zone)
    again_us = local_us("2026-10-25 02:10:00", zone, fold=1)
    assert business_day_of(again_us, unchanging(zone, 150)).date == "2026-10-26"


def test_a_midnight_that_never_comes_is_the_jump() -> None:
    # In Santiago the clock goes from midnight to one on a Sunday of September.
    zone = "America/Santiago"
    day = business_day("2026-09-06", unchanging(zone, 0))
    assert day.start_us == local_us("2026-09-06 01:00:00", zone)
    assert day.end_us - day.start_us == 23 * HOUR_US


def test_a_day_that_a_zone_left_out_has_no_length_and_no_moments() -> None:
    zone = "Pacific/Apia"
    day = business_day("2011-12-30", unchanging(zone, 0))
    assert day.start_us == day.end_us
    assert business_day_of(day.end_us - 1, unchanging(zone, 0)).date == "2011-12-29"
    assert business_day_of(day.end_us, unchanging(zone, 0)).date == "2011-12-31"


@given(
    st.integers(0, to_us(datetime(2037, 1, 1, tzinfo=UTC))),
    st.sampled_from(ZONES),
    st.integers(0, 1_439),
)
def test_each_moment_has_one_date_whose_bounds_hold_it(
    time_us: int, zone: str, cut_off_minute: int
) -> None:
    day = business_day_of(time_us, unchanging(zone, cut_off_minute))
    assert day.start_us <= time_us < day.end_us
    assert day == business_day(day.date, unchanging(zone, cut_off_minute))
    following = business_day(neighbours(day.date)[1], unchanging(zone, cut_off_minute))
    assert following.start_us == day.end_us


@given(
    st.datetimes(timezones=st.just(ZoneInfo(SHANGHAI))).filter(
        lambda moment: 1992 <= moment.year < 9998
    ),
    st.integers(0, 1_439),
)
def test_in_a_zone_without_clock_changes_the_date_is_that_of_shifted_time(
    moment: datetime, cut_off_minute: int
) -> None:
    shift = timedelta(minutes=1_440 - cut_off_minute if cut_off_minute else 0)
    found = business_day_of(to_us(moment), unchanging(SHANGHAI, cut_off_minute))
    assert found.date == (moment + shift).date().isoformat()


@pytest.mark.parametrize("time_us", [0, TIME_US_MAX])
@pytest.mark.parametrize("zone", ["Etc/GMT+12", "Pacific/Kiritimati"])
@pytest.mark.parametrize("cut_off_minute", [0, 1, 1_439])
def test_the_first_and_the_last_moment_have_a_date(
    time_us: int, zone: str, cut_off_minute: int
) -> None:
    day = business_day_of(time_us, unchanging(zone, cut_off_minute))
    assert day.start_us <= time_us < day.end_us


@pytest.mark.parametrize("time_us", [-1, TIME_US_MAX + 1])
def test_a_moment_outside_the_calendar_is_refused(time_us: int) -> None:
    with pytest.raises(TimebankError) as refused:
        business_day_of(time_us, unchanging(SHANGHAI, 0))
    assert refused.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("cut_off_minute", [-1, 1_440])
def test_a_cut_off_that_is_no_minute_of_a_day_is_refused(cut_off_minute: int) -> None:
    with pytest.raises(TimebankError, match="cut_off_minute"):
        business_day("2026-03-01", unchanging(SHANGHAI, cut_off_minute))


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "a\0b", "x" * 5_000])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(TimebankError, match="time_zone"):
        business_day_of(0, unchanging(zone, 0))


@pytest.mark.parametrize(
    "date", ["", "20260301", "2026-3-1", "2026-02-30", "1968-12-31", "9999-01-01", "2026-W10-1"]
)
def test_a_date_of_another_form_is_refused(date: str) -> None:
    with pytest.raises(TimebankError, match="business_date"):
        business_day(date, unchanging(SHANGHAI, 0))
