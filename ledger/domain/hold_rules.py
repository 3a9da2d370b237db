"""Rules of holds: create, capture in parts, void, expire. A hold resolves once."""

from ledger.domain.account import Account, LotChange, lapsed, reserve_unreserved, spendable
from ledger.domain.commands import CaptureHold, CreateHold, VoidHold
from ledger.domain.decisions import (
    Decision,
    check_debitable,
    check_open,
    check_unit,
    find_account,
    insufficient,
)
from ledger.domain.entry import EntryKind, HoldChange, Posting
from ledger.domain.fold import Projections
from ledger.domain.hold import (
    AFTER_SERVICE_US_MAX,
    TILL_LIFE_US_MAX,
    Hold,
    HoldKind,
    HoldState,
)
from ledger.domain.movements import CAPTURE_KINDS, HOLD_UNITS, MOVEMENTS
from ledger.domain.posting_rules import check_overflow, check_route, credit_lots
from timebank.errors import Reason, TimebankError
from timebank.units import INT64_MAX, Unit


def decide_create(state: Projections, command: CreateHold, now_us: int, new_id: str) -> Decision:
    """Decides a hold.

    Raises, in this order: ACCOUNT_NOT_FOUND, MOVEMENT_NOT_ALLOWED, ACCOUNT_CLOSED, ACCOUNT_FROZEN,
    VALIDATION_FAILED, LIMIT_EXCEEDED, INSUFFICIENT_BALANCE, AMOUNT_OVERFLOW.
    """
    account = find_account(state, command.account_id)
    check_unit(account, command.unit)
    _check_holdable(account, command.kind)
    check_open(account)
    check_debitable(account)
    _check_life(command, now_us)
    available = account.posted - account.held - lapsed(account, now_us)
    if account.min_balance is not None and available - command.amount < account.min_balance:
        raise insufficient(account, command.amount)
    if account.held + command.amount > INT64_MAX:
        raise TimebankError(
            Reason.AMOUNT_OVERFLOW,
            f"what account {account.account_id} holds would exceed 64 bits",
            account=account.account_id,
        )
    lots = reserve_unreserved(spendable(account, now_us), command.amount)
    change = HoldChange(
        hold_id=new_id,
        account_id=account.account_id,
        kind=command.kind,
        state=HoldState.ACTIVE,
        held=command.amount,
        captured=0,
        released=0,
        expires_us=command.expires_us,
        lots=lots,
    )
    return Decision(
        EntryKind.HOLD_CREATED,
        hold_changes=(change,),
        cause=command.cause,
        natural_key=command.natural_key,
    )


def _check_holdable(account: Account, kind: HoldKind) -> None:
    routes = [MOVEMENTS[entry_kind].routes.get(account.unit) for entry_kind in CAPTURE_KINDS]
    payable = any(route is not None and account.kind in route.debits for route in routes)
    service_only_time = kind is HoldKind.SERVICE and account.unit is not Unit.TIME
    if account.unit not in HOLD_UNITS or not payable or service_only_time:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"a {account.kind.name} account of {account.unit.name} takes no {kind.name} hold",
            account=account.account_id,
            kind=kind.name,
        )


def _check_life(command: CreateHold, now_us: int) -> None:
    if command.expires_us <= now_us:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "expire_time must lie after the ledger time",
            field="expire_time",
            ledger_time_us=now_us,
        )
    latest = now_us + TILL_LIFE_US_MAX
    if command.kind is HoldKind.SERVICE:
        latest = command.service_us + AFTER_SERVICE_US_MAX
    if command.expires_us > latest:
        raise TimebankError(
            Reason.LIMIT_EXCEEDED,
            "the hold would live too long: 36 hours at a till, 7 days after the service",
            field="expire_time",
            latest_us=latest,
        )


