"""Settlement under changing terms: services paid in TIME, a moved cut-off, rates that leave parts
of a fen.
"""

import io
import uuid
from typing import Any

import pytest
from rich.console import Console

from merchant.cli_shown import merchant_table
from merchant.domain.documents import Batch, Redemption
from merchant.domain.merchant_rules import ChangeMerchant
from merchant.domain.payers import Payer
from merchant.domain.redemption_moves import Confirm, Event
from merchant.domain.settlement_rules import BatchState
from merchant.domain.states import DocumentKind, Method, OfferUnit, RedemptionState
from merchant.domain.velocity import SPENT
from merchant.usecases.changes import Asker
from merchant.usecases.merchants import Merchants
from merchant.wire_merchants import merchant_to_wire
from tests.merchant.shops import CALL, GOODS, SHOP, ShopWorld, reason_of
from tests.merchant.tellers import DAY, SHOP_NAME, Teller, closer_of, teller_of
from tests.support.commands import TIME
from timebank.client.merchant_answers import merchant_from_wire
from timebank.errors import Reason
from timebank.merchant.v1 import merchant_pb2, settlement_pb2

K = DocumentKind
HOUR_S = 3_600
HAIRCUT = "shop/haircut"
CUT_MINUTES = 40


@pytest.fixture
async def teller(shop: ShopWorld) -> Teller:
    """A shop whose fund has money, and which sells haircuts for TIME."""
    found = teller_of(shop)
    await found.income()
    coffee = await shop.found(K.OFFER, GOODS)
    await shop.put(coffee._replace(offer_id=HAIRCUT, unit=OfferUnit.TIME, price=CUT_MINUTES))
    accounts = await shop.programmes.member_accounts(shop.programme, "wang")
    await shop.world.grant(accounts.time, 600, TIME)
    return found


async def cut(teller: Teller) -> Redemption:
    """Sells a haircut."""
    return await teller.shop.sell("wang", offer=HAIRCUT)


async def minutes(teller: Teller) -> int:
    """Posted TIME of the shop."""
    merchant = await teller.shop.found(K.MERCHANT, SHOP)
    return (await teller.shop.world.balance(merchant.time_account)).posted


async def test_time_is_listed_in_the_batch_with_its_own_totals_and_comes_to_no_fen(
    teller: Teller,
) -> None:
    await teller.shop.sell("wang")
    first = await cut(teller)
    await cut(teller)
    await teller.shop.do(first, Event.REFUND, 15)
    await teller.next_day()
    batch = await teller.close()
    assert (batch.line_count, batch.net_points, batch.net_fen) == (4, 10, 10)
    assert (batch.redeemed_minutes, batch.refunded_minutes, batch.net_minutes) == (80, 15, 65)
    read = await teller.file(batch)
    assert read.totals == (4, 10, 65, 10)
    assert [(line.kind.value, line.points, line.minutes, line.fen) for line in read.lines] == [
        ("REDEMPTION", 10, 0, 10),
        ("REDEMPTION", 0, CUT_MINUTES, 0),
        ("REDEMPTION", 0, CUT_MINUTES, 0),
        ("REFUND", 0, -15, 0),
    ]
    assert await teller.balances() == (0, 10, 100_000 - 10)
    assert await minutes(teller) == 65, "TIME stays on the merchant's account"
    told = await teller.call("GetBatch", name=f"{SHOP_NAME}/batches/{DAY}-1")
    assert (told.redeemed_minutes, told.refunded_minutes, told.net_minutes) == (80, 15, 65)


async def test_a_day_of_time_alone_has_a_batch_that_the_ledger_need_not_settle(
    teller: Teller,
) -> None:
    sold = await cut(teller)
    await teller.next_day()
    batch = await teller.close()
    assert (batch.line_count, batch.net_fen, batch.entry) == (1, 0, "")
    await teller.shop.do(sold, Event.REFUND, CUT_MINUTES)
    await teller.next_day()
    after = await teller.close("2026-03-02")
    assert (after.line_count, after.net_minutes, after.net_fen) == (1, -CUT_MINUTES, 0)
    assert await teller.balances() == (0, 0, 100_000)
    assert await minutes(teller) == 0


