"""What a batch knows of members, records and policies: the facts and sums that were looked up.

Owns the difference between "is not there" and "was not looked up": asking for what was not looked
up is a fault of the program, never an empty answer, so that no rule can depend on what happened to
be in memory. What stays between batches is valid while the head is the one that this process wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.domain.facts import (
    POLICIES,
    CertificateRow,
    Fact,
    FactKey,
    FactKind,
    Member,
    PolicyRow,
    Record,
    TallyKey,
    key_of,
)

DAY_US = 86_400_000_000
RECORD_DAYS_MAX = 2
"""No record is longer than this."""
SpanKey = tuple[str, int, int]
"""A volunteer and a half-open interval of time."""
ListKey = tuple[int, str]
"""A kind of fact and what such facts are listed under."""
KEPT_MAX = 400_000
"""Facts and sums that a writer keeps between batches."""
_KEPT = frozenset({FactKind.MEMBER, FactKind.STAR, FactKind.POLICY})
RATING_COUNT, RATING_SUM, RATERS = "rating-count", "rating-sum", "raters"
RATING_ROLES = ("RESIDENT", "PEER", "COMMUNITY")


class NotLoaded(Exception):
    """Something was asked for that was not looked up."""


class Known(NamedTuple):
    """The latest fact of a subject, the index of the entry that states it, and its tallies."""

    fact: Fact
    log_index: int
    tallies: tuple[tuple[TallyKey, int], ...] = ()


@dataclass(slots=True)
class Wants:
    """What has to be looked up."""

    facts: dict[FactKey, None] = field(default_factory=dict)
    lists: dict[ListKey, None] = field(default_factory=dict)
    spans: dict[SpanKey, None] = field(default_factory=dict)
    tallies: dict[TallyKey, None] = field(default_factory=dict)
    ratings: dict[str, None] = field(default_factory=dict)
    earned: dict[str, None] = field(default_factory=dict)
    accounts: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((*self._all(),))

    def _all(self) -> tuple[object, ...]:
        return (
            *(self.facts, self.lists, self.spans, self.tallies),
            *(self.ratings, self.earned, self.accounts),
        )


def days_of(started_us: int, ended_us: int) -> range:
    """Numbers the UTC days that an interval touches."""
    return range(started_us // DAY_US, max(started_us, ended_us - 1) // DAY_US + 1)


@dataclass(slots=True)
class Register:
    """Facts, lists and sums that were looked up, kept up to date while the batch is carried out."""

    facts: dict[FactKey, Known | None] = field(default_factory=dict)
    lists: dict[ListKey, dict[str, None]] = field(default_factory=dict)
    spans: dict[SpanKey, list[str]] = field(default_factory=dict)
    written_days: dict[tuple[str, int], dict[str, None]] = field(default_factory=dict)
    written: dict[FactKey, None] = field(default_factory=dict)
    passing: dict[FactKey, None] = field(default_factory=dict)
    """Facts that do not outlive the batch; so that ending it costs what the batch did."""
    passing_lists: dict[ListKey, None] = field(default_factory=dict)
    tallies: dict[TallyKey, int] = field(default_factory=dict)
    earned: dict[str, dict[int, int]] = field(default_factory=dict)
    policies_changed: int = 0
    members_changed: int = 0

    def settle(self) -> None:
        """Ends a batch: members, their stars and sums, and policies may stay while nobody else
        writes; records are seldom asked for twice.
        """
        self.written = {}
        self.written_days = {}
        self.spans = {}
        if len(self.facts) + len(self.tallies) > KEPT_MAX:
            self.facts, self.lists, self.tallies, self.earned = {}, {}, {}, {}
        for key in self.passing:
            self.facts.pop(key, None)
        for listed in self.passing_lists:
            self.lists.pop(listed, None)
        self.passing, self.passing_lists = {}, {}

    def known(self, kind: FactKind, fact_id: str) -> Known | None:
        """Gives the latest fact of a subject, None when there is none. Raises NotLoaded."""
        try:
            return self.facts[kind, fact_id]
        except KeyError:
            raise NotLoaded(f"{kind.name} {fact_id}") from None

    def listed(self, kind: FactKind, parent: str) -> list[str]:
        """Lists the ids of facts under a parent. Raises NotLoaded."""
        try:
            return sorted(self.lists[kind, parent])
        except KeyError:
            raise NotLoaded(f"{kind.name} under {parent}") from None

    def in_span(self, key: SpanKey) -> list[str]:
        """Lists the ids of the records of a volunteer that may lie in an interval.

        Raises NotLoaded.
        """
        found = self.spans.get(key)
        if found is None:
            raise NotLoaded(f"records of {key}")
        if not self.written_days:
            return found
        volunteer, start_us, end_us = key
        ids = dict.fromkeys(found)
        for day in days_of(start_us, end_us):
            ids.update(self.written_days.get((volunteer, day), {}))
        return list(ids)

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

    def put(self, fact: Fact, log_index: int, tallies: tuple[tuple[TallyKey, int], ...]) -> None:
        """Takes a fact in that this batch writes."""
        key = key_of(fact)
        before = self.facts.get(key)
        self.facts[key] = Known(fact, log_index, tallies)
        self.written[key] = None
        self._pass(key)
        if type(fact) is Record:
            for day in days_of(fact.started_us, fact.ended_us):
                self.written_days.setdefault((fact.volunteer, day), {})[key[1]] = None
            return
        if type(fact) is PolicyRow:
            self.policies_changed += 1
        elif type(fact) is Member:
            self.members_changed += 1
        parent = _parent(fact)
        if before is not None and _parent(before.fact) != parent:
            self.lists.get((key[0], _parent(before.fact)), {}).pop(key[1], None)
        if (key[0], parent) in self.lists:
            self.lists[key[0], parent][key[1]] = None

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
            key = key_of(known.fact)
            self.facts.setdefault(key, known)
            self._pass(key)
        for key in wanted:
            self.facts.setdefault(key, None)
            self._pass(key)

    def _pass(self, key: FactKey) -> None:
        if key[0] not in _KEPT:
            self.passing[key] = None

    def take_lists(self, wanted: Iterable[ListKey], found: Mapping[ListKey, Iterable[str]]) -> None:
        """Takes lists that were looked up, with what this batch wrote meanwhile."""
        for key in wanted:
            self.lists[key] = dict.fromkeys(found.get(key, ()))
            if key[0] not in _KEPT:
                self.passing_lists[key] = None
        for kind, fact_id in self.written:
            known = self.facts[kind, fact_id]
            if known is None or type(known.fact) is Record:
                continue
            parent = _parent(known.fact)
            for key in wanted:
                if key[0] == kind:
                    self.lists[key].pop(fact_id, None)
                    if key[1] == parent:
                        self.lists[key][fact_id] = None


def _parent(fact: Fact) -> str:
    """Gives what a fact is listed under, as `row_of` says."""
    if type(fact) is Member:
        return fact.merged_into
    if type(fact) is PolicyRow:
        return POLICIES
    return fact.member_id if type(fact) is CertificateRow else ""
