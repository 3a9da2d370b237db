"""A shop on each database, and one that was audited."""

import pathlib
import shutil
from collections.abc import AsyncIterator

import pytest

from tests.merchant.audited import FILES, Hand, vkey_of, write_original
from tests.merchant.shops import ShopWorld, shop_world


@pytest.fixture
async def shop(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[ShopWorld]:
    """A shop that sells coffee for ten points, and 王阿姨 with a hundred."""
    async with shop_world(tmp_path, database_url) as found:
        await found.open_shop()
        await found.member("wang", 100)
        yield found


@pytest.fixture(scope="session")
def audited_folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A history in SQLite files, with its keys; tests copy the files."""
    folder = tmp_path_factory.mktemp("audited-shop")
    write_original(folder)
    return folder


@pytest.fixture
def hand(audited_folder: pathlib.Path, tmp_path: pathlib.Path) -> Hand:
    """A copy of the history of the test's own."""
    for name in FILES:
        shutil.copy(audited_folder / name, tmp_path / name)
    return Hand(tmp_path, vkey_of(audited_folder))
