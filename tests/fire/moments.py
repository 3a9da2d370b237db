"""How far sales had come when their server was killed, read from what it left in its databases.

Owns the four moments of a sale between the till's call and its answer. The server is dead while
this reads: nothing moves meanwhile.
"""

import enum
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.documents import Redemption
from merchant.domain.states import DocumentKind
from merchant.store.documents import find_document
from merchant.store.programmes import find_programme
from merchant.usecases.redemptions import redemption_id_of
from tests.fire.shops import POOR, Shop
from tests.support.crowds import LEDGER_ID
from timebank.config import DatabaseConfig
from timebank.database import open_databases

MERCHANT_ID = "shop"


class Moment(enum.Enum):
    """How far a sale had come."""

    BEFORE_INTENT = "nothing is written"
    AFTER_INTENT = "the intent is written, the ledger has nothing"
    AFTER_COMMIT = "the ledger has committed it, the merchant service has not heard of it"
    BEFORE_ANSWER = "both have it, the till has no answer"


@asynccontextmanager
async def reader_of(url: str) -> AsyncIterator[AsyncEngine]:
    """Opens a database for reading until the block ends."""
    databases = open_databases(DatabaseConfig(url=url), exclusive=False)
    try:
        yield databases.reader
    finally:
        await databases.close()


async def moments_of(shop: Shop, *, ledger_url: str, merchant_url: str) -> Counter[Moment]:
    """Counts how far the sales had come whose tills wait for their first answer."""
    waiting = [till.journal.sales()[-1].merchant_ref for till in shop.tills if till.is_waiting]
    moments: Counter[Moment] = Counter()
    async with reader_of(ledger_url) as ledger, reader_of(merchant_url) as merchant:
        ledger_no = await find_programme(merchant, LEDGER_ID)
        assert ledger_no is not None, "the shop has sold"
        for ref in waiting:
            name = redemption_id_of(MERCHANT_ID, ref)
            found: Any = await find_document(merchant, ledger_no, DocumentKind.REDEMPTION, name)
            moment = await _moment_of(ledger, found, shop)
            if moment is not None:
                moments[moment] += 1
    return moments


async def _moment_of(ledger: AsyncEngine, found: Redemption | None, shop: Shop) -> Moment | None:
    """Tells a moment; None for a member whom the ledger declines, which leaves no entry."""
    if found is None:
        return Moment.BEFORE_INTENT
    if shop.starts[found.member_id] == POOR:
        return None
    if found.pending is None:
        return Moment.BEFORE_ANSWER
    query = sa.text("SELECT count(*) FROM entries WHERE natural_key = :key")
    key = f"{found.redemption_id}/{found.pending.request_id}"
    async with ledger.connect() as connection:
        written = (await connection.execute(query, {"key": key})).scalar_one()
    return Moment.AFTER_COMMIT if written else Moment.AFTER_INTENT
