"""Receipts: the file a person keeps, and that it verifies only what was signed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.tlog import worked_example as example
from tests.timebank.tlog.refusals import assert_refuses, damaged, only_refusals
from timebank.tlog.checkpoint import Checkpoint, sign_checkpoint
from timebank.tlog.merkle import leaf_hash, root_of
from timebank.tlog.proof import inclusion_path
from timebank.tlog.receipt import (
    RECEIPT_BYTES_MAX,
    Receipt,
    format_receipt,
    parse_receipt,
    verify_receipt,
)
from timebank.tlog.tiles import ENTRY_BYTES_MAX, node_reader

RECEIPT = parse_receipt(example.RECEIPT_OF_1)
VKEYS = [example.LOG_VKEY]
HASH_LINE = "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=\n"


@given(
    entry=st.none() | st.binary(min_size=1, max_size=300),
    index=st.integers(0, 2**63 - 2),
    path=st.lists(st.binary(min_size=32, max_size=32), max_size=64),
)
def test_a_receipt_reads_back_as_it_was_written(
    entry: bytes | None, index: int, path: list[bytes]
) -> None:
    receipt = Receipt(entry, index, tuple(path), example.CHECKPOINT)

    assert parse_receipt(format_receipt(receipt)) == receipt


@given(size=st.integers(1, 40), data=st.data())
def test_the_receipt_of_any_entry_verifies(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    entries = [b"entry %d" % number for number in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    path = inclusion_path(index, size, node_reader({(0, 0): b"".join(leaves)}))
    head = Checkpoint(example.ORIGIN, size, root_of(leaves))
    note = sign_checkpoint(head, example.log_signer())

    verified = verify_receipt(Receipt(entries[index], index, tuple(path), note), VKEYS)

    assert verified.checkpoint == head


def test_a_receipt_of_a_log_with_one_entry_has_no_hashes() -> None:
    head = Checkpoint(example.ORIGIN, 1, example.ROOTS[1])
    note = sign_checkpoint(head, example.log_signer())
    text = f"c2sp.org/tlog-proof@v1\nextra b25l\nindex 0\n\n{note}"

    assert verify_receipt(parse_receipt(text), VKEYS).checkpoint == head


def test_the_longest_entry_fits_and_one_byte_more_does_not() -> None:
    receipt = replace(RECEIPT, entry=b"x" * ENTRY_BYTES_MAX)

    assert parse_receipt(format_receipt(receipt)) == receipt
    assert_refuses(lambda: replace(RECEIPT, entry=b"x" * (ENTRY_BYTES_MAX + 1)), "65535")
    longer = format_receipt(receipt).replace("extra ", "extra AAAA")
    assert_refuses(lambda: parse_receipt(longer), "65535")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("proof@v1", "proof@v2", "first line"),
        ("c2sp", " c2sp", "first line"),
        ("\n", "\r\n", "empty line"),
        ("extra dHdv", "extra", "line with the index"),
        ("extra dHdv", "extra ", "1 to 65535"),
        ("extra dHdv", "extra dHd", "receipt extra"),
        ("extra dHdv\n", "extra dHdv\nextra dHdv\n", "line with the index"),
        ("index 1\n", "", "line with the index"),
        ("index 1", "index 01", "receipt index"),
        ("index 1", "index -1", "receipt index"),
        ("index 1", f"index {2**63 - 1}", "index from 0"),
        ("index 1", "index 1\nindex 1", "receipt hash 0"),
        (HASH_LINE, HASH_LINE[4:], "receipt hash 0"),
        (HASH_LINE, HASH_LINE * 70, "receipt hash"),
        (HASH_LINE, HASH_LINE * 64, "at most 64"),
        (f"\n\n{example.ORIGIN}", f"\n{example.ORIGIN}", "receipt hash"),
        (example.LOG_LINE + example.WITNESS_LINE, "", "empty line"),
    ],
)
def test_a_malformed_receipt_is_refused(old: str, new: str, words: str) -> None:
    text = example.RECEIPT_OF_1.replace(old, new)
    assert text != example.RECEIPT_OF_1

    assert_refuses(lambda: parse_receipt(text), words)


def test_a_receipt_longer_than_any_can_be_is_refused_before_it_is_read() -> None:
    text = example.RECEIPT_OF_1 + "x" * RECEIPT_BYTES_MAX

    assert_refuses(lambda: parse_receipt(text), "at most")


@pytest.mark.parametrize(
    "forged",
    [
        replace(RECEIPT, entry=b"TWO"),
        replace(RECEIPT, entry=b"one"),
        replace(RECEIPT, index=0),
        replace(RECEIPT, index=2),
        replace(RECEIPT, index=3),
        replace(RECEIPT, path=RECEIPT.path[:1]),
        replace(RECEIPT, path=RECEIPT.path[::-1]),
        replace(RECEIPT, path=(*RECEIPT.path, bytes(32))),
        replace(RECEIPT, checkpoint=example.COSIGNED_CHECKPOINT.replace("\n3\n", "\n4\n", 1)),
    ],
)
def test_a_forged_receipt_does_not_verify(forged: Receipt) -> None:
    assert_refuses(lambda: verify_receipt(forged, VKEYS))


def test_a_receipt_verifies_only_with_a_key_of_its_log() -> None:
    assert_refuses(lambda: verify_receipt(RECEIPT, [example.WITNESS_VKEY]), "key of it")
    assert_refuses(lambda: verify_receipt(RECEIPT, []), "got none")


def test_a_receipt_without_the_entry_needs_it_beside() -> None:
    bare = replace(RECEIPT, entry=None)

    assert_refuses(lambda: verify_receipt(bare, VKEYS), "entry's bytes")
    assert verify_receipt(bare, VKEYS, entry=b"two").checkpoint.size == 3
    assert_refuses(lambda: verify_receipt(bare, VKEYS, entry=b"one"), "root")


def test_an_entry_beside_must_be_the_one_inside() -> None:
    assert verify_receipt(RECEIPT, VKEYS, entry=b"two").checkpoint.size == 3
    assert_refuses(lambda: verify_receipt(RECEIPT, VKEYS, entry=b"one"), "not the one")


@given(text=st.one_of(st.text(), damaged(example.RECEIPT_OF_1)))
def test_a_damaged_receipt_never_proves_anything_else(text: str) -> None:
    proved: list[tuple[int, bytes | None]] = []

    def read() -> None:
        receipt = parse_receipt(text)
        verify_receipt(receipt, VKEYS)
        proved.append((receipt.index, receipt.entry))

    only_refusals(read)

    assert proved in ([], [(1, b"two")])
