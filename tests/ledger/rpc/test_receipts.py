"""What the log signs: receipts and proofs that verify offline, and a key that is rotated."""

import itertools
import pathlib

import pytest

from tests.ledger.rpc.test_holds import audited
from tests.support.commands import MERCHANT, REDEMPTION, capture, hold, new_id, post
from tests.support.keys import ORIGIN
from tests.support.ledgers import LedgerWorld, refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import entry_pb2, ledger_service_pb2, log_service_pb2
from timebank.signing import KeyRing
from timebank.tlog.checkpoint import open_checkpoint
from timebank.tlog.merkle import leaf_hash
from timebank.tlog.proof import verify_consistency, verify_inclusion
from timebank.tlog.receipt import Receipt, parse_receipt, verify_receipt
from timebank.verification import read_inputs, verify_inputs

ANYBODY = Principal(PrincipalKind.CREDIT_PLATFORM, "p")


def verified(proof: str, vkey: str) -> tuple[Receipt, entry_pb2.Entry]:
    """Verifies a receipt with the verifier key alone and gives the entry it carries."""
    receipt = parse_receipt(proof)
    checkpoint = verify_receipt(receipt, [vkey]).checkpoint
    assert checkpoint.origin == ORIGIN
    assert receipt.entry is not None
    return receipt, entry_pb2.Entry.FromString(receipt.entry)


async def test_every_command_gives_a_receipt_that_verifies_with_the_key_alone(
    world: LedgerWorld, tmp_path: pathlib.Path
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    request = world.post_request(post(REDEMPTION, alice, shop, 3, memo="茶"))
    request.receipt = True
    answer = await world.stub.PostEntry(request)
    receipt, entry = verified(answer.receipt, world.verifier_key)
    assert receipt.index == answer.result.index == entry.index
    assert "茶" not in answer.receipt
    assert "茶".encode() not in (receipt.entry or b"")
    signed = open_checkpoint(answer.checkpoint, [world.verifier_key])
    assert signed.size == answer.result.index + 1
    held = hold(alice, 5)
    made = ledger_service_pb2.CreateHoldRequest(
        parent=world.name, request_id=new_id(), create_hold=held, receipt=True
    )
    created = await world.stub.CreateHold(made)
    paid = ledger_service_pb2.CaptureHoldRequest(
        parent=world.name,
        request_id=new_id(),
        capture_hold=capture(created.result.hold, shop, 2),
        receipt=True,
    )
    captured = await world.stub.CaptureHold(paid)
    for one in (created, captured):
        assert verified(one.receipt, world.verifier_key)[0].index == one.result.index
    later = await world.log.GetReceipt(log_service_pb2.GetReceiptRequest(name=answer.result.entry))
    assert verified(later.proof, world.verifier_key)[0].entry == receipt.entry
    stranger = KeyRing(tmp_path / "other").create(ORIGIN).vkey
    with pytest.raises(TimebankError) as unsigned:
        verify_receipt(parse_receipt(answer.receipt), [stranger])
    assert unsigned.value.reason is Reason.VALIDATION_FAILED


async def test_a_receipt_in_a_file_is_accepted_by_the_verifier(
    world: LedgerWorld, tmp_path: pathlib.Path
) -> None:
    read = await world.log.GetReceipt(
        log_service_pb2.GetReceiptRequest(name=f"{world.name}/entries/4")
    )
    file = tmp_path / "entry.tlog-proof"
    file.write_text(read.proof)
    inputs = read_inputs(file, [world.verifier_key], None, None)
    assert verify_inputs(inputs)[0].checkpoint.size == await world.size()


async def test_proofs_of_every_size_hold_against_the_signed_roots(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    checkpoint = log_service_pb2.GetCheckpointRequest(parent=world.name)
    heads = []
    for _ in range(4):
        await world.post(post(REDEMPTION, alice, shop, 1))
        heads.append(await world.log.GetCheckpoint(checkpoint))
    log = world.log_of(ANYBODY)
    for head in heads:
        signed = open_checkpoint(head.note, [world.verifier_key])
        assert (signed.size, signed.root) == (head.size, head.root)
        for index in (0, head.size // 2, head.size - 1):
            request = log_service_pb2.GetInclusionProofRequest(
                parent=world.name, index=index, tree_size=head.size
            )
            proof = await log.GetInclusionProof(request)
            entry = ledger_service_pb2.GetEntryRequest(name=f"{world.name}/entries/{index}")
            assert proof.leaf_hash == leaf_hash((await world.stub.GetEntry(entry)).leaf)
            verify_inclusion(
                index=index,
                size=head.size,
                leaf_hash=proof.leaf_hash,
                path=proof.path,
                root=head.root,
            )
    for first, second in itertools.pairwise(heads):
        growth = log_service_pb2.GetConsistencyProofRequest(
            parent=world.name, first_size=first.size, second_size=second.size
        )
        path = (await log.GetConsistencyProof(growth)).path
        verify_consistency(
            first=first.size,
            second=second.size,
            first_root=first.root,
            second_root=second.root,
            proof=path,
        )


async def test_a_rotated_key_signs_from_then_on_and_old_checkpoints_still_verify(
    world: LedgerWorld, tmp_path: pathlib.Path
) -> None:
    asked = log_service_pb2.GetCheckpointRequest(parent=world.name)
    old = await world.log.GetCheckpoint(asked)
    new_key = KeyRing(tmp_path / "data" / "keys").rotate(ORIGIN).vkey
    between = await world.log.GetCheckpoint(asked)
    open_checkpoint(between.note, [world.verifier_key])
    request = ledger_service_pb2.RotateSigningKeyRequest(
        name=world.name, request_id=new_id(), verifier_key=new_key
    )
    state = await world.stub.RotateSigningKey(request)
    assert list(state.verifier_keys) == [world.verifier_key, new_key]
    size = await world.size()
    assert (await world.entry(size - 1)).ledger.verifier_key == new_key
    assert await world.stub.RotateSigningKey(request) == state
    assert await world.size() == size
    new = await world.log.GetCheckpoint(asked)
    open_checkpoint(new.note, [new_key])
    open_checkpoint(old.note, [world.verifier_key])
    for note, other in ((new.note, world.verifier_key), (old.note, new_key)):
        with pytest.raises(TimebankError) as unsigned:
            open_checkpoint(note, [other])
        assert unsigned.value.reason is Reason.VALIDATION_FAILED
    alice, shop = await world.open(balance=9), await world.open(kind=MERCHANT)
    answer = await world.post(post(REDEMPTION, alice, shop, 1))
    open_checkpoint(answer.checkpoint, [new_key])
    back = ledger_service_pb2.RotateSigningKeyRequest(
        name=world.name, request_id=new_id(), verifier_key=world.verifier_key
    )
    assert await refused(world.stub.RotateSigningKey(back)) is Reason.VALIDATION_FAILED
    await audited(world)
