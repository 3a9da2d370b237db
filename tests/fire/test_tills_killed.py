"""kill -9 of a server while tills sell: what they were told is true, and nothing stays in doubt."""

import asyncio
import pathlib
import random
from collections import Counter

import pytest

from ledger.audit.run import audit_database
from tests.fire.moments import Moment, moments_of
from tests.fire.shops import opened_shop
from tests.merchant.shops import merchant_url_of
from tests.support.forked_servers import Serve
from tests.support.keys import make_key
from tests.support.processes import TOP
from timebank.config import DatabaseConfig

ROUNDS_MAX = 60
SALES_BEFORE_KILL = (3, 15)
POWER_CUTS = 5
"""In every fifth round the tills die too."""


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [("sqlite", 20), pytest.param("postgresql", 5, marks=pytest.mark.postgresql)],
)
@pytest.mark.slow
async def test_kills_take_no_sale_twice_and_leave_none_in_doubt(
    kind: str,
    rounds: int,
    tmp_path: pathlib.Path,
    serve: Serve,
    request: pytest.FixtureRequest,
) -> None:
    make_key(tmp_path)
    url: str = request.getfixturevalue(f"{kind}_url")
    merchant_url = merchant_url_of(url, tmp_path)
    server = serve(
        url,
        **{TOP: {"services": ["ledger", "merchant"]}},
        merchant_database={"url": merchant_url},
        merchant={"sweeper_seconds": 1},
    )
    await server.serving()
    async with opened_shop(tmp_path, server, server) as shop, shop.selling():
        count = in_doubt = 0
        moments: Counter[Moment] = Counter()
        while count < rounds or not in_doubt or len(moments) < len(Moment):
            assert count < ROUNDS_MAX, f"the kills met too few moments: {moments}, {in_doubt}"
            count += 1
            await shop.sold(random.randint(*SALES_BEFORE_KILL))
            server.kill()
            moments += await moments_of(shop, ledger_url=url, merchant_url=merchant_url)
            powerless = count % POWER_CUTS == 0
            if powerless:
                await asyncio.gather(*(till.die() for till in shop.tills))
            server.start()
            await server.serving()
            in_doubt += await shop.truth_comes()
            if powerless:
                await asyncio.gather(*(till.recover() for till in shop.tills))
                shop.start()
        await shop.finish()
        await shop.agrees()
    report = await audit_database(DatabaseConfig(url=url))
    assert report.ok, report.difference
