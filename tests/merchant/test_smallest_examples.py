"""The smallest examples of what was found wrong with redemptions, so that each stays mended by its
name.
"""

import asyncio
import uuid
from typing import Any

from merchant.domain.documents import Control, Controls, Redemption, Voucher
from merchant.domain.payers import Payer
from merchant.domain.redemption_moves import OPS_MAX, Confirm, Event
from merchant.domain.states import DocumentKind, Method, OfferUnit, RedemptionState
from merchant.domain.velocity import CONTROLS_ID, CONTROLS_MAX
from merchant.domain.voucher_rules import ISSUED
from merchant.usecases.redemptions import Outcome, Redemptions
from merchant.usecases.sweeper import ROUND_MAX, Sweeper
from merchant.usecases.vouchers import Vouchers
from tests.merchant.flaky_ledgers import Fault, Weather, make_flaky, programmes_beside
from tests.merchant.shops import CALL, GOODS, MINUTE_US, SHOP, TILL, ShopWorld, reason_of
from tests.support.commands import ISSUANCE, POINTS, SETTLEMENT, TIME, post
from timebank.errors import Reason

R = RedemptionState
K = DocumentKind


async def waiting_at_the_qr(shop: ShopWorld, **changes: Any) -> Redemption:
    """A redemption that waits for a member who scans."""
    command = shop.sale("", payer=Payer(Method.MERCHANT_QR), **changes)
    return (await shop.begin(command)).redemption


async def confirm(shop: ShopWorld, waiting: Redemption, member: str) -> Redemption:
    """A member says yes at the merchant's QR."""
    accounts = await shop.programmes.member_accounts(shop.programme, member)
    command = Confirm(
        *(waiting.redemption_id, shop.programme.zone, Method.MERCHANT_QR),
        member_id=member,
        account=accounts.points,
        life_us=15 * MINUTE_US,
    )
    outcome = await shop.redemptions.confirm(
        shop.programme, command, request_id=uuid.uuid4().bytes, call=CALL
    )
    return outcome.redemption


async def reverse(shop: ShopWorld, merchant_ref: str, request_id: bytes) -> Outcome:
    """Reverses with a request id that the test knows."""
    return await shop.redemptions.reverse(
        shop.programme, SHOP, merchant_ref, request_id=request_id, call=CALL
    )


async def pay_out(shop: ShopWorld, points: int) -> None:
    """The merchant's points are settled, more than it has if need be."""
    merchant = await shop.found(K.MERCHANT, SHOP)
    issuance = shop.world.system[ISSUANCE, POINTS]
    await shop.world.post(post(SETTLEMENT, merchant.points_account, issuance, points))


def sweeper(shop: ShopWorld) -> Sweeper:
    """A sweeper whose rounds the test asks for."""
    return Sweeper(shop.programmes, shop.redemptions, interval_s=1)


async def test_a_partly_captured_hold_that_runs_out_is_captured_and_releases_the_rest(
    shop: ShopWorld,
) -> None:
    held = await shop.sell("wang", redeems=False)
    await shop.do(held, Event.CAPTURE, 4)
    shop.world.clock.advance(seconds=16 * 60)
    await sweeper(shop).sweep()
    assert (await shop.found(K.REDEMPTION, held.redemption_id)).state is R.CAPTURED
    assert (await shop.found(K.BUDGET, "b")).reserved_fen == 0


async def test_as_many_velocity_controls_as_may_be_set_are_checked(shop: ShopWorld) -> None:
    controls = [Control(f"c{number}", "MEMBER", "DAY", 1_000, 0) for number in range(CONTROLS_MAX)]
    await shop.put(Controls(CONTROLS_ID, tuple(controls)))
    assert (await shop.sell("wang")).state is R.CAPTURED


