"""Closing business days: what a merchant is paid for, once, whatever breaks on the way."""

import asyncio
import hashlib
import random

import pytest

from merchant.domain.detached_signatures import parse_detached_jws
from merchant.domain.documents import Batch
from merchant.domain.redemption_moves import Event
from merchant.domain.settlement_rules import BatchState, RecordPayout
from merchant.domain.states import DocumentKind, MerchantState
from merchant.money_client import Money
from merchant.usecases import closer
from merchant.usecases.programmes import Programme
from merchant.usecases.settlements import Settlements
from tests.merchant.flaky_ledgers import DyingSequencer, ProcessDied, Weather, programmes_beside
from tests.merchant.shops import CALL, SHOP, ShopWorld, reason_of
from tests.merchant.tellers import DAY, SIGNER, Teller, closer_of, settlements_of, teller_of
from timebank.errors import Reason, TimebankError
from timebank.signing import Verifier

K = DocumentKind


@pytest.fixture
async def teller(shop: ShopWorld) -> Teller:
    """A shop whose fund has money."""
    found = teller_of(shop)
    await found.income()
    return found


async def closed_batches(teller: Teller) -> list[Batch]:
    """The batches of the shop in the order in which they were closed."""
    rows = await teller.shop.programmes.listed(teller.shop.programme, K.BATCH, SHOP, limit=100)
    return [batch for _, batch in rows if isinstance(batch, Batch)]


async def test_a_day_is_settled_with_a_signed_file(teller: Teller) -> None:
    sold = [await teller.shop.sell("wang") for _ in range(3)]
    await teller.shop.do(sold[0], Event.REFUND, 4)
    await teller.next_day()
    batch = await teller.close()
    assert (batch.state, batch.line_count) == (BatchState.CLOSED, 4)
    assert (batch.redeemed_points, batch.refunded_points, batch.net_fen) == (30, 4, 26)
    assert await teller.balances() == (0, 26, 100_000 - 26)
    read = await teller.file(batch)
    assert read.sha256 == batch.file_sha256
    assert (read.totals.line_count, read.totals.points, read.totals.fen) == (4, 26, 26)
    assert [line.points for line in read.lines] == [10, 10, 10, -4]
    jws = parse_detached_jws(batch.jws)
    assert jws.kid == SIGNER.vkey
    Verifier.from_text(jws.kid).verify(jws.signing_input(batch.file_sha256), jws.signature)


async def test_closing_again_does_nothing_and_late_lines_make_the_next_sequence(
    teller: Teller,
) -> None:
    await teller.shop.sell("wang")
    await teller.next_day()
    first = await teller.close()
    assert await teller.close() == first
    await teller.late_line(1, 7, DAY)
    second = await teller.close()
    assert (second.batch_id, second.net_points) == (f"{SHOP}/{DAY}-2", 7)
    assert second.previous_file_sha256 == first.file_sha256
    assert await teller.close() == second


async def test_late_lines_keep_their_date_in_a_later_day(teller: Teller) -> None:
    await teller.next_day()
    empty = await teller.close()
    assert (empty.line_count, empty.net_fen, empty.state) == (0, 0, BatchState.CLOSED)
    assert (await teller.file(empty)).lines == ()
    await teller.late_line(1, 7, DAY)
    await teller.shop.sell("wang")
    await teller.next_day()
    batch = await teller.close("2026-03-02")
    lines = (await teller.file(batch)).lines
    assert [(line.points, line.original_date) for line in lines] == [(7, DAY), (10, "")]


async def test_a_day_that_is_not_over_is_not_closed(teller: Teller) -> None:
    assert await reason_of(teller.close()) is Reason.VALIDATION_FAILED
    missing = teller.settlements.close(teller.shop.programme, "nobody", "2026-01-01")
    assert await reason_of(missing) is Reason.MERCHANT_NOT_FOUND


async def test_days_are_closed_one_after_the_other(teller: Teller) -> None:
    await teller.shop.sell("wang")
    await teller.next_day(3)
    request_id = b"r" * 16

    async def close_the_last() -> Batch:
        closed = await teller.settlements.close(
            teller.shop.programme, SHOP, "2026-03-03", request_id=request_id, call=CALL
        )
        return closed.batch

    for date in (DAY, "2026-03-02"):
        with pytest.raises(TimebankError, match=f"close {date} first") as refused:
            await close_the_last()
        assert refused.value.reason is Reason.VALIDATION_FAILED
        await teller.close(date)
    assert (await close_the_last()).batch_id == f"{SHOP}/2026-03-03-1"


async def test_a_day_before_the_merchants_first_is_not_missed(teller: Teller) -> None:
    await teller.next_day(2)
    for date in ("2026-02-20", "2026-02-10"):
        assert (await teller.close(date)).state == BatchState.CLOSED
    assert await closer_of(teller).round() == 2
    found = await closed_batches(teller)
    assert [batch.business_date for batch in found[2:]] == [DAY, "2026-03-02"]


