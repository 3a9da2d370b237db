"""Fixtures of the simulation: a running ledger on each database."""

import pathlib
from collections.abc import AsyncIterator

import pytest

from tests.support.ledgers import LedgerWorld, ledger_world


@pytest.fixture
async def world(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[LedgerWorld]:
    """A ledger served in this event loop; the test runs once on SQLite and once on PostgreSQL."""
    async with ledger_world(tmp_path, database_url) as running:
        yield running
