"""Days and years in a ledger's zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ledger.domain.account import NEVER_US
from ledger.domain.calendar import TIME_US_MAX, day_end_us, year_of, zone_of
from timebank.errors import Reason, TimebankError


def us(*parts: int, zone: str = "UTC") -> int:
    """Microseconds of a local time."""
    local = datetime(*parts, tzinfo=ZoneInfo(zone))  # type: ignore[arg-type, misc]  # parts of a time
    return (local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("Asia/Shanghai", (2026, 3, 1), (2026, 3, 2)),
        ("Asia/Shanghai", (2026, 12, 31), (2027, 1, 1)),
        ("UTC", (2028, 2, 29), (2028, 3, 1)),
        # Days of 23 and 25 hours, and one whose first hour does not exist.
        ("Europe/Berlin", (2026, 3, 29), (2026, 3, 30)),
        ("Europe/Berlin", (2026, 10, 25), (2026, 10, 26)),
        ("America/Santiago", (2026, 9, 5), (2026, 9, 6)),
    ],
)
def test_a_day_ends_with_the_first_moment_of_the_next(
    zone: str, day: tuple[int, ...], end: tuple[int, ...]
) -> None:
    start_us, end_us = us(*day, zone=zone), us(*end, zone=zone)
    assert day_end_us(start_us + 1, zone) == end_us
    assert day_end_us((start_us + end_us) // 2, zone) == end_us
    assert day_end_us(end_us - 1, zone) == end_us
    assert day_end_us(end_us, zone) == end_us


def test_of_two_midnights_the_first_begins_the_day() -> None:
    # In Havana 00:00 comes twice on 2026-11-01, an hour apart.
    first_us = us(2026, 11, 1, zone="America/Havana")
    assert day_end_us(first_us, "America/Havana") == first_us
    assert day_end_us(first_us + 1, "America/Havana") == us(2026, 11, 2, zone="America/Havana")
    second_us = first_us + 3_600_000_000
    assert day_end_us(second_us, "America/Havana") == us(2026, 11, 2, zone="America/Havana")


def test_the_last_days_of_the_calendar_never_end() -> None:
    assert day_end_us(TIME_US_MAX, "Asia/Shanghai") == NEVER_US


def test_a_year_is_the_zones_own() -> None:
    turn_us = us(2027, 1, 1, zone="Asia/Shanghai")
    assert year_of(turn_us - 1, "Asia/Shanghai") == 2026
    assert year_of(turn_us, "Asia/Shanghai") == 2027
    assert year_of(turn_us, "UTC") == 2026


@pytest.mark.parametrize(
    "name", ["", "Weihai", "../../etc/passwd", "/etc/localtime", "Asia", "a\0"]
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(TimebankError) as refused:
        zone_of(name)
    assert refused.value.reason is Reason.VALIDATION_FAILED
