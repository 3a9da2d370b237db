"""Redemptions: one true answer, points once, stock and budget in step."""

from merchant.domain.documents import Income
from merchant.domain.redemption_moves import Event
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.usecases.sweeper import ROUND_MAX, Sweeper
from tests.merchant.shops import GOODS, MINUTE_US, ShopWorld, reason_of
from timebank.errors import Reason

R = RedemptionState
K = DocumentKind


async def test_redeeming_takes_points_once(shop: ShopWorld) -> None:
    sold = await shop.sell("wang")
    assert (sold.state, sold.captured, len(sold.captures)) == (R.CAPTURED, 10, 1)
    assert await shop.points_of("wang") == 90
    budget = await shop.found(K.BUDGET, "b")
    assert (budget.reserved_fen, budget.spent_fen) == (0, 10)


async def test_the_same_request_id_and_the_same_reference_sell_once(shop: ShopWorld) -> None:
    command = shop.sale(await shop.code("wang"))
    first = await shop.begin(command, b"r" * 16)
    again = await shop.begin(command, b"r" * 16)
    other = await shop.begin(command._replace(payer=command.payer._replace(digest="x")))
    assert (first.replayed, again.replayed) == (False, True)
    assert first.redemption == again.redemption == other.redemption
    assert await shop.points_of("wang") == 90


async def test_a_hold_is_captured_in_parts_and_the_rest_released(shop: ShopWorld) -> None:
    held = await shop.sell("wang", redeems=False)
    assert (held.state, held.hold != "") == (R.AUTHORIZED, True)
    part = await shop.do(held, Event.CAPTURE, 4)
    assert (part.state, part.captured) == (R.PARTIALLY_CAPTURED, 4)
    whole = await shop.do(held, Event.CAPTURE, 3, final=True)
    assert (whole.state, whole.captured) == (R.CAPTURED, 7)
    budget = await shop.found(K.BUDGET, "b")
    assert (budget.reserved_fen, budget.spent_fen) == (0, 7)
    assert await shop.points_of("wang") == 93


async def test_refunds_are_cumulative_and_restore_points(shop: ShopWorld) -> None:
    sold = await shop.sell("wang")
    await shop.do(sold, Event.REFUND, 4)
    back = await shop.do(sold, Event.REFUND, 6)
    assert (back.refunded, await shop.points_of("wang")) == (10, 100)
    assert (await shop.found(K.BUDGET, "b")).spent_fen == 0
    assert await reason_of(shop.do(sold, Event.REFUND, 1)) is Reason.REFUND_EXCEEDS_CAPTURE


async def test_a_reversal_that_comes_first_leaves_a_tombstone(shop: ShopWorld) -> None:
    gone = await shop.reverse("t1-late")
    assert gone.state is R.REVERSED
    assert (
        await reason_of(shop.sell("wang", merchant_ref="t1-late"))
        is Reason.REVERSED_BEFORE_AUTHORIZATION
    )
    assert await shop.points_of("wang") == 100


async def test_a_captured_sale_is_reversed_within_its_day(shop: ShopWorld) -> None:
    sold = await shop.sell("wang")
    back = await shop.reverse(sold.merchant_ref)
    assert (back.state, await shop.points_of("wang")) == (R.REVERSED, 100)
    assert await shop.reverse(sold.merchant_ref) == back


async def test_voiding_releases_what_was_held(shop: ShopWorld) -> None:
    offer = await shop.found(K.OFFER, GOODS)
    await shop.put(offer._replace(stock=3))
    held = await shop.sell("wang", redeems=False)
    assert (await shop.found(K.OFFER, GOODS)).stock == 2
    assert (await shop.do(held, Event.VOID)).state is R.VOIDED
    assert (await shop.found(K.OFFER, GOODS)).stock == 3
    assert (await shop.found(K.BUDGET, "b")).reserved_fen == 0


async def test_what_the_member_does_not_have_is_declined_and_released(shop: ShopWorld) -> None:
    await shop.member("poor", 3)
    assert await reason_of(shop.sell("poor")) is Reason.INSUFFICIENT_BALANCE
    budget = await shop.found(K.BUDGET, "b")
    assert (budget.reserved_fen, budget.spent_fen) == (0, 0)


async def test_what_cannot_be_ended_yet_keeps_the_sweeper_from_nothing(shop: ShopWorld) -> None:
    waiting = Income("i", 1, 100, "", "", "", 1)
    await shop.put(*(waiting._replace(income_id=f"i-{number}") for number in range(ROUND_MAX)))
    held = await shop.sell("wang", redeems=False)
    shop.world.clock.advance(us=16 * MINUTE_US)
    await Sweeper(shop.programmes, shop.redemptions, interval_s=1).sweep()
    assert (await shop.found(K.REDEMPTION, held.redemption_id)).state is R.EXPIRED
