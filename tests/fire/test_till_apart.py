"""Ledger and merchant service in two processes: either is killed while tills sell."""

import asyncio
import pathlib

import pytest

from ledger.audit.run import audit_database
from tests.fire.shops import Shop, opened_shop
from tests.merchant.shops import merchant_url_of
from tests.support.crowds import GIVE_UP_S, elapse
from tests.support.forked_servers import Serve
from tests.support.keys import make_key
from tests.support.processes import TOP, ServerProcess
from timebank.config import DatabaseConfig

ROUNDS = 3
SALES = 15
LOOK_S = 0.002


async def doubted(shop: Shop) -> None:
    """Returns when a till more has been told UNKNOWN about a sale."""
    before = sum(till.doubts["sale"] for till in shop.tills)
    async with asyncio.timeout(GIVE_UP_S):
        while sum(till.doubts["sale"] for till in shop.tills) == before:
            await elapse(LOOK_S)


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["ledger", "merchant"])
async def test_a_till_is_told_unknown_while_a_service_is_dead_and_then_the_truth(
    killed: str, tmp_path: pathlib.Path, serve: Serve, sqlite_url: str
) -> None:
    make_key(tmp_path)
    servers: dict[str, ServerProcess] = {"ledger": serve(sqlite_url)}
    servers["merchant"] = serve(
        sqlite_url,
        **{TOP: {"services": ["merchant"]}},
        merchant_database={"url": merchant_url_of(sqlite_url, tmp_path)},
        merchant={"sweeper_seconds": 1, "ledger_address": servers["ledger"].grpc_address},
    )
    for server in servers.values():
        await server.serving()
    async with (
        opened_shop(tmp_path, servers["ledger"], servers["merchant"]) as shop,
        shop.selling(),
    ):
        for _ in range(ROUNDS):
            await shop.sold(SALES)
            servers[killed].kill()
            await doubted(shop)
            servers[killed].start()
            await servers[killed].serving()
            await shop.truth_comes()
        await shop.finish()
        await shop.agrees()
    report = await audit_database(DatabaseConfig(url=sqlite_url))
    assert report.ok, report.difference
