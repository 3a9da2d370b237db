"""Taking in what the ledger answered: the second half of every step of a redemption.

An answer counts once: it names the question, and a question that was answered is gone. A hold that
the ledger has released already is as good as released; a capture that came too late ends the
redemption with what was captured before.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.documents import Capture, Done, Pending, Redemption
from merchant.domain.redemption_effects import put_redemption
from merchant.domain.redemption_moves import find_redemption
from merchant.domain.states import RedemptionState, Step
from merchant.domain.transactions import Transaction
from timebank.errors import Reason

R = RedemptionState
OVER = frozenset(
    {
        *(Reason.HOLD_EXPIRED, Reason.HOLD_RELEASED, Reason.HOLD_NOT_FOUND),
        # A partly captured hold that ran out is CAPTURED in the ledger.
        Reason.ALREADY_CAPTURED,
    }
)
"""What the ledger says of a hold that reserves nothing any more."""


class Finish(NamedTuple):
    """The ledger's answer to a question: its entries, or why it declined. `entries` are names in
    the order of the commands; `hold` is the name of a new hold.
    """

    redemption_id: str
    request_id: str
    zone: str
    hold: str = ""
    entries: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""


def finish(transaction: Transaction, command: Finish) -> Redemption:
    """Takes an answer in; one to a question that is not open any more changes nothing."""
    before = find_redemption(transaction, command.redemption_id)
    pending = before.pending
    if pending is None or pending.request_id != command.request_id:
        return before
    asked = before._replace(pending=None)
    declined = bool(command.reason)
    over = command.reason in {reason.value for reason in OVER}
    if pending.step in (Step.AUTHORIZE, Step.REDEEM):
        after = _declined(asked, command) if declined else _authorized(asked, pending, command)
    elif pending.step is Step.CAPTURE:
        after = _capture(asked, pending, command, over=over)
    elif pending.step is Step.REFUND:
        after = _refund(asked, pending, command)
    elif declined and not over:
        after = asked._replace(reason=command.reason, message=command.message)
    elif over and pending.step is Step.REVERSE and asked.captured > asked.refunded:
        # The hold is gone, and with it the whole chain: what was captured is still to go back.
        after = asked._replace(state=R.CAPTURED)
    else:
        after = _ended(asked, pending)
    return put_redemption(transaction, before, after, command.zone)


def _declined(asked: Redemption, command: Finish) -> Redemption:
    return asked._replace(state=R.DECLINED, reason=command.reason, message=command.message, hold="")


def _authorized(asked: Redemption, pending: Pending, command: Finish) -> Redemption:
    if pending.step is Step.AUTHORIZE:
        return asked._replace(state=R.AUTHORIZED, hold=command.hold)
    return asked._replace(
        state=R.CAPTURED,
        captured=pending.amount,
        captures=(Capture(command.entries[0], pending.amount),),
        expires_us=0,
    )


def _capture(asked: Redemption, pending: Pending, command: Finish, *, over: bool) -> Redemption:
    said = (command.reason, command.message)
    done = Done(pending.op_ref, Step.CAPTURE, pending.amount, *said, pending.final)
    after = asked._replace(done=(*asked.done, done))
    if over:
        return after._replace(state=R.CAPTURED if asked.captured else R.EXPIRED)
    if command.reason:
        return after
    captured = asked.captured + pending.amount
    ends = pending.final or captured == asked.amount
    return after._replace(
        state=R.CAPTURED if ends else R.PARTIALLY_CAPTURED,
        captured=captured,
        captures=(*asked.captures, Capture(command.entries[0], pending.amount)),
    )


def _refund(asked: Redemption, pending: Pending, command: Finish) -> Redemption:
    done = Done(pending.op_ref, Step.REFUND, pending.amount, command.reason, command.message)
    after = asked._replace(done=(*asked.done, done))
    if command.reason:
        return after
    given = dict(shares_of_refund(asked, pending.amount))
    captures = tuple(
        capture._replace(refunded=capture.refunded + given.get(place, 0))
        for place, capture in enumerate(asked.captures)
    )
    return after._replace(refunded=asked.refunded + pending.amount, captures=captures)


def _ended(asked: Redemption, pending: Pending) -> Redemption:
    """A void, a reversal or an expiry is done."""
    if pending.step is Step.REVERSE:
        captures = tuple(capture._replace(refunded=capture.amount) for capture in asked.captures)
        return asked._replace(state=R.REVERSED, refunded=asked.captured, captures=captures)
    if asked.captured:
        return asked._replace(state=R.CAPTURED)
    return asked._replace(state=R.VOIDED if pending.step is Step.VOID else R.EXPIRED)


def shares_of_refund(redemption: Redemption, amount: int) -> list[tuple[int, int]]:
    """Shares a refund out over the captures, latest first: (place, amount)."""
    shares = []
    for place in reversed(range(len(redemption.captures))):
        capture = redemption.captures[place]
        part = min(amount, capture.amount - capture.refunded)
        if part:
            shares.append((place, part))
            amount -= part
    return shares
