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

from merchant.domain.calendars import calendar_of_merchant
from merchant.domain.documents import Comparison, Item, Merchant, Redemption
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
from merchant.domain.reconciliation_tables import (
    AdviceRow,
    JournalRow,
    parse_advice,
    parse_journal,
)
from merchant.domain.settlement_rules import no_merchant
from merchant.domain.states import DocumentKind
from merchant.usecases.look_ups import find_all, merchant_ids
from merchant.usecases.open_items import open_items
from merchant.usecases.programmes import Programme, Programmes, carry_out
from merchant.usecases.recent_batches import recent_batches
from merchant.usecases.redemptions import redemption_id_of
from merchant.usecases.sold_days import Days, ledger_row, sold_in
from timebank.auth import Call

K = DocumentKind
ADVICE_US = 92 * 86_400_000_000
"""Batches that were closed earlier are compared only when an advice names them."""
AT_ONCE = 4
"""Comparisons that read at the same time: each takes a connection, and memory for its rows."""


class Compared(NamedTuple):
    """What came of a table, and whether the call was a repetition."""

    comparison: Comparison
    replayed: bool = False


class Reconciliations:
    """Journals, advices and work items."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes
        self._turns = asyncio.Semaphore(AT_ONCE)

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
        async with self._turns:
            command = await self._compared(programme, merchant, content, days)
        answer = await carry_out(
            programme,
            functools.partial(keep_journal, command=command),
            call=call,
            request_id=request_id,
            said=("journal", merchant_id, days, hashlib.sha256(content).hexdigest()),
            hints=keys_of(command),
        )
        return Compared(cast("Comparison", answer.document), answer.replayed)

    async def _compared(
        self, programme: Programme, merchant: Merchant, content: bytes, days: Days
    ) -> KeepJournal:
        """Compares a journal with the redemptions of its days and those that it names."""
        parse = functools.partial(parse_journal, first_date=days.first, last_date=days.last)
        entries, rows = await asyncio.to_thread(parse, content)
        ledger = await sold_in(self._programmes, programme, merchant, days)
        await self._add_named(programme, merchant, entries, ledger)
        compare = functools.partial(
            compare_journal, ledger, entries, first_date=days.first, last_date=days.last
        )
        differences, matched = await asyncio.to_thread(compare)
        refs = frozenset(entry.merchant_ref for entry in entries)
        old = [
            item.item_id
            for item in await open_items(self._programmes, programme, [merchant.merchant_id])
            if is_about(item, days.first, days.last, refs)
        ]
        return KeepJournal(merchant.merchant_id, rows, matched, tuple(differences), tuple(old))

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
        calendar = calendar_of_merchant(merchant, programme.zone)
        found = await find_all(self._programmes, programme, keys)
        for redemption in cast("list[Redemption]", found.values()):
            row = ledger_row(redemption, calendar)
            ledger[row.merchant_ref] = row

    async def submit_advice(
        self, programme: Programme, content: bytes, *, request_id: bytes, call: Call
    ) -> Compared:
        """Compares the bank's advice with batches. Raises REQUEST_ID_REUSED, BATCH_TOO_LARGE,
        VALIDATION_FAILED.
        """
        async with self._turns:
            command = await self._advised(programme, content)
        answer = await carry_out(
            programme,
            functools.partial(take_advice, command=command),
            call=call,
            request_id=request_id,
            said=("advice", hashlib.sha256(content).hexdigest()),
            hints=keys_of(command),
        )
        return Compared(cast("Comparison", answer.document), answer.replayed)

    async def _advised(self, programme: Programme, content: bytes) -> TakeAdvice:
        """Reads an advice, and finds the batches it is compared with."""
        parse = functools.partial(parse_advice, ledger_id=programme.ledger_id)
        said, rows = await asyncio.to_thread(parse, content)
        paid: dict[str, list[AdviceRow]] = {}
        for row in said:
            paid.setdefault(row.batch_id, []).append(row)
        since_us = self._programmes.clock.now_us() - ADVICE_US
        merchants = await self.merchant_ids(programme)
        recent = await recent_batches(self._programmes, programme, merchants, since_us)
        batch_ids = dict.fromkeys((*paid, *recent))
        concerned = list(dict.fromkeys(batch_id.partition("/")[0] for batch_id in batch_ids))
        old = [
            item.item_id
            for item in await open_items(self._programmes, programme, concerned)
            if item.batch in batch_ids
        ]
        batches = tuple((K.BATCH, batch_id) for batch_id in batch_ids)
        return TakeAdvice(rows, paid, batches, tuple(old))

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
        return await merchant_ids(self._programmes, programme)

    async def _merchant(self, programme: Programme, merchant_id: str) -> Merchant:
        found = await self._programmes.find(programme, K.MERCHANT, merchant_id)
        if found is None:
            raise no_merchant(merchant_id)
        return cast("Merchant", found)
