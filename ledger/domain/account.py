"""Accounts and their lots, as the state machine sees them.

Owns what a balance is: posted, held, debt and lots, and which lots a debit takes. The classes are
mutable because the state machine folds thousands of entries a second into them; only
`ledger.domain.fold` writes to them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.domain.hold import Hold
from timebank.units import Unit

NEVER_US = 2**63 - 1
"""Expiry of a lot that never expires, in microseconds."""


class AccountKind(enum.IntEnum):
    """What role an account plays."""

    MEMBER = 1
    ISSUANCE = 2
    POOL = 3
    MERCHANT = 4
    CLEARING = 5
    FUND = 6
    EXPIRED = 7


class AccountState(enum.IntEnum):
    """Whether an account takes debits and credits."""

    ACTIVE = 1
    FROZEN = 2
    CLOSED = 3


class LotChange(NamedTuple):
    """Change of one lot; the expiry names the lot within its account."""

    expires_us: int
    remaining: int
    reserved: int = 0


@dataclass(slots=True)
class Lot:
    """Credits of equal expiry that are still there; `reserved` of them belong to live holds."""

    expires_us: int
    remaining: int
    reserved: int = 0


def bears_lots(kind: AccountKind, unit: Unit) -> bool:
    """Says whether an account keeps lots: members' POINTS do."""
    return kind is AccountKind.MEMBER and unit is Unit.POINTS


@dataclass(slots=True)
class Account:
    """One balance. `no` is the index of the entry that opened it; `changed_index` of the last that
    touched it.
    """

    no: int
    account_id: str
    holder: str
    unit: Unit
    kind: AccountKind
    opened_us: int
    state: AccountState = AccountState.ACTIVE
    min_balance: int | None = 0
    max_balance: int | None = None
    debt_limit: int = 0
    posted: int = 0
    held: int = 0
    debt: int = 0
    changed_index: int = -1
    lots: list[Lot] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    has_lots: bool = False

    def __post_init__(self) -> None:
        self.has_lots = bears_lots(self.kind, self.unit)

    def copy(self) -> Account:
        """Copies the account with its lots and live holds, for a chain that may be rolled back."""
        return Account(
            no=self.no,
            account_id=self.account_id,
            holder=self.holder,
            unit=self.unit,
            kind=self.kind,
            opened_us=self.opened_us,
            state=self.state,
            min_balance=self.min_balance,
            max_balance=self.max_balance,
            debt_limit=self.debt_limit,
            posted=self.posted,
            held=self.held,
            debt=self.debt,
            changed_index=self.changed_index,
            lots=[Lot(lot.expires_us, lot.remaining, lot.reserved) for lot in self.lots],
            holds={hold_id: hold.copy() for hold_id, hold in self.holds.items()},
        )

    def lot_at(self, expires_us: int) -> Lot | None:
        """Finds the lot of an expiry."""
        for lot in self.lots:
            if lot.expires_us == expires_us:
                return lot
        return None

    def change_lot(self, change: LotChange) -> None:
        """Adds a change to its lot, making it or dropping it when nothing is left."""
        lot = self.lot_at(change.expires_us)
        if lot is None:
            lot = Lot(change.expires_us, 0)
            self.lots.append(lot)
            self.lots.sort(key=_expiry)
        lot.remaining += change.remaining
        lot.reserved += change.reserved
        if not lot.remaining and not lot.reserved:
            self.lots.remove(lot)

    def due_us(self) -> int:
        """Gives the earliest moment at which a live hold or an unreserved lot expires."""
        due = NEVER_US
        for lot in self.lots:
            if lot.remaining > lot.reserved:
                due = lot.expires_us
                break
        for hold in self.holds.values():
            due = min(due, hold.expires_us)
        return due


def lapsed(account: Account, now_us: int) -> int:
    """Sums what is free in lots that are past their time: a chain may have refunded into them."""
    return sum(lot.remaining - lot.reserved for lot in account.lots if lot.expires_us <= now_us)


def spendable(account: Account, now_us: int) -> list[Lot]:
    """Gives the lots that are not past their time, next expiry first."""
    if account.lots and account.lots[0].expires_us <= now_us:
        return [lot for lot in account.lots if lot.expires_us > now_us]
    return account.lots


def _expiry(lot: Lot) -> int:
    return lot.expires_us


def take_unreserved(lots: list[Lot], amount: int) -> list[LotChange]:
    """Takes up to `amount` from the unreserved part of lots in the order given."""
    changes = []
    for lot in lots:
        free = lot.remaining - lot.reserved
        if free <= 0:
            continue
        taken = free if free < amount else amount
        changes.append(LotChange(lot.expires_us, -taken))
        amount -= taken
        if not amount:
            break
    return changes


def reserve_unreserved(lots: list[Lot], amount: int) -> list[LotChange]:
    """Reserves up to `amount` of the unreserved part of lots in the order given."""
    return [LotChange(expires, 0, -taken) for expires, taken, _ in take_unreserved(lots, amount)]
