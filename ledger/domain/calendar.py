"""Days and years in a ledger's time zone, from microseconds since 1970 UTC."""

import functools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.domain.account import NEVER_US
from timebank.errors import Reason, TimebankError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_US_MAX = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
_DAY_END_US_MAX = TIME_US_MAX - 2 * 86_400_000_000
"""After this no zone is sure to have another end of a day before the calendar ends."""


@functools.lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Finds a time zone. Raises VALIDATION_FAILED for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"time_zone: expected an IANA name such as Asia/Shanghai, got {name[:60]!r}",
            field="ledger.time_zone",
        ) from error


def from_us(time_us: int) -> datetime:
    """Gives the aware UTC time of microseconds."""
    return _EPOCH + timedelta(microseconds=time_us)


def to_us(time: datetime) -> int:
    """Gives the microseconds of an aware time."""
    return (time - _EPOCH) // timedelta(microseconds=1)


@functools.lru_cache(maxsize=8192)
def day_end_us(time_us: int, zone: str) -> int:
    """Rounds a time up to the end of its day in the zone: the first microsecond of the next day.

    A time that is a day's first moment already stays. The last days of the year 9999 never end.
    """
    if time_us >= _DAY_END_US_MAX:
        return NEVER_US
    local = from_us(time_us).astimezone(zone_of(zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if to_us(midnight.astimezone(UTC)) == time_us:
        # Compared in UTC: on some days in Santiago the clock goes from midnight to one at once.
        return time_us
    return to_us((midnight + timedelta(days=1)).replace(fold=0).astimezone(UTC))


@functools.lru_cache(maxsize=8192)
def year_of(day_us: int, zone: str) -> int:
    """Gives the calendar year of a time in the zone."""
    return from_us(day_us).astimezone(zone_of(zone)).year
