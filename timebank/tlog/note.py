"""Signed notes (C2SP signed-note): text with signature lines below.

Owns: parsing, signing and verifying notes with Ed25519 keys and witness cosignatures. Refuses: what
the text means (see checkpoint.py).
Rules: lines of unknown keys are ignored; one bad signature of a known key rejects the whole note;
without any good signature of a known key it is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from timebank.signing import Signer as Signer
from timebank.signing import Verifier
from timebank.tlog.cosignature import (
    Cosignature,
    cosignature_message,
    decode_cosignature,
    encode_cosignature,
)
from timebank.tlog.encoding import decode_base64, encode_base64, encode_utf8
from timebank.tlog.refusal import refuse
from timebank.tlog.vkey import COSIGNATURE_V1, KEY_ID_BYTES, VerifierKey, check_name, parse_vkey

NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 100
KNOWN_KEYS_MAX = 1_000
"""Most verifier keys that one call compares with."""

_LINE_START = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Signature(NamedTuple):
    """One signature line: who claims to sign, the 4-byte key id, and what stands behind it."""

    name: str
    key_id: bytes
    payload: bytes


class VerifiedSignature(NamedTuple):
    """A signature that was checked; `time_s` (Unix seconds) is given by cosignatures only."""

    key: VerifierKey
    time_s: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """A note: `text` ends with its newline and is what is signed; 1 to 100 signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        check_text(self.text)
        if not 1 <= len(self.signatures) <= SIGNATURES_MAX:
            refuse(f"note: expected 1 to {SIGNATURES_MAX} signatures, got {len(self.signatures)}")


def check_text(text: str) -> None:
    """Checks that a text can be signed: valid UTF-8, no control character but newlines, a newline
    at the end.

    Raises: VALIDATION_FAILED when it breaks a rule.
    """
    if len(encode_utf8(text, "note")) > NOTE_BYTES_MAX:
        refuse(f"note: expected at most {NOTE_BYTES_MAX} bytes, got more")
    if _CONTROL.search(text):
        refuse("note: expected no control character but newlines")
    if not text.endswith("\n"):
        refuse("note: expected a newline at the end of the text")


def parse_note(text: str) -> Note:
    """Parses a signed note without checking any signature.

    Raises: VALIDATION_FAILED when it is malformed.
    """
    check_text(text)
    signed, separator, block = text.rpartition("\n\n")
    if not separator or not block:
        refuse("note: expected a text, an empty line and signature lines")
    lines = block.removesuffix("\n").split("\n")
    if len(lines) > SIGNATURES_MAX:
        refuse(f"note: expected at most {SIGNATURES_MAX} signatures, got {len(lines)}")
    return Note(signed + "\n", tuple(_parse_line(line) for line in lines))


def format_note(note: Note) -> str:
    """Formats a note: its text, an empty line and its signature lines."""
    return f"{note.text}\n{''.join(format_signature(signature) for signature in note.signatures)}"


def format_signature(signature: Signature) -> str:
    """Formats one signature line with its newline; a witness answers with such lines."""
    encoded = encode_base64(signature.key_id + signature.payload)
    return f"{_LINE_START}{signature.name} {encoded}\n"


def sign_text(text: str, signer: Signer) -> Signature:
    """Signs a text that ends with its newline; a cosigning key is refused, it has `cosign_text`.

    Raises: VALIDATION_FAILED when the text or the kind of key is wrong; what the signer raises.
    """
    check_text(text)
    key = parse_vkey(signer.vkey)
    if key.key_type == COSIGNATURE_V1:
        refuse(f"key of {key.name}: expected a key that signs notes, got one for cosignatures")
    return Signature(key.name, key.key_id, signer.sign(encode_utf8(text, "note")))


def cosign_text(text: str, signer: Signer, *, time_s: int) -> Signature:
    """Cosigns the text of a checkpoint at a time in Unix seconds.

    Raises: VALIDATION_FAILED when the text, the time or the kind of key is wrong; what the signer
    raises.
    """
    check_text(text)
    key = parse_vkey(signer.vkey)
    if key.key_type != COSIGNATURE_V1:
        refuse(f"key of {key.name}: expected a key for cosignatures, got type {key.key_type:#04x}")
    signature = signer.sign(cosignature_message(text, time_s))
    return Signature(key.name, key.key_id, encode_cosignature(Cosignature(time_s, signature)))


def verify_note(note: Note, vkeys: Iterable[str]) -> tuple[VerifiedSignature, ...]:
    """Checks every signature of a known key and returns them in the order of their lines, at least
    one; a line that stands twice counts once.

    Raises: VALIDATION_FAILED when one fails, none is by a known key, or a verifier key is
    malformed.
    """
    known = _known_keys(vkeys)
    verified: list[VerifiedSignature] = []
    for signature in dict.fromkeys(note.signatures):
        verifier = known.get((signature.name, signature.key_id))
        if verifier is not None:
            verified.append(_verify(note.text, signature, verifier))
    if not verified:
        refuse("note: expected a signature by one of the given keys, got none")
    return tuple(verified)


def _verify(text: str, signature: Signature, verifier: Verifier) -> VerifiedSignature:
    """Checks one signature by the rule of its key type."""
    if verifier.key.key_type == COSIGNATURE_V1:
        time_s, payload = decode_cosignature(signature.payload)
        verifier.verify(cosignature_message(text, time_s), payload)
        return VerifiedSignature(verifier.key, time_s)
    verifier.verify(encode_utf8(text, "note"), signature.payload)
    return VerifiedSignature(verifier.key, None)


def _known_keys(vkeys: Iterable[str]) -> dict[tuple[str, bytes], Verifier]:
    """Indexes verifiers by what a signature line says: name and key id."""
    known: dict[tuple[str, bytes], Verifier] = {}
    for vkey in vkeys:
        key = parse_vkey(vkey)
        other = known.setdefault((key.name, key.key_id), Verifier(key))
        if other.key != key:
            refuse(f"verifier keys: two keys of {key.name} with one id; expected different ids")
        if len(known) > KNOWN_KEYS_MAX:
            refuse(f"verifier keys: expected at most {KNOWN_KEYS_MAX}, got more")
    return known


def _parse_line(line: str) -> Signature:
    """Parses one signature line without its newline."""
    if not line.startswith(_LINE_START):
        refuse("signature line: expected an em dash, a space, a name and base64")
    name, separator, encoded = line.removeprefix(_LINE_START).partition(" ")
    if not separator:
        refuse("signature line: expected a name, a space and base64")
    check_name(name)
    data = decode_base64(encoded, f"signature line of {name}")
    if len(data) <= KEY_ID_BYTES:
        refuse(
            f"signature line of {name}: expected a key id and a signature, got {len(data)} bytes"
        )
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])
