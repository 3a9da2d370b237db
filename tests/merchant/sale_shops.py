"""The shop of the simulation: what it sells and to whom, its limits, and where its ledger is."""

import pathlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from merchant.domain.documents import Control, Controls, Merchant
from merchant.domain.states import DocumentKind
from merchant.domain.velocity import CONTROLS_ID
from tests.merchant.flaky_ledgers import Weather
from tests.merchant.sale_calls import MEMBERS
from tests.merchant.shops import GOODS, SHOP, TILL, ShopWorld, shop_beside, shop_world
from tests.support.ledgers_apart import ledger_apart

K = DocumentKind
CONTROLS = (
    Control("member-day", "MEMBER", "DAY", 60, 0),
    Control("pair-life", "MERCHANT_MEMBER_PAIR", "LIFETIME", 140, 9),
    Control("one", "DEVICE", "TRANSACTION", 25, 0),
)
LIMIT_FEN, MORE_FEN = 100, 50
STOCK, MEMBER_PIECES, DAY_PIECES = 3, 2, 5


@asynccontextmanager
async def shop_in(
    weather: Weather, folder: pathlib.Path, url: str, *, apart: bool
) -> AsyncIterator[ShopWorld]:
    """Opens a shop beside its ledger, or beside a process of it that the weather kills."""
    if not apart:
        async with shop_world(folder, url) as shop:
            yield shop
        return
    async with ledger_apart(folder, url) as (world, process):
        weather.ledger = process
        async with shop_beside(world, folder) as shop:
            yield shop


async def furnish(shop: ShopWorld) -> Merchant:
    """Gives a shop two offers, members, velocity controls and a budget that is short."""
    await shop.open_shop()
    merchant: Merchant = await shop.found(K.MERCHANT, SHOP)
    coffee = await shop.found(K.OFFER, GOODS)
    budget = await shop.found(K.BUDGET, "b")
    till = await shop.found(K.TERMINAL, TILL)
    await shop.put(
        budget._replace(limit_fen=LIMIT_FEN),
        merchant._replace(fen_per_hundred_points=130),
        coffee._replace(per_member_daily_max=MEMBER_PIECES, daily_max=DAY_PIECES),
        coffee._replace(offer_id=f"{SHOP}/book", price=0, stock=STOCK, stocked=STOCK),
        till._replace(terminal_id=f"{SHOP}/t2"),
        Controls(CONTROLS_ID, CONTROLS),
    )
    for name, points in MEMBERS.items():
        await shop.member(name, points)
    return merchant
