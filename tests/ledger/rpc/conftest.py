"""One PostgreSQL database for many short tests: its tables are made once and emptied for each."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from ledger.store.hours_schema import SCHEMA_TABLES
from tests.support.postgres import PostgresServer
from timebank.config import DatabaseConfig
from timebank.database import open_databases
from timebank.migrations import prepare


async def _make_tables(url: str) -> None:
    databases = open_databases(DatabaseConfig(url=url))
    try:
        await prepare(databases, ["ledger"], mode="auto")
    finally:
        await databases.close()


async def _empty_tables(url: str) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            names = ", ".join(table.name for table in SCHEMA_TABLES)
            await connection.execute(text(f"TRUNCATE {names}"))
    finally:
        await engine.dispose()


def in_a_thread(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine to its end in a loop of its own; raises what it raises.

    No program is started for it: forking beside the threads of gRPC may fail.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session")
def tables_database(postgres: PostgresServer) -> str:
    """The name of a database with the ledger's tables, which these tests use one after another."""
    name = postgres.create_database()
    in_a_thread(_make_tables(postgres.url(name)))
    return name


@pytest.fixture
def postgresql_url(postgres: PostgresServer, tables_database: str) -> str:
    """The database with the ledger's tables, and nothing in them."""
    url = postgres.url(tables_database)
    in_a_thread(_empty_tables(url))
    return url
