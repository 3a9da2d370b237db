"""The part `earn` of a policy document: its keys, read and written.

Owns the limits of each value. Refuses to judge values together (see
`ledger.domain.policy_contradictions`).
"""

from __future__ import annotations

import re
from fractions import Fraction

from ledger.domain.policy import (
    Band,
    BandBasis,
    Caps,
    DayWindow,
    EarnRules,
    EvidenceClass,
    ExpiryKind,
    GroupTime,
    Overflow,
    PointsExpiry,
    QualityStep,
    Reward,
    Rounding,
    RoundingBasis,
)
from ledger.domain.policy_fields import Fields, Json, Refused, describe, is_name, ratio_text

EARN_KEYS = (
    *("time_per_minute", "points_per_hour", "bands", "band_basis", "multipliers"),
    *("quality_factor", "quality_failed", "caps", "overflow", "reward", "evidence_floor"),
    *("back_entry_points", "group", "bonus", "expiry", "rounding", "rounding_basis"),
)
MULTIPLIER_KEYS = ("need_type", "skill", "urgent", "time_of_day")
ROWS_MAX = 100
NAME_CHARACTERS_MAX = 64
MINUTES_MAX = 10_000_000
ACTIVITY_MINUTES_MAX = 44_640
DAY_MINUTES_MAX = 1_440
YEAR_MINUTES_MAX = 527_040
TENTHS_MAX = 50
POINTS_MAX = 1_000_000
MONTHS_MAX = 600
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_ONE = Fraction(1)


def read_earn(fields: Fields) -> EarnRules:
    """Reads the part; where a fault stands the default."""
    multipliers = fields.group("multipliers", MULTIPLIER_KEYS)
    bonus = fields.group("bonus", ("referral_points", "team_lead_points"))
    return EarnRules(
        time_per_minute=fields.rate("time_per_minute", _ONE),
        points_per_hour=fields.rate("points_per_hour", _ONE),
        bands=_bands(fields),
        band_basis=fields.word("band_basis", BandBasis.YEAR),
        need_types=_rates_by_name(multipliers, "need_type"),
        skills=_rates_by_name(multipliers, "skill"),
        urgent=multipliers.rate("urgent", _ONE),
        time_of_day=_time_of_day(multipliers),
        quality_factor=_quality_factor(fields),
        quality_failed=fields.rate("quality_failed", _ONE),
        caps=_caps(fields),
        overflow=fields.word("overflow", Overflow.POOL),
        reward=fields.word("reward", Reward.TIME),
        evidence_floor=fields.word("evidence_floor", EvidenceClass.D),
        back_entry_points=fields.boolean("back_entry_points", False),
        group=fields.word("group", GroupTime.NORMAL),
        referral_points=bonus.integer("referral_points", 0, 0, POINTS_MAX),
        team_lead_points=bonus.integer("team_lead_points", 0, 0, POINTS_MAX),
        points_expiry=_points_expiry(fields),
        rounding=fields.word("rounding", Rounding.FLOOR),
        rounding_basis=fields.word("rounding_basis", RoundingBasis.CUMULATIVE),
    )


def earn_document(earn: EarnRules) -> dict[str, Json]:
    """Writes the part, everything said."""
    kind, months = earn.points_expiry
    expiry: Json = {"months": months} if kind is ExpiryKind.MONTHS else str(kind)
    return {
        "time_per_minute": ratio_text(earn.time_per_minute),
        "points_per_hour": ratio_text(earn.points_per_hour),
        "bands": [{"upto_minutes": upto, "rate": ratio_text(rate)} for upto, rate in earn.bands],
        "band_basis": earn.band_basis,
        "multipliers": {
            "need_type": {name: ratio_text(rate) for name, rate in earn.need_types},
            "skill": {name: ratio_text(rate) for name, rate in earn.skills},
            "urgent": ratio_text(earn.urgent),
            "time_of_day": [
                {"from": _clock_text(start), "to": _clock_text(end), "rate": ratio_text(rate)}
                for start, end, rate in earn.time_of_day
            ],
        },
        "quality_factor": [
            {"from_tenths": tenths, "rate": ratio_text(rate)}
            for tenths, rate in earn.quality_factor
        ],
        "quality_failed": ratio_text(earn.quality_failed),
        "caps": {name: cap for name, cap in earn.caps._asdict().items() if cap is not None},
        "overflow": earn.overflow,
        "reward": earn.reward,
        "evidence_floor": earn.evidence_floor,
        "back_entry_points": earn.back_entry_points,
        "group": earn.group,
        "bonus": {
            "referral_points": earn.referral_points,
            "team_lead_points": earn.team_lead_points,
        },
        "expiry": {"points": expiry},
        "rounding": earn.rounding,
        "rounding_basis": earn.rounding_basis,
    }


