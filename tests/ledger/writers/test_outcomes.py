"""Declines answer their retries for 30 days and are forgotten later; the log forgets nothing."""

import pathlib

import pytest

from ledger.audit.run import audit_database
from ledger.usecases import sweeper
from tests.ledger.rpc.sweepers import HandSweeper
from tests.support.commands import MERCHANT, REDEMPTION, new_id, post
from tests.support.ledgers import ledger_world, refused
from timebank.config import DatabaseConfig
from timebank.errors import Reason

DAY_US = 86_400 * 1_000_000


async def test_a_decline_is_final_for_30_days_and_forgotten_later(
    tmp_path: pathlib.Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.service.Sweeper", HandSweeper)
    async with ledger_world(tmp_path, database_url) as world:
        alice, shop = await world.open(), await world.open(kind=MERCHANT)
        spent = post(REDEMPTION, alice, shop, 5)
        declined, paid = new_id(), new_id()
        assert await refused(world.post(spent, declined)) is Reason.INSUFFICIENT_BALANCE
        await world.grant(alice, 100)
        first = await world.post(spent, paid)
        world.clock.advance(seconds=30 * 86_400)
        await HandSweeper.latest.sweep()
        assert await refused(world.post(spent, declined)) is Reason.INSUFFICIENT_BALANCE
        world.clock.advance(seconds=2 * 86_400)
        await HandSweeper.latest.sweep()
        assert not (await world.post(spent, declined)).replayed
        again = await world.post(spent, paid)
        assert (again.replayed, again.result.entry) == (True, first.result.entry)
    report = await audit_database(DatabaseConfig(url=database_url))
    assert report.difference is None


def test_outcomes_are_kept_longer_than_the_contract_promises() -> None:
    assert sweeper.OUTCOMES_KEPT_US > 30 * DAY_US
