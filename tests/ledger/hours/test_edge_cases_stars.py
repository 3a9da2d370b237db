"""Edge cases of stars 星级: wrong hours found late, boundaries, evaluations, points spent."""

from typing import Any

import pytest

from tests.ledger.hours.test_edge_cases_earning import redeem, us_at
from tests.support.hours import (
    BASE_US,
    DAY_US,
    MATCHING,
    OFFICER,
    OPERATOR,
    SECOND,
    STRANGER,
    HoursWorld,
    policy,
    preset,
)
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason

LEVELS = [
    {"star": star, "hours": hours, "points": 0, "quality_tenths": quality}
    for star, hours, quality in ((1, 1, 0), (2, 2, 0), (3, 3, 35), (4, 4, 40), (5, 5, 42))
]
"""The national floors of quality, at a few hours each."""


async def wrongly_starred(city: HoursWorld) -> str:
    """60 hours and 50 more that were 5: a star is granted, and months later 45 hours go."""
    await city.serve("wang", 60)
    await city.submit(
        city.record("wang", start_us=BASE_US + 3 * DAY_US, minutes=48 * 60), record_id="r-50"
    )
    assert (await city.star("wang")).star == 1
    city.world.clock.advance(us=90 * DAY_US)
    fixed = city.record(
        "wang", start_us=BASE_US + 3 * DAY_US, minutes=300, supersedes=city.record_name("r-50")
    )
    await city.submit(fixed)
    star = await city.star("wang")
    assert (star.star, star.under_review, star.hours_minutes) == (1, True, 65 * 60)
    return city.member_name("wang")


async def test_fifty_hours_typed_for_five_open_a_review_and_the_star_may_be_kept(
    city: HoursWorld,
) -> None:
    name = await wrongly_starred(city)
    kept = await city.call("CloseStarReview", name=name, keep=True, memo="当时无过错")
    assert (kept.star, kept.under_review, kept.kept) == (1, False, True)
    again = city.record("wang", start_us=BASE_US + 5 * DAY_US)
    await city.submit(again)
    star = await city.star("wang")
    assert (star.star, star.under_review) == (1, False)  # kept is kept: no second review
    closed = city.call("CloseStarReview", name=name, keep=False, once=True)
    assert await refused(closed) is Reason.STAR_STATE


async def test_fifty_hours_typed_for_five_open_a_review_and_the_star_may_be_taken(
    city: HoursWorld,
) -> None:
    name = await wrongly_starred(city)
    taken = await city.call("CloseStarReview", name=name, keep=False)
    assert (taken.star, taken.under_review, taken.missing_minutes) == (0, False, 35 * 60)
    await city.serve("wang", 35, start_us=us_at(2026, 3, 10))
    assert (await city.star("wang")).star == 1


async def test_a_review_closes_by_itself_when_the_hours_are_there_again(city: HoursWorld) -> None:
    await wrongly_starred(city)
    await city.serve("wang", 35, start_us=us_at(2026, 3, 10))
    star = await city.star("wang")
    assert (star.star, star.under_review) == (1, False)


@pytest.mark.parametrize(("minutes", "star"), [(5_999, 0), (6_000, 1)])
async def test_the_first_national_star_comes_with_the_6000th_minute(
    city: HoursWorld, minutes: int, star: int
) -> None:
    await city.serve("wang", 96)
    await city.submit(city.record("wang", start_us=BASE_US + 5 * DAY_US, minutes=minutes - 5_760))
    found = await city.star("wang")
    assert (found.star, found.hours_minutes) == (star, minutes)
    assert found.missing_minutes == (1 if not star else 12_000)


@pytest.mark.parametrize(
    ("hours", "late", "stars"), [(99, 59, 0), (99, 60, 1), (299, 59, 1), (299, 60, 2)]
)
async def test_each_star_of_a_table_comes_with_its_last_minute(
    bare: HoursWorld, hours: int, late: int, stars: int
) -> None:
    await bare.adopt(preset("national", effective_from="2025-10-01"))
    await bare.register("wang")
    await bare.serve("wang", hours, start_us=us_at(2026, 1, 10))
    await bare.submit(bare.record("wang", start_us=us_at(2026, 2, 25), minutes=late))
    assert (await bare.star("wang")).star == stars


async def test_points_earned_stay_when_points_are_spent(bare: HoursWorld) -> None:
    await bare.adopt(preset("longquanyi"))
    await bare.register("wang")
    await bare.serve("wang", 50)
    before = await bare.star("wang")
    assert (before.star, before.points_earned) == (1, 500)
    await redeem(bare, "wang", 500)
    assert await bare.balances("wang") == (3_000, 3_000, 0)
    assert await bare.star("wang") == before


async def test_a_table_that_demotes_lowers_the_star_by_itself(bare: HoursWorld) -> None:
    await bare.adopt(preset("longquanyi"))
    await bare.register("wang")
    await bare.serve("wang", 49)
    start_us = BASE_US + 4 * DAY_US
    await bare.submit(bare.record("wang", start_us=start_us), record_id="r-last")
    assert (await bare.star("wang")).star == 1
    await bare.call("VoidRecord", SECOND, name=bare.record_name("r-last"))
    star = await bare.star("wang")
    assert (star.star, star.under_review, star.missing_points) == (0, False, 10)


