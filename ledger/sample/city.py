"""The sample city as a whole: 环翠区 with its people, a year of services, and its policy.

Owns: which parts there are, and their size. Refuses: putting them into a ledger (see loading.py).
Rules: the same seed, size and first day give the same city to the letter.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from ledger.policies import load_preset
from ledger.sample.people import (
    ELDERS,
    WANG,
    Person,
    make_elders,
    make_volunteers,
    officer_of,
    volunteer_id,
)
from ledger.sample.records import (
    YEAR_DAYS,
    Service,
    is_core,
    night_services,
    services_of,
    services_of_wang,
    with_back_entries,
)

LEDGER = "huancui"
ORIGIN = "timebank.example/huancui"
NAME = "环翠区时间银行（示例）"
VOLUNTEERS = 2_000
VOLUNTEERS_MIN = 20
"""Fewer do not fill the night of back-entries."""
SEED = 371_002
FUND_FEN = 5_000_000
"""50,000 yuan."""
PUBLICITY_DAYS = 3


class Rating(NamedTuple):
    """An evaluation of a volunteer 三维评估: who rates, in which role, 1 to 5."""

    member_id: str
    role: str
    rater: str
    score: int


@dataclass(frozen=True)
class City:
    """A city of so many volunteers, 王阿姨 among them, with a year of services from `first_day`."""

    first_day: date
    volunteers: int = VOLUNTEERS
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.volunteers < VOLUNTEERS_MIN:
            raise ValueError(f"volunteers: expected {VOLUNTEERS_MIN} or more")

    @classmethod
    def until(cls, today: date, *, volunteers: int = VOLUNTEERS) -> City:
        """Gives the city whose year ends with yesterday."""
        return cls(today - timedelta(days=YEAR_DAYS), volunteers)

    @functools.cached_property
    def people(self) -> tuple[Person, ...]:
        """Gives the elders and the volunteers."""
        return (*make_elders(), *make_volunteers(self.seed, self.volunteers))

    @functools.cached_property
    def services(self) -> tuple[Service, ...]:
        """Gives the year in the order of submission: by time, back-entries last."""
        found = services_of_wang(self.first_day)
        for number in range(1, self.volunteers):
            found += services_of(self.seed, number, self.first_day)
        found.sort(key=_start)
        return tuple(with_back_entries(found))

    @property
    def night(self) -> tuple[Service, ...]:
        """Gives the back-entries of one officer in one night."""
        return tuple(night_services(self.first_day))

    @property
    def ratings(self) -> tuple[Rating, ...]:
        """Gives the evaluations of 王阿姨 and of who serves week after week."""
        elders = [f"members/{elder}" for elder, _ in ELDERS]
        found = [
            Rating(WANG, "RESIDENT", rater, 4 + bool(place)) for place, rater in enumerate(elders)
        ]
        for number in (1, 2, 3):
            found.append(Rating(WANG, "PEER", f"members/{volunteer_id(number)}", 5))
        found.append(Rating(WANG, "COMMUNITY", officer_of("shuncheng", 2), 5))
        for number in filter(is_core, range(1, self.volunteers)):
            member_id = volunteer_id(number)
            found.append(Rating(member_id, "RESIDENT", elders[number % len(elders)], 4))
            found.append(Rating(member_id, "PEER", f"members/{WANG}", 5))
            found.append(Rating(member_id, "COMMUNITY", officer_of("shuncheng", 1), 4))
        # Nobody is rated by whom they rated in the same quarter.
        return tuple(item for item in found if not _returns(item))

    @property
    def policy(self) -> str:
        """Gives the document of the policy that is in force from the first day on."""
        weihai, national = (json.loads(load_preset(name)) for name in ("weihai", "national"))
        document = {
            "policy_id": LEDGER,
            "name": "环翠区时间银行积分政策",
            "effective_from": self.first_day.isoformat(),
            "earn": {"reward": "BOTH"},
            "publicity_days": PUBLICITY_DAYS,
            "stars": national["stars"],
            "credit_export": weihai["credit_export"],
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True)


def _start(service: Service) -> tuple[str, str]:
    return service.start.isoformat(), service.record_id


def _returns(rating: Rating) -> bool:
    """Says whether 王阿姨 would rate a volunteer who rates her."""
    rated_by_wang = rating.rater == f"members/{WANG}"
    return rated_by_wang and rating.member_id in {volunteer_id(number) for number in (1, 2, 3)}
