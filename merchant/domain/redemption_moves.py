"""What may be done with a redemption that was begun, state by state.

`TABLE` is the state table of the programme's specification. A move that has to ask the ledger only
notes what is asked; redemption_finish.py takes the answer in. A redemption with a question open
takes no other move: OUTCOME_UNKNOWN, until the answer is there.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from merchant.domain.business_days import business_day_of
from merchant.domain.calendars import calendar_of_merchant
from merchant.domain.documents import Done, Merchant, Pending, Redemption
from merchant.domain.payers import pin_is_wanted, use_pin
from merchant.domain.pins import PinTiers
from merchant.domain.redemption_begin import ask_ledger, counters_of
from merchant.domain.redemption_effects import put_redemption
from merchant.domain.states import Method, RedemptionState, Step
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError
from timebank.ids import request_id_from_bytes

R = RedemptionState
OPS_MAX = 63
"""Captures and refunds of one redemption."""


class Event(enum.Enum):
    """What is asked for."""

    CONFIRM = "confirm"
    CAPTURE = "capture"
    VOID = "void"
    REVERSE = "reverse"
    REFUND = "refund"
    EXPIRE = "expire"


class Verdict(enum.Enum):
    """What a state says to an event."""

    ASK = "the ledger is asked"
    AT_ONCE = "it is done without the ledger"
    NOTHING = "it is done already"
    STATE = "REDEMPTION_STATE"
    CAPTURED = "ALREADY_CAPTURED"
    RELEASED = "HOLD_RELEASED"


V = Verdict
_RELEASED = {
    Event.CONFIRM: V.STATE,
    Event.CAPTURE: V.RELEASED,
    Event.VOID: V.NOTHING,
    Event.REVERSE: V.NOTHING,
    Event.REFUND: V.STATE,
    Event.EXPIRE: V.NOTHING,
}
TABLE: dict[RedemptionState, dict[Event, Verdict]] = {
    R.PENDING_MEMBER: {
        Event.CONFIRM: V.ASK,
        Event.CAPTURE: V.STATE,
        Event.VOID: V.AT_ONCE,
        Event.REVERSE: V.AT_ONCE,
        Event.REFUND: V.STATE,
        Event.EXPIRE: V.AT_ONCE,
    },
    R.AUTHORIZED: {
        Event.CONFIRM: V.NOTHING,
        Event.CAPTURE: V.ASK,
        Event.VOID: V.ASK,
        Event.REVERSE: V.ASK,
        Event.REFUND: V.STATE,
        Event.EXPIRE: V.ASK,
    },
    R.PARTIALLY_CAPTURED: {
        Event.CONFIRM: V.NOTHING,
        Event.CAPTURE: V.ASK,
        Event.VOID: V.ASK,
        Event.REVERSE: V.ASK,
        Event.REFUND: V.ASK,
        Event.EXPIRE: V.ASK,
    },
    R.CAPTURED: {
        Event.CONFIRM: V.NOTHING,
        Event.CAPTURE: V.CAPTURED,
        Event.VOID: V.CAPTURED,
        Event.REVERSE: V.ASK,
        Event.REFUND: V.ASK,
        Event.EXPIRE: V.NOTHING,
    },
    R.VOIDED: _RELEASED,
    R.REVERSED: _RELEASED,
    R.EXPIRED: _RELEASED,
    R.DECLINED: _RELEASED,
}
_STEPS = {
    Event.CAPTURE: Step.CAPTURE,
    Event.VOID: Step.VOID,
    Event.REVERSE: Step.REVERSE,
    Event.REFUND: Step.REFUND,
    Event.EXPIRE: Step.EXPIRE,
}
_AT_ONCE = {Event.VOID: R.VOIDED, Event.REVERSE: R.REVERSED, Event.EXPIRE: R.EXPIRED}


class Move(NamedTuple):
    """An event with what it needs; `op_ref` is the merchant's own reference of a capture or
    refund.
    """

    redemption_id: str
    event: Event
    zone: str
    op_ref: str = ""
    amount: int = 0
    final: bool = False


class Confirm(NamedTuple):
    """The yes of a member by PIN, of a member at the merchant's QR, or of a second officer."""

    redemption_id: str
    zone: str
    method: Method
    matched_pin: str | None = None
    member_id: str = ""
    account: str = ""
    officer: str = ""
    life_us: int = 0
    tiers: PinTiers = PinTiers()


