"""The newest documents of many lists at once: of some, or of the redemptions of all merchants."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.documents import Document
from merchant.domain.states import DocumentKind
from merchant.store import schema
from merchant.store.bodies import document_from_body
from merchant.store.documents import listed_under
from timebank.database import reading
from timebank.database.statements import Plan, Read

_NEWEST = """SELECT k.k0, d.sequence, d.body
FROM k CROSS JOIN merchant_documents d
WHERE d.ledger_no = :ledger AND d.parent = k.k0 AND d.sequence < k.k1
AND d.sequence >= COALESCE((SELECT m.sequence FROM merchant_documents m
WHERE m.ledger_no = :ledger AND m.parent = k.k0 AND m.sequence < k.k1
ORDER BY m.sequence DESC LIMIT 1 OFFSET {others}), 0)
ORDER BY d.sequence DESC"""


class Listed(NamedTuple):
    """A document, and its sequence, which the next page begins before."""

    sequence: int
    document: Document


def newest(
    kind: DocumentKind, before: Mapping[str, int], *, limit: int
) -> Plan[dict[str, list[Listed]]]:
    """Gives the newest documents below each parent that come before a sequence, at most so many of
    each, newest first.
    """
    parents = {listed_under(kind, parent): parent for parent in before}
    keys = [(name, before[parent]) for name, parent in parents.items()]
    found: dict[str, list[Listed]] = {parent: [] for parent in before}
    for name, sequence, body in (yield Read(_sql(limit), ("text", "int64"), keys)):
        found[parents[name]].append(Listed(sequence, document_from_body(kind, body)))
    return found


async def newest_redemptions(
    reader: AsyncEngine, ledger_no: int, *, before: int, limit: int
) -> list[Listed]:
    """Gives the newest redemptions of all merchants that come before a sequence, -1: the newest of
    all; at most so many, newest first.
    """
    table = schema.documents
    query = select(table.c.sequence, table.c.body).where(
        table.c.ledger_no == ledger_no, schema.IS_REDEMPTION
    )
    if before >= 0:
        query = query.where(table.c.sequence < before)
    async with reading(reader) as connection:
        newest_first = query.order_by(table.c.sequence.desc()).limit(limit)
        rows = (await connection.execute(newest_first)).all()
    kind = DocumentKind.REDEMPTION
    return [Listed(sequence, document_from_body(kind, body)) for sequence, body in rows]


@functools.lru_cache(maxsize=16)
def _sql(limit: int) -> str:
    return _NEWEST.format(others=limit - 1)
