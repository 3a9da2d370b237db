"""Holds: amounts reserved on an account until captured, voided or expired."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

HOUR_US = 3_600_000_000
TILL_LIFE_US_MAX = 36 * HOUR_US
"""A hold at a till lives at most 36 hours."""
AFTER_SERVICE_US_MAX = 7 * 24 * HOUR_US
"""A hold for a service lives at most 7 days after the service."""


class HoldKind(enum.IntEnum):
    """What a hold is for."""

    TILL = 1
    SERVICE = 2


class HoldState(enum.IntEnum):
    """Life of a hold; every state but ACTIVE is final."""

    ACTIVE = 1
    CAPTURED = 2
    VOIDED = 3
    EXPIRED = 4


@dataclass(slots=True)
class Hold:
    """An amount reserved; `lots` maps an expiry to what the hold still reserves of that lot."""

    hold_id: str
    account_id: str
    kind: HoldKind
    amount: int
    expires_us: int
    created_index: int
    created_us: int
    state: HoldState = HoldState.ACTIVE
    captured: int = 0
    released: int = 0
    lots: dict[int, int] = field(default_factory=dict)

    @property
    def rest(self) -> int:
        """What it still reserves, in the account's unit."""
        return self.amount - self.captured - self.released

    def copy(self) -> Hold:
        """Copies the hold, for a chain that may be rolled back."""
        return Hold(
            self.hold_id,
            self.account_id,
            self.kind,
            self.amount,
            self.expires_us,
            self.created_index,
            self.created_us,
            self.state,
            self.captured,
            self.released,
            dict(self.lots),
        )
