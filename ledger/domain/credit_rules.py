"""What a posted record credits, and what its correction takes back: the postings of RECORD_POSTED
and RECORD_CORRECTED.

A record is credited to the account of the member that a duplicate stands for. A correction posts
the difference of the new to the old; what was spent meanwhile becomes debt, since a wrong credit
must not stay because it was spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.domain.account import NEVER_US, Account, AccountKind, Lot, LotChange, take_unreserved
from ledger.domain.calendar import day_end_us
from ledger.domain.decisions import check_open, insufficient
from ledger.domain.earning import Earned, Service, earn, tally_keys
from ledger.domain.entry import Posting
from ledger.domain.facts import Member, Record, RecordPart, TallyKey
from ledger.domain.hours_view import View
from ledger.domain.policy import PolicyTimeline, TimePayer
from ledger.domain.posting_rules import check_overflow
from timebank.units import Unit

Tallies = tuple[tuple[TallyKey, int], ...]


class Credit(NamedTuple):
    """What a record earns, with the sums it changes."""

    parts: tuple[RecordPart, ...]
    payer: TimePayer
    tallies: Tallies


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


def names_of(timeline: PolicyTimeline, service: Service, zone: str) -> list[tuple[str, str]]:
    """Names the sums that a service's credit looks at or changes, by name and period."""
    names = tally_keys(timeline, service, zone)
    return [*names, *(("hours-year", period) for name, period in names if name == "year")]


def credit_of(view: View, record: Record, *, without: Tallies = ()) -> Credit:
    """Reckons what a record earns now; `without` are sums to leave out: those of what it replaces.

    Raises VALIDATION_FAILED and POLICY_NOT_FOUND as the policy says.
    """
    if not record.minutes:
        return NOTHING
    policy = view.policy_at(record.started_us).policy
    timeline, zone = view.timeline(), view.zone
    group = view.group(record.volunteer)
    root = group[0]
    service = service_of(record)
    sums = {key: view.tally(group, *key) for key in tally_keys(timeline, service, zone)}
    for (_, name, period), amount in without:
        if (name, period) in sums:
            sums[name, period] -= amount
    stored = view.account(root.time_account).posted
    earned = earn(timeline, service, zone=zone, tallies=sums, stored_time=stored)
    payer = policy.time_payer
    if payer is TimePayer.BENEFICIARY and not record.beneficiary:
        payer = TimePayer.POOL
    return Credit(_parts(earned), payer, _tallies(root, earned))


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
    _add(view, changes, record, credit.parts, credit.payer, 1)
    if old is not None and old.parts:
        _add(view, changes, old, old.parts, TimePayer(old.time_payer), -1)
    postings = []
    for account_id, amount in changes.items():
        if not amount:
            continue
        account = view.account(account_id)
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


def _add(
    view: View,
    changes: dict[str, int],
    record: Record,
    parts: Sequence[RecordPart],
    payer: TimePayer,
    sign: int,
) -> None:
    hours = sum(part.minutes for part in parts) * sign
    time = sum(part.time for part in parts) * sign
    pool_time = sum(part.pool_time for part in parts) * sign
    points = sum(part.points for part in parts) * sign
    root = view.root(record.volunteer)
    issuance = AccountKind.ISSUANCE
    moves = [
        (view.system(issuance, Unit.HOURS).account_id, -hours),
        (root.hours_account, hours),
        (_payer_account(view, record, payer), -time - pool_time),
        (root.time_account, time),
        (view.system(AccountKind.POOL, Unit.TIME).account_id, pool_time),
        (view.system(issuance, Unit.POINTS).account_id, -points),
        (root.points_account, points),
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
