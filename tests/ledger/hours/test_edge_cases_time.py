"""Edge cases of TIME: who pays for a service, and to whom it may be given."""

import pytest

from tests.ledger.hours.test_edge_cases_members import merge, pool_minutes
from tests.support.commands import ISSUANCE, OPENING, TIME, post
from tests.support.hours import BASE_US, DAY_US, OFFICER, HoursWorld, policy
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason

WANG = Principal(PrincipalKind.MEMBER, "wang")


async def people(bare: HoursWorld, **changes: object) -> None:
    """A policy and three members; wang has served two hours."""
    await bare.adopt(policy(**changes))
    for member_id in ("wang", "zhang"):
        await bare.register(member_id)
    await bare.register("li-elder", key_elder=True)


async def give(bare: HoursWorld, member_id: str, minutes: int) -> None:
    """Lets a member open with TIME."""
    member = await bare.call("GetMember", name=bare.member_name(member_id))
    source = bare.world.system[ISSUANCE, TIME]
    await bare.world.post(post(OPENING, source, member.time_account, minutes, TIME))


async def test_the_beneficiary_pays_and_must_have_enough(bare: HoursWorld) -> None:
    await people(bare, time_payer="BENEFICIARY")
    await give(bare, "li-elder", 100)
    elder = bare.member_name("li-elder")
    first = await bare.submit(bare.record("wang", beneficiary=elder))
    assert first.time_payer == "BENEFICIARY"
    assert (await bare.balances("li-elder"))[1] == 40
    next_day = BASE_US + DAY_US
    second = bare.record("wang", start_us=next_day, minutes=41, beneficiary=elder)
    assert await refused(bare.submit(second, once=True)) is Reason.INSUFFICIENT_BALANCE
    fitting = bare.record("wang", start_us=next_day, minutes=40, beneficiary=elder)
    await bare.submit(fitting)
    assert [(await bare.balances(name))[1] for name in ("wang", "li-elder")] == [100, 0]


async def test_the_pool_pays_where_nobody_in_particular_was_served(bare: HoursWorld) -> None:
    await people(bare, time_payer="BENEFICIARY")
    await give(bare, "zhang", 60)
    record = bare.record("wang")
    assert await refused(bare.submit(record, once=True)) is Reason.INSUFFICIENT_BALANCE
    await bare.call("TransferTime", name=bare.member_name("zhang"), minutes=60)
    assert (await bare.submit(record)).time_payer == "POOL"
    assert await pool_minutes(bare) == 0


@pytest.mark.parametrize(("payer", "left"), [("POOL", 40), ("ISSUANCE", 100)])
async def test_the_pool_or_the_issuer_pays_where_the_policy_says_so(
    bare: HoursWorld, payer: str, left: int
) -> None:
    await people(bare, time_payer=payer)
    await give(bare, "zhang", 100)
    await bare.call("TransferTime", name=bare.member_name("zhang"), minutes=100)
    elder = bare.member_name("li-elder")
    assert (await bare.submit(bare.record("wang", beneficiary=elder))).time_payer == payer
    assert await pool_minutes(bare) == left
    assert await bare.balances("li-elder") == (0, 0, 0)


async def test_a_correction_gives_the_payer_back_what_was_too_much(bare: HoursWorld) -> None:
    await people(bare, time_payer="BENEFICIARY")
    await give(bare, "li-elder", 100)
    elder = bare.member_name("li-elder")
    long = bare.record("wang", minutes=90, beneficiary=elder)
    await bare.submit(long, record_id="r-long")
    fixed = bare.record(
        "wang", minutes=30, beneficiary=elder, supersedes=bare.record_name("r-long")
    )
    await bare.submit(fixed)
    assert (await bare.balances("li-elder"))[1] == 70


