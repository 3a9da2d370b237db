"""Entries of the log become views.

Owns: the conversion of `LoggedEntry` with everything that an entry states. Rules: ids in an entry
become resource names, as everywhere else in the client; times are those of the leaf, to the
microsecond.
"""

import uuid
from collections.abc import Iterable

from timebank.client.answers import (
    ACCOUNT_KINDS,
    ACCOUNT_STATES,
    HOLD_KINDS,
    HOLD_STATES,
    unit_from_wire,
)
from timebank.client.kinds import (
    AccountKind,
    AccountState,
    EntryKind,
    HoldKind,
    HoldState,
    kinds_by_number,
)
from timebank.client.names import Names
from timebank.client.times import time_from_us
from timebank.client.views import (
    AccountFactView,
    EntryView,
    HoldChangeView,
    LedgerFactView,
    LotChangeView,
    PostingView,
)
from timebank.ledger.v1 import entry_pb2, ledger_service_pb2

_ENTRY_KINDS = kinds_by_number(dict(entry_pb2.EntryKind.items()), "ENTRY_KIND_", EntryKind)


def entry_from_wire(message: ledger_service_pb2.LoggedEntry) -> EntryView:
    """Reads an entry as it stands in the log."""
    entry = message.entry
    names = Names(entry.ledger_id)
    return EntryView(
        name=message.name,
        index=entry.index,
        kind=_ENTRY_KINDS.get(entry.kind, EntryKind.UNKNOWN),
        recorded_time=time_from_us(entry.recorded_time_us),
        effective_time=time_from_us(entry.effective_time_us),
        natural_key=entry.natural_key or None,
        cause=entry.cause or None,
        policy_version=entry.policy_version or None,
        caller=entry.caller or None,
        actor=entry.actor or None,
        request_id=str(uuid.UUID(bytes=entry.request_id)) if entry.request_id else None,
        chain_position=entry.chain_position,
        postings=tuple(_posting(posting, names) for posting in entry.postings),
        hold_changes=tuple(_hold_change(change, names) for change in entry.hold_changes),
        original_index=entry.original_index if entry.HasField("original_index") else None,
        account=_account_fact(entry.account, names) if entry.HasField("account") else None,
        ledger=_ledger_fact(entry.ledger) if entry.HasField("ledger") else None,
        leaf=message.leaf,
    )


def _posting(message: entry_pb2.Posting, names: Names) -> PostingView:
    return PostingView(
        account=names.account(message.account_id),
        unit=unit_from_wire(message.unit),
        amount=message.amount,
        lots=_lots(message.lots),
        earned=message.earned,
    )


def _hold_change(message: entry_pb2.HoldChange, names: Names) -> HoldChangeView:
    return HoldChangeView(
        hold=names.hold(message.hold_id),
        account=names.account(message.account_id),
        kind=HOLD_KINDS.get(message.kind, HoldKind.UNKNOWN),
        state=HOLD_STATES.get(message.state, HoldState.UNKNOWN),
        held=message.held,
        captured=message.captured,
        released=message.released,
        expire_time=time_from_us(message.expire_time_us) if message.expire_time_us else None,
        lots=_lots(message.lots),
    )


def _lots(messages: Iterable[entry_pb2.LotChange]) -> tuple[LotChangeView, ...]:
    return tuple(
        LotChangeView(
            expire_time=time_from_us(lot.expire_time_us) if lot.expire_time_us else None,
            remaining=lot.remaining,
            reserved=lot.reserved,
        )
        for lot in messages
    )


def _account_fact(message: entry_pb2.AccountFact, names: Names) -> AccountFactView:
    return AccountFactView(
        account=names.account(message.account_id),
        holder=message.holder,
        unit=unit_from_wire(message.unit),
        kind=ACCOUNT_KINDS.get(message.kind, AccountKind.UNKNOWN),
        state=ACCOUNT_STATES.get(message.state, AccountState.UNKNOWN),
        min_balance=message.min_balance if message.HasField("min_balance") else None,
        max_balance=message.max_balance if message.HasField("max_balance") else None,
        debt_limit=message.debt_limit,
    )


def _ledger_fact(message: entry_pb2.LedgerFact) -> LedgerFactView:
    return LedgerFactView(
        display_name=message.display_name,
        time_zone=message.time_zone,
        log_origin=message.log_origin,
        verifier_key=message.verifier_key,
    )