async def test_a_member_at_the_qr_is_checked_against_eight_velocity_controls(
    shop: ShopWorld,
) -> None:
    controls = [Control(f"c{number}", "MEMBER", "DAY", 1_000, 0) for number in range(8)]
    await shop.put(Controls(CONTROLS_ID, tuple(controls)))
    waiting = await waiting_at_the_qr(shop)
    # Another process has nothing of it in memory.
    shop.programmes = programmes_beside(shop, Weather())
    shop.programme = await shop.programmes.programme("weihai", None)
    shop.redemptions = Redemptions(shop.programmes)
    try:
        assert (await confirm(shop, waiting, "wang")).state is R.CAPTURED
    finally:
        await shop.programmes.close()


async def test_vouchers_that_nobody_collects_do_not_keep_the_sweeper_from_its_work(
    shop: ShopWorld,
) -> None:
    now_us = shop.world.clock.now_us()
    place = (SHOP, GOODS, "wang", ISSUED, "none", now_us, now_us + 1)
    await shop.put(*(Voucher(f"d{n}", f"v{n}", *place) for n in range(ROUND_MAX)))
    held = await shop.sell("wang", redeems=False)
    shop.world.clock.advance(seconds=16 * 60)
    for _ in range(3):
        await sweeper(shop).sweep()
    assert (await shop.found(K.REDEMPTION, held.redemption_id)).state is R.EXPIRED


async def test_a_reversal_whose_answer_was_lost_is_carried_out_when_it_is_repeated(
    shop: ShopWorld,
) -> None:
    held = await shop.sell("wang", redeems=False)
    await shop.do(held, Event.CAPTURE, 4)
    shop.world.clock.advance(seconds=16 * 60)
    weather = make_flaky(shop)
    weather.always = Fault.DOWN
    request_id = uuid.uuid4().bytes
    assert await reason_of(reverse(shop, held.merchant_ref, request_id)) is Reason.OUTCOME_UNKNOWN
    weather.clear_up()
    await sweeper(shop).sweep()
    again = await reverse(shop, held.merchant_ref, request_id)
    assert (again.redemption.state, await shop.points_of("wang")) == (R.REVERSED, 100)


async def test_a_reversal_that_the_ledger_declines_is_refused(shop: ShopWorld) -> None:
    sold = await shop.sell("wang")
    await pay_out(shop, 505)
    # 5 points more may be owed, 10 are to go back.
    assert await reason_of(shop.reverse(sold.merchant_ref)) is Reason.INSUFFICIENT_BALANCE
    assert await shop.points_of("wang") == 90


async def test_a_redemption_of_time_is_reversed_within_its_day(shop: ShopWorld) -> None:
    offer = await shop.found(K.OFFER, GOODS)
    await shop.put(offer._replace(unit=OfferUnit.TIME, price=30))
    accounts = await shop.programmes.member_accounts(shop.programme, "wang")
    await shop.world.grant(accounts.time, 60, TIME)
    sold = await shop.sell("wang")
    assert (await shop.reverse(sold.merchant_ref)).state is R.REVERSED
    assert (await shop.world.balance(accounts.time)).posted == 60


async def test_a_member_who_scans_what_another_paid_is_not_told_that_they_paid(
    shop: ShopWorld,
) -> None:
    await shop.member("li", 100)
    waiting = await waiting_at_the_qr(shop)
    assert (await confirm(shop, waiting, "wang")).member_id == "wang"
    assert await reason_of(confirm(shop, waiting, "li")) is Reason.REDEMPTION_STATE


async def test_what_was_confirmed_in_the_last_moment_is_not_expired(shop: ShopWorld) -> None:
    waiting = await waiting_at_the_qr(shop, redeems=False)
    # The sweeper read the redemption while it waited; before it acts, the member confirms.
    await confirm(shop, waiting, "wang")
    await shop.redemptions.expire(shop.programme, waiting)
    assert (await shop.found(K.REDEMPTION, waiting.redemption_id)).state is R.AUTHORIZED


