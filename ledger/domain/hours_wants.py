"""What each request about members and records has to look up before it is decided.

It is asked again until nothing more is wanted: what a member's record needs is known once the
member is. Whatever is forgotten here surfaces as NotLoaded, never as a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.domain import hours_commands as h
from ledger.domain import member_rules as m
from ledger.domain.back_entries import day_and_week, recorder_keys
from ledger.domain.calendar import year_of
from ledger.domain.credit_rules import split_of
from ledger.domain.evaluation_rules import evaluation_id
from ledger.domain.facts import CertificateRow, FactKind, Member, Record, RecordState, link_id
from ledger.domain.hours_view import MEMBERS, View
from ledger.domain.record_rules import DATE_ONLY
from ledger.domain.register import RATING_ROLES
from ledger.domain.service_split import day_of
from ledger.domain.star_changes import touch_star
from ledger.domain.time_gifts import GRANTED
from timebank.errors import TimebankError


def want(view: View, command: h.HoursCommand) -> None:
    """Wants what a command needs, as far as it is known by now."""
    match command:
        case h.SubmitRecord():
            view.touch_new(command.record.record_id)
            _record(view, command.record)
        case h.VerifyRecord() | h.ResolveDispute() | h.ResolveSpotCheck() | h.VoidRecord():
            by = command.verifier if isinstance(command, h.VerifyRecord) else command.by
            view.touch_person(by)
            _stored_record(view, command.record_id)
        case h.DisputeRecord():
            view.touch_person(command.by)
            _stored_record(view, command.record_id)
        case h.PostDue() | h.ReapplyPolicy():
            _stored_record(view, command.record_id)
        case h.AdoptPolicy():
            view.touch_policies()
        case h.RevokeCertificate():
            known = view.touch(FactKind.CERTIFICATE, command.number)
            if known is not None and isinstance(known.fact, CertificateRow):
                view.touch(FactKind.MEMBER, known.fact.member_id)
        case _:
            _member_command(view, command)


def _member_command(view: View, command: h.HoursCommand) -> None:
    member_id: str = (
        command.member.member_id if isinstance(command, h.RegisterMember) else command.member_id  # type: ignore[union-attr]  # all that are left name a member
    )
    view.touch_policies()
    view.touch_system()
    group = view.touch_group(member_id)
    touch_star(view, group)
    match command:
        case h.RegisterMember():
            if command.member.guardian:
                view.touch_group(command.member.guardian)
        case h.ChangeMember():
            guardian = dict(command.changes).get("guardian", "")
            for name in (str(guardian), *(item.guardian for item in group)):
                if name:
                    view.touch_group(name)
        case h.MergeMember():
            touch_star(view, _both(group, view.touch_group(command.into)))
        case h.UnmergeMember() if group:
            alone = view.touch(FactKind.MEMBER, member_id)
            view.touch_list(FactKind.MEMBER, member_id)
            if alone is not None and isinstance(alone.fact, Member):
                touch_star(view, [alone.fact])
        case h.LinkFamily():
            view.touch_group(command.relative)
        case h.ReportNoShow():
            view.touch(FactKind.NO_SHOW, m.no_show_id(command))
            name = m.no_show_tally(malicious=command.malicious)
            _tallies(view, group, [(name, command.day[:4])])
        case h.EvaluateMember():
            _evaluations(view, command, group)
        case h.RecordDeath() | h.TransferTime():
            other = command.heir if isinstance(command, h.RecordDeath) else command.to
            if other:
                view.touch_group(other)
                view.touch(FactKind.FAMILY_LINK, link_id(member_id, other))
        case h.GrantTime():
            year = str(year_of(view.now_us, view.zone))
            _tallies(view, group, [(GRANTED, year)])
        case _:
            pass


def _evaluations(view: View, command: h.EvaluateMember, group: list[Member]) -> None:
    """Wants what the rater said of the volunteer in any role, and the other way round."""
    rater = command.rater
    if rater.startswith(MEMBERS):
        raters = view.touch_group(rater.removeprefix(MEMBERS))
        if not raters or not group:
            return
        rater = MEMBERS + raters[0].member_id
        back = evaluation_id(raters[0].member_id, command.role, MEMBERS + group[0].member_id)
        view.touch(FactKind.EVALUATION, back)
    for role in RATING_ROLES if group else ():
        view.touch(FactKind.EVALUATION, evaluation_id(group[0].member_id, role, rater))


def _both(first: list[Member], second: list[Member]) -> list[Member]:
    """A merge makes one group of two, with the second's root."""
    return [*second, *first] if first and second else []


