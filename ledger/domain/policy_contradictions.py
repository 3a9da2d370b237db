"""What parts of a policy say against each other.

Owns the contradictions, each told at the place that a city would change. Refuses nothing: the
faults go where those of the single fields went.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ledger.domain.policy import CreditExportKind, EarnRules, ExpiryKind, Policy, Reward
from ledger.domain.policy_fields import Faults

DENOMINATOR_MAX = 1_000_000_000
"""Common denominator of all rates: keeps every carried remainder far below 64 bits."""
STARS = 5
_DAY_MINUTES = 1_440
_ONE = Fraction(1)


def find_contradictions(policy: Policy, faults: Faults) -> None:
    """Adds every contradiction of a policy to the faults."""
    ends = policy.effective_to
    if ends is not None and ends <= policy.effective_from:
        faults.add("effective_to", "expected a day after effective_from; it is the first day after")
    if policy.reserve_ratio > 1:
        faults.add("reserve_ratio", 'expected a share of the pool, from 0 to "1/1"')
    _bands([upto for upto, _ in policy.earn.bands], "earn.bands", "upto_minutes", faults)
    _windows(policy.earn, faults)
    _rewards(policy.earn, faults)
    _caps(policy.earn, faults)
    rates = policy.earn.rates
    if max(rates.time_denominator, rates.points_denominator) > DENOMINATOR_MAX:
        faults.add(
            "earn",
            f"the fractions have no common denominator up to {DENOMINATOR_MAX:,}; use fewer "
            "different denominators, such as halves, tenths and hundredths",
        )
    _credit_export(policy, faults)


def _bands(ends: Sequence[int | None], place: str, key: str, faults: Faults) -> None:
    reached = 0
    for index, upto in enumerate(ends):
        here = f"{place}[{index}].{key}"
        if here in faults.doubtful:
            continue
        if index == len(ends) - 1:
            if upto is not None:
                faults.add(here, "the last band is open: expected null")
        elif upto is None:
            faults.add(here, "only the last band is open: expected a number above the one before")
        elif upto <= reached:
            faults.add(here, f"expected more than the {reached} before it, got {upto}")
        else:
            reached = upto


def _windows(earn: EarnRules, faults: Faults) -> None:
    taken: dict[int, int] = {}
    for index, (start, end, _) in enumerate(earn.time_of_day):
        length = (end - start) % _DAY_MINUTES
        minutes = [(start + offset) % _DAY_MINUTES for offset in range(length)]
        others = {taken[minute] for minute in minutes if minute in taken}
        if others:
            first = min(others)
            faults.add(
                f"earn.multipliers.time_of_day[{index}]",
                f"overlaps time_of_day[{first}]; a minute of the day can have one rate only",
            )
        taken |= {minute: index for minute in minutes if minute not in taken}


def _rewards(earn: EarnRules, faults: Faults) -> None:
    """A reward that is not given has no rate, bonus or limit of its own."""
    if "earn.reward" in faults.doubtful or "earn" in faults.doubtful:
        return
    expires = earn.points_expiry.kind is not ExpiryKind.NONE
    of_points = {
        "points_per_hour": earn.points_per_hour != _ONE,
        "bands": bool(earn.bands),
        "bonus.referral_points": earn.referral_points > 0,
        "bonus.team_lead_points": earn.team_lead_points > 0,
        "expiry.points": expires,
        "back_entry_points": earn.back_entry_points,
    }
    of_time = {
        "time_per_minute": earn.time_per_minute != _ONE,
        "caps.store_minutes": earn.caps.store_minutes is not None,
    }
    if earn.reward is Reward.TIME:
        _unused(of_points, "POINTS", earn.reward, faults)
    if earn.reward is Reward.POINTS:
        _unused(of_time, "TIME", earn.reward, faults)
    if earn.back_entry_points and earn.evidence_floor in ("A", "B"):
        faults.add(
            "earn.back_entry_points",
            f"is true, but evidence_floor {earn.evidence_floor} keeps back-entries (class C) from "
            "POINTS; make the floor C, or this false",
        )


def _unused(said: dict[str, bool], unit: str, reward: Reward, faults: Faults) -> None:
    for key, is_said in said.items():
        if is_said:
            faults.add(
                f"earn.{key}",
                f"is about {unit}, but earn.reward is {reward}, so nobody earns {unit}; leave it "
                "out, or change earn.reward",
            )


def _caps(earn: EarnRules, faults: Faults) -> None:
    caps = earn.caps
    if caps.year_minutes is None:
        return
    for name, cap in (("activity", caps.activity_minutes), ("day", caps.day_minutes)):
        if cap is not None and cap > caps.year_minutes:
            faults.add(
                f"earn.caps.{name}_minutes",
                f"{cap} is more than the {caps.year_minutes} of year_minutes, so it never holds",
            )


def _credit_export(policy: Policy, faults: Faults) -> None:
    export = policy.credit_export
    if export is None or any(place.startswith("credit_export") for place in faults.doubtful):
        return
    by_stars = export.kind is CreditExportKind.STARS
    if by_stars and len(export.stars) != STARS:
        faults.add("credit_export.stars", f"expected the points of {STARS} stars, first star first")
    if not by_stars and not export.bands:
        faults.add("credit_export.bands", "is needed for the kind HOURS_BANDS")
    if by_stars and export.bands:
        faults.add("credit_export.bands", "belongs to the kind HOURS_BANDS, not to STARS")
    if not by_stars and export.stars:
        faults.add("credit_export.stars", "belongs to the kind STARS, not to HOURS_BANDS")
    _bands([upto for upto, _ in export.bands], "credit_export.bands", "upto_hours", faults)