@pytest.mark.parametrize(
    ("transfers", "relative", "stranger", "pool"),
    [
        (["RELATIVES"], None, Reason.FAMILY_LINK_MISSING, Reason.MOVEMENT_NOT_ALLOWED),
        (["FRIENDS"], None, None, Reason.MOVEMENT_NOT_ALLOWED),
        (["POOL"], Reason.MOVEMENT_NOT_ALLOWED, Reason.MOVEMENT_NOT_ALLOWED, None),
        ([], *(Reason.MOVEMENT_NOT_ALLOWED,) * 3),
    ],
)
async def test_time_is_given_only_to_whom_the_policy_says(
    bare: HoursWorld,
    transfers: list[str],
    relative: Reason | None,
    stranger: Reason | None,
    pool: Reason | None,
) -> None:
    await people(bare, transfers=transfers)
    await give(bare, "wang", 100)
    wang, elder = bare.member_name("wang"), bare.member_name("li-elder")
    await bare.call("LinkFamily", name=wang, relative=elder, relation="PARENT")
    for to, expected in ((elder, relative), (bare.member_name("zhang"), stranger), ("", pool)):
        call = bare.call("TransferTime", WANG, name=wang, to=to, minutes=10, once=True)
        if expected is None:
            await call
        else:
            assert await refused(call) is expected
    given = 10 * [relative, stranger, pool].count(None)
    assert (await bare.balances("wang"))[1] == 100 - given


async def test_nobody_gives_more_than_they_have_or_anything_to_themselves(
    bare: HoursWorld,
) -> None:
    await people(bare, transfers=["FRIENDS"])
    await give(bare, "wang", 100)
    wang, zhang = bare.member_name("wang"), bare.member_name("zhang")
    over = bare.call("TransferTime", WANG, name=wang, to=zhang, minutes=101, once=True)
    assert await refused(over) is Reason.INSUFFICIENT_BALANCE
    own = bare.call("TransferTime", WANG, name=wang, to=wang, minutes=1, once=True)
    assert await refused(own) is Reason.VALIDATION_FAILED
    await merge(bare, "zhang", "wang")
    own = bare.call("TransferTime", WANG, name=wang, to=zhang, minutes=1, once=True)
    assert await refused(own) is Reason.VALIDATION_FAILED


async def test_the_pool_gives_to_key_elders_up_to_a_years_issue_and_keeps_its_reserve(
    bare: HoursWorld,
) -> None:
    await people(bare, elder_issue_minutes=300, reserve_ratio="1/4")
    await give(bare, "wang", 400)
    elder, wang = bare.member_name("li-elder"), bare.member_name("wang")

    async def grant(name: str, minutes: int) -> None:
        await bare.call("GrantTime", OFFICER, name=name, minutes=minutes, once=True)

    assert await refused(grant(elder, 1)) is Reason.INSUFFICIENT_BALANCE
    await bare.call("TransferTime", WANG, name=wang, minutes=400)
    assert await refused(grant(wang, 1)) is Reason.MOVEMENT_NOT_ALLOWED
    assert await refused(grant(elder, 301)) is Reason.LIMIT_EXCEEDED
    await grant(elder, 200)
    assert await refused(grant(elder, 151)) is Reason.LIMIT_EXCEEDED  # 49 of 200 would be left
    assert await refused(grant(elder, 101)) is Reason.LIMIT_EXCEEDED
    await grant(elder, 100)
    assert (await bare.balances("li-elder"))[1] == 300
    bare.world.clock.advance(us=306 * DAY_US)
    assert await refused(grant(elder, 76)) is Reason.LIMIT_EXCEEDED
    await grant(elder, 75)
    assert await pool_minutes(bare) == 25


async def test_a_years_issue_to_duplicates_counts_together(bare: HoursWorld) -> None:
    await people(bare, elder_issue_minutes=100)
    await bare.register("li-elder-2", key_elder=True)
    await give(bare, "wang", 400)
    await bare.call("TransferTime", WANG, name=bare.member_name("wang"), minutes=400)
    second = bare.member_name("li-elder-2")
    await bare.call("GrantTime", OFFICER, name=second, minutes=100)
    await merge(bare, "li-elder-2", "li-elder")
    first = bare.member_name("li-elder")
    over = bare.call("GrantTime", OFFICER, name=first, minutes=1, once=True)
    assert await refused(over) is Reason.LIMIT_EXCEEDED
