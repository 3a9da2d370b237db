"""Commands become messages of the contract.

Owns: every conversion from `timebank.client.commands` to the wire, and what an item weighs in a
batch. Refuses: naive times and kinds that the contract does not have. Every other rule is the
server's.
"""

import uuid
from collections.abc import Sequence

from google.protobuf.message import Message

from timebank.client.commands import (
    CaptureHold,
    Command,
    CreateHold,
    Leg,
    OpenAccount,
    Post,
    Refund,
    Reverse,
    VoidHold,
)
from timebank.client.kinds import AccountKind, EntryKind, HoldKind, kind_to_wire
from timebank.client.names import Names
from timebank.client.times import time_to_wire
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import account_pb2, command_pb2, entry_pb2, hold_pb2, ledger_pb2
from timebank.units import Unit

_ENTRY_KINDS = dict(entry_pb2.EntryKind.items())
_ACCOUNT_KINDS = dict(account_pb2.AccountKind.items())
_HOLD_KINDS = dict(hold_pb2.HoldKind.items())


def new_request_id() -> str:
    """Makes the id of a new request: a random UUID."""
    return str(uuid.uuid4())


def entry_kind_to_wire(kind: EntryKind) -> entry_pb2.EntryKind.ValueType:
    """Gives the number of an entry kind."""
    return entry_pb2.EntryKind.ValueType(kind_to_wire(_ENTRY_KINDS, "ENTRY_KIND_", kind))


def account_kind_to_wire(kind: AccountKind) -> account_pb2.AccountKind.ValueType:
    """Gives the number of an account kind."""
    return account_pb2.AccountKind.ValueType(kind_to_wire(_ACCOUNT_KINDS, "ACCOUNT_KIND_", kind))


def hold_kind_to_wire(kind: HoldKind) -> hold_pb2.HoldKind.ValueType:
    """Gives the number of a hold kind."""
    return hold_pb2.HoldKind.ValueType(kind_to_wire(_HOLD_KINDS, "HOLD_KIND_", kind))


def unit_to_wire(unit: Unit) -> ledger_pb2.Unit.ValueType:
    """Gives the number of a unit."""
    return ledger_pb2.Unit.ValueType(int(unit))


def leg_to_wire(leg: Leg, names: Names) -> command_pb2.PostingDraft:
    """Gives the message of one leg."""
    return command_pb2.PostingDraft(
        account=names.account(leg.account),
        unit=unit_to_wire(leg.unit),
        amount=leg.amount,
        expire_time=time_to_wire(leg.expire_time, "expire_time"),
    )


def post_to_wire(post: Post, names: Names) -> command_pb2.PostCommand:
    """Gives the message of a movement."""
    return command_pb2.PostCommand(
        kind=entry_kind_to_wire(post.kind),
        postings=[leg_to_wire(leg, names) for leg in post.postings],
        effective_time=time_to_wire(post.effective_time, "effective_time"),
        natural_key=post.natural_key,
        cause=post.cause,
        policy_version=post.policy_version,
        memo=post.memo,
    )


def create_hold_to_wire(hold: CreateHold, names: Names) -> command_pb2.CreateHoldCommand:
    """Gives the message that creates a hold."""
    return command_pb2.CreateHoldCommand(
        account=names.account(hold.account),
        kind=hold_kind_to_wire(hold.kind),
        unit=unit_to_wire(hold.unit),
        amount=hold.amount,
        expire_time=time_to_wire(hold.expire_time, "expire_time"),
        service_time=time_to_wire(hold.service_time, "service_time"),
        cause=hold.cause,
        natural_key=hold.natural_key,
    )


def capture_hold_to_wire(capture: CaptureHold, names: Names) -> command_pb2.CaptureHoldCommand:
    """Gives the message that pays out of a hold."""
    return command_pb2.CaptureHoldCommand(
        hold=names.hold(capture.hold),
        to_account=names.account(capture.to_account),
        amount=capture.amount,
        final=capture.final,
        entry_kind=entry_kind_to_wire(capture.entry_kind),
        expire_time=time_to_wire(capture.expire_time, "expire_time"),
        cause=capture.cause,
        natural_key=capture.natural_key,
    )


def void_hold_to_wire(void: VoidHold, names: Names) -> command_pb2.VoidHoldCommand:
    """Gives the message that releases a hold."""
    return command_pb2.VoidHoldCommand(hold=names.hold(void.hold))


def reverse_to_wire(reverse: Reverse, names: Names) -> command_pb2.ReverseCommand:
    """Gives the message that undoes an entry."""
    return command_pb2.ReverseCommand(entry=names.entry(reverse.entry), memo=reverse.memo)


def refund_to_wire(refund: Refund, names: Names) -> command_pb2.RefundCommand:
    """Gives the message that gives an entry back."""
    return command_pb2.RefundCommand(
        entry=names.entry(refund.entry),
        amount=refund.amount,
        natural_key=refund.natural_key,
        memo=refund.memo,
    )


def open_account_to_wire(opening: OpenAccount) -> command_pb2.OpenAccountCommand:
    """Gives the message that opens an account."""
    return command_pb2.OpenAccountCommand(
        account=account_pb2.Account(
            holder=opening.holder,
            unit=unit_to_wire(opening.unit),
            kind=account_kind_to_wire(opening.kind),
            min_balance=opening.min_balance,
            max_balance=opening.max_balance,
            debt_limit=opening.debt_limit,
        ),
        natural_key=opening.natural_key,
    )


def command_to_wire(command: Command, names: Names) -> command_pb2.Command:
    """Gives the message of one command. Raises VALIDATION_FAILED for naive times and odd values."""
    try:
        return _wrapped(command, names)
    except (TypeError, ValueError) as error:  # protobuf: a text where an int belongs, over 64 bits
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"{type(command).__name__}: expected values that the contract can carry: {error}",
            field=type(command).__name__,
        ) from error


def item_to_wire(
    commands: Sequence[Command], names: Names, request_id: str
) -> command_pb2.BatchItem:
    """Gives the message of a chain with its request id; an empty id is replaced by a new one."""
    return command_pb2.BatchItem(
        request_id=request_id or new_request_id(),
        commands=[command_to_wire(command, names) for command in commands],
    )


def count_postings(item: command_pb2.BatchItem) -> int:
    """Gives what an item weighs in the server's limit on postings: at least 1 a command."""
    return sum(max(1, len(command.post.postings)) for command in item.commands)


def serialized(message: Message) -> bytes:
    """Gives the bytes of a message, for callers that prepare many requests ahead."""
    return message.SerializeToString()


def _wrapped(command: Command, names: Names) -> command_pb2.Command:
    match command:
        case Post():
            return command_pb2.Command(post=post_to_wire(command, names))
        case CreateHold():
            return command_pb2.Command(create_hold=create_hold_to_wire(command, names))
        case CaptureHold():
            return command_pb2.Command(capture_hold=capture_hold_to_wire(command, names))
        case VoidHold():
            return command_pb2.Command(void_hold=void_hold_to_wire(command, names))
        case Reverse():
            return command_pb2.Command(reverse=reverse_to_wire(command, names))
        case Refund():
            return command_pb2.Command(refund=refund_to_wire(command, names))
        case OpenAccount():
            return command_pb2.Command(open_account=open_account_to_wire(command))
