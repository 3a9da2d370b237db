"""What a posted record credits, and what its correction takes back: the postings of RECORD_POSTED
and RECORD_CORRECTED.

A record is credited to the member that a duplicate stands for then. A correction takes back where
it was credited, whoever is merged meanwhile, and posts
the difference of the new to the old; what was spent meanwhile becomes debt, since a wrong credit
must not stay because it was spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.domain.account import (
    NEVER_US,
    Account,
    AccountKind,
    AccountState,
    Lot,
    LotChange,
    take_unreserved,
)
from ledger.domain.calendar import day_end_us
from ledger.domain.decisions import check_open, insufficient
from ledger.domain.earning import Earned, Piece, Service, earn_pieces, keys_of
from ledger.domain.entry import Posting
from ledger.domain.facts import Member, Record, RecordPart, TallyKey
from ledger.domain.hours_view import View
from ledger.domain.policy import TimePayer
from ledger.domain.posting_rules import check_overflow
from ledger.domain.service_split import split_service
from timebank.units import Unit

Tallies = tuple[tuple[TallyKey, int], ...]


class Credit(NamedTuple):
    """What a record earns, with the sums it changes, who gets it, and which account pays TIME."""

    parts: tuple[RecordPart, ...]
    payer: TimePayer
    tallies: Tallies
    credited_to: str = ""
    payer_account: str = ""


NOTHING = Credit((), TimePayer.ISSUANCE, ())


def service_of(record: Record) -> Service:
    """Gives a record as the policy sees it."""
    return Service(
        record.started_us,
        record.ended_us,
        record.minutes,
        record.evidence.name,
        record.need_type,
        record.skill,
        record.urgent,
        record.quality_tenths or None,
        record.quality_failed,
        record.group,
        record.relative,
        record.reward,
        "TEAM_LEAD" in record.bonuses,
        "REFERRAL" in record.bonuses,
    )


class Split(NamedTuple):
    """A record as the policy sees it, its pieces, and the sums they look at by name and period."""

    service: Service
    pieces: tuple[Piece, ...]
    names: tuple[tuple[str, str], ...]


def split_of(view: View, record: Record) -> Split:
    """Splits a record, once a batch. Raises VALIDATION_FAILED for what the policy cannot take."""
    service = service_of(record)
    key = (service, view.state.register.policies_changed)
    split = view.splits.get(key)
    if split is None:
        pieces = split_service(view.timeline(), service, view.zone)
        split = view.splits[key] = Split(service, pieces, keys_of(pieces, service))
    assert isinstance(split, Split), "only splits are kept there"
    return split


def credit_of(view: View, record: Record, *, without: Tallies = ()) -> Credit:
    """Reckons what a record earns now; `without` are sums to leave out: those of what it replaces.

    Raises VALIDATION_FAILED and POLICY_NOT_FOUND as the policy says.
    """
    if not record.minutes:
        return NOTHING
    policy = view.policy_at(record.started_us).policy
    group = view.group(record.volunteer)
    root = group[0]
    service, pieces, names = split_of(view, record)
    sums = {key: view.tally(group, *key) for key in names}
    for (_, name, period), amount in without:
        if (name, period) in sums:
            sums[name, period] -= amount
    stored = sum(view.account(member.time_account).posted for member in group)
    earned = earn_pieces(pieces, service, zone=view.zone, tallies=sums, stored_time=stored)
    payer = policy.time_payer
    if payer is TimePayer.BENEFICIARY and not record.beneficiary:
        payer = TimePayer.POOL
    account_id = _payer_account(view, record, payer)
    return Credit(_parts(earned), payer, _tallies(root, earned), root.member_id, account_id)


def _parts(earned: Earned) -> tuple[RecordPart, ...]:
    return tuple(
        RecordPart(*part[:8], 0 if part.points_expire_us == NEVER_US else part.points_expire_us)
        for part in earned.parts
    )


def _tallies(root: Member, earned: Earned) -> Tallies:
    tallies = [((root.member_id, *key), amount) for key, amount in earned.tallies]
    years: dict[str, int] = {}
    for part in earned.parts:
        years[part.day[:4]] = years.get(part.day[:4], 0) + part.minutes
    tallies += [((root.member_id, "hours-year", year), m) for year, m in years.items() if m]
    return tuple(tallies)


def negated(tallies: Tallies) -> Tallies:
    """Gives the sums that take others back."""
    return tuple((key, -amount) for key, amount in tallies)


def postings_of(
    view: View, record: Record, credit: Credit, old: Record | None = None
) -> list[Posting]:
    """Gives the postings of a credit, or of its difference to what the record credited before.

    Raises INSUFFICIENT_BALANCE when the beneficiary or the pool cannot pay, ACCOUNT_CLOSED,
    AMOUNT_OVERFLOW.
    """
    changes: dict[str, int] = {}
    _add(view, changes, credit, 1)
    if old is not None and old.parts:
        payer = TimePayer(old.time_payer)
        before = Credit(old.parts, payer, (), old.credited_to, old.payer_account)
        _add(view, changes, before, -1)
    postings = []
    for account_id, amount in changes.items():
        if not amount:
            continue
        account = view.account(account_id)
        if account.state is AccountState.CLOSED:
            check_open(account)
        check_overflow(account, account.posted + amount)
        lots: Sequence[LotChange] = ()
        if account.has_lots:
            lots = _lots(view, account, amount, credit.parts, old)
        elif amount < 0 and account.kind is not AccountKind.ISSUANCE:
            _check_payer(view, account, -amount, forced=old is not None)
        earned = account.has_lots
        postings.append(Posting(account_id, account.unit, amount, tuple(lots), earned))
    return postings


def _check_payer(view: View, account: Account, amount: int, *, forced: bool) -> None:
    """A correction takes back whatever is there; who pays for a service must have it."""
    minimum = account.min_balance
    free = account.posted - account.held
    if not forced and minimum is not None and free - amount < minimum:
        raise insufficient(account, amount)


def _add(view: View, changes: dict[str, int], credit: Credit, sign: int) -> None:
    hours = time = pool_time = points = 0
    for part in credit.parts:
        hours += sign * part.minutes
        time += sign * part.time
        pool_time += sign * part.pool_time
        points += sign * part.points
    if not credit.parts:
        return
    member = view.any_member(credit.credited_to)
    system = view.state.system_accounts
    moves = [
        (system[AccountKind.ISSUANCE, Unit.HOURS], -hours),
        (member.hours_account, hours),
        (credit.payer_account, -time - pool_time),
        (member.time_account, time),
        (system[AccountKind.POOL, Unit.TIME], pool_time),
        (system[AccountKind.ISSUANCE, Unit.POINTS], -points),
        (member.points_account, points),
    ]
    for account_id, amount in moves:
        if amount:
            changes[account_id] = changes.get(account_id, 0) + amount


def _payer_account(view: View, record: Record, payer: TimePayer) -> str:
    if payer is TimePayer.BENEFICIARY and record.beneficiary:
        return view.root(record.beneficiary).time_account
    if payer is TimePayer.POOL:
        return view.system(AccountKind.POOL, Unit.TIME).account_id
    return view.system(AccountKind.ISSUANCE, Unit.TIME).account_id


def _lots(
    view: View, account: Account, amount: int, parts: Sequence[RecordPart], old: Record | None
) -> list[LotChange]:
    """Gives the lots that POINTS make or, taken back, leave; debt is repaid first."""
    if amount > 0:
        left = amount - min(account.debt, amount)
        made: dict[int, int] = {}
        for part in sorted(parts, key=_expiry, reverse=True):
            taken = min(part.points, left)
            if taken:
                expires_us = part.points_expire_us or NEVER_US
                if expires_us != NEVER_US:
                    expires_us = day_end_us(expires_us, view.zone)
                made[expires_us] = made.get(expires_us, 0) + taken
                left -= taken
        return [LotChange(expires_us, taken) for expires_us, taken in sorted(made.items())]
    own = {
        day_end_us(part.points_expire_us, view.zone) if part.points_expire_us else NEVER_US
        for part in (old.parts if old is not None else ())
    }
    order = sorted(account.lots, key=lambda lot: (lot.expires_us not in own, lot.expires_us))
    return take_unreserved(_unreserved(order), -amount)


def _unreserved(lots: Sequence[Lot]) -> list[Lot]:
    return [lot for lot in lots if lot.remaining > lot.reserved]


def _expiry(part: RecordPart) -> int:
    return part.points_expire_us or NEVER_US
