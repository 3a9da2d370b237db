"""Hostile cosignatures: a payload is refused or reads back the same; no damaged note lies."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.timebank.fuzz.mutations import accepted, damaged_bytes, damaged_text
from timebank.signing import Ed25519Signer
from timebank.tlog.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from timebank.tlog.cosignature import Cosignature, decode_cosignature, encode_cosignature
from timebank.tlog.vkey import COSIGNATURE_V1

TIME_S = 1_800_000_000
HEAD = Checkpoint("timebank.example/ledger", 70, b"r" * 32, ("an extension",))
LOG = Ed25519Signer.from_seed(HEAD.origin, b"l" * 32)
WITNESSES = [
    Ed25519Signer.from_seed(
        f"witness-{number}.example", bytes([number]) * 32, key_type=COSIGNATURE_V1
    )
    for number in (1, 2)
]
VKEYS = [LOG.vkey, *(witness.vkey for witness in WITNESSES)]


def cosigned() -> str:
    note = sign_checkpoint(HEAD, LOG)
    for witness in WITNESSES:
        note = cosign_checkpoint(note, witness, time_s=TIME_S)
    return note


NOTE = cosigned()


@given(damaged_bytes(encode_cosignature(Cosignature(TIME_S, b"s" * 64))) | st.binary(max_size=80))
def test_a_hostile_payload_is_refused_or_reads_back_the_same(payload: bytes) -> None:
    found = accepted(lambda: decode_cosignature(payload))
    assert found is None or encode_cosignature(found) == payload


@settings(max_examples=300, deadline=None)
@given(damaged_text(NOTE))
def test_a_damaged_cosigned_checkpoint_is_refused_or_still_true(text: str) -> None:
    verified = accepted(lambda: verify_checkpoint(text, VKEYS))
    if verified is not None:
        assert verified.checkpoint == HEAD
        assert all(signature.time_s == TIME_S for signature in verified.cosignatures)
        assert {signature.key.name for signature in verified.log_signatures} == {HEAD.origin}
