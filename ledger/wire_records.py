"""Service records: messages to domain values and back."""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger.domain.facts import Evidence, Record, RecordPart, RecordState
from ledger.domain.hours_commands import SubmitRecord
from ledger.domain.hours_view import MEMBERS
from ledger.domain.register import DAY_US, RECORD_DAYS_MAX
from ledger.names import RECORD_ID, invalid, record_from_name, us_from_wire, us_to_wire
from ledger.wire_members import check_memo, check_texts, member_of, one_of, person_id
from timebank.auth import Principal, PrincipalKind
from timebank.ledger.v1 import record_pb2

MINUTE_US = 60_000_000
AUTO_CLOSED_AFTER_US = 6 * 3_600 * 1_000_000
"""Who did not check out is checked out so long after the planned end."""
CONTENT_BYTES = 16
SHORT = 40
"""Texts that together are no longer than this are none too long."""
VERIFIERS_MAX, EXTERNAL_IDS_MAX = 5, 5
DATE_ONLY_MINUTES_MAX = 720
BONUSES = ("TEAM_LEAD", "REFERRAL")
_ENUM_PLACES = tuple(Record._fields.index(name) for name in ("state", "evidence", "spot_check"))
_EVIDENCE = {int(item): item for item in Evidence}
_COPIED = (
    *("state", "activity", "place", "organizer", "recorder", "team_lead", "date_only"),
    *("break_minutes", "planned_minutes", "minutes", "evidence", "quality_tenths"),
    *("quality_failed", "need_type", "skill", "urgent", "group", "relative", "reward"),
    *("verifiers", "bonuses", "external_ids", "spot_check", "alarm", "pending_points"),
    *("auto_closed", "time_payer"),
)
"""Fields that a record and its message have alike."""
_OF_MEMBERS = ("volunteer", "beneficiary")
_NAMED = (*_OF_MEMBERS, "record_id", "supersedes", "superseded_by", "duplicate_of")
"""Fields whose ids are written as resource names; the record's own number is its `name`."""
_MESSAGE_FIELDS = {"record_id": "name"}
_copied = operator.attrgetter(*_COPIED)
_named = operator.attrgetter(*_NAMED)
_ORGANIZER = re.compile(r"[\x21-\x7e]{1,40}")
_TEXT_LIMITS = {"place": 60, "need_type": 40, "skill": 40, "activity": 100}


class Submitter(NamedTuple):
    """Who submits: what a record takes from its caller."""

    ledger_id: str
    principal: Principal
    now_us: int
    day_start_us: int = 0


def submit_from_wire(
    submitter: Submitter, record_id: str, message: record_pb2.ServiceRecord, draw: int
) -> SubmitRecord:
    """Reads a submission. Raises VALIDATION_FAILED.

    A member claims its own service; an officer records what it enters; what a service or operator
    submits is attested when its class needs no attestation here, or names who gave it.
    """
    if not RECORD_ID.fullmatch(record_id):
        raise invalid("record_id", "expected 1 to 64 characters of a-z, 0-9 and -")
    record = _record(submitter, record_id, message)
    kind = submitter.principal.kind
    trusted = kind in (PrincipalKind.SERVICE, PrincipalKind.OPERATOR)
    if not trusted:
        if record.verifiers or message.publicised:
            raise invalid("record.verifiers", "only services and operators submit attested records")
        if kind is PrincipalKind.MEMBER and record.evidence not in (Evidence.B, Evidence.E):
            raise invalid("record.evidence", "a member's claim is of class B or E")
        if kind is PrincipalKind.MEMBER:
            record = record._replace(recorder="")
        elif record.recorder not in ("", submitter.principal.id):
            raise invalid("record.recorder", f"an officer records as {submitter.principal.id}")
        else:
            record = record._replace(recorder=submitter.principal.id)
    by_itself = record.evidence in (Evidence.A, Evidence.D)
    attested = trusted and (by_itself or bool(record.verifiers))
    memo = check_memo(message.content)
    command = SubmitRecord(record, attested, message.publicised, memo)
    record = record._replace(content=_content(command))
    return SubmitRecord(record, attested, message.publicised, memo, draw)


