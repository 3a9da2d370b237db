"""Many lists read together, each from its newest document on and only as far as it is wanted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from merchant.domain.states import DocumentKind
from merchant.store.newest_documents import Listed, newest
from merchant.usecases.programmes import Programme, Programmes
from timebank.database.sessions import open_read_session

END = 2**62
"""No sequence comes after it."""
Take = Callable[[Sequence[Listed]], bool]
"""Takes a page of one list, newest first; says whether its next page is wanted too."""


async def read_newest(
    programmes: Programmes,
    programme: Programme,
    kind: DocumentKind,
    parents: Sequence[str],
    *,
    take: Take,
    pages: Sequence[int],
    rows_max: int,
) -> None:
    """Has the documents below each parent taken, page by page; `pages` are the sizes of a first
    page, a second one and so on, the last of all that follow; a look-up has at most `rows_max`.
    """
    waiting = dict.fromkeys(parents, END)
    session = open_read_session(programmes.databases)
    try:
        for limit in itertools.chain(pages, itertools.repeat(pages[-1])):
            left: dict[str, int] = {}
            for part in _parts(waiting, rows_max // limit):
                plan = newest(kind, part, limit=limit)
                found = await session.run(programme.ledger_no, plan)
                for parent, page in found.items():
                    if take(page) and len(page) == limit:
                        left[parent] = page[-1].sequence
                # SQLite reads in the event loop itself: tills have their turn between two pages.
                await asyncio.sleep(0)
            waiting = left
            if not waiting:
                break
        await session.release()
    finally:
        await session.close()


def _parts(waiting: Mapping[str, int], size: int) -> Iterator[dict[str, int]]:
    items = iter(waiting.items())
    while part := dict(itertools.islice(items, size)):
        yield part
