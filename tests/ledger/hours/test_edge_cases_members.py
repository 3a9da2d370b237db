"""Edge cases of members: duplicates, deaths, minors, moving away, no-shows."""

import json
from typing import Any

import pytest

from tests.support.commands import POOL, TIME, at
from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    OFFICER,
    SECOND,
    C,
    HoursWorld,
    State,
    policy,
    sweep,
)
from tests.support.ledgers import refused
from timebank.errors import Reason
from timebank.ledger.v1 import member_pb2
from timebank.tlog.note import parse_note, verify_note

MemberState = member_pb2.Member.State


async def merge(city: HoursWorld, member_id: str, into: str) -> member_pb2.Member:
    """Declares a duplicate."""
    found: member_pb2.Member = await city.call(
        "MergeMember", name=city.member_name(member_id), into=city.member_name(into)
    )
    return found


async def unmerge(city: HoursWorld, member_id: str) -> member_pb2.Member:
    """Undoes it."""
    found: member_pb2.Member = await city.call("UnmergeMember", name=city.member_name(member_id))
    return found


async def test_a_merge_moves_nothing_and_counts_everything_and_can_be_undone(
    city: HoursWorld,
) -> None:
    await city.register("wang-2")
    await city.submit(city.record("wang", minutes=120))
    await city.submit(city.record("wang-2", start_us=BASE_US + DAY_US))
    merged = await merge(city, "wang-2", "wang")
    assert merged.state == MemberState.STATE_MERGED
    assert merged.merged_into == city.member_name("wang")
    assert (await city.star("wang")).hours_minutes == 180
    assert await city.balances("wang-2") == (60, 60, 1)
    await city.submit(city.record("wang-2", start_us=BASE_US + 2 * DAY_US))
    assert await city.balances("wang") == (180, 180, 3)  # a duplicate stands for its root
    assert (await unmerge(city, "wang-2")).state == MemberState.STATE_ACTIVE
    assert (await city.star("wang")).hours_minutes == 180
    assert (await city.star("wang-2")).hours_minutes == 60


async def test_the_stars_of_duplicates_count_together_and_a_parting_opens_a_review(
    city: HoursWorld,
) -> None:
    await city.register("wang-2")
    await city.serve("wang", 60)
    await city.serve("wang-2", 40)
    assert (await city.star("wang")).star == 0
    await merge(city, "wang-2", "wang")
    assert (await city.star("wang")).star == 1
    await unmerge(city, "wang-2")
    star = await city.star("wang")
    assert (star.star, star.under_review) == (1, True)


async def test_four_eyes_see_through_a_merge(city: HoursWorld) -> None:
    await city.register("wang-2", officer="zhao")
    record = city.record("wang", evidence=C)
    await city.submit(record, OFFICER, record_id="r-c")
    await merge(city, "wang-2", "wang")
    name = city.record_name("r-c")
    assert await refused(city.call("VerifyRecord", SECOND, name=name, once=True)) is (
        Reason.FOUR_EYES_REQUIRED
    )
    await unmerge(city, "wang-2")
    assert (await city.call("VerifyRecord", SECOND, name=name)).state == State.STATE_POSTED


async def test_a_daily_cap_counts_duplicates_together_also_for_services_before_the_merge(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(earn={"caps": {"day_minutes": 100}}))
    for member_id in ("wang", "wang-2"):
        await bare.register(member_id)
    await bare.submit(bare.record("wang", minutes=60))
    await bare.submit(bare.record("wang-2", start_us=BASE_US + HOUR_US, minutes=30))
    await merge(bare, "wang-2", "wang")
    last = bare.record("wang-2", start_us=BASE_US + 2 * HOUR_US, minutes=60)
    posted = await bare.submit(last)
    assert (posted.hours_minutes, posted.time_minutes) == (60, 10)


