"""After corrections at random, the stars of 200 members are what a full recomputation gives."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from tests.ledger.hours.test_edge_cases_earning import us_at
from tests.support.commands import new_id
from tests.support.hours import DAY_US, MATCHING, HoursWorld, State, preset
from timebank.ledger.v1 import hours_service_pb2

MEMBERS = tuple(f"m-{number}" for number in range(260))
JUDGED = 200
RECORDS_MAX = 40
CORRECTIONS = 500
BATCH = 300
FIRST_US = us_at(2026, 1, 10)
NATIONAL_HOURS = (100, 300, 600, 1000)
"""The fifth star asks for a quality that nobody has without ratings."""
LONGQUANYI = ((50, 500), (100, 1000), (200, 2100), (400, 4200), (800, 8400))


def national(minutes: int, points: int) -> int:
    """Stars by the national table, of somebody whom nobody has rated."""
    return sum(minutes >= hours * 60 for hours in NATIONAL_HOURS)


def longquanyi(minutes: int, points: int) -> int:
    """Stars by hours and points earned, both."""
    return sum(minutes >= hours * 60 and points >= need for hours, need in LONGQUANYI)


@dataclass
class Village:
    """Who served on which day, by the record that stands; and the most that anybody ever had."""

    city: HoursWorld
    chance: random.Random
    standing: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    minutes: Counter[str] = field(default_factory=Counter)
    peaks: Counter[str] = field(default_factory=Counter)
    """Most minutes that a member had after any entry."""

    def item(self, name: str, day: int, old: str = "") -> hours_service_pb2.SubmitRecordItem:
        """A service of some minutes of a day, instead of an old record where one is named."""
        minutes = self.chance.randrange(10 * 60, 24 * 60 + 1)
        record_id = f"r-{len(self.standing)}-{new_id()}"
        supersedes = self.city.record_name(old) if old else ""
        record = self.city.record(
            name, start_us=FIRST_US + day * DAY_US, minutes=minutes, supersedes=supersedes
        )
        if old:
            self.minutes[name] -= self.standing.pop(old)[2]
        self.standing[record_id] = (name, day, minutes)
        self.minutes[name] += minutes
        self.peaks[name] = max(self.peaks[name], self.minutes[name])
        return hours_service_pb2.SubmitRecordItem(record_id=record_id, record=record)

    async def submit(self, items: Sequence[hours_service_pb2.SubmitRecordItem]) -> None:
        """Submits items, in several calls; none may be refused."""
        for at in range(0, len(items), BATCH):
            answer = await self.city.call(
                "BatchSubmitRecords",
                MATCHING,
                parent=self.city.name,
                items=items[at : at + BATCH],
            )
            refused = [result for result in answer.results if result.HasField("error")]
            assert refused == []

    async def serve(self) -> None:
        """Everybody serves on some days, some of them on many."""
        days = {name: self.chance.randrange(RECORDS_MAX + 1) for name in MEMBERS}
        await self.submit([self.item(name, day) for name in MEMBERS for day in range(days[name])])

    async def correct(self) -> None:
        """Corrects and voids what stands, at random."""
        items = []
        for number in range(CORRECTIONS):
            old = self.chance.choice(list(self.standing))
            name, day, minutes = self.standing[old]
            if number % 20:
                items.append(self.item(name, day, old))
                continue
            await self.submit(items)
            items = []
            del self.standing[old]
            self.minutes[name] -= minutes
            await self.city.call("VoidRecord", name=self.city.record_name(old), memo="误录")
        await self.submit(items)

    async def posted(self) -> dict[str, tuple[int, int]]:
        """Minutes and points of each member, summed from every record that the ledger lists."""
        found = dict.fromkeys(MEMBERS, (0, 0))
        token = ""
        while True:
            page = await self.city.call(
                "ListRecords",
                parent=self.city.name,
                state=State.STATE_POSTED,
                page_size=1_000,
                page_token=token,
            )
            for record in page.records:
                name = record.volunteer.rpartition("/")[2]
                minutes, points = found[name]
                found[name] = (minutes + record.hours_minutes, points + record.points)
            token = page.next_page_token
            if not token:
                return found


@pytest.mark.parametrize(("table", "star_of"), [("national", national), ("longquanyi", longquanyi)])
async def test_the_stars_of_200_members_are_their_full_recomputation_after_corrections(
    bare: HoursWorld, table: str, star_of: Callable[[int, int], int]
) -> None:
    await bare.adopt(preset(table, effective_from="2025-10-01"))
    await asyncio.gather(*(bare.register(name) for name in MEMBERS))
    village = Village(bare, random.Random(table))
    await village.serve()
    await village.correct()
    summed = await village.posted()
    assert {name: minutes for name, (minutes, _) in summed.items()} == {
        name: village.minutes[name] for name in MEMBERS
    }
    stars: Counter[int] = Counter()
    reviews = 0
    for name in village.chance.sample(MEMBERS, JUDGED):
        minutes, points = summed[name]
        earned = star_of(minutes, points)
        # The national table takes nothing away by itself: what was had once is under review.
        held = star_of(village.peaks[name], points) if table == "national" else earned
        found = await bare.star(name)
        assert (found.star, found.under_review) == (held, held > earned), name
        assert (found.hours_minutes, found.points_earned) == (minutes, points)
        stars[held] += 1
        reviews += held > earned
    assert len(stars) >= 4, stars
    assert (reviews > 0) == (table == "national")
