"""Signers: what they sign verifies, malformed keys are refused, no secret is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.key_texts import LOG_VKEY, ORIGIN, PRIVATE, SEED, reason_of
from tests.timebank.tlog.refusals import damaged, only_refusals
from timebank.errors import Reason, TimebankError
from timebank.signing import Ed25519Signer, Verifier
from timebank.tlog.encoding import encode_base64
from timebank.tlog.vkey import COSIGNATURE_V1, parse_vkey


def test_a_signer_signs_what_its_verifier_key_verifies() -> None:
    signer = Ed25519Signer.from_seed(ORIGIN, SEED)

    Verifier.from_text(signer.vkey).verify(b"message", signer.sign(b"message"))

    assert signer.vkey == LOG_VKEY
    assert signer.sign(b"message") == signer.sign(b"message")


def test_a_signature_over_another_message_is_refused() -> None:
    signer = Ed25519Signer.from_seed(ORIGIN, SEED)
    verifier = Verifier.from_text(signer.vkey)

    with pytest.raises(TimebankError, match=r"signature of timebank\.example/ledger") as caught:
        verifier.verify(b"massage", signer.sign(b"message"))
    assert caught.value.reason is Reason.VALIDATION_FAILED


def test_a_private_key_text_gives_the_same_key() -> None:
    signer = Ed25519Signer.from_text(PRIVATE)

    assert (signer.name, signer.vkey) == (ORIGIN, LOG_VKEY)


def test_a_private_key_text_of_a_witness_keeps_its_type() -> None:
    witness = Ed25519Signer.from_seed("w.example", SEED, key_type=COSIGNATURE_V1)
    key_id = parse_vkey(witness.vkey).key_id.hex()
    text = f"PRIVATE+KEY+w.example+{key_id}+{encode_base64(bytes([COSIGNATURE_V1]) + SEED)}"

    assert Ed25519Signer.from_text(text).vkey == witness.vkey


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "PRIVATE+KEY+name+id+key"),
        (LOG_VKEY, "PRIVATE+KEY+name+id+key"),
        (PRIVATE.replace("PRIVATE", "private"), "PRIVATE+KEY+name+id+key"),
        (PRIVATE.rpartition("+")[0], "PRIVATE+KEY+name+id+key"),
        (PRIVATE.replace("ledger", "ledgers"), "do not agree"),
        (PRIVATE.replace("a0f5c1f0", "a0f5c1f1"), "do not agree"),
        (PRIVATE[:-1], "base64"),
        (PRIVATE[:-4], "seed of 32 bytes"),
        (PRIVATE + "AAAA", "seed of 32 bytes"),
        (PRIVATE.replace("+AQEB", "+AgEB"), "type"),
        (PRIVATE.replace("ledger", "led ger"), "key name"),
        (PRIVATE + "A" * 600, "PRIVATE+KEY+name+id+key"),
    ],
)
def test_a_malformed_private_key_is_refused_without_repeating_it(text: str, words: str) -> None:
    refused = reason_of(lambda: Ed25519Signer.from_text(text), words)

    assert refused is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    reason_of(lambda: Ed25519Signer.from_seed(ORIGIN, bytes(length)), f"got {length}")


def test_a_signer_shows_its_verifier_key_only() -> None:
    signer = Ed25519Signer.from_seed(ORIGIN, SEED)

    assert repr(signer) == f"Ed25519Signer({LOG_VKEY})"
    assert str(signer) == repr(signer)
    assert not hasattr(signer, "__dict__")


@given(text=st.one_of(st.text(), damaged(PRIVATE)))
def test_hostile_private_keys_are_only_ever_refused(text: str) -> None:
    only_refusals(lambda: Ed25519Signer.from_text(text))