async def test_a_duplicate_and_its_own_duplicates_follow_to_the_new_root(city: HoursWorld) -> None:
    for member_id in ("wang-2", "wang-3"):
        await city.register(member_id)
    await merge(city, "wang-3", "wang-2")
    await merge(city, "wang-2", "wang")
    third = await city.call("GetMember", name=city.member_name("wang-3"))
    assert third.merged_into == city.member_name("wang")
    again = city.call(
        "MergeMember",
        name=city.member_name("wang-2"),
        into=city.member_name("wang"),
        once=True,
    )
    assert await refused(again) is Reason.MEMBER_NOT_ACTIVE


async def test_a_dead_members_time_goes_to_the_spouse_and_the_points_lapse(
    city: HoursWorld,
) -> None:
    await city.register("spouse")
    await city.submit(city.record("wang", minutes=120))
    wang, spouse = city.member_name("wang"), city.member_name("spouse")
    early = city.call("RecordDeath", OFFICER, name=wang, heir=spouse, once=True)
    assert await refused(early) is Reason.FAMILY_LINK_MISSING
    await city.call("LinkFamily", name=wang, relative=spouse, relation="SPOUSE")
    dead = await city.call("RecordDeath", OFFICER, name=wang, heir=spouse)
    assert dead.state == MemberState.STATE_DECEASED
    assert await city.balances("wang") == (120, 0, 0)
    assert await city.balances("spouse") == (0, 120, 0)
    for call in (
        city.submit(city.record("wang", start_us=BASE_US + DAY_US), once=True),
        city.call("TransferTime", name=wang, minutes=1, once=True),
        city.call("RecordDeath", OFFICER, name=wang, once=True),
    ):
        assert await refused(call) is Reason.MEMBER_NOT_ACTIVE


async def test_a_sibling_inherits_nothing_and_without_heirs_the_pool_does(
    city: HoursWorld,
) -> None:
    await city.register("sibling")
    await city.submit(city.record("wang", minutes=120))
    wang, sibling = city.member_name("wang"), city.member_name("sibling")
    await city.call("LinkFamily", name=wang, relative=sibling, relation="SIBLING")
    call = city.call("RecordDeath", OFFICER, name=wang, heir=sibling, once=True)
    assert await refused(call) is Reason.FAMILY_LINK_MISSING
    await city.call("RecordDeath", OFFICER, name=wang)
    assert await pool_minutes(city) == 120


async def pool_minutes(city: HoursWorld) -> int:
    """TIME in the public pool."""
    return (await city.world.balance(city.world.system[POOL, TIME])).posted


async def test_a_policy_may_give_the_time_of_the_dead_to_the_pool_and_keep_their_points(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(death={"time": "POOL", "points": "KEEP"}))
    for member_id in ("wang", "spouse"):
        await bare.register(member_id)
    await bare.submit(bare.record("wang", minutes=120))
    wang, spouse = bare.member_name("wang"), bare.member_name("spouse")
    await bare.call("LinkFamily", name=wang, relative=spouse, relation="SPOUSE")
    call = bare.call("RecordDeath", OFFICER, name=wang, heir=spouse, once=True)
    assert await refused(call) is Reason.VALIDATION_FAILED
    await bare.call("RecordDeath", OFFICER, name=wang)
    assert await bare.balances("wang") == (120, 0, 2)
    assert await pool_minutes(bare) == 120


async def test_a_minor_needs_a_guardian_who_consents_until_the_coming_of_age(
    city: HoursWorld,
) -> None:
    adult_us = city.world.clock.now_us() + 30 * DAY_US
    consent = {"guardian_consent": True}
    refusals: list[tuple[dict[str, Any], Reason]] = [
        ({}, Reason.VALIDATION_FAILED),
        ({"guardian": city.member_name("wang")}, Reason.VALIDATION_FAILED),
        ({"guardian": city.member_name("nobody"), **consent}, Reason.MEMBER_NOT_FOUND),
    ]
    for fields, expected in refusals:
        call = city.register("young", adult_time=at(adult_us), **fields)
        assert await refused(call) is expected
    young: dict[str, Any] = {"guardian": city.member_name("wang"), "guardian_consent": True}
    await city.register("young", adult_time=at(adult_us), **young)
    city.world.clock.advance(us=30 * DAY_US - 1_000_000)
    await sweep()
    name = city.member_name("young")
    assert (await city.call("GetMember", name=name)).guardian == city.member_name("wang")
    city.world.clock.advance(us=1_000_000)
    await sweep()
    adult = await city.call("GetMember", name=name)
    assert (adult.guardian, adult.guardian_consent) == ("", False)
    assert not adult.HasField("adult_time")


