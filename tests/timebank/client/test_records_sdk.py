"""Records through the client, against the real server."""

import dataclasses
import pathlib
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

import timebank.client.records
from tests.support.hours import MATCHING, OFFICER, SECOND
from tests.timebank.client.real_ledgers import RealLedger, draft, real_ledger
from timebank.client import EntryKind, EvidenceClass, RecordState, SpotCheck, SubmittedRecord
from timebank.errors import Reason, TimebankError


@pytest.fixture
async def ledger(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[RealLedger]:
    async with real_ledger(tmp_path, database_url) as opened:
        yield opened


async def test_a_record_comes_back_as_it_was_said(ledger: RealLedger) -> None:
    said = draft(
        "r-1",
        beneficiary="li",
        place="12栋",
        content="送降压药",
        recorder="grid-7",
        team_lead="lead-1",
        break_minutes=10,
        minutes=45,
        planned_minutes=60,
        quality_tenths=45,
        need_type="medicine",
        skill="nursing",
        urgent=True,
        group=True,
        bonuses=("TEAM_LEAD",),
        external_ids=("zyh-1",),
    )
    posted = await ledger.client.submit_record(said)
    assert posted == await ledger.client.get_record("r-1")
    for field in dataclasses.fields(said):
        if hasattr(posted, field.name) and field.name not in ("volunteer", "beneficiary"):
            assert (getattr(posted, field.name) or "") == (getattr(said, field.name) or ""), field
    assert posted.volunteer == "ledgers/weihai/members/wang"
    assert (posted.state, posted.hours_minutes, posted.time_minutes) == (RecordState.POSTED, 45, 45)
    assert posted.spot_check is SpotCheck.NONE
    entry = await ledger.client.get_entry(posted.entry)
    assert entry.kind is EntryKind.RECORD_POSTED


async def test_a_record_of_a_day_has_no_end(ledger: RealLedger) -> None:
    said = draft(
        "r-1",
        evidence=EvidenceClass.D,
        date_only=True,
        end_time=None,
        minutes=90,
        external_ids=("zyh-1",),
    )
    posted = await ledger.client.submit_record(said)
    assert (posted.date_only, posted.end_time, posted.hours_minutes) == (True, None, 90)


async def test_any_number_of_records_travels_in_chunks_each_with_its_result(
    ledger: RealLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timebank.client.records, "CHUNK_RECORDS", 4)
    drafts = [draft(f"r-{number}", hours=2 * number) for number in range(10)]
    drafts[3] = draft("r-3", "nobody", hours=6)
    drafts[5] = draft("r-5", start_time=datetime(2026, 2, 20))  # noqa: DTZ001  # naive on purpose
    told: list[int] = []
    results = await ledger.client.submit_records(drafts, progress=told.append)
    assert told == [4, 8, 10]
    reasons = [one.reason for one in results if isinstance(one, TimebankError)]
    assert reasons == [Reason.MEMBER_NOT_FOUND, Reason.VALIDATION_FAILED]
    assert isinstance(results[3], TimebankError)
    assert isinstance(results[5], TimebankError)
    assert [one.replayed for one in results if isinstance(one, SubmittedRecord)] == [False] * 8
    again = await ledger.client.submit_records(drafts)
    assert [one.replayed for one in again if isinstance(one, SubmittedRecord)] == [True] * 8
    assert await ledger.city.balances("wang") == (480, 480, 8)
    assert await ledger.client.submit_records([]) == ()


async def test_records_that_went_on_meanwhile_are_still_the_same(ledger: RealLedger) -> None:
    drafts = [
        draft("void"),
        draft("old", hours=2),
        draft("claim", hours=4, evidence=EvidenceClass.B, beneficiary="li"),
        draft("new", hours=2, supersedes="old", minutes=30),
    ]
    first = await ledger.client.submit_records(drafts)
    assert all(isinstance(one, SubmittedRecord) for one in first)
    await ledger.client.void_record("void")
    await ledger.client.verify_record("claim", verifier="members/li")
    again = await ledger.client.submit_records(drafts)
    assert [isinstance(one, SubmittedRecord) and one.replayed for one in again] == [True] * 4
    single = [await ledger.client.submit_record(one) for one in drafts]
    assert [record.state for record in single] == [
        RecordState.VOIDED,
        RecordState.CORRECTED,
        RecordState.POSTED,
        RecordState.POSTED,
    ]
    shown = [one.record.state for one in again if isinstance(one, SubmittedRecord)]
    assert shown == [record.state for record in single]


async def test_a_chunk_stays_within_its_bytes(
    ledger: RealLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timebank.client.records, "CHUNK_BYTES_MAX", 5_000)
    told: list[int] = []
    drafts = [draft(f"r-{number}", hours=2 * number, content="药" * 1_000) for number in range(3)]
    await ledger.client.submit_records(drafts, progress=told.append)
    assert told == [1, 2, 3]


async def test_records_are_listed_by_volunteer_and_state(ledger: RealLedger) -> None:
    await ledger.client.submit_record(draft("r-1"))
    await ledger.client.submit_record(draft("r-2", "li", hours=2))
    claim = draft("r-3", hours=4, evidence=EvidenceClass.B, beneficiary="li")
    await ledger.client.submit_record(claim)
    assert await ids(ledger, volunteer="wang", page_size=1) == ["r-3", "r-1"]
    assert await ids(ledger, state=RecordState.CLAIMED) == ["r-3"]
    assert await ids(ledger, alarm=True) == []


async def ids(ledger: RealLedger, **wanted: object) -> list[str]:
    listed = ledger.client.list_records(**wanted)  # type: ignore[arg-type]  # as the test says
    return [record.id async for record in listed]


async def test_a_claim_is_verified_or_disputed_and_resolved(ledger: RealLedger) -> None:
    claim = draft("r-1", evidence=EvidenceClass.C)
    first, second = ledger.client_of(OFFICER), ledger.client_of(SECOND)
    assert (await first.submit_record(claim)).state is RecordState.CLAIMED
    disputed = await first.dispute_record("r-1", memo="时间不对")
    assert disputed.state is RecordState.DISPUTED
    void = await second.resolve_dispute("r-1", upheld=True)
    assert void.state is RecordState.VOIDED
    await first.submit_record(draft("r-2", evidence=EvidenceClass.C))
    assert (await second.verify_record("r-2")).state is RecordState.POSTED
    assert await ledger.city.balances("wang") == (60, 60, 0)
    assert (await ledger.client.void_record("r-2", memo="重复")).state is RecordState.VOIDED
    assert await ledger.city.balances("wang") == (0, 0, 0)


async def test_a_service_says_who_attests(ledger: RealLedger) -> None:
    service = ledger.client_of(MATCHING)
    await service.submit_record(draft("r-1", evidence=EvidenceClass.B, beneficiary="li"))
    posted = await service.verify_record("r-1", verifier="members/li")
    assert posted.state is RecordState.POSTED
    assert posted.verifiers == ("members/li",)


async def test_a_spot_check_that_was_not_drawn_is_not_resolved(ledger: RealLedger) -> None:
    await ledger.client.submit_record(draft("r-1"))
    with pytest.raises(TimebankError) as refused:
        await ledger.client.resolve_spot_check("r-1", passed=True)
    assert refused.value.reason is Reason.RECORD_STATE
