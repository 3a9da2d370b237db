"""Pages of documents by id, of which the caller wants only some."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from merchant.domain.documents import Document
from merchant.domain.states import DocumentKind
from merchant.store.catalogue import list_by_id
from merchant.usecases.programmes import Programme, Programmes

ROWS_MAX = 1_001
"""Rows of one look-up: the largest page, and one that says whether there is more."""
LOOK_UPS_MAX = 10
"""Look-ups of one page; a list that hides more ends its page early, with a token."""

Wanted = Callable[[Document], Awaitable[bool]]


class Page(NamedTuple):
    """Documents, and the id after which the next page begins; empty at the end."""

    documents: tuple[Document, ...]
    next_after: str


async def page_by_id(
    programmes: Programmes,
    programme: Programme,
    kind: DocumentKind,
    *,
    parent: str | None,
    after: str,
    size: int,
    wanted: Wanted,
) -> Page:
    """Gives a page of the documents that are wanted, below a parent or, with None, all."""
    found: list[Document] = []
    for _ in range(LOOK_UPS_MAX):
        limit = min(size + 1, ROWS_MAX)
        rows = await list_by_id(
            programmes.databases.reader,
            programme.ledger_no,
            kind,
            parent=parent,
            after=after,
            limit=limit,
        )
        for document in rows:
            if not await wanted(document):
                continue
            if len(found) == size:
                return Page(tuple(found), found[-1][0])
            found.append(document)
        if len(rows) < limit:
            return Page(tuple(found), "")
        after = rows[-1][0]
    return Page(tuple(found), after)
