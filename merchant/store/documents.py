"""What a batch of the merchant service reads and writes, as plans, and its lists for readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.documents import Document
from merchant.domain.places import Key, place_of
from merchant.domain.states import DocumentKind
from merchant.store import schema
from merchant.store.bodies import body_of, document_from_body
from timebank.database import reading
from timebank.database.statements import Lock, Plan, Read, Rows, Write

_REQUESTS = """SELECT r.request_key, r.fingerprint, r.kind, r.document_id, r.error
FROM k CROSS JOIN merchant_requests r WHERE r.ledger_no = :ledger AND r.request_key = k.k0"""
_DOCUMENTS = """SELECT d.kind, d.document_id, d.sequence, d.body
FROM k CROSS JOIN merchant_documents d
WHERE d.ledger_no = :ledger AND d.kind = k.k0 AND d.document_id = k.k1"""


class Programme(NamedTuple):
    """The row that orders the writers of one ledger."""

    sequence: int
    moved_us: int
    clock_us: int | None


class Asked(NamedTuple):
    """What an earlier request of a key got: a document, or an error."""

    request_key: bytes
    fingerprint: bytes
    kind: int
    document_id: str
    error: bytes | None


class Loaded(NamedTuple):
    """Documents by key, and the places that they have in their lists."""

    documents: dict[Key, Document]
    sequences: dict[Key, int]


def open_batch(keys: Sequence[bytes]) -> Plan[tuple[Programme, dict[bytes, Asked]]]:
    """Takes the programme's row and looks up earlier requests; under the lock that is the truth."""
    rows = yield Lock("merchant_programmes", ("sequence", "moved_us"))
    found = yield Read(_REQUESTS, ("bytes",), [(key,) for key in keys])
    asked = [Asked(*row) for row in found]
    return Programme(*rows[0]), {item.request_key: item for item in asked}


def load(keys: Iterable[Key]) -> Plan[Loaded]:
    """Loads documents; unknown ones are missing."""
    loaded = Loaded({}, {})
    wanted = [(int(kind), name) for kind, name in keys]
    for kind, name, sequence, body in (yield Read(_DOCUMENTS, ("int16", "text"), wanted)):
        key = (kind, name)
        loaded.documents[key] = document_from_body(kind, body)
        loaded.sequences[key] = sequence
    return loaded


def store(
    programme: tuple[str, int, int],
    changed: Sequence[tuple[Key, int, Document]],
    gone: Iterable[Key],
    asked: Sequence[tuple[Asked, int]],
) -> Plan[None]:
    """Writes a batch. A programme is its ledger's id, its last sequence and its time."""
    rows = []
    for (kind, name), sequence, document in changed:
        parent, due_us = place_of(document)
        rows.append(
            (int(kind), name, listed_under(kind, parent), sequence, due_us, body_of(document))
        )
    yield Write(
        inserted=[Rows(schema.requests, [(*item, asked_us) for item, asked_us in asked])],
        upserted=[Rows(schema.documents, rows), Rows(schema.programmes, [programme])],
        deleted=[Rows(schema.documents, [(int(kind), name) for kind, name in gone])],
    )


def listed_under(kind: int, parent: str) -> str:
    """Gives the name of a list: each kind has lists of its own."""
    return f"{kind:d}/{parent}"


async def list_documents(
    reader: AsyncEngine,
    ledger_no: int,
    kind: DocumentKind,
    parent: str,
    *,
    after: int = -1,
    newest_first: bool = False,
    limit: int,
) -> list[tuple[int, Document]]:
    """Lists documents below a parent with their sequences, which the next page begins after."""
    table = schema.documents
    column = table.c.sequence
    query = select(column, table.c.body).where(
        table.c.ledger_no == ledger_no, table.c.parent == listed_under(kind, parent)
    )
    if newest_first:
        query = query.order_by(column.desc())
        if after >= 0:
            query = query.where(column < after)
    else:
        query = query.order_by(column).where(column > after)
    async with reading(reader) as connection:
        rows = (await connection.execute(query.limit(limit))).all()
    return [(row[0], document_from_body(kind, row[1])) for row in rows]


async def find_document(
    reader: AsyncEngine, ledger_no: int, kind: DocumentKind, document_id: str
) -> Document | None:
    """Reads a document, None when there is none."""
    table = schema.documents
    query = select(table.c.body).where(
        table.c.ledger_no == ledger_no,
        table.c.kind == int(kind),
        table.c.document_id == document_id,
    )
    async with reading(reader) as connection:
        body = (await connection.execute(query)).scalar_one_or_none()
    return None if body is None else document_from_body(kind, body)


async def due_documents(
    reader: AsyncEngine,
    ledger_no: int,
    now_us: int,
    *,
    kinds: Sequence[DocumentKind],
    limit: int,
) -> list[Document]:
    """Lists what is due of some kinds, most overdue first: who ends one kind is not kept from it by
    others that cannot be ended yet.
    """
    table = schema.documents
    query = (
        select(table.c.kind, table.c.body)
        .where(
            table.c.ledger_no == ledger_no,
            table.c.due_us <= now_us,
            table.c.kind.in_([int(kind) for kind in kinds]),
        )
        .order_by(table.c.due_us)
        .limit(limit)
    )
    async with reading(reader) as connection:
        rows = (await connection.execute(query)).all()
    return [document_from_body(row[0], row[1]) for row in rows]
