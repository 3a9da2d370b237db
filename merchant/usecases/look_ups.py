"""Reading many documents at once, without their writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from merchant.domain.documents import Document, Merchant
from merchant.domain.places import Key
from merchant.domain.states import DocumentKind
from merchant.store.documents import load
from merchant.usecases.programmes import Programme, Programmes
from timebank.database.sessions import open_read_session

LOOK_UP_KEYS = 5_000
"""Documents of one look-up."""
MERCHANTS_PAGE = 1_000


async def find_all(
    programmes: Programmes, programme: Programme, keys: Sequence[Key]
) -> dict[Key, Document]:
    """Reads documents by kind and id; unknown ones are missing."""
    found: dict[Key, Document] = {}
    if not keys:
        return found
    session = open_read_session(programmes.databases)
    try:
        for start in range(0, len(keys), LOOK_UP_KEYS):
            plan = load(keys[start : start + LOOK_UP_KEYS])
            found |= (await session.run(programme.ledger_no, plan)).documents
        await session.release()
    finally:
        await session.close()
    return found


async def merchant_ids(programmes: Programmes, programme: Programme) -> list[str]:
    """Names all merchants."""
    found: list[str] = []
    after = -1
    while rows := await programmes.listed(
        programme, DocumentKind.MERCHANT, "", after=after, limit=MERCHANTS_PAGE
    ):
        found += [cast("Merchant", document).merchant_id for _, document in rows]
        after = rows[-1][0]
    return found