async def test_who_moves_away_takes_a_signed_statement_and_leaves_only_hours_and_star(
    city: HoursWorld,
) -> None:
    await city.serve("wang", 100)
    name = city.member_name("wang")
    answer = await city.call("ExportMember", name=name, destination="烟台市")
    note = parse_note(answer.statement)
    assert verify_note(note, [city.world.verifier_key])
    said = json.loads(note.text.splitlines()[1])
    assert (said["hours_minutes"], said["time_minutes"]) == (6_000, 6_000)
    assert (said["points"], said["star"]) == (100, 1)
    assert (said["destination"], said["member"]) == ("烟台市", "wang")
    assert answer.member.state == MemberState.STATE_EXPORTED
    assert await city.balances("wang") == (6_000, 0, 0)
    for call in (
        city.call("ExportMember", name=name, destination="烟台市", once=True),
        city.submit(city.record("wang", start_us=BASE_US + 9 * DAY_US), once=True),
        city.call("TransferTime", name=name, minutes=1, once=True),
    ):
        assert await refused(call) is Reason.MEMBER_NOT_ACTIVE


@pytest.mark.parametrize(("malicious", "most"), [(False, 5), (True, 3)])
async def test_no_shows_suspend_a_registration_and_the_star_is_kept(
    city: HoursWorld, malicious: bool, most: int
) -> None:
    await city.serve("wang", 100)
    name = city.member_name("wang")
    for number in range(most):
        member = await city.call("GetMember", name=name)
        assert member.state == MemberState.STATE_ACTIVE
        member = await city.call(
            "ReportNoShow",
            OFFICER,
            name=name,
            activity=f"a-{number}",
            day="2026-03-01",
            malicious=malicious,
        )
    assert member.state == MemberState.STATE_SUSPENDED
    assert (await city.star("wang")).star == 1
    late = city.record("wang", start_us=BASE_US + 9 * DAY_US)
    assert await refused(city.submit(late, once=True)) is Reason.MEMBER_NOT_ACTIVE
    await city.call("ReinstateMember", OFFICER, name=name)
    assert (await city.submit(late)).state == State.STATE_POSTED


async def test_no_shows_of_another_year_and_of_the_same_activity_do_not_suspend(
    city: HoursWorld,
) -> None:
    name = city.member_name("wang")
    fields: dict[str, Any] = {"name": name, "activity": "a-0", "malicious": True}
    for day in ("2025-12-29", "2025-12-30", "2025-12-31", "2026-01-01", "2026-01-02"):
        member = await city.call("ReportNoShow", OFFICER, day=day, **fields)
    assert member.state == MemberState.STATE_ACTIVE
    again = city.call("ReportNoShow", OFFICER, day="2026-01-02", once=True, **fields)
    assert await refused(again) is Reason.NO_SHOW_EXISTS


async def test_no_shows_of_duplicates_count_together(city: HoursWorld) -> None:
    await city.register("wang-2")
    for number, member_id in enumerate(("wang-2", "wang-2", "wang")):
        member = await city.call(
            "ReportNoShow",
            OFFICER,
            name=city.member_name(member_id),
            activity=f"a-{number}",
            day="2026-03-01",
            malicious=True,
        )
        if not number:
            await merge(city, "wang-2", "wang")
    assert member.state == MemberState.STATE_SUSPENDED
