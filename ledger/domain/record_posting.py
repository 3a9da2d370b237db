"""Posting service records: the only way to HOURS, TIME and POINTS; corrections, voids and replays.

A correction is a new record that supersedes a posted one: one entry takes the old credit back and
gives the new one. Certificates that cite the old record are flagged in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ledger.domain import hours_commands as h
from ledger.domain.calendar import from_us, zone_of
from ledger.domain.credit_rules import (
    NOTHING,
    Credit,
    Tallies,
    credit_of,
    negated,
    postings_of,
)
from ledger.domain.decisions import Decision
from ledger.domain.entry import EntryKind
from ledger.domain.facts import (
    CertificateRow,
    CertificateState,
    FactKind,
    MemberState,
    Record,
    RecordState,
)
from ledger.domain.hours_view import MEMBERS, View
from ledger.domain.policy import Policy
from ledger.domain.record_checks import check_record_state, wrong_state
from ledger.domain.service_split import local_us
from ledger.domain.star_changes import may_change, star_decisions
from ledger.domain.working_days import add_working_days

PENDING_POINTS = "pending-points"


def publicise(view: View, record: Record, policy: Policy) -> Decision:
    """Publicises an attested record until the end of the policy's last working day."""
    today = from_us(view.now_us).astimezone(zone_of(view.zone)).date()
    last = add_working_days(today, policy.publicity_days, view.holidays)
    due_us = local_us((last + timedelta(days=1)).isoformat(), 0, view.zone)
    expected = _expected(view, record)
    shown = record._replace(
        state=RecordState.PUBLICISED,
        due_us=due_us,
        pending_points=sum(part.points for part in expected.parts),
        pending_time=sum(part.time for part in expected.parts),
    )
    tallies: Tallies = ()
    if shown.pending_points:
        tallies = (((record.volunteer, PENDING_POINTS, ""), shown.pending_points),)
    return Decision(
        EntryKind.RECORD_PUBLICISED,
        facts=(shown,),
        tallies=tallies,
        cause=MEMBERS + record.volunteer,
    )


def _expected(view: View, record: Record) -> Credit:
    old = _superseded(view, record)
    return credit_of(view, record, without=_own_tallies(view, old))


def _superseded(view: View, record: Record) -> Record | None:
    """Gives the posted record that this one replaces, unless it was replaced or voided since."""
    if not record.supersedes:
        return None
    old = view.record(record.supersedes)
    return old if old.state is RecordState.POSTED else None


def _own_tallies(view: View, record: Record | None) -> Tallies:
    """Gives the sums by which a posted record earned: the last ones of its entry."""
    if record is None or not record.tally_count:
        return ()
    known = view.state.register.known(FactKind.RECORD, record.record_id)
    assert known is not None, "a record that was read is known"
    return known.tallies[-record.tally_count :]


def post_decisions(
    view: View, record: Record, *, tallies: Tallies = (), memo: str = "", natural_key: str = ""
) -> Iterator[Decision]:
    """Posts a record, as a correction when it supersedes a posted one; stars and certificates
    follow.

    Raises RECORD_STATE when what it supersedes is not posted any more, and what crediting raises.
    """
    old = _superseded(view, record)
    if record.supersedes and old is None:
        raise wrong_state(view.record(record.supersedes), RecordState.POSTED)
    before = _own_tallies(view, old)
    credit = credit_of(view, record, without=before)
    postings = postings_of(view, record, credit, old)
    posted = _posted(record, credit)
    facts: tuple[Record, ...] = (posted,)
    if old is not None:
        facts = (posted, old._replace(state=RecordState.CORRECTED, superseded_by=record.record_id))
    yield Decision(
        EntryKind.RECORD_CORRECTED if old is not None else EntryKind.RECORD_POSTED,
        postings,
        facts=facts,
        tallies=(*tallies, *no_longer_pending(record), *negated(before), *credit.tallies),
        effective_us=min((old or record).started_us, view.now_us),
        policy_version=credit.parts[0].version if credit.parts else "",
        cause=MEMBERS + record.volunteer,
        natural_key=natural_key,
        memo=memo,
    )
    if old is None:
        added = sum(part.minutes for part in credit.parts)
        group = view.group(record.volunteer)
        after = sum(view.account(member.hours_account).posted for member in group)
        if not may_change(view, record.volunteer, after - added, after):
            return
    yield from _followers(view, record, old)


