"""Statistics of young tables: PostgreSQL's own housekeeping comes by once a minute only.

Until then the planner takes a table that grew fast for a tiny one with many ledgers, and keeps
plans that read all of a ledger's rows for each key. Rules: a table is looked at once, when it has
rows enough to tell something; only the owner's, because nobody else may.
"""

import asyncio

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank.database import DATABASE_ERRORS, Databases

_LOG = structlog.get_logger("timebank.database")
EVERY_S = 5.0
_YOUNG = text("""SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.reltuples < 0
AND pg_relation_size(c.oid) >= 65536 AND pg_get_userbyid(c.relowner) = current_user
ORDER BY c.oid""")
"""Eight pages: of fewer rows nothing can be told, and reading them all costs nothing."""


async def watch_young_tables(databases: Databases) -> None:
    """Looks after young tables until it is cancelled; returns at once on SQLite."""
    while isinstance(databases.writer, AsyncEngine):
        try:
            await analyze_young_tables(databases.writer)
        except DATABASE_ERRORS as error:
            _LOG.warning("gathering statistics failed, trying again", exc_info=error)
        await asyncio.sleep(EVERY_S)


async def analyze_young_tables(engine: AsyncEngine) -> list[str]:
    """Gathers the statistics of tables that have rows and no statistics; gives their names."""
    async with engine.begin() as connection:
        names = [row[0] for row in await connection.execute(_YOUNG)]
    for name in names:
        async with engine.begin() as connection:
            await connection.execute(text(f"ANALYZE {name}"))
    return names