def _stored_record(view: View, record_id: str) -> None:
    known = view.touch(FactKind.RECORD, record_id)
    if known is not None and isinstance(known.fact, Record):
        _record(view, known.fact)


def _record(view: View, record: Record) -> None:
    timeline = view.touch_policies()
    view.touch_system()
    group = view.touch_group(record.volunteer)
    if record.beneficiary:
        view.touch_group(record.beneficiary)
        view.touch(FactKind.FAMILY_LINK, link_id(record.volunteer, record.beneficiary))
    for person in (record.recorder, record.disputed_by, *record.verifiers):
        if person:
            view.touch_person(person)
    if record.recorder:
        for key in recorder_keys(record.recorder, *day_and_week(view.now_us, view.zone)):
            view.touch_tally(key)
    touch_star(view, group)
    for member in group:
        view.touch_span((member.member_id, record.started_us, record.ended_us))
        if record.supersedes or record.state is RecordState.POSTED:
            for number in view.touch_list(FactKind.CERTIFICATE, member.member_id):
                view.touch(FactKind.CERTIFICATE, number)
    _credited(view, record)
    if record.date_only:
        _tallies(view, group, [(DATE_ONLY, day_of(record.started_us, view.zone).date)])
    if record.supersedes:
        _superseded(view, record)
    covered = any(item.from_us <= record.started_us < item.to_us for item in timeline)
    if covered and record.minutes:
        try:
            _tallies(view, group, split_of(view, record).names)
        except TimebankError:
            # What the policy cannot take is refused when it is decided, with its reason.
            return


def _superseded(view: View, record: Record) -> None:
    old = view.touch(FactKind.RECORD, record.supersedes)
    if old is not None and isinstance(old.fact, Record):
        view.touch_group(old.fact.volunteer)
        _credited(view, old.fact)


def _credited(view: View, record: Record) -> None:
    """Wants where a posted record was credited, and who paid."""
    if record.credited_to:
        touch_star(view, view.touch_group(record.credited_to))
    if record.payer_account:
        view.touch_account(record.payer_account)


def _tallies(view: View, group: list[Member], names: Sequence[tuple[str, str]]) -> None:
    for member in group:
        for name, period in names:
            view.touch_tally((member.member_id, name, period))


def taken_from(view: View, command: h.HoursCommand) -> list[str]:
    """Names the accounts that a command may take POINTS or TIME from: what is due there is entered
    first.
    """
    match command:
        case h.RecordDeath() | h.ExportMember():
            return _accounts(view, command.member_id)
        case h.VoidRecord() | h.ReapplyPolicy():
            return _accounts_of_record(view, command.record_id)
        case h.SubmitRecord() if command.record.supersedes:
            return _accounts_of_record(view, command.record.supersedes)
        case _:
            return []


def _accounts_of_record(view: View, record_id: str) -> list[str]:
    known = view.state.register.facts.get((FactKind.RECORD, record_id))
    record = known.fact if known is not None else None
    if not isinstance(record, Record) or not record.credited_to:
        return []
    return _accounts(view, record.credited_to)


def _accounts(view: View, member_id: str) -> list[str]:
    members = view.touch_group(member_id)
    return [name for item in members for name in (item.time_account, item.points_account)]
