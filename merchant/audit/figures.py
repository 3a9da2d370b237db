"""What documents say of themselves and of each other, as figures that must agree.

Owns: the sums over redemptions and lines, computed here anew and not by the rules that keep the
figures. A budget has reserved what is promised and spent what was taken and not given back, and
what closed batches have set right; stock is what was put in less the pieces of what is promised or
sold; a counter counts the same amounts; a redemption's lines come to what it took; a batch's lines
come to its totals.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from merchant.audit.sums import PAID, REFERRED, Figure
from merchant.domain.documents import (
    Batch,
    Budget,
    Counter,
    Document,
    Income,
    IncomeReference,
    Line,
    Merchant,
    Offer,
    Redemption,
    Voucher,
)
from merchant.domain.redemption_effects import PIECES
from merchant.domain.settlement_rules import CARRIED, SETTLED
from merchant.domain.states import DocumentKind, Method, OfferUnit, RedemptionState

K = DocumentKind
R = RedemptionState
_GONE = (R.VOIDED, R.REVERSED, R.EXPIRED, R.DECLINED)
_PROMISED = (R.UNKNOWN, R.PENDING_MEMBER, R.AUTHORIZED, R.PARTIALLY_CAPTURED)


@functools.singledispatch
def figures_of(document: Document) -> Iterator[Figure]:
    """Gives what a document says of its own figures and adds to those of others."""
    return iter(())


@figures_of.register
def _of_redemption(one: Redemption) -> Iterator[Figure]:
    own = one.redemption_id
    yield Figure(REFERRED, own.partition("/")[0], "merchant", 1)
    yield Figure(K.REDEMPTION, own, "lines", got=one.lines)
    yield Figure(K.REDEMPTION, own, "taken by lines", got=one.captured - one.refunded)
    vouchers = int(one.method is Method.VOUCHER)
    yield Figure(K.REDEMPTION, own, "vouchers", got=vouchers)
    if one.state in _GONE:
        return
    promised = one.amount - one.captured if one.state in _PROMISED else 0
    kept = one.captured - one.refunded
    rate = one.fen_per_hundred_points if one.unit is OfferUnit.POINTS else 0
    spent_fen = in_fen(kept, rate)
    reserved_fen = in_fen(promised + kept, rate) - spent_fen
    yield Figure(K.BUDGET, one.budget, "reserved_fen", reserved_fen)
    yield Figure(K.BUDGET, one.budget, "spent_fen", spent_fen)
    if one.counts_stock:
        yield Figure(K.OFFER, one.offer, "pieces taken of stock", one.quantity)
    for counter in one.counters:
        times = one.quantity if counter.startswith(PIECES) else 1
        yield Figure(K.COUNTER, counter, "amount", promised + kept)
        yield Figure(K.COUNTER, counter, "times", times)


def in_fen(points: int, fen_per_hundred_points: int) -> int:
    """Gives points in fen, rounded up."""
    whole, rest = divmod(points * fen_per_hundred_points, 100)
    return whole + (rest > 0)


@figures_of.register
def _of_budget(one: Budget) -> Iterator[Figure]:
    yield Figure(K.BUDGET, one.budget_id, "reserved_fen", got=one.reserved_fen)
    yield Figure(K.BUDGET, one.budget_id, "spent_fen", one.adjusted_fen, one.spent_fen)
    yield Figure(K.BUDGET, one.budget_id, "adjusted_fen", got=one.adjusted_fen)
    spent_fen = one.spent_fen - one.adjusted_fen
    yield Figure(K.BUDGET, one.budget_id, "spent by lines", got=spent_fen)


@figures_of.register
def _of_counter(one: Counter) -> Iterator[Figure]:
    yield Figure(K.COUNTER, one.counter_id, "amount", got=one.amount)
    yield Figure(K.COUNTER, one.counter_id, "times", got=one.times)


@figures_of.register
def _of_offer(one: Offer) -> Iterator[Figure]:
    yield Figure(REFERRED, one.offer_id.partition("/")[0], "merchant", 1)
    if one.stock is not None and one.stocked is not None:
        taken = one.stocked - one.stock
        yield Figure(K.OFFER, one.offer_id, "pieces taken of stock", got=taken)


@figures_of.register
def _of_line(one: Line) -> Iterator[Figure]:
    merchant_id = one.redemption_id.partition("/")[0]
    if one.kind == CARRIED:
        yield Figure(K.BATCH, one.redemption_id, "carried on", one.points)
        owed_fen = -one.points * one.rate // 100
        if one.budget:
            yield Figure(K.BUDGET, one.budget, "adjusted_fen", owed_fen)
            yield Figure(K.BATCH, one.redemption_id, "adjusted_fen", owed_fen)
    else:
        yield Figure(K.REDEMPTION, one.redemption_id, "lines", 1)
        yield Figure(K.REDEMPTION, one.redemption_id, "taken by lines", one.points + one.minutes)
        yield Figure(K.BUDGET, one.budget, "spent by lines", one.spent_fen)
    if one.batch:
        batch_id = f"{merchant_id}/{one.batch}"
        yield Figure(K.BATCH, batch_id, "line_count", 1)
        yield Figure(K.BATCH, batch_id, "redeemed_points", max(one.points, 0))
        yield Figure(K.BATCH, batch_id, "refunded_points", max(-one.points, 0))
        yield Figure(K.BATCH, batch_id, "redeemed_minutes", max(one.minutes, 0))
        yield Figure(K.BATCH, batch_id, "refunded_minutes", max(-one.minutes, 0))


@figures_of.register
def _of_batch(one: Batch) -> Iterator[Figure]:
    own, settled = one.batch_id, one.state in SETTLED
    merchant_id = own.partition("/")[0]
    yield Figure(REFERRED, merchant_id, "merchant", 1)
    yield Figure(K.MERCHANT, merchant_id, "batches", int(settled))
    for name in (
        *("line_count", "redeemed_points", "refunded_points"),
        *("redeemed_minutes", "refunded_minutes", "adjusted_fen"),
    ):
        yield Figure(K.BATCH, own, name, got=getattr(one, name))
    carried = one.net_points if settled and one.net_points < 0 else 0
    yield Figure(K.BATCH, own, "carried on", got=carried)


@figures_of.register
def _of_merchant(one: Merchant) -> Iterator[Figure]:
    yield Figure(K.MERCHANT, one.merchant_id, "batches", got=one.batches)


@figures_of.register
def _of_voucher(one: Voucher) -> Iterator[Figure]:
    yield Figure(K.REDEMPTION, one.redemption_id, "vouchers", 1)


@figures_of.register
def _of_income(one: Income) -> Iterator[Figure]:
    yield Figure(K.INCOME, one.income_id, "references", got=1)
    yield Figure(K.INCOME_REFERENCE, one.reference, "incomes", 1)


@figures_of.register
def _of_income_reference(one: IncomeReference) -> Iterator[Figure]:
    yield Figure(K.INCOME_REFERENCE, one.reference, "incomes", got=1)
    yield Figure(K.INCOME, one.income_id, "references", 1)


def excused_by(document: Document) -> Iterator[tuple[int, str]]:
    """Gives kinds and ids whose figures are not to be compared. A stock that is not counted, or was
    not for a while, follows from nothing; a question that is open may be answered already; and who
    is referred to is there.
    """
    if isinstance(document, Merchant):
        yield REFERRED, document.merchant_id
    elif isinstance(document, Offer):
        if document.stock is None or document.stocked is None:
            yield K.OFFER, document.offer_id
    elif isinstance(document, Redemption) and document.pending is not None:
        yield PAID, document.redemption_id


def paid_figures_of(one: Redemption) -> Iterator[Figure]:
    """Gives what a redemption says of the entries of its ledger."""
    for capture in one.captures:
        index = capture.entry.rpartition("/")[2]
        yield Figure(PAID, one.redemption_id, f"paid by entry {index}", got=capture.amount)
        yield Figure(PAID, one.redemption_id, f"given back of entry {index}", got=capture.refunded)
