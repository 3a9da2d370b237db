"""Requests about members, records and stars as bytes, for callers that make very many.

Owns: methods' paths and requests of one shape. Refuses: views, errors and repetition.
"""

from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from timebank.client.names import Names
from timebank.ledger.v1 import (
    hours_service_pb2,
    member_pb2,
    member_service_pb2,
    policy_service_pb2,
    record_pb2,
    star_service_pb2,
)

REGISTER_MEMBER = "/timebank.ledger.v1.MemberService/RegisterMember"
ADOPT_POLICY = "/timebank.ledger.v1.PolicyService/AdoptPolicy"
BATCH_SUBMIT = "/timebank.ledger.v1.HoursService/BatchSubmitRecords"
GET_STAR = "/timebank.ledger.v1.StarService/GetStar"


class Submitted(NamedTuple):
    """How many records of a batch were posted and how many refused."""

    posted: int
    refused: int


class Service(NamedTuple):
    """One service for `records_request`: class A, from `start_s` on for so many minutes."""

    record_id: str
    volunteer: str
    start_s: int
    minutes: int


def register_request(names: Names, member_id: str, request_id: str) -> bytes:
    """Gives a RegisterMember request."""
    request = member_service_pb2.RegisterMemberRequest(
        parent=names.ledger,
        request_id=request_id,
        member_id=member_id,
        member=member_pb2.Member(home_unit="bench"),
    )
    return request.SerializeToString()


def adopt_request(names: Names, document: str, request_id: str) -> bytes:
    """Gives an AdoptPolicy request."""
    request = policy_service_pb2.AdoptPolicyRequest(
        parent=names.ledger, request_id=request_id, document=document
    )
    return request.SerializeToString()


def records_request(names: Names, services: Sequence[Service], request_id: str) -> bytes:
    """Gives a BatchSubmitRecords request of attested records."""
    items = [
        hours_service_pb2.SubmitRecordItem(
            record_id=service.record_id,
            record=record_pb2.ServiceRecord(
                volunteer=f"{names.ledger}/members/{service.volunteer}",
                activity="送药上门",
                place="12栋",
                organizer="community",
                recorder="grid-7",
                start_time=Timestamp(seconds=service.start_s),
                end_time=Timestamp(seconds=service.start_s + 60 * service.minutes),
                evidence=record_pb2.EVIDENCE_CLASS_A,
            ),
        )
        for service in services
    ]
    request = hours_service_pb2.BatchSubmitRecordsRequest(
        parent=names.ledger, request_id=request_id, items=items
    )
    return request.SerializeToString()


def submitted(data: bytes) -> Submitted:
    """Counts what an answer to `records_request` says."""
    results = hours_service_pb2.BatchSubmitRecordsResponse.FromString(data).results
    posted = sum(result.HasField("ok") for result in results)
    return Submitted(posted, len(results) - posted)


def star_request(names: Names, member_id: str) -> bytes:
    """Gives a GetStar request."""
    name = f"{names.ledger}/members/{member_id}"
    return star_service_pb2.GetStarRequest(name=name).SerializeToString()
