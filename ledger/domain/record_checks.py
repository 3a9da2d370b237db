"""What a service record must keep by itself: its state, four eyes, and presence."""

from __future__ import annotations

from itertools import combinations

from ledger.domain.facts import Evidence, Record, RecordState
from ledger.domain.hours_view import MEMBERS, View
from ledger.domain.policy import Policy
from timebank.errors import Reason, TimebankError

MINUTE_US = 60_000_000


def check_record_state(record: Record, *states: RecordState) -> None:
    """Refuses a record in another state with RECORD_STATE."""
    if record.state not in states:
        raise wrong_state(record, *states)


def wrong_state(record: Record, *states: RecordState) -> TimebankError:
    """Says that a record does not stand as it must."""
    allowed = ", ".join(state.name for state in states)
    return TimebankError(
        Reason.RECORD_STATE,
        f"record {record.record_id} is {record.state.name}, expected {allowed}",
        record=record.record_id,
        state=record.state.name,
    )


def check_four_eyes(view: View, record: Record) -> None:
    """Refuses a record whose volunteer, recorder and verifiers are not different persons, also
    after a merge, with FOUR_EYES_REQUIRED.
    """
    if not record.verifiers and not record.recorder:
        return
    if not record.verifiers and not record.recorder.startswith(MEMBERS):
        group = view.group(record.volunteer)
        if all(member.officer != record.recorder for member in group):
            return
    names = [MEMBERS + record.volunteer, record.recorder, *record.verifiers]
    persons = [(name, view.persons(name)) for name in names if name]
    for (first, of_first), (second, of_second) in combinations(persons, 2):
        if of_first & of_second:
            raise TimebankError(
                Reason.FOUR_EYES_REQUIRED,
                f"{first} and {second} are the same person: volunteer, recorder and verifier must"
                " be different persons",
                record=record.record_id,
            )


def presence_minutes(record: Record, policy: Policy) -> Record:
    """Credits nothing to who was there for too small a part of the activity, and no more than
    planned to who did not check out.
    """
    planned = record.planned_minutes
    if record.auto_closed:
        weaker = Evidence.B if record.evidence is Evidence.A else record.evidence
        minutes = min(record.minutes, planned) if planned else record.minutes
        return record._replace(minutes=minutes, evidence=weaker)
    if planned and not record.date_only:
        present = (record.ended_us - record.started_us) // MINUTE_US - record.break_minutes
        if present * 100 < planned * policy.presence_percent:
            return record._replace(minutes=0)
    return record