@pytest.mark.parametrize("seed", range(3))
async def test_every_day_has_one_first_batch_whoever_closes_it_when(
    teller: Teller, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(closer, "DAYS_MAX", 1)
    dates = [f"2026-03-{day:02}" for day in range(1, 11)]
    draw, beside = random.Random(seed), closer_of(teller)
    for _ in dates:
        await teller.shop.sell("wang")
        await teller.next_day()
    for _ in range(20 * len(dates)):
        if draw.random() < 0.2:
            await beside.round()
        try:
            await teller.close(draw.choice(dates))
        except TimebankError as error:
            assert error.reason is Reason.VALIDATION_FAILED  # noqa: PT017  # only some are refused
    batches = await closed_batches(teller)
    assert [batch.batch_id for batch in batches] == [f"{SHOP}/{date}-1" for date in dates]
    assert [batch.net_points for batch in batches] == [10] * len(dates)
    digests = [batch.file_sha256 for batch in batches]
    assert [batch.previous_file_sha256 for batch in batches] == ["", *digests[:-1]]


async def test_what_a_merchant_owes_lowers_the_next_batch(teller: Teller) -> None:
    sold = await teller.shop.sell("wang")
    await teller.next_day()
    await teller.close()
    await teller.shop.do(sold, Event.REFUND, 10)
    await teller.next_day()
    owing = await teller.close("2026-03-02")
    assert (owing.net_points, owing.net_fen, owing.entry) == (-10, -10, "")
    assert await teller.balances() == (-10, 10, 100_000 - 10)
    await teller.shop.sell("wang")
    await teller.shop.sell("wang")
    await teller.next_day()
    batch = await teller.close("2026-03-03")
    assert (batch.redeemed_points, batch.refunded_points, batch.net_fen) == (20, 10, 10)
    lines = (await teller.file(batch)).lines
    assert [(line.redemption_id, line.points) for line in lines if not line.merchant_ref] == [
        (owing.batch_id, -10)
    ]
    assert await teller.balances() == (0, 20, 100_000 - 20)


async def test_an_empty_day_leaves_what_is_owed_for_a_day_with_lines(teller: Teller) -> None:
    sold = await teller.shop.sell("wang")
    await teller.next_day()
    await teller.close()
    await teller.shop.do(sold, Event.REFUND, 10)
    await teller.next_day(2)
    await teller.close("2026-03-02")
    empty = await teller.close("2026-03-03")
    assert (empty.line_count, empty.net_points) == (0, 0)


async def test_lines_of_another_rate_make_another_batch(teller: Teller) -> None:
    await teller.late_line(1, 50, DAY, rate=100)
    await teller.late_line(2, 50, DAY, rate=85)
    await teller.next_day()
    await teller.close()
    first = await teller.settlements.find(teller.shop.programme, f"{SHOP}/{DAY}-1")
    second = await teller.settlements.find(teller.shop.programme, f"{SHOP}/{DAY}-2")
    assert [(b.rate, b.net_points, b.net_fen) for b in (first, second)] == [
        (100, 50, 50),
        (85, 50, 42),
    ]


async def test_large_refunds_of_a_later_day_are_netted_before_the_ledger_would_decline(
    teller: Teller,
) -> None:
    await teller.late_line(1, 1_000, DAY)
    await teller.next_day()
    merchant = await teller.shop.found(K.MERCHANT, SHOP)
    await teller.late_line(2, -900, "2026-03-02")
    assert merchant.debt_points_max == 500
    batch = await teller.close()
    assert (batch.line_count, batch.net_points) == (2, 100)


async def test_an_empty_fund_leaves_the_batch_closing_until_there_is_money(shop: ShopWorld) -> None:
    teller = teller_of(shop)
    await shop.sell("wang")
    await teller.next_day()
    assert await reason_of(teller.close()) is Reason.FUND_EXHAUSTED
    waiting = await teller.settlements.find(shop.programme, f"{SHOP}/{DAY}-1")
    assert (waiting.state, waiting.attempts) == (BatchState.CLOSING, 1)
    await teller.income()
    assert (await teller.close()).net_fen == 10
    assert await teller.balances() == (0, 10, 100_000 - 10)


async def test_a_merchant_that_leaves_has_left_once_everything_is_settled(teller: Teller) -> None:
    held = await teller.shop.sell("wang", redeems=False)
    merchant = await teller.shop.found(K.MERCHANT, SHOP)
    await teller.shop.put(merchant._replace(state=MerchantState.LEAVING))
    await teller.next_day()
    await teller.close()
    assert (await teller.shop.found(K.MERCHANT, SHOP)).state is MerchantState.LEAVING
    await teller.shop.do(held, Event.VOID)
    await teller.close()
    assert (await teller.shop.found(K.MERCHANT, SHOP)).state is MerchantState.LEFT


async def test_the_closer_closes_every_day_that_is_over(teller: Teller) -> None:
    await teller.shop.sell("wang")
    await teller.next_day(3)
    assert await closer_of(teller).round() == 3
    assert await closer_of(teller).round() == 0
    merchant = await teller.shop.found(K.MERCHANT, SHOP)
    assert (merchant.batches, merchant.last_closed_date) == (3, "2026-03-03")


async def test_two_callers_close_a_day_once(teller: Teller) -> None:
    await teller.shop.sell("wang")
    await teller.next_day()
    other, _ = settlements_of(teller.shop.programmes, Money())
    beside = other.close(teller.shop.programme, SHOP, DAY)
    first, second, third = await asyncio.gather(teller.close(), teller.close(), beside)
    assert first == second == third.batch
    assert await teller.balances() == (0, 10, 100_000 - 10)


class DyingMoney(Money):
    """Asks the ledger in a process that may die before or after."""

    def __init__(self, weather: Weather) -> None:
        super().__init__()
        self.weather = weather

    async def _post(self, *question: object) -> object:  # type: ignore[override]  # passed on
        self.weather.boundary()
        moved = await super()._post(*question)  # type: ignore[arg-type]  # passed on
        self.weather.boundary()
        return moved


async def _process(teller: Teller, weather: Weather) -> tuple[Settlements, Programme]:
    """Another process beside the shop's own."""
    programmes = programmes_beside(teller.shop, weather)
    programme = await programmes.programme("weihai", None)
    programme.sequencer = DyingSequencer(programme.sequencer, weather)
    settlements, _ = settlements_of(programmes, DyingMoney(weather))
    return settlements, programme


async def test_a_process_that_dies_anywhere_loses_and_doubles_nothing(teller: Teller) -> None:
    request_id, deaths = b"r" * 16, 0
    weather = Weather()
    settlements, programme = await _process(teller, weather)
    for _ in range(3):
        await teller.shop.sell("wang")
    await teller.next_day()
    while True:
        weather.boundaries_to_live = deaths
        try:
            closed = await settlements.close(programme, SHOP, DAY, request_id=request_id, call=CALL)
            break
        except ProcessDied:
            deaths += 1
    # Written and read, each step but the last may be followed by the end of the process.
    assert deaths >= 3
    assert (closed.batch.batch_id, closed.batch.net_points) == (f"{SHOP}/{DAY}-1", 30)
    assert await teller.balances() == (0, 30, 100_000 - 30)
    assert (await teller.file(closed.batch)).sha256 == closed.batch.file_sha256


async def test_another_process_finishes_what_a_dead_one_began(teller: Teller) -> None:
    weather = Weather()
    settlements, programme = await _process(teller, weather)
    for day in range(1, 8):
        await teller.shop.sell("wang")
        await teller.next_day()
        weather.boundaries_to_live = day - 1
        try:
            await settlements.close(programme, SHOP, f"2026-03-{day:02}")
        except ProcessDied:
            await closer_of(teller).round()
        batch = await teller.close(f"2026-03-{day:02}")
        assert (batch.sequence, batch.state) == (1, BatchState.CLOSED)
        assert await teller.balances() == (0, 10 * day, 100_000 - 10 * day)


async def test_a_payout_is_entered_once(teller: Teller) -> None:
    await teller.shop.sell("wang")
    await teller.next_day()
    batch = await teller.close()
    weather = Weather(boundaries_to_live=1)
    settlements, programme = await _process(teller, weather)
    command = RecordPayout(batch.batch_id, 10, "发票-1", teller.shop.world.clock.now_us())
    request_id = hashlib.sha256(b"payout").digest()[:16]
    for boundaries in range(4):
        weather.boundaries_to_live = boundaries
        try:
            await settlements.pay_out(programme, command, request_id=request_id, call=CALL)
        except ProcessDied:
            continue
        break
    paid = await teller.settlements.pay_out(
        teller.shop.programme, command, request_id=b"o" * 16, call=CALL
    )
    assert (paid.replayed, paid.batch.state, paid.batch.paid_fen) == (True, BatchState.PAID, 10)
    assert await teller.balances() == (0, 0, 100_000 - 10)
    other = command._replace(invoice_number="发票-2")
    refused = teller.settlements.pay_out(
        teller.shop.programme, other, request_id=b"p" * 16, call=CALL
    )
    assert await reason_of(refused) is Reason.BATCH_STATE


async def test_the_closer_finishes_a_payout_that_was_noted(teller: Teller) -> None:
    await teller.shop.sell("wang")
    await teller.next_day()
    batch = await teller.close()
    settlements, programme = await _process(teller, Weather(boundaries_to_live=0))
    command = RecordPayout(batch.batch_id, 10, "", teller.shop.world.clock.now_us())
    with pytest.raises(ProcessDied):
        await settlements.pay_out(programme, command, request_id=b"r" * 16, call=CALL)
    teller.shop.world.clock.advance(seconds=60)
    await closer_of(teller).round()
    paid = await teller.settlements.find(teller.shop.programme, batch.batch_id)
    assert (paid.state, paid.paid_fen) == (BatchState.PAID, 10)
