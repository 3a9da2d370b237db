"""CertificateService: certificates of voluntary service."""

import hashlib
from typing import Any

import grpc
import grpc.aio

from ledger.domain import hours_commands as h
from ledger.domain.certificate_rules import certificate_not_found
from ledger.domain.facts import CertificateRow, FactKind
from ledger.names import invalid, member_from_name, numbered_from_name, us_from_wire, us_to_wire
from ledger.store.hours_reads import FactFilter, list_newest
from ledger.usecases.hours import Hours, stated_in
from ledger.usecases.ledgers import Handle, Ledgers
from ledger.usecases.statements import Document, Period, Statements, Wording
from ledger.wire_members import check_memo, check_texts
from timebank.auth import current_call, current_principal
from timebank.certificate_pdf import certificate_pdf
from timebank.certificates import parse_certificate_note
from timebank.errors import TimebankError
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import certificate_service_pb2
from timebank.ledger.v1.certificate_service_pb2_grpc import CertificateServiceServicer
from timebank.paging import page_number, page_size_of, page_token
from timebank.units import INT64_MAX

WORDING_LIMITS = {"issuer": 60, "person_in_charge": 30, "handler": 30, "contact": 60, "note": 200}
NUMBER_DIGITS = 20
Context = grpc.aio.ServicerContext[Any, Any]


class CertificateRpcs(CertificateServiceServicer):
    """CertificateService."""

    def __init__(self, ledgers: Ledgers, hours: Hours, statements: Statements) -> None:
        self._hours = hours
        self._statements = statements
        self._reader = ledgers.world.databases.reader

    async def IssueCertificate(
        self, request: certificate_service_pb2.IssueCertificateRequest, context: Context
    ) -> certificate_service_pb2.Certificate:
        """Issues a certificate; a repeated call gives the one that was issued."""
        ledger_id, member_id = member_from_name(request.parent, "parent")
        principal = current_principal()
        request_id = uuid_bytes(request.request_id)
        wording, period = _wording(request), _period(request)
        seed = f"{ledger_id}\0{principal.name}\0{member_id}\0".encode() + request_id
        number = "zm-" + hashlib.sha256(seed).hexdigest()[:NUMBER_DIGITS]
        handle = await self._hours.handle(ledger_id, principal)
        await self._hours.member(handle, member_id, principal)
        found = (await self._hours.find(handle, FactKind.CERTIFICATE, [number])).get(number)
        if found is not None and isinstance(found.fact, CertificateRow):
            await self._statements.check_same(handle, found.fact, period, wording)
        else:
            document = await self._statements.certificate(
                handle, member_id, principal, number=number, period=period, wording=wording
            )
            await self._statements.keep(handle, member_id, document, period, wording)
            await self._issue(handle, member_id, number, document, request_id)
        return await self._whole(handle, number, pdf=request.pdf)

    async def _issue(
        self, handle: Handle, member_id: str, number: str, document: Document, request_id: bytes
    ) -> None:
        """Enters a certificate; one that is refused leaves no document."""
        command = h.IssueCertificate(
            number, member_id, document.sha256, document.record_ids, document.total_minutes
        )
        try:
            await self._hours.carry_out(handle.ledger_id, request_id, command, current_call())
        except TimebankError as error:
            if error.code is not grpc.StatusCode.UNAVAILABLE:
                await self._statements.drop(handle, member_id, document)
            raise

    async def GetCertificate(
        self, request: certificate_service_pb2.GetCertificateRequest, context: Context
    ) -> certificate_service_pb2.Certificate:
        """Reads a certificate."""
        ledger_id, number = numbered_from_name(request.name, "certificates")
        handle = await self._hours.handle(ledger_id, current_principal())
        return await self._whole(handle, number, pdf=request.pdf)

    async def _whole(
        self, handle: Handle, number: str, *, pdf: bool
    ) -> certificate_service_pb2.Certificate:
        row, log_index = await self._hours.certificate(handle, number)
        principal = current_principal()
        try:
            await self._hours.member(handle, row.member_id, principal)
        except TimebankError as error:
            raise certificate_not_found(number) from error
        note, compact = await self._statements.kept(handle, row)
        found = _to_wire(handle.ledger_id, row, log_index)
        found.document, found.compact = note, compact
        if pdf:
            found.pdf = certificate_pdf(parse_certificate_note(note), compact)
        return found

    async def ListCertificates(
        self, request: certificate_service_pb2.ListCertificatesRequest, context: Context
    ) -> certificate_service_pb2.ListCertificatesResponse:
        """Lists the certificates of a member."""
        ledger_id, member_id = member_from_name(request.parent, "parent")
        size = page_size_of(request.page_size)
        key = ("certificates", ledger_id, member_id)
        before = page_number(request.page_token, *key, first=-1)
        principal = current_principal()
        handle = await self._hours.handle(ledger_id, principal)
        await self._hours.member(handle, member_id, principal)
        wanted = FactFilter([member_id], (), None if before < 0 else before)
        rows = await list_newest(
            self._reader, handle.ledger_no, FactKind.CERTIFICATE, wanted, size + 1
        )
        last = str(rows[size - 1].log_index) if len(rows) > size else ""
        facts = [(stated_in(FactKind.CERTIFICATE, row).fact, row.log_index) for row in rows[:size]]
        return certificate_service_pb2.ListCertificatesResponse(
            certificates=[
                _to_wire(ledger_id, fact, index)
                for fact, index in facts
                if isinstance(fact, CertificateRow)
            ],
            next_page_token=page_token(last, *key) if last else "",
        )

    async def RevokeCertificate(
        self, request: certificate_service_pb2.RevokeCertificateRequest, context: Context
    ) -> certificate_service_pb2.Certificate:
        """Revokes a certificate."""
        ledger_id, number = numbered_from_name(request.name, "certificates")
        command = h.RevokeCertificate(number, check_memo(request.memo))
        request_id = uuid_bytes(request.request_id)
        await self._hours.carry_out(ledger_id, request_id, command, current_call())
        handle = await self._hours.handle(ledger_id, current_principal())
        row, log_index = await self._hours.certificate(handle, number)
        return _to_wire(ledger_id, row, log_index)

    async def CheckCertificate(
        self, request: certificate_service_pb2.CheckCertificateRequest, context: Context
    ) -> certificate_service_pb2.CheckCertificateResponse:
        """Says whether a certificate stands."""
        ledger_id, number = numbered_from_name(request.name, "certificates")
        handle = await self._hours.handle(ledger_id, current_principal())
        row, _ = await self._hours.certificate(handle, number)
        return certificate_service_pb2.CheckCertificateResponse(
            state=row.state,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
            document_sha256=row.document_sha256.hex(),
        )