def _content(command: SubmitRecord) -> bytes:
    """Hashes what a submission says. Fields at their defaults at the end are left out, so that a
    field which a later version adds changes nothing; of the text only its presence counts.
    """
    said: list[Any] = [*command.record]
    for place in _ENUM_PLACES:
        said[place] = int(said[place])
    while not said[-1]:
        said.pop()
    flags = (command.attested, command.publicised, bool(command.memo))
    return hashlib.sha256(repr((flags, said)).encode()).digest()[:CONTENT_BYTES]


def _record(submitter: Submitter, record_id: str, message: record_pb2.ServiceRecord) -> Record:
    texts = message.activity + message.place + message.need_type + message.skill
    if len(texts) > SHORT or not texts.isprintable():
        _check_record_texts(message)
    if not message.activity.strip():
        raise invalid("record.activity", "expected the name of the activity")
    if not _ORGANIZER.fullmatch(message.organizer):
        raise invalid("record.organizer", "expected 1 to 40 visible ASCII characters")
    evidence = _EVIDENCE.get(message.evidence)
    if evidence is None:
        raise invalid("record.evidence", f"expected class A to E, got {message.evidence}")
    if message.date_only and evidence is not Evidence.D:
        raise invalid("record.date_only", "only class D may lack its times")
    ledger_id = submitter.ledger_id
    volunteer = member_of(ledger_id, message.volunteer, "record.volunteer")
    if not volunteer:
        raise invalid("record.volunteer", "expected the resource name of the volunteer")
    started_us, ended_us, auto_closed = _times(submitter, message)
    minutes, breaks = _minutes(message, started_us, ended_us)
    quality = message.quality_tenths
    if quality and not 10 <= quality <= 50:
        raise invalid("record.quality_tenths", f"expected 10 to 50, or 0, got {quality}")
    return Record(
        record_id,
        RecordState.CLAIMED,
        volunteer,
        member_of(ledger_id, message.beneficiary, "record.beneficiary"),
        message.activity,
        message.place,
        message.organizer,
        person_id("record.recorder", message.recorder),
        person_id("record.team_lead", message.team_lead),
        started_us,
        ended_us,
        message.date_only,
        breaks,
        message.planned_minutes,
        minutes,
        evidence,
        quality,
        message.quality_failed,
        message.need_type,
        message.skill,
        message.urgent,
        message.group,
        message.relative,
        one_of("record.reward", message.reward, ("", "TIME", "POINTS")),
        _verifiers(ledger_id, message),
        supersedes=_superseded(ledger_id, record_id, message.supersedes),
        auto_closed=auto_closed,
        external_ids=_external_ids(message),
        bonuses=tuple(one_of("record.bonuses", item, BONUSES) for item in message.bonuses[:2]),
    )


def _check_record_texts(message: record_pb2.ServiceRecord) -> None:
    """Says which texts are too long or hold control characters, if any."""
    texts = {field: getattr(message, field) for field in _TEXT_LIMITS}
    check_texts((f"record.{name}", text, _TEXT_LIMITS[name]) for name, text in texts.items())


def _times(submitter: Submitter, message: record_pb2.ServiceRecord) -> tuple[int, int, bool]:
    started_us = us_from_wire(message.start_time, "record.start_time")
    if message.date_only:
        day_us = submitter.day_start_us or started_us
        return day_us, day_us, False
    if message.HasField("end_time"):
        ended_us = us_from_wire(message.end_time, "record.end_time")
        if not started_us < ended_us <= started_us + RECORD_DAYS_MAX * DAY_US:
            raise invalid("record.end_time", "expected after start_time, at most 48 hours later")
        return started_us, ended_us, False
    if not 0 < message.planned_minutes <= RECORD_DAYS_MAX * 1_440:
        raise invalid("record.end_time", "required, or planned_minutes when nobody checked out")
    ended_us = started_us + message.planned_minutes * MINUTE_US
    if ended_us + AUTO_CLOSED_AFTER_US > submitter.now_us:
        raise invalid(
            "record.end_time", "a service without check-out is closed 6 hours after its end"
        )
    return started_us, ended_us, True


