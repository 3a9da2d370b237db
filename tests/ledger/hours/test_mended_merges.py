"""Merges, corrections and replays that once took back from the wrong member: what a record credited
goes back from where it went. Each test ends with an audit.
"""

from typing import Any

from tests.ledger.hours.test_edge_cases_members import merge, unmerge
from tests.support.commands import new_id
from tests.support.hours import BASE_US, DAY_US, HoursWorld, State, policy
from timebank.ledger.v1 import policy_service_pb2, star_service_pb2

LEVELS = [
    {"star": star, "hours": star, "points": 0, "quality_tenths": 0} for star in (1, 2, 3, 4, 5)
]
"""A star an hour."""
STARS: dict[str, Any] = {"stars": {"levels": LEVELS}}
Standing = tuple[int, bool]


async def twins(bare: HoursWorld) -> None:
    """One person who is registered twice, where every hour is a star."""
    await bare.adopt(policy(**STARS))
    for member_id in ("wang", "wang-2"):
        await bare.register(member_id)


async def served(bare: HoursWorld, member_id: str, name: str, day: int, **fields: Any) -> None:
    """Posts a record of some day; an hour unless told otherwise."""
    record = bare.record(member_id, start_us=BASE_US + day * DAY_US, **fields)
    posted = await bare.submit(record, record_id=name)
    assert posted.state == State.STATE_POSTED


async def void(bare: HoursWorld, name: str) -> None:
    """Declares a record void."""
    await bare.call("VoidRecord", name=bare.record_name(name))


async def standing(bare: HoursWorld, member_id: str) -> Standing:
    """The star of a member, and whether it is under review."""
    star: star_service_pb2.Star = await bare.star(member_id)
    return star.star, star.under_review


async def replay(
    bare: HoursWorld, version: str, request_id: str = ""
) -> policy_service_pb2.ReplayPolicyResponse:
    """Replays a version over all records of its time."""
    found: policy_service_pb2.ReplayPolicyResponse = await bare.call(
        "ReplayPolicy", name=version, request_id=request_id or new_id(), once=bool(request_id)
    )
    return found


async def test_voiding_what_was_credited_before_a_merge_leaves_the_root_alone(
    bare: HoursWorld,
) -> None:
    await twins(bare)
    await served(bare, "wang", "r-1", 0)
    await served(bare, "wang-2", "r-2", 1)
    await merge(bare, "wang-2", "wang")
    assert await standing(bare, "wang") == (2, False)
    await void(bare, "r-2")
    assert await bare.balances("wang") == (60, 60, 1)
    assert await bare.balances("wang-2") == (0, 0, 0)
    assert await standing(bare, "wang") == (2, True)
    await unmerge(bare, "wang-2")
    assert (await bare.star("wang")).hours_minutes == 60
    assert (await bare.star("wang-2")).hours_minutes == 0


async def test_correcting_what_was_credited_before_a_merge_takes_it_back_where_it_went(
    bare: HoursWorld,
) -> None:
    await twins(bare)
    await served(bare, "wang", "r-1", 0)
    await served(bare, "wang-2", "r-2", 1, minutes=180)
    await merge(bare, "wang-2", "wang")
    await served(bare, "wang-2", "r-3", 1, supersedes=bare.record_name("r-2"))
    assert await bare.balances("wang") == (120, 120, 2)
    assert await bare.balances("wang-2") == (0, 0, 0)
    assert await standing(bare, "wang") == (4, True)


async def test_voiding_what_the_root_got_for_a_duplicate_takes_it_back_from_the_root(
    bare: HoursWorld,
) -> None:
    await twins(bare)
    await served(bare, "wang", "r-1", 0)
    await served(bare, "wang-2", "r-2", 1)
    await merge(bare, "wang-2", "wang")
    await served(bare, "wang-2", "r-3", 2, minutes=120)
    assert await bare.balances("wang") == (180, 180, 3)
    await unmerge(bare, "wang-2")
    await void(bare, "r-3")
    assert await bare.balances("wang") == (60, 60, 1)
    assert await bare.balances("wang-2") == (60, 60, 1)
    assert await standing(bare, "wang") == (4, True)
    assert await standing(bare, "wang-2") == (1, False)
    assert (await bare.star("wang")).hours_minutes == 60


