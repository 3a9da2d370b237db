"""Programmes: which ledgers the merchant service works for."""

from __future__ import annotations

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.store.schema import programmes
from timebank.database import DATABASE_ERRORS, Databases, reading, translate_database_error


async def find_programme(reader: AsyncEngine, ledger_id: str) -> int | None:
    """Gives the number of a ledger's programme, None when there is none."""
    query = select(programmes.c.ledger_no).where(programmes.c.ledger_id == ledger_id)
    async with reading(reader) as connection:
        number: int | None = (await connection.execute(query)).scalar_one_or_none()
    return number


async def list_programmes(reader: AsyncEngine) -> list[tuple[int, str]]:
    """Lists the numbers and ledger ids of all programmes."""
    query = select(programmes.c.ledger_no, programmes.c.ledger_id).order_by(programmes.c.ledger_no)
    async with reading(reader) as connection:
        rows = (await connection.execute(query)).all()
    return [(row[0], row[1]) for row in rows]


async def make_programme(databases: Databases, ledger_id: str) -> int:
    """Makes a programme, or finds the one that somebody made meanwhile; gives its number.

    Raises what a failing database raises.
    """
    newest = select(func.coalesce(func.max(programmes.c.ledger_no), 0) + 1).scalar_subquery()
    statement = insert(programmes).values(
        ledger_no=newest, ledger_id=ledger_id, sequence=0, moved_us=0
    )
    try:
        if isinstance(databases.writer, AsyncEngine):
            async with databases.writer.begin() as connection:
                await connection.execute(statement)
        else:
            with databases.writer.begin() as plain:
                plain.execute(statement)
    except IntegrityError:
        pass  # another process was faster
    except DATABASE_ERRORS as error:
        raise translate_database_error(error) from error
    found = await find_programme(databases.reader, ledger_id)
    if found is None:
        return await make_programme(databases, ledger_id)
    return found
