"""The batches of all merchants that came to something lately, for what a bank is asked to pay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from merchant.domain.documents import Batch
from merchant.domain.settlement_rules import SETTLED
from merchant.domain.states import DocumentKind
from merchant.store.newest_documents import Listed, newest
from merchant.usecases.programmes import Programme, Programmes
from timebank.database.sessions import open_read_session

PAGES = (8, 64)
"""Batches of each merchant that are read at first, and then: few have more that are recent."""
ROWS_MAX = 1_024
"""Batches of one look-up."""
END = 2**62
"""No sequence comes after it."""


async def recent_batches(
    programmes: Programmes, programme: Programme, merchants: Sequence[str], since_us: int
) -> list[str]:
    """Names the closed batches of merchants that came to something, up to the first of each that
    was closed before a moment.
    """
    found: list[str] = []
    waiting = dict.fromkeys(merchants, END)
    session = open_read_session(programmes.databases)
    try:
        for limit in itertools.chain(PAGES, itertools.repeat(PAGES[-1])):
            left: dict[str, int] = {}
            for part in _parts(waiting, ROWS_MAX // limit):
                plan = newest(DocumentKind.BATCH, part, limit=limit)
                pages = await session.run(programme.ledger_no, plan)
                for merchant_id, page in pages.items():
                    if _take(page, since_us, found) and len(page) == limit:
                        left[merchant_id] = page[-1].sequence
            waiting = left
            if not waiting:
                break
        await session.release()
    finally:
        await session.close()
    return found


def _take(page: Sequence[Listed], since_us: int, found: list[str]) -> bool:
    """Adds what came to something; says whether all of a page is recent."""
    for row in page:
        batch = cast("Batch", row.document)
        if batch.state in SETTLED and batch.closed_us < since_us:
            return False
        if batch.state in SETTLED and batch.net_fen > 0:
            found.append(batch.batch_id)
    return True


def _parts(waiting: Mapping[str, int], size: int) -> Iterator[dict[str, int]]:
    items = iter(waiting.items())
    while part := dict(itertools.islice(items, size)):
        yield part
