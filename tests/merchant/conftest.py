"""A shop on each database."""

import pathlib
from collections.abc import AsyncIterator

import pytest

from tests.merchant.shops import ShopWorld, shop_world


@pytest.fixture
async def shop(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[ShopWorld]:
    """A shop that sells coffee for ten points, and 王阿姨 with a hundred."""
    async with shop_world(tmp_path, database_url) as found:
        await found.open_shop()
        await found.member("wang", 100)
        yield found
