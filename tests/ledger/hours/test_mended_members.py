"""Members, stars and certificates that were once answered wrongly: deaths, repeated requests, and
who may do and see what. Each test ends with an audit.
"""

from typing import Any

import pytest

from tests.ledger.hours.refusals import AUDITOR, ELDER, PLATFORM, WANG, Scene, wording
from tests.ledger.hours.test_personal_data import cells
from tests.support.commands import MERCHANT, POINTS, REDEMPTION, START_US, TIME, at, new_id, post
from tests.support.hours import (
    DAY_US,
    OFFICER,
    OPERATOR,
    SECOND,
    STRANGER,
    HoursWorld,
    policy,
)
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import member_pb2

LEVELS = [
    {"star": star, "hours": star, "points": 0, "quality_tenths": 0} for star in (1, 2, 3, 4, 5)
]
"""A star an hour."""
PERSON = {"display_name": "王桂兰", "id_number": "371002195203041529"}
NEIGHBOUR = Principal(PrincipalKind.MEMBER, "chen")


async def refused_whole(city: HoursWorld, reason: Reason, call: Any) -> None:
    """Makes a call, which must be refused and enter nothing."""
    size = await city.world.size()
    assert await refused(call) is reason
    assert await city.world.size() == size


async def read(city: HoursWorld, member_id: str) -> member_pb2.Member:
    """Reads a member."""
    found: member_pb2.Member = await city.call("GetMember", name=city.member_name(member_id))
    return found


async def test_a_star_without_a_policy_is_neither_selected_nor_reviewed(bare: HoursWorld) -> None:
    await bare.register("wang")
    name = bare.member_name("wang")
    none = bare.call("SelectStar", name=name, once=True)
    await refused_whole(bare, Reason.POLICY_NOT_FOUND, none)
    for keep in (False, True):
        closed = bare.call("CloseStarReview", name=name, keep=keep, once=True)
        await refused_whole(bare, Reason.STAR_STATE, closed)


@pytest.mark.parametrize("keep", [False, True])
async def test_a_review_waits_for_a_policy_to_be_in_force(bare: HoursWorld, keep: bool) -> None:
    await bare.adopt(policy(stars={"levels": LEVELS}, effective_to="2026-03-10"))
    await bare.register("wang")
    await bare.serve("wang", 1)
    await bare.call("VoidRecord", name=bare.record_name("r-1"))
    bare.world.clock.advance(us=30 * DAY_US)
    name = bare.member_name("wang")
    early = bare.call("CloseStarReview", name=name, keep=keep, once=True)
    await refused_whole(bare, Reason.POLICY_NOT_FOUND, early)
    await bare.adopt(policy(stars={"levels": LEVELS}, effective_from="2026-03-20"))
    star = await bare.call("CloseStarReview", name=name, keep=keep)
    assert (star.star, star.under_review, star.kept) == (int(keep), False, keep)


async def test_an_heir_whose_account_is_closed_gets_nothing(city: HoursWorld) -> None:
    await city.register("spouse")
    await city.submit(city.record("wang", minutes=120))
    wang, spouse = city.member_name("wang"), city.member_name("spouse")
    await city.call("LinkFamily", name=wang, relative=spouse, relation="SPOUSE")
    await city.world.close((await read(city, "spouse")).time_account)
    call = city.call("RecordDeath", OFFICER, name=wang, heir=spouse, once=True)
    await refused_whole(city, Reason.ACCOUNT_CLOSED, call)
    assert (await read(city, "wang")).state == member_pb2.Member.STATE_ACTIVE
    assert await city.balances("wang") == (120, 120, 2)
    dead = await city.call("RecordDeath", OFFICER, name=wang)
    assert dead.state == member_pb2.Member.STATE_DECEASED
    assert await city.balances("spouse") == (0, 0, 0)


async def test_nothing_is_spent_after_a_death(bare: HoursWorld) -> None:
    await bare.adopt(policy(death={"time": "POOL", "points": "KEEP"}))
    await bare.register("wang")
    await bare.submit(bare.record("wang", minutes=120))
    wang = await read(bare, "wang")
    points = await bare.world.open("shop", POINTS, MERCHANT)
    time = await bare.world.open("canteen", TIME, MERCHANT)
    await bare.world.post(post(REDEMPTION, wang.points_account, points, 1))
    await bare.call("RecordDeath", OFFICER, name=wang.name)
    for account, shop, unit in (
        (wang.points_account, points, POINTS),
        (wang.time_account, time, TIME),
    ):
        spent = bare.world.post(post(REDEMPTION, account, shop, 1, unit))
        await refused_whole(bare, Reason.ACCOUNT_FROZEN, spent)
    assert await bare.balances("wang") == (120, 0, 1)


async def test_a_registration_is_repeated_only_with_the_same_personal_data(
    bare: HoursWorld,
) -> None:
    request: dict[str, Any] = {
        "parent": bare.name,
        "member_id": "wang",
        "member": {"home_unit": "huancui/12dong"},
        "request_id": new_id(),
    }
    first = await bare.call("RegisterMember", OFFICER, personal_data=PERSON, **request)
    kept = (await cells(bare))["person_data"]
    for other in (
        PERSON | {"display_name": "王小芳"},
        PERSON | {"phone": "13963100000"},
        {"display_name": PERSON["display_name"]},
    ):
        call = bare.call("RegisterMember", OFFICER, once=True, personal_data=other, **request)
        await refused_whole(bare, Reason.REQUEST_ID_REUSED, call)
    assert (await cells(bare))["person_data"] == kept
    again = await bare.call("RegisterMember", OFFICER, once=True, personal_data=PERSON, **request)
    assert again == first
    found = await bare.call("GetPersonalData", name=bare.member_name("wang"))
    assert {name: getattr(found, name) for name in PERSON} == PERSON
    assert found.phone == ""


