"""The movement table: which kinds of account each kind of movement may go from and to, per unit,
and who may ask.

Everything that the table does not name is refused with MOVEMENT_NOT_ALLOWED. HOURS, and any issue
of TIME or POINTS, arise only from records, their corrections, imports and opening balances.
"""

import enum
from typing import NamedTuple

from ledger.domain.account import AccountKind
from ledger.domain.entry import EntryKind
from timebank.units import Unit

MEMBER, ISSUANCE, POOL = AccountKind.MEMBER, AccountKind.ISSUANCE, AccountKind.POOL
MERCHANT, CLEARING, FUND = AccountKind.MERCHANT, AccountKind.CLEARING, AccountKind.FUND
EXPIRED = AccountKind.EXPIRED


class Authority(enum.Enum):
    """By which way a movement may come."""

    POST = "any service may post it"
    OPENING = "an operator may post it until the opening is closed"
    RECORDS = "only a posted record or its correction makes it"
    LEDGER = "only the ledger itself makes it"


class Route(NamedTuple):
    """Kinds of account a unit may leave and enter."""

    debits: frozenset[AccountKind]
    credits: frozenset[AccountKind]


class Movement(NamedTuple):
    """One row of the table."""

    authority: Authority
    routes: dict[Unit, Route]
    reversible: bool = True
    earned: bool = False


def _route(debits: set[AccountKind], credited: set[AccountKind]) -> Route:
    return Route(frozenset(debits), frozenset(credited))


_RECORD_CORRECTION = {
    Unit.HOURS: _route({ISSUANCE, MEMBER}, {ISSUANCE, MEMBER}),
    Unit.TIME: _route({ISSUANCE, MEMBER, POOL}, {ISSUANCE, MEMBER, POOL}),
    Unit.POINTS: _route({ISSUANCE, MEMBER}, {ISSUANCE, MEMBER}),
}

MOVEMENTS: dict[EntryKind, Movement] = {
    EntryKind.OPENING_BALANCE: Movement(
        Authority.OPENING,
        {
            Unit.HOURS: _route({ISSUANCE}, {MEMBER}),
            Unit.TIME: _route({ISSUANCE}, {MEMBER, POOL}),
            Unit.POINTS: _route({ISSUANCE}, {MEMBER, MERCHANT}),
            Unit.FUND: _route({CLEARING}, {FUND, MERCHANT}),
        },
    ),
    EntryKind.IMPORT: Movement(
        Authority.OPENING, {Unit.TIME: _route({MEMBER, POOL}, {MEMBER, POOL})}
    ),
    EntryKind.RECORD_POSTED: Movement(
        Authority.RECORDS,
        {
            Unit.HOURS: _route({ISSUANCE}, {MEMBER}),
            Unit.TIME: _route({ISSUANCE, POOL, MEMBER}, {MEMBER, POOL}),
            Unit.POINTS: _route({ISSUANCE}, {MEMBER}),
        },
        reversible=False,
        earned=True,
    ),
    EntryKind.RECORD_CORRECTED: Movement(
        Authority.RECORDS, _RECORD_CORRECTION, reversible=False, earned=True
    ),
    EntryKind.TRANSFER: Movement(Authority.POST, {Unit.TIME: _route({MEMBER}, {MEMBER})}),
    EntryKind.DONATION: Movement(Authority.POST, {Unit.TIME: _route({MEMBER}, {POOL})}),
    EntryKind.POOL_GRANT: Movement(Authority.POST, {Unit.TIME: _route({POOL}, {MEMBER})}),
    EntryKind.SERVICE_PAYMENT: Movement(
        Authority.POST, {Unit.TIME: _route({MEMBER, POOL}, {MEMBER})}
    ),
    EntryKind.REDEMPTION: Movement(
        Authority.POST,
        {Unit.POINTS: _route({MEMBER}, {MERCHANT}), Unit.TIME: _route({MEMBER}, {MERCHANT})},
    ),
    EntryKind.SETTLEMENT: Movement(
        Authority.POST,
        {
            Unit.POINTS: _route({MERCHANT}, {ISSUANCE}),
            Unit.TIME: _route({MERCHANT}, {ISSUANCE}),
            Unit.FUND: _route({FUND}, {MERCHANT}),
        },
    ),
    EntryKind.FUND_INCOME: Movement(Authority.POST, {Unit.FUND: _route({CLEARING}, {FUND})}),
    EntryKind.FUND_SPENDING: Movement(
        Authority.POST, {Unit.FUND: _route({FUND, MERCHANT}, {CLEARING})}
    ),
    EntryKind.LOT_EXPIRED: Movement(
        Authority.LEDGER,
        {Unit.POINTS: _route({MEMBER}, {EXPIRED}), Unit.TIME: _route({MEMBER}, {EXPIRED})},
        reversible=False,
    ),
    EntryKind.MEMBER_EXPORTED: Movement(
        Authority.RECORDS,
        {Unit.TIME: _route({MEMBER}, {ISSUANCE}), Unit.POINTS: _route({MEMBER}, {ISSUANCE})},
        reversible=False,
    ),
    EntryKind.MEMBER_DIED: Movement(
        Authority.RECORDS,
        {Unit.TIME: _route({MEMBER}, {MEMBER, POOL}), Unit.POINTS: _route({MEMBER}, {EXPIRED})},
        reversible=False,
    ),
    EntryKind.REVERSAL: Movement(Authority.LEDGER, {}, reversible=False),
    EntryKind.REFUND: Movement(Authority.LEDGER, {}, reversible=False),
}

CAPTURE_KINDS = frozenset({EntryKind.REDEMPTION, EntryKind.SERVICE_PAYMENT})
"""Movements that a capture may be."""
HOLD_UNITS = frozenset({Unit.TIME, Unit.POINTS})
"""Units that may be held: HOURS are never spent, FUND is not two-phase."""

SYSTEM_ACCOUNTS: tuple[tuple[AccountKind, Unit], ...] = (
    (ISSUANCE, Unit.HOURS),
    (ISSUANCE, Unit.TIME),
    (ISSUANCE, Unit.POINTS),
    (POOL, Unit.TIME),
    (EXPIRED, Unit.TIME),
    (EXPIRED, Unit.POINTS),
    (FUND, Unit.FUND),
    (CLEARING, Unit.FUND),
)
"""Accounts that every ledger has from the start. FUND money comes from and goes to CLEARING."""
