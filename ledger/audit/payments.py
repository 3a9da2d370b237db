"""Payments of a ledger for those who audit what was paid for: redemptions, refunds, reversals.

The log itself is audited by itself; here its entries are believed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ledger import leaf
from ledger.audit.rows import PAGE_ROWS
from ledger.domain.entry import EntryKind
from ledger.store.audit_reads import ledger_numbers, read_leaves_of
from timebank.audits import Payment, Said, differs
from timebank.config import DatabaseConfig
from timebank.database.snapshots import every_row, reading_snapshot
from timebank.errors import Reason, TimebankError

_BACK = (EntryKind.REFUND, EntryKind.REVERSAL)
_KINDS = (EntryKind.REDEMPTION, *_BACK)


async def read_payments(database: DatabaseConfig, ledger_id: str) -> AsyncIterator[Payment]:
    """Gives the payments of a ledger, oldest first.

    Raises DATABASE_UNAVAILABLE, LEDGER_NOT_FOUND, and DifferenceFound for a broken entry.
    """
    async with reading_snapshot(database) as (_, snapshot):
        numbers = await ledger_numbers(snapshot)
        found = [number for number, name in numbers.items() if name == ledger_id]
        if not found:
            raise TimebankError(Reason.LEDGER_NOT_FOUND, f"no ledger {ledger_id}")
        pages = read_leaves_of(snapshot, found[0], [int(kind) for kind in _KINDS])
        async for log_index, data in every_row(pages, PAGE_ROWS):
            yield _payment(log_index, data)


def _payment(log_index: int, data: bytes) -> Payment:
    try:
        entry = leaf.decode(data)
    except ValueError as error:
        key = {"log_index": log_index}
        wanted = Said(f"an entry ({error})")
        raise differs("entries", key, "leaf", expected=wanted, got=data) from error
    amount = sum(posting.amount for posting in entry.postings if posting.amount > 0)
    origin = entry.original_index if entry.kind in _BACK else None
    return Payment(entry.log_index, entry.cause, amount, origin)