def find_redemption(transaction: Transaction, redemption_id: str) -> Redemption:
    """Finds a redemption. Raises REDEMPTION_NOT_FOUND."""
    redemption = transaction.find(Redemption, redemption_id)
    if redemption is None:
        raise TimebankError(Reason.REDEMPTION_NOT_FOUND, f"no redemption {redemption_id}")
    return redemption


def move(transaction: Transaction, command: Move) -> Redemption:
    """Does what an event asks for, or notes what the ledger is asked.

    Raises REDEMPTION_NOT_FOUND, OUTCOME_UNKNOWN, MERCHANT_REF_REUSED (an op_ref with other content)
    and what the table says; AMOUNT_EXCEEDS_HOLD and REFUND_EXCEEDS_CAPTURE.
    """
    redemption = find_redemption(transaction, command.redemption_id)
    if command.op_ref and (done := _done(redemption, command)) is not None:
        return done
    check_answered(redemption)
    verdict = TABLE[redemption.state][command.event]
    if verdict is V.NOTHING:
        return redemption
    if command.event is Event.EXPIRE and redemption.expires_us > transaction.now_us:
        return redemption
    if verdict not in (V.ASK, V.AT_ONCE):
        raise refused(redemption, command.event, verdict)
    if verdict is V.AT_ONCE:
        after = redemption._replace(state=_AT_ONCE[command.event], pin_required=False)
        return put_redemption(transaction, redemption, after, command.zone)
    _check(transaction, redemption, command)
    pending = Pending(
        _STEPS[command.event],
        request_id_from_bytes(transaction.random_bytes(16)),
        command.op_ref,
        command.amount,
        command.final,
        transaction.now_us,
    )
    return put_redemption(
        transaction,
        redemption,
        redemption._replace(pending=pending, reason="", message=""),
        command.zone,
    )


def _done(redemption: Redemption, command: Move) -> Redemption | None:
    """Finds what was done under this op_ref already."""
    step = _STEPS[command.event]
    known = [(item.op_ref, item.step, item.amount, item.final) for item in redemption.done]
    if redemption.pending is not None and redemption.pending.op_ref:
        pending = redemption.pending
        known.append((pending.op_ref, pending.step, pending.amount, pending.final))
    for op_ref, of_step, amount, final in known:
        if op_ref != command.op_ref:
            continue
        if (of_step, amount, final) != (step, command.amount, command.final):
            raise TimebankError(
                Reason.MERCHANT_REF_REUSED,
                f"op_ref {op_ref} was used for {of_step} of {amount}: give each its own",
                op_ref=op_ref,
            )
        return redemption
    return None


def check_answered(redemption: Redemption) -> None:
    """Refuses a redemption whose last question the ledger has not answered."""
    if redemption.pending is not None:
        raise TimebankError(
            Reason.OUTCOME_UNKNOWN,
            f"the ledger has not answered {redemption.pending.step} of"
            f" {redemption.merchant_ref} yet: look it up in a moment",
            merchant_ref=redemption.merchant_ref,
        )


def refused(redemption: Redemption, event: Event, verdict: Verdict) -> TimebankError:
    """Says why a state does not take an event."""
    return TimebankError(
        Reason(verdict.value),
        f"redemption {redemption.merchant_ref} is {redemption.state.name}: no {event.value}",
        merchant_ref=redemption.merchant_ref,
        state=redemption.state.name,
    )


def _check(transaction: Transaction, redemption: Redemption, command: Move) -> None:
    if command.event is Event.CAPTURE:
        rest = redemption.amount - redemption.captured
        if not 0 < command.amount <= rest:
            raise TimebankError(
                Reason.AMOUNT_EXCEEDS_HOLD,
                f"{rest} are still held, asked to capture {command.amount}",
                rest=rest,
            )
    if command.event is Event.REFUND:
        rest = redemption.captured - redemption.refunded
        if not 0 < command.amount <= rest:
            raise TimebankError(
                Reason.REFUND_EXCEEDS_CAPTURE,
                f"{rest} may still be given back, asked for {command.amount}",
                rest=rest,
            )
    if command.event in (Event.CAPTURE, Event.REFUND) and len(redemption.done) >= OPS_MAX:
        raise TimebankError(
            Reason.LIMIT_EXCEEDED, f"a redemption takes at most {OPS_MAX} captures and refunds"
        )
    if command.event is Event.REVERSE and redemption.captured:
        _check_window(transaction, redemption, command.zone)


