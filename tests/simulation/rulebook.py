"""The rules of the reference model: what each command does to the books, or why it may not.

Written from the specification, not from the product. The order of refusals is the documented one.
"""

from collections.abc import Callable
from typing import Any

from tests.simulation import asked as q
from tests.simulation.books import Account, Books, Entry, Hold
from tests.simulation.corrections import refund, reverse
from tests.simulation.moves import (
    ACCOUNT_OPENED,
    BEFORE_OPENING_CLOSED,
    CAPTURES,
    DAY_US,
    FROZEN,
    HOLD_CREATED,
    HOLD_VOIDED,
    HOUR_US,
    INT64_MAX,
    LIMITS_CHANGED,
    LOT_EXPIRED,
    OPENING_CLOSED,
    RECORD_ROUTES,
    ROUTES,
    UNFROZEN,
    ZONE_US,
    add_to_lot,
    check_fits,
    check_route,
    demand,
    find_account,
    move,
    take,
)
from tests.support.commands import EXPIRED, HOURS, MEMBER, MERCHANT, POINTS, POOL, SERVICE, TIME

SYSTEM_ACCOUNTS = 8
"""Accounts that a ledger has from its beginning; their numbers are 0 to 7."""


def apply(books: Books, command: q.Command) -> Entry:
    """Changes the books as a command asks and gives its entry. Raises Declined, books spoilt."""
    return _RULES[type(command)](books, command)


