"""Edge cases of service records: one service twice, attendance that is doubtful, relatives."""

import pytest

from tests.support.commands import at
from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    MATCHING,
    OFFICER,
    SECOND,
    A,
    B,
    C,
    D,
    E,
    HoursWorld,
    State,
    policy,
    sweep,
)
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import record_pb2

MINUTE_US = 60_000_000


def by_others(city: HoursWorld, volunteer: str, late_minutes: int) -> record_pb2.ServiceRecord:
    """The same 100 minutes as another organization saw them, so many minutes later."""
    start_us = BASE_US + late_minutes * MINUTE_US
    return city.record(volunteer, start_us=start_us, minutes=100, organizer="redcross")


@pytest.mark.parametrize(("late_minutes", "percent"), [(0, 100), (20, 80)])
async def test_the_same_service_recorded_by_two_organizations_is_disputed(
    city: HoursWorld, late_minutes: int, percent: int
) -> None:
    await city.submit(city.record("wang", minutes=100), record_id="r-first")
    second = await city.submit(by_others(city, "wang", late_minutes))
    assert second.state == State.STATE_DISPUTED, percent
    assert second.duplicate_of == city.record_name("r-first")
    assert await city.balances("wang") == (100, 100, 1)


async def test_an_overlap_of_79_percent_is_refused(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=100))
    again = city.submit(by_others(city, "wang", 21), once=True)
    assert await refused(again) is Reason.RECORD_OVERLAPS


async def test_an_overlap_within_one_organization_is_refused(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=100))
    again = city.submit(city.record("wang", minutes=100), once=True)
    assert await refused(again) is Reason.RECORD_OVERLAPS


async def test_services_back_to_back_at_the_same_minute_are_fine(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=100))
    for organizer, start_us in (("redcross", BASE_US + 100 * MINUTE_US), ("community", 0)):
        start_us = start_us or BASE_US - 100 * MINUTE_US
        record = city.record("wang", start_us=start_us, minutes=100, organizer=organizer)
        assert (await city.submit(record)).state == State.STATE_POSTED
    assert await city.balances("wang") == (300, 300, 5)


async def test_the_same_service_is_found_across_merged_duplicates(city: HoursWorld) -> None:
    await city.register("wang-2")
    await city.submit(city.record("wang", minutes=100), record_id="r-first")
    into = city.member_name("wang")
    await city.call("MergeMember", name=city.member_name("wang-2"), into=into)
    second = await city.submit(by_others(city, "wang-2", 0))
    assert second.duplicate_of == city.record_name("r-first")
    same = city.record("wang-2", minutes=100)
    assert await refused(city.submit(same, once=True)) is Reason.RECORD_OVERLAPS


async def test_two_records_of_one_service_made_before_the_merge_are_settled_by_a_void(
    city: HoursWorld,
) -> None:
    await city.register("wang-2")
    await city.submit(city.record("wang", minutes=100))
    await city.submit(by_others(city, "wang-2", 0), record_id="r-second")
    into = city.member_name("wang")
    await city.call("MergeMember", name=city.member_name("wang-2"), into=into)
    assert (await city.star("wang")).hours_minutes == 200
    await city.call("VoidRecord", SECOND, name=city.record_name("r-second"))
    assert (await city.star("wang")).hours_minutes == 100


async def test_an_upheld_dispute_voids_and_a_refused_one_waits_for_the_first_to_be_void(
    city: HoursWorld,
) -> None:
    await city.submit(city.record("wang", minutes=100), record_id="r-first")
    await city.submit(by_others(city, "wang", 0), record_id="r-second")
    name = city.record_name("r-second")
    stands = city.call("ResolveDispute", SECOND, name=name, upheld=False, once=True)
    assert await refused(stands) is Reason.RECORD_OVERLAPS
    await city.call("VoidRecord", SECOND, name=city.record_name("r-first"))
    posted = await city.call("ResolveDispute", SECOND, name=name, upheld=False)
    assert posted.state == State.STATE_POSTED
    assert await city.balances("wang") == (100, 100, 1)
    await city.submit(by_others(city, "wang", 3 * 1_440), record_id="r-third")
    third = city.record_name("r-third")
    again = city.call("ResolveDispute", SECOND, name=third, upheld=True, once=True)
    assert await refused(again) is Reason.RECORD_STATE


def unclosed(city: HoursWorld, start_us: int, minutes: int) -> record_pb2.ServiceRecord:
    """A planned service without a check-out that the elder who received it attests."""
    return city.record(
        "wang",
        start_us=start_us,
        end_time=None,
        planned_minutes=minutes,
        beneficiary=city.member_name("li-elder"),
        verifiers=["members/li-elder"],
    )


async def test_who_did_not_check_out_is_credited_at_most_as_planned_and_a_class_lower(
    city: HoursWorld,
) -> None:
    record = unclosed(city, BASE_US, 90)
    closed = await city.submit(record, record_id="r-open")
    assert closed.auto_closed
    assert closed.evidence == B
    assert closed.end_time == at(BASE_US + 90 * MINUTE_US)
    assert (closed.state, closed.hours_minutes) == (State.STATE_POSTED, 90)


async def test_a_service_without_check_out_is_closed_six_hours_after_its_end(
    city: HoursWorld,
) -> None:
    now_us = city.world.clock.now_us()
    start_us = now_us - 7 * HOUR_US
    open_ = unclosed(city, start_us, 61)
    assert await refused(city.submit(open_, once=True)) is Reason.VALIDATION_FAILED
    city.world.clock.advance(us=MINUTE_US)
    assert (await city.submit(open_)).hours_minutes == 61


