"""The closer: merchants that have left, and what fails beside others that must be closed."""

import asyncio
from typing import NoReturn

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from merchant.domain.documents import Batch, Income, Merchant
from merchant.domain.places import key_of
from merchant.domain.redemption_moves import Event
from merchant.domain.settlement_rules import BatchState
from merchant.domain.states import DocumentKind, MerchantState
from merchant.metrics import OTHER
from merchant.store import schema
from merchant.usecases.closer import Closer
from merchant.usecases.programmes import Programme
from merchant.usecases.sweeper import Sweeper
from tests.merchant.flaky_ledgers import Fault, make_flaky
from tests.merchant.shops import SHOP, ShopWorld, reason_of
from tests.merchant.tellers import DAY, Teller, closer_of, teller_of
from timebank.database import Databases
from timebank.errors import Reason, TimebankError

K = DocumentKind
FIRST, LAST = "a-shop", "z-shop"
"""Merchants before and after the shop in the order of a round."""


@pytest.fixture
async def teller(shop: ShopWorld) -> Teller:
    """A shop whose fund has money."""
    found = teller_of(shop)
    await found.income()
    return found


async def batches_of(teller: Teller, merchant_id: str = SHOP) -> list[Batch]:
    """The batches of a merchant in the order in which they were closed."""
    programme = teller.shop.programme
    rows = await teller.shop.programmes.listed(programme, K.BATCH, merchant_id, limit=100)
    return [batch for _, batch in rows if isinstance(batch, Batch)]


async def leave(teller: Teller) -> None:
    """Has the shop leave: it sells nothing any more."""
    merchant = await teller.shop.found(K.MERCHANT, SHOP)
    await teller.shop.put(merchant._replace(state=MerchantState.LEAVING))


async def has_left(teller: Teller) -> bool:
    """Says whether the shop's exit has ended."""
    return (await teller.shop.found(K.MERCHANT, SHOP)).state is MerchantState.LEFT


async def test_what_a_merchant_gives_back_after_it_left_is_settled_once(teller: Teller) -> None:
    sold = await teller.shop.sell("wang")
    await leave(teller)
    await teller.next_day()
    assert await closer_of(teller).round() == 1
    assert await has_left(teller)
    await teller.shop.do(sold, Event.REFUND, 4)
    assert await closer_of(teller).round() == 0, "the day of the refund is not over"
    await teller.next_day()
    assert await closer_of(teller).round() == 1
    await teller.next_day(5)
    assert await closer_of(teller).round() == 0, "days with nothing have no reports"
    first, second = await batches_of(teller)
    assert (second.batch_id, second.net_points) == (f"{SHOP}/2026-03-02-1", -4)
    assert second.previous_file_sha256 == first.file_sha256
    assert await has_left(teller)


async def test_an_answer_that_comes_after_a_merchant_left_is_settled(teller: Teller) -> None:
    weather = make_flaky(teller.shop)
    weather.faults.append(Fault.LOST)
    assert await reason_of(teller.shop.sell("wang")) is Reason.OUTCOME_UNKNOWN
    await teller.shop.sell("wang")
    await leave(teller)
    await teller.next_day(2)
    await closer_of(teller).round()
    assert await has_left(teller)
    await Sweeper(teller.shop.programmes, teller.shop.redemptions, interval_s=1).sweep()
    await teller.next_day()
    assert await closer_of(teller).round() == 1
    await teller.next_day(3)
    assert await closer_of(teller).round() == 0
    late = (await batches_of(teller))[-1]
    assert (late.batch_id, late.net_fen) == (f"{SHOP}/2026-03-03-1", 10)
    assert await teller.balances() == (0, 20, 100_000 - 20)


async def test_several_late_answers_make_sequences_of_the_last_day(teller: Teller) -> None:
    await leave(teller)
    await teller.next_day(3)
    await closer_of(teller).round()
    assert await has_left(teller)
    for number in (1, 2):
        await teller.late_line(number, 7, DAY)
        assert await closer_of(teller).round() == 1
    first, *late = await batches_of(teller)
    assert first.batch_id == f"{SHOP}/{DAY}-1"
    assert [batch.batch_id for batch in late] == [f"{SHOP}/2026-03-03-{n}" for n in (1, 2)]
    for batch in late:
        assert [line.original_date for line in (await teller.file(batch)).lines] == [DAY]


async def test_a_batch_of_a_merchant_that_left_is_finished(teller: Teller) -> None:
    await leave(teller)
    await teller.next_day()
    await closer_of(teller).round()
    await teller.late_line(1, 100_007, DAY)
    assert await closer_of(teller).round() == 0, "more than the fund has"
    await teller.income(income_id="i2")
    await closer_of(teller).round()
    late = (await batches_of(teller))[-1]
    assert (late.batch_id, late.state) == (f"{SHOP}/{DAY}-2", BatchState.CLOSED)


async def open_beside(teller: Teller) -> None:
    """Two more merchants, that sell nothing."""
    shop = await teller.shop.found(K.MERCHANT, SHOP)
    await teller.shop.put(shop._replace(merchant_id=FIRST), shop._replace(merchant_id=LAST))


