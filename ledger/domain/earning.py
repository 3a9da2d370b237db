"""What a service earns: HOURS, TIME and POINTS, by the policies in force while it lasted.

Owns the arithmetic, all of it in integers. Refuses to know where tallies are kept: they come in as
they were, and what the service adds to them goes out, so that a correction can take it back.

Rules, in this order for each piece of a service:
- HOURS are the creditable minutes, whatever else holds; only the overflow DROP takes some back.
- CEIL_15 fills the minutes up to a quarter of an hour, over the pieces of one version.
- Caps cut the minutes that earn. The rest earn by rates: multipliers and the quality factor on
  TIME and POINTS, bands on POINTS.
- Fractions are rounded over the record, the day, or for ever; in the last two the remainder (what
  was earned exactly less what was credited, in units of 1/denominator of the version) is a tally.
- TIME over the store cap follows the overflow; TIME of a group may all be the public pool's.
- Bonus POINTS come once a record, with its first piece that earns POINTS.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from ledger.domain.account import NEVER_US
from ledger.domain.earning_rules import (
    LIFE_KEY,
    Tab,
    bonus,
    carry_key,
    counted,
    expiry_us,
    factor_of,
    gives,
    points_of,
    quarter_fills,
    rounded,
    shares_by_time_of_day,
    store,
    weight_of,
)
from ledger.domain.policy import (
    MINUTES_PER_HOUR,
    BandBasis,
    CreditExportKind,
    GroupTime,
    Policy,
    PolicyTimeline,
    RoundingBasis,
)
from ledger.domain.service_split import Piece, Service, TallyKey, split_service
from timebank.errors import Reason, TimebankError

__all__ = [
    "Earned",
    "Part",
    "Piece",
    "Service",
    "TallyKey",
    "credit_points",
    "earn",
    "earn_pieces",
    "keys_of",
    "tally_keys",
]

STARS_MAX = 5


class Part(NamedTuple):
    """What one day under one policy version earned; `minutes` are its HOURS, `time` is stored."""

    start_us: int
    end_us: int
    day: str
    minutes: int
    version: str
    time: int
    pool_time: int
    points: int
    points_expire_us: int


class Earned(NamedTuple):
    """What a service earned, in all and by part, and what it adds to the member's tallies."""

    hours: int
    time: int
    pool_time: int
    points: int
    parts: tuple[Part, ...]
    tallies: tuple[tuple[TallyKey, int], ...]
    version: str


def tally_keys(timeline: PolicyTimeline, service: Service, zone: str) -> tuple[TallyKey, ...]:
    """Gives every tally that `earn` will look up for a service, each once.

    Raises as `earn` does.
    """
    return keys_of(split_service(timeline, service, zone), service)


def keys_of(pieces: tuple[Piece, ...], service: Service) -> tuple[TallyKey, ...]:
    """Gives what `tally_keys` gives, of a service that was split already."""
    keys: dict[TallyKey, None] = {}
    for piece in pieces:
        policy = piece.version.policy
        rules = policy.earn
        gives_time, gives_points = gives(policy, service)
        if not gives_time and not gives_points:
            continue
        if rules.caps.day_minutes is not None:
            keys[piece.day.day_key] = None
        by_year = bool(rules.bands) and rules.band_basis is BandBasis.YEAR
        if rules.caps.year_minutes is not None or (by_year and gives_points):
            keys[piece.day.year_key] = None
        if rules.bands and not by_year and gives_points:
            keys[LIFE_KEY] = None
        if rules.rounding_basis is not RoundingBasis.RECORD:
            if gives_time and rules.rates.time_denominator > 1:
                keys[carry_key("carry-time", piece, rules)] = None
            if gives_points and rules.rates.points_denominator > 1:
                keys[carry_key("carry-points", piece, rules)] = None
    return tuple(keys)


def earn(
    timeline: PolicyTimeline,
    service: Service,
    *,
    zone: str,
    tallies: Mapping[TallyKey, int],
    stored_time: int,
) -> Earned:
    """Reckons what a service earns; `stored_time` is the member's TIME in minutes before it.

    A tally that is missing counts as 0. The tallies of the answer are what to add, none of them 0:
    those of the year and of the life always, the day's under a day cap, carries when there are.
    Raises VALIDATION_FAILED for a service that cannot be, one to a relative that the policy
    refuses, a choice of reward that was not made, and a moment without a policy.
    """
    pieces = split_service(timeline, service, zone)
    return earn_pieces(pieces, service, zone=zone, tallies=tallies, stored_time=stored_time)


