"""Fixtures of the tests under fire: server processes that share one ledger's key and database."""

import pathlib
from collections.abc import Callable

import pytest

from tests.conftest import ServerFactory
from tests.support.crowds import Bank
from tests.support.keys import make_key
from tests.support.processes import ServerProcess, Value

Serve = Callable[..., ServerProcess]


@pytest.fixture
def bank(tmp_path: pathlib.Path) -> Bank:
    """A ledger that is yet to be created; its signing key exists."""
    return Bank(make_key(tmp_path))


@pytest.fixture
def serve(tmp_path: pathlib.Path, start_server: ServerFactory) -> Serve:
    """Starts a server process on a database with the ledger's key."""

    def start(url: str, **settings: dict[str, Value]) -> ServerProcess:
        keys: dict[str, Value] = {"directory": str(tmp_path / "data" / "keys")}
        database = {"url": url} | settings.pop("database", {})
        return start_server({"keys": keys, "database": database, **settings})

    return start
