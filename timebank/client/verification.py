"""Checking what a server claims, with nothing but the log's verifier key.

Owns: joining the texts and proofs of the client with `timebank.tlog`. Rules: nothing is believed
but what a given key signed; no check talks to the server.
"""

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from timebank.client.entries import entry_from_wire
from timebank.client.views import CheckpointView, ConsistencyProof, EntryView, InclusionProof
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1.entry_pb2 import Entry
from timebank.ledger.v1.ledger_service_pb2 import LoggedEntry
from timebank.tlog import checkpoint as checkpoints
from timebank.tlog import proof as proofs
from timebank.tlog import receipt as receipts
from timebank.tlog.merkle import leaf_hash

Vkeys = str | tuple[str, ...]
"""The verifier key of a log in C2SP text form, or all it has had."""


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """An entry that stands in the log of `origin`, among its first `tree_size` entries."""

    entry: EntryView
    origin: str
    tree_size: int


def verify_checkpoint(note: str, vkey: Vkeys) -> CheckpointView:
    """Checks the signature of a checkpoint. Raises VALIDATION_FAILED with what is wrong."""
    head = checkpoints.open_checkpoint(note, _keys(vkey))
    return CheckpointView(note=note, size=head.size, root=head.root)


def verify_receipt(receipt: str, vkey: Vkeys) -> VerifiedReceipt:
    """Checks a receipt offline: its entry is in the log whose key signed the checkpoint in it.

    It does not prove that the entry still has its effect: a later one may reverse it.
    Raises VALIDATION_FAILED with what is wrong.
    """
    parsed = receipts.parse_receipt(receipt)
    head = receipts.verify_receipt(parsed, _keys(vkey)).checkpoint
    leaf = parsed.entry or b""
    try:
        entry = Entry.FromString(leaf)
    except DecodeError as error:
        raise _unreadable(
            f"expected an entry of the ledger, got {len(leaf)} other bytes"
        ) from error
    if entry.index != parsed.index:
        raise _unreadable(f"expected entry {parsed.index}, got one that says it is {entry.index}")
    name = f"ledgers/{entry.ledger_id}/entries/{entry.index}"
    view = entry_from_wire(LoggedEntry(name=name, leaf=leaf, entry=entry))
    return VerifiedReceipt(entry=view, origin=head.origin, tree_size=head.size)


def verify_inclusion(entry: EntryView, proof: InclusionProof, checkpoint: CheckpointView) -> None:
    """Checks that an entry stands in the tree of a checkpoint that was verified before.

    Raises VALIDATION_FAILED with what is wrong.
    """
    _expect_size("tree_size", proof.tree_size, checkpoint.size)
    _expect_size("index", proof.index, entry.index)
    proofs.verify_inclusion(
        index=entry.index,
        size=checkpoint.size,
        leaf_hash=leaf_hash(entry.leaf),
        path=proof.path,
        root=checkpoint.root,
    )


def verify_consistency(
    proof: ConsistencyProof, *, first: CheckpointView, second: CheckpointView
) -> None:
    """Checks that the first tree is the beginning of the second; both were verified before.

    Raises VALIDATION_FAILED with what is wrong.
    """
    _expect_size("first_size", proof.first_size, first.size)
    _expect_size("second_size", proof.second_size, second.size)
    proofs.verify_consistency(
        first=first.size,
        second=second.size,
        first_root=first.root,
        second_root=second.root,
        proof=proof.path,
    )


def _keys(vkey: Vkeys) -> tuple[str, ...]:
    return (vkey,) if isinstance(vkey, str) else vkey


def _expect_size(field: str, got: int, expected: int) -> None:
    if got != expected:
        text = f"proof: expected {field} {expected}, got {got}; ask for the proof of this size"
        raise TimebankError(Reason.VALIDATION_FAILED, text, field=field)


def _unreadable(what: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, f"receipt: {what}")
