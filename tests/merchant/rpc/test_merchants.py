"""Merchants, offers and limits over gRPC: who may call, see and change, and what is refused."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from merchant.ledger_client import Accounts, Ledger
from tests.merchant.rpc.offices import (
    COFFEE,
    LEDGER,
    OPERATOR,
    SHOP,
    M,
    Office,
    as_merchant,
    as_till,
    merchant_of,
    offer_of,
)
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import merchant_pb2

MEMBER = Principal(PrincipalKind.MEMBER, "wang")
REQUEST_ID = "11111111-1111-4111-8111-111111111111"
Control = merchant_pb2.VelocityControl


class Away(Ledger):
    """A ledger that does not answer."""

    async def open_merchant(self, merchant_id: str, debt_points_max: int) -> Accounts:
        raise TimebankError(Reason.DATABASE_UNAVAILABLE, "no answer")


def sample(own_id: str, /, **changes: Any) -> Control:
    values: dict[str, Any] = {
        "name": f"{LEDGER}/velocityControls/{own_id}",
        "scope": Control.SCOPE_MERCHANT_MEMBER_PAIR,
        "window": Control.WINDOW_MONTH,
        "amount_max": 100,
    }
    return Control(**(values | changes))


async def test_creating_a_merchant_opens_its_accounts_once(office: Office) -> None:
    made = await office.create_merchant(cut_off_minute=60)
    assert (made.name, made.state, made.debt_points_max) == (SHOP, M.STATE_ACTIVE, 500)
    account = await office.shop.world.account(made.points_account)
    assert account.min_balance == -500
    again = await office.create_merchant(cut_off_minute=60)
    assert again == made
    assert len({made.points_account, made.time_account, made.fund_account}) == 3


async def test_a_repeated_request_is_answered_alike_and_another_content_is_refused(
    office: Office,
) -> None:
    fields = {"parent": LEDGER, "merchant_id": "shop", "request_id": REQUEST_ID}
    made = await office.call("CreateMerchant", merchant=merchant_of(), **fields)
    assert await office.call("CreateMerchant", merchant=merchant_of(), **fields) == made
    other = merchant_of(display_name="大卖部")
    assert await office.refused("CreateMerchant", merchant=other, **fields) is (
        Reason.REQUEST_ID_REUSED
    )


@pytest.mark.parametrize(
    ("fields", "merchant", "expected"),
    [
        ({"parent": "ledgers/none-such"}, {}, Reason.LEDGER_NOT_FOUND),
        ({"merchant_id": "Shop"}, {}, Reason.VALIDATION_FAILED),
        ({"merchant_id": "-"}, {}, Reason.VALIDATION_FAILED),
        ({"merchant_id": "s" * 41}, {}, Reason.VALIDATION_FAILED),
        ({"request_id": "1"}, {}, Reason.VALIDATION_FAILED),
        ({}, {"display_name": " "}, Reason.VALIDATION_FAILED),
        ({}, {"display_name": "小\n卖部"}, Reason.VALIDATION_FAILED),
        ({}, {"category": 0}, Reason.VALIDATION_FAILED),
        ({}, {"category": 9}, Reason.VALIDATION_FAILED),
        ({}, {"fen_per_hundred_points": -1}, Reason.VALIDATION_FAILED),
        ({}, {"cut_off_minute": 1_440}, Reason.VALIDATION_FAILED),
        ({}, {"debt_points_max": -1}, Reason.VALIDATION_FAILED),
        ({}, {"budget": ""}, Reason.VALIDATION_FAILED),
        ({}, {"budget": "ledgers/other/budgets/b"}, Reason.VALIDATION_FAILED),
        ({}, {"budget": f"{LEDGER}/budgets/c"}, Reason.BUDGET_NOT_FOUND),
    ],
)
async def test_a_merchant_that_breaks_a_rule_is_not_created(
    office: Office, fields: dict[str, Any], merchant: dict[str, Any], expected: Reason
) -> None:
    valid = {"parent": LEDGER, "merchant_id": "shop", "merchant": merchant_of(**merchant)}
    assert await office.refused("CreateMerchant", **(valid | fields)) is expected


async def test_the_terms_are_for_the_merchant_and_those_who_run_the_programme(
    office: Office,
) -> None:
    await office.create_merchant()
    sees = {
        "shop": as_merchant("shop"),
        "auditor": Principal(PrincipalKind.AUDITOR, "a"),
        "service": Principal(PrincipalKind.SERVICE, "s"),
    }
    for caller in sees.values():
        assert (await office.call("GetMerchant", caller, name=SHOP)).budget
    officer = Principal(PrincipalKind.OFFICER, "o")
    for caller in (MEMBER, officer, as_merchant("other"), as_till("shop/t1")):
        seen = await office.call("GetMerchant", caller, name=SHOP)
        public = merchant_pb2.Merchant(
            name=SHOP, display_name="小卖部", category=M.CATEGORY_DISCOUNT, state=M.STATE_ACTIVE
        )
        assert seen == public
        listed = await office.call("ListMerchants", caller, parent=LEDGER)
        assert list(listed.merchants) == [public]


async def test_a_caller_of_another_ledger_finds_no_ledger(office: Office) -> None:
    await office.create_merchant()
    stranger = Principal(PrincipalKind.OPERATOR, "op", frozenset({"other"}))
    reason = await office.refused("GetMerchant", stranger, name=SHOP)
    assert reason is Reason.LEDGER_NOT_FOUND
    assert await office.refused("GetMerchant", name=f"{SHOP}-2") is Reason.MERCHANT_NOT_FOUND


async def test_merchants_are_listed_by_id_in_pages_and_filtered(office: Office) -> None:
    for number, merchant_id in enumerate(("c", "a", "d", "b")):
        category = M.CATEGORY_SERVICE if number % 2 else M.CATEGORY_CULTURE
        await office.create_merchant(merchant_id, category=category)
    first = await office.call("ListMerchants", parent=LEDGER, page_size=3)
    token = first.next_page_token
    rest = await office.call("ListMerchants", parent=LEDGER, page_size=3, page_token=token)
    names = [merchant.name[-1] for page in (first, rest) for merchant in page.merchants]
    assert (names, rest.next_page_token) == (["a", "b", "c", "d"], "")
    services = await office.call("ListMerchants", parent=LEDGER, category=M.CATEGORY_SERVICE)
    assert [merchant.name[-1] for merchant in services.merchants] == ["a", "b"]
    left = await office.call("ListMerchants", parent=LEDGER, state=M.STATE_LEFT)
    assert not left.merchants
    other = {"category": M.CATEGORY_SERVICE, "page_token": token}
    reason = await office.refused("ListMerchants", parent=LEDGER, page_size=3, **other)
    assert reason is Reason.PAGE_TOKEN_MISMATCH
    for wrong in ({"page_size": -1}, {"category": 9}, {"state": 9}):
        reason = await office.refused("ListMerchants", parent=LEDGER, **wrong)
        assert reason is Reason.VALIDATION_FAILED


async def test_an_update_changes_what_its_mask_names(office: Office) -> None:
    made = await office.create_merchant()
    changed = merchant_of(name=SHOP, display_name="大卖部", cut_off_minute=5, etag=made.etag)
    mask = FieldMask(paths=["display_name"])
    updated = await office.call("UpdateMerchant", merchant=changed, update_mask=mask)
    assert (updated.display_name, updated.cut_off_minute) == ("大卖部", 0)
    assert updated.etag != made.etag
    reason = await office.refused("UpdateMerchant", merchant=changed, update_mask=mask)
    assert reason is Reason.ETAG_MISMATCH
    foreign = merchant_of(name=SHOP, etag="W/abc")
    assert await office.refused("UpdateMerchant", merchant=foreign) is Reason.ETAG_MISMATCH
    for path in ("state", "points_account", "name"):
        mask = FieldMask(paths=[path])
        reason = await office.refused("UpdateMerchant", merchant=changed, update_mask=mask)
        assert reason is Reason.VALIDATION_FAILED


async def test_a_changed_debt_is_told_to_the_ledger_once(office: Office) -> None:
    made = await office.create_merchant()
    office.shop.programme.ledger = office.ledger_as(OPERATOR)
    fields = {
        "merchant": merchant_of(name=SHOP, debt_points_max=700),
        "update_mask": FieldMask(paths=["debt_points_max"]),
        "request_id": REQUEST_ID,
    }
    changed = await office.call("UpdateMerchant", **fields)
    size = await office.shop.world.size()
    assert await office.call("UpdateMerchant", **fields) == changed
    account = await office.shop.world.account(made.points_account)
    assert (changed.debt_points_max, account.min_balance) == (700, -700)
    assert await office.shop.world.size() == size


async def test_what_the_ledger_did_not_answer_is_not_known_and_is_repeated(
    office: Office,
) -> None:
    programme = office.shop.programme
    ledger, programme.ledger = programme.ledger, Away("weihai", office.channel(OPERATOR), None)
    fields = {"parent": LEDGER, "merchant_id": "shop", "request_id": REQUEST_ID}
    reason = await office.refused("CreateMerchant", merchant=merchant_of(), **fields)
    assert reason is Reason.OUTCOME_UNKNOWN
    programme.ledger = ledger
    made = await office.call("CreateMerchant", merchant=merchant_of(), **fields)
    assert made.state == M.STATE_ACTIVE


async def test_a_refused_merchant_opens_no_accounts(office: Office) -> None:
    size = await office.shop.world.size()
    merchant = merchant_of(budget=f"{LEDGER}/budgets/c")
    fields = {"parent": LEDGER, "merchant_id": "shop", "merchant": merchant}
    assert await office.refused("CreateMerchant", **fields) is Reason.BUDGET_NOT_FOUND
    assert await office.shop.world.size() == size


async def test_a_merchant_is_suspended_resumed_and_leaves(office: Office) -> None:
    await office.create_merchant()
    assert (await office.call("SuspendMerchant", name=SHOP)).state == M.STATE_SUSPENDED
    assert (await office.call("ResumeMerchant", name=SHOP)).state == M.STATE_ACTIVE
    assert (await office.call("LeaveMerchant", name=SHOP)).state == M.STATE_LEAVING
    assert await office.refused("ResumeMerchant", name=SHOP) is Reason.MERCHANT_NOT_ACTIVE
    reason = await office.refused("SuspendMerchant", as_merchant("shop"), name=SHOP)
    assert reason is Reason.SCOPE_MISSING


async def test_a_merchant_administers_its_own_offers_only(office: Office) -> None:
    await office.create_merchant()
    own, other = as_merchant("shop"), as_merchant("other")
    made = await office.create_offer(caller=own, stock=3)
    assert (made.name, made.price_version, made.stock) == (COFFEE, 1, 3)
    calls: dict[str, dict[str, Any]] = {
        "CreateOffer": {"parent": SHOP, "offer_id": "tea", "offer": offer_of()},
        "UpdateOffer": {"offer": offer_of(name=COFFEE)},
        "PauseOffer": {"name": COFFEE},
        "ResumeOffer": {"name": COFFEE},
    }
    for method, fields in calls.items():
        assert await office.refused(method, other, **fields) is Reason.SCOPE_MISSING
    assert await office.call("GetOffer", MEMBER, name=COFFEE) == made


async def test_an_updated_price_is_another_price_version(office: Office) -> None:
    await office.create_merchant()
    made = await office.create_offer()
    offer = offer_of(name=COFFEE, price=12, etag=made.etag)
    changed = await office.call("UpdateOffer", as_merchant("shop"), offer=offer)
    assert (changed.price, changed.price_version) == (12, 2)
    assert await office.refused("UpdateOffer", offer=offer) is Reason.ETAG_MISMATCH
    reason = await office.refused("UpdateOffer", offer=offer_of(name=f"{SHOP}/offers/tea"))
    assert reason is Reason.OFFER_NOT_FOUND


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"title": "咖" * 101},
        {"description": "一" * 2_001},
        {"unit": 0},
        {"unit": 3},
        {"price": 1_000_001},
        {"cash_fen": -1},
        {"stock": -1},
        {"daily_max": -1},
        {"valid_from_time": Timestamp(seconds=-1)},
        {"valid_from_time": Timestamp(seconds=20), "valid_until_time": Timestamp(seconds=20)},
    ],
)
async def test_an_offer_that_breaks_a_rule_is_not_added(
    office: Office, changes: dict[str, Any]
) -> None:
    await office.create_merchant()
    fields = {"parent": SHOP, "offer_id": "coffee", "offer": offer_of(**changes)}
    assert await office.refused("CreateOffer", **fields) is Reason.VALIDATION_FAILED


async def test_time_is_taken_by_services_only(office: Office) -> None:
    await office.create_merchant()
    await office.create_merchant("barber", category=M.CATEGORY_SERVICE)
    fields = {"offer_id": "haircut", "offer": offer_of(unit=merchant_pb2.UNIT_TIME)}
    assert await office.refused("CreateOffer", parent=SHOP, **fields) is (
        Reason.MOVEMENT_NOT_ALLOWED
    )
    made = await office.call("CreateOffer", parent=f"{LEDGER}/merchants/barber", **fields)
    assert made.unit == merchant_pb2.UNIT_TIME


async def test_offers_of_one_merchant_and_of_all_are_listed_in_pages(office: Office) -> None:
    for merchant_id in ("shop", "cafe"):
        await office.create_merchant(merchant_id)
        parent = f"{LEDGER}/merchants/{merchant_id}"
        for own_id in ("b", "a"):
            await office.create_offer(own_id, parent)
    found: list[str] = []
    token = ""
    for _ in range(4):
        page = await office.call(
            "ListOffers", MEMBER, parent=f"{LEDGER}/merchants/-", page_size=1, page_token=token
        )
        found += [offer.name.removeprefix(f"{LEDGER}/merchants/") for offer in page.offers]
        token = page.next_page_token
    assert token == ""
    assert found == ["cafe/offers/a", "cafe/offers/b", "shop/offers/a", "shop/offers/b"]
    own = await office.call("ListOffers", MEMBER, parent=SHOP)
    assert [offer.name[-1] for offer in own.offers] == ["a", "b"]
    reason = await office.refused("ListOffers", parent=f"{LEDGER}/merchants/none")
    assert reason is Reason.MERCHANT_NOT_FOUND


async def test_redeemable_offers_are_open_valid_in_stock_and_of_an_active_merchant(
    office: Office,
) -> None:
    await office.create_merchant()
    await office.create_merchant("cafe")
    now_s = office.shop.world.clock.now_us() // 1_000_000
    await office.create_offer("good")
    await office.create_offer("sold-out", stock=0)
    await office.create_offer("over", valid_until_time=Timestamp(seconds=now_s - 1))
    await office.create_offer("paused")
    await office.call("PauseOffer", name=f"{SHOP}/offers/paused")
    await office.create_offer("tea", f"{LEDGER}/merchants/cafe")
    await office.call("SuspendMerchant", name=f"{LEDGER}/merchants/cafe")
    everywhere = {"parent": f"{LEDGER}/merchants/-", "redeemable": True}
    page = await office.call("ListOffers", MEMBER, **everywhere)
    assert [offer.name for offer in page.offers] == [f"{SHOP}/offers/good"]
    paused = await office.call("ListOffers", parent=SHOP, state=merchant_pb2.Offer.STATE_PAUSED)
    assert [offer.name for offer in paused.offers] == [f"{SHOP}/offers/paused"]


async def test_a_long_hidden_list_ends_a_page_early_with_a_token(office: Office) -> None:
    await office.create_merchant()
    for number in range(25):
        await office.create_offer(f"a-{number:02d}", stock=0)
    await office.create_offer("z")
    wanted = {"parent": SHOP, "redeemable": True, "page_size": 1}
    found, token, pages = [], "", 0
    while pages == 0 or token:
        page = await office.call("ListOffers", page_token=token, **wanted)
        found += [offer.name for offer in page.offers]
        token, pages = page.next_page_token, pages + 1
    assert (found, pages) == ([f"{SHOP}/offers/z"], 2)


async def test_limits_are_set_listed_in_pages_and_removed(office: Office) -> None:
    for name in ("b", "a"):
        answer = await office.call("SetVelocityControl", velocity_control=sample(name))
        assert answer == sample(name)
    page = await office.call("ListVelocityControls", parent=LEDGER, page_size=1)
    assert list(page.velocity_controls) == [sample("a")]
    rest = await office.call(
        "ListVelocityControls", parent=LEDGER, page_size=1, page_token=page.next_page_token
    )
    assert (list(rest.velocity_controls), rest.next_page_token) == ([sample("b")], "")
    await office.call("SetVelocityControl", velocity_control=sample("b", amount_max=0))
    left = await office.call("ListVelocityControls", parent=LEDGER)
    assert list(left.velocity_controls) == [sample("a")]
    for wrong in ({"scope": 0}, {"window": 6}, {"count_max": -1}, {"name": "b"}):
        control = sample("b", **wrong)
        reason = await office.refused("SetVelocityControl", velocity_control=control)
        assert reason is Reason.VALIDATION_FAILED
