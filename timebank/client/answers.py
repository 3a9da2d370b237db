"""Answers about resources become views.

Owns: the conversions from messages of ledgers, accounts, holds, proofs and results to
`timebank.client.views`. Rules: an empty text reads as None where the contract says "empty: none"; a
number that this client does not know reads as UNKNOWN.
"""

from timebank.client.kinds import (
    AccountKind,
    AccountState,
    HoldKind,
    HoldState,
    kinds_by_number,
)
from timebank.client.times import optional_time, time_from_wire
from timebank.client.views import (
    AccountView,
    Balance,
    ChainResult,
    CheckpointView,
    CommandResult,
    ConsistencyProof,
    HoldView,
    InclusionProof,
    LedgerView,
    LotView,
    PostResult,
)
from timebank.errors import Reason, TimebankError, from_status
from timebank.ledger.v1 import (
    account_pb2,
    command_pb2,
    hold_pb2,
    ledger_pb2,
    ledger_service_pb2,
    log_service_pb2,
)
from timebank.units import Unit

ACCOUNT_KINDS = kinds_by_number(dict(account_pb2.AccountKind.items()), "ACCOUNT_KIND_", AccountKind)
ACCOUNT_STATES = kinds_by_number(dict(account_pb2.Account.State.items()), "STATE_", AccountState)
HOLD_KINDS = kinds_by_number(dict(hold_pb2.HoldKind.items()), "HOLD_KIND_", HoldKind)
HOLD_STATES = kinds_by_number(dict(hold_pb2.Hold.State.items()), "STATE_", HoldState)


def unit_from_wire(number: int) -> Unit:
    """Reads a unit. Raises VALIDATION_FAILED for one that this client does not know."""
    try:
        return Unit(number)
    except ValueError as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"expected a unit from 1 to {max(Unit)}, got {number}; use a newer client",
            field="unit",
        ) from error


def ledger_from_wire(message: ledger_pb2.Ledger) -> LedgerView:
    """Reads a ledger."""
    return LedgerView(
        name=message.name,
        display_name=message.display_name,
        time_zone=message.time_zone,
        log_origin=message.log_origin,
        verifier_keys=tuple(message.verifier_keys),
        opening_closed=message.opening_closed,
        create_time=optional_time(message.create_time),
    )


def account_from_wire(message: account_pb2.Account) -> AccountView:
    """Reads an account."""
    return AccountView(
        name=message.name,
        holder=message.holder,
        unit=unit_from_wire(message.unit),
        kind=ACCOUNT_KINDS.get(message.kind, AccountKind.UNKNOWN),
        state=ACCOUNT_STATES.get(message.state, AccountState.UNKNOWN),
        min_balance=message.min_balance if message.HasField("min_balance") else None,
        max_balance=message.max_balance if message.HasField("max_balance") else None,
        debt_limit=message.debt_limit,
        posted=message.posted,
        held=message.held,
        available=message.available,
        debt=message.debt,
        create_time=optional_time(message.create_time),
        etag=message.etag,
    )


def lot_from_wire(message: account_pb2.Lot) -> LotView:
    """Reads a lot."""
    return LotView(
        expire_time=optional_time(message.expire_time),
        remaining=message.remaining,
        reserved=message.reserved,
    )


def balance_from_wire(message: account_pb2.Balance) -> Balance:
    """Reads a balance."""
    return Balance(
        account=message.account,
        unit=unit_from_wire(message.unit),
        posted=message.posted,
        held=message.held,
        available=message.available,
        debt=message.debt,
        log_size=message.log_size,
        earned_lifetime=message.earned_lifetime,
        earned_this_year=message.earned_this_year,
        expired_pending=message.expired_pending,
    )


def hold_from_wire(message: hold_pb2.Hold) -> HoldView:
    """Reads a hold."""
    return HoldView(
        name=message.name,
        account=message.account,
        kind=HOLD_KINDS.get(message.kind, HoldKind.UNKNOWN),
        state=HOLD_STATES.get(message.state, HoldState.UNKNOWN),
        unit=unit_from_wire(message.unit),
        amount=message.amount,
        captured=message.captured,
        released=message.released,
        expire_time=optional_time(message.expire_time),
        expired_pending=message.expired_pending,
        lots=tuple(lot_from_wire(lot) for lot in message.lots),
        create_time=optional_time(message.create_time),
    )


def command_result_from_wire(message: command_pb2.CommandResult) -> CommandResult:
    """Reads what one command wrote."""
    return CommandResult(
        entry=message.entry,
        index=message.index,
        recorded_time=time_from_wire(message.recorded_time),
        hold=message.hold or None,
        account=message.account or None,
    )


def command_response_from_wire(message: ledger_service_pb2.CommandResponse) -> PostResult:
    """Reads the answer of a method that carries out one command."""
    result = command_result_from_wire(message.result)
    return PostResult(
        entry=result.entry,
        index=result.index,
        recorded_time=result.recorded_time,
        hold=result.hold,
        account=result.account,
        replayed=message.replayed,
        checkpoint=message.checkpoint,
        receipt=message.receipt or None,
    )


def chain_from_wire(
    message: command_pb2.ChainResult, *, checkpoint: str, receipts: tuple[str, ...] = ()
) -> ChainResult:
    """Reads what a chain wrote."""
    return ChainResult(
        results=tuple(command_result_from_wire(result) for result in message.results),
        replayed=message.replayed,
        checkpoint=checkpoint,
        receipts=receipts,
    )


def item_from_wire(
    message: command_pb2.BatchItemResult, *, checkpoint: str
) -> ChainResult | TimebankError:
    """Reads the outcome of one item of a batch: what was written, or why nothing was."""
    if message.WhichOneof("outcome") == "ok":
        return chain_from_wire(message.ok, checkpoint=checkpoint)
    return from_status(message.error)


def checkpoint_from_wire(message: log_service_pb2.Checkpoint) -> CheckpointView:
    """Reads a signed head."""
    return CheckpointView(note=message.note, size=message.size, root=message.root)


def inclusion_from_wire(message: log_service_pb2.InclusionProof) -> InclusionProof:
    """Reads an inclusion proof."""
    return InclusionProof(
        index=message.index,
        tree_size=message.tree_size,
        leaf_hash=message.leaf_hash,
        path=tuple(message.path),
    )


def consistency_from_wire(message: log_service_pb2.ConsistencyProof) -> ConsistencyProof:
    """Reads a consistency proof."""
    return ConsistencyProof(
        first_size=message.first_size,
        second_size=message.second_size,
        path=tuple(message.path),
    )
