"""What a policy 积分政策 says: how HOURS become TIME and POINTS, and what else a city decides.

Owns the values of one version and the integers that the hot path reckons with. Refuses to read
text (see `ledger.domain.policy_text`). Rates are exact; nothing here is a float. The values are
taken as given: only what `parse_policy` lets through is checked.
"""

from __future__ import annotations

import datetime
import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

MINUTES_PER_HOUR = 60
ONE = Fraction(1)


class Overflow(enum.StrEnum):
    """What becomes of TIME over the store cap: to the public pool; or it is not made while HOURS
    stay; or the minutes behind it count neither as TIME nor as HOURS.
    """

    POOL = "POOL"
    HONOUR_ONLY = "HONOUR_ONLY"
    DROP = "DROP"


class Reward(enum.StrEnum):
    """What a service earns beside HOURS."""

    TIME = "TIME"
    POINTS = "POINTS"
    MEMBER_CHOICE = "MEMBER_CHOICE"
    BOTH = "BOTH"


class EvidenceClass(enum.StrEnum):
    """How a record is proved, from both sides' codes (A) to not at all (E)."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"


class GroupTime(enum.StrEnum):
    """Whose the TIME of a group activity is: the member's, or all of it the public pool's."""

    NORMAL = "NORMAL"
    DONATE_ONLY = "DONATE_ONLY"


class Rounding(enum.StrEnum):
    """How a fraction becomes whole. CEIL_15 rounds a record's minutes up to a quarter of an hour
    before any rate, and what is left after the rates down.
    """

    FLOOR = "FLOOR"
    HALF_EVEN = "HALF_EVEN"
    CEIL_15 = "CEIL_15"


class RoundingBasis(enum.StrEnum):
    """Over what is rounded; CUMULATIVE carries the remainder on to the next service."""

    RECORD = "RECORD"
    DAY = "DAY"
    CUMULATIVE = "CUMULATIVE"


class BandBasis(enum.StrEnum):
    """Over what the minutes of bands add up."""

    YEAR = "YEAR"
    LIFETIME = "LIFETIME"


class TransferTo(enum.StrEnum):
    """To whom a member may give TIME."""

    RELATIVES = "RELATIVES"
    FRIENDS = "FRIENDS"
    POOL = "POOL"


class TimePayer(enum.StrEnum):
    """Who pays the TIME of a service."""

    BENEFICIARY = "BENEFICIARY"
    POOL = "POOL"
    ISSUANCE = "ISSUANCE"


class SelfService(enum.StrEnum):
    """What a service to a relative is worth: refused, HOURS only, or as any other."""

    REFUSE = "REFUSE"
    HONOUR_ONLY = "HONOUR_ONLY"
    NORMAL = "NORMAL"


class ExpiryKind(enum.StrEnum):
    """When POINTS expire: never, months after the day of the service, or with its year."""

    NONE = "none"
    MONTHS = "MONTHS"
    CALENDAR_YEAR_END = "CALENDAR_YEAR_END"


class CreditExportKind(enum.StrEnum):
    """What yields credit points: lifetime HOURS by bands, or the star."""

    HOURS_BANDS = "HOURS_BANDS"
    STARS = "STARS"


class DeathTime(enum.StrEnum):
    """Where the TIME of a dead member goes."""

    POOL = "POOL"
    RELATIVES = "RELATIVES"


class DeathPoints(enum.StrEnum):
    """Whether the POINTS of a dead member lapse."""

    LAPSE = "LAPSE"
    KEEP = "KEEP"


class Band(NamedTuple):
    """Rate on POINTS of the minutes up to a total; None is the open end."""

    upto_minutes: int | None
    rate: Fraction


class DayWindow(NamedTuple):
    """Rate between two times of day, in minutes after local midnight; it may cross midnight."""

    from_minute: int
    to_minute: int
    rate: Fraction


class QualityStep(NamedTuple):
    """Rate from a quality score in tenths on; scores below every step have the rate 1."""

    from_tenths: int
    rate: Fraction


class Caps(NamedTuple):
    """Most minutes that earn TIME and POINTS, and the most TIME that a member stores."""

    activity_minutes: int | None = None
    day_minutes: int | None = None
    year_minutes: int | None = None
    store_minutes: int | None = None


class PointsExpiry(NamedTuple):
    """When POINTS expire; months count for the kind MONTHS only."""

    kind: ExpiryKind = ExpiryKind.NONE
    months: int = 0


class CreditBand(NamedTuple):
    """Hours that make one credit point, up to a total of hours; None is the open end."""

    upto_hours: int | None
    hours_per_point: Fraction


class CreditExport(NamedTuple):
    """Formula of credit points for a city's credit system; they are no unit of the ledger."""

    kind: CreditExportKind
    bands: tuple[CreditBand, ...] = ()
    stars: tuple[int, ...] = ()


class Rates(NamedTuple):
    """A policy's rates as integers over common denominators.

    c minutes earn c * time * factor / time_denominator minutes of TIME, and c * points * factor *
    band / points_denominator POINTS. Each `_one` is what the rate 1 is in its table.
    """

    time_denominator: int
    points_denominator: int
    time: int
    points: int
    varies: bool
    need_types: dict[str, int]
    need_one: int
    skills: dict[str, int]
    skill_one: int
    urgent: int
    urgent_one: int
    quality: tuple[tuple[int, int], ...]
    quality_failed: int
    quality_one: int
    windows: tuple[tuple[int, int, int], ...]
    window_one: int
    bands: tuple[tuple[int | None, int], ...]


