"""How long a counter counts: until its window is over, and a month more to be sure.

Owns: when a counter may be forgotten. Refuses: which window a moment lies in (see
merchant.domain.velocity.window_of, whose names are read here).
Rules: only what is redeemed within a window is checked against its counter, so a refund that comes
after the window gives nobody an allowance back; a counter of a lifetime is never forgotten.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, date, datetime, timedelta

from merchant.domain.business_days import to_us

COUNTER_KEPT_DAYS = 32
"""A day more than requests are kept, for the window may end that much later in its own zone."""
WINDOWS_REMEMBERED = 4_096
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_MONTH = re.compile(r"\d{4}-\d{2}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def kept_until_us(counter_id: str) -> int | None:
    """Says from when on a counter may be forgotten; None: never. The last part of its id names its
    window.
    """
    return _kept_until_us(counter_id.rpartition("/")[2])


@functools.lru_cache(maxsize=WINDOWS_REMEMBERED)
def _kept_until_us(window: str) -> int | None:
    try:
        over = _over_on(window)
    except (ValueError, OverflowError):
        return None  # no date of the calendar, so no window of ours
    if over is None:
        return None
    day = over + timedelta(days=COUNTER_KEPT_DAYS)
    return to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _over_on(window: str) -> date | None:
    """Gives a date on which `2026-11-30`, `2026-W49` or `2026-11` is over; None: it has no end."""
    if _DAY.fullmatch(window):
        return date.fromisoformat(window) + timedelta(days=1)
    if week := _WEEK.fullmatch(window):
        return date.fromisocalendar(int(week[1]), int(week[2]), 1) + timedelta(weeks=1)
    if _MONTH.fullmatch(window):
        return date.fromisoformat(f"{window}-01") + timedelta(days=31)
    return None
