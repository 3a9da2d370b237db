"""What tests of databases ask: to write, to count, and what a failure is called."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank.config import DatabaseConfig
from timebank.database import (
    DATABASE_ERRORS,
    Databases,
    open_databases,
    translate_database_error,
)
from timebank.errors import TimebankError


async def write(databases: Databases, *statements: str) -> None:
    """Runs statements in one transaction of the writer."""
    if isinstance(databases.writer, AsyncEngine):
        async with databases.writer.begin() as opened:
            for statement in statements:
                await opened.execute(text(statement))
        return
    with databases.writer.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


async def count(databases: Databases) -> int:
    async with databases.reader.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM things"))).scalar_one())


async def refusal(databases: Databases, *statements: str) -> TimebankError:
    """What the writer's failure is called."""
    with pytest.raises(DATABASE_ERRORS) as caught:
        await write(databases, *statements)
    return translate_database_error(caught.value)


async def open_and_check(database: DatabaseConfig) -> None:
    opened = open_databases(database)
    try:
        await opened.check()
    finally:
        await opened.close()


async def opening_refusal(database: DatabaseConfig) -> TimebankError:
    """What is said about a database that cannot be used."""
    with pytest.raises(TimebankError) as caught:
        await open_and_check(database)
    assert "\n" not in caught.value.message
    return caught.value
