"""Reads outside the write path: accounts, balances, lots, holds and entries, for pages and single
answers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.domain.account import Account, AccountKind, Lot
from ledger.domain.hold import Hold
from ledger.store import schema
from ledger.store.batches import account_from_row, hold_from_row
from timebank.database import reading
from timebank.database.statements import Row
from timebank.units import INT64_MAX, Unit

_A, _B, _E, _P = schema.accounts.c, schema.balances.c, schema.entries.c, schema.postings.c
_HOLD, _LOT, _EARNED = schema.holds.c, schema.lots.c, schema.earnings.c
_ACCOUNT = (
    _A.account_no,
    _A.account_id,
    _A.holder,
    _A.unit,
    _A.kind,
    _A.opened_us,
    _A.state,
    _A.min_balance,
    _A.max_balance,
    _A.debt_limit,
    _B.posted,
    _B.held,
    _B.debt,
    _B.changed_index,
)


class EntryFilter(NamedTuple):
    """Which entries a list wants; `after` is the index of the last one seen."""

    account_no: int | None = None
    cause: str = ""
    start_us: int | None = None
    end_us: int | None = None
    oldest_first: bool = False
    after: int | None = None


def _accounts(ledger_no: int) -> sa.Select[Any]:
    same = sa.and_(_A.ledger_no == _B.ledger_no, _A.account_no == _B.account_no)
    return (
        sa.select(*_ACCOUNT)
        .select_from(schema.accounts.join(schema.balances, same))
        .where(_A.ledger_no == ledger_no)
    )


async def _all(reader: AsyncEngine, query: sa.Select[Any]) -> Sequence[Row]:
    async with reading(reader) as connection:
        rows: Sequence[Row] = (await connection.execute(query)).all()
    return rows


async def find_accounts(
    reader: AsyncEngine, ledger_no: int, account_ids: Sequence[str]
) -> dict[str, Account]:
    """Finds accounts by id, without their lots and holds."""
    rows = await _all(reader, _accounts(ledger_no).where(_A.account_id.in_(account_ids)))
    return {row[1]: account_from_row(row) for row in rows}


async def list_accounts(
    reader: AsyncEngine,
    ledger_no: int,
    *,
    holder: str = "",
    unit: int = 0,
    kind: int = 0,
    after: int,
    limit: int,
) -> list[Account]:
    """Lists accounts in the order of their opening, those after the number `after`."""
    query = _accounts(ledger_no).where(_A.account_no > after)
    if holder:
        query = query.where(_A.holder == holder)
    if unit:
        query = query.where(_A.unit == unit)
    if kind:
        query = query.where(_A.kind == kind)
    return [
        account_from_row(row)
        for row in await _all(reader, query.order_by(_A.account_no).limit(limit))
    ]


async def list_lots(
    reader: AsyncEngine, ledger_no: int, account_no: int, *, after_us: int, limit: int
) -> list[Lot]:
    """Lists the lots of an account that expire after a time, next expiry first."""
    query = (
        sa.select(_LOT.expires_us, _LOT.remaining, _LOT.reserved)
        .where(_LOT.ledger_no == ledger_no, _LOT.account_no == account_no)
        .where(_LOT.expires_us > after_us)
        .order_by(_LOT.expires_us)
        .limit(limit)
    )
    return [Lot(*row) for row in await _all(reader, query)]


class HoldRead(NamedTuple):
    """A hold with what its answer needs of its account."""

    hold: Hold
    holder: str
    unit: Unit
    account_kind: AccountKind


async def find_hold(reader: AsyncEngine, ledger_no: int, hold_id: str) -> HoldRead | None:
    """Finds a hold by id."""
    columns = [column for column in schema.holds.columns if column.name != "ledger_no"]
    same = sa.and_(_A.ledger_no == _HOLD.ledger_no, _A.account_no == _HOLD.account_no)
    query = (
        sa.select(*columns, _A.account_id, _A.holder, _A.unit, _A.kind)
        .select_from(schema.holds.join(schema.accounts, same))
        .where(_HOLD.ledger_no == ledger_no, _HOLD.hold_id == hold_id)
    )
    rows = await _all(reader, query)
    if not rows:
        return None
    *hold, account_id, holder, unit, kind = rows[0]
    return HoldRead(hold_from_row(hold, account_id), holder, Unit(unit), AccountKind(kind))


async def find_leaves(
    reader: AsyncEngine, ledger_no: int, start: int, end: int
) -> list[tuple[int, bytes]]:
    """Reads the leaves of indexes from `start` to before `end`."""
    query = (
        sa.select(_E.log_index, _E.leaf)
        .where(_E.ledger_no == ledger_no, _E.log_index >= start)
        .where(_E.log_index < min(end, INT64_MAX))
        .order_by(_E.log_index)
    )
    return [(row[0], row[1]) for row in await _all(reader, query)]


async def list_leaves(
    reader: AsyncEngine, ledger_no: int, wanted: EntryFilter, limit: int
) -> list[tuple[int, bytes]]:
    """Lists leaves by account, cause and recorded time."""
    source: sa.FromClause = schema.entries
    order = _E.log_index
    query = sa.select(_E.log_index, _E.leaf).where(_E.ledger_no == ledger_no)
    if wanted.account_no is not None:
        same = sa.and_(_P.ledger_no == _E.ledger_no, _P.log_index == _E.log_index)
        source = schema.entries.join(schema.postings, same)
        order = _P.log_index
        query = query.where(_P.ledger_no == ledger_no, _P.account_no == wanted.account_no)
    if wanted.cause:
        query = query.where(_E.cause == wanted.cause)
    if wanted.start_us is not None:
        query = query.where(_E.recorded_us >= wanted.start_us)
    if wanted.end_us is not None:
        query = query.where(_E.recorded_us < wanted.end_us)
    if wanted.after is not None:
        query = query.where(order > wanted.after if wanted.oldest_first else order < wanted.after)
    direction = order.asc() if wanted.oldest_first else order.desc()
    query = query.select_from(source).order_by(direction).limit(limit)
    return [(row[0], row[1]) for row in await _all(reader, query)]


async def find_natural(
    reader: AsyncEngine, ledger_no: int, natural_key: str, kinds: Sequence[int]
) -> list[int]:
    """Finds the indexes of entries of some kinds with a natural key."""
    query = sa.select(_E.log_index).where(
        _E.ledger_no == ledger_no, _E.kind.in_(kinds), _E.natural_key == natural_key
    )
    return [row[0] for row in await _all(reader, query)]


async def size_at(reader: AsyncEngine, ledger_no: int, recorded_us: int) -> int:
    """Gives the number of entries recorded at or before a time."""
    query = (
        sa.select(_E.log_index)
        .where(_E.ledger_no == ledger_no, _E.recorded_us <= recorded_us)
        .order_by(_E.recorded_us.desc())
        .limit(1)
    )
    rows = await _all(reader, query)
    return rows[0][0] + 1 if rows else 0


async def posted_at_size(reader: AsyncEngine, ledger_no: int, account_no: int, size: int) -> int:
    """Gives the posted balance after the first `size` entries: exact, one look-up."""
    query = (
        sa.select(_P.balance_after)
        .where(_P.ledger_no == ledger_no, _P.account_no == account_no, _P.log_index < size)
        .order_by(_P.log_index.desc())
        .limit(1)
    )
    rows = await _all(reader, query)
    return rows[0][0] if rows else 0


async def posted_at_effective(
    reader: AsyncEngine, ledger_no: int, account_no: int, effective_us: int, size: int
) -> int:
    """Sums what had happened by a time as far as the first `size` entries know."""
    query = sa.select(sa.func.coalesce(sa.func.sum(_P.amount), 0)).where(
        _P.ledger_no == ledger_no,
        _P.account_no == account_no,
        _P.effective_us <= effective_us,
        _P.log_index < size,
    )
    return int((await _all(reader, query))[0][0])


async def earned_by_year(reader: AsyncEngine, ledger_no: int, account_no: int) -> dict[int, int]:
    """Gives what an account earned in each calendar year."""
    query = sa.select(_EARNED.calendar_year, _EARNED.earned).where(
        _EARNED.ledger_no == ledger_no, _EARNED.account_no == account_no
    )
    return {row[0]: row[1] for row in await _all(reader, query)}


async def tile_rows(
    reader: AsyncEngine, ledger_no: int, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """Reads full tiles by (level, index): their hashes and the root above."""
    t = schema.tiles.c
    query = sa.select(t.level, t.tile_index, t.hashes, t.root).where(
        t.ledger_no == ledger_no, sa.tuple_(t.level, t.tile_index).in_(keys)
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in await _all(reader, query)}


async def tile_roots(
    reader: AsyncEngine, ledger_no: int, level: int, start: int, end: int
) -> list[bytes]:
    """Reads the roots of full tiles of a level, from `start` to before `end`."""
    t = schema.tiles.c
    query = (
        sa.select(t.root)
        .where(t.ledger_no == ledger_no, t.level == level)
        .where(t.tile_index >= start, t.tile_index < end)
        .order_by(t.tile_index)
    )
    return [row[0] for row in await _all(reader, query)]


async def due_accounts(
    reader: AsyncEngine, ledger_no: int, now_us: int, limit: int
) -> list[tuple[str, int]]:
    """Lists accounts with a live hold or an unreserved lot that is due, and since when."""
    lots = (
        sa.select(_LOT.account_no, sa.func.min(_LOT.expires_us).label("due_us"))
        .where(_LOT.ledger_no == ledger_no, _LOT.expires_us <= now_us)
        .where(_LOT.remaining > _LOT.reserved)
        .group_by(_LOT.account_no)
        .limit(limit)
    )
    held = (
        sa.select(_HOLD.account_no, sa.func.min(_HOLD.expires_us).label("due_us"))
        .where(_HOLD.ledger_no == ledger_no, _HOLD.state == sa.literal_column("1"))
        .where(_HOLD.expires_us <= now_us)
        .group_by(_HOLD.account_no)
        .limit(limit)
    )
    numbers = {row[0]: row[1] for row in await _all(reader, lots)}
    for account_no, due_us in await _all(reader, held):
        numbers[account_no] = min(due_us, numbers.get(account_no, due_us))
    names = sa.select(_A.account_no, _A.account_id).where(
        _A.ledger_no == ledger_no, _A.account_no.in_(list(numbers))
    )
    rows = await _all(reader, names) if numbers else []
    return [(row[1], numbers[row[0]]) for row in rows]