async def test_time_joins_a_batch_of_any_rate(teller: Teller) -> None:
    await teller.shop.sell("wang")
    merchant = await teller.shop.found(K.MERCHANT, SHOP)
    await teller.shop.put(merchant._replace(fen_per_hundred_points=85))
    await cut(teller)
    await teller.next_day()
    batch = await teller.close()
    assert (batch.rate, batch.line_count, batch.net_minutes) == (100, 2, CUT_MINUTES)


async def test_the_statement_of_time_lists_what_services_were_paid_with(teller: Teller) -> None:
    sold = await cut(teller)
    await teller.shop.do(sold, Event.REFUND, 10)
    page = await teller.call(
        "GetMerchantStatement",
        name=SHOP_NAME,
        start_date=DAY,
        end_date=DAY,
        unit=merchant_pb2.UNIT_TIME,
    )
    assert (page.unit, page.opening_balance, page.closing_balance) == (
        *(merchant_pb2.UNIT_TIME, 0),
        CUT_MINUTES - 10,
    )
    kind = settlement_pb2.StatementLine.Kind
    assert [(line.kind, line.merchant_ref, line.amount, line.balance) for line in page.lines] == [
        (kind.KIND_CAPTURE, sold.merchant_ref, CUT_MINUTES, CUT_MINUTES),
        (kind.KIND_REFUND, sold.merchant_ref, -10, CUT_MINUTES - 10),
    ]


async def change(teller: Teller, **changes: Any) -> Any:
    """Changes terms of the shop."""
    merchants = Merchants(teller.shop.programmes)
    command = ChangeMerchant(SHOP, tuple(changes.items()), 0)
    asker = Asker(CALL, uuid.uuid4().bytes)
    return await merchants.change(teller.shop.programme, command, asker)


async def test_minutes_are_no_points_of_a_members_day(teller: Teller) -> None:
    assert not [name for name in (await cut(teller)).counters if name.startswith(SPENT)]
    sold = await teller.shop.sell("wang")
    assert [name for name in sold.counters if name.startswith(SPENT)]


async def test_whom_an_officer_helps_pays_for_a_haircut_in_time(teller: Teller) -> None:
    shop = teller.shop
    accounts = await shop.programmes.member_accounts(shop.programme, "wang")
    helped = Payer(Method.ASSISTED, "", "wang", accounts.points, "officer/li", accounts.time)
    asked = (await shop.begin(shop.sale("", offer=HAIRCUT, payer=helped))).redemption
    command = Confirm(
        *(asked.redemption_id, shop.programme.zone, Method.ASSISTED), officer="zhao", life_us=1
    )
    paid = await shop.redemptions.confirm(
        shop.programme, command, request_id=uuid.uuid4().bytes, call=CALL
    )
    assert paid.redemption.state is RedemptionState.CAPTURED
    assert await minutes(teller) == CUT_MINUTES


async def test_a_moved_cut_off_holds_from_the_next_day_and_no_line_is_lost_or_doubled(
    teller: Teller,
) -> None:
    # It is 08:00 on 1 March, and 10:00 would be the cut-off if it held at once.
    sold = [await teller.shop.sell("wang")]
    changed = await change(teller, cut_off_minute=10 * 60)
    assert changed.cut_offs[-1] == ("2026-03-02", 600)
    for hours in (4, 20, 24):
        # 12:00, 08:00, and 08:00 of the day after, whose business day began at 10:00.
        teller.shop.world.clock.advance(seconds=hours * HOUR_S)
        sold.append(await teller.shop.sell("wang"))
    assert [one.business_date for one in sold] == [DAY, DAY, "2026-03-02", "2026-03-03"]
    assert await closer_of(teller).round() == 2
    teller.shop.world.clock.advance(seconds=2 * HOUR_S)
    assert await closer_of(teller).round() == 1
    batches = [
        await teller.settlements.find(teller.shop.programme, f"{SHOP}/2026-03-0{day}-1")
        for day in (1, 2, 3)
    ]
    assert [(batch.state, batch.line_count) for batch in batches] == [
        (BatchState.CLOSED, 2),
        (BatchState.CLOSED, 1),
        (BatchState.CLOSED, 1),
    ]
    lines = [line for batch in batches for line in (await teller.file(batch)).lines]
    assert [line.redemption_id for line in lines] == [one.redemption_id for one in sold]
    assert not any(line.original_date for line in lines)


