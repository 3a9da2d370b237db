"""The methods about certificates 志愿服务证明.

Owns: asking. Refuses: believing; `timebank verify certificate` checks a document offline.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from timebank.client.hours_answers import certificate_from_wire, check_from_wire
from timebank.client.hours_views import CertificateCheck, CertificateView
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.client.session import Session
from timebank.client.times import time_to_wire
from timebank.ledger.v1 import certificate_service_pb2 as service_pb2


class Certificates(Session):
    """Certificates."""

    async def issue_certificate(
        self,
        member: str,
        *,
        issuer: str,
        person_in_charge: str,
        handler: str,
        contact: str,
        note: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        pdf: bool = False,
        request_id: str = "",
    ) -> CertificateView:
        """Issues a certificate of the posted records that started in [start_time, end_time).

        `pdf`: with the page to print. Raises TimebankError: VALIDATION_FAILED, MEMBER_NOT_FOUND,
        PERSONAL_DATA_ERASED, CERTIFICATE_EMPTY, SCOPE_MISSING.
        """
        request = service_pb2.IssueCertificateRequest(
            parent=self._names.member(member),
            request_id=request_id or new_request_id(),
            start_time=time_to_wire(start_time, "start_time"),
            end_time=time_to_wire(end_time, "end_time"),
            issuer=issuer,
            person_in_charge=person_in_charge,
            handler=handler,
            contact=contact,
            note=note,
            pdf=pdf,
        )
        response = await self._call(self._certificate_stub.IssueCertificate, request)
        return certificate_from_wire(response)

    async def get_certificate(self, number: str, *, pdf: bool = False) -> CertificateView:
        """Reads a certificate, with the page to print when asked for.

        Raises TimebankError: CERTIFICATE_NOT_FOUND, PERSONAL_DATA_ERASED.
        """
        request = service_pb2.GetCertificateRequest(name=self._names.certificate(number), pdf=pdf)
        response = await self._call(self._certificate_stub.GetCertificate, request)
        return certificate_from_wire(response)

    def list_certificates(
        self, member: str, *, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[CertificateView]:
        """Yields the certificates of a member, newest first, without their documents."""

        async def read(token: str) -> Page[CertificateView]:
            request = service_pb2.ListCertificatesRequest(
                parent=self._names.member(member), page_size=page_size, page_token=token
            )
            response = await self._call(self._certificate_stub.ListCertificates, request)
            return map(certificate_from_wire, response.certificates), response.next_page_token

        return pages(read)

    async def revoke_certificate(
        self, number: str, *, memo: str = "", request_id: str = ""
    ) -> CertificateView:
        """Revokes a certificate 撤销.

        Raises TimebankError: CERTIFICATE_NOT_FOUND, CERTIFICATE_STATE.
        """
        request = service_pb2.RevokeCertificateRequest(
            name=self._names.certificate(number),
            request_id=request_id or new_request_id(),
            memo=memo,
        )
        response = await self._call(self._certificate_stub.RevokeCertificate, request)
        return certificate_from_wire(response)

    async def check_certificate(self, number: str) -> CertificateCheck:
        """Says whether a certificate stands. Raises TimebankError: CERTIFICATE_NOT_FOUND."""
        request = service_pb2.CheckCertificateRequest(name=self._names.certificate(number))
        return check_from_wire(await self._call(self._certificate_stub.CheckCertificate, request))
