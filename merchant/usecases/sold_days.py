"""The redemptions of some business days, out of all that a merchant ever had.

A list of redemptions has the order in which they were made, so where the days begin is found by
halving, and only their own redemptions are read, a page at a time.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.business_days import Calendar, business_day, business_day_of
from merchant.domain.calendars import calendar_of_merchant
from merchant.domain.documents import Merchant, Redemption
from merchant.domain.reconciliation_rules import LedgerRow
from merchant.store.sales import Sale, last_sale_sequence, list_sales
from merchant.usecases.programmes import Programme, Programmes
from timebank.errors import Reason, TimebankError

PAGE_ROWS = 1_000
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
    calendar = calendar_of_merchant(merchant, programme.zone)
    since_us = business_day(days.first, calendar).start_us - HOLD_LIFE_US
    end_us = business_day(days.last, calendar).end_us
    found: dict[str, LedgerRow] = {}
    after = await _before(programmes, programme, merchant.merchant_id, since_us)
    while page := await _page(programmes, programme, merchant.merchant_id, after, PAGE_ROWS):
        for sale in page:
            if sale.created_us >= end_us:
                return found
            row = ledger_row(sale, calendar)
            if days.first <= row.business_date <= days.last:
                found[row.merchant_ref] = row
        if len(found) > REDEMPTIONS_MAX:
            raise _too_many(days)
        after = page[-1].sequence
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
    programmes: Programmes, programme: Programme, merchant_id: str, since_us: int
) -> int:
    """Gives a sequence that only redemptions made since a moment come after, and all of them."""
    databases, ledger_no = programmes.databases, programme.ledger_no
    low, high = -1, await last_sale_sequence(databases.reader, ledger_no, merchant_id)
    while low < high:
        middle = (low + high) // 2
        (sale,) = await _page(programmes, programme, merchant_id, middle, 1)
        if sale.created_us >= since_us:
            high = middle
        else:
            low = sale.sequence
    return low


async def _page(
    programmes: Programmes, programme: Programme, merchant_id: str, after: int, limit: int
) -> list[Sale]:
    reader = programmes.databases.reader
    return await list_sales(reader, programme.ledger_no, merchant_id, after=after, limit=limit)


def _too_many(days: Days) -> TimebankError:
    return TimebankError(
        Reason.BATCH_TOO_LARGE,
        f"there are more than {REDEMPTIONS_MAX} redemptions from {days.first} to {days.last}:"
        " send in fewer days at once",
    )
