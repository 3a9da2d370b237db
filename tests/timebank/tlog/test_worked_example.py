"""The worked example of the specification, byte for byte."""

import pytest

from tests.timebank.tlog import worked_example as example
from timebank.tlog.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    open_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from timebank.tlog.merkle import Frontier
from timebank.tlog.proof import (
    consistency_path,
    inclusion_path,
    verify_consistency,
    verify_inclusion,
)
from timebank.tlog.receipt import Receipt, format_receipt, parse_receipt, verify_receipt
from timebank.tlog.tiles import node_reader

TILES = {(0, 0): b"".join(example.LEAVES)}


def test_the_keys_have_the_verifier_texts() -> None:
    assert example.log_signer().vkey == example.LOG_VKEY
    assert example.witness_signer().vkey == example.WITNESS_VKEY


def test_the_roots_of_all_sizes_are_right() -> None:
    frontier = Frontier()
    roots = [frontier.root()]
    for leaf in example.LEAVES:
        frontier.append(leaf)
        roots.append(frontier.root())

    assert tuple(roots) == example.ROOTS


def test_signing_and_cosigning_give_the_checkpoint() -> None:
    head = Checkpoint(example.ORIGIN, 3, example.ROOTS[3])

    note = sign_checkpoint(head, example.log_signer())

    assert note == example.CHECKPOINT
    cosigned = cosign_checkpoint(note, example.witness_signer(), time_s=example.COSIGNED_TIME_S)
    assert cosigned == example.COSIGNED_CHECKPOINT


def test_the_checkpoint_opens_with_the_log_key_alone() -> None:
    head = open_checkpoint(example.COSIGNED_CHECKPOINT, [example.LOG_VKEY])

    assert head == Checkpoint(example.ORIGIN, 3, example.ROOTS[3])


def test_the_cosignature_verifies_and_says_when() -> None:
    vkeys = [example.LOG_VKEY, example.WITNESS_VKEY]

    verified = verify_checkpoint(example.COSIGNED_CHECKPOINT, vkeys)

    assert [signature.key.name for signature in verified.log_signatures] == [example.ORIGIN]
    assert [(by.key.name, by.time_s) for by in verified.cosignatures] == [
        (example.WITNESS, example.COSIGNED_TIME_S)
    ]


def test_the_inclusion_path_is_built_from_tiles_and_verifies() -> None:
    path = inclusion_path(1, 3, node_reader(TILES))

    assert tuple(path) == example.INCLUSION_OF_1
    verify_inclusion(index=1, size=3, leaf_hash=example.LEAVES[1], path=path, root=example.ROOTS[3])


@pytest.mark.parametrize(
    ("first", "expected"), [(1, example.CONSISTENCY_1_TO_3), (2, example.CONSISTENCY_2_TO_3)]
)
def test_the_consistency_proofs_are_built_from_tiles_and_verify(
    first: int, expected: tuple[bytes, ...]
) -> None:
    proof = consistency_path(first, 3, node_reader(TILES))

    assert tuple(proof) == expected
    verify_consistency(
        first=first,
        second=3,
        first_root=example.ROOTS[first],
        second_root=example.ROOTS[3],
        proof=proof,
    )


def test_the_receipt_is_written_read_and_verified() -> None:
    receipt = Receipt(b"two", 1, example.INCLUSION_OF_1, example.COSIGNED_CHECKPOINT)

    assert format_receipt(receipt) == example.RECEIPT_OF_1
    assert parse_receipt(example.RECEIPT_OF_1) == receipt
    assert verify_receipt(receipt, [example.LOG_VKEY]).checkpoint.size == 3
