"""What a change of a redemption does beside it: budget, stock, counters and settlement lines.

Each is a function of the redemption alone, so that a change moves just the difference of before and
after, whatever the way there, and a sum over redemptions always agrees:
- a budget reserves what is authorised and not captured, and has spent what was captured and not
  given back; both in fen, rounded up, so that no merchant delivers unfunded goods; a line says how
  much it made the budget spend, which its batch sets right to what is paid;
- an offer's stock is taken while the goods are promised or sold; a refund does not bring it back;
- a counter of a velocity control counts what is authorised or captured less what was given back.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.business_days import business_day_of
from merchant.domain.calendars import calendar_of_merchant
from merchant.domain.counter_windows import kept_until_us
from merchant.domain.documents import Budget, Counter, Line, Merchant, Offer, Redemption
from merchant.domain.states import DocumentKind, OfferUnit, RedemptionState
from merchant.domain.transactions import Transaction

R = RedemptionState
RELEASED = frozenset({R.VOIDED, R.REVERSED, R.EXPIRED, R.DECLINED})
"""States in which nothing is promised and nothing was sold."""
LIVE = frozenset({R.UNKNOWN, R.PENDING_MEMBER, R.AUTHORIZED, R.PARTIALLY_CAPTURED})
"""States in which something is still promised."""


class Uses(NamedTuple):
    """What a redemption takes from what others take from too."""

    reserved_fen: int = 0
    spent_fen: int = 0
    pieces: int = 0
    counted: int = 0
    times: int = 0


def fen_reserved_for(points: int, fen_per_hundred_points: int) -> int:
    """Gives the fen that points may cost, rounded up."""
    return -(-points * fen_per_hundred_points // 100)


def uses_of(redemption: Redemption | None) -> Uses:
    """Gives what a redemption takes as it stands; None: nothing."""
    if redemption is None or redemption.state in RELEASED:
        return Uses()
    rate = redemption.fen_per_hundred_points if redemption.unit is OfferUnit.POINTS else 0
    live = redemption.state in LIVE
    kept = redemption.captured - redemption.refunded
    promised = redemption.amount - redemption.captured if live else 0
    return Uses(
        reserved_fen=fen_reserved_for(promised + kept, rate) - fen_reserved_for(kept, rate),
        spent_fen=fen_reserved_for(kept, rate),
        pieces=redemption.quantity,
        counted=promised + kept,
        times=1,
    )


def put_redemption(
    transaction: Transaction, before: Redemption | None, after: Redemption, zone: str
) -> Redemption:
    """Writes a redemption with all that its change does; gives it as it was written."""
    old, new = uses_of(before), uses_of(after)
    merchant_id = after.redemption_id.partition("/")[0]
    merchant = transaction.find(Merchant, merchant_id)
    assert merchant is not None, "a redemption has a merchant"
    if (old.reserved_fen, old.spent_fen) != (new.reserved_fen, new.spent_fen):
        _move_budget(transaction, after.budget, old, new)
    if old.pieces != new.pieces and after.counts_stock:
        _move_stock(transaction, after.offer, new.pieces - old.pieces)
    if (old.counted, old.times) != (new.counted, new.times):
        _move_counters(transaction, after, old, new)
    if after.captured > (before.captured if before else 0):
        after = after._replace(captured_us=transaction.now_us)
    after = _add_lines(transaction, merchant, before, after, zone)
    transaction.put(after)
    return after


def _move_budget(transaction: Transaction, budget_id: str, old: Uses, new: Uses) -> None:
    budget = transaction.find(Budget, budget_id)
    assert budget is not None, "a budget is there as long as redemptions reserve it"
    transaction.put(
        budget._replace(
            reserved_fen=budget.reserved_fen + new.reserved_fen - old.reserved_fen,
            spent_fen=budget.spent_fen + new.spent_fen - old.spent_fen,
        )
    )


def _move_stock(transaction: Transaction, offer_id: str, pieces: int) -> None:
    offer = transaction.find(Offer, offer_id)
    assert offer is not None, "offers stay as long as they have redemptions"
    if offer.stock is not None:
        changed = offer._replace(stock=offer.stock - pieces, version=offer.version + 1)
        transaction.put(changed)


def _move_counters(transaction: Transaction, after: Redemption, old: Uses, new: Uses) -> None:
    transaction.want(*((DocumentKind.COUNTER, name) for name in after.counters))
    for counter_id in after.counters:
        counter, until_us = transaction.find(Counter, counter_id), kept_until_us(counter_id)
        if counter is None:
            if until_us is not None and until_us <= transaction.now_us:
                continue  # it was forgotten, and nobody asks for its window any more
            counter = Counter(counter_id)
        times = new.times - old.times
        if counter_id.startswith(PIECES):
            times = new.pieces - old.pieces
        transaction.put(
            counter._replace(
                amount=counter.amount + new.counted - old.counted, times=counter.times + times
            )
        )


PIECES = "pieces/"
"""Counters of this prefix count pieces of an offer, all others redemptions."""


def _add_lines(
    transaction: Transaction,
    merchant: Merchant,
    before: Redemption | None,
    after: Redemption,
    zone: str,
) -> Redemption:
    """Adds the lines by which a merchant is paid: what was captured, and what was given back."""
    captured = after.captured - (before.captured if before else 0)
    refunded = after.refunded - (before.refunded if before else 0)
    kept = (before.captured - before.refunded) if before else 0
    for kind, amount in (("REDEMPTION", captured), ("REFUND", -refunded)):
        if not amount:
            continue
        day = business_day_of(transaction.now_us, calendar_of_merchant(merchant, zone)).date
        after = after._replace(business_date=after.business_date or day, lines=after.lines + 1)
        transaction.put(_line(after, kind, amount, kept, transaction.now_us, day))
        kept += amount
    return after


def _line(
    redemption: Redemption, kind: str, amount: int, kept: int, now_us: int, business_date: str
) -> Line:
    """Makes the last line of a redemption; `kept` is what the lines before it came to."""
    in_points = redemption.unit is OfferUnit.POINTS
    rate = redemption.fen_per_hundred_points if in_points else 0
    return Line(
        f"{redemption.redemption_id}/{redemption.lines}",
        redemption.redemption_id,
        redemption.merchant_ref,
        kind,
        amount if in_points else 0,
        redemption.fen_per_hundred_points,
        now_us,
        business_date,
        minutes=0 if in_points else amount,
        budget=redemption.budget,
        spent_fen=fen_reserved_for(kept + amount, rate) - fen_reserved_for(kept, rate),
    )