def _wording(request: certificate_service_pb2.IssueCertificateRequest) -> Wording:
    values = {field: str(getattr(request, field)).strip() for field in WORDING_LIMITS}
    check_texts((field, values[field], limit) for field, limit in WORDING_LIMITS.items())
    for field, value in values.items():
        if not value and field != "note":
            raise invalid(field, "required on a certificate (志愿服务记录办法)")
    return Wording(**values)


def _period(request: certificate_service_pb2.IssueCertificateRequest) -> Period:
    from_us, until_us = 0, INT64_MAX
    if request.HasField("start_time"):
        from_us = us_from_wire(request.start_time, "start_time")
    if request.HasField("end_time"):
        until_us = us_from_wire(request.end_time, "end_time")
    if until_us <= from_us:
        raise invalid("end_time", "expected after start_time")
    return Period(from_us, until_us)


def _to_wire(
    ledger_id: str, row: CertificateRow, log_index: int
) -> certificate_service_pb2.Certificate:
    return certificate_service_pb2.Certificate(
        name=f"ledgers/{ledger_id}/certificates/{row.number}",
        state=row.state,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        member=f"ledgers/{ledger_id}/members/{row.member_id}",
        total_minutes=row.total_minutes,
        issue_time=us_to_wire(row.issued_us),
        document_sha256=row.document_sha256.hex(),
        entry=f"ledgers/{ledger_id}/entries/{log_index}",
    )
