"""Policies of a random village: a few of many rules at a time, some of them against each other."""

import json
import random
from typing import Any

from ledger.domain.policy_text import parse_policy, policy_to_text
from timebank.errors import TimebankError

LEVELS = [
    {"star": star, "hours": hours, "points": 0, "quality_tenths": 0}
    for star, hours in enumerate((1, 3, 5, 8, 12), 1)
]
POINTS_LEVELS = [level | {"points": level["hours"]} for level in LEVELS]
QUALITY_LEVELS = [level | {"quality_tenths": 35 + 2 * level["star"]} for level in LEVELS]
BANDS = [{"upto_minutes": 300, "rate": 1}, {"upto_minutes": None, "rate": "1/3"}]
TABLES: tuple[dict[str, Any], ...] = (
    {"levels": LEVELS},
    {"levels": LEVELS, "demote": True},
    {"levels": LEVELS, "five_by_selection": True, "medals": [{"name": "gold", "hours": 6}]},
    {"levels": POINTS_LEVELS},
    {"levels": POINTS_LEVELS, "demote": True, "scope": "YEAR"},
    {"levels": QUALITY_LEVELS, "min_raters": 2},
)
EARNINGS: tuple[dict[str, Any], ...] = (
    {"bands": BANDS},
    {"bands": BANDS, "band_basis": "LIFETIME"},
    {"caps": {"store_minutes": 240}},
    {"caps": {"store_minutes": 240}, "overflow": "DROP"},
    {"caps": {"day_minutes": 90, "year_minutes": 900, "activity_minutes": 75}},
    {"rounding": "HALF_EVEN"},
    {"rounding": "CEIL_15", "rounding_basis": "RECORD"},
    {"rounding_basis": "DAY"},
    {"expiry": {"points": "CALENDAR_YEAR_END"}},
    {"expiry": {"points": {"months": 1}}},
    {"group": "DONATE_ONLY"},
    {"reward": "MEMBER_CHOICE"},
    {"back_entry_points": True},
    {"bonus": {"referral_points": 3, "team_lead_points": 2}},
    {"time_per_minute": "2/3", "multipliers": {"urgent": "3/2"}},
)
CUSTOMS: tuple[dict[str, Any], ...] = (
    {"publicity_days": 2},
    {"publicity_days": 1},
    {"time_payer": "BENEFICIARY"},
    {"time_payer": "POOL"},
    {"self_service": "REFUSE"},
    {"self_service": "NORMAL"},
    {"transfers": ["FRIENDS", "POOL"]},
    {"transfers": []},
    {"elder_issue_minutes": 0},
    {"reserve_ratio": "1/2"},
    {"spot_check_percent": 60},
    {"verifications": 2},
    {"death": {"time": "POOL", "points": "KEEP"}},
    {"back_entry_minutes_per_day": 200},
)


def policy_text(chance: random.Random, day: str) -> str:
    """Gives the canonical text of a policy that begins on a day."""
    while True:
        document: dict[str, Any] = {
            "policy_id": "village",
            "effective_from": day,
            "earn": {"reward": "BOTH"},
            "publicity_days": 0,
            "elder_issue_minutes": 200,
            "stars": chance.choice(TABLES),
        }
        for changes in chance.sample(EARNINGS, 3):
            document["earn"] |= changes
        for changes in chance.sample(CUSTOMS, 4):
            document |= changes
        try:
            return policy_to_text(parse_policy(json.dumps(document)))
        except TimebankError:
            continue  # These rules contradict each other.
