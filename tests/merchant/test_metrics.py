"""What Prometheus sees of the merchant service: numbers of sales, and no name of a person."""

import pathlib
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from merchant.domain.documents import Batch, Budget, Comparison, Item
from merchant.domain.redemption_moves import Event
from merchant.domain.settlement_rules import BatchState
from merchant.metrics import OTHER, Committed, MerchantMetricFamilies, MerchantMetrics
from merchant.usecases.sweeper import ROUND_MAX, Sweeper
from tests.merchant.flaky_ledgers import Fault, make_flaky
from tests.merchant.shops import LIMIT_FEN, ShopWorld, reason_of
from tests.merchant.till_world import SHOP, TillWorld, till_world
from tests.support.ledgers import refused
from timebank.errors import Reason

PREFIX = "timebank_merchant_"


@pytest.fixture
async def till(tmp_path: pathlib.Path, sqlite_url: str) -> AsyncIterator[TillWorld]:
    """A shop with a till behind a server that shows its metrics over HTTP."""
    async with till_world(tmp_path, sqlite_url) as found:
        found.world.process.start_http()
        await found.open_shop()
        await found.member("wang", 100)
        yield found


async def scraped(till: TillWorld) -> str:
    """What the server answers on /metrics."""
    http = till.world.process.http
    assert http is not None
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{http.port}/metrics")).text


def value(text: str, name: str, **labels: str) -> float:
    """One sample of the ledger's; 0 when it is not there."""
    wanted = {"ledger": "weihai"} | labels
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == PREFIX + name and sample.labels == wanted:
                return sample.value
    return 0.0


async def test_a_sale_and_its_reversal_are_on_the_metrics_page(till: TillWorld) -> None:
    before = await scraped(till)
    await till.redeem("wang")
    sold = await till.redeem("wang")
    await till.call("ReverseRedemption", parent=SHOP, merchant_ref=sold.merchant_ref)
    text = await scraped(till)
    assert value(text, "redemptions_total", state="CAPTURED", reason="") == 2
    assert value(text, "redemptions_total", state="REVERSED", reason="") == 1
    assert value(text, "reversals_total", reversed="CAPTURED") == 1
    assert value(text, "payment_codes_issued_total") == 2
    assert value(text, "queue_requests") == 0
    # Per sale: the code, the intent, the ledger's answer; then the reversal's question and answer.
    for name in ("batch_requests_count", "batch_requests_sum", "commit_seconds_count"):
        assert value(text, name) - value(before, name) == 8
    assert 0 < value(text, "commit_seconds_sum") < 60


async def test_a_declined_sale_is_counted_with_its_reason(till: TillWorld) -> None:
    await till.member("zhao", 5)
    assert await refused(till.redeem("zhao")) is Reason.INSUFFICIENT_BALANCE
    text = await scraped(till)
    declined = {"state": "DECLINED", "reason": "INSUFFICIENT_BALANCE"}
    assert value(text, "redemptions_total", **declined) == 1


async def test_refused_codes_are_counted_by_cause_and_a_lock_once(till: TillWorld) -> None:
    code = await till.code("wang")
    await till.redeem("wang", payment_code=code)
    for _ in range(10):
        await refused(till.redeem("", payment_code=code))
    assert await refused(till.redeem("", payment_code=code)) is Reason.RATE_LIMITED
    text = await scraped(till)
    assert value(text, "payment_codes_refused_total", cause="USED") == 10
    assert value(text, "payment_codes_refused_total", cause="LOCKED") == 1
    assert value(text, "till_lockouts_total") == 1


async def test_the_page_names_no_member_merchant_or_code(till: TillWorld) -> None:
    code = await till.code("wang")
    await till.redeem("wang", payment_code=code)
    lines = [line for line in (await scraped(till)).splitlines() if PREFIX in line]
    assert lines
    assert not any(word in line for line in lines for word in ("wang", "shop", code))


