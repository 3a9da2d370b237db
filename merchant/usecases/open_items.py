"""The work items of merchants that are open; those that are resolved are not read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from merchant.domain.documents import Item
from merchant.domain.states import DocumentKind
from merchant.store.newest_documents import Listed
from merchant.usecases.newest_lists import read_newest
from merchant.usecases.programmes import Programme, Programmes

PAGES = (8, 1_000)
"""Items of each merchant that are read at first, and then: few have many that are open."""
ROWS_MAX = 4_000
"""Items of one look-up."""


async def open_items(
    programmes: Programmes, programme: Programme, merchants: Sequence[str]
) -> list[Item]:
    """Reads the open items of merchants."""
    found: list[Item] = []

    def take(page: Sequence[Listed]) -> bool:
        found.extend(cast("Item", row.document) for row in page)
        return True

    await read_newest(
        *(programmes, programme, DocumentKind.ITEM, merchants),
        take=take,
        pages=PAGES,
        rows_max=ROWS_MAX,
    )
    return found
