"""Reads of facts outside the write path: single ones, and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.domain.facts import STAR_STATES, FactKind, RecordState, listed_under
from ledger.store import schema
from ledger.store.hours_schema import FIRST_US, facts, tallies
from timebank.database import reading
from timebank.database.statements import Row

_F, _E, _T = facts.c, schema.entries.c, tallies.c


class FactLeaf(NamedTuple):
    """Where a fact stands, and the entry that states it."""

    fact_id: str
    log_index: int
    leaf: bytes


async def _all(reader: AsyncEngine, query: sa.Select[Any]) -> Sequence[Row]:
    async with reading(reader) as connection:
        rows: Sequence[Row] = (await connection.execute(query)).all()
    return rows


def _facts(ledger_no: int, kind: FactKind, *, by_id: bool = False) -> sa.Select[Any]:
    """Selects facts of a kind; only by id is the kind looked up, see the schema."""
    kinds = _F.kind if by_id else _F.kind + sa.literal_column("0")
    same = sa.and_(_F.ledger_no == _E.ledger_no, _F.log_index == _E.log_index)
    return (
        sa.select(_F.fact_id, _F.log_index, _E.leaf)
        .select_from(facts.join(schema.entries, same))
        .where(_F.ledger_no == ledger_no, kinds == int(kind))
    )


async def find_facts(
    reader: AsyncEngine, ledger_no: int, kind: FactKind, fact_ids: Sequence[str]
) -> dict[str, FactLeaf]:
    """Finds facts by id."""
    query = _facts(ledger_no, kind, by_id=True).where(_F.fact_id.in_(fact_ids))
    return {row[0]: FactLeaf(*row) for row in await _all(reader, query)}


async def list_by_id(
    reader: AsyncEngine, ledger_no: int, kind: FactKind, *, after: str, limit: int
) -> list[FactLeaf]:
    """Lists facts by id."""
    query = _facts(ledger_no, kind, by_id=True).where(_F.fact_id > after)
    query = query.order_by(_F.fact_id).limit(limit)
    return [FactLeaf(*row) for row in await _all(reader, query)]


async def list_by_parent(
    reader: AsyncEngine,
    ledger_no: int,
    kind: FactKind,
    parents: Sequence[str],
    *,
    from_us: int = FIRST_US,
    until_us: int | None = None,
    limit: int,
) -> list[FactLeaf]:
    """Lists facts under parents by their start."""
    under = [listed_under(kind, parent) for parent in parents]
    query = _facts(ledger_no, kind).where(_F.parent.in_(under), _F.from_us >= from_us)
    if until_us is not None:
        query = query.where(_F.from_us < until_us)
    query = query.order_by(_F.from_us, _F.fact_id).limit(limit)
    return [FactLeaf(*row) for row in await _all(reader, query)]


class FactFilter(NamedTuple):
    """Which facts a list wants, newest entry first; `before` is the log index of the last seen."""

    parents: Sequence[str] | None = None
    states: Sequence[int] = ()
    before: int | None = None


async def list_newest(
    reader: AsyncEngine, ledger_no: int, kind: FactKind, wanted: FactFilter, limit: int
) -> list[FactLeaf]:
    """Lists facts by parent and state, newest entry first."""
    chosen = sa.select(_F.fact_id, _F.log_index).where(
        _F.ledger_no == ledger_no, _F.kind + sa.literal_column("0") == int(kind)
    )
    if wanted.parents is not None:
        under = [listed_under(kind, parent) for parent in wanted.parents]
        chosen = chosen.where(_F.parent.in_(under))
    if wanted.states:
        chosen = chosen.where(_F.state.in_(wanted.states))
    if wanted.before is not None:
        chosen = chosen.where(_F.log_index < wanted.before)
    # Chosen before the entries are looked at: SQLite would begin with them.
    page = chosen.order_by(_F.log_index.desc(), _F.fact_id).limit(limit).subquery()
    query = (
        sa.select(page.c.fact_id, page.c.log_index, _E.leaf)
        .select_from(page.join(schema.entries, _E.log_index == page.c.log_index))
        .where(_E.ledger_no == ledger_no)
        .order_by(page.c.log_index.desc(), page.c.fact_id)
    )
    return [FactLeaf(*row) for row in await _all(reader, query)]


async def list_stars(
    reader: AsyncEngine, ledger_no: int, *, after: tuple[int, str], star_min: int, limit: int
) -> list[FactLeaf]:
    """Lists stars, highest first, then by volunteer number; `after` are star and id last seen."""
    star, fact_id = STAR_STATES + after[0], after[1]
    query = (
        _facts(ledger_no, FactKind.STAR)
        .where(_F.state >= STAR_STATES + star_min)
        .where(sa.or_(_F.state < star, sa.and_(_F.state == star, _F.fact_id > fact_id)))
        .order_by(_F.state.desc(), _F.fact_id)
        .limit(limit)
    )
    return [FactLeaf(*row) for row in await _all(reader, query)]


async def due_facts(
    reader: AsyncEngine,
    ledger_no: int,
    kind: FactKind,
    now_us: int,
    *,
    after: tuple[int, str],
    limit: int,
) -> list[tuple[int, str]]:
    """Lists what is due by (due time, id), after the last one seen."""
    due_us, fact_id = after
    query = (
        sa.select(_F.due_us, _F.fact_id)
        .where(_F.ledger_no == ledger_no, _F.due_us.is_not(None))
        .where(_F.kind + sa.literal_column("0") == int(kind))
        .where(_F.due_us <= now_us)
        .where(sa.or_(_F.due_us > due_us, sa.and_(_F.due_us == due_us, _F.fact_id > fact_id)))
        .order_by(_F.due_us, _F.fact_id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await _all(reader, query)]


async def posted_records(
    reader: AsyncEngine, ledger_no: int, *, from_us: int, until_us: int, after: str, limit: int
) -> list[str]:
    """Lists the ids of posted records that started in a time, by id."""
    query = (
        sa.select(_F.fact_id)
        .where(_F.ledger_no == ledger_no, _F.kind == int(FactKind.RECORD))
        .where(_F.state + sa.literal_column("0") == int(RecordState.POSTED), _F.fact_id > after)
        .where(_F.from_us >= from_us, _F.from_us < until_us)
        .order_by(_F.fact_id)
        .limit(limit)
    )
    return [row[0] for row in await _all(reader, query)]


async def find_tallies(
    reader: AsyncEngine, ledger_no: int, subjects: Sequence[str], names: Sequence[str]
) -> dict[tuple[str, str, str], int]:
    """Finds the running sums of subjects by name."""
    query = sa.select(_T.subject, _T.name, _T.period, _T.amount).where(
        _T.ledger_no == ledger_no, _T.subject.in_(subjects), _T.name.in_(names)
    )
    return {(row[0], row[1], row[2]): row[3] for row in await _all(reader, query)}


async def find_text(reader: AsyncEngine, ledger_no: int, log_indexes: Sequence[int]) -> str:
    """Finds the first text of some entries; empty when there is none, or it was erased."""
    t = schema.texts.c
    query = (
        sa.select(t.text)
        .where(t.ledger_no == ledger_no, t.log_index.in_(log_indexes))
        .order_by(t.log_index)
        .limit(1)
    )
    rows = await _all(reader, query)
    return rows[0][0] if rows else ""
