"""The redemptions of some business days, out of all that a merchant ever had.

A list of redemptions has the order in which they were made, so where the days begin is found by
halving, and only their own redemptions are read, a page at a time.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from merchant.domain.business_days import Calendar, business_day, business_day_of
from merchant.domain.calendars import calendar_of_merchant
from merchant.domain.documents import Merchant, Redemption
from merchant.domain.reconciliation_rules import LedgerRow
from merchant.store.sales import Sale, last_sale_sequence, sales_after
from merchant.usecases.programmes import Programme, Programmes
from timebank.database.sessions import WriterSession, open_read_session
from timebank.errors import Reason, TimebankError

PAGE_ROWS = 2_000
HOLD_LIFE_US = 37 * 3_600_000_000
"""What is captured was authorised at most so long before: 36 hours, and one for the sweeper."""
REDEMPTIONS_MAX = 200_000
"""Redemptions of the days of one journal."""


class Days(NamedTuple):
    """Business days from first to last that a journal covers."""

    first: str
    last: str


async def sold_in(
    programmes: Programmes, programme: Programme, merchant: Merchant, days: Days
) -> dict[str, LedgerRow]:
    """Reads the redemptions of some business days by reference, oldest first.

    Raises BATCH_TOO_LARGE for more than 200,000.
    """
    session = open_read_session(programmes.databases)
    try:
        found = await _sold_in(session, programme, merchant, days)
        await session.release()
    finally:
        await session.close()
    return found


async def _sold_in(
    session: WriterSession, programme: Programme, merchant: Merchant, days: Days
) -> dict[str, LedgerRow]:
    calendar = calendar_of_merchant(merchant, programme.zone)
    since_us = business_day(days.first, calendar).start_us - HOLD_LIFE_US
    end_us = business_day(days.last, calendar).end_us
    merchant_id, found = merchant.merchant_id, dict[str, LedgerRow]()
    after: int | None = await _before(session, programme, merchant_id, since_us)
    while after is not None:
        plan = sales_after(merchant_id, after, limit=PAGE_ROWS, first_date=days.first)
        page = await session.run(programme.ledger_no, plan)
        for sale in page.sales:
            if sale.created_us >= end_us:
                return found
            row = ledger_row(sale, calendar)
            if days.first <= row.business_date <= days.last:
                found[row.merchant_ref] = row
        if len(found) > REDEMPTIONS_MAX:
            raise _too_many(days)
        after = page.last_sequence
        # SQLite reads in the event loop itself: tills have their turn between two pages.
        await asyncio.sleep(0)
    return found


def ledger_row(redemption: Redemption | Sale, calendar: Calendar) -> LedgerRow:
    """Reads a redemption as it is compared; one that paid nothing has no business date."""
    date = redemption.business_date
    if not date:
        made_us = redemption.captured_us or redemption.created_us
        date = business_day_of(made_us, calendar).date
    return LedgerRow(
        redemption.merchant_ref,
        date,
        redemption.state,
        redemption.captured,
        redemption.refunded,
    )


async def _before(
    session: WriterSession, programme: Programme, merchant_id: str, since_us: int
) -> int:
    """Gives a sequence that only redemptions made since a moment come after, and all of them."""
    ledger_no = programme.ledger_no
    low, high = -1, await session.run(ledger_no, last_sale_sequence(merchant_id))
    while low < high:
        middle = (low + high) // 2
        page = await session.run(ledger_no, sales_after(merchant_id, middle, limit=1))
        (sale,) = page.sales
        if sale.created_us >= since_us:
            high = middle
        else:
            low = sale.sequence
    return low


def _too_many(days: Days) -> TimebankError:
    return TimebankError(
        Reason.BATCH_TOO_LARGE,
        f"there are more than {REDEMPTIONS_MAX} redemptions from {days.first} to {days.last}:"
        " send in fewer days at once",
    )