def _minutes(message: record_pb2.ServiceRecord, started_us: int, ended_us: int) -> tuple[int, int]:
    breaks, planned = message.break_minutes, message.planned_minutes
    if not 0 <= breaks <= 100_000 or not 0 <= planned <= 100_000:
        raise invalid("record.break_minutes", "expected 0 to 100,000, as planned_minutes")
    if message.date_only:
        if not 0 < message.minutes <= DATE_ONLY_MINUTES_MAX:
            raise invalid("record.minutes", f"expected 1 to {DATE_ONLY_MINUTES_MAX} with date_only")
        return message.minutes, breaks
    present = (ended_us - started_us) // MINUTE_US - breaks
    if present < 0:
        raise invalid("record.break_minutes", "expected less than the whole interval")
    if not 0 <= message.minutes <= present:
        raise invalid("record.minutes", f"expected at most {present}, got {message.minutes}")
    return message.minutes or present, breaks


def _verifiers(ledger_id: str, message: record_pb2.ServiceRecord) -> tuple[str, ...]:
    if len(message.verifiers) > VERIFIERS_MAX:
        raise invalid("record.verifiers", f"expected at most {VERIFIERS_MAX}")
    return tuple(verifier_from_wire(ledger_id, item) for item in message.verifiers)


def verifier_from_wire(ledger_id: str, text: str) -> str:
    """Reads who attests: the id of an officer, or the name of a member."""
    if text.startswith(("ledgers/", MEMBERS)):
        name = text if text.startswith("ledgers/") else f"ledgers/{ledger_id}/{text}"
        return MEMBERS + member_of(ledger_id, name, "verifiers")
    if not text:
        raise invalid("verifiers", "expected the id of an officer or the name of a member")
    return person_id("verifiers", text)


def _superseded(ledger_id: str, record_id: str, name: str) -> str:
    if not name:
        return ""
    other, old_id = record_from_name(name, "record.supersedes")
    if other != ledger_id or old_id == record_id:
        raise invalid("record.supersedes", "expected another record of this ledger")
    return old_id


def _external_ids(message: record_pb2.ServiceRecord) -> tuple[str, ...]:
    if len(message.external_ids) > EXTERNAL_IDS_MAX:
        raise invalid("record.external_ids", f"expected at most {EXTERNAL_IDS_MAX}")
    if message.external_ids:
        check_texts(("record.external_ids", item, 64) for item in message.external_ids)
    return tuple(message.external_ids)


def record_to_wire(
    ledger_id: str, record: Record, log_index: int, content: str = ""
) -> record_pb2.ServiceRecord:
    """Writes a record."""
    # Fields at their defaults cost as much as others, and most are: they are left out.
    said: dict[str, Any] = {
        name: value for name, value in zip(_COPIED, _copied(record), strict=True) if value
    }
    for field, item in zip(_NAMED, _named(record), strict=True):
        if item:
            collection = "members" if field in _OF_MEMBERS else "records"
            said[_MESSAGE_FIELDS.get(field, field)] = f"ledgers/{ledger_id}/{collection}/{item}"
    if record.due_us:
        said["publicity_end_time"] = us_to_wire(record.due_us)
    return record_pb2.ServiceRecord(
        start_time=us_to_wire(record.started_us),
        end_time=us_to_wire(record.ended_us),
        entry=f"ledgers/{ledger_id}/entries/{log_index}",
        content=content,
        **said,
        **_credited(record.parts),
    )


def _credited(parts: Sequence[RecordPart]) -> dict[str, Any]:
    if len(parts) == 1:
        part = parts[0]
        sums = (part.minutes, part.time, part.pool_time, part.points)
        versions = [part.version]
    else:
        sums = (
            sum(part.minutes for part in parts),
            sum(part.time for part in parts),
            sum(part.pool_time for part in parts),
            sum(part.points for part in parts),
        )
        versions = list(dict.fromkeys(part.version for part in parts))
    hours, time, pool, points = sums
    return {
        "hours_minutes": hours,
        "time_minutes": time,
        "pool_minutes": pool,
        "points": points,
        "policy_versions": versions,
    }
