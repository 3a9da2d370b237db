"""TIME given away: to relatives and friends, to the public pool, and by the pool to key elders.

TIME never becomes goods or money; who may give it to whom is the policy's to say.
"""

from __future__ import annotations

from ledger.domain import hours_commands as h
from ledger.domain.account import AccountKind
from ledger.domain.calendar import year_of
from ledger.domain.commands import Post, PostingDraft
from ledger.domain.decisions import Decision
from ledger.domain.entry import EntryKind
from ledger.domain.facts import Member, MemberState
from ledger.domain.hours_view import View
from ledger.domain.member_rules import active, check_state, family_link_missing, invalid
from ledger.domain.movements import Authority
from ledger.domain.policy import TransferTo
from ledger.domain.posting_rules import decide_post
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

GRANTED = "pool-grant"


def decide_transfer(view: View, command: h.TransferTime) -> Decision:
    """Gives TIME of a member away. Raises FAMILY_LINK_MISSING, MOVEMENT_NOT_ALLOWED as the policy
    says, INSUFFICIENT_BALANCE.
    """
    giver = active(view, command.member_id, MemberState.ACTIVE, MemberState.SUSPENDED)
    policy = view.policy_at(view.now_us).policy
    if not command.to:
        if TransferTo.POOL not in policy.transfers:
            raise _not_allowed("donations to the public pool")
        pool = view.system(AccountKind.POOL, Unit.TIME).account_id
        return _move(view, EntryKind.DONATION, giver.time_account, pool, command)
    taker = check_state(view.root(command.to))
    if taker.member_id == view.root(giver.member_id).member_id:
        raise invalid("to", "a member gives nothing to itself")
    if TransferTo.FRIENDS not in policy.transfers:
        if TransferTo.RELATIVES not in policy.transfers:
            raise _not_allowed("transfers between members")
        if view.are_family(giver.member_id, command.to) is None:
            raise family_link_missing(giver.member_id, command.to)
    return _move(view, EntryKind.TRANSFER, giver.time_account, taker.time_account, command)


def _not_allowed(what: str) -> TimebankError:
    return TimebankError(Reason.MOVEMENT_NOT_ALLOWED, f"the policy in force allows no {what}")


def _move(
    view: View,
    kind: EntryKind,
    debit: str,
    credit: str,
    command: h.TransferTime | h.GrantTime,
) -> Decision:
    drafts = (
        PostingDraft(debit, Unit.TIME, -command.minutes),
        PostingDraft(credit, Unit.TIME, command.minutes),
    )
    post = Post(kind, drafts, memo=command.memo)
    return decide_post(view.state, post, view.now_us, frozenset({Authority.POST}))


def decide_grant(view: View, command: h.GrantTime) -> Decision:
    """Gives TIME of the pool to a key elder. Raises MOVEMENT_NOT_ALLOWED for anybody else,
    LIMIT_EXCEEDED beyond the year's issue or into the pool's reserve, INSUFFICIENT_BALANCE.
    """
    elder = active(view, command.member_id)
    policy = view.policy_at(view.now_us).policy
    if not elder.key_elder or not policy.elder_issue_minutes:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"{elder.member_id} is no key elder, or the policy in force gives them nothing",
            member=elder.member_id,
        )
    pool = view.system(AccountKind.POOL, Unit.TIME)
    year = str(year_of(view.now_us, view.zone))
    given = view.tally(view.group(elder.member_id), GRANTED, year)
    reserve = policy.reserve_ratio * pool.posted
    if given + command.minutes > policy.elder_issue_minutes:
        raise _over("the year's issue to an elder", policy.elder_issue_minutes, given)
    if command.minutes <= pool.posted and pool.posted - command.minutes < reserve:
        raise _over("what the pool must keep", int(reserve), pool.posted)
    decision = _move(view, EntryKind.POOL_GRANT, pool.account_id, elder.time_account, command)
    return decision._replace(tallies=(grant_tally(elder, year, command.minutes),))


def grant_tally(elder: Member, year: str, minutes: int) -> tuple[tuple[str, str, str], int]:
    """Gives the sum that a grant counts in."""
    return (elder.member_id, GRANTED, year), minutes


def _over(what: str, limit: int, now: int) -> TimebankError:
    return TimebankError(
        Reason.LIMIT_EXCEEDED,
        f"{what} is {limit} minutes, and it stands at {now}: give less",
        limit_minutes=limit,
        now_minutes=now,
    )
