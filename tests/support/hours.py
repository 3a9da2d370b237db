"""Members, records and policies for tests, in the words of a community: builders and callers.

Every mutation is asked for twice with the same request id, and must answer alike: what a retry
after a lost answer sees. A test changes the one field it is about.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from ledger.audit.run import audit_database
from ledger.policies import load_preset
from tests.ledger.rpc.sweepers import HandSweeper
from tests.support.commands import START_US, at, new_id
from tests.support.ledgers import LedgerWorld
from timebank.auth import Principal, PrincipalKind
from timebank.config import DatabaseConfig
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
from timebank.local_channels import LocalChannel

UNIT = "huancui"
OPERATOR = Principal(PrincipalKind.OPERATOR, "op")
MATCHING = Principal(PrincipalKind.SERVICE, "matching")
OFFICER = Principal(PrincipalKind.OFFICER, "li", units=frozenset({UNIT}))
SECOND = Principal(PrincipalKind.OFFICER, "zhao", units=frozenset({UNIT}))
STRANGER = Principal(PrincipalKind.OFFICER, "far", units=frozenset({"wendeng"}))
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
BASE_US = START_US - 10 * DAY_US
"""2026-02-19 08:00 in Shanghai: when the services of tests begin."""
A, B, C, D, E = (
    record_pb2.EVIDENCE_CLASS_A,
    record_pb2.EVIDENCE_CLASS_B,
    record_pb2.EVIDENCE_CLASS_C,
    record_pb2.EVIDENCE_CLASS_D,
    record_pb2.EVIDENCE_CLASS_E,
)
State = record_pb2.ServiceRecord.State
_MODULES = (
    member_service_pb2,
    hours_service_pb2,
    policy_service_pb2,
    star_service_pb2,
    certificate_service_pb2,
)
_STUBS = (
    MemberServiceStub,
    HoursServiceStub,
    PolicyServiceStub,
    StarServiceStub,
    CertificateServiceStub,
)


def policy(**changes: Any) -> str:
    """A policy in force since January that posts at once: 1 hour is 1 point and 1 hour of TIME."""
    document: dict[str, Any] = {
        "policy_id": "test",
        "effective_from": "2026-01-01",
        "earn": {"reward": "BOTH"},
        "publicity_days": 0,
        "spot_check_percent": 0,
    }
    for key, value in changes.items():
        if key == "earn":
            document["earn"] = document["earn"] | value
        else:
            document[key] = value
    return json.dumps(document)


def preset(name: str, **changes: Any) -> str:
    """A preset that posts at once."""
    document = json.loads(load_preset(name))
    document |= {"effective_from": "2026-01-01", "publicity_days": 0, "spot_check_percent": 0}
    return json.dumps(document | changes)


@dataclass
class HoursWorld:
    """A ledger with the services of members and records."""

    world: LedgerWorld
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The ledger's resource name."""
        return self.world.name

    def member_name(self, member_id: str) -> str:
        """A member's resource name."""
        return f"{self.name}/members/{member_id}"

    def record_name(self, record_id: str) -> str:
        """A record's resource name."""
        return f"{self.name}/records/{record_id}"

    async def call(
        self, method: str, /, caller: Principal = OPERATOR, *, once: bool = False, **fields: Any
    ) -> Any:
        """Calls a method; a mutation is called twice and must answer alike."""
        module, stub_class = next(
            pair
            for pair in zip(_MODULES, _STUBS, strict=True)
            if hasattr(pair[0], f"{method}Request")
        )
        request_class = getattr(module, f"{method}Request")
        has_id = "request_id" in request_class.DESCRIPTOR.fields_by_name
        if has_id:
            fields.setdefault("request_id", new_id())
        request: Message = request_class(**fields)
        stub: Any = stub_class(LocalChannel(self.world.process.runtime.interceptors, caller))
        answer = await getattr(stub, method)(request)
        if has_id and not once:
            again = await getattr(stub, method)(request)
            assert _same(again) == _same(answer), method
        return answer

    async def adopt(self, document: str, **fields: Any) -> policy_service_pb2.Policy:
        """Adopts a policy."""
        found: policy_service_pb2.Policy = await self.call(
            "AdoptPolicy", parent=self.name, document=document, **fields
        )
        return found

    async def register(
        self, member_id: str, caller: Principal = OPERATOR, *, name: str = "", **fields: Any
    ) -> member_pb2.Member:
        """Registers a member of the unit."""
        fields.setdefault("home_unit", f"{UNIT}/12dong")
        more: dict[str, Any] = {}
        if name:
            more["personal_data"] = member_pb2.PersonalData(
                display_name=name, id_type="居民身份证", id_number="371002199001011234"
            )
        found: member_pb2.Member = await self.call(
            "RegisterMember",
            caller,
            parent=self.name,
            member_id=member_id,
            member=member_pb2.Member(**fields),
            **more,
        )
        return found

    def record(
        self, volunteer: str, *, start_us: int = BASE_US, minutes: int = 60, **fields: Any
    ) -> record_pb2.ServiceRecord:
        """A record of class A of so many minutes."""
        values: dict[str, Any] = {
            "volunteer": self.member_name(volunteer),
            "activity": "送药上门",
            "organizer": "community",
            "start_time": at(start_us),
            "end_time": at(start_us + minutes * 60_000_000),
            "evidence": A,
        }
        values |= fields
        return record_pb2.ServiceRecord(**{k: v for k, v in values.items() if v is not None})

    async def submit(
        self,
        record: record_pb2.ServiceRecord,
        caller: Principal = MATCHING,
        *,
        record_id: str = "",
        once: bool = False,
    ) -> record_pb2.ServiceRecord:
        """Submits a record."""
        self.numbers["record"] = self.numbers.get("record", 0) + 1
        found: record_pb2.ServiceRecord = await self.call(
            "SubmitRecord",
            caller,
            once=once,
            parent=self.name,
            record_id=record_id or f"r-{self.numbers['record']}",
            record=record,
        )
        return found

    async def serve(
        self, volunteer: str, hours: int, *, start_us: int = BASE_US, **fields: Any
    ) -> None:
        """Posts so many hours, at most 24 a record, one after the other."""
        left = hours * 60
        while left:
            minutes = min(left, 24 * 60)
            record = self.record(volunteer, start_us=start_us, minutes=minutes, **fields)
            posted = await self.submit(record, once=True)
            assert posted.state == State.STATE_POSTED, posted
            left -= minutes
            start_us += minutes * 60_000_000

    async def star(self, member_id: str, caller: Principal = OPERATOR) -> star_service_pb2.Star:
        """Reads a star."""
        found: star_service_pb2.Star = await self.call(
            "GetStar", caller, name=self.member_name(member_id)
        )
        return found

    async def balances(self, member_id: str) -> tuple[int, int, int]:
        """Reads HOURS, TIME and POINTS of a member."""
        member = await self.call("GetMember", name=self.member_name(member_id))
        accounts = (member.hours_account, member.time_account, member.points_account)
        found = [(await self.world.balance(account)).posted for account in accounts]
        return found[0], found[1], found[2]

    async def audit(self) -> None:
        """Audits the database: everything must agree with the log."""
        report = await audit_database(DatabaseConfig(url=self.world.database_url))
        assert report.ok, report.difference


async def sweep() -> None:
    """Runs a round of the sweeper by hand."""
    await HandSweeper.latest.sweep()


def _same(answer: Any) -> str:
    """What a repeated call must answer alike, to be read; a checkpoint may be a later one."""
    copy = type(answer)()
    copy.CopyFrom(answer)
    if "checkpoint" in answer.DESCRIPTOR.fields_by_name:
        copy.ClearField("checkpoint")
    for result in getattr(copy, "results", ()):
        result.ClearField("replayed")
    return str(copy)
