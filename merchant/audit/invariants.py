"""What must hold within one document, whatever the others say.

Rules of a redemption: 0 <= refunded <= captured <= amount; its captures and its operations come to
the same sums; it is where its sums say, in one state alone; and it is named by the merchant's
reference, so that one reference stands for one redemption for ever.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from merchant.domain.documents import (
    Batch,
    Budget,
    Counter,
    Document,
    Line,
    Offer,
    Redemption,
    Spending,
    Voucher,
)
from merchant.domain.fund_rules import SpendingState
from merchant.domain.remainders import fen_of_points
from merchant.domain.settlement_rules import CARRIED, SETTLED, BatchState
from merchant.domain.states import RedemptionState, Step
from merchant.domain.voucher_rules import COLLECTED, ISSUED
from merchant.usecases.redemptions import redemption_id_of
from timebank.errors import TimebankError

R = RedemptionState
_NOTHING_TAKEN = (R.UNKNOWN, R.PENDING_MEMBER, R.AUTHORIZED, R.VOIDED, R.EXPIRED, R.DECLINED)
_NEVER_ASKED_AGAIN = (R.PENDING_MEMBER, R.VOIDED, R.REVERSED, R.EXPIRED, R.DECLINED)


class Fault(NamedTuple):
    """A figure of a document that cannot be so."""

    figure: str
    expected: object
    got: object


@functools.singledispatch
def faults_of(document: Document) -> Iterator[Fault]:
    """Gives what is wrong with a document by itself."""
    return iter(())


@faults_of.register
def _of_redemption(one: Redemption) -> Iterator[Fault]:
    merchant_id = one.redemption_id.partition("/")[0]
    named = redemption_id_of(merchant_id, one.merchant_ref)
    if one.redemption_id != named:
        yield Fault(
            "merchant_ref", f"the one that {one.redemption_id} is made of", one.merchant_ref
        )
    if not one.fingerprint and (one.state is not R.REVERSED or one.amount):
        yield Fault("fingerprint", "that of the content", one.fingerprint)
    yield from _within("captured", one.captured, one.amount)
    yield from _within("refunded", one.refunded, one.captured)
    yield from _equal("captured", one.captured, sum(part.amount for part in one.captures))
    yield from _equal("refunded", one.refunded, sum(part.refunded for part in one.captures))
    for place, part in enumerate(one.captures):
        yield from _within(f"captures[{place}].refunded", part.refunded, part.amount)
    if one.redeems and one.captured:
        yield from _equal("captured", one.captured, one.amount)
    yield from _done_of(one)
    yield from _state_of(one)


def _done_of(one: Redemption) -> Iterator[Fault]:
    """Compares the operations that were carried out with what came of them."""
    done = [item for item in one.done if not item.reason]
    if not one.redeems:
        yield from _equal("captured", one.captured, _sum_of(Step.CAPTURE, done))
    if one.state is not R.REVERSED:
        yield from _equal("refunded", one.refunded, _sum_of(Step.REFUND, done))
    refs = [item.op_ref for item in one.done]
    if len(set(refs)) != len(refs):
        yield Fault("done", "each op_ref once", ", ".join(refs))
    finals = [place for place, item in enumerate(done) if item.step is Step.CAPTURE and item.final]
    captures = [place for place, item in enumerate(done) if item.step is Step.CAPTURE]
    if finals and finals != captures[-1:]:
        yield Fault(
            "done", "one final capture, and none after it", f"{len(finals)} of {len(captures)}"
        )


def _sum_of(step: Step, done: Iterable[object]) -> int:
    return sum(getattr(item, "amount", 0) for item in done if getattr(item, "step", None) is step)


def _state_of(one: Redemption) -> Iterator[Fault]:
    """Compares the state with the sums."""
    captured, name = one.captured, one.state.name
    if one.state in _NOTHING_TAKEN and captured:
        yield Fault("state", "one in which points were taken", name)
    if one.state is R.CAPTURED and not captured:
        yield Fault("state", "one in which nothing was taken", name)
    if one.state is R.PARTIALLY_CAPTURED and not 0 < captured < one.amount:
        yield Fault("state", "one in which all or nothing was taken", name)
    if one.state is R.REVERSED and one.refunded != captured:
        yield Fault("refunded", captured, one.refunded)
    if one.state is R.UNKNOWN and one.pending is None:
        yield Fault("pending", "a question while the state is UNKNOWN", name)
    if one.pending is not None and one.state in _NEVER_ASKED_AGAIN:
        yield Fault("pending", f"none, for it is {name}", one.pending.step.value)
    if bool(captured) != bool(one.business_date):
        yield Fault("business_date", "a date as soon as something was taken", one.business_date)


@faults_of.register
def _of_line(one: Line) -> Iterator[Fault]:
    if bool(one.points) == bool(one.minutes):
        yield Fault("points", "either points or minutes", f"{one.points} and {one.minutes}")
    kinds = ("REDEMPTION",) if one.points + one.minutes > 0 else ("REFUND", CARRIED)
    if one.kind not in kinds:
        yield Fault("kind", " or ".join(kinds), one.kind)
    if one.kind != CARRIED and not one.line_id.startswith(f"{one.redemption_id}/"):
        yield Fault("redemption_id", "the one that the line's id begins with", one.redemption_id)


@faults_of.register
def _of_batch(one: Batch) -> Iterator[Fault]:
    if one.state not in set(BatchState):
        yield Fault("state", "OPEN, CLOSING, CLOSED or PAID", one.state)
    if one.batch_id.partition("/")[2] != f"{one.business_date}-{one.sequence}":
        yield Fault(
            "batch_id", f"{one.business_date}-{one.sequence} after the merchant", one.batch_id
        )
    yield from _equal("remainders", sum(part.lines for part in one.remainders), one.line_count)
    if one.state == BatchState.OPEN:
        return
    net_points = one.redeemed_points - one.refunded_points
    yield from _equal("net_points", one.net_points, net_points)
    try:
        net_fen = fen_of_points(net_points, fen_per_hundred_points=one.rate)
    except TimebankError as error:
        yield Fault("rate", "one at which the points come to fen", error.message)
        return
    yield from _equal("net_fen", one.net_fen, net_fen)
    if one.state in SETTLED and bool(one.entry) != (net_points > 0):
        yield Fault("entry", "the ledger's, if there was something to settle", one.entry)
    yield from _equal("paid_fen", one.paid_fen, max(net_fen, 0) * (one.state == BatchState.PAID))


@faults_of.register
def _of_budget(one: Budget) -> Iterator[Fault]:
    if one.reserved_fen < 0:
        yield Fault("reserved_fen", "0 or more", one.reserved_fen)


@faults_of.register
def _of_counter(one: Counter) -> Iterator[Fault]:
    if one.amount < 0 or one.times < 0:
        yield Fault("amount", "0 or more", min(one.amount, one.times))


@faults_of.register
def _of_offer(one: Offer) -> Iterator[Fault]:
    if one.stock is not None and one.stock < 0:
        yield Fault("stock", "0 or more", one.stock)


@faults_of.register
def _of_voucher(one: Voucher) -> Iterator[Fault]:
    if one.state not in (ISSUED, COLLECTED):
        yield Fault("state", f"{ISSUED} or {COLLECTED}", one.state)
    where = one.collected_by.partition("/")[0]
    if where != (one.merchant_id if one.state == COLLECTED else ""):
        yield Fault(
            "collected_by", "a till of its merchant, once it is collected", one.collected_by
        )
    if one.offer.partition("/")[0] != one.merchant_id:
        yield Fault("offer", f"one of {one.merchant_id}", one.offer)


@faults_of.register
def _of_spending(one: Spending) -> Iterator[Fault]:
    if one.approver and one.approver == one.proposer:
        yield Fault("approver", f"another person than {one.proposer}", one.approver)
    approved = one.state == SpendingState.APPROVED
    if one.state not in set(SpendingState) or approved != bool(one.entry):
        yield Fault("state", "APPROVED if and only if the ledger has paid", one.state)


def _within(figure: str, amount: int, most: int) -> Iterator[Fault]:
    if not 0 <= amount <= most:
        yield Fault(figure, f"0 to {most}", amount)


def _equal(figure: str, got: int, expected: int) -> Iterator[Fault]:
    if got != expected:
        yield Fault(figure, expected, got)
