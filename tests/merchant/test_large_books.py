"""What comparisons read of very many documents is what they would read of all of them."""

import asyncio
import random

import pytest

from merchant.domain.documents import Batch, Capture, Document, Item, Redemption
from merchant.domain.settlement_rules import BatchState
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.store import newest_documents
from merchant.store.bodies import body_of, document_from_body
from merchant.usecases import open_items, recent_batches, sold_days
from merchant.usecases.sold_days import Days, sold_in
from tests.merchant.shops import SHOP, ShopWorld
from tests.merchant.tellers import DAY_S

DAYS = [f"2026-03-{day:02}" for day in range(1, 13)]
DAY_US = DAY_S * 1_000_000
REDEMPTION = Redemption(f"{SHOP}/1", "t1-1", "aa", RedemptionState.CAPTURED, 5, captured=7)
ITEM = Item("a/1", DAYS[0], "", "UNPAID", 5, 0, 5, 0, 1, batch="a/2026-03-01-1")
BATCH = Batch(f"{SHOP}/1", DAYS[0], 1, BatchState.CLOSED, 100, 1, net_fen=5)


async def test_the_redemptions_of_any_days_are_found(
    shop: ShopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sold_days, "PAGE_ROWS", 3)
    merchant = await shop.found(DocumentKind.MERCHANT, SHOP)
    start_us = shop.world.clock.now_us()
    draw = random.Random(1)
    made: list[Redemption] = []
    for number in range(40):
        place = number * len(DAYS) // 40
        late = draw.random() < 0.3  # captured on the day after
        one = REDEMPTION._replace(
            redemption_id=f"{SHOP}/{number:032x}",
            merchant_ref=f"t1-{number}",
            created_us=start_us + place * DAY_US + number,
            business_date=DAYS[min(place + late, len(DAYS) - 1)],
        )
        made.append(one)
        await shop.put(one)
    for first in range(len(DAYS)):
        for last in range(first, min(first + 3, len(DAYS))):
            found = await sold_in(
                shop.programmes, shop.programme, merchant, Days(DAYS[first], DAYS[last])
            )
            expected = [one for one in made if DAYS[first] <= one.business_date <= DAYS[last]]
            assert list(found) == [one.merchant_ref for one in expected]
    assert await sold_in(shop.programmes, shop.programme, merchant, Days("2025-01-01", DAYS[-1]))
    nobody = merchant._replace(merchant_id="nobody")
    assert not await sold_in(shop.programmes, shop.programme, nobody, Days(DAYS[0], DAYS[-1]))


async def test_what_a_text_says_is_no_business_date(shop: ShopWorld) -> None:
    merchant = await shop.found(DocumentKind.MERCHANT, SHOP)
    text = '"business_date":"2020-01-01"'
    one = REDEMPTION._replace(
        created_us=shop.world.clock.now_us(), message=text, business_date=DAYS[0]
    )
    open_one = one._replace(
        redemption_id=f"{SHOP}/2", merchant_ref=text, business_date="", message=""
    )
    await shop.put(one, open_one)
    days = Days(DAYS[0], DAYS[0])
    found = await sold_in(shop.programmes, shop.programme, merchant, days)
    assert list(found) == [one.merchant_ref, open_one.merchant_ref]


async def test_others_have_their_turn_between_two_pages(
    shop: ShopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sold_days, "PAGE_ROWS", 2)
    merchant = await shop.found(DocumentKind.MERCHANT, SHOP)
    now_us = shop.world.clock.now_us()
    for number in range(20):
        one = REDEMPTION._replace(redemption_id=f"{SHOP}/{number}", merchant_ref=f"t1-{number}")
        await shop.put(one._replace(created_us=now_us + number, business_date=DAYS[0]))
    turns, done = 0, asyncio.Event()

    async def take_turns() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    found = await sold_in(shop.programmes, shop.programme, merchant, Days(DAYS[0], DAYS[0]))
    done.set()
    await other
    assert len(found) == 20
    assert turns >= 10


async def test_only_open_items_of_the_merchants_that_are_asked_for_are_read(
    shop: ShopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_items, "PAGES", (1, 3))
    monkeypatch.setattr(open_items, "ROWS_MAX", 6)
    read = spy_on_items(monkeypatch)
    expected: set[str] = set()
    for merchant_id, count in {"b": 1, "c": 7, "d": 20, "other": 5}.items():
        made = [ITEM._replace(item_id=f"{merchant_id}/{n}", owner="li") for n in range(2 * count)]
        await shop.put(*made)
        await shop.put(*(item._replace(resolved_us=1) for item in made[::2]))
        expected |= {item.item_id for item in made[1::2] if merchant_id != "other"}
    found = await open_items.open_items(shop.programmes, shop.programme, ["a", "b", "c", "d"])
    assert {item.item_id for item in found} == expected
    assert len(found) == len(expected)
    assert set(read) == expected, "nothing else is read"


def spy_on_items(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes the ids of the items that are read in lists."""
    read: list[str] = []

    def document(kind: int, body: bytes) -> Document:
        found = document_from_body(kind, body)
        read.append(found[0])
        return found

    monkeypatch.setattr(newest_documents, "document_from_body", document)
    return read


async def test_recent_batches_end_at_the_first_that_was_closed_long_ago(
    shop: ShopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_batches, "PAGES", (1, 3))
    monkeypatch.setattr(recent_batches, "ROWS_MAX", 6)
    recent = {"a": 0, "b": 1, "c": 4, "d": 7, "e": 20}
    expected = set()
    for merchant_id, count in recent.items():
        for number in range(9):
            closed_us = 100 if number >= 9 - count else 10
            one = BATCH._replace(
                batch_id=f"{merchant_id}/2026-03-01-{number}",
                sequence=number,
                closed_us=closed_us,
                net_fen=number % 3,
            )
            await shop.put(one)
            if closed_us == 100 and one.net_fen:
                expected.add(one.batch_id)
    await shop.put(BATCH._replace(batch_id="a/open", state=BatchState.OPEN))
    found = await recent_batches.recent_batches(
        shop.programmes, shop.programme, [*recent, "nobody"], 50
    )
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_body_keeps_what_is_not_at_its_default() -> None:
    one = REDEMPTION._replace(counters=("a", "b"), captures=(Capture("ledgers/x/entries/1", 7),))
    body = body_of(one)
    assert b"refunded" not in body
    assert document_from_body(DocumentKind.REDEMPTION, body) == one


@pytest.mark.parametrize(
    "body",
    [
        b'{"redemption_id":"shop/1"}',
        body_of(REDEMPTION).replace(b'"captured"', b'"taken"'),
        body_of(REDEMPTION).replace(b'"fingerprint":"aa",', b""),
        body_of(REDEMPTION) + b" {}",
        body_of(REDEMPTION)[:-1],
        b"[]",
    ],
)
def test_a_damaged_body_is_no_document(body: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        document_from_body(DocumentKind.REDEMPTION, body)
