"""Which ledgers exist: their numbers, facts and heads."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.domain.fold import LedgerState
from ledger.store import schema
from ledger.store.batches import Head, ledger_from_row, ledger_row
from timebank.database import reading
from timebank.database.statements import Plan, Row, Rows, Write
from timebank.tlog.merkle import EMPTY_ROOT

_L = schema.ledgers.c
_H = schema.heads.c
_COLUMNS = (
    _L.ledger_no,
    _L.ledger_id,
    _L.display_name,
    _L.time_zone,
    _L.log_origin,
    _L.verifier_keys,
    _L.opening_closed,
    _L.created_us,
)


class LedgerRow(NamedTuple):
    """A ledger with its number and head."""

    ledger_no: int
    state: LedgerState
    head: Head


def _query() -> sa.Select[Any]:
    columns = (_H.size, _H.root, _H.frontier, _H.recorded_us, _H.batch_id)
    joined = schema.ledgers.join(schema.heads, _L.ledger_no == _H.ledger_no)
    return sa.select(*_COLUMNS, *columns).select_from(joined)


def _row(row: Row) -> LedgerRow:
    return LedgerRow(row[0], ledger_from_row(row[1:8]), Head(*row[8:13]))


async def find_ledger(reader: AsyncEngine, ledger_id: str) -> LedgerRow | None:
    """Finds a ledger by its id, also one whose first entry is not written yet."""
    async with reading(reader) as connection:
        row = (await connection.execute(_query().where(_L.ledger_id == ledger_id))).first()
    return _row(row) if row else None


async def list_ledgers(reader: AsyncEngine, *, after: str, limit: int) -> list[LedgerRow]:
    """Lists the ledgers that were created, by id."""
    query = _query().where(_L.ledger_id > after, _H.size > 0).order_by(_L.ledger_id).limit(limit)
    async with reading(reader) as connection:
        return [_row(row) for row in await connection.execute(query)]


async def holder_of_origin(reader: AsyncEngine, log_origin: str) -> str | None:
    """Gives the id of the ledger whose log has this origin."""
    async with reading(reader) as connection:
        found: str | None = await connection.scalar(
            sa.select(_L.ledger_id).where(_L.log_origin == log_origin)
        )
    return found


async def next_number(reader: AsyncEngine) -> int:
    """Gives the number that the next ledger takes."""
    async with reading(reader) as connection:
        highest = await connection.scalar(sa.select(sa.func.max(_L.ledger_no)))
    return (highest or 0) + 1


def add_ledger(state: LedgerState) -> Plan[None]:
    """Makes the rows of a new ledger with an empty log."""
    yield Write(
        inserted=[
            Rows(schema.ledgers, [ledger_row(state)]),
            Rows(schema.heads, [(0, EMPTY_ROOT, b"", 0, b"")]),
        ]
    )
