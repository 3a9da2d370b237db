"""The rules by which minutes earn: rewards, caps, rates, bands, rounding, store and expiry.

Owns one rule a function, and the tab on which a service's pieces leave what they counted. Refuses
the order of the rules, which is `ledger.domain.earning`'s.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import date
from fractions import Fraction

from ledger.domain.account import NEVER_US
from ledger.domain.calendar import day_end_us
from ledger.domain.policy import (
    BandBasis,
    EarnRules,
    ExpiryKind,
    Overflow,
    PointsExpiry,
    Policy,
    Reward,
    Rounding,
    RoundingBasis,
    SelfService,
)
from ledger.domain.service_split import Piece, Service, TallyKey, local_us, window_shares
from timebank.errors import Reason, TimebankError

QUARTER_MINUTES = 15
LIFE_KEY: TallyKey = ("life", "")
_YEAR_MAX = 9998
_NEITHER = (False, False)


class Tab:
    """Tallies as they were and what is added, and how far the activity and the store are."""

    __slots__ = ("activity", "added", "before", "bonus_given", "records", "stored")

    def __init__(self, before: Mapping[TallyKey, int], stored: int) -> None:
        self.before = before
        self.added: dict[TallyKey, int] = {}
        self.records: dict[TallyKey, tuple[int, int]] = {}
        self.activity = 0
        self.stored = stored
        self.bonus_given = False

    def get(self, key: TallyKey) -> int:
        """Gives a tally as it is by now."""
        return self.before.get(key, 0) + self.added.get(key, 0)

    def add(self, key: TallyKey, count: int) -> None:
        """Adds to a tally."""
        if count:
            self.added[key] = self.added.get(key, 0) + count


def gives(policy: Policy, service: Service) -> tuple[bool, bool]:
    """Says whether the service earns TIME, and POINTS, under a policy."""
    rules = policy.earn
    if service.relative and policy.self_service is not SelfService.NORMAL:
        if policy.self_service is SelfService.HONOUR_ONLY:
            return _NEITHER
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"relative: policy {policy.policy_id} refuses services to relatives; record it for "
            "another volunteer, or not at all",
            field="relative",
        )
    reward: str = rules.reward
    if reward == Reward.MEMBER_CHOICE:
        reward = service.reward
        if reward not in (Reward.TIME, Reward.POINTS):
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"reward: policy {policy.policy_id} leaves it to the member: expected TIME or "
                f"POINTS, got {reward[:40]!r}",
                field="reward",
            )
    if reward == Reward.TIME:
        return True, False
    return reward == Reward.BOTH, service.evidence in rules.points_evidence


def factor_of(rules: EarnRules, service: Service) -> int:
    """Multiplies what holds for the whole service, over the product of the tables' ones."""
    rates = rules.rates
    quality = rates.quality_one
    if service.quality_failed:
        quality = rates.quality_failed
    elif service.quality_tenths is not None:
        for from_tenths, rate in rates.quality:
            if service.quality_tenths >= from_tenths:
                quality = rate
                break
    return (
        quality
        * rates.need_types.get(service.need_type, rates.need_one)
        * rates.skills.get(service.skill, rates.skill_one)
        * (rates.urgent if service.urgent else rates.urgent_one)
    )


def counted(piece: Piece, minutes: int, tab: Tab) -> int:
    """Cuts minutes to what the caps of activity, day and year still let earn."""
    activity, day, year, _ = piece.version.policy.earn.caps
    if activity is not None:
        minutes = min(minutes, max(0, activity - tab.activity))
    if day is not None:
        minutes = min(minutes, max(0, day - tab.get(piece.day.day_key)))
    if year is not None:
        minutes = min(minutes, max(0, year - tab.get(piece.day.year_key)))
    tab.activity += minutes
    return minutes


def shares_by_time_of_day(
    piece: Piece, counted: int, rules: EarnRules, zone: str
) -> list[tuple[int, int]]:
    """Gives (minutes, rate) by time of day of the first `counted` minutes of a piece.

    Minutes that CEIL_15 adds belong to its end.
    """
    rates, taken = rules.rates, []
    for minutes, rate in window_shares(piece, rates.windows, rates.window_one, zone):
        share = min(minutes, counted)
        counted -= share
        taken.append((share, rate))
    last, rate = taken[-1]
    taken[-1] = (last + counted, rate)
    return taken


def weight_of(shares: list[tuple[int, int]]) -> int:
    """Sums minutes times their rates by time of day."""
    if len(shares) == 1:
        minutes, rate = shares[0]
        return minutes * rate
    return sum(minutes * rate for minutes, rate in shares)