def earn_pieces(
    pieces: tuple[Piece, ...],
    service: Service,
    *,
    zone: str,
    tallies: Mapping[TallyKey, int],
    stored_time: int,
) -> Earned:
    """Reckons what `earn` reckons, of a service that was split already."""
    tab = Tab(tallies, stored_time)
    fills = quarter_fills(pieces)
    if len(pieces) == 1:
        part = _part(pieces[0], service, zone, fills[0], tab)
        parts: tuple[Part, ...] = (part,)
        _, _, _, hours, version, time, pool_time, points, _ = part
    else:
        parts = tuple(
            _part(piece, service, zone, fill, tab)
            for piece, fill in zip(pieces, fills, strict=True)
        )
        hours = sum(part.minutes for part in parts)
        time = sum(part.time for part in parts)
        pool_time = sum(part.pool_time for part in parts)
        points = sum(part.points for part in parts)
        version = parts[0].version
    added = tuple(item for item in tab.added.items() if item[1])
    return Earned(hours, time, pool_time, points, parts, added, version)


def credit_points(policy: Policy, hours_minutes: int, star: int) -> int:
    """Gives the credit points of lifetime HOURS, in minutes, or of a star from 0 (none) to 5.

    They are what a credit system reads, never a unit; 0 when the policy exports none. Raises
    VALIDATION_FAILED for negative HOURS and an unknown star.
    """
    if hours_minutes < 0 or not 0 <= star <= STARS_MAX:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"expected HOURS of at least 0 and a star from 0 to {STARS_MAX}, got {hours_minutes} "
            f"minutes and star {star}",
            field="star" if hours_minutes >= 0 else "hours",
        )
    export = policy.credit_export
    if export is None:
        return 0
    if export.kind is CreditExportKind.STARS:
        return export.stars[star - 1] if star else 0
    total, reached = Fraction(0), 0
    for upto_hours, hours_per_point in export.bands:
        upto = hours_minutes if upto_hours is None else upto_hours * MINUTES_PER_HOUR
        within = min(hours_minutes, upto) - reached
        if within <= 0:
            break
        total += within / (MINUTES_PER_HOUR * hours_per_point)
        reached += within
    return int(total)


def _part(piece: Piece, service: Service, zone: str, fill: int, tab: Tab) -> Part:
    """Reckons one piece and adds it to the tab; `fill` minutes earn beyond its own."""
    start_us, end_us, day, (version, policy, _, _), hours = piece
    rules = policy.earn
    gives_time, gives_points = gives(policy, service)
    factor = 1
    if (gives_time or gives_points) and rules.rates.varies:
        factor = factor_of(rules, service)
    time = pool_time = points = 0
    expires_us = NEVER_US
    if factor and (gives_time or gives_points):
        minutes = counted(piece, hours + fill, tab)
        shares = [(minutes, 1)]
        if rules.time_of_day:
            shares = shares_by_time_of_day(piece, minutes, rules, zone)
        if gives_points:
            points = points_of(piece, shares, factor, tab)
            if not tab.bonus_given:
                points += bonus(rules, service)
                tab.bonus_given = True
            if points:
                expires_us = expiry_us(rules.points_expiry, day.date, zone)
        if gives_time:
            exact = weight_of(shares) * rules.rates.time * factor
            time = rounded("carry-time", piece, exact, rules.rates.time_denominator, tab)
            if rules.group is GroupTime.DONATE_ONLY and service.group:
                time, pool_time = 0, time
            elif rules.caps.store_minutes is not None:
                time, pool_time, hours = store(rules, time, hours, tab)
        if minutes:
            tab.add(day.year_key, minutes)
            tab.add(LIFE_KEY, minutes)
            if rules.caps.day_minutes is not None:
                tab.add(day.day_key, minutes)
    return Part(start_us, end_us, day.date, hours, version, time, pool_time, points, expires_us)
