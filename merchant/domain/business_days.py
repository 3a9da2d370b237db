"""Business days 营业日: days in a programme's zone that end at a movable cut-off 日切.

Owns: which business date a moment belongs to, and from when to when a business date lasts.
Refuses: unknown zones, and dates that are not written YYYY-MM-DD.
Rules: a business date ends when the clock of its own local day shows the cut-off, 0 meaning the
midnight that ends it; with a cut-off of 22:00 what happens at 22:00 or later belongs to the next
date. A date starts where the one before it ended, so each moment has exactly one date. A cut-off
is the first moment at which the local clock shows it or more: when clocks go back, the first of
two; when clocks jump over it, the jump. A local day that a zone left out altogether (Samoa,
2011-12-30) is a business day of no length.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timebank.errors import Reason, TimebankError

CUT_OFF_MINUTE_MAX = 1_439
YEAR_MIN = 1969
"""The moment 0 is in 1969 west of Greenwich."""
YEAR_MAX = 9998
DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_US_MAX = (datetime(YEAR_MAX, 12, 29, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) - 1
"""The last microsecond whose business date is known to end within the years we write."""


class BusinessDay(NamedTuple):
    """A business date YYYY-MM-DD and its half-open bounds in microseconds since 1970 UTC."""

    date: str
    start_us: int
    end_us: int


def business_day_of(time_us: int, *, zone: str, cut_off_minute: int) -> BusinessDay:
    """Finds the business day of a moment; `cut_off_minute` counts from local midnight, 0 to 1439.

    Raises VALIDATION_FAILED for an unknown zone, a cut-off that is no minute of a day, and a moment
    before 1970 or after 9998.
    """
    _check_cut_off(cut_off_minute)
    check_time("time", time_us)
    day = _day_of_first(time_us // DAY_US, cut_off_minute, zone)
    while time_us >= day.end_us:
        day = _day_after(day, cut_off_minute, zone)
    return day


def business_day(business_date: str, *, zone: str, cut_off_minute: int) -> BusinessDay:
    """Gives the bounds of a business date.

    Raises VALIDATION_FAILED for an unknown zone, a cut-off that is no minute of a day, and a date
    that is not one of 1969 to 9998 written YYYY-MM-DD.
    """
    _check_cut_off(cut_off_minute)
    return _day_on(parse_date("business_date", business_date), cut_off_minute, zone)


@functools.lru_cache(maxsize=65_536)
def neighbours(business_date: str) -> tuple[str, str]:
    """Gives the dates before and after one. Raises VALIDATION_FAILED for what is no date."""
    day, step = parse_date("business_date", business_date), timedelta(days=1)
    return (day - step).isoformat(), (day + step).isoformat()


def parse_date(field: str, text: str) -> date:
    """Reads YYYY-MM-DD of the years 1969 to 9998. Raises VALIDATION_FAILED for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or not YEAR_MIN <= day.year <= YEAR_MAX:
        raise _refusal(field, f"expected a date such as 2026-01-31, got {text[:40]!r}")
    return day


def check_time(field: str, time_us: int) -> None:
    """Raises VALIDATION_FAILED unless a moment lies in the years 1970 to 9998."""
    if not 0 <= time_us <= TIME_US_MAX:
        expected = "expected microseconds of the years 1970 to 9998"
        raise _refusal(field, f"{expected}, got {time_us}")


@functools.lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Finds a time zone. Raises VALIDATION_FAILED for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        text = f"expected an IANA name such as Asia/Shanghai, got {name[:60]!r}"
        raise _refusal("time_zone", text) from error


def from_us(time_us: int) -> datetime:
    """Gives the aware UTC time of microseconds."""
    return _EPOCH + timedelta(microseconds=time_us)


def to_us(moment: datetime) -> int:
    """Gives the microseconds of an aware time; of a local time that comes twice, by its fold."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


@functools.lru_cache(maxsize=65_536)
def _day_of_first(day_index: int, cut_off_minute: int, zone: str) -> BusinessDay:
    """Gives the business day that has the local date on which a day of UTC begins: a cache that all
    its moments share. None of them lies before it, for a cut-off can only be in the past of a clock
    that shows it; some lie in the next days.
    """
    local = from_us(day_index * DAY_US).astimezone(zone_of(zone)).date()
    return _day_on(local, cut_off_minute, zone)


def _day_after(day: BusinessDay, cut_off_minute: int, zone: str) -> BusinessDay:
    return _day_on(date.fromisoformat(neighbours(day.date)[1]), cut_off_minute, zone)


@functools.lru_cache(maxsize=65_536)
def _day_on(day: date, cut_off_minute: int, zone: str) -> BusinessDay:
    # Midnight ends a day at the start of the next one.
    end = day if cut_off_minute else day + timedelta(days=1)
    return BusinessDay(
        day.isoformat(),
        _first_us(end - timedelta(days=1), cut_off_minute, zone),
        _first_us(end, cut_off_minute, zone),
    )


def _first_us(day: date, minute: int, zone: str) -> int:
    """Gives the first moment at which the local clock shows a minute of a day, or more."""
    wall = datetime.combine(day, time(*divmod(minute, 60)))
    local = wall.replace(tzinfo=zone_of(zone))
    first_us, second_us = to_us(local), to_us(local.replace(fold=1))
    if first_us <= second_us:
        return first_us
    # The clock jumps over it somewhere between the two readings: halve until the jump is found.
    low_us, high_us = second_us, first_us
    while high_us - low_us > 1:
        middle_us = (low_us + high_us) // 2
        if from_us(middle_us).astimezone(zone_of(zone)).replace(tzinfo=None) >= wall:
            high_us = middle_us
        else:
            low_us = middle_us
    return high_us


def _check_cut_off(minute: int) -> None:
    if not 0 <= minute <= CUT_OFF_MINUTE_MAX:
        expected = f"expected 0 to {CUT_OFF_MINUTE_MAX} minutes after midnight"
        raise _refusal("cut_off_minute", f"{expected}, got {minute}")


def _refusal(field: str, text: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )
