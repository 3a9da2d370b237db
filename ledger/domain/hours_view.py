"""How rules read the register: members with their duplicates, policies in force, sums, accounts.

A view that is not `complete` after wanting must want again, for more may hang on what is found; one
that is only not `ready` need not.

Owns the words in which the rules ask, and who is asking. Asking for what was not looked up raises
NotLoaded; `touch_...` says that it will be asked for.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ledger.domain.account import NEVER_US, Account, AccountKind
from ledger.domain.decisions import find_account
from ledger.domain.facts import (
    POLICIES,
    FactKind,
    FamilyLink,
    Member,
    PolicyRow,
    Record,
    Star,
    TallyKey,
    link_id,
)
from ledger.domain.fold import Projections
from ledger.domain.policy import Policy, PolicyTimeline, PolicyVersion
from ledger.domain.policy_text import parse_policy
from ledger.domain.register import RATING_COUNT, RATING_ROLES, Known, SpanKey, Wants
from ledger.domain.star_tables import NATIONAL, StarTable, parse_star_table
from ledger.domain.working_days import Holidays
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

MEMBERS = "members/"


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks: the caller, and what limits it. `units` None: every unit; `member`: only itself."""

    caller: str = ""
    units: frozenset[str] | None = None
    member: str | None = None


@dataclass(slots=True)
class View:
    """The state as the rules of members and records read it."""

    state: Projections
    now_us: int
    holidays: Holidays
    who: Who = field(default_factory=Who)
    reads_only: bool = False
    wants: Wants = field(default_factory=Wants)
    ready: bool = True
    complete: bool = True
    _groups: dict[str, list[Member]] = field(default_factory=dict)
    _groups_of: int = 0
    splits: dict[tuple[object, ...], object] = field(default_factory=dict)
    """What rules keep of records for the batch, by what they depend on."""
    _timeline: tuple[int, PolicyTimeline] | None = None

    @property
    def zone(self) -> str:
        """Gives the ledger's time zone."""
        return self.state.ledger.time_zone

    # What will be asked for.

    def touch_new(self, record_id: str) -> None:
        """Wants to know whether a record is there already; nothing depends on what it says."""
        if (FactKind.RECORD, record_id) not in self.state.register.facts:
            self.wants.facts[FactKind.RECORD, record_id] = None
            self.ready = False

    def touch(self, kind: FactKind, fact_id: str) -> Known | None:
        """Wants a fact; gives it when it is there."""
        key = (kind, fact_id)
        facts = self.state.register.facts
        if key in facts:
            return facts[key]
        self.wants.facts[key] = None
        self.complete = False
        return None

    def touch_list(self, kind: FactKind, parent: str) -> list[str]:
        """Wants a list; gives what is known of it."""
        found = self.state.register.lists.get((kind, parent))
        if found is None:
            self.wants.lists[kind, parent] = None
            self.complete = False
            return []
        return list(found)

    def touch_span(self, key: SpanKey) -> None:
        """Wants the records of a volunteer in an interval."""
        if key not in self.state.register.spans:
            self.wants.spans[key] = None
            self.ready = False

    def touch_ratings(self, member_id: str) -> None:
        """Wants the sums of a member's ratings."""
        if (member_id, RATING_COUNT, RATING_ROLES[0]) not in self.state.register.tallies:
            self.wants.ratings[member_id] = None
            self.ready = False

    def touch_tally(self, key: TallyKey) -> None:
        """Wants a running sum."""
        if key not in self.state.register.tallies:
            self.wants.tallies[key] = None
            self.ready = False

    def touch_earned(self, account_id: str) -> None:
        """Wants what an account earned."""
        if account_id not in self.state.register.earned:
            self.wants.earned[account_id] = None
            self.ready = False

    def touch_account(self, account_id: str) -> None:
        """Wants an account."""
        if account_id not in self.state.accounts:
            self.wants.accounts[account_id] = None
            self.ready = False

    def touch_group(self, member_id: str) -> list[Member]:
        """Wants a member, the one it is a duplicate of, all duplicates, and their accounts; gives
        the group once it is known, the root first.
        """
        facts, lists = self.state.register.facts, self.state.register.lists
        known = self.touch(FactKind.MEMBER, member_id)
        # Most members are nobody's duplicate: what hangs on the root is asked for at once.
        self.touch_list(FactKind.MEMBER, member_id)
        if known is None:
            return []
        member = known.fact
        assert isinstance(member, Member)
        root_id = member.merged_into or member_id
        if root_id != member_id:
            known = self.touch(FactKind.MEMBER, root_id)
            self.touch_list(FactKind.MEMBER, root_id)
        ids = lists.get((FactKind.MEMBER, root_id))
        if known is None or ids is None:
            return []
        group = [known, *(facts[FactKind.MEMBER, name] for name in ids)]
        members = [item.fact for item in group if item is not None]
        found = [item for item in members if isinstance(item, Member)]
        for item in found:
            self.touch_account(item.hours_account)
            if not self.reads_only:
                self.touch_account(item.time_account)
                self.touch_account(item.points_account)
        return found

    def touch_person(self, person: str) -> None:
        """Wants the member that a person is, when it is one."""
        if person.startswith(MEMBERS):
            self.touch_group(person.removeprefix(MEMBERS))

    def touch_policies(self) -> PolicyTimeline:
        """Wants all policies; gives the timeline once it is known."""
        if (FactKind.POLICY, POLICIES) not in self.state.register.lists:
            self.touch_list(FactKind.POLICY, POLICIES)
            return ()
        return self.timeline()

    def touch_system(self) -> None:
        """Wants the ledger's own accounts of HOURS, TIME and POINTS."""
        for account_id in self.state.system_accounts.values():
            self.touch_account(account_id)

    # What is asked for.

    def member(self, member_id: str) -> Member:
        """Gives a member. Raises MEMBER_NOT_FOUND, also for one that is not the caller's."""
        known = self.state.register.known(FactKind.MEMBER, member_id)
        member = known.fact if known is not None else None
        if not isinstance(member, Member) or not self.may_touch(member):
            raise member_not_found(member_id)
        return member

    def may_touch(self, member: Member) -> bool:
        """Says whether the caller's units, or the caller itself, include a member."""
        who = self.who
        if who.member is not None:
            return who.member == member.member_id
        return who.units is None or in_units(member.home_unit, who.units)

    def any_member(self, member_id: str) -> Member:
        """Gives a member whoever asks. Raises MEMBER_NOT_FOUND."""
        known = self.state.register.known(FactKind.MEMBER, member_id)
        if known is None or not isinstance(known.fact, Member):
            raise member_not_found(member_id)
        return known.fact

    def root(self, member_id: str) -> Member:
        """Gives the member that a duplicate stands for, or the member itself."""
        member = self.any_member(member_id)
        return self.any_member(member.merged_into) if member.merged_into else member

    def group(self, member_id: str) -> list[Member]:
        """Gives a member's root and all its duplicates."""
        register = self.state.register
        if self._groups_of != register.members_changed:
            self._groups, self._groups_of = {}, register.members_changed
        group = self._groups.get(member_id)
        if group is None:
            root = self.root(member_id)
            ids = register.listed(FactKind.MEMBER, root.member_id)
            group = self._groups[member_id] = [root, *(self.any_member(name) for name in ids)]
        return group

    def record(self, record_id: str) -> Record:
        """Gives a record. Raises RECORD_NOT_FOUND."""
        known = self.state.register.known(FactKind.RECORD, record_id)
        if known is None or not isinstance(known.fact, Record):
            raise TimebankError(
                Reason.RECORD_NOT_FOUND, f"no service record {record_id}", record=record_id
            )
        return known.fact

    def star(self, member_id: str) -> Star:
        """Gives the star of a member, none when there is no fact of it."""
        known = self.state.register.known(FactKind.STAR, member_id)
        found = known.fact if known is not None else None
        return found if isinstance(found, Star) else Star(member_id)

    def are_family(self, first: str, second: str) -> FamilyLink | None:
        """Gives the registered family link of two members that has not ended."""
        known = self.state.register.known(FactKind.FAMILY_LINK, link_id(first, second))
        link = known.fact if known is not None else None
        return link if isinstance(link, FamilyLink) and not link.ended else None

    def timeline(self) -> PolicyTimeline:
        """Gives the versions of the policy by the time from which they are in force."""
        register = self.state.register
        if self._timeline is None or self._timeline[0] != register.policies_changed:
            rows = []
            for version in register.listed(FactKind.POLICY, POLICIES):
                known = register.known(FactKind.POLICY, version)
                if known is not None and isinstance(known.fact, PolicyRow):
                    rows.append((known.log_index, known.fact))
            timeline = timeline_of(tuple(row for _, row in sorted(rows)))
            self._timeline = (register.policies_changed, timeline)
        return self._timeline[1]

    def policy_at(self, time_us: int) -> PolicyVersion:
        """Gives the version in force at a time. Raises POLICY_NOT_FOUND."""
        found = None
        for version in self.timeline():
            if version.from_us <= time_us < version.to_us:
                found = version
        if found is None:
            raise TimebankError(
                Reason.POLICY_NOT_FOUND,
                "no policy was in force at that time: adopt one with `timebank policy adopt`",
                time_us=time_us,
            )
        return found

    def tally(self, members: Iterable[Member], name: str, period: str) -> int:
        """Sums a tally over duplicates."""
        tally = self.state.register.tally
        total = 0
        for item in members:
            total += tally((item.member_id, name, period))
        return total

    def account(self, account_id: str) -> Account:
        """Gives an account."""
        return find_account(self.state, account_id)

    def system(self, kind: AccountKind, unit: Unit) -> Account:
        """Gives an account of the ledger itself."""
        return self.account(self.state.system_accounts[kind, unit])

    def persons(self, person: str) -> frozenset[str]:
        """Gives every name that the person behind an id goes by: duplicates and officer ids."""
        if not person.startswith(MEMBERS):
            return frozenset((person,))
        member_id = person.removeprefix(MEMBERS)
        names = set()
        for member in self.group(member_id):
            names.add(MEMBERS + member.member_id)
            if member.officer:
                names.add(member.officer)
        return frozenset(names)


