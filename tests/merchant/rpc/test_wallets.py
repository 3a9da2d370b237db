"""PINs, cards, vouchers and quotes over gRPC: what a repeated call does, and who sees what."""

import pathlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from merchant.domain.payment_codes import WRONG_TRIES_MAX
from tests.merchant.till_world import COFFEE, LEDGER, SHOP, TILL, TillWorld, till_world
from tests.support.cheap_pins import hash_cheaply
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.merchant.v1 import merchant_pb2, redemption_pb2, redemption_service_pb2

PIN, NEW_PIN = "258036", "369147"
WANG, LI = f"{LEDGER}/members/wang", f"{LEDGER}/members/li"
SHOPKEEPER = Principal(PrincipalKind.MERCHANT, "shop")
OFFICER = Principal(PrincipalKind.OFFICER, "zhao", units=frozenset({"huancui"}))
FAR_OFFICER = Principal(PrincipalKind.OFFICER, "sun", units=frozenset({"huan", "wendeng"}))
Voucher = redemption_pb2.Voucher
DAY_S = 86_400


@pytest.fixture
async def till(
    tmp_path: pathlib.Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[TillWorld]:
    """A shop with a till, and 王阿姨 and 李叔叔 with points; she has a PIN."""
    hash_cheaply(monkeypatch)
    async with till_world(tmp_path, database_url) as found:
        await found.open_shop()
        for word, points in (("wang", 1_000), ("li", 1_000), ("poor", 9)):
            await found.member(word, points)
        await found.call("SetPin", name=WANG, pin=PIN)
        offer = merchant_pb2.Offer(title="理发", unit=merchant_pb2.UNIT_POINTS, price=300)
        await found.call("CreateOffer", parent=SHOP, offer_id="haircut", offer=offer)
        yield found


async def test_a_pin_that_is_changed_again_by_the_same_call_counts_no_try(till: TillWorld) -> None:
    fields: dict[str, Any] = {
        "name": WANG,
        "pin": NEW_PIN,
        "present_pin": PIN,
        "request_id": str(uuid.uuid4()),
    }
    first = await till.call("SetPin", **fields)
    assert await till.call("SetPin", **fields) == first
    assert (first.set, first.tries_left) == (True, 5)
    # PINs are not compared with the first call's: they could be tried by its id.
    assert await till.call("SetPin", **(fields | {"pin": "147036"})) == first
    other = till.call("SetPin", **(fields | {"name": LI}))
    assert await refused(other) is Reason.REQUEST_ID_REUSED
    assert await refused(till.call("SetPin", name=WANG, pin=PIN)) is Reason.PIN_REQUIRED
    changed = await till.call("SetPin", name=WANG, pin=PIN, present_pin=NEW_PIN)
    assert changed.tries_left == 5


async def test_a_pin_that_is_forgotten_is_removed_or_replaced(till: TillWorld) -> None:
    removed = await till.call("ResetPin", OFFICER, name=WANG)
    assert (removed.set, removed.locked) == (False, False)
    assert (await till.call("SetPin", name=WANG, pin=NEW_PIN)).set
    assert await refused(till.call("ResetPin", FAR_OFFICER, name=WANG)) is Reason.MEMBER_NOT_FOUND


async def test_a_card_is_issued_once_by_the_same_call(till: TillWorld) -> None:
    fields: dict[str, Any] = {"parent": LEDGER, "request_id": str(uuid.uuid4())}
    card = await till.call("IssueCard", member=WANG, **fields)
    again = await till.call("IssueCard", member=WANG, **fields)
    assert (again.name, again.number) == (card.name, card.number)
    other = till.call("IssueCard", member=LI, **fields)
    assert await refused(other) is Reason.REQUEST_ID_REUSED


async def test_cards_are_listed_newest_first_by_those_who_serve_their_members(
    till: TillWorld,
) -> None:
    made = [await till.call("IssueCard", parent=LEDGER, member=name) for name in (WANG, LI, WANG)]
    names = [card.name for card in reversed(made)]
    listed = await till.call("ListCards", OFFICER, parent=LEDGER)
    assert [card.name for card in listed.cards] == names
    assert not any(card.number for card in listed.cards)
    page = await till.call("ListCards", parent=LEDGER, page_size=2)
    token = page.next_page_token
    rest = await till.call("ListCards", parent=LEDGER, page_size=2, page_token=token)
    assert [card.name for found in (page, rest) for card in found.cards] == names
    assert rest.next_page_token == ""
    assert not (await till.call("ListCards", FAR_OFFICER, parent=LEDGER)).cards
    own = await till.call("ListCards", Principal(PrincipalKind.MEMBER, "li"), parent=LEDGER)
    assert [card.member for card in own.cards] == [LI]
    blocked = redemption_pb2.Card.STATE_BLOCKED
    lost = await till.call("ListCards", parent=LEDGER, member=WANG, state=blocked)
    assert [card.name for card in lost.cards] == [made[0].name]


async def test_much_is_paid_for_a_voucher_with_a_pin(till: TillWorld) -> None:
    fields: dict[str, Any] = {
        "parent": LEDGER,
        "offer": f"{SHOP}/offers/haircut",
        "member": WANG,
        "quantity": 1,
    }
    assert await refused(till.call("IssueVoucher", **fields)) is Reason.PIN_REQUIRED
    bought = await till.call("IssueVoucher", pin=PIN, **fields)
    assert (bought.state, bought.member) == (Voucher.STATE_ISSUED, WANG)
    until_s = till.world.clock.now_us() // 1_000_000 + 365 * DAY_S
    assert abs(bought.expire_time.seconds - until_s) <= 1
    seen = await till.call("GetVoucher", SHOPKEEPER, name=bought.name)
    assert (seen.state, seen.member, seen.code) == (Voucher.STATE_ISSUED, "", "")
    collect: dict[str, Any] = {"parent": SHOP, "terminal": TILL, "code": bought.code}
    collected = await till.call("CollectVoucher", SHOPKEEPER, **collect)
    assert (collected.state, collected.member) == (Voucher.STATE_COLLECTED, "")


async def test_a_quote_says_whether_a_card_will_pay(till: TillWorld) -> None:
    card = await till.call("IssueCard", parent=LEDGER, member=WANG)
    fields: dict[str, Any] = {"parent": SHOP, "terminal": TILL, "offer": COFFEE, "quantity": 1}
    quoted = await till.call("QuoteRedemption", card_number=card.number, **fields)
    assert (quoted.amount, quoted.pin_required, quoted.payer_checked) == (10, True, True)
    above_the_day = fields | {"quantity": 51, "card_number": card.number}
    assert await refused(till.call("QuoteRedemption", **above_the_day)) is Reason.LIMIT_EXCEEDED
    poor = await till.call("IssueCard", parent=LEDGER, member=f"{LEDGER}/members/poor")
    beyond = fields | {"card_number": poor.number}
    assert await refused(till.call("QuoteRedemption", **beyond)) is Reason.INSUFFICIENT_BALANCE
    nobody = await till.call("QuoteRedemption", **fields)
    assert (nobody.pin_required, nobody.payer_checked) == (False, False)
    await till.call("BlockCard", OFFICER, name=card.name)
    lost = till.call("QuoteRedemption", card_number=card.number, **fields)
    assert await refused(lost) is Reason.PAYMENT_CODE_INVALID


async def test_a_shop_learns_nothing_of_whom_it_only_names(till: TillWorld) -> None:
    shop_till = Principal(PrincipalKind.TERMINAL, "shop/t1")
    fields: dict[str, Any] = {"parent": SHOP, "terminal": TILL, "offer": COFFEE}
    helped = redemption_service_pb2.AssistedPayer(member=f"{LEDGER}/members/poor")
    for caller in (SHOPKEEPER, shop_till):
        quoted = await till.call("QuoteRedemption", caller, quantity=99, assisted=helped, **fields)
        assert (quoted.amount, quoted.payer_checked) == (990, False)
    begun = till.call(
        "RedeemPoints", shop_till, quantity=1, merchant_ref="helped", assisted=helped, **fields
    )
    assert await refused(begun) is Reason.VALIDATION_FAILED


async def test_a_pin_that_was_missing_is_typed_in_the_same_request(till: TillWorld) -> None:
    fields: dict[str, Any] = {
        "parent": LEDGER,
        "offer": f"{SHOP}/offers/haircut",
        "member": WANG,
        "quantity": 1,
        "request_id": str(uuid.uuid4()),
    }
    assert await refused(till.call("IssueVoucher", **fields)) is Reason.PIN_REQUIRED
    bought = await till.call("IssueVoucher", pin=PIN, **fields)
    assert bought.state == Voucher.STATE_ISSUED


async def test_a_repeated_wrong_voucher_counts_one_try(till: TillWorld) -> None:
    wrong: dict[str, Any] = {"parent": SHOP, "terminal": TILL, "code": "ABCDEFGHJKLM"}
    for _ in range(WRONG_TRIES_MAX + 1):
        again = till.call("CollectVoucher", request_id=str(uuid.UUID(int=7)), **wrong)
        assert await refused(again) is Reason.VOUCHER_NOT_FOUND
