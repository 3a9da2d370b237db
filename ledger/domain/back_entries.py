"""Back-entry 补录 held down: hours have been sold by administrators who typed them in at night.

Class C always has a second officer, is capped by officer and day, raises an alarm above a share of
an officer's week, and a part of it is drawn for a spot check by a keyed hash that no officer holds.
"""

from __future__ import annotations

import functools

from ledger.domain.calendar import from_us, zone_of
from ledger.domain.facts import Evidence, Record, SpotCheck, TallyKey
from ledger.domain.hours_view import View
from ledger.domain.policy import Policy
from timebank.errors import Reason, TimebankError

BACK_ENTRY, BACK_ENTRY_WEEK, RECORDED_WEEK = "back-entry", "back-entry-week", "recorded-week"
DRAWS = 10_000
QUARTER_US = 900_000_000


def recorder_keys(recorder: str, day: str, week: str) -> tuple[TallyKey, TallyKey, TallyKey]:
    """Names the sums of a recorder: back-entries of a day and a week, all records of a week."""
    return (
        (recorder, BACK_ENTRY, day),
        (recorder, BACK_ENTRY_WEEK, week),
        (recorder, RECORDED_WEEK, week),
    )


def day_and_week(time_us: int, zone: str) -> tuple[str, str]:
    """Gives the local day, YYYY-MM-DD, and the ISO week, YYYY-Www, of a time."""
    return _day_and_week(time_us // QUARTER_US, zone)


@functools.lru_cache(maxsize=1024)
def _day_and_week(quarter: int, zone: str) -> tuple[str, str]:
    """Days begin at a quarter of an hour in every zone."""
    day = from_us(quarter * QUARTER_US).astimezone(zone_of(zone)).date()
    year, week, _ = day.isocalendar()
    return day.isoformat(), f"{year}-W{week:02d}"


def back_entry(
    view: View, record: Record, policy: Policy
) -> tuple[Record, tuple[tuple[TallyKey, int], ...]]:
    """Counts a record with its recorder, and flags it when it raises the alarm.

    Raises LIMIT_EXCEEDED for the first minute of back-entry above the day's cap.
    """
    day, week = day_and_week(view.now_us, view.zone)
    of_day, of_week, recorded = recorder_keys(record.recorder, day, week)
    minutes = record.minutes
    if record.evidence is not Evidence.C:
        return record, ((recorded, minutes),) if minutes else ()
    tally = view.state.register.tally
    there = tally(of_day)
    if there + minutes > policy.back_entry_minutes_per_day:
        raise TimebankError(
            Reason.LIMIT_EXCEEDED,
            f"{record.recorder} entered {there} minutes afterwards today, {minutes} more exceed"
            f" {policy.back_entry_minutes_per_day}: let another officer enter them",
            recorder=record.recorder,
            minutes=there,
        )
    share = 100 * (tally(of_week) + minutes)
    total = tally(recorded) + minutes
    alarm = share > policy.back_entry_alarm_percent * total
    sums = ((of_day, minutes), (of_week, minutes), (recorded, minutes)) if minutes else ()
    return record._replace(alarm=alarm), sums


def spot_check(record: Record, policy: Policy, draw: int) -> SpotCheck:
    """Says whether a back-entry is drawn; `draw` is from 0 to 9,999."""
    if record.evidence is not Evidence.C:
        return SpotCheck.NONE
    drawn = draw < policy.spot_check_percent * DRAWS // 100
    return SpotCheck.PENDING if drawn else SpotCheck.NONE