def _check_credit(books: Books, leg: q.Leg) -> int:
    """Checks a credit and gives the expiry of its lot."""
    account = books.accounts[leg.account]
    after = account.posted + leg.amount
    demand(account.maximum is None or after <= account.maximum, "LIMIT_EXCEEDED")
    check_fits(after)
    if not leg.expires_us:
        return q.NEVER
    demand(account.has_lots, "VALIDATION_FAILED")
    demand(leg.expires_us > books.now_us, "VALIDATION_FAILED")
    return -(-(leg.expires_us + ZONE_US) // DAY_US) * DAY_US - ZONE_US


def _credit(books: Books, leg: q.Leg, expiry: int) -> dict[int, int]:
    account = books.accounts[leg.account]
    made = leg.amount - min(account.debt, leg.amount)
    lots = {expiry: made} if account.has_lots and made else {}
    move(books, leg.account, leg.amount, lots)
    return lots


def _debit(books: Books, number: int, amount: int) -> dict[int, int]:
    account = books.accounts[number]
    if account.minimum is not None:
        demand(books.spendable(number) - amount >= account.minimum, "INSUFFICIENT_BALANCE")
    check_fits(account.posted - amount)
    lots = take(books.fresh_lots(number), amount) if account.has_lots else {}
    move(books, number, -amount, lots)
    return lots


def _post(books: Books, command: q.Post) -> Entry:
    known = command.kind in ROUTES or (books.posts_records and command.kind in RECORD_ROUTES)
    demand(known, "MOVEMENT_NOT_ALLOWED")
    if command.kind in BEFORE_OPENING_CLOSED:
        demand(not books.opening_closed, "OPENING_CLOSED")
    demand(command.effective_us <= books.now_us, "VALIDATION_FAILED")
    accounts = [find_account(books, leg.account) for leg in command.legs]
    for account, leg in zip(accounts, command.legs, strict=True):
        demand(account.unit == leg.unit, "MOVEMENT_NOT_ALLOWED")
        check_route(command.kind, account, leg.amount)
    for account, leg in zip(accounts, command.legs, strict=True):
        demand(account.state != "CLOSED", "ACCOUNT_CLOSED")
        demand(leg.amount > 0 or account.state != "FROZEN", "ACCOUNT_FROZEN")
    entry = Entry(command.kind, 0)
    for leg in command.legs:
        if leg.amount > 0:
            lots = _credit(books, leg, _check_credit(books, leg))
        else:
            lots = _debit(books, leg.account, -leg.amount)
        entry.legs.append((leg.account, leg.amount, lots))
    return entry


def _open(books: Books, command: q.Open) -> Entry:
    demand(command.kind in (MEMBER, MERCHANT, POOL), "VALIDATION_FAILED")
    minimum = command.minimum
    if minimum is None and not (command.kind == MERCHANT and command.unit in (TIME, POINTS)):
        minimum = 0
    account = Account(command.unit, command.kind, minimum, command.maximum, command.debt_limit)
    _check_limits(account)
    number = len(books.accounts)
    books.accounts[number] = account
    return Entry(ACCOUNT_OPENED, 0, opened=number)


def _check_limits(account: Account) -> None:
    minimum, maximum = account.minimum, account.maximum
    demand(account.kind != MEMBER or minimum is not None, "VALIDATION_FAILED")
    demand(minimum is None or minimum <= 0, "VALIDATION_FAILED")
    if account.has_lots or account.unit == HOURS:
        demand(minimum == 0, "VALIDATION_FAILED")
    demand(maximum is None or maximum >= 0, "VALIDATION_FAILED")


def _named(books: Books, number: int, etag: int) -> Account:
    account = find_account(books, number)
    demand(etag in (-1, account.changed_index), "ETAG_MISMATCH")
    demand(account.state != "CLOSED", "ACCOUNT_CLOSED")
    return account


def _change(books: Books, command: q.Change) -> Entry:
    account = _named(books, command.account, command.etag)
    if command.kind == FROZEN:
        demand(account.state != "FROZEN", "ACCOUNT_FROZEN")
        account.state = "FROZEN"
    elif command.kind == UNFROZEN:
        demand(account.state == "FROZEN", "ACCOUNT_NOT_FROZEN")
        account.state = "ACTIVE"
    else:
        demand(command.account >= SYSTEM_ACCOUNTS, "VALIDATION_FAILED")
        empty = not account.posted or account.unit == HOURS
        held = books.held(command.account)
        demand(empty and not held and not account.debt, "ACCOUNT_NOT_EMPTY")
        account.state = "CLOSED"
    return Entry(command.kind, 0, opened=command.account)


def _limits(books: Books, command: q.Limits) -> Entry:
    account = _named(books, command.account, command.etag)
    account.minimum, account.maximum = command.minimum, command.maximum
    account.debt_limit = command.debt_limit
    _check_limits(account)
    return Entry(LIMITS_CHANGED, 0, opened=command.account)


def _hold(books: Books, command: q.Hold) -> Entry:
    account = find_account(books, command.account)
    demand(account.unit == command.unit, "MOVEMENT_NOT_ALLOWED")
    routes = [ROUTES[kind].get(account.unit) for kind in CAPTURES]
    payable = any(route is not None and account.kind in route[0] for route in routes)
    demand(payable and account.unit in (TIME, POINTS), "MOVEMENT_NOT_ALLOWED")
    demand(command.kind != SERVICE or account.unit == TIME, "MOVEMENT_NOT_ALLOWED")
    demand(account.state != "CLOSED", "ACCOUNT_CLOSED")
    demand(account.state != "FROZEN", "ACCOUNT_FROZEN")
    demand(command.expires_us > books.now_us, "VALIDATION_FAILED")
    latest_us = books.now_us + 36 * HOUR_US
    if command.kind == SERVICE:
        latest_us = command.service_us + 7 * DAY_US
    demand(command.expires_us <= latest_us, "LIMIT_EXCEEDED")
    if account.minimum is not None:
        left = books.spendable(command.account) - command.amount
        demand(left >= account.minimum, "INSUFFICIENT_BALANCE")
    demand(books.held(command.account) + command.amount <= INT64_MAX, "AMOUNT_OVERFLOW")
    hold = Hold(command.account, command.amount, command.expires_us)
    if account.has_lots:
        taken = take(books.fresh_lots(command.account), command.amount)
        hold.lots = {expiry: -part for expiry, part in taken.items()}
    number = len(books.holds)
    books.holds[number] = hold
    return Entry(HOLD_CREATED, 0, hold=number)


def _live(books: Books, number: int) -> Hold:
    demand(number in books.holds, "HOLD_NOT_FOUND")
    hold = books.holds[number]
    demand(hold.state != "CAPTURED", "ALREADY_CAPTURED")
    demand(hold.state != "VOIDED", "HOLD_RELEASED")
    demand(hold.state != "EXPIRED" and hold.expires_us > books.now_us, "HOLD_EXPIRED")
    return hold


def _capture(books: Books, command: q.Capture) -> Entry:
    hold = _live(books, command.hold)
    demand(command.amount <= hold.rest, "AMOUNT_EXCEEDS_HOLD")
    payer, payee = books.accounts[hold.account], find_account(books, command.to_account)
    demand(command.kind in CAPTURES and payer is not payee, "MOVEMENT_NOT_ALLOWED")
    demand(payer.unit == payee.unit, "MOVEMENT_NOT_ALLOWED")
    check_route(command.kind, payer, -command.amount)
    check_route(command.kind, payee, command.amount)
    demand("CLOSED" not in (payer.state, payee.state), "ACCOUNT_CLOSED")
    check_fits(payer.posted - command.amount)
    leg = q.Leg(command.to_account, payee.unit, command.amount, command.expires_us)
    expiry = _check_credit(books, leg)
    taken = take(sorted(hold.lots.items()), command.amount)
    for lot, part in taken.items():
        add_to_lot(hold.lots, lot, part)
    hold.captured += command.amount
    if command.final or not hold.rest:
        end_hold(books, command.hold, "CAPTURED", HOLD_VOIDED)
    move(books, hold.account, -command.amount, taken)
    entry = Entry(command.kind, 0, hold=command.hold)
    entry.legs.append((hold.account, -command.amount, taken))
    entry.legs.append((command.to_account, command.amount, _credit(books, leg, expiry)))
    return entry


def end_hold(books: Books, number: int, state: str, kind: int) -> Entry:
    """Releases all that a hold still reserves; one that paid something ends as captured."""
    hold = books.holds[number]
    hold.state = "CAPTURED" if hold.captured else state
    hold.released += hold.rest
    hold.lots = {}
    return Entry(kind, 0, hold=number)


def _void(books: Books, command: q.Void) -> Entry:
    _live(books, command.hold)
    return end_hold(books, command.hold, "VOIDED", HOLD_VOIDED)


def expire_lot(books: Books, number: int, expiry: int, free: int) -> Entry:
    """Moves the unreserved rest of a lot to the account of what expired."""
    unit = books.accounts[number].unit
    kinds = {(a.kind, a.unit): key for key, a in books.accounts.items()}
    sink = kinds[EXPIRED, unit]
    move(books, number, -free, {expiry: -free})
    move(books, sink, free, {})
    return Entry(LOT_EXPIRED, 0, [(number, -free, {expiry: -free}), (sink, free, {})])


def _close_opening(books: Books, command: q.CloseOpening) -> Entry:
    demand(not books.opening_closed, "OPENING_CLOSED")
    books.opening_closed = True
    return Entry(OPENING_CLOSED, 0)


_RULES: dict[type, Callable[[Books, Any], Entry]] = {
    q.Post: _post,
    q.Open: _open,
    q.Change: _change,
    q.Limits: _limits,
    q.Hold: _hold,
    q.Capture: _capture,
    q.Void: _void,
    q.Reverse: reverse,
    q.Refund: refund,
    q.CloseOpening: _close_opening,
}
