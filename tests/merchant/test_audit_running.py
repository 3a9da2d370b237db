"""The audit beside a server that runs, in bounded memory, and after odd histories."""

import functools
import pathlib
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

from ledger.audit.payments import read_payments
from merchant.audit.programmes import Scope
from merchant.audit.run import audit_database
from merchant.audit.sums import Figure, Sums
from merchant.domain.states import DocumentKind
from tests.merchant.audited import (
    DAY_S,
    Hand,
    hold,
    record_income,
    ref,
    vkey_of,
    write_history,
)
from tests.merchant.shops import merchant_url_of
from tests.merchant.till_world import COFFEE, SHOP, TillWorld, till_world
from timebank.audits import Payment
from timebank.config import DatabaseConfig
from timebank.merchant.v1 import merchant_pb2

K = DocumentKind


async def test_a_shop_is_audited_beside_its_server_on_each_database(
    tmp_path: pathlib.Path, database_url: str
) -> None:
    """What moves while the audit reads is left out, and said to be so."""
    url, ledger = merchant_url_of(database_url, tmp_path), DatabaseConfig(url=database_url)
    async with till_world(tmp_path, database_url) as till:
        await write_history(till)
        scope = Scope("weihai", vkey_of(tmp_path), functools.partial(read_payments, ledger))
        report = await audit_database(DatabaseConfig(url=url), scope)
        assert (report.differences, report.notes) == ([], [])
        assert report.checked["batch"] == 2

        async def payments_after_a_sale(ledger_id: str) -> AsyncIterator[Payment]:
            sold = await till.redeem("wang")
            await till.call("RefundRedemption", name=sold.name, op_ref="b", amount=1, **ref(sold))
            async for payment in read_payments(ledger, ledger_id):
                yield payment

        moving = scope._replace(payments_of=payments_after_a_sale)
        report = await audit_database(DatabaseConfig(url=url), moving)
        assert report.differences == []
        assert "1 redemptions moved" in report.notes[0]
        nobody = await audit_database(DatabaseConfig(url=url), Scope("nobody"))
        assert (nobody.checked, nobody.ok) == ({}, True)


async def test_the_watcher_is_told_of_every_document(hand: Hand) -> None:
    told: list[tuple[str, int]] = []

    class Told:
        def start(self, name: str, size: int) -> None:
            told.append((name, size))

        def walked(self, count: int) -> None:
            told.append(("walked", count))

    url = f"sqlite:///{hand.folder / 'merchant.db'}"
    await audit_database(DatabaseConfig(url=url), watcher=Told())
    [(name, size), *steps] = told
    assert name == "weihai"
    assert sum(count for _, count in steps) == size > 50


async def test_sums_do_not_stay_in_memory() -> None:
    sums = Sums()
    tracemalloc.start()
    try:
        for number in range(40_000):
            sums.add((Figure(K.COUNTER, f"day/{number:012}", "times", 1, 1),))
        _, peak = tracemalloc.get_traced_memory()
        assert list(sums.differences()) == []
    finally:
        tracemalloc.stop()
        sums.close()
    assert peak < 5_000_000


async def test_debts_that_are_carried_on_and_odd_rates_agree_to_the_last_fen(
    tmp_path: pathlib.Path, sqlite_url: str
) -> None:
    """A batch by which the merchant owes, the next one that nets it, and lines of two rates."""
    database = DatabaseConfig(url=merchant_url_of(sqlite_url, tmp_path))
    async with till_world(tmp_path, sqlite_url) as till:
        await till.open_shop()
        await till.member("wang", 300)
        await record_income(till)
        await set_rate(till, 37)
        sold = [await till.redeem("wang") for _ in range(3)]
        await close(till, "2026-03-01")
        for one in sold:
            fields: dict[str, Any] = {"op_ref": "back", "amount": 9, **ref(one)}
            await till.call("RefundRedemption", name=one.name, **fields)
        await close(till, "2026-03-02")
        await till.redeem("wang")
        await set_rate(till, 53)
        await till.redeem("wang", quantity=3)
        held = await hold(till)
        await till.call("VoidRedemption", name=held.name, **ref(held))
        await close(till, "2026-03-03")
        report = await audit_database(database)
    assert report.differences == []
    assert report.checked["batch"] >= 4


async def test_a_stock_that_is_changed_by_hand_follows_until_it_is_not_counted_for_a_while(
    tmp_path: pathlib.Path, sqlite_url: str
) -> None:
    database = DatabaseConfig(url=merchant_url_of(sqlite_url, tmp_path))
    async with till_world(tmp_path, sqlite_url) as till:
        await till.open_shop(stock=5)
        await till.member("wang", 300)
        stocked = []
        for stock in (100, 2, None, 7):
            await till.redeem("wang")
            await set_stock(till, stock)
            await till.redeem("wang")
            assert (await audit_database(database)).differences == []
            [offer] = Hand(tmp_path, "").documents(K.OFFER)
            stocked.append(offer.stocked)
    assert stocked == [101, 5, None, None]


async def set_stock(till: TillWorld, stock: int | None) -> None:
    """Says how many pieces there are now."""
    changed = merchant_pb2.Offer(name=COFFEE, stock=stock)
    await till.call("UpdateOffer", offer=changed, update_mask={"paths": ["stock"]})


async def close(till: TillWorld, business_date: str) -> None:
    """Lets a business day end and closes it."""
    till.world.clock.advance(seconds=DAY_S)
    await till.call("CloseBatch", parent=SHOP, business_date=business_date)


async def set_rate(till: TillWorld, fen_per_hundred_points: int) -> None:
    """Agrees on another rate with the shop."""
    changed = merchant_pb2.Merchant(name=SHOP, fen_per_hundred_points=fen_per_hundred_points)
    mask = {"paths": ["fen_per_hundred_points"]}
    await till.call("UpdateMerchant", merchant=changed, update_mask=mask)
