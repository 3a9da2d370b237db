"""Messages to domain values and back: the only place where requests are validated.

Violations answer VALIDATION_FAILED with every field at once; what needs the state is decided by the
book.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain import commands as c
from ledger.domain.account import NEVER_US, Account, AccountKind, AccountState, Lot
from ledger.domain.calendar import zone_of
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.fold import LedgerState
from ledger.domain.hold import Hold, HoldKind
from ledger.domain.movements import MOVEMENTS
from ledger.names import (
    LEDGER_ID,
    child_from_name,
    index_from_name,
    invalid,
    is_id,
    us_from_wire,
    us_to_wire,
)
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import (
    account_pb2,
    command_pb2,
    hold_pb2,
    ledger_pb2,
)
from timebank.units import INT64_MAX, Unit

E = TypeVar("E")
KEY_LENGTH_MAX = 128
VERSION_LENGTH_MAX = 64
MEMO_LENGTH_MAX = 2_000
HOLDER_LENGTH_MAX = 64
DISPLAY_NAME_LENGTH_MAX = 200
_HOLDER = re.compile(r"[\x21-\x7e]{1,64}")
_ORIGIN = re.compile(r"[\x21-\x2a\x2c-\x7e]{1,100}")
_UNITS = {int(unit): unit for unit in Unit}
_ENTRY_KINDS = {int(kind): kind for kind in EntryKind}
_MOVEMENT_KINDS = {int(kind): kind for kind in MOVEMENTS}
_ACCOUNT_KINDS = {int(kind): kind for kind in AccountKind}
_HOLD_KINDS = {int(kind): kind for kind in HoldKind}


class CommandReader:
    """Reads commands for one ledger; names of accounts of other ledgers are refused."""

    def __init__(self, ledger_id: str) -> None:
        self.ledger_id = ledger_id
        self._accounts = f"ledgers/{ledger_id}/accounts/"

    def commands_from_wire(self, messages: Iterable[command_pb2.Command]) -> tuple[c.Command, ...]:
        """Reads a chain. Raises VALIDATION_FAILED, BATCH_TOO_LARGE and what its commands raise."""
        commands = tuple(self._command_from_wire(message) for message in messages)
        if not commands:
            raise invalid("commands", "expected at least one command")
        if len(commands) > c.CHAIN_COMMANDS_MAX:
            raise TimebankError(
                Reason.BATCH_TOO_LARGE,
                f"a chain has at most {c.CHAIN_COMMANDS_MAX} commands, got {len(commands)}",
            )
        return commands

    def _command_from_wire(self, message: command_pb2.Command) -> c.Command:
        which = message.WhichOneof("command")
        if which == "post":
            return self.post_from_wire(message.post)
        reader = _READERS.get(which or "")
        if reader is None:
            raise invalid(
                "commands", "a command is empty or of a kind that this server does not know"
            )
        return reader(self, getattr(message, which or ""))

    def post_from_wire(self, message: command_pb2.PostCommand) -> c.Post:
        """Reads a movement."""
        kind = _MOVEMENT_KINDS.get(message.kind)
        if kind is None:
            raise invalid("kind", f"expected a movement, got entry kind {message.kind}")
        prefix = self._accounts
        skip = len(prefix)
        drafts = []
        for posting in message.postings:
            name = posting.account
            unit = _UNITS.get(posting.unit)
            account_id = name[skip:]
            if unit is None or not name.startswith(prefix) or not is_id(account_id):
                self._refuse_posting(posting)
            expires_us = (
                us_from_wire(posting.expire_time, "expire_time")
                if posting.HasField("expire_time")
                else NEVER_US
            )
            drafts.append(c.PostingDraft(account_id, unit, posting.amount, expires_us))  # type: ignore[arg-type]  # None was refused
        effective_us = 0
        if message.HasField("effective_time"):
            effective_us = us_from_wire(message.effective_time, "effective_time")
        natural_key, cause, version, memo = (
            message.natural_key,
            message.cause,
            message.policy_version,
            message.memo,
        )
        if natural_key or cause or version or memo:
            _check_texts(natural_key, cause, version, memo)
        command = c.Post(kind, tuple(drafts), effective_us, natural_key, cause, version, memo)
        c.check_post(command)
        return command

    def _refuse_posting(self, posting: command_pb2.PostingDraft) -> None:
        self.account_from_name(posting.account, "postings.account")
        raise invalid("postings.unit", f"expected HOURS, TIME, POINTS or FUND, got {posting.unit}")

    def account_from_name(self, name: str, field: str) -> str:
        """Takes the account id out of a name of this ledger. Raises VALIDATION_FAILED."""
        ledger_id, account_id = child_from_name(name, "accounts", field)
        if ledger_id != self.ledger_id:
            raise invalid(field, f"expected an account of ledger {self.ledger_id}, got {ledger_id}")
        return account_id

    def _hold_from_name(self, name: str, field: str) -> str:
        ledger_id, hold_id = child_from_name(name, "holds", field)
        if ledger_id != self.ledger_id:
            raise invalid(field, f"expected a hold of ledger {self.ledger_id}, got {ledger_id}")
        return hold_id

    def _entry_from_name(self, name: str) -> int:
        ledger_id, index = index_from_name(name, "entry")
        if ledger_id != self.ledger_id:
            raise invalid("entry", f"expected an entry of ledger {self.ledger_id}, got {ledger_id}")
        return index

    def create_hold_from_wire(self, message: command_pb2.CreateHoldCommand) -> c.CreateHold:
        """Reads a hold to create."""
        kind = _known(_HOLD_KINDS, message.kind, "kind")
        service_us = 0
        if message.HasField("service_time"):
            service_us = us_from_wire(message.service_time, "service_time")
        if (kind is HoldKind.SERVICE) != bool(service_us):
            raise invalid("service_time", "required for SERVICE holds, refused for others")
        _check_texts(message.natural_key, message.cause, "", "")
        return c.CreateHold(
            account_id=self.account_from_name(message.account, "account"),
            kind=kind,
            unit=_known(_UNITS, message.unit, "unit"),
            amount=_positive(message.amount),
            expires_us=us_from_wire(message.expire_time, "expire_time"),
            service_us=service_us,
            cause=message.cause,
            natural_key=message.natural_key,
        )

    def capture_hold_from_wire(self, message: command_pb2.CaptureHoldCommand) -> c.CaptureHold:
        """Reads a capture."""
        expires_us = NEVER_US
        if message.HasField("expire_time"):
            expires_us = us_from_wire(message.expire_time, "expire_time")
        _check_texts(message.natural_key, message.cause, "", "")
        return c.CaptureHold(
            hold_id=self._hold_from_name(message.hold, "hold"),
            to_account_id=self.account_from_name(message.to_account, "to_account"),
            amount=_positive(message.amount),
            final=message.final,
            kind=_known(_MOVEMENT_KINDS, message.entry_kind, "entry_kind"),
            expires_us=expires_us,
            cause=message.cause,
            natural_key=message.natural_key,
        )

    def void_hold_from_wire(self, message: command_pb2.VoidHoldCommand) -> c.VoidHold:
        """Reads a release."""
        return c.VoidHold(self._hold_from_name(message.hold, "hold"))

    def reverse_from_wire(self, message: command_pb2.ReverseCommand) -> c.Reverse:
        """Reads a reversal."""
        _check_texts("", "", "", message.memo)
        return c.Reverse(self._entry_from_name(message.entry), message.memo)

    def refund_from_wire(self, message: command_pb2.RefundCommand) -> c.Refund:
        """Reads a refund."""
        _check_texts(message.natural_key, "", "", message.memo)
        return c.Refund(
            self._entry_from_name(message.entry),
            _positive(message.amount),
            message.natural_key,
            message.memo,
        )

    def open_account_from_wire(self, message: command_pb2.OpenAccountCommand) -> c.OpenAccount:
        """Reads an account to open."""
        account = message.account
        if not _HOLDER.fullmatch(account.holder):
            raise invalid(
                "account.holder", f"expected 1 to {HOLDER_LENGTH_MAX} visible ASCII characters"
            )
        _check_texts(message.natural_key, "", "", "")
        return c.OpenAccount(
            holder=account.holder,
            unit=_known(_UNITS, account.unit, "account.unit"),
            kind=_known(_ACCOUNT_KINDS, account.kind, "account.kind"),
            min_balance=_lower_bound(account),
            max_balance=account.max_balance if account.HasField("max_balance") else None,
            debt_limit=debt_limit_from_wire(account.debt_limit),
            natural_key=message.natural_key,
        )


_READERS: dict[str, Callable[[CommandReader, Any], c.Command]] = {
    "create_hold": CommandReader.create_hold_from_wire,
    "capture_hold": CommandReader.capture_hold_from_wire,
    "void_hold": CommandReader.void_hold_from_wire,
    "reverse": CommandReader.reverse_from_wire,
    "refund": CommandReader.refund_from_wire,
    "open_account": CommandReader.open_account_from_wire,
}


def _lower_bound(account: account_pb2.Account) -> int | None:
    if account.HasField("min_balance"):
        return account.min_balance
    # What was paid to a merchant may be refunded after it was settled: its account may go below 0,
    # but not that of its money.
    spent_there = int(account.unit) in (Unit.POINTS, Unit.TIME)
    return None if int(account.kind) == AccountKind.MERCHANT and spent_there else 0


def debt_limit_from_wire(amount: int) -> int:
    """Reads a debt limit. Raises VALIDATION_FAILED below 0."""
    if amount < 0:
        raise invalid("debt_limit", f"expected 0 or more, got {amount}")
    return amount


def _known(values: dict[int, E], number: int, field: str) -> E:
    value = values.get(number)
    if value is None:
        raise invalid(field, f"expected a value of the contract, got {number}")
    return value


def _positive(amount: int) -> int:
    if not 0 < amount <= INT64_MAX:
        raise invalid("amount", f"expected 1 or more, got {amount}")
    return amount


def _check_texts(natural_key: str, cause: str, version: str, memo: str) -> None:
    violations = [
        (field, f"expected at most {limit} characters without control characters")
        for field, text, limit in (
            ("natural_key", natural_key, KEY_LENGTH_MAX),
            ("cause", cause, KEY_LENGTH_MAX),
            ("policy_version", version, VERSION_LENGTH_MAX),
        )
        if len(text) > limit or not text.isprintable()
    ]
    if len(memo) > MEMO_LENGTH_MAX or "\0" in memo:
        violations.append(
            ("memo", f"expected at most {MEMO_LENGTH_MAX} characters, none of them NUL")
        )
    if violations:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "; ".join(f"{field}: {text}" for field, text in violations),
            violations=violations,
            field=violations[0][0],
        )


def ledger_from_wire(ledger_id: str, message: ledger_pb2.Ledger) -> c.CreateLedger:
    """Reads a ledger to create; its verifier key is not known yet. Raises VALIDATION_FAILED."""
    if not LEDGER_ID.fullmatch(ledger_id):
        raise invalid("ledger_id", "expected 2 to 40 characters of a-z, 0-9 and -, first a letter")
    name = message.display_name
    if not 0 < len(name) <= DISPLAY_NAME_LENGTH_MAX or not name.isprintable():
        raise invalid("ledger.display_name", f"expected 1 to {DISPLAY_NAME_LENGTH_MAX} characters")
    if not _ORIGIN.fullmatch(message.log_origin):
        raise invalid("ledger.log_origin", "expected 1 to 100 visible ASCII characters without +")
    zone_of(message.time_zone)
    return c.CreateLedger(name, message.time_zone, message.log_origin, "")


def ledger_to_wire(state: LedgerState) -> ledger_pb2.Ledger:
    """Writes a ledger."""
    return ledger_pb2.Ledger(
        name=f"ledgers/{state.ledger_id}",
        display_name=state.display_name,
        time_zone=state.time_zone,
        log_origin=state.log_origin,
        verifier_keys=state.verifier_keys,
        opening_closed=state.opening_closed,
        create_time=us_to_wire(state.created_us),
    )


def account_to_wire(ledger_id: str, account: Account) -> account_pb2.Account:
    """Writes an account."""
    return account_pb2.Account(
        name=f"ledgers/{ledger_id}/accounts/{account.account_id}",
        holder=account.holder,
        unit=account.unit,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        kind=account.kind,  # type: ignore[arg-type]  # likewise
        state=AccountState(account.state),  # type: ignore[arg-type]  # likewise
        min_balance=account.min_balance,
        max_balance=account.max_balance,
        debt_limit=account.debt_limit,
        posted=account.posted,
        held=account.held,
        available=account.posted - account.held,
        debt=account.debt,
        create_time=us_to_wire(account.opened_us),
        etag=str(account.changed_index),
    )


def etag_from_wire(etag: str) -> int:
    """Reads an etag; 0 when none is given. Raises VALIDATION_FAILED for one that we never gave."""
    if not etag:
        return 0
    if not (etag.isascii() and etag.isdigit()) or len(etag) > 18:
        raise invalid("etag", "expected the etag of the account as it was read")
    return int(etag)


def lot_to_wire(lot: Lot) -> account_pb2.Lot:
    """Writes a lot."""
    expires = None if lot.expires_us == NEVER_US else us_to_wire(lot.expires_us)
    return account_pb2.Lot(expire_time=expires, remaining=lot.remaining, reserved=lot.reserved)


def hold_to_wire(ledger_id: str, hold: Hold, unit: Unit, now_us: int) -> hold_pb2.Hold:
    """Writes a hold as of a time."""
    lots = [
        Lot(expires_us, reserved, reserved) for expires_us, reserved in sorted(hold.lots.items())
    ]
    return hold_pb2.Hold(
        name=f"ledgers/{ledger_id}/holds/{hold.hold_id}",
        account=f"ledgers/{ledger_id}/accounts/{hold.account_id}",
        kind=hold.kind,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        state=hold.state,  # type: ignore[arg-type]  # likewise
        unit=unit,  # type: ignore[arg-type]  # likewise
        amount=hold.amount,
        captured=hold.captured,
        released=hold.released,
        expire_time=us_to_wire(hold.expires_us),
        expired_pending=bool(hold.rest) and hold.state == 1 and hold.expires_us <= now_us,
        lots=[lot_to_wire(lot) for lot in lots],
        create_time=us_to_wire(hold.created_us),
    )


def result_to_wire(ledger_id: str, entry: Entry) -> command_pb2.CommandResult:
    """Writes what a command wrote."""
    seconds, us = divmod(entry.recorded_us, 1_000_000)
    result = command_pb2.CommandResult(
        entry=f"ledgers/{ledger_id}/entries/{entry.log_index}",
        index=entry.log_index,
        recorded_time=Timestamp(seconds=seconds, nanos=us * 1_000),
    )
    if entry.hold_changes:
        result.hold = f"ledgers/{ledger_id}/holds/{entry.hold_changes[0].hold_id}"
    if entry.account is not None:
        result.account = f"ledgers/{ledger_id}/accounts/{entry.account.account_id}"
    return result
