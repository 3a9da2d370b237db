"""Rules of certificates 志愿服务证明: what was issued over which records, and how it stands."""

from __future__ import annotations

from ledger.domain import hours_commands as h
from ledger.domain.decisions import Decision
from ledger.domain.entry import EntryKind
from ledger.domain.facts import CertificateRow, CertificateState, FactKind
from ledger.domain.hours_view import MEMBERS, View
from timebank.errors import Reason, TimebankError


def decide_issue(view: View, command: h.IssueCertificate) -> Decision:
    """Notes a certificate that was signed. Raises MEMBER_NOT_FOUND, CERTIFICATE_EMPTY."""
    member = view.member(command.member_id)
    if not command.record_ids:
        raise TimebankError(
            Reason.CERTIFICATE_EMPTY,
            f"{member.member_id} has no posted record in the period: choose another period",
            member=member.member_id,
        )
    row = CertificateRow(
        command.number,
        member.member_id,
        CertificateState.ISSUED,
        command.document_sha256,
        command.record_ids,
        command.total_minutes,
        view.now_us,
    )
    return Decision(EntryKind.CERTIFICATE_ISSUED, facts=(row,), natural_key=command.number)


def decide_revoke(view: View, command: h.RevokeCertificate) -> Decision:
    """Revokes a certificate. Raises CERTIFICATE_NOT_FOUND, CERTIFICATE_STATE when it is revoked."""
    known = view.state.register.known(FactKind.CERTIFICATE, command.number)
    row = known.fact if known is not None else None
    if not isinstance(row, CertificateRow) or not view.may_touch(view.any_member(row.member_id)):
        raise certificate_not_found(command.number)
    if row.state is CertificateState.REVOKED:
        raise TimebankError(
            Reason.CERTIFICATE_STATE,
            f"certificate {command.number} is revoked already",
            certificate=command.number,
        )
    revoked = row._replace(state=CertificateState.REVOKED)
    return Decision(
        EntryKind.CERTIFICATE_REVOKED,
        facts=(revoked,),
        memo=command.memo,
        cause=MEMBERS + row.member_id,
    )


def certificate_not_found(number: str) -> TimebankError:
    """Says that a certificate does not exist, or is none of the caller's business."""
    return TimebankError(
        Reason.CERTIFICATE_NOT_FOUND, f"no certificate {number}", certificate=number
    )
