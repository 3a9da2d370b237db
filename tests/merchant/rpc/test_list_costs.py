"""A page of a list costs what its rows cost, however many merchants and members there are."""

import random
import uuid
from typing import Any

import pytest

from merchant.usecases import redemption_lists
from tests.merchant.counted_reads import Cost
from tests.merchant.rpc.long_lists import ALL, LEDGER, Lists, redemption_of
from tests.merchant.shops import OPERATOR, ShopWorld
from timebank.auth import Principal, PrincipalKind
from timebank.ledger.v1 import member_pb2, member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.merchant.v1 import redemption_pb2

OFFICER = Principal(PrincipalKind.OFFICER, "zhao", units=frozenset({"huancui"}))
FAR_OFFICER = Principal(PrincipalKind.OFFICER, "sun", units=frozenset({"wendeng"}))
FEW, MANY = 3, 60
SIZES = (1, 2, 7, 100)


@pytest.fixture
def lists(shop: ShopWorld) -> Lists:
    """The lists of a programme."""
    return Lists(shop)


async def test_more_merchants_make_no_page_of_all_dearer(lists: Lists) -> None:
    costs = []
    for count, already in ((FEW, 0), (MANY, FEW)):
        newest = (await lists.open_merchants(count, already))[::-1]
        page, cost = await lists.cost("ListRedemptions", OPERATOR, parent=ALL, page_size=4)
        assert [row.merchant_ref for row in page.redemptions] == newest[:4]
        costs.append(cost)
    assert costs[0] == costs[1]
    assert costs[0].ledger_calls == 0


async def test_the_redemptions_of_many_merchants_are_one_list_newest_first(lists: Lists) -> None:
    assert await lists.redemptions() == []
    first = await lists.open_merchants(1)
    assert await lists.redemptions() == first[::-1], "one merchant is all"
    newest = (first + await lists.open_merchants(12, 1))[::-1]
    for size in SIZES:
        assert await lists.redemptions(page_size=size) == newest
    own = Principal(PrincipalKind.MERCHANT, "m007")
    of_own = [reference for reference in newest if reference.startswith("m007-")]
    assert await lists.redemptions(own, page_size=1) == of_own
    assert await lists.redemptions(parent=f"{LEDGER}/merchants/m007") == of_own
    assert await lists.redemptions(Principal(PrincipalKind.MEMBER, "li")) == []


async def test_a_page_that_finds_little_ends_early_and_goes_on(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redemption_lists, "LOOK_UPS_MAX", 2)
    rare = redemption_of("m000-rare")._replace(member_id="li")
    await lists.shop.put(rare)
    await lists.open_merchants(9)
    caller = Principal(PrincipalKind.MEMBER, "li")
    page = await lists.page("ListRedemptions", caller, parent=ALL, page_size=3)
    assert (list(page.redemptions), bool(page.next_page_token)) == ([], True)
    assert await lists.redemptions(caller, page_size=3) == ["m000-rare"]


@pytest.mark.parametrize("caller", [OFFICER, FAR_OFFICER, OPERATOR], ids=lambda one: one.name)
async def test_more_members_make_no_page_of_cards_dearer(lists: Lists, caller: Principal) -> None:
    costs, shown = [], []
    for numbers in (range(FEW), range(FEW, MANY)):
        members = [f"m{number:03}" for number in numbers]
        await lists.register(*((member_id, "huancui/12dong") for member_id in members))
        await lists.issue(*members)
        page, cost = await lists.cost("ListCards", caller, parent=LEDGER, page_size=2)
        costs.append(cost)
        shown.append(len(page.cards))
        assert page.next_page_token
    asked = 0 if caller is OPERATOR else 3
    assert costs == [Cost(statements=1, ledger_calls=asked)] * 2
    assert shown == [0 if caller is FAR_OFFICER else 2] * 2


async def test_an_officer_sees_the_cards_of_their_units_on_pages_of_any_size(lists: Lists) -> None:
    units = ("huancui/12dong", "wendeng", "huancui", "huan", "", "wendeng/3dong")
    members = [(f"m{number:03}", units[number % len(units)]) for number in range(24)]
    await lists.register(*members)
    draw = random.Random(1)
    holders = [draw.choice(members)[0] for _ in range(40)]
    await lists.issue(*holders[:30])
    await lists.issue(*holders[30:], blocked=True)
    unit_of = dict(members)
    ids = [f"{holder}-{number}" for number, holder in enumerate(holders)][::-1]
    for caller, theirs in ((OFFICER, units[0:3:2]), (FAR_OFFICER, units[1::4])):
        expected = [name for name in ids if unit_of[name.partition("-")[0]] in theirs]
        assert 0 < len(expected) < len(ids)
        for size in SIZES:
            assert await lists.cards(caller, size=size) == expected
        states = redemption_pb2.Card.STATE_BLOCKED, redemption_pb2.Card.STATE_ACTIVE
        parts = [await lists.cards(caller, size=2, state=state) for state in states]
        assert parts[0] + parts[1] == expected


async def test_a_member_who_moves_is_seen_by_the_officers_of_the_new_unit_only(
    lists: Lists,
) -> None:
    await lists.register(("wei", "huancui/12dong"))
    await lists.issue("wei")
    assert await lists.cards(OFFICER, size=1) == ["wei-0"]
    stub: Any = MemberServiceStub(lists.shop.world.channel_of(OPERATOR))
    moved = member_pb2.Member(name=f"{LEDGER}/members/wei", home_unit="wendeng")
    request = member_service_pb2.UpdateMemberRequest(member=moved, request_id=str(uuid.uuid4()))
    request.update_mask.paths.append("home_unit")
    await stub.UpdateMember(request)
    assert await lists.cards(OFFICER, size=1) == []
    assert await lists.cards(FAR_OFFICER, size=1) == ["wei-0"]