def _bands(fields: Fields) -> tuple[Band, ...]:
    bands = []
    for row in fields.rows("bands", ROWS_MAX, ("upto_minutes", "rate")):
        upto = row.optional_integer("upto_minutes", 1, MINUTES_MAX)
        bands.append(Band(upto, _needed_rate(row)))
    return tuple(bands)


def _rates_by_name(multipliers: Fields, key: str) -> tuple[tuple[str, Fraction], ...]:
    table = multipliers.table(key)
    if len(table) > ROWS_MAX:
        multipliers.fault(key, f"expected at most {ROWS_MAX} names, got {len(table):,}")
        return ()
    found = []
    for name, value in sorted(table.items()):
        place = f"{multipliers.at(key)}.{name[:NAME_CHARACTERS_MAX]}"
        if not is_name(name, NAME_CHARACTERS_MAX):
            expected = f"a name of 1 to {NAME_CHARACTERS_MAX} characters on one line"
            multipliers.faults.add(place, f"expected {expected}")
        rate = multipliers.as_rate(place, value)
        found.append((name, _ONE if rate is None else rate))
    return tuple(found)


def _time_of_day(multipliers: Fields) -> tuple[DayWindow, ...]:
    windows = []
    for row in multipliers.rows("time_of_day", ROWS_MAX, ("from", "to", "rate")):
        start, end, rate = _clock(row, "from"), _clock(row, "to"), _needed_rate(row)
        if start is None or end is None:
            continue
        if start == end:
            row.fault("to", "is the time at which it begins; leave the window out, or move one")
            continue
        windows.append(DayWindow(start, end, rate))
    return tuple(windows)


def _clock(row: Fields, key: str) -> int | None:
    value = row.values.get(key)
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * 60 + int(match[2])
    if not isinstance(value, Refused):
        got = describe(value) if row.given(key) else "nothing"
        row.fault(key, f'expected a time of day such as "22:00", got {got}')
    return None


def _clock_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _quality_factor(fields: Fields) -> tuple[QualityStep, ...]:
    steps: list[QualityStep] = []
    for row in fields.rows("quality_factor", ROWS_MAX, ("from_tenths", "rate")):
        if not row.given("from_tenths"):
            row.fault("from_tenths", "is needed: the lowest score in tenths, such as 35")
        step = QualityStep(row.integer("from_tenths", 0, 0, TENTHS_MAX), _needed_rate(row))
        if steps and step.from_tenths <= steps[-1].from_tenths:
            row.fault("from_tenths", f"expected more than {steps[-1].from_tenths} before it")
        steps.append(step)
    return tuple(steps)


def _needed_rate(row: Fields) -> Fraction:
    if not row.given("rate"):
        row.fault("rate", 'is needed, such as "1/2"')
    return row.rate("rate", _ONE)


def _caps(fields: Fields) -> Caps:
    caps = fields.group("caps", Caps._fields)
    return Caps(
        activity_minutes=caps.optional_integer("activity_minutes", 0, ACTIVITY_MINUTES_MAX),
        day_minutes=caps.optional_integer("day_minutes", 0, DAY_MINUTES_MAX),
        year_minutes=caps.optional_integer("year_minutes", 0, YEAR_MINUTES_MAX),
        store_minutes=caps.optional_integer("store_minutes", 0, MINUTES_MAX),
    )


def _points_expiry(fields: Fields) -> PointsExpiry:
    expiry = fields.group("expiry", ("points",))
    value = expiry.values.get("points", str(ExpiryKind.NONE))
    if isinstance(value, dict):
        inner = expiry.group("points", ("months",))
        if not inner.given("months"):
            inner.fault("months", "is needed: for how many months POINTS count")
        return PointsExpiry(ExpiryKind.MONTHS, inner.integer("months", 1, 1, MONTHS_MAX))
    for kind in (ExpiryKind.NONE, ExpiryKind.CALENDAR_YEAR_END):
        if value == kind:
            return PointsExpiry(kind)
    if not isinstance(value, Refused):
        expected = 'expected {"months": 24}, "CALENDAR_YEAR_END" or "none"'
        expiry.fault("points", f"{expected}, got {describe(value)}")
    return PointsExpiry()