async def damage(teller: Teller, document: Merchant | Income) -> None:
    """Makes a document unreadable, behind the service's back."""
    table, (kind, name) = schema.documents, key_of(document)
    statement = (
        update(table)
        .where(table.c.kind == int(kind), table.c.document_id == name)
        .values(body=b'{"merchant')
    )
    writer = teller.shop.programmes.databases.writer
    if isinstance(writer, AsyncEngine):
        async with writer.begin() as connection:
            await connection.execute(statement)
    else:
        with writer.begin() as plain:
            plain.execute(statement)


def failures(teller: Teller, reason: str) -> float | None:
    """How many failures of the closer were counted."""
    return teller.shop.programmes.metrics.registry.get_sample_value(
        "timebank_merchant_closings_failed_total", {"ledger": "weihai", "reason": reason}
    )


async def test_a_merchant_that_cannot_be_read_keeps_nobody_waiting(teller: Teller) -> None:
    await open_beside(teller)
    await damage(teller, await teller.shop.found(K.MERCHANT, FIRST))
    await teller.next_day()
    with capture_logs() as events:
        assert await closer_of(teller).round() == 2
    (told,) = [event for event in events if event["log_level"] == "error"]
    assert (told["ledger"], told["merchant"]) == ("weihai", FIRST)
    assert isinstance(told["exc_info"], ValueError)
    assert told["exc_info"].__traceback__ is not None
    assert failures(teller, OTHER) == 1
    assert [len(await batches_of(teller, name)) for name in (FIRST, SHOP, LAST)] == [0, 1, 1]


async def test_an_income_that_cannot_be_read_keeps_nobody_waiting(teller: Teller) -> None:
    now_us = teller.shop.world.clock.now_us()
    waiting = Income("a1", 1, 5, "", "bank-a1", "", now_us)
    await teller.shop.put(waiting, waiting._replace(income_id="i2", reference="bank-i2"))
    await damage(teller, waiting)
    await teller.next_day()
    with capture_logs() as events:
        assert await closer_of(teller).round() == 1
    assert [event["document"] for event in events if event["log_level"] == "error"] == ["a1"]
    assert (await teller.shop.found(K.INCOME, "i2")).entry


class FailingFor:
    """Fails for one merchant, a number of times."""

    def __init__(self, teller: Teller, merchant_id: str, fault: Exception, times: int) -> None:
        self._close_due = teller.settlements.close_due
        self._merchant_id, self._fault, self.times_left = merchant_id, fault, times
        self.asked: list[str] = []

    async def __call__(self, programme: Programme, merchant: Merchant, days_max: int) -> int:
        """Closes, or fails."""
        self.asked.append(merchant.merchant_id)
        if merchant.merchant_id == self._merchant_id and self.times_left:
            self.times_left -= 1
            raise self._fault
        return await self._close_due(programme, merchant, days_max)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RuntimeError("a fault of ours"), OTHER),
        (TimebankError(Reason.FUND_EXHAUSTED, "no money"), "FUND_EXHAUSTED"),
        (TimebankError(Reason.DATABASE_UNAVAILABLE, "a hiccup"), "DATABASE_UNAVAILABLE"),
    ],
)
async def test_what_fails_is_told_counted_and_tried_again(
    teller: Teller, monkeypatch: pytest.MonkeyPatch, fault: Exception, reason: str
) -> None:
    await open_beside(teller)
    await teller.next_day()
    failing = FailingFor(teller, FIRST, fault, times=1)
    monkeypatch.setattr(teller.settlements, "close_due", failing)
    with capture_logs() as events:
        assert await closer_of(teller).round() == 2
    assert [event["merchant"] for event in events if "merchant" in event] == [FIRST]
    assert failures(teller, reason) == 1
    assert await closer_of(teller).round() == 1
    assert failures(teller, reason) == 1
    assert len(await batches_of(teller, FIRST)) == 1


async def test_a_database_that_is_gone_ends_the_round(
    teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = TimebankError(Reason.DATABASE_UNAVAILABLE, "gone")

    async def check(_: Databases) -> NoReturn:
        raise gone

    await open_beside(teller)
    await teller.next_day()
    failing = FailingFor(teller, FIRST, gone, times=1)
    monkeypatch.setattr(teller.settlements, "close_due", failing)
    monkeypatch.setattr(Databases, "check", check)
    assert await reason_of(closer_of(teller).round()) is Reason.DATABASE_UNAVAILABLE
    assert failing.asked == [FIRST]


@pytest.mark.parametrize(
    "fault", [RuntimeError("a fault"), TimebankError(Reason.DATABASE_UNAVAILABLE, "gone")]
)
async def test_a_round_that_fails_waits_for_the_next_and_ends_nothing(
    teller: Teller, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    rounds, waited = 0, asyncio.Event()
    real_sleep = asyncio.sleep

    async def fail(_: Closer) -> NoReturn:
        nonlocal rounds
        rounds += 1
        raise fault

    async def sleep(seconds: float) -> None:
        assert seconds == 3_600
        if rounds == 3:
            waited.set()
            await real_sleep(seconds)

    monkeypatch.setattr(Closer, "round", fail)
    monkeypatch.setattr("merchant.usecases.closer.asyncio.sleep", sleep)
    running = asyncio.create_task(closer_of(teller).run())
    await waited.wait()
    monkeypatch.undo()
    assert rounds == 3
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_closer_can_be_cancelled_while_it_closes(
    teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def hang(*_: object) -> int:
        begun.set()
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(teller.settlements, "close_due", hang)
    running = asyncio.create_task(closer_of(teller).run())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
