"""The bytes of an entry: the one place where a leaf is encoded, and read again.

A leaf is serialised once, stored verbatim, hashed, served and exported verbatim; protobuf is not
canonical across implementations, so nobody re-serialises it.
"""

from ledger.domain.account import NEVER_US, AccountKind, AccountState, LotChange
from ledger.domain.entry import (
    AccountFact,
    Entry,
    EntryKind,
    HoldChange,
    LedgerFact,
    Posting,
)
from ledger.domain.hold import HoldKind, HoldState
from ledger.leaf_facts import (
    Fields,
    facts_from_message,
    facts_to_fields,
    tallies_from_message,
    tallies_to_fields,
)
from timebank.ledger.v1 import entry_pb2
from timebank.units import Unit

_UNITS = {int(unit): unit for unit in Unit}
_KINDS = {int(kind): kind for kind in EntryKind}


def encode(ledger_id: str, entry: Entry) -> bytes:
    """Serialises an entry of a ledger into its leaf."""
    message = entry_pb2.Entry(
        ledger_id=ledger_id,
        index=entry.log_index,
        nonce=entry.nonce,
        kind=entry.kind,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        recorded_time_us=entry.recorded_us,
        effective_time_us=entry.effective_us,
        caller=entry.caller,
        request_id=entry.request_id,
        request_fingerprint=entry.fingerprint,
        postings=[_posting(posting) for posting in entry.postings],  # type: ignore[misc]  # fields of messages build them
        facts=facts_to_fields(entry.facts) if entry.facts else (),  # type: ignore[arg-type]  # likewise
        tallies=tallies_to_fields(entry.tallies) if entry.tallies else (),  # type: ignore[arg-type]  # likewise
    )
    if entry.natural_key:
        message.natural_key = entry.natural_key
    if entry.cause:
        message.cause = entry.cause
    if entry.policy_version:
        message.policy_version = entry.policy_version
    if entry.actor:
        message.actor = entry.actor
    if entry.chain_position:
        message.chain_position = entry.chain_position
    if entry.original_index is not None:
        message.original_index = entry.original_index
    if entry.hold_changes:
        message.hold_changes.extend(_hold_change(change) for change in entry.hold_changes)
    if entry.account is not None or entry.ledger is not None:
        _add_facts(message, entry)
    for field, digest in entry.commitments:
        message.commitments.add(field=field, digest=digest)
    return message.SerializeToString()


def _posting(posting: Posting) -> Fields:
    """Gives the fields of a posting: protobuf builds it within its entry at once."""
    account_id, unit, amount, lots, earned = posting
    if lots:
        return {
            "account_id": account_id,
            "unit": unit,
            "amount": amount,
            "lots": [_lot(change) for change in lots],
            "earned": earned,
        }
    return {"account_id": account_id, "unit": unit, "amount": amount, "earned": earned}


def _lot(change: LotChange) -> Fields:
    expires_us, remaining, reserved = change
    return {
        "expire_time_us": 0 if expires_us == NEVER_US else expires_us,
        "remaining": remaining,
        "reserved": reserved,
    }


def _hold_change(change: HoldChange) -> entry_pb2.HoldChange:
    return entry_pb2.HoldChange(
        hold_id=change.hold_id,
        account_id=change.account_id,
        kind=change.kind,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        state=change.state,  # type: ignore[arg-type]  # likewise
        held=change.held,
        captured=change.captured,
        released=change.released,
        expire_time_us=change.expires_us,
        lots=[_lot(lot) for lot in change.lots],  # type: ignore[misc]  # likewise
    )


def _add_facts(message: entry_pb2.Entry, entry: Entry) -> None:
    if entry.account is not None:
        fact = entry.account
        message.account.CopyFrom(
            entry_pb2.AccountFact(
                account_id=fact.account_id,
                holder=fact.holder,
                unit=fact.unit,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
                kind=fact.kind,  # type: ignore[arg-type]  # likewise
                state=fact.state,  # type: ignore[arg-type]  # likewise
                min_balance=fact.min_balance,
                max_balance=fact.max_balance,
                debt_limit=fact.debt_limit,
            )
        )
    if entry.ledger is not None:
        message.ledger.CopyFrom(
            entry_pb2.LedgerFact(
                display_name=entry.ledger.display_name,
                time_zone=entry.ledger.time_zone,
                log_origin=entry.ledger.log_origin,
                verifier_key=entry.ledger.verifier_key,
            )
        )


def decode(leaf: bytes) -> Entry:
    """Reads an entry from its leaf.

    Raises ValueError when the bytes are no entry of this contract: the log was damaged or written
    by a later version.
    """
    try:
        message = entry_pb2.Entry.FromString(leaf)
    except Exception as error:
        raise ValueError(f"not an entry: {error}") from error
    return from_message(message)


def from_message(message: entry_pb2.Entry) -> Entry:
    """Reads an entry from its decoded message. Raises ValueError for an unknown kind, unit or
    state.
    """
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise ValueError(f"entry {message.index} has the unknown kind {message.kind}")
    try:
        holds = tuple(_hold_change_from(change) for change in message.hold_changes)
        return Entry(
            message.index,
            kind,
            message.recorded_time_us,
            message.effective_time_us,
            message.nonce,
            message.caller,
            message.actor,
            message.request_id,
            message.chain_position,
            message.request_fingerprint,
            message.natural_key,
            message.cause,
            message.policy_version,
            [_posting_from(posting) for posting in message.postings],
            holds,
            message.original_index if message.HasField("original_index") else None,
            _account_from(message.account) if message.HasField("account") else None,
            _ledger_from(message.ledger) if message.HasField("ledger") else None,
            tuple((item.field, item.digest) for item in message.commitments),
            facts_from_message(message) if message.facts else (),
            tallies_from_message(message) if message.tallies else (),
        )
    except KeyError as error:
        raise ValueError(f"entry {message.index} has an unknown unit: {error}") from error


def _posting_from(posting: entry_pb2.Posting) -> Posting:
    lots = posting.lots
    return Posting(
        posting.account_id,
        _UNITS[posting.unit],
        posting.amount,
        [_lot_from(lot) for lot in lots] if lots else (),
        posting.earned,
    )


def _lot_from(lot: entry_pb2.LotChange) -> LotChange:
    return LotChange(lot.expire_time_us or NEVER_US, lot.remaining, lot.reserved)


def _hold_change_from(change: entry_pb2.HoldChange) -> HoldChange:
    return HoldChange(
        change.hold_id,
        change.account_id,
        HoldKind(change.kind),
        HoldState(change.state),
        change.held,
        change.captured,
        change.released,
        change.expire_time_us,
        [_lot_from(lot) for lot in change.lots],
    )


def _account_from(fact: entry_pb2.AccountFact) -> AccountFact:
    return AccountFact(
        fact.account_id,
        fact.holder,
        _UNITS[fact.unit],
        AccountKind(fact.kind),
        AccountState(fact.state),
        fact.min_balance if fact.HasField("min_balance") else None,
        fact.max_balance if fact.HasField("max_balance") else None,
        fact.debt_limit,
    )


def _ledger_from(fact: entry_pb2.LedgerFact) -> LedgerFact:
    return LedgerFact(fact.display_name, fact.time_zone, fact.log_origin, fact.verifier_key)
