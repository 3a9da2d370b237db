"""The calendar of a merchant: by which cut-off 日切 each of its business days ends.

Owns: from which business date a changed cut-off holds. Refuses: what a business day is (see
merchant.domain.business_days).
Rules: a cut-off never changes for the running business day or one that is over, so that no line
changes its day and no day that is closed gets longer. At most one change waits for its date; a
later one takes its place. Cut-offs that held are kept, for they say when past days ended.
"""

from __future__ import annotations

from merchant.domain.business_days import (
    Calendar,
    CutOff,
    business_day_of,
    calendar_of,
    neighbours,
    parse_date,
)
from merchant.domain.documents import Merchant
from timebank.errors import Reason, TimebankError

CUT_OFFS_MAX = 100
"""Most cut-offs that a merchant has had; each is read with the merchant."""
DATE_FIELD = "cut_off_effective_date"


def calendar_of_merchant(merchant: Merchant, zone: str) -> Calendar:
    """Gives the calendar of a merchant in the programme's zone."""
    return calendar_of(zone, merchant.cut_offs or (CutOff("", merchant.cut_off_minute),))


def with_cut_off(
    merchant: Merchant, *, minute: int, effective_date: str, zone: str, now_us: int
) -> Merchant:
    """Gives a merchant whose cut-off is another one from a business date on, empty: the next one.

    What says nothing new gives the merchant as it is. Raises VALIDATION_FAILED for a date that is
    none or has begun, LIMIT_EXCEEDED after 100 cut-offs.
    """
    if minute == merchant.cut_off_minute and not effective_date:
        return merchant
    calendar = calendar_of_merchant(merchant, zone)
    today = business_day_of(now_us, calendar).date
    held = tuple(cut_off for cut_off in calendar.cut_offs if cut_off.first_date <= today)
    if minute == held[-1].minute:
        # What waited for its date is given up.
        return merchant._replace(cut_off_minute=minute, cut_offs=held if len(held) > 1 else ())
    first_date = _first_date(effective_date, neighbours(today)[1])
    if len(held) >= CUT_OFFS_MAX:
        raise TimebankError(
            Reason.LIMIT_EXCEEDED,
            f"merchant {merchant.merchant_id} has had {CUT_OFFS_MAX} cut-offs: keep the last one",
            merchant=merchant.merchant_id,
        )
    cut_offs = (*held, CutOff(first_date, minute))
    return merchant._replace(cut_off_minute=minute, cut_offs=cut_offs)


def _first_date(text: str, earliest: str) -> str:
    """Reads the first date of a new cut-off; no text: the earliest that it may be."""
    if not text:
        return earliest
    first_date = parse_date(DATE_FIELD, text).isoformat()
    if first_date < earliest:
        wanted = f"expected {earliest} or later, for the day before has begun, got {first_date}"
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"{DATE_FIELD}: {wanted}",
            violations=[(f"merchant.{DATE_FIELD}", wanted)],
            field=f"merchant.{DATE_FIELD}",
        )
    return first_date
