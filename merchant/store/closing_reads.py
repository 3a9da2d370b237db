"""What the closer reads: documents that are read one by one, so that one that is damaged does not
keep it from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.documents import Document
from merchant.domain.states import DocumentKind
from merchant.store import schema
from merchant.store.bodies import document_from_body
from timebank.database import reading

_TABLE = schema.documents
_COLUMNS = (_TABLE.c.kind, _TABLE.c.document_id, _TABLE.c.body)


class Stored(NamedTuple):
    """A document as it is stored."""

    kind: int
    document_id: str
    body: bytes

    def read(self) -> Document:
        """Reads the document. Raises ValueError and KeyError for a damaged one."""
        return document_from_body(self.kind, self.body)


async def stored_merchants(
    reader: AsyncEngine, ledger_no: int, *, after: str, limit: int
) -> list[Stored]:
    """Lists merchants with an id after another."""
    query = select(*_COLUMNS).where(
        _TABLE.c.ledger_no == ledger_no,
        _TABLE.c.kind == int(DocumentKind.MERCHANT),
        _TABLE.c.document_id > after,
    )
    return await _stored(reader, query.order_by(_TABLE.c.document_id).limit(limit))


async def stored_due(
    reader: AsyncEngine,
    ledger_no: int,
    before_us: int,
    *,
    kinds: Sequence[DocumentKind],
    limit: int,
) -> list[Stored]:
    """Lists what was due by a moment of some kinds, most overdue first."""
    query = select(*_COLUMNS).where(
        _TABLE.c.ledger_no == ledger_no,
        _TABLE.c.due_us <= before_us,
        _TABLE.c.kind.in_([int(kind) for kind in kinds]),
    )
    return await _stored(reader, query.order_by(_TABLE.c.due_us).limit(limit))


async def _stored(reader: AsyncEngine, query: Select[tuple[int, str, bytes]]) -> list[Stored]:
    async with reading(reader) as connection:
        return [Stored._make(row) for row in (await connection.execute(query)).all()]
