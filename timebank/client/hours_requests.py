"""Drafts of records, members and personal data become messages of the contract.

Owns: these conversions. Refuses: naive times and kinds that the contract does not have. Every other
rule is the server's.
"""

from datetime import datetime

from timebank.client.drafts import PersonalData, RecordDraft
from timebank.client.kinds import EvidenceClass, RecordState, kind_to_wire
from timebank.client.names import Names
from timebank.client.times import time_to_wire
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import hours_service_pb2, member_pb2, record_pb2

_EVIDENCE = dict(record_pb2.EvidenceClass.items())
_RECORD_STATES = dict(record_pb2.ServiceRecord.State.items())


def evidence_to_wire(evidence: EvidenceClass) -> record_pb2.EvidenceClass.ValueType:
    """Gives the number of an evidence class."""
    number = kind_to_wire(_EVIDENCE, "EVIDENCE_CLASS_", evidence)
    return record_pb2.EvidenceClass.ValueType(number)


def record_state_to_wire(state: RecordState) -> record_pb2.ServiceRecord.State.ValueType:
    """Gives the number of a record's state."""
    number = kind_to_wire(_RECORD_STATES, "STATE_", state)
    return record_pb2.ServiceRecord.State.ValueType(number)


def member_to_wire(
    names: Names,
    *,
    name: str = "",
    home_unit: str | None,
    officer: str | None,
    guardian: str | None,
    guardian_consent: bool | None,
    adult_time: datetime | None,
    publish_name: bool | None,
    key_elder: bool | None,
) -> member_pb2.Member:
    """Gives the message of what is known of a member; None: nothing."""
    return member_pb2.Member(
        name=name,
        home_unit=home_unit or "",
        officer=officer or "",
        guardian=names.member(guardian or ""),
        guardian_consent=bool(guardian_consent),
        adult_time=time_to_wire(adult_time, "adult_time"),
        publish_name=bool(publish_name),
        key_elder=bool(key_elder),
    )


def personal_to_wire(person: PersonalData) -> member_pb2.PersonalData:
    """Gives the message of personal data."""
    return member_pb2.PersonalData(
        display_name=person.display_name,
        id_type=person.id_type,
        id_number=person.id_number,
        phone=person.phone,
        national_number=person.national_number,
    )


def record_to_wire(draft: RecordDraft, names: Names) -> record_pb2.ServiceRecord:
    """Gives the message of a record. Raises VALIDATION_FAILED for naive times and odd values."""
    try:
        return _record(draft, names)
    except (TypeError, ValueError) as error:  # protobuf: a text where an int belongs, over 64 bits
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"record {draft.record_id[:64]!r}: expected values that the contract can carry: "
            f"{str(error)[:200]}",
            field="record",
        ) from error


def item_to_wire(draft: RecordDraft, names: Names) -> hours_service_pb2.SubmitRecordItem:
    """Gives one record of a batch. Raises VALIDATION_FAILED as `record_to_wire` does."""
    record = record_to_wire(draft, names)
    try:
        return hours_service_pb2.SubmitRecordItem(record_id=draft.record_id, record=record)
    except (TypeError, ValueError) as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED, "record_id: expected text", field="record_id"
        ) from error


def _record(draft: RecordDraft, names: Names) -> record_pb2.ServiceRecord:
    return record_pb2.ServiceRecord(
        volunteer=names.member(draft.volunteer),
        beneficiary=names.member(draft.beneficiary),
        activity=draft.activity,
        place=draft.place,
        content=draft.content,
        organizer=draft.organizer,
        recorder=draft.recorder,
        team_lead=draft.team_lead,
        start_time=time_to_wire(draft.start_time, "start_time"),
        end_time=time_to_wire(draft.end_time, "end_time"),
        date_only=draft.date_only,
        break_minutes=draft.break_minutes,
        planned_minutes=draft.planned_minutes,
        minutes=draft.minutes,
        evidence=evidence_to_wire(draft.evidence),
        quality_tenths=draft.quality_tenths,
        quality_failed=draft.quality_failed,
        need_type=draft.need_type,
        skill=draft.skill,
        urgent=draft.urgent,
        group=draft.group,
        relative=draft.relative,
        reward=draft.reward,
        verifiers=draft.verifiers,
        supersedes=names.record(draft.supersedes),
        bonuses=draft.bonuses,
        external_ids=draft.external_ids,
        publicised=draft.publicised,
    )