@pytest.mark.parametrize(("minutes", "credited"), [(59, 0), (60, 60)])
async def test_presence_below_60_percent_of_the_activity_earns_nothing(
    city: HoursWorld, minutes: int, credited: int
) -> None:
    record = city.record("wang", minutes=minutes, planned_minutes=100)
    assert (await city.submit(record)).hours_minutes == credited
    assert (await city.balances("wang"))[0] == credited


async def test_records_without_times_take_at_most_12_hours_of_a_day(city: HoursWorld) -> None:
    def imported(minutes: int, shift_us: int = 0) -> record_pb2.ServiceRecord:
        return _with_minutes(city, minutes, shift_us)

    await city.submit(imported(700))
    assert await refused(city.submit(imported(21), once=True)) is Reason.LIMIT_EXCEEDED
    await city.submit(imported(20))
    await city.submit(imported(720, DAY_US))
    assert (await city.balances("wang"))[0] == 1_440
    too_long = city.submit(imported(721, 2 * DAY_US), once=True)
    assert await refused(too_long) is Reason.VALIDATION_FAILED


def _with_minutes(city: HoursWorld, minutes: int, shift_us: int) -> record_pb2.ServiceRecord:
    record = city.record("wang", start_us=BASE_US + shift_us, end_time=None, evidence=D)
    record.date_only, record.minutes = True, minutes
    record.external_ids.append("x-1")
    return record


async def test_a_record_without_times_overlaps_nothing(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=600))
    assert (await city.submit(_with_minutes(city, 600, 0))).state == State.STATE_POSTED


@pytest.mark.parametrize(
    ("rule", "credited"), [("HONOUR_ONLY", (60, 0, 0)), ("NORMAL", (60, 60, 1))]
)
@pytest.mark.parametrize("beneficiary", ["wang", "li-elder"])
async def test_a_service_to_oneself_or_a_relative_is_flagged_and_worth_what_the_policy_says(
    bare: HoursWorld, rule: str, credited: tuple[int, int, int], beneficiary: str
) -> None:
    await family(bare, rule)
    record = bare.record("wang", beneficiary=bare.member_name(beneficiary))
    assert (await bare.submit(record)).relative
    assert await bare.balances("wang") == credited


@pytest.mark.parametrize("beneficiary", ["wang", "li-elder"])
async def test_a_policy_may_refuse_services_to_oneself_and_to_relatives(
    bare: HoursWorld, beneficiary: str
) -> None:
    await family(bare, "REFUSE")
    record = bare.record("wang", beneficiary=bare.member_name(beneficiary))
    assert await refused(bare.submit(record, once=True)) is Reason.EVIDENCE_TOO_WEAK
    parent, child = bare.member_name("wang"), bare.member_name("li-elder")
    await bare.call("LinkFamily", name=parent, relative=child, relation="CHILD", ended=True)
    stranger = bare.record("wang", beneficiary=bare.member_name("li-elder"))
    assert not (await bare.submit(stranger)).relative


async def test_a_duplicate_of_the_volunteer_is_no_beneficiary_to_earn_from(
    city: HoursWorld,
) -> None:
    await city.register("wang-2")
    into = city.member_name("wang")
    await city.call("MergeMember", name=city.member_name("wang-2"), into=into)
    record = city.record("wang", beneficiary=city.member_name("wang-2"))
    assert (await city.submit(record)).relative
    assert await city.balances("wang") == (60, 0, 0)


async def family(bare: HoursWorld, rule: str) -> None:
    """A policy about relatives, and two of them."""
    await bare.adopt(policy(self_service=rule))
    await bare.register("wang")
    await bare.register("li-elder")
    relative = bare.member_name("li-elder")
    await bare.call(
        "LinkFamily", name=bare.member_name("wang"), relative=relative, relation="PARENT"
    )


async def test_unverifiable_records_are_never_attested_on_arrival(city: HoursWorld) -> None:
    record = city.record("wang", evidence=E, verifiers=["zhao"])
    assert await refused(city.submit(record, once=True)) is Reason.EVIDENCE_TOO_WEAK
    member = Principal(PrincipalKind.MEMBER, "wang")
    claim = await city.submit(city.record("wang", evidence=E), member, record_id="r-e")
    assert claim.state == State.STATE_CLAIMED
    posted = await city.call("VerifyRecord", OFFICER, name=city.record_name("r-e"))
    assert (posted.state, posted.hours_minutes, posted.points) == (State.STATE_POSTED, 60, 0)


async def test_a_dispute_stops_the_publicity(city: HoursWorld) -> None:
    await city.adopt(policy(publicity_days=1, effective_from="2026-01-02"))
    shown = await city.submit(city.record("wang", evidence=A), record_id="r-shown")
    assert (shown.state, shown.pending_points) == (State.STATE_PUBLICISED, 1)
    name = city.record_name("r-shown")
    await city.call("DisputeRecord", MATCHING, name=name, memo="没有看到人")
    city.world.clock.advance(us=10 * DAY_US)
    await sweep()
    assert (await city.call("GetRecord", name=name)).state == State.STATE_DISPUTED
    assert await city.balances("wang") == (0, 0, 0)
    assert (await city.star("wang")).pending_points == 0


async def test_a_back_entry_that_nobody_else_attests_stays_a_claim(city: HoursWorld) -> None:
    record = city.record("wang", evidence=C, recorder="li")
    claim = await city.submit(record)
    assert claim.state == State.STATE_CLAIMED
    assert await city.balances("wang") == (0, 0, 0)