def sample(shop: ShopWorld, name: str, **labels: str) -> float | None:
    """One sample of the shop's own registry."""
    wanted = {"ledger": "weihai"} | labels
    return shop.programmes.metrics.registry.get_sample_value(PREFIX + name, wanted)


async def test_a_sweep_shows_open_questions_their_age_and_what_is_left_of_the_budgets(
    shop: ShopWorld,
) -> None:
    sweeper = Sweeper(shop.programmes, shop.redemptions, interval_s=1)
    held = await shop.sell("wang", redeems=False)
    weather = make_flaky(shop)
    weather.always = Fault.DOWN
    assert await reason_of(shop.sell("wang")) is Reason.OUTCOME_UNKNOWN
    shop.world.clock.advance(seconds=90)
    await sweeper.sweep()
    assert sample(shop, "open_questions") == 1
    assert sample(shop, "oldest_question_seconds") == pytest.approx(90, abs=1)
    assert sample(shop, "budget_left_fen") == LIMIT_FEN - 20
    weather.clear_up()
    await sweeper.sweep()
    await shop.do(held, Event.VOID)
    await sweeper.sweep()
    assert sample(shop, "open_questions") == 0
    assert sample(shop, "oldest_question_seconds") == 0
    assert sample(shop, "budget_left_fen") == LIMIT_FEN - 10
    assert sample(shop, "sweeps_total") == 3


async def test_a_budget_that_is_over_or_overdrawn_has_nothing_left(shop: ShopWorld) -> None:
    over_us = shop.world.clock.now_us()
    await shop.put(Budget("old", "去年", 500, valid_until_us=over_us), Budget("less", "少", 5, 9))
    await Sweeper(shop.programmes, shop.redemptions, interval_s=1).sweep()
    assert sample(shop, "budget_left_fen") == LIMIT_FEN


async def test_a_batch_and_its_lines_are_counted_when_it_closes_and_not_when_it_is_paid(
    shop: ShopWorld,
) -> None:
    closed = Batch("shop/2026-03-01-1", "2026-03-01", 1, BatchState.CLOSED, 100, 1, line_count=7)
    await shop.put(closed._replace(state=BatchState.CLOSING))
    assert sample(shop, "batches_closed_total") == 0
    await shop.put(closed)
    await shop.put(closed._replace(state=BatchState.PAID))
    assert sample(shop, "batches_closed_total") == 1
    assert sample(shop, "lines_settled_total") == 7


async def test_compared_rows_are_counted_by_outcome_once(shop: ShopWorld) -> None:
    item = Item("shop/i1", "2026-03-01", "t1-1", "UNPAID", 1, 2, 3, 4, 5)
    await shop.put(item, item._replace(item_id="shop/i2", outcome="<odd>"))
    await shop.put(item._replace(owner="chen"), Comparison("c1", 1, 9, 0, 6, 2))
    assert sample(shop, "reconciliations_total", outcome="UNPAID") == 1
    assert sample(shop, "reconciliations_total", outcome=OTHER) == 1
    assert sample(shop, "reconciliations_total", outcome="MATCHED") == 6


async def test_a_fault_of_the_metrics_does_not_undo_a_sale(
    shop: ShopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: MerchantMetrics, *change: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MerchantMetrics, "_count_change", broken)
    sold = await shop.sell("wang")
    assert (sold.captured, await shop.points_of("wang")) == (10, 90)


def test_a_batch_that_changed_nothing_is_seen_too() -> None:
    registry = CollectorRegistry()
    MerchantMetricFamilies(registry).of("weihai").committed(Committed(3, 4, 0.5, []))
    labels = {"ledger": "weihai"}
    assert registry.get_sample_value(f"{PREFIX}batch_requests_sum", labels) == 3
    assert registry.get_sample_value(f"{PREFIX}queue_requests", labels) == 4


def test_a_sweep_sees_as_many_questions_as_the_help_says() -> None:
    registry = CollectorRegistry()
    MerchantMetricFamilies(registry)
    texts = [family.documentation for family in registry.collect()]
    assert any(f"at most {ROUND_MAX}" in text for text in texts)
