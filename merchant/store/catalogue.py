"""Lists of documents by their id, which is the order of the contract for what people look up."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.documents import Document
from merchant.domain.states import DocumentKind
from merchant.store import schema
from merchant.store.bodies import document_from_body
from merchant.store.documents import listed_under
from timebank.database import reading


async def list_by_id(
    reader: AsyncEngine,
    ledger_no: int,
    kind: DocumentKind,
    *,
    parent: str | None,
    after: str,
    limit: int,
) -> list[Document]:
    """Lists documents of a kind with an id after another, below a parent or, with None, all."""
    table = schema.documents
    query = select(table.c.body).where(
        table.c.ledger_no == ledger_no, table.c.kind == int(kind), table.c.document_id > after
    )
    if parent is not None:
        query = query.where(table.c.parent == listed_under(kind, parent))
    async with reading(reader) as connection:
        rows = await connection.execute(query.order_by(table.c.document_id).limit(limit))
        return [document_from_body(kind, body) for body in rows.scalars()]
