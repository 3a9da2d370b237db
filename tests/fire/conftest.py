"""Fixtures of the tests under fire: server processes that share one ledger's key and database."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.support.crowds import Bank
from tests.support.forked_servers import Serve, serving_from
from tests.support.keys import make_key


@pytest.fixture
def bank(tmp_path: pathlib.Path) -> Bank:
    """A ledger that is yet to be created; its signing key exists."""
    return Bank(make_key(tmp_path))


@pytest.fixture
def serve(tmp_path: pathlib.Path) -> Iterator[Serve]:
    """Starts a server process on a database with the ledger's key; all are gone after the test."""
    with serving_from(tmp_path) as start:
        yield start