def decide_capture(state: Projections, command: CaptureHold, now_us: int) -> Decision:
    """Decides a capture.

    Raises, in this order: HOLD_NOT_FOUND, ALREADY_CAPTURED, HOLD_RELEASED, HOLD_EXPIRED,
    AMOUNT_EXCEEDS_HOLD, ACCOUNT_NOT_FOUND, MOVEMENT_NOT_ALLOWED, ACCOUNT_CLOSED, LIMIT_EXCEEDED.
    """
    hold = find_live_hold(state, command.hold_id, now_us)
    amount, rest = command.amount, hold.rest
    if amount > rest:
        raise TimebankError(
            Reason.AMOUNT_EXCEEDS_HOLD,
            f"hold {hold.hold_id} still reserves {rest}, asked for {amount}",
            hold=hold.hold_id,
            rest=rest,
        )
    payer = find_account(state, hold.account_id)
    payee = find_account(state, command.to_account_id)
    _check_capture_route(payer, payee, command)
    check_open(payer)
    check_open(payee)
    check_overflow(payer, payer.posted - amount)
    credited = credit_lots(payee, amount, command.expires_us, now_us, state.ledger.time_zone)
    taken = _take_reserved(hold, amount)
    ends = command.final or amount == rest
    released = rest - amount if ends else 0
    change = HoldChange(
        hold_id=hold.hold_id,
        account_id=payer.account_id,
        kind=hold.kind,
        state=HoldState.CAPTURED if ends else HoldState.ACTIVE,
        held=-(amount + released),
        captured=amount,
        released=released,
        expires_us=hold.expires_us,
        lots=_release_rest(hold, taken) if ends else (),
    )
    postings = [
        Posting(payer.account_id, payer.unit, -amount, taken),
        Posting(payee.account_id, payee.unit, amount, credited),
    ]
    return Decision(
        command.kind,
        postings,
        (change,),
        natural_key=command.natural_key,
        cause=command.cause,
    )


def _check_capture_route(payer: Account, payee: Account, command: CaptureHold) -> None:
    if command.kind not in CAPTURE_KINDS or payer is payee:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            "a capture is a REDEMPTION or SERVICE_PAYMENT to another account, not"
            f" {command.kind.name} to {payee.account_id}",
            kind=command.kind.name,
        )
    check_unit(payee, payer.unit)
    check_route(command.kind, payer, -command.amount)
    check_route(command.kind, payee, command.amount)


def _take_reserved(hold: Hold, amount: int) -> list[LotChange]:
    changes = []
    for expires_us in sorted(hold.lots):
        taken = min(hold.lots[expires_us], amount)
        changes.append(LotChange(expires_us, -taken, -taken))
        amount -= taken
        if not amount:
            break
    return changes


def _release_rest(hold: Hold, taken: list[LotChange]) -> list[LotChange]:
    used = {change.expires_us: change.reserved for change in taken}
    return [
        LotChange(expires_us, 0, -(reserved + used.get(expires_us, 0)))
        for expires_us, reserved in sorted(hold.lots.items())
        if reserved + used.get(expires_us, 0)
    ]


def decide_void(state: Projections, command: VoidHold, now_us: int) -> Decision:
    """Decides the release of a hold.

    Raises HOLD_NOT_FOUND, ALREADY_CAPTURED, HOLD_RELEASED or HOLD_EXPIRED. A partly captured hold
    ends as CAPTURED.
    """
    hold = find_live_hold(state, command.hold_id, now_us)
    state_after = HoldState.CAPTURED if hold.captured else HoldState.VOIDED
    return Decision(EntryKind.HOLD_VOIDED, hold_changes=(release(hold, state_after),))


def decide_expiry(hold: Hold) -> Decision:
    """Releases a hold at its expiry, with that moment as effective time."""
    state_after = HoldState.CAPTURED if hold.captured else HoldState.EXPIRED
    return Decision(
        EntryKind.HOLD_EXPIRED,
        hold_changes=(release(hold, state_after),),
        effective_us=hold.expires_us,
    )


def release(hold: Hold, state_after: HoldState) -> HoldChange:
    """Gives the change that releases all that a hold still reserves."""
    return HoldChange(
        hold_id=hold.hold_id,
        account_id=hold.account_id,
        kind=hold.kind,
        state=state_after,
        held=-hold.rest,
        captured=0,
        released=hold.rest,
        expires_us=hold.expires_us,
        lots=_release_rest(hold, []),
    )


def find_live_hold(state: Projections, hold_id: str, now_us: int) -> Hold:
    """Finds a hold that can still be resolved.

    Raises HOLD_NOT_FOUND, ALREADY_CAPTURED, HOLD_RELEASED, HOLD_EXPIRED.
    """
    hold = state.holds.get(hold_id)
    if hold is None:
        raise TimebankError(
            Reason.HOLD_NOT_FOUND,
            f"no hold {hold_id} in ledger {state.ledger.ledger_id}",
            hold=hold_id,
        )
    reason = {
        HoldState.CAPTURED: Reason.ALREADY_CAPTURED,
        HoldState.VOIDED: Reason.HOLD_RELEASED,
        HoldState.EXPIRED: Reason.HOLD_EXPIRED,
    }.get(hold.state)
    if reason is None and hold.expires_us <= now_us:
        reason = Reason.HOLD_EXPIRED
    if reason is not None:
        raise TimebankError(
            reason,
            f"hold {hold_id} is {hold.state.name}: it can no longer be captured or voided",
            hold=hold_id,
            state=hold.state.name,
        )
    return hold
