"""Cuts a service by local midnight and by policy change, and shares its minutes out.

Owns which minutes of a service fall on which day and under which version. Midnight cuts at every
quarter and year too. Refuses services that no policy covers, or that cannot be. Whatever is shared
out sums to the whole: largest remainder first, the earlier of two equal ones.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from ledger.domain.account import NEVER_US
from ledger.domain.calendar import TIME_US_MAX, from_us, to_us, zone_of
from ledger.domain.policy import Policy, PolicyTimeline, PolicyVersion
from timebank.errors import Reason, TimebankError

MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
SERVICE_DAYS_MAX = 31
"""A service that lasts longer than this is a mistake; it also bounds the number of parts."""
MINUTES_OF_DAY_MAX = 1_440
EVIDENCE_CLASSES = "ABCDE"
_START_US_MAX = TIME_US_MAX - 4_000 * DAY_US
"""Far enough from the calendar's end for every cut and expiry to be a date."""

TallyKey = tuple[str, str]
"""What a tally of a member counts, and over which period or policy version."""


class Service(NamedTuple):
    """What a record says of one service.

    `started_us` and `ended_us` are half-open microseconds since 1970 UTC, equal when only the day
    is known. `minutes` are creditable: without breaks and travel. `evidence` is one of A to E.
    `reward` is the member's choice, TIME or POINTS, where the policy leaves it to the member.
    """

    started_us: int
    ended_us: int
    minutes: int
    evidence: str
    need_type: str = ""
    skill: str = ""
    urgent: bool = False
    quality_tenths: int | None = None
    quality_failed: bool = False
    group: bool = False
    relative: bool = False
    reward: str = ""
    team_lead: bool = False
    referral: bool = False


class Day(NamedTuple):
    """A day in a zone, half-open, with the keys of its tallies."""

    start_us: int
    end_us: int
    date: str
    day_key: TallyKey
    year_key: TallyKey


class Piece(NamedTuple):
    """Minutes of a service on one day under one policy version."""

    start_us: int
    end_us: int
    day: Day
    version: PolicyVersion
    minutes: int


def policy_version(version: str, policy: Policy, zone: str) -> PolicyVersion:
    """Puts a policy in force on its own dates in the zone. Raises VALIDATION_FAILED for a zone."""
    ends = policy.effective_to
    return PolicyVersion(
        version,
        policy,
        local_us(policy.effective_from.isoformat(), 0, zone),
        NEVER_US if ends is None else local_us(ends.isoformat(), 0, zone),
    )


def split_service(timeline: PolicyTimeline, service: Service, zone: str) -> tuple[Piece, ...]:
    """Cuts a service into pieces whose minutes sum to its own.

    Pieces without a minute are left out, unless there is no other. Raises VALIDATION_FAILED for a
    service that cannot be, an unknown zone, and a moment without a policy.
    """
    _check(service)
    start_us, end_us, minutes = service.started_us, service.ended_us, service.minutes
    day = day_of(start_us, zone)
    version, until_us = _version_at(timeline, start_us, zone)
    if end_us <= day.end_us and end_us <= until_us:
        return (Piece(start_us, end_us, day, version, minutes),)
    pieces = []
    while start_us < end_us:
        day = day_of(start_us, zone)
        version, until_us = _version_at(timeline, start_us, zone)
        cut_us = min(end_us, day.end_us, until_us)
        pieces.append(Piece(start_us, cut_us, day, version, 0))
        start_us = cut_us
    shares = share_out(minutes, [piece.end_us - piece.start_us for piece in pieces])
    shared = (
        piece._replace(minutes=share) for piece, share in zip(pieces, shares, strict=True) if share
    )
    return tuple(shared) or (pieces[0],)


def share_out(total: int, weights: Sequence[int]) -> list[int]:
    """Shares a whole number out in proportion to weights; the shares sum to it."""
    sum_of_weights = sum(weights)
    shares = [total * weight // sum_of_weights for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda index: -(total * weights[index] % sum_of_weights)
    )
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares


