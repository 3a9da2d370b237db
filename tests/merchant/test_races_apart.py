"""Real races: 32 tills in four processes of their own, against servers that are processes too.

Together: four servers on one PostgreSQL database, each of them ledger and merchant service. Apart:
the ledger is one process, and four more are merchant services. On SQLite one server serves all.
"""

import asyncio
import pathlib
from collections import Counter
from collections.abc import Iterator

import pytest

from ledger.audit.run import audit_database
from tests.fire.shops import SHOP, Shop, opened_shop
from tests.fire.tills import PRICES
from tests.merchant.racing_tills import Order, client_processes, sell_at_once
from tests.merchant.shops import merchant_url_of
from tests.support.crowds import LEDGER
from tests.support.forked_servers import ForkedServer, Serve, serving_from
from tests.support.keys import make_key
from tests.support.processes import TOP
from timebank.config import DatabaseConfig

PROCESSES = 4
TILLS = 32
STOCK = 7
POINTS = 20
"""What the one member has whom all tills serve: enough for six coffees, and two points."""
COFFEES = POINTS // PRICES["coffee"]


@pytest.fixture
def serve(tmp_path: pathlib.Path) -> Iterator[Serve]:
    """Starts server processes with the ledger's key."""
    make_key(tmp_path)
    with serving_from(tmp_path) as start:
        yield start


def started(
    serve: Serve, layout: str, url: str, folder: pathlib.Path
) -> tuple[ForkedServer, list[ForkedServer]]:
    """Starts the servers of a layout: one that serves the ledger, and those of the merchants."""
    merchant_database = {"url": merchant_url_of(url, folder)}
    if layout == "apart":
        ledger = serve(url)
        address = {"ledger_address": ledger.grpc_address}
        merchant = {TOP: {"services": ["merchant"]}, "merchant": address}
        return ledger, [
            serve(url, merchant_database=merchant_database, **merchant) for _ in range(PROCESSES)
        ]
    both = {TOP: {"services": ["ledger", "merchant"]}}
    count = 1 if layout == "sqlite" else PROCESSES
    servers = [serve(url, merchant_database=merchant_database, **both) for _ in range(count)]
    return servers[0], servers


async def raced(orders: list[Order]) -> Counter[str]:
    """Carries out orders in client processes, all at once; tells how often each end came."""
    loop = asyncio.get_running_loop()
    with client_processes(PROCESSES) as pool:
        shares = [orders[number::PROCESSES] for number in range(PROCESSES)]
        told = await asyncio.gather(
            *(loop.run_in_executor(pool, sell_at_once, share) for share in shares)
        )
    return Counter(word for share in told for word in share)


async def orders_of(
    shop: Shop, merchants: list[ForkedServer], offer: str, member: str = ""
) -> list[Order]:
    """An order for each till: to its own member, or to one member who scans at all of them."""
    issue = shop.operator.issue_payment_code
    codes = await asyncio.gather(*(issue(f"m-{number}", device="phone") for number in range(TILLS)))
    orders = []
    for number in range(TILLS):
        place = shop.folder / f"t{number}", f"{SHOP}/terminals/t{number}", offer
        address = merchants[number % len(merchants)].grpc_address
        if member:
            elsewhere = merchants[(number + 1) % len(merchants)].grpc_address
            orders.append(Order(address, *place, member=member, confirm_address=elsewhere))
        else:
            orders.append(Order(address, *place, payment_code=codes[number].code))
    return orders


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    [
        "sqlite",
        pytest.param("together", marks=pytest.mark.postgresql),
        pytest.param("apart", marks=pytest.mark.postgresql),
    ],
)
async def test_32_tills_in_four_processes_overspend_neither_a_balance_nor_a_stock(
    layout: str, tmp_path: pathlib.Path, serve: Serve, request: pytest.FixtureRequest
) -> None:
    kind = "sqlite" if layout == "sqlite" else "postgresql"
    url: str = request.getfixturevalue(f"{kind}_url")
    ledger, merchants = started(serve, layout, url, tmp_path)
    for server in {ledger, *merchants}:
        await server.serving()
    async with (
        opened_shop(
            tmp_path, ledger, merchants[0], size=TILLS, buyers=1, stocks={"cake": STOCK}
        ) as shop,
        ledger.channel() as channel,
    ):
        await shop.register(channel, {"wang": POINTS})
        await asyncio.gather(*(till.die() for till in shop.tills))
        wang = f"{LEDGER}/members/wang"
        spent = await raced(await orders_of(shop, merchants, "coffee", wang))
        sold = await raced(await orders_of(shop, merchants, "cake"))
        await asyncio.gather(*(till.recover() for till in shop.tills))
        await shop.agrees()
        await asyncio.gather(*(till.die() for till in shop.tills))
        left = (await shop.ledger.get_balance(shop.purses["wang"])).posted
    assert spent == {"CAPTURED": COFFEES, "INSUFFICIENT_BALANCE": TILLS - COFFEES}
    assert sold == {"CAPTURED": STOCK, "OUT_OF_STOCK": TILLS - STOCK}
    assert left == POINTS - COFFEES * PRICES["coffee"]
    report = await audit_database(DatabaseConfig(url=url))
    assert report.ok, report.difference
