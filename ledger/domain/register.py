"""What a batch knows of members, records and policies: the facts and sums that were looked up.

Owns the difference between "is not there" and "was not looked up": asking for what was not looked
up is a fault of the program, never an empty answer, so that no rule can depend on what happened to
be in memory. It lives for one batch, under the lock of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ledger.domain.facts import Fact, FactKey, FactKind, Record, TallyKey, key_of

if TYPE_CHECKING:
    from ledger.domain.entry import Entry

DAY_US = 86_400_000_000
RECORD_DAYS_MAX = 2
"""No record is longer than this."""
DayKey = tuple[str, int]
"""A volunteer and a number of a UTC day since 1970."""
ListKey = tuple[int, str]
"""A kind of fact and what such facts are listed under."""


class NotLoaded(Exception):
    """Something was asked for that was not looked up."""


class Known(NamedTuple):
    """The latest fact of a subject and the entry that states it."""

    fact: Fact
    entry: Entry


@dataclass(slots=True)
class Wants:
    """What has to be looked up."""

    facts: dict[FactKey, None] = field(default_factory=dict)
    lists: dict[ListKey, None] = field(default_factory=dict)
    days: dict[DayKey, None] = field(default_factory=dict)
    tallies: dict[TallyKey, None] = field(default_factory=dict)
    earned: dict[str, None] = field(default_factory=dict)
    accounts: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(
            self.facts or self.lists or self.days or self.tallies or self.earned or self.accounts
        )


def days_of(started_us: int, ended_us: int) -> range:
    """Numbers the UTC days that an interval touches."""
    return range(started_us // DAY_US, max(started_us, ended_us - 1) // DAY_US + 1)


@dataclass(slots=True)
class Register:
    """Facts, lists and sums that were looked up, kept up to date while the batch is carried out."""

    facts: dict[FactKey, Known | None] = field(default_factory=dict)
    lists: dict[ListKey, dict[str, None]] = field(default_factory=dict)
    days: dict[DayKey, dict[str, None]] = field(default_factory=dict)
    tallies: dict[TallyKey, int] = field(default_factory=dict)
    earned: dict[str, dict[int, int]] = field(default_factory=dict)

    def known(self, kind: FactKind, fact_id: str) -> Known | None:
        """Gives the latest fact of a subject, None when there is none. Raises NotLoaded."""
        try:
            return self.facts[kind, fact_id]
        except KeyError:
            raise NotLoaded(f"{kind.name} {fact_id}") from None

    def listed(self, kind: FactKind, parent: str) -> list[str]:
        """Lists the ids of facts under a parent. Raises NotLoaded."""
        try:
            return list(self.lists[kind, parent])
        except KeyError:
            raise NotLoaded(f"{kind.name} under {parent}") from None

    def on_day(self, volunteer: str, day: int) -> list[str]:
        """Lists the ids of the records of a volunteer that touch a UTC day. Raises NotLoaded."""
        try:
            return list(self.days[volunteer, day])
        except KeyError:
            raise NotLoaded(f"records of {volunteer} on day {day}") from None

    def tally(self, key: TallyKey) -> int:
        """Gives a running sum. Raises NotLoaded."""
        try:
            return self.tallies[key]
        except KeyError:
            raise NotLoaded(f"tally {key}") from None

    def earned_by(self, account_id: str) -> dict[int, int]:
        """Gives what an account earned by calendar year. Raises NotLoaded."""
        try:
            return self.earned[account_id]
        except KeyError:
            raise NotLoaded(f"earnings of {account_id}") from None

    def put(self, fact: Fact, entry: Entry) -> None:
        """Takes the latest fact of a subject in."""
        key = key_of(fact)
        before = self.facts.get(key)
        self.facts[key] = Known(fact, entry)
        parent = _parent(fact)
        if before is not None and _parent(before.fact) != parent:
            self.lists.get((key[0], _parent(before.fact)), {}).pop(key[1], None)
        if (key[0], parent) in self.lists:
            self.lists[key[0], parent][key[1]] = None
        if isinstance(fact, Record):
            for day in days_of(fact.started_us, fact.ended_us):
                if (fact.volunteer, day) in self.days:
                    self.days[fact.volunteer, day][key[1]] = None

    def add(self, key: TallyKey, amount: int) -> None:
        """Adds to a running sum that was looked up."""
        if key in self.tallies:
            self.tallies[key] += amount

    def earn(self, account_id: str, year: int, amount: int) -> None:
        """Adds to what an account earned, when that was looked up."""
        if account_id in self.earned:
            years = self.earned[account_id]
            years[year] = years.get(year, 0) + amount

    def take_facts(self, wanted: Iterable[FactKey], found: Iterable[Known]) -> None:
        """Takes facts that were looked up; what this batch wrote stays as it is."""
        for known in found:
            self.facts.setdefault(key_of(known.fact), known)
        for key in wanted:
            self.facts.setdefault(key, None)

    def take_list(self, key: ListKey, ids: Iterable[str]) -> None:
        """Takes a list that was looked up, with what this batch wrote meanwhile."""
        members = dict.fromkeys(ids)
        for (kind, fact_id), known in self.facts.items():
            if known is not None and kind == key[0]:
                if _parent(known.fact) == key[1]:
                    members[fact_id] = None
                else:
                    members.pop(fact_id, None)
        self.lists[key] = members

    def take_day(self, key: DayKey, ids: Iterable[str]) -> None:
        """Takes the records of a day that were looked up, with those of this batch."""
        members = dict.fromkeys(ids)
        for known in self.facts.values():
            if known is not None and isinstance(known.fact, Record):
                record = known.fact
                same = record.volunteer == key[0]
                if same and key[1] in days_of(record.started_us, record.ended_us):
                    members[record.record_id] = None
        self.days[key] = members


def _parent(fact: Fact) -> str:
    from_row = getattr(fact, "merged_into", None)
    if from_row is not None:
        return str(from_row)
    volunteer = getattr(fact, "volunteer", None)
    if volunteer is not None:
        return str(volunteer)
    return str(getattr(fact, "member_id", "")) if type(fact).__name__ == "CertificateRow" else ""
