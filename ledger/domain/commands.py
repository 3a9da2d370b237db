"""Commands: what a caller may ask of the ledger, checked on construction as far as no state is
needed.

Owns the rules that a command keeps by itself, and its fingerprint. Times are microseconds since
1970 UTC, amounts are in the unit of the account.
"""

import enum
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger.domain.account import NEVER_US, AccountKind
from ledger.domain.entry import POSTINGS_MAX, POSTINGS_MIN, EntryKind
from ledger.domain.hold import HoldKind
from ledger.domain.hours_commands import NOT_SAID, HoursCommand, SubmitRecord
from ledger.domain.hours_view import Who
from ledger.domain.movements import Authority
from timebank.errors import Reason, TimebankError
from timebank.units import INT64_MAX, INT64_MIN, Unit

CHAIN_COMMANDS_MAX = 64


class PostingDraft(NamedTuple):
    """One leg that a caller asks for: positive credits, negative debits."""

    account_id: str
    unit: Unit
    amount: int
    expires_us: int = NEVER_US


class Post(NamedTuple):
    """Moves amounts between accounts as one entry."""

    kind: EntryKind
    postings: tuple[PostingDraft, ...]
    effective_us: int = 0
    natural_key: str = ""
    cause: str = ""
    policy_version: str = ""
    memo: str = ""


class OpenAccount(NamedTuple):
    """Opens an account."""

    holder: str
    unit: Unit
    kind: AccountKind
    min_balance: int | None = 0
    max_balance: int | None = None
    debt_limit: int = 0
    natural_key: str = ""


class ChangeAccount(NamedTuple):
    """Freezes, unfreezes or closes an account; `etag` 0 does not check."""

    kind: EntryKind
    account_id: str
    etag: int = 0


class SetLimits(NamedTuple):
    """Replaces the limits of an account; `etag` 0 does not check."""

    account_id: str
    min_balance: int | None
    max_balance: int | None
    debt_limit: int
    etag: int = 0


class CreateHold(NamedTuple):
    """Reserves an amount."""

    account_id: str
    kind: HoldKind
    unit: Unit
    amount: int
    expires_us: int
    service_us: int = 0
    cause: str = ""
    natural_key: str = ""


class CaptureHold(NamedTuple):
    """Pays part or all of a hold to an account; hold id `-` is the last hold created in the same
    chain.
    """

    hold_id: str
    to_account_id: str
    amount: int
    final: bool
    kind: EntryKind
    expires_us: int = NEVER_US
    cause: str = ""
    natural_key: str = ""


class VoidHold(NamedTuple):
    """Releases what a hold still reserves."""

    hold_id: str


class Reverse(NamedTuple):
    """Undoes an entry."""

    entry_index: int
    memo: str = ""


class Refund(NamedTuple):
    """Gives part or all of an entry back."""

    entry_index: int
    amount: int
    natural_key: str = ""
    memo: str = ""


class CloseOpening(NamedTuple):
    """Ends opening balances and imports for ever."""


class RotateKey(NamedTuple):
    """Lets another key sign from this entry on."""

    verifier_key: str


class CreateLedger(NamedTuple):
    """Makes entry 0 of a new log and the accounts that every ledger has."""

    display_name: str
    time_zone: str
    log_origin: str
    verifier_key: str


class ExpireDue(NamedTuple):
    """Enters what is due on accounts; the sweeper's command, which has no request id."""

    account_ids: tuple[str, ...]


Command = (
    Post
    | OpenAccount
    | ChangeAccount
    | SetLimits
    | CreateHold
    | CaptureHold
    | VoidHold
    | Reverse
    | Refund
    | CloseOpening
    | RotateKey
    | CreateLedger
    | ExpireDue
    | HoursCommand
)


class Request(NamedTuple):
    """A chain of commands with who asks and by which way.

    `key` is what a replay is found by: 16 bytes for caller and request id; empty without a request
    id.
    """

    caller: str
    request_id: bytes
    key: bytes
    commands: tuple[Command, ...]
    fingerprint: bytes
    actor: str = ""
    authorities: frozenset[Authority] = frozenset({Authority.POST})
    who: Who = Who()


