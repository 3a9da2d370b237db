"""Answers about members, records, policies, stars and certificates become views.

Owns: the conversions from messages to `timebank.client.hours_views`. Rules: those of
`timebank.client.answers`.
"""

from timebank.client.drafts import PersonalData
from timebank.client.hours_views import (
    CertificateCheck,
    CertificateView,
    ExpiryNoticeView,
    ExportView,
    MemberView,
    PolicyView,
    RecordView,
    StarView,
    SubmittedRecord,
    TimeGiftView,
)
from timebank.client.kinds import (
    CertificateState,
    EvidenceClass,
    MemberState,
    RecordState,
    SpotCheck,
    kinds_by_number,
)
from timebank.client.times import optional_time, time_from_wire
from timebank.errors import TimebankError, from_status
from timebank.ledger.v1 import (
    certificate_service_pb2,
    fact_pb2,
    hours_service_pb2,
    member_pb2,
    member_service_pb2,
    policy_service_pb2,
    record_pb2,
    star_service_pb2,
)

_MEMBER_STATES = kinds_by_number(dict(member_pb2.Member.State.items()), "STATE_", MemberState)
_RECORD_STATES = kinds_by_number(
    dict(record_pb2.ServiceRecord.State.items()), "STATE_", RecordState
)
_EVIDENCE = kinds_by_number(
    dict(record_pb2.EvidenceClass.items()), "EVIDENCE_CLASS_", EvidenceClass
)
_SPOT_CHECKS = kinds_by_number(
    dict(record_pb2.ServiceRecord.SpotCheck.items()), "SPOT_CHECK_", SpotCheck
) | {record_pb2.ServiceRecord.SPOT_CHECK_UNSPECIFIED: SpotCheck.NONE}
_CERTIFICATE_STATES = kinds_by_number(
    dict(fact_pb2.CertificateState.items()), "CERTIFICATE_STATE_", CertificateState
)


def member_from_wire(message: member_pb2.Member) -> MemberView:
    """Reads a member."""
    return MemberView(
        name=message.name,
        state=_MEMBER_STATES.get(message.state, MemberState.UNKNOWN),
        home_unit=message.home_unit or None,
        officer=message.officer or None,
        guardian=message.guardian or None,
        guardian_consent=message.guardian_consent,
        adult_time=optional_time(message.adult_time),
        publish_name=message.publish_name,
        key_elder=message.key_elder,
        merged_into=message.merged_into or None,
        hours_account=message.hours_account,
        time_account=message.time_account,
        points_account=message.points_account,
    )


def personal_from_wire(message: member_pb2.PersonalData) -> PersonalData:
    """Reads personal data."""
    return PersonalData(
        display_name=message.display_name,
        id_type=message.id_type,
        id_number=message.id_number,
        phone=message.phone,
        national_number=message.national_number,
    )


def export_from_wire(message: member_service_pb2.ExportMemberResponse) -> ExportView:
    """Reads a member who moved away."""
    return ExportView(member=member_from_wire(message.member), statement=message.statement)


def gift_from_wire(message: member_service_pb2.TransferTimeResponse) -> TimeGiftView:
    """Reads TIME that was given."""
    return TimeGiftView(entry=message.entry, checkpoint=message.checkpoint)


def notice_from_wire(message: member_service_pb2.ExpiryNotice) -> ExpiryNoticeView:
    """Reads a notice that POINTS will expire."""
    return ExpiryNoticeView(
        number=message.number,
        account=message.account,
        holder=message.holder,
        points=message.points,
        expire_time=time_from_wire(message.expire_time),
        days=message.days,
    )


def record_from_wire(message: record_pb2.ServiceRecord) -> RecordView:
    """Reads a service record."""
    return RecordView(
        name=message.name,
        state=_RECORD_STATES.get(message.state, RecordState.UNKNOWN),
        volunteer=message.volunteer,
        beneficiary=message.beneficiary or None,
        activity=message.activity,
        place=message.place or None,
        content=message.content or None,
        organizer=message.organizer,
        recorder=message.recorder or None,
        team_lead=message.team_lead or None,
        start_time=time_from_wire(message.start_time),
        end_time=None if message.date_only else optional_time(message.end_time),
        date_only=message.date_only,
        break_minutes=message.break_minutes,
        planned_minutes=message.planned_minutes,
        minutes=message.minutes,
        evidence=_EVIDENCE.get(message.evidence, EvidenceClass.UNKNOWN),
        quality_tenths=message.quality_tenths or None,
        quality_failed=message.quality_failed,
        need_type=message.need_type or None,
        skill=message.skill or None,
        urgent=message.urgent,
        group=message.group,
        relative=message.relative,
        reward=message.reward or None,
        verifiers=tuple(message.verifiers),
        supersedes=message.supersedes or None,
        bonuses=tuple(message.bonuses),
        external_ids=tuple(message.external_ids),
        superseded_by=message.superseded_by or None,
        duplicate_of=message.duplicate_of or None,
        publicity_end_time=optional_time(message.publicity_end_time),
        spot_check=_SPOT_CHECKS.get(message.spot_check, SpotCheck.UNKNOWN),
        alarm=message.alarm,
        hours_minutes=message.hours_minutes,
        time_minutes=message.time_minutes,
        pool_minutes=message.pool_minutes,
        points=message.points,
        pending_points=message.pending_points,
        policy_versions=tuple(message.policy_versions),
        auto_closed=message.auto_closed,
        time_payer=message.time_payer or None,
        entry=message.entry,
    )


def submitted_from_wire(
    message: hours_service_pb2.SubmitRecordResult,
) -> SubmittedRecord | TimebankError:
    """Reads what became of one record of a batch: the record, or why nothing was done."""
    if message.WhichOneof("outcome") == "ok":
        return SubmittedRecord(record=record_from_wire(message.ok), replayed=message.replayed)
    return from_status(message.error)


def policy_from_wire(message: policy_service_pb2.Policy) -> PolicyView:
    """Reads a version of the policy."""
    return PolicyView(
        name=message.name,
        effective_time=time_from_wire(message.effective_time),
        end_time=optional_time(message.end_time),
        document=message.document,
        replays=message.replays,
    )


def star_from_wire(message: star_service_pb2.Star) -> StarView:
    """Reads a star."""
    return StarView(
        name=message.name,
        star=message.star,
        under_review=message.under_review,
        kept=message.kept,
        hours_minutes=message.hours_minutes,
        points_earned=message.points_earned,
        quality_tenths=message.quality_tenths or None,
        missing_minutes=message.missing_minutes,
        missing_points=message.missing_points,
        reasons=tuple(message.reasons),
        reasons_zh=tuple(message.reasons_zh),
        medals=tuple(message.medals),
        policy_version=message.policy_version or None,
        display_name=message.display_name or None,
        pending_points=message.pending_points,
    )


def certificate_from_wire(message: certificate_service_pb2.Certificate) -> CertificateView:
    """Reads a certificate."""
    return CertificateView(
        name=message.name,
        state=_CERTIFICATE_STATES.get(message.state, CertificateState.UNKNOWN),
        member=message.member,
        total_minutes=message.total_minutes,
        issue_time=time_from_wire(message.issue_time),
        document=message.document or None,
        compact=message.compact or None,
        pdf=message.pdf or None,
        document_sha256=message.document_sha256,
        entry=message.entry,
    )


def check_from_wire(message: certificate_service_pb2.CheckCertificateResponse) -> CertificateCheck:
    """Reads where a certificate stands."""
    return CertificateCheck(
        state=_CERTIFICATE_STATES.get(message.state, CertificateState.UNKNOWN),
        document_sha256=message.document_sha256,
    )
