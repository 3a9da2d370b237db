"""A young table of PostgreSQL has no statistics: look-ups by key take the key's index all the same,
and the statistics are gathered soon.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.store import batches, facts
from merchant.store import documents
from tests.support.test_postgres import plain
from timebank.config import DatabaseConfig
from timebank.database import Databases, open_databases
from timebank.database.postgresql_sql import read
from timebank.database.statements import Read
from timebank.database.young_tables import analyze_young_tables
from timebank.migrations import prepare

ROWS = 3_000
FILL = f"""INSERT INTO merchant_documents (ledger_no, kind, document_id, parent, sequence, body)
SELECT 1, 1, 'd-' || n, '1/', n, '{{}}' FROM generate_series(1, {ROWS}) n"""
FILL_FACTS = f"""INSERT INTO facts
(ledger_no, kind, fact_id, parent, state, from_us, until_us, log_index)
SELECT 1, 1, 'f-' || n, '', 1, n, n, n FROM generate_series(1, {ROWS}) n"""
READS = {
    "documents": Read(documents._DOCUMENTS, ("int16", "text"), [(1, "d-1"), (1, "d-2")]),
    "requests": Read(documents._REQUESTS, ("bytes",), [(b"1",)]),
    "by request": Read(batches._BY_REQUEST, ("bytes",), [(b"1",)]),
    "by natural key": Read(batches._BY_NATURAL, ("int16", "text"), [(1, "1")]),
    "lots": Read(batches._LOTS, ("int64",), [(1,)]),
}


@pytest_asyncio.fixture
async def databases(postgresql_url: str) -> AsyncIterator[Databases]:
    databases = open_databases(DatabaseConfig(url=postgresql_url))
    await prepare(databases, ["ledger", "merchant"], mode="auto")
    yield databases
    await databases.close()


@pytest_asyncio.fixture
async def connection(
    postgresql_url: str, databases: Databases
) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(plain(postgresql_url))
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(FILL)
    await connection.execute(FILL_FACTS)
    yield connection
    await connection.close()


async def test_a_key_is_looked_up_by_its_index(connection: asyncpg.Connection) -> None:
    for name, statement in READS.items():
        sql, arguments = read(statement)
        explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", 1, *arguments)
        scans = list(_scans(json.loads(explained)[0]["Plan"]))
        assert scans, name
        for scan in scans:
            assert scan.get("Index Cond", "").count(" = ") > 1, (name, json.dumps(scan, indent=1))


async def test_young_tables_are_looked_at_once(
    databases: Databases, connection: asyncpg.Connection
) -> None:
    assert isinstance(databases.writer, AsyncEngine)
    looked_at = await analyze_young_tables(databases.writer)
    assert set(looked_at) == {"facts", "merchant_documents"}
    assert await analyze_young_tables(databases.writer) == []
    sql, arguments = read(Read(facts._FACTS, ("int16", "text"), [(1, "f-1"), (1, "f-2")]))
    explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", 1, *arguments)
    on_facts = [s for s in _scans(json.loads(explained)[0]["Plan"]) if "facts" in s["Index Name"]]
    assert [scan["Index Name"] for scan in on_facts] == ["facts_pkey"]


def _scans(plan: dict[str, Any]) -> Any:
    if "Index Name" in plan or plan["Node Type"] == "Seq Scan":
        yield plan
    for child in plan.get("Plans", ()):
        yield from _scans(child)