def _check_window(transaction: Transaction, redemption: Redemption, zone: str) -> None:
    """A captured redemption is reversed until the cut-off of its business day."""
    merchant = transaction.find(Merchant, redemption.redemption_id.partition("/")[0])
    assert merchant is not None, "a redemption has a merchant"
    today = business_day_of(transaction.now_us, calendar_of_merchant(merchant, zone)).date
    if today != redemption.business_date:
        raise TimebankError(
            Reason.BATCH_CLOSED,
            f"the business day {redemption.business_date} is over: refund it instead",
            merchant_ref=redemption.merchant_ref,
        )


def reverse(
    transaction: Transaction, redemption_id: str, merchant_ref: str, zone: str
) -> Redemption:
    """Reverses by the merchant's reference; one that never arrived leaves a tombstone.

    Raises MERCHANT_NOT_FOUND, and the reasons of `move`.
    """
    if transaction.find(Redemption, redemption_id) is not None:
        return move(transaction, Move(redemption_id, Event.REVERSE, zone))
    merchant_id = redemption_id.partition("/")[0]
    if transaction.find(Merchant, merchant_id) is None:
        raise TimebankError(Reason.MERCHANT_NOT_FOUND, f"no merchant {merchant_id}")
    tombstone = Redemption(
        redemption_id, merchant_ref, "", RedemptionState.REVERSED, transaction.now_us
    )
    transaction.put(tombstone)
    return tombstone


def confirm(transaction: Transaction, command: Confirm) -> Redemption:
    """Goes on with a redemption that waited for somebody's yes.

    Raises REDEMPTION_NOT_FOUND, OUTCOME_UNKNOWN, REDEMPTION_STATE, FOUR_EYES_REQUIRED, the limits
    of a member who is known only now, PIN_REQUIRED, PIN_INVALID, PIN_LOCKED.
    """
    redemption = find_redemption(transaction, command.redemption_id)
    check_answered(redemption)
    verdict = TABLE[redemption.state][Event.CONFIRM]
    if verdict is V.NOTHING:
        if command.method is Method.MERCHANT_QR and command.member_id != redemption.member_id:
            raise refused(redemption, Event.CONFIRM, V.STATE)
        return redemption
    expired = redemption.expires_us <= transaction.now_us
    by_pin = command.method is Method.PAYMENT_CODE and redemption.pin_required
    if verdict is not V.ASK or expired or not (by_pin or command.method is redemption.method):
        raise refused(redemption, Event.CONFIRM, V.STATE)
    if by_pin:
        use_pin(transaction, redemption.member_id, command.matched_pin or "")
    after = redemption
    if command.method is Method.MERCHANT_QR:
        after = _known_member(transaction, redemption, command)
    if command.method is Method.ASSISTED:
        _check_other_person(redemption, command.officer)
    after = ask_ledger(transaction, after, command.life_us)
    return put_redemption(transaction, redemption, after, command.zone)


def _known_member(transaction: Transaction, redemption: Redemption, command: Confirm) -> Redemption:
    """A member at the merchant's QR is known only now: their own limits are looked at."""
    known = redemption._replace(member_id=command.member_id, payer_account=command.account)
    wanted = pin_is_wanted(transaction, known, command.zone, command.tiers)
    # What the redemption counts already would count twice.
    released = redemption._replace(state=RedemptionState.EXPIRED)
    put_redemption(transaction, redemption, released, command.zone)
    known = known._replace(counters=counters_of(transaction, known, command.zone))
    put_redemption(transaction, released, known, command.zone)
    if wanted:
        if command.matched_pin is None:
            raise TimebankError(
                Reason.PIN_REQUIRED, "this much is paid with a PIN: type it and confirm again"
            )
        use_pin(transaction, command.member_id, command.matched_pin)
    return known


def _check_other_person(redemption: Redemption, officer: str) -> None:
    # People are named with their kind, as `officer/li`, or by their id alone.
    first, second = (name.rpartition("/")[2] for name in (redemption.officer, officer))
    if second in (first, redemption.member_id, ""):
        raise TimebankError(
            Reason.FOUR_EYES_REQUIRED,
            "a second person approves an assisted redemption, neither the first nor the member",
        )


def outcome_of(redemption: Redemption, op_ref: str) -> Done | None:
    """Finds how an operation with a reference of the merchant's ended."""
    return next((item for item in redemption.done if item.op_ref == op_ref), None)
