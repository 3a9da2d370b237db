"""What comparisons read of very many documents is what they would read of all of them."""

import random

import pytest

from merchant.domain.documents import Batch, Capture, Redemption
from merchant.domain.settlement_rules import BatchState
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.store.bodies import body_of, document_from_body
from merchant.usecases import recent_batches, sold_days
from merchant.usecases.sold_days import Days, sold_in
from tests.merchant.shops import SHOP, ShopWorld
from tests.merchant.tellers import DAY_S

DAYS = [f"2026-03-{day:02}" for day in range(1, 13)]
DAY_US = DAY_S * 1_000_000
REDEMPTION = Redemption(f"{SHOP}/1", "t1-1", "aa", RedemptionState.CAPTURED, 5, captured=7)
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
