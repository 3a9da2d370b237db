"""Rules of members: registration, changes, merging, death and moving away.

A member that is not ACTIVE refuses what needs one with MEMBER_NOT_ACTIVE. Merges are flat: a member
is a duplicate of a root, never of another duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ledger.domain import hours_commands as h
from ledger.domain.account import AccountKind, AccountState, take_unreserved
from ledger.domain.account_rules import account_fact
from ledger.domain.calendar import year_of
from ledger.domain.decisions import Decision, check_open
from ledger.domain.entry import AccountFact, EntryKind, Posting
from ledger.domain.facts import (
    FactKind,
    FamilyLink,
    Member,
    MemberState,
    NoShow,
    link_id,
)
from ledger.domain.hours_view import View, in_units
from ledger.domain.policy import DeathPoints, DeathTime
from ledger.domain.posting_rules import check_overflow
from ledger.domain.star_changes import star_decisions
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

UNEXCUSED_MAX, MALICIOUS_MAX = 5, 3
"""So many no-shows of a calendar year suspend a registration."""
HEIRS = frozenset({"SPOUSE", "PARENT", "CHILD", "GRANDPARENT", "GRANDCHILD"})
"""Relations whose members may get the TIME of a dead member."""
MEMBER_UNITS = (Unit.HOURS, Unit.TIME, Unit.POINTS)


def decide_register(
    view: View, command: h.RegisterMember, new_id: Callable[[], str]
) -> Iterator[Decision]:
    """Registers a member and opens its accounts. Raises MEMBER_EXISTS, MEMBER_NOT_FOUND (the
    guardian), SCOPE_MISSING, VALIDATION_FAILED.
    """
    member = command.member
    if view.state.register.known(FactKind.MEMBER, member.member_id) is not None:
        raise TimebankError(
            Reason.MEMBER_EXISTS,
            f"member {member.member_id} is registered already: read it, or use another number",
            member=member.member_id,
        )
    _check_unit(view, member)
    check_guardian(view, member)
    accounts = {unit: new_id() for unit in MEMBER_UNITS}
    registered = member._replace(
        hours_account=accounts[Unit.HOURS],
        time_account=accounts[Unit.TIME],
        points_account=accounts[Unit.POINTS],
    )
    yield Decision(EntryKind.MEMBER_REGISTERED, facts=(registered,), natural_key=member.member_id)
    held_back = member.adult_from_us > view.now_us and not _minors_redeem(view)
    for unit, account_id in accounts.items():
        spends_not = held_back and unit is Unit.POINTS
        fact = AccountFact(
            account_id,
            member.member_id,
            unit,
            AccountKind.MEMBER,
            AccountState.FROZEN if spends_not else AccountState.ACTIVE,
            0,
            None,
            0,
        )
        yield Decision(EntryKind.ACCOUNT_OPENED, account=fact)


def _minors_redeem(view: View) -> bool:
    """Says whether the policy in force, if there is one, lets minors spend POINTS."""
    return any(
        version.policy.minors_redeem
        for version in view.timeline()
        if version.from_us <= view.now_us < version.to_us
    )


def _check_unit(view: View, member: Member) -> None:
    units = view.who.units
    if units is not None and not in_units(member.home_unit, units):
        raise TimebankError(
            Reason.SCOPE_MISSING,
            f"unit {member.home_unit or '(none)'} is not one of yours: {', '.join(sorted(units))}",
            unit=member.home_unit,
        )


def check_guardian(view: View, member: Member) -> None:
    """Refuses a minor without a guardian who is a member and has consented."""
    if member.guardian:
        guardian = view.any_member(member.guardian)
        if guardian.member_id == member.member_id or guardian.adult_from_us > view.now_us:
            raise invalid("guardian", f"{guardian.member_id} cannot be the guardian")
    if member.adult_from_us > view.now_us and not (member.guardian and member.guardian_consent):
        raise invalid("guardian_consent", "a minor needs a guardian who has consented")


def invalid(field: str, text: str) -> TimebankError:
    """Refuses a field that the state contradicts."""
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )


def active(view: View, member_id: str, *states: MemberState) -> Member:
    """Gives a member of the caller's in one of some states (ACTIVE). Raises MEMBER_NOT_FOUND,
    MEMBER_NOT_ACTIVE.
    """
    return check_state(view.member(member_id), *states)


def check_state(member: Member, *states: MemberState) -> Member:
    """Refuses a member in another state with MEMBER_NOT_ACTIVE."""
    if member.state not in (states or (MemberState.ACTIVE,)):
        raise TimebankError(
            Reason.MEMBER_NOT_ACTIVE,
            f"member {member.member_id} is {member.state.name}",
            member=member.member_id,
            state=member.state.name,
        )
    return member


def decide_change(view: View, command: h.ChangeMember) -> Iterator[Decision]:
    """Replaces fields of a member; the POINTS of a minor are held back, those of an adult not."""
    member = active(view, command.member_id, MemberState.ACTIVE, MemberState.SUSPENDED)
    changes: dict[str, Any] = dict(command.changes)
    officer = changes.get("officer", member.officer)
    mine = view.who.caller.partition("/")[2] if view.who.units is not None else ""
    if officer != member.officer and mine and mine in (officer, member.officer):
        raise TimebankError(
            Reason.SCOPE_MISSING,
            f"{mine} cannot change whose officer id it is: let another officer do it",
            member=member.member_id,
        )
    changed = member._replace(**changes)
    if changed.home_unit != member.home_unit:
        _check_unit(view, changed)
    check_guardian(view, changed)
    yield Decision(EntryKind.MEMBER_CHANGED, facts=(changed,))
    was, now = member.adult_from_us > view.now_us, changed.adult_from_us > view.now_us
    if now and not was and not _minors_redeem(view):
        yield from frozen(view, member.points_account)
    elif was and not now:
        yield from thawed(view, member.points_account)


def decide_state(view: View, command: h.SetMemberState) -> Iterator[Decision]:
    """Suspends or reinstates; a star that became due meanwhile follows."""
    suspend = command.state is MemberState.SUSPENDED
    expected = MemberState.ACTIVE if suspend else MemberState.SUSPENDED
    member = active(view, command.member_id, expected)
    changed = member._replace(state=command.state)
    yield Decision(EntryKind.MEMBER_CHANGED, facts=(changed,), memo=command.memo)
    if not suspend:
        yield from star_decisions(view, member.member_id)


def decide_come_of_age(view: View, command: h.ComeOfAge) -> Iterator[Decision]:
    """Ends a minority that is over; nothing when it is not, or not any more."""
    member = view.any_member(command.member_id)
    if member.adult_from_us and member.adult_from_us <= view.now_us:
        adult = member._replace(adult_from_us=0, guardian="", guardian_consent=False)
        yield Decision(EntryKind.MEMBER_CHANGED, facts=(adult,))
        yield from thawed(view, member.points_account)


def decide_merge(view: View, command: h.MergeMember) -> Iterator[Decision]:
    """Declares a duplicate; its own duplicates follow it to the new root."""
    member = active(view, command.member_id, MemberState.ACTIVE, MemberState.SUSPENDED)
    root = view.root(view.member(command.into).member_id)
    check_state(root, MemberState.ACTIVE, MemberState.SUSPENDED)
    if root.member_id == member.member_id:
        raise invalid("into", "a member is no duplicate of itself")
    moved = [item._replace(merged_into=root.member_id) for item in view.group(member.member_id)[1:]]
    merged = member._replace(
        state=MemberState.MERGED, merged_into=root.member_id, state_before=member.state
    )
    yield Decision(EntryKind.MEMBERS_MERGED, facts=(merged, *moved), memo=command.memo)
    yield from star_decisions(view, root.member_id)


def decide_unmerge(view: View, command: h.UnmergeMember) -> Iterator[Decision]:
    """Undoes a merge; what was credited meanwhile stays with the root."""
    member = active(view, command.member_id, MemberState.MERGED)
    root_id = member.merged_into
    check_state(view.any_member(root_id), MemberState.ACTIVE, MemberState.SUSPENDED)
    before = MemberState(member.state_before)
    alone = member._replace(state=before, merged_into="", state_before=0)
    yield Decision(EntryKind.MEMBERS_UNMERGED, facts=(alone,), memo=command.memo)
    yield from star_decisions(view, root_id)
    yield from star_decisions(view, member.member_id)


def decide_family(view: View, command: h.LinkFamily) -> Decision:
    """Registers or ends a family link."""
    first, second = view.member(command.member_id), view.any_member(command.relative)
    if first.member_id == second.member_id:
        raise invalid("relative", "a member is no relative of itself")
    link = FamilyLink(link_id(first.member_id, second.member_id), command.relation, command.ended)
    return Decision(EntryKind.FAMILY_LINKED, facts=(link,))


def decide_no_show(view: View, command: h.ReportNoShow) -> Iterator[Decision]:
    """Reports a no-show; too many of a calendar year suspend. Raises NO_SHOW_EXISTS."""
    member = view.member(command.member_id)
    fact_id = no_show_id(command)
    if view.state.register.known(FactKind.NO_SHOW, fact_id) is not None:
        raise TimebankError(
            Reason.NO_SHOW_EXISTS,
            f"{member.member_id} was reported absent from {command.activity} on {command.day}"
            " already",
            member=member.member_id,
        )
    group = view.group(member.member_id)
    name, year = no_show_tally(malicious=command.malicious), command.day[:4]
    count = view.tally(group, name, year) + 1
    facts: tuple[NoShow | Member, ...] = (
        NoShow(fact_id, member.member_id, command.day, command.malicious),
    )
    root = group[0]
    most = MALICIOUS_MAX if command.malicious else UNEXCUSED_MAX
    this_year = year == str(year_of(view.now_us, view.zone))
    if count >= most and this_year and root.state is MemberState.ACTIVE:
        facts = (*facts, root._replace(state=MemberState.SUSPENDED))
    tallies = (((member.member_id, name, year), 1),)
    yield Decision(EntryKind.NO_SHOW_REPORTED, facts=facts, tallies=tallies)


def no_show_id(command: h.ReportNoShow) -> str:
    """Names a no-show."""
    return f"{command.member_id}|{command.activity}|{command.day}"


def no_show_tally(*, malicious: bool) -> str:
    """Names the sum that a no-show counts in."""
    return "no-show-malicious" if malicious else "no-show-unexcused"


def decide_death(view: View, command: h.RecordDeath) -> Iterator[Decision]:
    """Records a death and freezes the accounts. Raises HOLDS_REMAIN, FAMILY_LINK_MISSING,
    MEMBER_NOT_FOUND (the heir).
    """
    member = active(view, command.member_id, MemberState.ACTIVE, MemberState.SUSPENDED)
    policy = view.policy_at(view.now_us).policy
    heir = ""
    if command.heir:
        root = check_state(view.root(command.heir))
        link = view.are_family(member.member_id, command.heir)
        if policy.death_time is DeathTime.POOL:
            raise invalid("heir", "the policy gives the TIME to the public pool")
        if link is None or link.relation not in HEIRS:
            raise family_link_missing(member.member_id, command.heir)
        heir = root.time_account
    group = view.group(member.member_id)
    pool = view.system(AccountKind.POOL, Unit.TIME).account_id
    postings = _leaving(view, [item.time_account for item in group], heir or pool)
    if policy.death_points is DeathPoints.LAPSE:
        sink = view.system(AccountKind.EXPIRED, Unit.POINTS).account_id
        postings += _leaving(view, [item.points_account for item in group], sink)
    dead = member._replace(state=MemberState.DECEASED)
    yield Decision(EntryKind.MEMBER_DIED, postings, facts=(dead,), memo=command.memo)
    for item in group:
        for account_id in (item.hours_account, item.time_account, item.points_account):
            yield from frozen(view, account_id)


def family_link_missing(first: str, second: str) -> TimebankError:
    """Says that two members are not registered as family."""
    return TimebankError(
        Reason.FAMILY_LINK_MISSING,
        f"{first} and {second} are not registered as family that may get TIME: register the link"
        " first",
        member=first,
        relative=second,
    )


def decide_export(view: View, command: h.ExportMember) -> Decision:
    """Lets a member move away: TIME and POINTS leave the ledger, HOURS and star stay as a record.

    Raises HOLDS_REMAIN.
    """
    member = active(view, command.member_id, MemberState.ACTIVE, MemberState.SUSPENDED)
    group = view.group(member.member_id)
    times, points = [item.time_account for item in group], [item.points_account for item in group]
    issuance = AccountKind.ISSUANCE
    postings = [
        *_leaving(view, times, view.system(issuance, Unit.TIME).account_id),
        *_leaving(view, points, view.system(issuance, Unit.POINTS).account_id),
    ]
    gone = member._replace(state=MemberState.EXPORTED)
    return Decision(
        EntryKind.MEMBER_EXPORTED,
        postings,
        facts=(gone,),
        natural_key=member.member_id,
        cause=command.destination,
    )


def _leaving(view: View, account_ids: list[str], to_account_id: str) -> list[Posting]:
    """Moves all that a member and its duplicates have of a unit to one account."""
    taker = view.account(to_account_id)
    postings = []
    for account_id in account_ids:
        account = view.account(account_id)
        if account.held:
            raise TimebankError(
                Reason.HOLDS_REMAIN,
                f"account {account_id} has {account.held} {account.unit.base} reserved: let the"
                " holds end first",
                account=account_id,
                held=account.held,
            )
        if account.posted > 0:
            check_open(account)
            lots = take_unreserved(account.lots, account.posted) if account.has_lots else ()
            postings.append(Posting(account_id, account.unit, -account.posted, lots))
    total = -sum(posting.amount for posting in postings)
    if total:
        check_open(taker)
        check_overflow(taker, taker.posted + total)
        postings.append(Posting(to_account_id, taker.unit, total))
    return postings


def frozen(view: View, account_id: str) -> Iterator[Decision]:
    """Freezes an account that is not."""
    account = view.account(account_id)
    if account.state is AccountState.ACTIVE:
        fact = account_fact(account, AccountState.FROZEN)
        yield Decision(EntryKind.ACCOUNT_FROZEN, account=fact)


def thawed(view: View, account_id: str) -> Iterator[Decision]:
    """Unfreezes an account that is frozen."""
    account = view.account(account_id)
    if account.state is AccountState.FROZEN:
        fact = account_fact(account, AccountState.ACTIVE)
        yield Decision(EntryKind.ACCOUNT_UNFROZEN, account=fact)