def window_shares(
    piece: Piece, windows: tuple[tuple[int, int, int], ...], one: int, zone: str
) -> list[tuple[int, int]]:
    """Shares a piece's minutes out over windows of the day: (minutes, rate) in order of time.

    Outside every window the rate is `one`. When clocks go back, the hour that comes twice belongs
    to the window of its first time.
    """
    if piece.start_us == piece.end_us:
        return [(piece.minutes, one)]
    edges = {local_us(piece.day.date, minute, zone) for window in windows for minute in window[:2]}
    inner = sorted(edge for edge in edges if piece.start_us < edge < piece.end_us)
    starts, ends = [piece.start_us, *inner], [*inner, piece.end_us]
    shares = share_out(
        piece.minutes, [end - start for start, end in zip(starts, ends, strict=True)]
    )
    found = []
    for start_us, share in zip(starts, shares, strict=True):
        local = from_us(start_us).astimezone(zone_of(zone))
        found.append((share, _window_rate(local.hour * 60 + local.minute, windows, one)))
    return found


def day_of(time_us: int, zone: str) -> Day:
    """Finds the day of a time in a zone. Raises VALIDATION_FAILED for an unknown zone."""
    day = _day_of_first(time_us // DAY_US, zone)
    while time_us >= day.end_us:
        day = _day_at(day.end_us, zone)
    return day


@functools.lru_cache(maxsize=65_536)
def local_us(day: str, minute: int, zone: str) -> int:
    """Gives the moment of a minute after midnight, the first of two; `day` is YYYY-MM-DD."""
    local = datetime.combine(date.fromisoformat(day), time(*divmod(minute, 60)), zone_of(zone))
    return to_us(local.astimezone(UTC))


@functools.lru_cache(maxsize=65_536)
def _day_of_first(day_index: int, zone: str) -> Day:
    """Finds the local day in which a day of UTC begins: a cache that all its times share."""
    return _day_at(day_index * DAY_US, zone)


@functools.lru_cache(maxsize=65_536)
def _day_at(time_us: int, zone: str) -> Day:
    local = from_us(time_us).astimezone(zone_of(zone)).date()
    name, following = local.isoformat(), (local + timedelta(days=1)).isoformat()
    return Day(
        local_us(name, 0, zone),
        local_us(following, 0, zone),
        name,
        ("day", name),
        ("year", name[:4]),
    )


def _version_at(timeline: PolicyTimeline, time_us: int, zone: str) -> tuple[PolicyVersion, int]:
    """Finds the version in force, and the moment until which it surely is."""
    until_us = NEVER_US
    for version in reversed(timeline):
        if version.from_us > time_us:
            until_us = version.from_us
        elif time_us < version.to_us:
            return version, min(until_us, version.to_us)
    local = from_us(time_us).astimezone(zone_of(zone))
    raise TimebankError(
        Reason.VALIDATION_FAILED,
        f"no policy is in force at {local:%Y-%m-%d %H:%M} ({zone}); publish one that covers it",
        field="started_time",
    )


def _window_rate(minute: int, windows: tuple[tuple[int, int, int], ...], one: int) -> int:
    for from_minute, to_minute, rate in windows:
        if from_minute < to_minute:
            inside = from_minute <= minute < to_minute
        else:
            inside = minute >= from_minute or minute < to_minute
        if inside:
            return rate
    return one


def _check(service: Service) -> None:
    started_us, length_us, minutes = (
        service.started_us,
        service.ended_us - service.started_us,
        service.minutes,
    )
    if not 0 <= started_us <= _START_US_MAX:
        raise _refusal("started_time", "a time from 1970 to 9988", started_us)
    if length_us < 0:
        raise _refusal(
            "ended_time",
            "an end after the start",
            f"one {-length_us // MINUTE_US:,} minutes before it",
        )
    if length_us > SERVICE_DAYS_MAX * DAY_US:
        expected = f"an end at most {SERVICE_DAYS_MAX} days after the start"
        raise _refusal("ended_time", expected, f"{length_us // DAY_US:,} days")
    minutes_max = length_us // MINUTE_US if length_us else MINUTES_OF_DAY_MAX
    if not 0 <= minutes <= minutes_max:
        raise _refusal("minutes", f"0 to {minutes_max} minutes for its start and end", minutes)
    if len(service.evidence) != 1 or service.evidence not in EVIDENCE_CLASSES:
        raise _refusal("evidence", "a class from A to E", repr(service.evidence[:40]))


def _refusal(field: str, expected: str, got: object) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: expected {expected}, got {got}", field=field
    )
