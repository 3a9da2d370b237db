"""Databases for many short tests: each copies one in which the tables were already made."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer
from timebank.config import DatabaseConfig
from timebank.database import open_databases
from timebank.migrations import prepare

TEMPLATE = "ledger_tables"


async def _make_tables(url: str) -> None:
    databases = open_databases(DatabaseConfig(url=url))
    try:
        await prepare(databases, ["ledger"], mode="auto")
    finally:
        await databases.close()


def make_tables(url: str) -> None:
    """Migrates an empty database, whatever event loop the test runs in."""
    thread = threading.Thread(target=lambda: asyncio.run(_make_tables(url)))
    thread.start()
    thread.join()


@pytest.fixture
def postgresql_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of the test's own with the ledger's tables, and nothing in them."""
    name = postgres.create_database(postgres.template(TEMPLATE, make_tables))
    yield postgres.url(name)
    postgres.drop_database(name)
