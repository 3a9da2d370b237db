"""The changes that a caller may ask for, in Python words.

Owns: the shape of commands. Refuses: deciding whether the ledger will take them, and messages of
the wire (see `timebank.client.requests`).
Rules: accounts and holds are given by id or by resource name; amounts are ints in their unit; times
are aware; commands of one chain succeed together or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from timebank.client.kinds import AccountKind, EntryKind, HoldKind
from timebank.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One leg of a movement: a positive amount credits the account, a negative one debits it.

    `expire_time` is for credits to accounts with lots; None: never.
    """

    account: str
    unit: Unit
    amount: int
    expire_time: datetime | None = None


def move(
    *, debit: str, credit: str, unit: Unit, amount: int, expire_time: datetime | None = None
) -> tuple[Leg, Leg]:
    """Gives the two legs that move an amount from the debited account to the credited one."""
    return (
        Leg(account=debit, unit=unit, amount=-amount),
        Leg(account=credit, unit=unit, amount=amount, expire_time=expire_time),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Moves amounts between accounts as one entry."""

    kind: EntryKind
    postings: Sequence[Leg]
    effective_time: datetime | None = None
    natural_key: str = ""
    cause: str = ""
    policy_version: str = ""
    memo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateHold:
    """Reserves an amount on an account until `expire_time`."""

    account: str
    kind: HoldKind
    unit: Unit
    amount: int
    expire_time: datetime
    service_time: datetime | None = None
    cause: str = ""
    natural_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureHold:
    """Pays part or all of a hold to an account; `final` releases the rest."""

    hold: str
    to_account: str
    amount: int
    entry_kind: EntryKind
    final: bool = False
    expire_time: datetime | None = None
    cause: str = ""
    natural_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidHold:
    """Releases what a hold still reserves."""

    hold: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Undoes an entry, given by index or name, once."""

    entry: str | int
    memo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Gives part or all of an entry, given by index or name, back into the lots it came from."""

    entry: str | int
    amount: int
    natural_key: str = ""
    memo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """Opens an account; `min_balance` None is the ledger's own default (0 for members)."""

    holder: str
    unit: Unit
    kind: AccountKind = AccountKind.MEMBER
    min_balance: int | None = None
    max_balance: int | None = None
    debt_limit: int = 0
    natural_key: str = ""


Command: TypeAlias = Post | CreateHold | CaptureHold | VoidHold | Reverse | Refund | OpenAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One item of a batch: commands that succeed together, and their request id.

    `request_id` is a UUID; empty: the client makes one.
    """

    commands: Sequence[Command]
    request_id: str = ""