@dataclass(frozen=True, slots=True)
class EarnRules:
    """The part `earn` of a policy; `rates` and `points_evidence` are derived from the rest."""

    time_per_minute: Fraction = ONE
    points_per_hour: Fraction = ONE
    bands: tuple[Band, ...] = ()
    band_basis: BandBasis = BandBasis.YEAR
    need_types: tuple[tuple[str, Fraction], ...] = ()
    skills: tuple[tuple[str, Fraction], ...] = ()
    urgent: Fraction = ONE
    time_of_day: tuple[DayWindow, ...] = ()
    quality_factor: tuple[QualityStep, ...] = ()
    quality_failed: Fraction = ONE
    caps: Caps = field(default_factory=Caps)
    overflow: Overflow = Overflow.POOL
    reward: Reward = Reward.TIME
    evidence_floor: EvidenceClass = EvidenceClass.D
    back_entry_points: bool = False
    group: GroupTime = GroupTime.NORMAL
    referral_points: int = 0
    team_lead_points: int = 0
    points_expiry: PointsExpiry = field(default_factory=PointsExpiry)
    rounding: Rounding = Rounding.FLOOR
    rounding_basis: RoundingBasis = RoundingBasis.CUMULATIVE
    rates: Rates = field(init=False, repr=False, compare=False)
    points_evidence: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        classes = "ABCDE"[: "ABCDE".index(self.evidence_floor) + 1]
        if not self.back_entry_points:
            classes = classes.replace("C", "")
        object.__setattr__(self, "points_evidence", classes)
        object.__setattr__(self, "rates", _rates(self))


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a city's rules. `stars_json` is the text of an object that others read."""

    policy_id: str
    effective_from: datetime.date
    effective_to: datetime.date | None = None
    name: str = ""
    earn: EarnRules = field(default_factory=EarnRules)
    transfers: tuple[TransferTo, ...] = (TransferTo.RELATIVES, TransferTo.POOL)
    time_payer: TimePayer = TimePayer.ISSUANCE
    time_to_goods: bool = False
    self_service: SelfService = SelfService.HONOUR_ONLY
    reserve_ratio: Fraction = Fraction(0)
    elder_issue_minutes: int = 0
    publicity_days: int = 3
    verifications: int = 1
    back_entry_minutes_per_day: int = 480
    back_entry_alarm_percent: int = 20
    spot_check_percent: int = 5
    presence_percent: int = 60
    stars_json: str = "{}"
    credit_export: CreditExport | None = None
    minors_redeem: bool = False
    death_time: DeathTime = DeathTime.RELATIVES
    death_points: DeathPoints = DeathPoints.LAPSE


class PolicyVersion(NamedTuple):
    """A policy in force from a moment to another, in microseconds, half-open."""

    version: str
    policy: Policy
    from_us: int
    to_us: int


PolicyTimeline = tuple[PolicyVersion, ...]
"""Versions in the order of `from_us`. Gaps may be; where two overlap the later one counts."""


def _rates(rules: EarnRules) -> Rates:
    need_one = _denominator(rate for _, rate in rules.need_types)
    skill_one = _denominator(rate for _, rate in rules.skills)
    urgent_one = rules.urgent.denominator
    quality = [step.rate for step in rules.quality_factor]
    quality_one = _denominator([*quality, rules.quality_failed])
    window_one = _denominator(window.rate for window in rules.time_of_day)
    band_one = _denominator(band.rate for band in rules.bands)
    ones = need_one * skill_one * urgent_one * quality_one * window_one
    per_minute = rules.points_per_hour / MINUTES_PER_HOUR
    multiplied = (rules.need_types, rules.skills, rules.quality_factor)
    return Rates(
        time_denominator=rules.time_per_minute.denominator * ones,
        points_denominator=per_minute.denominator * ones * band_one,
        time=rules.time_per_minute.numerator,
        points=per_minute.numerator,
        varies=any(multiplied) or rules.urgent != ONE or rules.quality_failed != ONE,
        need_types={name: _scaled(rate, need_one) for name, rate in rules.need_types},
        need_one=need_one,
        skills={name: _scaled(rate, skill_one) for name, rate in rules.skills},
        skill_one=skill_one,
        urgent=rules.urgent.numerator,
        urgent_one=urgent_one,
        quality=tuple(
            (step.from_tenths, _scaled(step.rate, quality_one))
            for step in reversed(rules.quality_factor)
        ),
        quality_failed=_scaled(rules.quality_failed, quality_one),
        quality_one=quality_one,
        windows=tuple(
            (window.from_minute, window.to_minute, _scaled(window.rate, window_one))
            for window in rules.time_of_day
        ),
        window_one=window_one,
        bands=tuple((band.upto_minutes, _scaled(band.rate, band_one)) for band in rules.bands),
    )


def _denominator(rates: Iterable[Fraction]) -> int:
    return math.lcm(*(rate.denominator for rate in rates))


def _scaled(rate: Fraction, one: int) -> int:
    return rate.numerator * (one // rate.denominator)