def in_units(home_unit: str, units: Iterable[str]) -> bool:
    """Says whether a unit is one of some units or lies below one."""
    return any(home_unit == unit or home_unit.startswith(f"{unit}/") for unit in units)


def member_not_found(member_id: str) -> TimebankError:
    """Says that a member does not exist, or is none of the caller's business."""
    return TimebankError(
        Reason.MEMBER_NOT_FOUND, f"no member {member_id}: register it first", member=member_id
    )


@functools.lru_cache(maxsize=256)
def timeline_of(rows: tuple[PolicyRow, ...]) -> PolicyTimeline:
    """Puts versions, in the order of adoption, in the order of the time they are in force from."""
    versions = [
        PolicyVersion(row.version, policy_of(row.text), row.from_us, row.to_us or NEVER_US)
        for row in rows
    ]
    return tuple(sorted(versions, key=_from_us))


def _from_us(version: PolicyVersion) -> int:
    return version.from_us


@functools.lru_cache(maxsize=256)
def policy_of(text: str) -> Policy:
    """Reads a policy once."""
    return parse_policy(text)


@functools.lru_cache(maxsize=256)
def star_table_of(stars_json: str) -> StarTable:
    """Reads a star table once; without one the national table counts."""
    data = json.loads(stars_json)
    return parse_star_table(data) if data else NATIONAL


def members_only(persons: Iterable[str]) -> Iterator[str]:
    """Gives the member ids among ids of persons."""
    return (name.removeprefix(MEMBERS) for name in persons if name.startswith(MEMBERS))