_PLAIN_POST = tuple(Post._field_defaults.values())


def make_request(
    commands: tuple[Command, ...],
    *,
    caller: str,
    request_id: bytes,
    actor: str = "",
    authorities: frozenset[Authority] = frozenset({Authority.POST}),
    who: Who | None = None,
) -> Request:
    """Builds a request with its key and fingerprint."""
    key = request_key(caller, request_id) if request_id else b""
    fingerprint = fingerprint_of(commands)
    return Request(caller, request_id, key, commands, fingerprint, actor, authorities, who or Who())


def request_key(caller: str, request_id: bytes) -> bytes:
    """Hashes caller and request id to 16 bytes."""
    return hashlib.sha256(caller.encode() + b"\0" + request_id).digest()[:16]


def fingerprint_of(commands: Sequence[Command]) -> bytes:
    """Hashes what the commands say: SHA-256 over the type and the fields that are not at their
    defaults, so that a field which a later version adds changes no earlier fingerprint.

    A memo counts only as present or absent; whether it is the same is told by its salted
    commitment.
    """
    return hashlib.sha256(";".join(map(_said, commands)).encode()).digest()


def _said(command: Command) -> str:
    """Writes a command as text; strings are quoted, so that no two commands have one text."""
    if type(command) is Post:
        # Every posting passes here, most of them without any further field.
        legs = ",".join(["%r:%d:%d:%d" % leg for leg in command.postings])  # noqa: UP031  # fastest
        said = f"Post,{command.kind:d},{legs}"
        return said if command[2:] == _PLAIN_POST else said + _named(command, 2)
    if type(command) is SubmitRecord and command.record.content:
        # Its record was hashed when it was read; see `ledger.wire_records`.
        record = command.record
        return f"SubmitRecord,{record.record_id!r},{record.content.hex()},{bool(command.memo)}"
    return type(command).__name__ + _named(command, 0)


def _named(command: Any, first: int) -> str:
    """Writes the fields from `first` on that are not at their defaults, with their names."""
    defaults = command._field_defaults
    return "".join(
        f",{name}={_plain(name, value)!r}"
        for name, value in zip(command._fields[first:], command[first:], strict=True)
        if (name not in defaults or defaults[name] != value) and name not in NOT_SAID
    )


def _plain(name: str, value: object) -> object:
    if name == "memo":
        return True
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__ + _named(value, 0)
    return int(value) if isinstance(value, enum.IntEnum) else value


def check_post(command: Post) -> None:
    """Checks what a posting keeps by itself.

    Raises VALIDATION_FAILED (count, zero, repeated account, expiry on a debit), AMOUNT_OVERFLOW,
    UNBALANCED_ENTRY.
    """
    postings = command.postings
    if not POSTINGS_MIN <= len(postings) <= POSTINGS_MAX:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"postings: expected {POSTINGS_MIN} to {POSTINGS_MAX}, got {len(postings)}",
            field="postings",
        )
    sums: dict[Unit, int] = {}
    seen = set()
    overflown: str | None = None
    for account_id, unit, amount, expires_us in postings:
        if not amount:
            raise _invalid("a posting must move something: amount is 0", account=account_id)
        if not INT64_MIN < amount <= INT64_MAX:
            overflown = account_id
        if account_id in seen:
            raise _invalid(
                f"account {account_id} stands in two postings: give each account one amount",
                account=account_id,
            )
        if amount < 0 and expires_us != NEVER_US:
            raise _invalid(f"account {account_id}: only a credit may expire", account=account_id)
        seen.add(account_id)
        sums[unit] = sums.get(unit, 0) + amount
    if overflown is not None:
        raise TimebankError(
            Reason.AMOUNT_OVERFLOW,
            f"the amount of account {overflown} exceeds 64 bits",
            account=overflown,
        )
    for unit, total in sums.items():
        if total:
            raise TimebankError(
                Reason.UNBALANCED_ENTRY,
                f"postings of {unit.name} must sum to 0, they sum to {total}",
                unit=unit.name,
                sum=total,
            )


def _invalid(message: str, account: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message, field="postings", account=account)