async def test_a_certificate_is_repeated_only_with_the_same_wording(city: HoursWorld) -> None:
    await city.submit(city.record("wang"))
    fields = wording(Scene(city)) | {"request_id": new_id()}
    first = await city.call("IssueCertificate", **fields)
    kept = (await cells(city))["person_data"]
    for other in (
        {"handler": "小王"},
        {"note": "补办"},
        {"start_time": at(START_US - 20 * DAY_US)},
        {"end_time": at(START_US)},
    ):
        call = city.call("IssueCertificate", once=True, **(fields | other))
        await refused_whole(city, Reason.REQUEST_ID_REUSED, call)
    assert (await cells(city))["person_data"] == kept
    assert await city.call("IssueCertificate", once=True, **fields) == first
    listed = await city.call("ListCertificates", parent=city.member_name("wang"))
    assert [item.name for item in listed.certificates] == [first.name]


def officer_of(city: HoursWorld, caller: Principal, member_id: str, officer: str) -> Any:
    """Says whose officer id a member has."""
    return city.call(
        "UpdateMember",
        caller,
        once=True,
        member={"name": city.member_name(member_id), "officer": officer},
        update_mask={"paths": ["officer"]},
    )


async def test_officers_do_not_say_of_themselves_who_they_are(city: HoursWorld) -> None:
    """An officer who could would attest their own services."""
    await city.register("li-at-home", officer="li")
    mine = Reason.SCOPE_MISSING
    await refused_whole(city, mine, officer_of(city, OFFICER, "wang", "li"))
    for officer in ("", "zhao"):
        await refused_whole(city, mine, officer_of(city, OFFICER, "li-at-home", officer))
    assert (await read(city, "li-at-home")).officer == "li"
    assert (await officer_of(city, OFFICER, "wang", "sun")).officer == "sun"
    assert (await officer_of(city, SECOND, "li-at-home", "")).officer == ""
    assert (await officer_of(city, OPERATOR, "li-at-home", "li")).officer == "li"


@pytest.mark.parametrize(
    ("caller", "role", "reason"),
    [
        (ELDER, "COMMUNITY", Reason.SCOPE_MISSING),
        (OFFICER, "RESIDENT", Reason.SCOPE_MISSING),
        (OFFICER, "PEER", Reason.SCOPE_MISSING),
        (STRANGER, "COMMUNITY", Reason.MEMBER_NOT_FOUND),
        (STRANGER, "PEER", Reason.SCOPE_MISSING),
    ],
)
async def test_members_and_officers_rate_only_as_what_they_are(
    city: HoursWorld, caller: Principal, role: str, reason: Reason
) -> None:
    rating: dict[str, Any] = {"name": city.member_name("wang"), "role": role, "score": 1}
    call = city.call("EvaluateMember", caller, once=True, **rating)
    await refused_whole(city, reason, call)


async def test_residents_peers_and_the_community_rate(city: HoursWorld) -> None:
    await city.register("chen", home_unit="wendeng/1")
    size = await city.world.size()
    raters = ((ELDER, "RESIDENT"), (NEIGHBOUR, "PEER"), (OFFICER, "COMMUNITY"))
    for caller, role in raters:
        rating: dict[str, Any] = {"name": city.member_name("wang"), "role": role, "score": 5}
        await city.call("EvaluateMember", caller, **rating)
    assert await city.world.size() == size + len(raters)


async def test_the_star_of_a_minor_is_no_platforms_business_and_on_no_list(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(stars={"levels": LEVELS}))
    await bare.register("wang", name="王阿姨", publish_name=True)
    guarded = {"guardian": bare.member_name("wang"), "guardian_consent": True}
    adult_us = START_US + 30 * DAY_US
    minor: dict[str, Any] = {"adult_time": at(adult_us), "publish_name": True, **guarded}
    await bare.register("young", name="王小宝", **minor)
    for member_id in ("wang", "young"):
        await bare.serve(member_id, 2)
    young = bare.member_name("young")
    hidden = bare.call("GetStar", PLATFORM, name=young)
    assert await refused(hidden) is Reason.MEMBER_NOT_FOUND
    for caller in (PLATFORM, WANG, OFFICER, OPERATOR):
        assert await listed(bare, caller) == ["王阿姨"], caller
    for caller in (Principal(PrincipalKind.MEMBER, "young"), OFFICER, OPERATOR):
        assert (await bare.call("GetStar", caller, name=young)).star == 2, caller
    bare.world.clock.advance(us=30 * DAY_US)
    assert (await bare.call("GetStar", PLATFORM, name=young)).star == 2
    assert await listed(bare, PLATFORM) == ["王小宝", "王阿姨"]


async def listed(city: HoursWorld, caller: Principal) -> list[str]:
    """The names on the publicity list, read page by page."""
    names, token = [], ""
    for _ in range(5):
        page = await city.call("ListStars", caller, parent=city.name, page_size=1, page_token=token)
        names += [star.display_name for star in page.stars]
        token = page.next_page_token
        if not token:
            break
    return sorted(names)


async def test_an_auditor_reads_no_certificate(city: HoursWorld) -> None:
    await city.submit(city.record("wang"))
    issued = await city.call("IssueCertificate", **wording(Scene(city)))
    for pdf in (False, True):
        call = city.call("GetCertificate", AUDITOR, name=issued.name, pdf=pdf)
        assert await refused(call) is Reason.SCOPE_MISSING
    check = await city.call("CheckCertificate", AUDITOR, name=issued.name)
    assert check.document_sha256 == issued.document_sha256
