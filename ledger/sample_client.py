"""The methods about members, records, stars and certificates, as the sample city is told with them.

Owns: requests and answers of these methods on a channel, local or remote. Refuses: what is asked
for (see ledger/sample and cli_demo.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.sample.city import Rating
from ledger.sample.people import ID_TYPE, Person
from ledger.sample.records import Service
from timebank.client.calls import Caller
from timebank.errors import Reason, TimebankError, from_status
from timebank.ledger.v1 import (
    certificate_service_pb2,
    hours_service_pb2,
    member_pb2,
    member_service_pb2,
    policy_service_pb2,
    record_pb2,
    star_service_pb2,
)
from timebank.ledger.v1.certificate_service_pb2_grpc import CertificateServiceStub
from timebank.ledger.v1.hours_service_pb2_grpc import HoursServiceStub
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.ledger.v1.policy_service_pb2_grpc import PolicyServiceStub
from timebank.ledger.v1.star_service_pb2_grpc import StarServiceStub

if TYPE_CHECKING:
    from timebank.ledger.v1.certificate_service_pb2_grpc import CertificateServiceAsyncStub
    from timebank.ledger.v1.hours_service_pb2_grpc import HoursServiceAsyncStub
    from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceAsyncStub
    from timebank.ledger.v1.policy_service_pb2_grpc import PolicyServiceAsyncStub
    from timebank.ledger.v1.star_service_pb2_grpc import StarServiceAsyncStub

ServiceRecord = record_pb2.ServiceRecord
"""A record as the contract has it, for who shows one."""
PAGE_SIZE = 1_000
PAGES_MAX = 100
_ALIVE = (
    ServiceRecord.STATE_CLAIMED,
    ServiceRecord.STATE_VERIFIED,
    ServiceRecord.STATE_PUBLICISED,
    ServiceRecord.STATE_POSTED,
)
_EVIDENCE = {
    "A": record_pb2.EVIDENCE_CLASS_A,
    "B": record_pb2.EVIDENCE_CLASS_B,
    "C": record_pb2.EVIDENCE_CLASS_C,
    "D": record_pb2.EVIDENCE_CLASS_D,
    "E": record_pb2.EVIDENCE_CLASS_E,
}


class SampleClient:
    """The services of one ledger for one caller."""

    def __init__(self, channel: grpc.aio.Channel, ledger: str, call: Caller) -> None:
        self._call = call
        self.ledger = f"ledgers/{ledger}"
        self._members = cast("MemberServiceAsyncStub", MemberServiceStub(channel))
        self._records = cast("HoursServiceAsyncStub", HoursServiceStub(channel))
        self._policies = cast("PolicyServiceAsyncStub", PolicyServiceStub(channel))
        self._stars = cast("StarServiceAsyncStub", StarServiceStub(channel))
        self._certificates = cast("CertificateServiceAsyncStub", CertificateServiceStub(channel))

    def member_name(self, member_id: str) -> str:
        """Gives the resource name of a member."""
        return f"{self.ledger}/members/{member_id}"

    async def policies(self) -> list[str]:
        """Gives the documents of the policy's versions in the order of adoption."""
        request = policy_service_pb2.ListPoliciesRequest(parent=self.ledger)
        answer = await self._call(self._policies.ListPolicies, request)
        return [policy.document for policy in answer.policies]

    async def adopt(self, document: str, request_id: str) -> None:
        """Adopts a policy. Raises TimebankError: VALIDATION_FAILED."""
        request = policy_service_pb2.AdoptPolicyRequest(
            parent=self.ledger, request_id=request_id, document=document
        )
        await self._call(self._policies.AdoptPolicy, request)

    async def register(self, person: Person, request_id: str) -> None:
        """Registers a member, with personal data when there is a name.

        Raises TimebankError: MEMBER_EXISTS and what else the server refuses with.
        """
        data = None
        if person.name:
            data = member_pb2.PersonalData(
                display_name=person.name, id_type=ID_TYPE, id_number=person.id_number
            )
        request = member_service_pb2.RegisterMemberRequest(
            parent=self.ledger,
            request_id=request_id,
            member_id=person.member_id,
            member=member_pb2.Member(
                home_unit=person.home_unit,
                key_elder=person.key_elder,
                publish_name=person.publish_name,
            ),
            personal_data=data,
        )
        await self._call(self._members.RegisterMember, request)

    async def members_of(self, home_unit: str) -> list[member_pb2.Member]:
        """Lists at most 1,000 members of a unit and below."""
        request = member_service_pb2.ListMembersRequest(
            parent=self.ledger, home_unit=home_unit, page_size=PAGE_SIZE
        )
        return list((await self._call(self._members.ListMembers, request)).members)

    async def name_of(self, member_id: str) -> str:
        """Reads the name of a member. Raises TimebankError: PERSONAL_DATA_ERASED."""
        request = member_service_pb2.GetPersonalDataRequest(name=self.member_name(member_id))
        return (await self._call(self._members.GetPersonalData, request)).display_name

    async def rate(self, rating: Rating, request_id: str) -> None:
        """Evaluates a volunteer. Raises TimebankError: EVALUATION_EXISTS, EVALUATION_REFUSED."""
        rater = rating.rater
        request = member_service_pb2.EvaluateMemberRequest(
            name=self.member_name(rating.member_id),
            request_id=request_id,
            role=rating.role,
            rater=f"{self.ledger}/{rater}" if rater.startswith("members/") else rater,
            score=rating.score,
        )
        await self._call(self._members.EvaluateMember, request)

    async def submit_many(
        self, services: Sequence[Service], request_id: str
    ) -> list[Reason | None]:
        """Submits services, publicised already where they are attested; gives why each was refused,
        None when it was not.
        """
        request = hours_service_pb2.BatchSubmitRecordsRequest(
            parent=self.ledger,
            request_id=request_id,
            items=[
                hours_service_pb2.SubmitRecordItem(
                    record_id=service.record_id, record=self._record(service, publicised=True)
                )
                for service in services
            ],
        )
        answer = await self._call(self._records.BatchSubmitRecords, request)
        return [
            from_status(result.error).reason if result.HasField("error") else None
            for result in answer.results
        ]

    async def submit(self, service: Service) -> ServiceRecord:
        """Submits a service that is to be publicised here. Raises what the server refuses with."""
        request = hours_service_pb2.SubmitRecordRequest(
            parent=self.ledger,
            request_id=str(uuid.uuid4()),
            record_id=service.record_id,
            record=self._record(service, publicised=False),
        )
        return await self._call(self._records.SubmitRecord, request)

    def _record(self, service: Service, *, publicised: bool) -> ServiceRecord:
        end = service.start + timedelta(minutes=service.minutes)
        return ServiceRecord(
            volunteer=self.member_name(service.volunteer),
            beneficiary=self.member_name(service.beneficiary) if service.beneficiary else "",
            activity=service.activity,
            place=service.place,
            content=service.content,
            organizer=service.organizer,
            recorder=service.recorder,
            start_time=_timestamp(service.start),
            end_time=None if service.date_only else _timestamp(end),
            date_only=service.date_only,
            minutes=service.minutes if service.date_only else 0,
            evidence=_EVIDENCE[service.evidence],
            quality_tenths=service.quality_tenths,
            need_type=service.need_type,
            verifiers=service.verifiers,
            external_ids=[service.external_id] if service.external_id else [],
            publicised=publicised and service.attested,
        )

    async def verify(self, record_name: str, verifier: str = "") -> ServiceRecord:
        """Attests a record, as the caller unless another is named. Raises what is refused."""
        request = hours_service_pb2.VerifyRecordRequest(
            name=record_name, request_id=str(uuid.uuid4()), verifier=verifier
        )
        return await self._call(self._records.VerifyRecord, request)

    async def find_record(self, record_id: str) -> ServiceRecord | None:
        """Reads a record, None when there is none."""
        request = hours_service_pb2.GetRecordRequest(name=f"{self.ledger}/records/{record_id}")
        try:
            return await self._call(self._records.GetRecord, request)
        except TimebankError as error:
            if error.reason is not Reason.RECORD_NOT_FOUND:
                raise
            return None

    async def records(self, **filters: Any) -> list[ServiceRecord]:
        """Lists records, newest entry first: `volunteer`, `state`, `alarm` narrow the list."""
        found: list[ServiceRecord] = []
        token = ""
        for _ in range(PAGES_MAX):
            request = hours_service_pb2.ListRecordsRequest(
                parent=self.ledger, page_size=PAGE_SIZE, page_token=token, **filters
            )
            answer = await self._call(self._records.ListRecords, request)
            found += answer.records
            token = answer.next_page_token
            if not token:
                break
        return found

    async def alarms(self) -> list[ServiceRecord]:
        """Lists the records that raised the back-entry alarm and are not void."""
        # State by state: without one, the database reads all records for each page.
        found = []
        for state in _ALIVE:
            found += await self.records(alarm=True, state=state)
        return found

    async def star(self, member_id: str) -> star_service_pb2.Star:
        """Reads a star. Raises TimebankError: MEMBER_NOT_FOUND."""
        request = star_service_pb2.GetStarRequest(name=self.member_name(member_id))
        return await self._call(self._stars.GetStar, request)

    async def issue_certificate(
        self, member_id: str, *, issuer: str, person_in_charge: str, contact: str, note: str
    ) -> certificate_service_pb2.Certificate:
        """Issues a certificate with its page to print. Raises TimebankError: CERTIFICATE_EMPTY."""
        request = certificate_service_pb2.IssueCertificateRequest(
            parent=self.member_name(member_id),
            request_id=str(uuid.uuid4()),
            issuer=issuer,
            person_in_charge=person_in_charge,
            handler=person_in_charge,
            contact=contact,
            note=note,
            pdf=True,
        )
        return await self._call(self._certificates.IssueCertificate, request)


def state_name(record: ServiceRecord) -> str:
    """Gives where a record stands, in the words of the contract."""
    name = ServiceRecord.State.Name(record.state)
    return name.removeprefix("STATE_")


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
