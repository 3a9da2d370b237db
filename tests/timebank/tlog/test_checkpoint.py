"""Checkpoints: their text, and that only a key of the log opens them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.tlog import worked_example as example
from tests.timebank.tlog.refusals import assert_refuses, damaged, only_refusals
from timebank.signing import Ed25519Signer
from timebank.tlog.checkpoint import (
    EXTENSION_LINES_MAX,
    Checkpoint,
    cosign_checkpoint,
    format_checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from timebank.tlog.merkle import EMPTY_ROOT
from timebank.tlog.note import Note, format_note, sign_text
from timebank.tlog.vkey import COSIGNATURE_V1

HEAD = Checkpoint(example.ORIGIN, 3, example.ROOTS[3])
ROOT_LINE = "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk="


@given(
    size=st.integers(1, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(st.sampled_from(["x", "a b", "+", "扩展"]), max_size=EXTENSION_LINES_MAX),
)
def test_a_checkpoint_reads_back_as_it_was_written(
    size: int, root: bytes, extensions: list[str]
) -> None:
    head = Checkpoint(example.ORIGIN, size, root, tuple(extensions))

    assert parse_checkpoint(format_checkpoint(head)) == head
    signed = sign_checkpoint(head, example.log_signer())
    assert open_checkpoint(signed, [example.LOG_VKEY]) == head


def test_the_empty_log_has_size_0_and_the_empty_root() -> None:
    text = format_checkpoint(Checkpoint(example.ORIGIN, 0, EMPTY_ROOT))

    assert text == f"{example.ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert_refuses(lambda: replace(HEAD, size=0), "empty root")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "newline"),
        ("origin\n3\n", "3 lines"),
        (f"\n3\n{ROOT_LINE}\n", "key name"),
        (f"a b\n3\n{ROOT_LINE}\n", "key name"),
        (f"a+b\n3\n{ROOT_LINE}\n", "key name"),
        (f"origin\n03\n{ROOT_LINE}\n", "checkpoint size"),
        (f"origin\n-3\n{ROOT_LINE}\n", "checkpoint size"),
        (f"origin\n\n{ROOT_LINE}\n", "checkpoint size"),
        (f"origin\n{2**63}\n{ROOT_LINE}\n", "checkpoint size"),
        (f"origin\n3\n{ROOT_LINE[:-4]}\n", "checkpoint root"),
        (f"origin\n3\n{ROOT_LINE[:-1]}\n", "checkpoint root"),
        (f"origin\n3\n{ROOT_LINE} \n", "checkpoint root"),
        (f"origin\n3\n{ROOT_LINE}\n\n", "extension lines"),
        (f"origin\n3\n{ROOT_LINE}\nx\n\ny\n", "extension lines"),
        (f"origin\n3\n{ROOT_LINE}\n" + "x\n" * 17, "extension lines"),
        (f"origin\r\n3\r\n{ROOT_LINE}\r\n", "control character"),
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str, words: str) -> None:
    assert_refuses(lambda: parse_checkpoint(text), words)


@pytest.mark.parametrize("size", [-1, 2**63])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    assert_refuses(lambda: replace(HEAD, size=size), "checkpoint size")


def test_a_root_of_another_length_is_refused() -> None:
    assert_refuses(lambda: replace(HEAD, root=bytes(31)), "32 bytes")


@pytest.mark.parametrize("line", ["", "a\nb"])
def test_an_extension_line_is_exactly_one_line(line: str) -> None:
    assert_refuses(lambda: replace(HEAD, extensions=(line,)), "extension lines")


def test_signing_again_gives_the_same_bytes() -> None:
    assert sign_checkpoint(HEAD, example.log_signer()) == sign_checkpoint(
        HEAD, example.log_signer()
    )


def test_a_log_is_signed_only_by_the_key_of_its_name() -> None:
    other = Ed25519Signer.from_seed("other.example/log", b"\x03" * 32)

    assert_refuses(lambda: sign_checkpoint(HEAD, other), "expected a key of it")


def test_a_checkpoint_signed_by_a_known_key_of_another_name_does_not_open() -> None:
    other = Ed25519Signer.from_seed("other.example/log", b"\x03" * 32)
    text = format_checkpoint(HEAD)
    note = format_note(Note(text, (sign_text(text, other),)))

    assert_refuses(lambda: open_checkpoint(note, [example.LOG_VKEY, other.vkey]), "by a key of it")


def test_a_cosignature_alone_does_not_open_a_checkpoint() -> None:
    vkeys = [example.WITNESS_VKEY]

    assert_refuses(lambda: open_checkpoint(example.COSIGNED_CHECKPOINT, vkeys), "by a key of it")


def test_a_cosignature_in_the_name_of_the_log_does_not_open_a_checkpoint() -> None:
    witness = Ed25519Signer.from_seed(example.ORIGIN, b"\x02" * 32, key_type=COSIGNATURE_V1)
    note = cosign_checkpoint(example.CHECKPOINT, witness, time_s=1)

    assert_refuses(lambda: open_checkpoint(note, [witness.vkey]), "by a key of it")


def test_after_a_rotation_either_key_of_the_log_opens_what_it_signed() -> None:
    new = Ed25519Signer.from_seed(example.ORIGIN, b"\x09" * 32)
    later = replace(HEAD, size=4)

    vkeys = [example.LOG_VKEY, new.vkey]

    assert open_checkpoint(example.CHECKPOINT, vkeys) == HEAD
    assert open_checkpoint(sign_checkpoint(later, new), vkeys) == later
    assert_refuses(lambda: open_checkpoint(sign_checkpoint(later, new), vkeys[:1]), "got none")


def test_a_wrong_cosignature_of_a_given_witness_rejects_the_checkpoint() -> None:
    wrong = example.CHECKPOINT + example.WITNESS_LINE.replace("AABlU/EA", "AABlU/EB")
    vkeys = [example.LOG_VKEY, example.WITNESS_VKEY]

    assert_refuses(lambda: verify_checkpoint(wrong, vkeys), "signature of witness.example/w1")
    assert verify_checkpoint(wrong, vkeys[:1]).cosignatures == ()


@pytest.mark.parametrize(
    ("old", "new"), [("\n3\n", "\n4\n"), ("ledger\n3", "ledgers\n3"), ("Wqx3", "Wqx4")]
)
def test_a_changed_checkpoint_does_not_open(old: str, new: str) -> None:
    changed = example.CHECKPOINT.replace(old, new, 1)

    assert_refuses(lambda: open_checkpoint(changed, [example.LOG_VKEY]))


def test_only_a_checkpoint_is_cosigned() -> None:
    text = "no checkpoint\n"
    note = format_note(Note(text, (sign_text(text, example.log_signer()),)))

    assert_refuses(lambda: cosign_checkpoint(note, example.witness_signer(), time_s=1), "3 lines")


@given(text=st.one_of(st.text(), damaged(example.SIGNED_TEXT)))
def test_hostile_checkpoint_texts_are_only_ever_refused(text: str) -> None:
    only_refusals(lambda: parse_checkpoint(text))


@given(text=st.one_of(st.text(), damaged(example.COSIGNED_CHECKPOINT)))
def test_a_damaged_checkpoint_never_opens_as_another_head(text: str) -> None:
    opened: list[Checkpoint] = []

    only_refusals(lambda: opened.append(open_checkpoint(text, [example.LOG_VKEY])))

    assert opened in ([], [HEAD])
