"""Reconciliations: journals and payout advices that are sent in, and the work they make.

A table is read and compared before anything is written; one transaction then keeps what came of it,
so that a crash leaves nothing half done and a repeated call gets the stored answer.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Iterable
from typing import NamedTuple, cast

from merchant.domain.business_days import business_day, business_day_of
from merchant.domain.documents import Batch, Comparison, Item, Merchant, Redemption
from merchant.domain.places import Key
from merchant.domain.reconciliation_rules import (
    KeepJournal,
    LedgerRow,
    ResolveItem,
    TakeAdvice,
    compare_journal,
    is_about,
    keep_journal,
    keys_of,
    resolve_item,
    take_advice,
)
from merchant.domain.reconciliation_tables import JournalRow, parse_advice, parse_journal
from merchant.domain.settlement_rules import SETTLED, no_merchant
from merchant.domain.states import DocumentKind
from merchant.store.documents import load
from merchant.usecases.programmes import Programme, Programmes, carry_out
from merchant.usecases.redemptions import redemption_id_of
from timebank.auth import Call
from timebank.database.sessions import open_read_session
from timebank.errors import Reason, TimebankError

K = DocumentKind
PAGE_ROWS = 1_000
LOOK_UP_KEYS = 5_000
HOLD_LIFE_US = 37 * 3_600_000_000
"""What is captured was authorised at most so long before: 36 hours, and one for the sweeper."""
REDEMPTIONS_MAX = 200_000
"""Redemptions of the days of one journal."""
ADVICE_US = 92 * 86_400_000_000
"""Batches that were closed earlier are compared only when an advice names them."""


class Compared(NamedTuple):
    """What came of a table, and whether the call was a repetition."""

    comparison: Comparison
    replayed: bool = False


class Days(NamedTuple):
    """Business days from first to last that a journal covers."""

    first: str
    last: str


class Reconciliations:
    """Journals, advices and work items."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes

    async def submit_journal(
        self,
        programme: Programme,
        merchant_id: str,
        content: bytes,
        days: Days,
        *,
        request_id: bytes,
        call: Call,
    ) -> Compared:
        """Compares a merchant's journal with the ledger. Raises MERCHANT_NOT_FOUND,
        REQUEST_ID_REUSED, BATCH_TOO_LARGE, VALIDATION_FAILED.
        """
        merchant = await self._merchant(programme, merchant_id)
        parse = functools.partial(parse_journal, first_date=days.first, last_date=days.last)
        entries, rows = await asyncio.to_thread(parse, content)
        ledger = await self._redemptions_of(programme, merchant, days)
        await self._add_named(programme, merchant, entries, ledger)
        compare = functools.partial(
            compare_journal, ledger, entries, first_date=days.first, last_date=days.last
        )
        differences, matched = await asyncio.to_thread(compare)
        refs = frozenset(entry.merchant_ref for entry in entries)
        old = [
            item.item_id
            for item in await self._items(programme, merchant_id)
            if is_about(item, days.first, days.last, refs)
        ]
        command = KeepJournal(merchant_id, rows, matched, tuple(differences), tuple(old))
        answer = await carry_out(
            programme,
            functools.partial(keep_journal, command=command),
            call=call,
            request_id=request_id,
            said=("journal", merchant_id, days, hashlib.sha256(content).hexdigest()),
            hints=keys_of(command),
        )
        return Compared(cast("Comparison", answer.document), answer.replayed)

    async def _redemptions_of(
        self, programme: Programme, merchant: Merchant, days: Days
    ) -> dict[str, LedgerRow]:
        """Reads the redemptions of some business days by reference, newest first."""
        zone, cut_off = programme.zone, merchant.cut_off_minute
        first = business_day(days.first, zone=zone, cut_off_minute=cut_off)
        since_us = first.start_us - HOLD_LIFE_US
        found: dict[str, LedgerRow] = {}
        before = -1
        while True:
            rows = await self._programmes.listed(
                *(programme, K.REDEMPTION, merchant.merchant_id),
                after=before,
                newest_first=True,
                limit=PAGE_ROWS,
            )
            for sequence, document in rows:
                redemption, before = cast("Redemption", document), sequence
                row = _ledger_row(redemption, zone, cut_off)
                if days.first <= row.business_date <= days.last:
                    found[row.merchant_ref] = row
            if len(found) > REDEMPTIONS_MAX:
                raise _too_many(days)
            if len(rows) < PAGE_ROWS or cast("Redemption", rows[-1][1]).created_us < since_us:
                return found

    async def _add_named(
        self,
        programme: Programme,
        merchant: Merchant,
        entries: Iterable[JournalRow],
        ledger: dict[str, LedgerRow],
    ) -> None:
        """Adds redemptions of other days that a journal names."""
        refs = dict.fromkeys(row.merchant_ref for row in entries if row.merchant_ref not in ledger)
        keys: list[Key] = [
            (K.REDEMPTION, redemption_id_of(merchant.merchant_id, ref)) for ref in refs
        ]
        session = open_read_session(self._programmes.databases)
        try:
            for start in range(0, len(keys), LOOK_UP_KEYS):
                loaded = await session.run(
                    programme.ledger_no, load(keys[start : start + LOOK_UP_KEYS])
                )
                for document in loaded.documents.values():
                    redemption = cast("Redemption", document)
                    row = _ledger_row(redemption, programme.zone, merchant.cut_off_minute)
                    ledger[row.merchant_ref] = row
        finally:
            await session.close()

    async def submit_advice(
        self, programme: Programme, content: bytes, *, request_id: bytes, call: Call
    ) -> Compared:
        """Compares the bank's advice with batches. Raises REQUEST_ID_REUSED, BATCH_TOO_LARGE,
        VALIDATION_FAILED.
        """
        parse = functools.partial(parse_advice, ledger_id=programme.ledger_id)
        paid, rows = await asyncio.to_thread(parse, content)
        batch_ids = dict.fromkeys(row.batch_id for row in paid)
        old: list[str] = []
        for merchant_id in await self.merchant_ids(programme):
            batch_ids |= dict.fromkeys(await self._recent(programme, merchant_id))
            old += [
                item.item_id
                for item in await self._items(programme, merchant_id)
                if item.batch in batch_ids and not item.resolved_us
            ]
        command = TakeAdvice(rows, tuple(paid), tuple(batch_ids), tuple(old))
        answer = await carry_out(
            programme,
            functools.partial(take_advice, command=command),
            call=call,
            request_id=request_id,
            said=("advice", hashlib.sha256(content).hexdigest()),
            hints=keys_of(command),
        )
        return Compared(cast("Comparison", answer.document), answer.replayed)

    async def _recent(self, programme: Programme, merchant_id: str) -> list[str]:
        """Names the batches of a merchant that came to something lately."""
        since_us = self._programmes.clock.now_us() - ADVICE_US
        found: list[str] = []
        before = -1
        while True:
            rows = await self._programmes.listed(
                *(programme, K.BATCH, merchant_id),
                after=before,
                newest_first=True,
                limit=PAGE_ROWS,
            )
            for sequence, document in rows:
                batch, before = cast("Batch", document), sequence
                if batch.state in SETTLED and batch.closed_us < since_us:
                    return found
                if batch.state in SETTLED and batch.net_fen > 0:
                    found.append(batch.batch_id)
            if len(rows) < PAGE_ROWS:
                return found

    async def resolve(
        self, programme: Programme, command: ResolveItem, *, request_id: bytes, call: Call
    ) -> Item:
        """Gives an item to an owner, or closes it. Raises RECONCILIATION_ITEM_NOT_FOUND,
        REQUEST_ID_REUSED, RECONCILIATION_ITEM_STATE.
        """
        answer = await carry_out(
            programme,
            functools.partial(resolve_item, command=command),
            call=call,
            request_id=request_id,
            said=command,
        )
        return cast("Item", answer.document)

    async def merchant_ids(self, programme: Programme) -> list[str]:
        """Names all merchants."""
        found: list[str] = []
        after = -1
        while rows := await self._programmes.listed(
            programme, K.MERCHANT, "", after=after, limit=PAGE_ROWS
        ):
            found += [cast("Merchant", document).merchant_id for _, document in rows]
            after = rows[-1][0]
        return found

    async def _items(self, programme: Programme, merchant_id: str) -> list[Item]:
        found: list[Item] = []
        after = -1
        while rows := await self._programmes.listed(
            programme, K.ITEM, merchant_id, after=after, limit=PAGE_ROWS
        ):
            found += [cast("Item", document) for _, document in rows]
            after = rows[-1][0]
        return found

    async def _merchant(self, programme: Programme, merchant_id: str) -> Merchant:
        found = await self._programmes.find(programme, K.MERCHANT, merchant_id)
        if found is None:
            raise no_merchant(merchant_id)
        return cast("Merchant", found)


def _ledger_row(redemption: Redemption, zone: str, cut_off_minute: int) -> LedgerRow:
    """Reads a redemption as it is compared; TIME makes no lines, and so no business date."""
    date = redemption.business_date
    if not date:
        made_us = redemption.captured_us or redemption.created_us
        date = business_day_of(made_us, zone=zone, cut_off_minute=cut_off_minute).date
    return LedgerRow(
        redemption.merchant_ref,
        date,
        redemption.state,
        redemption.captured,
        redemption.refunded,
    )


def _too_many(days: Days) -> TimebankError:
    return TimebankError(
        Reason.BATCH_TOO_LARGE,
        f"there are more than {REDEMPTIONS_MAX} redemptions from {days.first} to {days.last}:"
        " send in fewer days at once",
    )