async def test_the_running_day_keeps_its_cut_off_for_reversals_too(teller: Teller) -> None:
    sold = await teller.shop.sell("wang")
    await change(teller, cut_off_minute=9 * 60)
    teller.shop.world.clock.advance(seconds=2 * HOUR_S)
    assert (await teller.shop.reverse(sold.merchant_ref)).refunded == 10


async def test_the_contract_tells_from_when_a_cut_off_holds(teller: Teller) -> None:
    await change(teller, cut_off_minute=600, cut_off_effective_date="2026-04-01")
    late = change(teller, cut_off_minute=60, cut_off_effective_date=DAY)
    assert await reason_of(late) is Reason.VALIDATION_FAILED
    merchant = await teller.shop.found(K.MERCHANT, SHOP)
    told = merchant_to_wire("weihai", merchant, shows_terms=True)
    assert (told.cut_off_minute, told.cut_off_effective_date) == (600, "2026-04-01")
    assert told.previous_cut_off_minute == 0
    shown = io.StringIO()
    Console(file=shown, width=120).print(merchant_table(merchant_from_wire(told)))
    assert "10:00 from 自 2026-04-01" in shown.getvalue()
    assert not merchant_to_wire("weihai", merchant, shows_terms=False).cut_off_effective_date


async def closed(teller: Teller, date: str) -> list[Batch]:
    """Closes a day; gives all its batches."""
    await teller.close(date)
    rows = await teller.shop.programmes.listed(teller.shop.programme, K.BATCH, SHOP, limit=100)
    return [batch for _, batch in rows if isinstance(batch, Batch)]


async def test_a_budget_has_spent_what_was_paid_to_the_last_fen(teller: Teller) -> None:
    for rate in (85, 133):
        merchant = await teller.shop.found(K.MERCHANT, SHOP)
        await teller.shop.put(merchant._replace(fen_per_hundred_points=rate))
        held = await teller.shop.sell("wang", redeems=False)
        await teller.shop.do(held, Event.CAPTURE, 3)
        await teller.shop.do(held, Event.CAPTURE, 4, final=True)
        sold = await teller.shop.sell("wang")
    before = await teller.shop.found(K.BUDGET, "b")
    assert (before.reserved_fen, before.spent_fen) == (0, 6 + 9 + 10 + 14)
    await teller.next_day()
    batches = await closed(teller, DAY)
    budget = await teller.shop.found(K.BUDGET, "b")
    assert [batch.net_fen for batch in batches] == [14, 22]
    assert (budget.spent_fen, budget.adjusted_fen) == (14 + 22, -3)
    assert sum(batch.adjusted_fen for batch in batches) == budget.adjusted_fen
    assert (await teller.balances())[1] == budget.spent_fen
    await teller.shop.do(sold, Event.REFUND, 10)
    await teller.next_day()
    (owing,) = (await closed(teller, "2026-03-02"))[2:]
    owed = await teller.shop.found(K.BUDGET, "b")
    assert (owing.net_fen, owed.spent_fen) == (-13, 36), "nothing came back from the merchant yet"
    await teller.shop.sell("wang")
    await teller.shop.sell("wang")
    await teller.next_day()
    (netted,) = (await closed(teller, "2026-03-03"))[3:]
    after = await teller.shop.found(K.BUDGET, "b")
    assert after.spent_fen == 36 + netted.net_fen == (await teller.balances())[1]