async def test_correcting_it_after_the_parting_credits_who_served(bare: HoursWorld) -> None:
    await twins(bare)
    await merge(bare, "wang-2", "wang")
    await served(bare, "wang-2", "r-1", 0, minutes=180)
    await unmerge(bare, "wang-2")
    assert await standing(bare, "wang-2") == (0, False)
    await served(bare, "wang-2", "r-2", 0, minutes=120, supersedes=bare.record_name("r-1"))
    assert await bare.balances("wang") == (0, 0, 0)
    assert await bare.balances("wang-2") == (120, 120, 2)
    assert await standing(bare, "wang") == (3, True)
    assert await standing(bare, "wang-2") == (2, False)
    await void(bare, "r-2")
    assert await bare.balances("wang-2") == (0, 0, 0)
    assert await standing(bare, "wang-2") == (2, True)


async def test_a_replay_after_the_parting_credits_who_served(bare: HoursWorld) -> None:
    await twins(bare)
    await served(bare, "wang", "r-1", 0)
    await merge(bare, "wang-2", "wang")
    await served(bare, "wang-2", "r-2", 1)
    await unmerge(bare, "wang-2")
    adopted = await bare.adopt(policy(**STARS, earn={"back_entry_points": True}), replay=True)
    assert (await replay(bare, adopted.name)).corrected == 2
    assert await bare.balances("wang") == (60, 60, 1)
    assert await bare.balances("wang-2") == (60, 60, 1)
    assert await standing(bare, "wang") == (2, True)
    assert await standing(bare, "wang-2") == (1, False)


async def test_a_replay_after_a_merge_credits_the_root(bare: HoursWorld) -> None:
    await twins(bare)
    await served(bare, "wang", "r-1", 0)
    await served(bare, "wang-2", "r-2", 1)
    await merge(bare, "wang-2", "wang")
    adopted = await bare.adopt(policy(**STARS, earn={"back_entry_points": True}), replay=True)
    assert (await replay(bare, adopted.name)).corrected == 2
    assert await bare.balances("wang") == (120, 120, 2)
    assert await bare.balances("wang-2") == (0, 0, 0)
    assert await standing(bare, "wang") == (2, False)


async def test_a_replay_is_repeated_whatever_was_posted_meanwhile(bare: HoursWorld) -> None:
    await twins(bare)
    for number in (1, 3):
        await served(bare, "wang", f"r-{number}", number)
    adopted = await bare.adopt(policy(**STARS, earn={"reward": "TIME"}), replay=True)
    request_id = new_id()
    first = await replay(bare, adopted.name, request_id)
    assert (first.records, first.corrected) == (2, 2)
    for number in (0, 2, 4):
        await served(bare, "wang", f"r-{number}", number)
    again = await replay(bare, adopted.name, request_id)
    assert (again.records, again.corrected) == (5, 2)
    assert await bare.balances("wang") == (300, 300, 0)


async def test_a_replay_counts_what_it_cannot_correct_and_goes_on(bare: HoursWorld) -> None:
    await bare.adopt(policy(earn={"reward": "POINTS"}))
    for member_id in ("wang", "wang-2"):
        await bare.register(member_id)
    for day, member_id in enumerate(("wang", "wang-2")):
        await served(bare, member_id, f"r-{day}", day)
    member = await bare.call("GetMember", name=bare.member_name("wang"))
    await bare.world.close(member.time_account)
    adopted = await bare.adopt(policy(), replay=True)
    answer = await replay(bare, adopted.name)
    assert (answer.records, answer.corrected, answer.refused) == (2, 1, 1)
    assert await bare.balances("wang") == (60, 0, 1)
    assert await bare.balances("wang-2") == (60, 60, 1)
