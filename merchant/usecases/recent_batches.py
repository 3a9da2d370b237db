"""The batches of all merchants that came to something lately, for what a bank is asked to pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from merchant.domain.documents import Batch
from merchant.domain.settlement_rules import SETTLED
from merchant.domain.states import DocumentKind
from merchant.store.newest_documents import Listed
from merchant.usecases.newest_lists import read_newest
from merchant.usecases.programmes import Programme, Programmes

PAGES = (8, 64)
"""Batches of each merchant that are read at first, and then: few have more that are recent."""
ROWS_MAX = 1_024
"""Batches of one look-up."""


async def recent_batches(
    programmes: Programmes, programme: Programme, merchants: Sequence[str], since_us: int
) -> list[str]:
    """Names the closed batches of merchants that came to something, up to the first of each that
    was closed before a moment.
    """
    found: list[str] = []

    def take(page: Sequence[Listed]) -> bool:
        for row in page:
            batch = cast("Batch", row.document)
            if batch.state in SETTLED and batch.closed_us < since_us:
                return False
            if batch.state in SETTLED and batch.net_fen > 0:
                found.append(batch.batch_id)
        return True

    await read_newest(
        *(programmes, programme, DocumentKind.BATCH, merchants),
        take=take,
        pages=PAGES,
        rows_max=ROWS_MAX,
    )
    return found
