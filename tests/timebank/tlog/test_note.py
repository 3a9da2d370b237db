"""Signed notes: what is read, what is signed, and which signatures count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.tlog import worked_example as example
from tests.timebank.tlog.refusals import assert_refuses, damaged, only_refusals
from timebank.signing import Ed25519Signer
from timebank.tlog.cosignature import (
    Cosignature,
    cosignature_message,
    decode_cosignature,
    encode_cosignature,
)
from timebank.tlog.encoding import encode_base64
from timebank.tlog.note import (
    NOTE_BYTES_MAX,
    SIGNATURES_MAX,
    Note,
    Signature,
    cosign_text,
    format_note,
    format_signature,
    parse_note,
    sign_text,
    verify_note,
)
from timebank.tlog.vkey import COSIGNATURE_V1, ED25519, VerifierKey, format_vkey, parse_vkey

LINE = example.LOG_LINE
STRANGER = Signature("stranger.example", b"\x00\x01\x02\x03", b"not a signature of ours")
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.just("\n")).map(
    lambda text: text + "\n"
)


@given(text=TEXTS, payloads=st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=5))
def test_a_note_reads_back_as_it_was_written(text: str, payloads: list[bytes]) -> None:
    note = Note(text, tuple(Signature("log.example", b"\x01\x02\x03\x04", at) for at in payloads))

    assert parse_note(format_note(note)) == note


@given(text=TEXTS)
def test_what_was_signed_verifies(text: str) -> None:
    signer = example.log_signer()
    note = Note(text, (sign_text(text, signer),))

    (verified,) = verify_note(note, [signer.vkey])

    assert (verified.key.name, verified.time_s) == (example.ORIGIN, None)


def test_the_text_ends_at_the_last_empty_line() -> None:
    assert parse_note(f"first\n\nsecond\n\n{LINE}").text == "first\n\nsecond\n"
    assert parse_note(f"first\n\n\n{LINE}").text == "first\n\n"


def test_a_line_separator_of_unicode_ends_no_line() -> None:
    assert parse_note(f"one\u2028two\x85three\n\n{LINE}").text == "one\u2028two\x85three\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "newline at the end"),
        ("text", "newline at the end"),
        ("text\n", "empty line"),
        ("text\n\n", "empty line"),
        (LINE, "empty line"),
        (f"text\n{LINE}", "empty line"),
        (f"text\n\n{LINE[:-1]}", "newline at the end"),
        (f"text\n\n{LINE}\n", "empty line"),
        (f"text\n\n{LINE}x\n", "em dash"),
        (f"text\n\n-{LINE[1:]}", "em dash"),
        (f"text\n\n\N{EN DASH}{LINE[1:]}", "em dash"),
        ("text\n\n\N{EM DASH} log.example\n", "a name, a space and base64"),
        ("text\n\n\N{EM DASH}  AAAAAAA=\n", "expected a name"),
        ("text\n\n\N{EM DASH} a+b AAAAAAA=\n", "no '+'"),
        ("text\n\n\N{EM DASH} log.example AAAAAA==\n", "got 4 bytes"),
        ("text\n\n\N{EM DASH} log.example \n", "got 0 bytes"),
        ("text\n\n\N{EM DASH} log.example AAAAAAA\n", "base64"),
        (f"te\rxt\n\n{LINE}", "control character"),
        (f"te\x00xt\n\n{LINE}", "control character"),
        (f"te\ud800xt\n\n{LINE}", "UTF-8"),
        ("x" * NOTE_BYTES_MAX + f"\n\n{LINE}", "at most"),
    ],
)
def test_a_malformed_note_is_refused(text: str, words: str) -> None:
    assert_refuses(lambda: parse_note(text), words)


def test_a_hundred_signatures_are_read_and_one_more_is_refused() -> None:
    line = format_signature(STRANGER)

    assert len(parse_note("text\n\n" + line * SIGNATURES_MAX).signatures) == SIGNATURES_MAX
    assert_refuses(lambda: parse_note("text\n\n" + line * (SIGNATURES_MAX + 1)), "at most 100")
    assert_refuses(lambda: Note("text\n", (STRANGER,) * (SIGNATURES_MAX + 1)), "1 to 100")
    assert_refuses(lambda: Note("text\n", ()), "1 to 100")


def test_a_signature_by_an_unknown_key_is_ignored() -> None:
    text = "text\n"
    note = Note(text, (STRANGER, sign_text(text, example.log_signer())))

    assert len(verify_note(note, [example.LOG_VKEY])) == 1


def test_a_known_name_with_another_id_is_unknown() -> None:
    good = sign_text("text\n", example.log_signer())
    note = Note("text\n", (good._replace(key_id=b"\x00" * 4), good))

    assert len(verify_note(note, [example.LOG_VKEY])) == 1


def test_one_bad_signature_of_a_known_key_rejects_the_note() -> None:
    good = sign_text("text\n", example.log_signer())
    bad = good._replace(payload=bytes(64))
    first, last = Note("text\n", (bad, good)), Note("text\n", (good, bad))
    assert_refuses(lambda: verify_note(first, [example.LOG_VKEY]), "signature of")
    assert_refuses(lambda: verify_note(last, [example.LOG_VKEY]), "signature of")


def test_a_note_without_a_known_signature_is_rejected() -> None:
    note = Note("text\n", (STRANGER,))

    assert_refuses(lambda: verify_note(note, [example.LOG_VKEY]), "got none")
    assert_refuses(lambda: verify_note(note, []), "got none")


@pytest.mark.parametrize("length", [1, 63, 65])
def test_a_signature_of_another_length_is_rejected(length: int) -> None:
    key = parse_vkey(example.LOG_VKEY)
    note = Note("text\n", (Signature(key.name, key.key_id, bytes(length)),))

    assert_refuses(lambda: verify_note(note, [example.LOG_VKEY]), "signature of")


@given(at=st.integers(0, 63), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_signature_is_accepted(at: int, bit: int) -> None:
    good = sign_text("text\n", example.log_signer())
    payload = bytearray(good.payload)
    payload[at] ^= 1 << bit
    note = Note("text\n", (good._replace(payload=bytes(payload)),))

    assert_refuses(lambda: verify_note(note, [example.LOG_VKEY]), "signature of")


def test_the_same_verifier_key_may_be_given_twice() -> None:
    note = parse_note(example.CHECKPOINT)

    assert len(verify_note(note, [example.LOG_VKEY, example.LOG_VKEY])) == 1


def test_two_keys_of_one_name_with_the_same_id_are_refused() -> None:
    alike = [
        VerifierKey("log.example", ED25519, number.to_bytes(32, "big")) for number in (19719, 33356)
    ]
    assert alike[0].key_id == alike[1].key_id

    note = parse_note(example.CHECKPOINT)
    assert_refuses(lambda: verify_note(note, map(format_vkey, alike)), "two keys of log.example")


def test_a_malformed_verifier_key_is_refused_even_when_another_is_good() -> None:
    note = parse_note(example.CHECKPOINT)

    assert_refuses(lambda: verify_note(note, [example.LOG_VKEY, "nonsense"]), "verifier key")


def test_a_public_key_that_is_no_point_of_the_curve_verifies_nothing() -> None:
    key = VerifierKey("log.example", 1, b"\x02" + bytes(31))
    note = Note("text\n", (Signature(key.name, key.key_id, bytes(64)),))

    assert_refuses(lambda: verify_note(note, [format_vkey(key)]), "signature of")


def test_a_key_for_cosignatures_signs_no_note_and_the_reverse() -> None:
    assert_refuses(lambda: sign_text("text\n", example.witness_signer()), "for cosignatures")
    assert_refuses(
        lambda: cosign_text("text\n", example.log_signer(), time_s=1), "for cosignatures"
    )


def test_a_cosignature_counts_for_its_own_time_only() -> None:
    cosignature = cosign_text("text\n", example.witness_signer(), time_s=1_700_000_000)
    later = (1_700_000_001).to_bytes(8, "big") + cosignature.payload[8:]
    note = Note("text\n", (cosignature._replace(payload=later),))

    assert_refuses(lambda: verify_note(note, [example.WITNESS_VKEY]), "signature of")


def test_two_cosignatures_of_one_witness_at_different_times_both_count() -> None:
    witness = example.witness_signer()
    times = (0, 1_700_000_000, 2**63 - 1)
    note = Note("text\n", tuple(cosign_text("text\n", witness, time_s=at) for at in times))

    assert tuple(by.time_s for by in verify_note(note, [witness.vkey])) == times


def test_a_line_that_stands_twice_counts_once() -> None:
    signer = example.log_signer()
    signature = sign_text("text\n", signer)
    verified = verify_note(Note("text\n", (signature, signature)), [signer.vkey])
    assert len(verified) == 1


def test_a_plain_signature_is_no_cosignature_of_the_same_seed() -> None:
    plain = Ed25519Signer.from_seed("w.example", b"\x02" * 32)
    witness = Ed25519Signer.from_seed("w.example", b"\x02" * 32, key_type=COSIGNATURE_V1)
    key = parse_vkey(witness.vkey)
    payload = bytes(8) + sign_text("text\n", plain).payload
    note = Note("text\n", (Signature(key.name, key.key_id, payload),))

    assert_refuses(lambda: verify_note(note, [witness.vkey]), "signature of")


def test_the_message_of_a_cosignature_is_written_to_the_byte() -> None:
    assert cosignature_message("a\n1\nb\n", 17) == b"cosignature/v1\ntime 17\na\n1\nb\n"


@given(time_s=st.integers(0, 2**63 - 1), signature=st.binary(min_size=64, max_size=64))
def test_a_cosignature_reads_back_as_it_was_written(time_s: int, signature: bytes) -> None:
    cosignature = Cosignature(time_s, signature)

    assert decode_cosignature(encode_cosignature(cosignature)) == cosignature


@pytest.mark.parametrize("payload", [b"", bytes(71), bytes(73), b"\x80" + bytes(71)])
def test_a_cosignature_of_another_shape_is_refused(payload: bytes) -> None:
    assert_refuses(lambda: decode_cosignature(payload), "cosignature")


@pytest.mark.parametrize("time_s", [-1, 2**63])
def test_a_cosignature_time_out_of_range_is_refused(time_s: int) -> None:
    assert_refuses(lambda: cosignature_message("a\n", time_s), "cosignature time")
    assert_refuses(lambda: encode_cosignature(Cosignature(time_s, bytes(64))), "cosignature time")


def test_a_cosignature_line_of_another_length_rejects_the_note() -> None:
    key = parse_vkey(example.WITNESS_VKEY)
    line = f"\N{EM DASH} {key.name} {encode_base64(key.key_id + bytes(64))}\n"

    note = parse_note(example.CHECKPOINT + line)

    assert_refuses(lambda: verify_note(note, [example.LOG_VKEY, example.WITNESS_VKEY]), "72 bytes")


@given(text=st.one_of(st.text(), damaged(example.COSIGNED_CHECKPOINT)))
def test_hostile_notes_are_only_ever_refused(text: str) -> None:
    vkeys = [example.LOG_VKEY, example.WITNESS_VKEY]

    only_refusals(lambda: verify_note(parse_note(text), vkeys))