async def rate(bare: HoursWorld, rater: str, score: int, role: str = "PEER") -> None:
    """Evaluates wang."""
    name = bare.member_name("wang")
    await bare.call("EvaluateMember", MATCHING, name=name, role=role, rater=rater, score=score)


async def test_a_quality_shows_from_the_third_rater_on_and_floors_count_from_then(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(stars={"levels": LEVELS}))
    for member_id in ("wang", "a", "b", "c"):
        await bare.register(member_id)
    await bare.serve("wang", 5)
    assert (await bare.star("wang")).star == 4  # nobody is believed to be worse than 4.0
    for member_id, shown in (("a", 0), ("b", 0), ("c", 28)):
        await rate(bare, bare.member_name(member_id), 1)
        assert (await bare.star("wang")).quality_tenths == shown
    star = await bare.star("wang")
    assert (star.star, star.under_review) == (4, True)
    taken = await bare.call("CloseStarReview", name=star.name.removesuffix("/star"), keep=False)
    assert taken.star == 2


async def test_the_fifth_star_needs_a_quality_that_was_shown(bare: HoursWorld) -> None:
    await bare.adopt(policy(stars={"levels": LEVELS}))
    for member_id in ("wang", "a", "b", "c"):
        await bare.register(member_id)
    await bare.serve("wang", 5)
    for member_id in ("a", "b"):
        await rate(bare, bare.member_name(member_id), 5)
    assert (await bare.star("wang")).star == 4
    await rate(bare, bare.member_name("c"), 5)
    star = await bare.star("wang")
    assert (star.star, star.quality_tenths) == (5, 43)


async def test_nobody_evaluates_themselves_also_not_as_an_officer_or_a_duplicate(
    city: HoursWorld,
) -> None:
    await city.register("wang-2", officer="zhao")
    name = city.member_name("wang")
    await city.call("MergeMember", name=city.member_name("wang-2"), into=name)
    fields: dict[str, Any] = {"name": name, "score": 5, "once": True}
    members = (Principal(PrincipalKind.MEMBER, member_id) for member_id in ("wang", "wang-2"))
    for caller, role in ((SECOND, "COMMUNITY"), *((member, "PEER") for member in members)):
        call = city.call("EvaluateMember", caller, role=role, **fields)
        assert await refused(call) is Reason.EVALUATION_REFUSED
    await city.call("EvaluateMember", OFFICER, role="COMMUNITY", **fields)


async def test_peers_do_not_evaluate_each_other_in_one_quarter(city: HoursWorld) -> None:
    await city.register("zhang")
    wang, zhang = (Principal(PrincipalKind.MEMBER, name) for name in ("wang", "zhang"))
    to_wang: dict[str, Any] = {"name": city.member_name("wang"), "role": "PEER", "score": 5}
    to_zhang: dict[str, Any] = to_wang | {"name": city.member_name("zhang")}
    await city.call("EvaluateMember", zhang, **to_wang)
    mutual = city.call("EvaluateMember", wang, once=True, **to_zhang)
    assert await refused(mutual) is Reason.EVALUATION_REFUSED
    twice = city.call("EvaluateMember", zhang, once=True, **to_wang)
    assert await refused(twice) is Reason.EVALUATION_EXISTS
    city.world.clock.advance(us=31 * DAY_US)
    await city.call("EvaluateMember", wang, **to_zhang)


async def test_of_one_rater_and_role_the_last_score_counts(bare: HoursWorld) -> None:
    await bare.adopt(policy(stars={"levels": LEVELS, "min_raters": 1}))
    await bare.register("wang")
    await rate(bare, "zhao", 1)
    assert (await bare.star("wang")).quality_tenths == 35
    bare.world.clock.advance(us=31 * DAY_US)
    await rate(bare, "zhao", 5)
    assert (await bare.star("wang")).quality_tenths == 41


async def test_the_fifth_star_is_voted_where_the_policy_says_so(bare: HoursWorld) -> None:
    levels = [level | {"quality_tenths": 0} for level in LEVELS]
    await bare.adopt(policy(stars={"levels": levels, "five_by_selection": True}))
    await bare.register("wang")
    name = bare.member_name("wang")
    await bare.serve("wang", 3)
    early = bare.call("SelectStar", name=name, once=True)
    assert await refused(early) is Reason.STAR_STATE
    await bare.serve("wang", 2, start_us=BASE_US + DAY_US)
    assert (await bare.star("wang")).star == 4
    assert (await bare.call("SelectStar", name=name)).star == 5
    again = bare.call("SelectStar", name=name, once=True)
    assert await refused(again) is Reason.STAR_STATE


async def test_a_star_is_read_by_who_may_see_the_member(city: HoursWorld) -> None:
    await city.serve("wang", 1)
    for caller in (OPERATOR, OFFICER, Principal(PrincipalKind.MEMBER, "wang")):
        assert (await city.star("wang", caller)).hours_minutes == 60
    for caller in (STRANGER, Principal(PrincipalKind.MEMBER, "li-elder")):
        assert await refused(city.star("wang", caller)) is Reason.MEMBER_NOT_FOUND