def points_of(piece: Piece, shares: list[tuple[int, int]], factor: int, tab: Tab) -> int:
    """Gives the POINTS of minutes, by the bands that the tally before them has reached."""
    rules = piece.version.policy.earn
    weight = 0
    if not rules.bands:
        weight = weight_of(shares)
    else:
        by_year = rules.band_basis is BandBasis.YEAR
        reached = tab.get(piece.day.year_key if by_year else LIFE_KEY)
        for minutes, window_rate in shares:
            for upto, band_rate in rules.rates.bands:
                within = minutes if upto is None else max(0, min(minutes, upto - reached))
                weight += within * band_rate * window_rate
                reached += within
                minutes -= within
    exact = weight * rules.rates.points * factor
    return rounded("carry-points", piece, exact, rules.rates.points_denominator, tab)


def bonus(rules: EarnRules, service: Service) -> int:
    """Gives the POINTS that a record earns beside those of its minutes."""
    referral = rules.referral_points if service.referral else 0
    return referral + (rules.team_lead_points if service.team_lead else 0)


def rounded(name: str, piece: Piece, exact: int, denominator: int, tab: Tab) -> int:
    """Rounds by the policy's basis and keeps the remainder.

    After a correction a carry may be below 0: then the next services make up for it first. Over a
    carried sum a half waits for more instead of going to the even side, so that the order of
    services changes nothing.
    """
    if denominator == 1:
        return exact
    rules = piece.version.policy.earn
    halves = rules.rounding is Rounding.HALF_EVEN
    key = carry_key(name, piece, rules)
    if rules.rounding_basis is RoundingBasis.RECORD:
        total, credited = tab.records.get(key, (0, 0))
        total += exact
        whole = round(Fraction(total, denominator)) if halves else total // denominator
        tab.records[key] = (total, whole)
        return whole - credited
    total = tab.get(key) + exact
    whole = -((denominator - 2 * total) // (2 * denominator)) if halves else total // denominator
    if whole < 0:
        whole = 0
    tab.add(key, exact - whole * denominator)
    return whole


def carry_key(name: str, piece: Piece, rules: EarnRules) -> TallyKey:
    """Names the remainder of a version, or of one day under it."""
    if rules.rounding_basis is RoundingBasis.DAY:
        return (name, f"{piece.day.date}/{piece.version.version}")
    return (name, piece.version.version)


def store(rules: EarnRules, time: int, hours: int, tab: Tab) -> tuple[int, int, int]:
    """Divides TIME at the store cap: what is stored, what the pool gets, and the HOURS left."""
    kept = min(time, max(0, (rules.caps.store_minutes or 0) - tab.stored))
    over = time - kept
    tab.stored += kept
    if not over or rules.overflow is Overflow.HONOUR_ONLY:
        return kept, 0, hours
    if rules.overflow is Overflow.POOL:
        return kept, over, hours
    return kept, 0, hours - hours * over // time


def quarter_fills(pieces: tuple[Piece, ...]) -> list[int]:
    """Gives the minutes that fill each version's pieces up to a quarter hour, at its last one."""
    fills = [0] * len(pieces)
    sums: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, (_, _, _, version, minutes) in enumerate(pieces):
        if version.policy.earn.rounding is Rounding.CEIL_15:
            sums[version.version] = sums.get(version.version, 0) + minutes
            last[version.version] = index
    for name, index in last.items():
        fills[index] = -sums[name] % QUARTER_MINUTES
    return fills


@functools.lru_cache(maxsize=65_536)
def expiry_us(expiry: PointsExpiry, day: str, zone: str) -> int:
    """Gives the first moment after the last day on which POINTS of a day's service count."""
    if expiry.kind is ExpiryKind.NONE:
        return NEVER_US
    served = date.fromisoformat(day)
    if expiry.kind is ExpiryKind.CALENDAR_YEAR_END:
        return local_us(date(served.year + 1, 1, 1).isoformat(), 0, zone)
    years, month = divmod(served.month - 1 + expiry.months, 12)
    if served.year + years > _YEAR_MAX:
        return NEVER_US
    for last in (served.day, 30, 29, 28):
        try:
            ends = served.replace(year=served.year + years, month=month + 1, day=last)
        except ValueError:
            continue  # 31 January and a month: the month's last day.
        return day_end_us(local_us(ends.isoformat(), 0, zone) + 1, zone)
    raise AssertionError(day)
