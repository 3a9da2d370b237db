"""MerchantService beside a ledger, with a budget to pay from."""

import pathlib
from collections.abc import AsyncIterator

import pytest

from tests.merchant.rpc.offices import Office, office_of
from tests.merchant.shops import shop_world


@pytest.fixture
async def office(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[Office]:
    """The office of a programme that has a budget and no merchant yet."""
    async with shop_world(tmp_path, database_url) as shop:
        yield await office_of(shop)
