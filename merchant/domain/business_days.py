"""Business days 营业日: days in a programme's zone that end at a movable cut-off 日切.

Owns: which business date a moment belongs to, from when to when a business date lasts, and which of
several cut-offs holds for it. Refuses: unknown zones, and dates that are not written YYYY-MM-DD.
Rules: a business date ends when the clock of its own local day shows the cut-off, 0 meaning the
midnight that ends it; with a cut-off of 22:00 what happens at 22:00 or later belongs to the next
date. A date starts where the one before it ended, so each moment has exactly one date, also when
the cut-off changes: the first date of a new one is as long or as short as that makes it. A cut-off
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


class CutOff(NamedTuple):
    """A cut-off in minutes from local midnight, 0 to 1439, and the first business date that ends by
    it; no date: it holds from the beginning.
    """

    first_date: str
    minute: int


class Calendar(NamedTuple):
    """A time zone and the cut-offs of its business days, oldest first; the first one has no date.
    Make it with `calendar_of` or `unchanging`.
    """

    zone: str
    cut_offs: tuple[CutOff, ...]

    def cut_off_of(self, business_date: str) -> int:
        """Gives the cut-off by which a business date ends, in minutes from local midnight."""
        return next(
            cut_off.minute
            for cut_off in reversed(self.cut_offs)
            if cut_off.first_date <= business_date
        )


class BusinessDay(NamedTuple):
    """A business date YYYY-MM-DD and its half-open bounds in microseconds since 1970 UTC."""

    date: str
    start_us: int
    end_us: int


def calendar_of(zone: str, cut_offs: tuple[CutOff, ...]) -> Calendar:
    """Makes a calendar of cut-offs, oldest first, the first without a date.

    Raises VALIDATION_FAILED for a cut-off that is no minute of a day.
    """
    assert cut_offs, "a day ends"
    assert not cut_offs[0].first_date, "days have no beginning"
    for cut_off in cut_offs:
        _check_cut_off(cut_off.minute)
    return Calendar(zone, cut_offs)


def unchanging(zone: str, cut_off_minute: int) -> Calendar:
    """Makes a calendar with one cut-off for ever. Raises VALIDATION_FAILED as `calendar_of`."""
    return calendar_of(zone, (CutOff("", cut_off_minute),))


def business_day_of(time_us: int, calendar: Calendar) -> BusinessDay:
    """Finds the business day of a moment.

    Raises VALIDATION_FAILED for an unknown zone and a moment before 1970 or after 9998.
    """
    check_time("time", time_us)
    day = _day_of_first(time_us // DAY_US, calendar)
    while time_us >= day.end_us:
        day = _day_on(date.fromisoformat(neighbours(day.date)[1]), calendar)
    return day


def business_day(business_date: str, calendar: Calendar) -> BusinessDay:
    """Gives the bounds of a business date.

    Raises VALIDATION_FAILED for an unknown zone and a date that is not one of 1969 to 9998 written
    YYYY-MM-DD.
    """
    return _day_on(parse_date("business_date", business_date), calendar)


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
def _day_of_first(day_index: int, calendar: Calendar) -> BusinessDay:
    """Gives the business day that has the local date on which a day of UTC begins: a cache that all
    its moments share. None of them lies before it, for a cut-off can only be in the past of a clock
    that shows it; some lie in the next days.
    """
    local = from_us(day_index * DAY_US).astimezone(zone_of(calendar.zone)).date()
    return _day_on(local, calendar)


@functools.lru_cache(maxsize=65_536)
def _day_on(day: date, calendar: Calendar) -> BusinessDay:
    before = day - timedelta(days=1)
    return BusinessDay(day.isoformat(), _end_us(before, calendar), _end_us(day, calendar))


def _end_us(day: date, calendar: Calendar) -> int:
    """Gives the moment at which a business date ends, which is where the next one starts."""
    minute = calendar.cut_off_of(day.isoformat())
    # Midnight ends a day at the start of the next one.
    return _first_us(day if minute else day + timedelta(days=1), minute, calendar.zone)


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
