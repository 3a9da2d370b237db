"""What is forgotten: requests after 31 days, counters a month after their window; what is not."""

import uuid
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.counter_windows import COUNTER_KEPT_DAYS, kept_until_us
from merchant.domain.documents import Control, Controls, Counter
from merchant.domain.redemption_moves import Event
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.domain.velocity import CONTROLS_ID, WINDOWS, window_of
from merchant.migrations.versions import merchant_0002
from merchant.store import schema
from merchant.store.outcomes import ROWS_MAX
from merchant.usecases import forgetting
from merchant.usecases.sweeper import Sweeper
from tests.merchant.domain.test_business_days import ZONES
from tests.merchant.shops import ShopWorld
from timebank.database import reading

K = DocumentKind
DAY_S = 86_400
DAY_US = DAY_S * 1_000_000


def sweeper_of(shop: ShopWorld) -> Sweeper:
    """The sweeper of the shop's process; tests say when it looks."""
    return Sweeper(shop.programmes, shop.redemptions, interval_s=3_600)


async def request_count(shop: ShopWorld) -> int:
    """How many requests are remembered."""
    async with reading(shop.programmes.databases.reader) as connection:
        query = select(func.count()).select_from(schema.requests)
        count: int = (await connection.execute(query)).scalar_one()
    return count


async def writing(shop: ShopWorld, work: Any) -> None:
    """Does something to the tables beside the service."""
    writer = shop.programmes.databases.writer
    if isinstance(writer, AsyncEngine):
        async with writer.begin() as connection:
            await connection.run_sync(work)
    else:
        with writer.begin() as plain:
            work(plain)


async def test_a_request_answers_for_a_month_and_its_sale_stands_for_ever(shop: ShopWorld) -> None:
    command, request_id = shop.sale(await shop.code("wang")), uuid.uuid4().bytes
    sold = await shop.begin(command, request_id)
    sweeper = sweeper_of(shop)
    before = await request_count(shop)
    shop.world.clock.advance(seconds=30 * DAY_S)
    await sweeper.sweep()
    assert await request_count(shop) == before
    assert (await shop.begin(command, request_id)).replayed
    shop.world.clock.advance(seconds=DAY_S + 3_600)
    newer = await shop.begin(command, uuid.uuid4().bytes)
    await sweeper.sweep()
    assert await request_count(shop) == 1, "the newest is not old enough"
    again = await shop.begin(command, request_id)
    assert (again.replayed, again.redemption) == (False, sold.redemption)
    assert newer.redemption == sold.redemption
    assert await shop.points_of("wang") == 90


async def test_requests_are_forgotten_in_small_statements(
    shop: ShopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger_no = shop.programme.ledger_no
    rows = [
        (ledger_no, number.to_bytes(16, "big"), b"", 0, "", None, number)
        for number in range(2 * ROWS_MAX + 1)
    ]
    await writing(shop, lambda connection: connection.execute(insert(schema.requests).values(rows)))
    monkeypatch.setattr(forgetting, "STATEMENTS_MAX", 1)
    sweeper = sweeper_of(shop)
    left = []
    for _ in range(4):
        await sweeper.sweep()
        left.append(await request_count(shop))
    assert left == [ROWS_MAX + 1, 1, 0, 0]


async def counted(shop: ShopWorld) -> set[str]:
    """The windows of all counters that are there."""
    rows = await shop.programmes.listed(shop.programme, K.COUNTER, "", limit=100)
    return {row[1][0].rpartition("/")[2] for row in rows}


async def test_counters_are_forgotten_once_their_window_is_long_over(shop: ShopWorld) -> None:
    windows = ("DAY", "WEEK", "MONTH", "LIFETIME")
    limits = tuple(Control(window.lower(), "MEMBER", window, 1_000, 0) for window in windows)
    await shop.put(Controls(CONTROLS_ID, limits))
    sold = await shop.sell("wang")
    sweeper = sweeper_of(shop)
    everything = {"2026-03-01", "2026-W09", "2026-03", "all"}
    assert await counted(shop) == everything
    shop.world.clock.advance(seconds=(COUNTER_KEPT_DAYS - 1) * DAY_S)
    await sweeper.sweep()
    assert await counted(shop) == everything
    shop.world.clock.advance(seconds=3 * DAY_S)
    await sweeper.sweep()
    assert await counted(shop) == {"2026-03", "all"}
    shop.world.clock.advance(seconds=31 * DAY_S)
    await sweeper.sweep()
    assert await counted(shop) == {"all"}
    back = await shop.do(sold, Event.REFUND, 10)
    assert (back.state, back.refunded) == (RedemptionState.CAPTURED, 10)
    assert await counted(shop) == {"all"}, "a late refund does not bring the others back"
    lifetime = await shop.found(K.COUNTER, "lifetime/wang/all")
    assert (lifetime.amount, lifetime.times) == (0, 1)


@given(
    st.integers(0, 2_000_000_000_000_000),
    st.sampled_from(ZONES),
    st.sampled_from(WINDOWS),
)
def test_a_counter_is_kept_a_month_after_the_last_moment_of_its_window(
    now_us: int, zone: str, window: str
) -> None:
    name = window_of(window, now_us, zone)
    until_us = kept_until_us(f"one/wang/{name}")
    if window in ("LIFETIME", "TRANSACTION"):
        assert until_us is None
        return
    assert until_us is not None
    kept_us = 31 * DAY_US
    assert window_of(window, until_us - kept_us, zone) != name, "its window is over"
    assert now_us + kept_us < until_us < now_us + kept_us + 36 * DAY_US


async def test_tables_of_an_earlier_version_learn_to_forget(shop: ShopWorld) -> None:
    await shop.put(*(Counter(f"spent/m{number}/2026-01-01", 5, 1) for number in range(3)))

    def migrate(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            merchant_0002.downgrade()
            assert "merchant_requests_by_time" not in indexes(connection)
            due = schema.documents.c.due_us
            query = select(func.count(due)).where(schema.documents.c.kind == int(K.COUNTER))
            assert connection.execute(query).scalar_one() == 0
            merchant_0002.upgrade()
            assert "merchant_requests_by_time" in indexes(connection)

    await writing(shop, migrate)
    await sweeper_of(shop).sweep()
    assert await counted(shop) == set()


def indexes(connection: Connection) -> set[str | None]:
    """The names of the indexes of requests."""
    return {item["name"] for item in inspect(connection).get_indexes("merchant_requests")}


@pytest.mark.parametrize("window", ["2026-99-99", "2026-W60", "9999-12-31", "2026-13"])
def test_what_is_no_window_of_the_calendar_has_no_end(window: str) -> None:
    assert kept_until_us(f"one/wang/{window}") is None
