"""What is acknowledged is on the disk, whatever somebody set in the database."""

import asyncpg
import pytest

from timebank.config import DatabaseConfig
from timebank.database import open_databases
from timebank.database.sessions import open_session
from timebank.database.statements import Plan, Read, Row

_SETTING = "SELECT current_setting('synchronous_commit') FROM k WHERE k.k0 = :ledger"


@pytest.mark.postgresql
async def test_a_commit_is_durable_whatever_the_database_prefers(postgresql_url: str) -> None:
    name = postgresql_url.rpartition("/")[2]
    driver = await asyncpg.connect(postgresql_url.replace("+asyncpg", ""))
    await driver.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    await driver.close()
    databases = open_databases(DatabaseConfig(url=postgresql_url))
    session = open_session(databases)
    try:
        rows = await session.run(1, _settings())
        assert [tuple(row) for row in rows] == [("on",)]
    finally:
        await session.close()
        await databases.close()


def _settings() -> Plan[list[Row]]:
    return (yield Read(_SETTING, ("int64",), [(1,)]))
