"""What every rule of the reference model uses: the movement table, refusals, and moving amounts.

Also what is wrong with a command whatever the books say.
"""

from collections.abc import Sequence
from typing import Any

from tests.simulation import asked as q
from tests.simulation.books import Account, Books
from tests.support.commands import (
    CLEARING,
    FUND,
    FUND_KIND,
    HOURS,
    ISSUANCE,
    MEMBER,
    MERCHANT,
    POINTS,
    POOL,
    SERVICE,
    TIME,
)

LEDGER_CREATED, OPENING_CLOSED, ACCOUNT_OPENED = 1, 2, 4
FROZEN, UNFROZEN, CLOSED, LIMITS_CHANGED = 5, 6, 7, 8
HOLD_CREATED, HOLD_VOIDED, HOLD_EXPIRED = 9, 10, 11
OPENING_BALANCE, IMPORT, TRANSFER, DONATION, POOL_GRANT = 20, 21, 24, 25, 26
SERVICE_PAYMENT, REDEMPTION, SETTLEMENT, FUND_INCOME, FUND_SPENDING = 27, 28, 29, 30, 31
LOT_EXPIRED, REVERSAL, REFUND = 32, 33, 34
INT64_MAX = 2**63 - 1
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
ZONE_US = 8 * HOUR_US

ROUTES: dict[int, dict[int, tuple[set[int], set[int]]]] = {
    OPENING_BALANCE: {
        HOURS: ({ISSUANCE}, {MEMBER}),
        TIME: ({ISSUANCE}, {MEMBER, POOL}),
        POINTS: ({ISSUANCE}, {MEMBER, MERCHANT}),
        FUND: ({CLEARING}, {FUND_KIND, MERCHANT}),
    },
    IMPORT: {TIME: ({MEMBER, POOL}, {MEMBER, POOL})},
    TRANSFER: {TIME: ({MEMBER}, {MEMBER})},
    DONATION: {TIME: ({MEMBER}, {POOL})},
    POOL_GRANT: {TIME: ({POOL}, {MEMBER})},
    SERVICE_PAYMENT: {TIME: ({MEMBER, POOL}, {MEMBER})},
    REDEMPTION: {POINTS: ({MEMBER}, {MERCHANT}), TIME: ({MEMBER}, {MERCHANT})},
    SETTLEMENT: {
        POINTS: ({MERCHANT}, {ISSUANCE}),
        TIME: ({MERCHANT}, {ISSUANCE}),
        FUND: ({FUND_KIND}, {MERCHANT}),
    },
    FUND_INCOME: {FUND: ({CLEARING}, {FUND_KIND})},
    FUND_SPENDING: {FUND: ({FUND_KIND, MERCHANT}, {CLEARING})},
}
RECORD_POSTED, RECORD_CORRECTED = 22, 23
RECORD_ROUTES: dict[int, dict[int, tuple[set[int], set[int]]]] = {
    RECORD_POSTED: {
        HOURS: ({ISSUANCE}, {MEMBER}),
        TIME: ({ISSUANCE, POOL, MEMBER}, {MEMBER, POOL}),
        POINTS: ({ISSUANCE}, {MEMBER}),
    },
    RECORD_CORRECTED: {
        HOURS: ({ISSUANCE, MEMBER}, {ISSUANCE, MEMBER}),
        TIME: ({ISSUANCE, MEMBER, POOL}, {ISSUANCE, MEMBER, POOL}),
        POINTS: ({ISSUANCE, MEMBER}, {ISSUANCE, MEMBER}),
    },
}
"""What only a posted record or its correction may move; neither can be reversed or refunded."""
BEFORE_OPENING_CLOSED = {OPENING_BALANCE, IMPORT}
CAPTURES = {REDEMPTION, SERVICE_PAYMENT}


class Declined(Exception):
    """The books refuse."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def demand(met: bool, reason: str) -> None:
    if not met:
        raise Declined(reason)


def malformed(command: q.Command) -> str:
    """Gives the reason why a command is wrong by itself, whatever the books say."""
    if isinstance(command, q.Hold | q.Capture | q.Refund) and command.amount < 1:
        return "VALIDATION_FAILED"
    if isinstance(command, q.Hold) and (command.kind == SERVICE) != bool(command.service_us):
        return "VALIDATION_FAILED"
    if not isinstance(command, q.Post):
        return ""
    if not 2 <= len(command.legs) <= 64 or command.kind < OPENING_BALANCE:
        return "VALIDATION_FAILED"
    seen: set[int] = set()
    for leg in command.legs:
        if not leg.amount:
            return "VALIDATION_FAILED"
        if leg.account in seen or (leg.amount < 0 and leg.expires_us):
            return "VALIDATION_FAILED"
        seen.add(leg.account)
    if any(abs(leg.amount) > INT64_MAX for leg in command.legs):
        return "AMOUNT_OVERFLOW"
    units = {leg.unit for leg in command.legs}
    balanced = all(sum(x.amount for x in command.legs if x.unit == unit) == 0 for unit in units)
    return "" if balanced else "UNBALANCED_ENTRY"


def natural_key(command: q.Command) -> tuple[int, str] | None:
    """Gives the kind of entry and the key under which a command may be written once."""
    key: str = getattr(command, "natural_key", "")
    if not key:
        return None
    fixed = {q.Open: ACCOUNT_OPENED, q.Hold: HOLD_CREATED, q.Refund: REFUND}
    return fixed.get(type(command)) or command.kind, key  # type: ignore[union-attr]  # the others have a kind


def without_memos(commands: Sequence[q.Command]) -> list[Any]:
    """Leaves of a memo only whether there is one."""
    return [
        (type(item), *(bool(x) if name == "memo" else x for name, x in item._asdict().items()))
        for item in commands
    ]


def find_account(books: Books, number: int) -> Account:
    demand(number in books.accounts, "ACCOUNT_NOT_FOUND")
    return books.accounts[number]


def check_route(kind: int, account: Account, amount: int) -> None:
    route = (ROUTES | RECORD_ROUTES)[kind].get(account.unit)
    allowed = route is not None and account.kind in route[0 if amount < 0 else 1]
    demand(allowed, "MOVEMENT_NOT_ALLOWED")


def check_fits(posted: int) -> None:
    demand(-INT64_MAX <= posted <= INT64_MAX, "AMOUNT_OVERFLOW")


def add_to_lot(lots: dict[int, int], expiry: int, amount: int) -> None:
    lots[expiry] = lots.get(expiry, 0) + amount
    if not lots[expiry]:
        del lots[expiry]


def move(books: Books, number: int, amount: int, lots: dict[int, int]) -> None:
    """Changes a balance and its lots; what lots do not show becomes debt, or repays it."""
    account = books.accounts[number]
    account.posted += amount
    if account.has_lots:
        for expiry, change in lots.items():
            add_to_lot(account.lots, expiry, change)
        account.debt += sum(lots.values()) - amount


def take(free: list[tuple[int, int]], amount: int) -> dict[int, int]:
    """Takes up to an amount from lots in the order given."""
    lots: dict[int, int] = {}
    for expiry, left in free:
        part = min(left, amount - sum(-x for x in lots.values()))
        if part > 0:
            lots[expiry] = lots.get(expiry, 0) - part
    return lots
