"""Hostile key files and key variables: a signer or a refusal, and never the key in the message."""

import pathlib

from hypothesis import HealthCheck, given, settings

from tests.timebank.fuzz.mutations import accepted, damaged_bytes, damaged_text
from tests.timebank.key_texts import PRIVATE, SEED_TEXT
from timebank.errors import Reason, TimebankError
from timebank.signing import Ed25519Signer, KeyRing

ORIGIN = PRIVATE.removeprefix("PRIVATE+KEY+").partition("+")[0]
SHARED_FOLDER = [HealthCheck.function_scoped_fixture]
UNUSABLE = (Reason.SIGNER_UNAVAILABLE, Reason.SIGNING_KEY_MISSING)


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=damaged_bytes(f"{PRIVATE}\n".encode()))
def test_hostile_key_files_are_only_ever_refused_or_sign(
    tmp_path: pathlib.Path, data: bytes
) -> None:
    path = tmp_path / (ORIGIN.replace("/", "_") + ".key")
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    signer = accepted(lambda: KeyRing(tmp_path).signer(ORIGIN), *UNUSABLE)
    if signer is not None:
        assert len(signer.sign(b"x")) == 64


@settings(max_examples=250, deadline=None)
@given(damaged_text(PRIVATE))
def test_a_damaged_private_key_is_refused_and_not_repeated(text: str) -> None:
    refusals = []
    try:
        signer = Ed25519Signer.from_text(text)
        assert signer.vkey.startswith(f"{signer.name}+")
    except TimebankError as error:
        refusals.append(error)
    for refusal in refusals:
        assert refusal.reason is Reason.VALIDATION_FAILED
        assert SEED_TEXT not in refusal.message
