"""The newest redemptions of all merchants are read in the order of an index, few or many."""

import asyncio
from collections.abc import Sequence
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.documents import Document, Redemption
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.migrations.versions import merchant_0003
from merchant.store import schema
from merchant.store.bodies import body_of
from merchant.store.documents import listed_under
from merchant.store.newest_documents import Listed, newest_redemptions
from merchant.usecases.newest_lists import read_newest
from tests.merchant.shops import SHOP, ShopWorld
from timebank.database import Databases, reading
from timebank.database.young_tables import analyze_young_tables

INDEX = "merchant_redemptions_by_sequence"
MERCHANTS, ROWS = 50, 3_000
READERS = 24
"""More than connections are kept open to read."""
KIND = DocumentKind.REDEMPTION


async def writing(databases: Databases, work: Any) -> None:
    """Does something to the tables beside the service."""
    if isinstance(databases.writer, AsyncEngine):
        async with databases.writer.begin() as connection:
            await connection.run_sync(work)
    else:
        with databases.writer.begin() as plain:
            work(plain)


def fill(connection: Connection) -> None:
    """Writes redemptions of many merchants, of two ledgers."""
    one = Redemption("", "t1-1", "aa", RedemptionState.CAPTURED, 5)
    rows = []
    for number in range(ROWS):
        merchant_id = f"m{number % MERCHANTS}"
        document_id = f"{merchant_id}/{number}"
        parent = listed_under(KIND, merchant_id)
        body = body_of(one._replace(redemption_id=document_id))
        rows.append((1 + number % 2, int(KIND), document_id, parent, number, None, body))
    columns = [column.name for column in schema.documents.columns]
    values = [dict(zip(columns, row, strict=True)) for row in rows]
    connection.execute(schema.documents.insert(), values)


async def plan_of(databases: Databases, *, before: int) -> str:
    """How the database finds a page, in its own words."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, sql: str, values: Any, *_: object) -> None:
        asked.append((sql, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await newest_redemptions(databases.reader, 1, before=before, limit=11)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    sql, values = next(pair for pair in asked if "merchant_documents" in pair[0])
    explain = "EXPLAIN QUERY PLAN" if databases.dialect == "sqlite" else "EXPLAIN"
    async with reading(databases.reader) as connection:
        rows = (await connection.exec_driver_sql(f"{explain} {sql}", values)).all()
    return "\n".join(str(row[-1]) for row in rows)


async def test_a_page_of_all_merchants_is_read_by_its_index(shop: ShopWorld) -> None:
    databases = shop.programmes.databases
    await writing(databases, fill)
    for _ in ("young", "known"):
        for before in (-1, ROWS // 2):
            plan = await plan_of(databases, before=before)
            assert INDEX in plan, plan
            assert not any(word in plan for word in ("Sort", "TEMP B-TREE")), plan
        if isinstance(databases.writer, AsyncEngine):
            await analyze_young_tables(databases.writer)
    found = await newest_redemptions(databases.reader, 1, before=ROWS // 2, limit=3)
    assert [row.sequence for row in found] == [ROWS // 2 - 2 * step for step in (1, 2, 3)]
    newest = await newest_redemptions(databases.reader, 2, before=-1, limit=1)
    assert [row.sequence for row in newest] == [ROWS - 1]


async def test_who_reads_many_lists_waits_for_no_connection(shop: ShopWorld) -> None:
    sold = await shop.sell("wang")
    found: list[Document] = []

    def take(page: Sequence[Listed]) -> bool:
        found.extend(row.document for row in page)
        return True

    async def read() -> None:
        of = (shop.programmes, shop.programme, KIND, [SHOP])
        await read_newest(*of, take=take, pages=(8,), rows_max=8)

    await asyncio.gather(*(read() for _ in range(READERS)))
    assert found == [sold] * READERS


async def test_tables_of_an_earlier_version_get_the_index(shop: ShopWorld) -> None:
    sold = await shop.sell("wang")
    databases = shop.programmes.databases

    def migrate(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            merchant_0003.downgrade()
            assert INDEX not in indexes(connection)
            merchant_0003.upgrade()
            assert INDEX in indexes(connection)

    await writing(databases, migrate)
    ledger_no = shop.programme.ledger_no
    found = await newest_redemptions(databases.reader, ledger_no, before=-1, limit=9)
    assert [row.document for row in found] == [sold]
    assert sold.redemption_id.startswith(f"{SHOP}/")


def indexes(connection: Connection) -> set[str | None]:
    """The names of the indexes of documents."""
    return {item["name"] for item in inspect(connection).get_indexes("merchant_documents")}
