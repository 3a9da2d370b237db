"""A ledger with a policy and two members; each test ends with an audit."""

import pathlib
from collections.abc import AsyncIterator

import pytest

import ledger.service
from tests.ledger.rpc.sweepers import HandSweeper
from tests.support.hours import HoursWorld, policy
from tests.support.ledgers import LedgerWorld, ledger_world


@pytest.fixture(autouse=True)
def _swept_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the test says when what is due is entered."""
    monkeypatch.setattr(ledger.service, "Sweeper", HandSweeper)


@pytest.fixture
async def world(
    tmp_path: pathlib.Path, database_url: str, _swept_by_hand: None
) -> AsyncIterator[LedgerWorld]:
    """A ledger served in this event loop, on each database."""
    async with ledger_world(tmp_path, database_url) as running:
        yield running


@pytest.fixture
async def bare(world: LedgerWorld) -> AsyncIterator[HoursWorld]:
    """A ledger without a policy; audited after the test."""
    found = HoursWorld(world)
    yield found
    await found.audit()


@pytest.fixture
async def city(bare: HoursWorld) -> HoursWorld:
    """A ledger with a policy, the volunteer 王阿姨 and the elder 李大爷."""
    await bare.adopt(policy())
    await bare.register("wang", name="王阿姨")
    await bare.register("li-elder", name="李大爷", key_elder=True)
    return bare
