"""Rules of service records on their way to being posted: claims, attestation, spot checks,
publicity, disputes.

Errors of a submission, first match wins: MEMBER_NOT_FOUND, SCOPE_MISSING, MEMBER_NOT_ACTIVE,
POLICY_NOT_FOUND, RECORD_NOT_FOUND or RECORD_STATE (what it supersedes), EVIDENCE_TOO_WEAK,
FOUR_EYES_REQUIRED, LIMIT_EXCEEDED, RECORD_OVERLAPS, INSUFFICIENT_BALANCE.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain import hours_commands as h
from ledger.domain.back_entries import back_entry, spot_check
from ledger.domain.decisions import Decision
from ledger.domain.entry import EntryKind
from ledger.domain.facts import (
    Evidence,
    FactKind,
    MemberState,
    Record,
    RecordState,
    SpotCheck,
    TallyKey,
)
from ledger.domain.hours_view import MEMBERS, View
from ledger.domain.member_rules import check_state, invalid
from ledger.domain.overlaps import check_overlap
from ledger.domain.policy import Policy, SelfService
from ledger.domain.record_checks import check_four_eyes, check_record_state, presence_minutes
from ledger.domain.record_posting import no_longer_pending, post_decisions, publicise
from ledger.domain.register import Known
from ledger.domain.service_split import day_of
from timebank.errors import Reason, TimebankError

DATE_ONLY_MINUTES_MAX = 720
DATE_ONLY = "date-only"


def earlier(view: View, command: h.SubmitRecord) -> Known | None:
    """Gives the record of the same number, when it says the same. Raises RECORD_EXISTS."""
    known = view.state.register.known(FactKind.RECORD, command.record.record_id)
    if known is None:
        return None
    record = known.fact
    if not isinstance(record, Record) or record.content != command.record.content:
        raise TimebankError(
            Reason.RECORD_EXISTS,
            f"record {command.record.record_id} exists and says something else: correct it, or use"
            " another number",
            record=command.record.record_id,
        )
    return known


def decide_submit(view: View, command: h.SubmitRecord) -> Iterator[Decision]:
    """Claims a record; one that is attested goes on at once. Raises the reasons named above."""
    record = command.record
    volunteer = view.member(record.volunteer)
    root = check_state(view.root(volunteer.member_id))
    if record.ended_us > view.now_us:
        raise invalid("end_time", "a service is recorded when it is over")
    if record.beneficiary:
        view.any_member(record.beneficiary)
    policy = view.policy_at(record.started_us).policy
    if record.supersedes:
        _check_superseded(view, record)
    record = _with_relation(view, record, policy)
    record = presence_minutes(record, policy)
    # Who did not check out has only one side of class B: somebody must attest the other.
    attested = command.attested and not (record.auto_closed and not record.verifiers)
    if attested:
        _check_attested(view, record, policy)
    check_four_eyes(view, record)
    tallies: tuple[tuple[TallyKey, int], ...] = ()
    if record.date_only:
        tallies += (_date_only_tally(view, record),)
    if record.recorder:
        record, more = back_entry(view, record, policy)
        tallies += more
    check = spot_check(record, policy, command.draw)
    if check is not SpotCheck.NONE:
        record = record._replace(spot_check=check)
    duplicate = check_overlap(view, record, root)
    if duplicate:
        disputed = record._replace(state=RecordState.DISPUTED, duplicate_of=duplicate)
        yield _submitted(EntryKind.RECORD_DISPUTED, disputed, tallies, command.memo)
        return
    complete = attested and record.spot_check is not SpotCheck.PENDING
    if complete and (command.publicised or not policy.publicity_days):
        yield from post_decisions(
            view, record, tallies=tallies, memo=command.memo, natural_key=record.record_id
        )
        return
    state = RecordState.VERIFIED if attested else RecordState.CLAIMED
    kind = EntryKind.RECORD_VERIFIED if attested else EntryKind.RECORD_CLAIMED
    claimed = record._replace(state=state)
    rest = iter((publicise(view, claimed, policy),)) if complete else iter(())
    yield from together(_submitted(kind, claimed, tallies, command.memo), rest)


def _submitted(
    kind: EntryKind, record: Record, tallies: tuple[tuple[TallyKey, int], ...], memo: str
) -> Decision:
    """The first entry of a record has its number as natural key."""
    return _fact(kind, record, tallies, memo)._replace(natural_key=record.record_id)


def _fact(
    kind: EntryKind,
    record: Record,
    tallies: tuple[tuple[TallyKey, int], ...] = (),
    memo: str = "",
) -> Decision:
    return Decision(
        kind, facts=(record,), tallies=tallies, memo=memo, cause=MEMBERS + record.volunteer
    )


def _check_superseded(view: View, record: Record) -> None:
    """A correction is of a posted record of the same volunteer."""
    old = view.record(record.supersedes)
    check_record_state(old, RecordState.POSTED)
    if view.root(old.volunteer).member_id != view.root(record.volunteer).member_id:
        raise invalid("supersedes", f"record {old.record_id} is of another volunteer")


def _with_relation(view: View, record: Record, policy: Policy) -> Record:
    """Flags a service to oneself or to a relative; the policy decides what it is worth."""
    if not record.beneficiary:
        return record
    same = view.root(record.beneficiary).member_id == view.root(record.volunteer).member_id
    family = same or view.are_family(record.volunteer, record.beneficiary) is not None
    if not (family or record.relative):
        return record
    if policy.self_service is SelfService.REFUSE:
        raise TimebankError(
            Reason.EVIDENCE_TOO_WEAK,
            "the policy in force refuses services to oneself and to relatives",
            record=record.record_id,
        )
    return record._replace(relative=True)


def _check_attested(view: View, record: Record, policy: Policy) -> None:
    """A record that arrives attested names who attested it, as its class asks for."""
    officers = [name for name in record.verifiers if not name.startswith(MEMBERS)]
    wrong = ""
    if record.evidence is Evidence.E:
        wrong = "class E is not attested"
    elif record.evidence is Evidence.C and not (record.recorder and officers):
        wrong = "class C names its recorder and a second officer"
    elif record.evidence is Evidence.B and not record.verifiers:
        wrong = "class B names who attested it"
    elif record.evidence is Evidence.D and not record.external_ids:
        wrong = "class D names the record of the other platform in external_ids"
    if wrong:
        raise TimebankError(Reason.EVIDENCE_TOO_WEAK, wrong, record=record.record_id)


def _date_only_tally(view: View, record: Record) -> tuple[TallyKey, int]:
    group = view.group(record.volunteer)
    day = day_of(record.started_us, view.zone).date
    there = view.tally(group, DATE_ONLY, day)
    if there + record.minutes > DATE_ONLY_MINUTES_MAX:
        raise TimebankError(
            Reason.LIMIT_EXCEEDED,
            f"{record.volunteer} has {there} minutes without a time on {day}: at most"
            f" {DATE_ONLY_MINUTES_MAX} a day",
            day=day,
            minutes=there,
        )
    return (group[0].member_id, DATE_ONLY, day), record.minutes


def decide_verify(view: View, command: h.VerifyRecord) -> Iterator[Decision]:
    """Attests a record, and lets it go on when enough have. Raises RECORD_STATE,
    FOUR_EYES_REQUIRED.
    """
    record = visible_record(view, command.record_id)
    check_record_state(record, RecordState.CLAIMED)
    check_state(view.root(record.volunteer), MemberState.ACTIVE, MemberState.SUSPENDED)
    if command.verifier.startswith(MEMBERS) and command.verifier != MEMBERS + record.beneficiary:
        raise TimebankError(
            Reason.FOUR_EYES_REQUIRED,
            "a member attests only services that they received: let an officer do it",
            record=record.record_id,
        )
    checked = record._replace(verifiers=(*record.verifiers, command.verifier))
    check_four_eyes(view, checked)
    policy = view.policy_at(record.started_us).policy
    if not is_attested(checked, policy):
        yield _fact(EntryKind.RECORD_VERIFIED, checked)
        return
    verified = checked._replace(state=RecordState.VERIFIED)
    rest: Iterator[Decision] = iter(())
    if verified.spot_check is not SpotCheck.PENDING:
        rest = go_on(view, verified, policy)
    yield from together(_fact(EntryKind.RECORD_VERIFIED, verified), rest)


def is_attested(record: Record, policy: Policy) -> bool:
    """Says whether enough have attested a record, a second officer among them for class C."""
    officers = [name for name in record.verifiers if not name.startswith(MEMBERS)]
    enough = len(record.verifiers) >= policy.verifications
    return enough and (record.evidence is not Evidence.C or bool(officers))


def together(first: Decision, rest: Iterator[Decision]) -> Iterator[Decision]:
    """Gives a decision and those that follow it, once the next one is sure not to be refused."""
    second = next(rest, None)
    yield first
    if second is not None:
        yield second
        yield from rest


def go_on(view: View, record: Record, policy: Policy) -> Iterator[Decision]:
    """Publicises an attested record, or posts it when the policy asks for no publicity."""
    if policy.publicity_days:
        yield publicise(view, record, policy)
    else:
        yield from post_decisions(view, record)


def visible_record(view: View, record_id: str) -> Record:
    """Gives a record whose volunteer is the caller's to see; a beneficiary sees it too.

    Raises RECORD_NOT_FOUND.
    """
    record = view.record(record_id)
    member = view.any_member(record.volunteer)
    if view.may_touch(member) or view.who.member == record.beneficiary:
        return record
    raise TimebankError(Reason.RECORD_NOT_FOUND, f"no service record {record_id}", record=record_id)


def decide_dispute(view: View, command: h.DisputeRecord) -> Decision:
    """Disputes a record that is not posted; what waits for its publicity waits no longer."""
    record = visible_record(view, command.record_id)
    states = (RecordState.CLAIMED, RecordState.VERIFIED, RecordState.PUBLICISED)
    check_record_state(record, *states)
    disputed = record._replace(
        state=RecordState.DISPUTED,
        due_us=0,
        pending_points=0,
        pending_time=0,
        disputed_by=command.by,
    )
    waiting = no_longer_pending(record)
    return _fact(EntryKind.RECORD_DISPUTED, disputed, waiting, command.memo)


def decide_resolve(view: View, command: h.ResolveDispute) -> Iterator[Decision]:
    """Resolves a dispute: the record is void, or stands and goes on."""
    record = visible_record(view, command.record_id)
    check_record_state(record, RecordState.DISPUTED)
    check_other_person(view, record, command.by)
    kind = EntryKind.RECORD_DISPUTE_RESOLVED
    if command.upheld:
        yield _fact(kind, record._replace(state=RecordState.VOIDED), memo=command.memo)
        return
    root = check_state(view.root(record.volunteer), MemberState.ACTIVE, MemberState.SUSPENDED)
    check_overlap(view, record._replace(duplicate_of=""), root, strict=True)
    policy = view.policy_at(record.started_us).policy
    checked = record._replace(verifiers=(*record.verifiers, command.by), duplicate_of="")
    if not is_attested(checked, policy):
        yield _fact(kind, checked._replace(state=RecordState.CLAIMED), memo=command.memo)
        return
    verified = checked._replace(state=RecordState.VERIFIED)
    rest: Iterator[Decision] = iter(())
    if verified.spot_check is not SpotCheck.PENDING:
        rest = go_on(view, verified, policy)
    yield from together(_fact(kind, verified, memo=command.memo), rest)


def check_other_person(view: View, record: Record, by: str) -> None:
    """Refuses whoever has to do with the record already, with FOUR_EYES_REQUIRED."""
    involved = [
        MEMBERS + record.volunteer,
        record.recorder,
        record.disputed_by,
        *record.verifiers,
    ]
    mine = view.persons(by)
    if any(mine & view.persons(name) for name in involved if name):
        raise TimebankError(
            Reason.FOUR_EYES_REQUIRED,
            f"{by} recorded, attested, disputed or did this service: another officer must decide",
            record=record.record_id,
        )


def decide_spot_check(view: View, command: h.ResolveSpotCheck) -> Iterator[Decision]:
    """Ends a spot check: the record goes on, or is void."""
    record = visible_record(view, command.record_id)
    check_record_state(record, RecordState.CLAIMED, RecordState.VERIFIED)
    if record.spot_check is not SpotCheck.PENDING:
        raise TimebankError(
            Reason.RECORD_STATE,
            f"record {record.record_id} waits for no spot check",
            record=record.record_id,
        )
    check_other_person(view, record, command.by)
    kind = EntryKind.RECORD_SPOT_CHECKED
    if not command.passed:
        yield _fact(kind, record._replace(state=RecordState.VOIDED), memo=command.memo)
        return
    passed = record._replace(spot_check=SpotCheck.PASSED)
    rest: Iterator[Decision] = iter(())
    if passed.state is RecordState.VERIFIED:
        check_state(view.root(record.volunteer), MemberState.ACTIVE, MemberState.SUSPENDED)
        rest = go_on(view, passed, view.policy_at(record.started_us).policy)
    yield from together(_fact(kind, passed, memo=command.memo), rest)