def _posted(record: Record, credit: Credit) -> Record:
    return record._replace(
        state=RecordState.POSTED,
        due_us=0,
        pending_points=0,
        pending_time=0,
        parts=credit.parts,
        time_payer=credit.payer.value if credit.parts else "",
        credited_to=credit.credited_to,
        payer_account=credit.payer_account,
        tally_count=len(credit.tallies),
    )


def no_longer_pending(record: Record) -> Tallies:
    """Gives the sum that a record takes out of what waits for the end of publicity."""
    if not record.pending_points:
        return ()
    return (((record.volunteer, PENDING_POINTS, ""), -record.pending_points),)


def _followers(view: View, record: Record, old: Record | None) -> Iterator[Decision]:
    if old is not None:
        yield from _flag_certificates(view, old)
    yield from star_decisions(view, record.volunteer)
    if old is not None and old.credited_to:
        # Who was merged when it was credited and is not any more has a star of their own.
        before, now = view.root(old.credited_to), view.root(record.volunteer)
        if before.member_id != now.member_id:
            yield from star_decisions(view, before.member_id)


def _flag_certificates(view: View, record: Record) -> Iterator[Decision]:
    """Flags certificates that cite a record which is corrected."""
    for member in view.group(record.volunteer):
        for number in view.state.register.listed(FactKind.CERTIFICATE, member.member_id):
            known = view.state.register.known(FactKind.CERTIFICATE, number)
            row = known.fact if known is not None else None
            if not isinstance(row, CertificateRow) or row.state is not CertificateState.ISSUED:
                continue
            if record.record_id in row.record_ids:
                flagged = row._replace(state=CertificateState.FLAGGED)
                yield Decision(EntryKind.CERTIFICATE_FLAGGED, facts=(flagged,))


def decide_void(view: View, record: Record, memo: str) -> Iterator[Decision]:
    """Declares a record void; what it credited is taken back."""
    gone = (RecordState.CORRECTED, RecordState.VOIDED)
    check_record_state(record, *(state for state in RecordState if state not in gone))
    waiting = no_longer_pending(record)
    void = record._replace(
        state=RecordState.VOIDED, due_us=0, pending_points=0, pending_time=0, tally_count=0
    )
    cause = MEMBERS + record.volunteer
    if record.state is not RecordState.POSTED:
        kind = EntryKind.RECORD_VOIDED
        yield Decision(kind, facts=(void,), tallies=waiting, memo=memo, cause=cause)
        return
    before = _own_tallies(view, record)
    yield Decision(
        EntryKind.RECORD_CORRECTED,
        postings_of(view, record._replace(parts=()), NOTHING, record),
        facts=(void,),
        tallies=negated(before),
        effective_us=min(record.started_us, view.now_us),
        memo=memo,
        cause=cause,
    )
    yield from _followers(view, record, record)


def decide_post_due(view: View, command: h.PostDue) -> Iterator[Decision]:
    """Posts a record whose publicity has ended; nothing when it was posted or disputed since.

    That of a member who died or left meanwhile, or one that corrects what was corrected or voided
    since, is left to an officer, as disputed.
    """
    record = view.record(command.record_id)
    if record.state is not RecordState.PUBLICISED or record.due_us > view.now_us:
        return
    replaced = bool(record.supersedes) and _superseded(view, record) is None
    there = view.root(record.volunteer).state in (MemberState.ACTIVE, MemberState.SUSPENDED)
    if there and not replaced:
        yield from post_decisions(view, record)
        return
    left = record._replace(state=RecordState.DISPUTED, due_us=0, pending_points=0, pending_time=0)
    yield Decision(
        EntryKind.RECORD_DISPUTED,
        facts=(left,),
        tallies=no_longer_pending(record),
        cause=MEMBERS + record.volunteer,
    )


def decide_reapply(view: View, command: h.ReapplyPolicy) -> Iterator[Decision]:
    """Credits a posted record again by the policies as they are now; nothing when that changes
    nothing.
    """
    record = view.record(command.record_id)
    if record.state is not RecordState.POSTED:
        return
    before = _own_tallies(view, record)
    credit = credit_of(view, record, without=before)
    if credit.parts == record.parts:
        return
    yield Decision(
        EntryKind.RECORD_CORRECTED,
        postings_of(view, record, credit, record),
        facts=(_posted(record, credit),),
        tallies=(*negated(before), *credit.tallies),
        effective_us=min(record.started_us, view.now_us),
        policy_version=command.version,
        cause=MEMBERS + record.volunteer,
    )
    yield from _followers(view, record, record)


__all__ = ["decide_post_due", "decide_reapply", "decide_void", "post_decisions", "publicise"]
