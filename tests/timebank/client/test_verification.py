"""What a server claims is checked against the key of the log, offline."""

import pytest

from tests.timebank.client.fakes import PARENT, FakeLedger
from timebank.client import (
    CheckpointView,
    ConsistencyProof,
    InclusionProof,
    LedgerClient,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
    verify_receipt,
)
from timebank.errors import TimebankError
from timebank.ledger.v1 import entry_pb2
from timebank.signing import Ed25519Signer
from timebank.tlog.checkpoint import Checkpoint, sign_checkpoint
from timebank.tlog.merkle import leaf_hash, node_hash
from timebank.tlog.receipt import Receipt, format_receipt

ORIGIN = "timebank.example/weihai"
SIGNER = Ed25519Signer.from_seed(ORIGIN, bytes(range(32)))
STRANGER = Ed25519Signer.from_seed(ORIGIN, bytes(32))


def leaf(index: int) -> bytes:
    entry = entry_pb2.Entry(ledger_id="weihai", index=index, nonce=bytes(16))
    entry.kind = entry_pb2.ENTRY_KIND_DONATION
    return entry.SerializeToString()


LEAVES = [leaf(0), leaf(1)]
HASHES = [leaf_hash(data) for data in LEAVES]
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 2, node_hash(*HASHES)), SIGNER)
FIRST = CheckpointView(note="", size=1, root=HASHES[0])
SECOND = CheckpointView(note="", size=2, root=node_hash(*HASHES))


def receipt(entry: bytes = LEAVES[1], index: int = 1) -> str:
    return format_receipt(Receipt(entry, index, (HASHES[1 - index],), NOTE))


def test_a_receipt_of_the_log_verifies() -> None:
    verified = verify_receipt(receipt(), SIGNER.vkey)
    assert (verified.origin, verified.tree_size) == (ORIGIN, 2)
    assert (verified.entry.name, verified.entry.kind) == (f"{PARENT}/entries/1", "DONATION")
    assert verified.entry.leaf == LEAVES[1]


def test_a_receipt_verifies_with_any_key_that_the_log_has_had() -> None:
    assert verify_receipt(receipt(), (STRANGER.vkey, SIGNER.vkey)).tree_size == 2


@pytest.mark.parametrize(
    ("text", "vkey"),
    [
        (receipt(), STRANGER.vkey),
        (receipt(entry=leaf(2)), SIGNER.vkey),
        (receipt().replace("index 1", "index 0"), SIGNER.vkey),
        ("not a receipt", SIGNER.vkey),
        (receipt(), "not a key"),
    ],
    ids=["another key", "another entry", "another index", "no receipt", "no key"],
)
def test_any_other_receipt_is_refused(text: str, vkey: str) -> None:
    with pytest.raises(TimebankError):
        verify_receipt(text, vkey)


def test_an_entry_that_says_another_index_is_refused() -> None:
    leaves = [leaf(0), leaf(0)]
    hashes = [leaf_hash(data) for data in leaves]
    note = sign_checkpoint(Checkpoint(ORIGIN, 2, node_hash(*hashes)), SIGNER)
    text = format_receipt(Receipt(leaves[1], 1, (hashes[0],), note))
    with pytest.raises(TimebankError, match="expected entry 1, got one that says it is 0"):
        verify_receipt(text, SIGNER.vkey)


def test_a_signed_leaf_that_is_no_entry_is_refused() -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, leaf_hash(b"\xff")), SIGNER)
    with pytest.raises(TimebankError, match="expected an entry of the ledger"):
        verify_receipt(format_receipt(Receipt(b"\xff", 0, (), note)), SIGNER.vkey)


def test_a_checkpoint_verifies_with_its_key_only() -> None:
    assert verify_checkpoint(NOTE, SIGNER.vkey) == CheckpointView(NOTE, 2, SECOND.root)
    with pytest.raises(TimebankError):
        verify_checkpoint(NOTE, STRANGER.vkey)


def test_an_entry_is_in_the_tree_that_its_proof_leads_to() -> None:
    entry = verify_receipt(receipt(), SIGNER.vkey).entry
    proof = InclusionProof(index=1, tree_size=2, leaf_hash=HASHES[1], path=(HASHES[0],))
    verify_inclusion(entry, proof, SECOND)
    with pytest.raises(TimebankError):
        verify_inclusion(entry, InclusionProof(1, 2, HASHES[1], (HASHES[1],)), SECOND)
    with pytest.raises(TimebankError, match="expected tree_size 2, got 3"):
        verify_inclusion(entry, InclusionProof(1, 3, HASHES[1], (HASHES[0],)), SECOND)


def test_a_log_that_only_grew_is_consistent() -> None:
    verify_consistency(ConsistencyProof(1, 2, (HASHES[1],)), first=FIRST, second=SECOND)
    with pytest.raises(TimebankError):
        verify_consistency(ConsistencyProof(1, 2, (HASHES[0],)), first=FIRST, second=SECOND)
    with pytest.raises(TimebankError, match="expected second_size 2, got 5"):
        verify_consistency(ConsistencyProof(1, 5, (HASHES[1],)), first=FIRST, second=SECOND)


async def test_the_checkpoint_and_receipt_that_a_server_gives_verify(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.checkpoint.note, fake.checkpoint.size, fake.checkpoint.root = NOTE, 2, SECOND.root
    fake.receipt_text = receipt()
    head = await client.checkpoint()
    assert verify_checkpoint(head.note, SIGNER.vkey) == head
    assert verify_receipt(await client.receipt(1), SIGNER.vkey).entry.index == 1
    assert fake.requests[1].name == f"{PARENT}/entries/1"