async def test_a_budget_is_not_exceeded_by_rounding_each_capture_up(shop: ShopWorld) -> None:
    merchant = await shop.found(K.MERCHANT, SHOP)
    budget = await shop.found(K.BUDGET, "b")
    await shop.put(merchant._replace(fen_per_hundred_points=50), budget._replace(limit_fen=5))
    held = await shop.sell("wang", redeems=False)
    await shop.do(held, Event.CAPTURE, 1)
    after = await shop.found(K.BUDGET, "b")
    assert after.reserved_fen + after.spent_fen <= after.limit_fen


async def test_an_op_ref_is_not_taken_again_for_a_final_capture(shop: ShopWorld) -> None:
    held = await shop.sell("wang", redeems=False)
    await shop.do(held, Event.CAPTURE, 4, op_ref="op")
    final = shop.do(held, Event.CAPTURE, 4, op_ref="op", final=True)
    assert await reason_of(final) is Reason.MERCHANT_REF_REUSED


async def test_a_voucher_is_collected_once_the_ledger_has_said_that_it_is_paid(
    shop: ShopWorld,
) -> None:
    vouchers = Vouchers(shop.programmes, shop.redemptions, key=b"v" * 32)
    weather = make_flaky(shop)
    weather.faults.append(Fault.LOST)
    voucher_id, request_id = str(uuid.uuid4()), uuid.uuid4().bytes
    wanted: Any = {
        "offer": GOODS,
        "member_id": "wang",
        "quantity": 1,
        "price_version": 0,
        "valid_us": 60 * MINUTE_US,
        "request_id": request_id,
        "call": CALL,
    }
    issue = vouchers.issue(shop.programme, voucher_id, **wanted)
    assert await reason_of(issue) is Reason.OUTCOME_UNKNOWN
    code = vouchers._code(voucher_id)
    collected = await vouchers.collect(
        shop.programme, code, TILL, request_id=uuid.uuid4().bytes, call=CALL
    )
    assert collected.voucher.collected_by == TILL


async def test_a_hold_of_36_hours_is_taken_when_the_clocks_of_the_services_differ_a_little(
    shop: ShopWorld,
) -> None:
    for _ in range(20):
        await shop.code("wang")  # each write moves the merchant's time a microsecond on
    held = await shop.sell("wang", redeems=False, life_us=36 * 60 * MINUTE_US)
    assert held.state is R.AUTHORIZED


async def test_a_redemption_of_as_many_captures_as_may_be_is_reversed(shop: ShopWorld) -> None:
    held = await shop.sell("wang", redeems=False, quantity=7)
    for _ in range(OPS_MAX):
        await shop.do(held, Event.CAPTURE, 1)
    assert (await shop.reverse(held.merchant_ref)).state is R.REVERSED
    assert await shop.points_of("wang") == 100


async def test_what_a_caller_began_who_then_went_away_is_finished(shop: ShopWorld) -> None:
    weather = make_flaky(shop)
    weather.faults.append(Fault.LATE_ANSWER)
    selling = asyncio.ensure_future(shop.sell("wang"))
    await weather.parking.wait()
    selling.cancel()
    await asyncio.gather(selling, return_exceptions=True)
    await weather.deliver()
    listed = await shop.programmes.listed(shop.programme, K.REDEMPTION, SHOP, limit=10)
    states = [sold.state for _, sold in listed if isinstance(sold, Redemption)]
    assert (states, await shop.points_of("wang")) == ([R.CAPTURED], 90)


async def test_after_its_day_a_captured_sale_is_refunded_as_the_contract_says(
    shop: ShopWorld,
) -> None:
    sold = await shop.sell("wang")
    shop.world.clock.advance(seconds=16 * 3_600)
    assert await reason_of(shop.reverse(sold.merchant_ref)) is Reason.BATCH_CLOSED


async def test_stock_that_begins_to_be_counted_is_not_raised_by_earlier_sales(
    shop: ShopWorld,
) -> None:
    held = await shop.sell("wang", redeems=False)
    offer = await shop.found(K.OFFER, GOODS)
    await shop.put(offer._replace(stock=5))
    await shop.do(held, Event.VOID)
    assert (await shop.found(K.OFFER, GOODS)).stock == 5
