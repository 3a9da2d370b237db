"""Faults of policy documents, one each: the keys, the place that is told, and words of it."""

from __future__ import annotations

from ledger.domain.policy_fields import Json

FAULTS: list[tuple[dict[str, Json], str, str]] = [
    ({"policy_id": "Weihai"}, "policy_id", "a-z"),
    ({"policy_id": "a" * 41}, "policy_id", "40"),
    ({"policy_id": 7}, "policy_id", "expected a text"),
    ({"name": "名" * 65}, "name", "64"),
    ({"name": "two\nlines"}, "name", "one line"),
    ({"effective_from": "2026-02-30"}, "effective_from", "calendar"),
    ({"effective_from": "20260101"}, "effective_from", "date"),
    ({"effective_from": "9999-12-31"}, "effective_from", "date"),
    ({"effective_from": None}, "effective_from", "needed"),
    ({"effective_to": "2026-01-01"}, "effective_to", "after effective_from"),
    ({"publicity_day": 3}, "publicity_day", "did you mean 'publicity_days'?"),
    ({"publicity_days": -1}, "publicity_days", "from 0 to 365"),
    ({"publicity_days": True}, "publicity_days", "got true"),
    ({"publicity_days": None}, "publicity_days", "got null"),
    ({"verifications": 6}, "verifications", "from 1 to 5"),
    ({"verifications": 0}, "verifications", "from 1 to 5"),
    ({"spot_check_percent": "5"}, "spot_check_percent", "whole number"),
    ({"time_to_goods": "yes"}, "time_to_goods", "true or false"),
    ({"transfers": "POOL"}, "transfers", "a list"),
    ({"transfers": ["POOL", "POOL"]}, "transfers[1]", "twice"),
    ({"transfers": ["ANYBODY"]}, "transfers[0]", "RELATIVES, FRIENDS, POOL"),
    ({"reserve_ratio": "3/2"}, "reserve_ratio", "share"),
    ({"stars": []}, "stars", "object"),
    ({"minors": {"redem": True}}, "minors.redem", "did you mean 'redeem'?"),
    ({"death": {"points": "VANISH"}}, "death.points", "LAPSE, KEEP"),
    ({"credit_export": {}}, "credit_export.kind", "needed"),
    ({"credit_export": {"kind": "STARS", "stars": [1]}}, "credit_export.stars", "5 stars"),
    (
        {"credit_export": {"kind": "STARS", "stars": [1, 2, 3, 4, "5"]}},
        "credit_export.stars[4]",
        "",
    ),
    ({"credit_export": {"kind": "HOURS_BANDS"}}, "credit_export.bands", "needed"),
    (
        {
            "credit_export": {
                "kind": "HOURS_BANDS",
                "bands": [{"upto_hours": None, "hours_per_point": 0}],
            }
        },
        "credit_export.bands[0].hours_per_point",
        "more than 0",
    ),
]
EARN_FAULTS: list[tuple[dict[str, Json], str, str]] = [
    ({"time_per_minute": "1/0"}, "earn.time_per_minute", "rate"),
    ({"time_per_minute": "-1"}, "earn.time_per_minute", "rate"),
    ({"time_per_minute": -1}, "earn.time_per_minute", "rate"),
    ({"time_per_minute": "0.5"}, "earn.time_per_minute", "rate"),
    ({"time_per_minute": "１/２"}, "earn.time_per_minute", "rate"),
    ({"time_per_minute": 101}, "earn.time_per_minute", "0 to 100"),
    ({"time_per_minute": True}, "earn.time_per_minute", "got true"),
    ({"time_per_minute": "1/1234567"}, "earn.time_per_minute", "rate"),
    ({"rounding": "floor"}, "earn.rounding", "did you mean FLOOR?"),
    ({"reward": "CASH"}, "earn.reward", "TIME, POINTS, MEMBER_CHOICE, BOTH"),
    ({"evidence_floor": "F"}, "earn.evidence_floor", "A, B, C, D, E"),
    ({"caps": {"day_minutes": 1441}}, "earn.caps.day_minutes", "1440"),
    ({"caps": {"weak_minutes": 1}}, "earn.caps.weak_minutes", "did you mean"),
    (
        {"caps": {"day_minutes": 60, "year_minutes": 59}},
        "earn.caps.day_minutes",
        "more than the 59",
    ),
    (
        {"reward": "BOTH", "bands": [{"upto_minutes": 5, "rate": 1}]},
        "earn.bands[0].upto_minutes",
        "null",
    ),
    ({"reward": "BOTH", "bands": [7]}, "earn.bands[0]", "an object"),
    ({"reward": "BOTH", "bands": [{"upto_minutes": None}]}, "earn.bands[0].rate", "needed"),
    ({"bands": [{"upto_minutes": None, "rate": 2}]}, "earn.bands", "earn.reward is TIME"),
    ({"points_per_hour": 2}, "earn.points_per_hour", "earn.reward is TIME"),
    ({"expiry": {"points": {"months": 2}}}, "earn.expiry.points", "earn.reward is TIME"),
    (
        {"reward": "BOTH", "expiry": {"points": {"months": 0}}},
        "earn.expiry.points.months",
        "from 1",
    ),
    ({"reward": "BOTH", "expiry": {"points": {}}}, "earn.expiry.points.months", "needed"),
    ({"expiry": {"points": "NEVER"}}, "earn.expiry.points", "CALENDAR_YEAR_END"),
    ({"reward": "POINTS", "caps": {"store_minutes": 5}}, "earn.caps.store_minutes", "TIME"),
    (
        {"reward": "BOTH", "evidence_floor": "B", "back_entry_points": True},
        "earn.back_entry_points",
        "class C",
    ),
    (
        {"quality_factor": [{"from_tenths": 40, "rate": 1}, {"from_tenths": 40, "rate": 2}]},
        "earn.quality_factor[1].from_tenths",
        "more than 40",
    ),
    ({"quality_factor": [{"rate": 1}]}, "earn.quality_factor[0].from_tenths", "needed"),
    ({"multipliers": {"need_type": {"": 1}}}, "earn.multipliers.need_type.", "name"),
    ({"multipliers": {"skill": {"nurse": "x"}}}, "earn.multipliers.skill.nurse", "rate"),
    (
        {"multipliers": {"time_of_day": [{"from": "24:00", "to": "06:00", "rate": 2}]}},
        "earn.multipliers.time_of_day[0].from",
        "22:00",
    ),
    (
        {"multipliers": {"time_of_day": [{"from": "06:00", "to": "06:00", "rate": 2}]}},
        "earn.multipliers.time_of_day[0].to",
        "begins",
    ),
    (
        {
            "multipliers": {
                "time_of_day": [
                    {"from": "22:00", "to": "06:00", "rate": 2},
                    {"from": "05:59", "to": "07:00", "rate": 3},
                ]
            }
        },
        "earn.multipliers.time_of_day[1]",
        "overlaps time_of_day[0]",
    ),
    (
        {"time_per_minute": "1/99991", "multipliers": {"urgent": "1/99989"}},
        "earn",
        "common denominator",
    ),
]
