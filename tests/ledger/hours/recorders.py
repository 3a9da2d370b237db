"""Callers that submit records to servers which are hurt or race, and what must hold afterwards.

Owns the retry recipe (the same request id until there is an answer), what was asked and
acknowledged, and the comparison of both with the log.
"""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from ledger.audit.run import audit_database
from tests.support.commands import ZONE, at, new_id
from tests.support.crowds import (
    BACKOFF_S,
    CALL_TIMEOUT_S,
    GIVE_UP_S,
    LEDGER,
    LEDGER_ID,
    REPEATED,
    calls,
    elapse,
)
from tests.support.hours import A, C, State, policy
from tests.support.keys import ORIGIN
from timebank.config import DatabaseConfig
from timebank.errors import Reason, from_rpc_error
from timebank.ledger.v1 import (
    entry_pb2,
    hours_service_pb2,
    ledger_pb2,
    ledger_service_pb2,
    member_service_pb2,
    policy_service_pb2,
    record_pb2,
)
from timebank.ledger.v1.hours_service_pb2_grpc import HoursServiceStub
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.ledger.v1.policy_service_pb2_grpc import PolicyServiceStub

FIRST_US = 1_735_689_600_000_000
"""2025-01-01 00:00 UTC: when the first service began."""
SLOT_US = 1_800_000_000
MINUTES = 20
BATCH_RECORDS = 5


@dataclass
class Recorders:
    """A ledger of volunteers; each caller serves as one of them, half hour after half hour."""

    asked: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    replayed: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0

    async def create(self, channel: grpc.aio.Channel, *, volunteers: int) -> None:
        """Creates the ledger, a policy that posts at once, and volunteers."""
        described = ledger_pb2.Ledger(display_name="威海", time_zone=ZONE, log_origin=ORIGIN)
        await calls(channel).CreateLedger(
            ledger_service_pb2.CreateLedgerRequest(
                ledger_id=LEDGER_ID, ledger=described, request_id=new_id()
            ),
            timeout=CALL_TIMEOUT_S,
        )
        policies: Any = PolicyServiceStub(channel)
        document = policy(effective_from="2024-01-01")
        await policies.AdoptPolicy(
            policy_service_pb2.AdoptPolicyRequest(
                parent=LEDGER, request_id=new_id(), document=document
            )
        )
        members: Any = MemberServiceStub(channel)
        for number in range(volunteers):
            await members.RegisterMember(
                member_service_pb2.RegisterMemberRequest(
                    parent=LEDGER, request_id=new_id(), member_id=f"v-{number}"
                )
            )

    @staticmethod
    def record(volunteer: int, slot: int, **fields: Any) -> record_pb2.ServiceRecord:
        """A service in one of the half hours since the first."""
        start_us = FIRST_US + slot * SLOT_US
        values: dict[str, Any] = {
            "volunteer": f"{LEDGER}/members/v-{volunteer}",
            "activity": "送药上门",
            "organizer": "community",
            "start_time": at(start_us),
            "end_time": at(start_us + MINUTES * 60_000_000),
            "evidence": A,
        }
        return record_pb2.ServiceRecord(**(values | fields))

    @staticmethod
    def typed(volunteer: int, slot: int) -> record_pb2.ServiceRecord:
        """A back-entry of one officer that another attested."""
        return Recorders.record(volunteer, slot, evidence=C, recorder="li", verifiers=["zhao"])

    async def submit(
        self, channel: grpc.aio.Channel, record_id: str, record: record_pb2.ServiceRecord
    ) -> str:
        """Submits one record once; gives its state, or the reason of the refusal."""
        stub: Any = HoursServiceStub(channel)
        request = hours_service_pb2.SubmitRecordRequest(
            parent=LEDGER, request_id=new_id(), record_id=record_id, record=record
        )
        try:
            answer = await stub.SubmitRecord(request, timeout=CALL_TIMEOUT_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            reason: Reason = from_rpc_error(error).reason
            return str(reason.value)
        return str(State.Name(answer.state))

    async def work(self, channel: grpc.aio.Channel, volunteer: int, until: asyncio.Event) -> None:
        """Serves as one volunteer until told otherwise: single records and batches in turn."""
        stub: Any = HoursServiceStub(channel)
        slots = itertools.count()
        while not until.is_set():
            names = [f"v{volunteer}-{slot}" for slot in itertools.islice(slots, BATCH_RECORDS)]
            items = [
                hours_service_pb2.SubmitRecordItem(
                    record_id=name, record=self.record(volunteer, int(name.partition("-")[2]))
                )
                for name in names
            ]
            first, *others = items
            single = hours_service_pb2.SubmitRecordRequest(
                parent=LEDGER, request_id=new_id(), record_id=first.record_id, record=first.record
            )
            posted = await self._insist(stub.SubmitRecord, single, names[:1])
            assert posted.state == State.STATE_POSTED, posted
            many = hours_service_pb2.BatchSubmitRecordsRequest(
                parent=LEDGER, request_id=new_id(), items=others
            )
            answer = await self._insist(stub.BatchSubmitRecords, many, names[1:])
            for result in answer.results:
                assert result.ok.state == State.STATE_POSTED, result
                self.replayed += result.replayed

    async def _insist(self, method: Any, request: Any, names: list[str]) -> Any:
        """Asks with the same request id until there is an answer."""
        self.asked.update(names)
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                self.in_flight += 1
                try:
                    answer = await method(request, timeout=CALL_TIMEOUT_S, wait_for_ready=True)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in REPEATED:
                        raise
                    self.broken.update(names)
                    self.codes[error.code().name] += 1
                    await elapse(BACKOFF_S)
                else:
                    self.acknowledged.update(names)
                    return answer
                finally:
                    self.in_flight -= 1

    async def audited(self, url: str, channel: grpc.aio.Channel) -> None:
        """Compares the log and the balances with what was asked, and audits the database."""
        assert self.acknowledged == self.asked
        posted: Counter[str] = Counter()
        request = ledger_service_pb2.ListEntriesRequest(parent=LEDGER, page_size=1_000)
        while True:
            page = await calls(channel).ListEntries(request)
            posted.update(
                one.entry.natural_key
                for one in page.entries
                if one.entry.kind == entry_pb2.ENTRY_KIND_RECORD_POSTED
            )
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        assert posted == dict.fromkeys(self.asked, 1)
        minutes = Counter(name.partition("-")[0].replace("v", "v-") for name in posted)
        members: Any = MemberServiceStub(channel)
        for member_id, count in minutes.items():
            name = f"{LEDGER}/members/{member_id}"
            member = await members.GetMember(member_service_pb2.GetMemberRequest(name=name))
            balance = ledger_service_pb2.GetBalanceRequest(name=member.hours_account)
            assert (await calls(channel).GetBalance(balance)).posted == MINUTES * count
        report = await audit_database(DatabaseConfig(url=url))
        assert report.ok, report.difference
