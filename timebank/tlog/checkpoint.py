"""Checkpoints (C2SP tlog-checkpoint): the signed head of a log, and cosignatures of witnesses below
it.

Owns: their text, signing, cosigning and opening them. Refuses: deciding which head may be signed.
Rules: the key that signs a log is named like its origin; a checkpoint is open only when such a key
signed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from timebank.tlog.encoding import decode_decimal, decode_hash, encode_base64
from timebank.tlog.merkle import EMPTY_ROOT, HASH_BYTES, TREE_SIZE_MAX
from timebank.tlog.note import (
    Note,
    Signer,
    VerifiedSignature,
    check_text,
    cosign_text,
    format_note,
    parse_note,
    sign_text,
    verify_note,
)
from timebank.tlog.refusal import refuse
from timebank.tlog.vkey import ED25519, check_name

EXTENSION_LINES_MAX = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: origin, number of entries, 32-byte root; extension lines of others are
    kept as they are.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        check_name(self.origin)
        if not 0 <= self.size <= TREE_SIZE_MAX:
            refuse(f"checkpoint size: expected 0 to {TREE_SIZE_MAX}, got {self.size}")
        if len(self.root) != HASH_BYTES:
            refuse(f"checkpoint root: expected {HASH_BYTES} bytes, got {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            refuse("checkpoint root: expected the empty root for size 0, got another")
        if len(self.extensions) > EXTENSION_LINES_MAX:
            refuse(f"checkpoint: expected at most {EXTENSION_LINES_MAX} extension lines, got more")
        if not all(self.extensions) or any("\n" in line for line in self.extensions):
            refuse("checkpoint: expected extension lines that are not empty")


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint with every signature on it that was checked."""

    checkpoint: Checkpoint
    log_signatures: tuple[VerifiedSignature, ...]
    cosignatures: tuple[VerifiedSignature, ...]


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Formats the text of a checkpoint, which is what is signed.

    Raises: VALIDATION_FAILED when an extension line cannot be signed.
    """
    root = encode_base64(checkpoint.root)
    lines = (checkpoint.origin, str(checkpoint.size), root, *checkpoint.extensions)
    text = "".join(f"{line}\n" for line in lines)
    check_text(text)
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Parses the text of a checkpoint: the signed part, without signatures.

    Raises: VALIDATION_FAILED when it is malformed.
    """
    check_text(text)
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3:
        refuse(f"checkpoint: expected origin, size and root on 3 lines, got {len(lines)}")
    origin, size, root, *extensions = lines
    return Checkpoint(
        origin,
        decode_decimal(size, "checkpoint size"),
        decode_hash(root, "checkpoint root"),
        tuple(extensions),
    )


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    """Signs a checkpoint and returns the signed note; the same head and key give the same bytes.

    Raises: VALIDATION_FAILED when the signer is not named like the origin; what the signer raises.
    """
    if signer.name != checkpoint.origin:
        refuse(f"checkpoint of {checkpoint.origin}: expected a key of it, got one of {signer.name}")
    text = format_checkpoint(checkpoint)
    return format_note(Note(text, (sign_text(text, signer),)))


def cosign_checkpoint(note_text: str, signer: Signer, *, time_s: int) -> str:
    """Adds the cosignature of a witness at a time in Unix seconds to a signed checkpoint; checks
    none of the others.

    Raises: VALIDATION_FAILED when the checkpoint, the time or the kind of key is wrong; what the
    signer raises.
    """
    note = parse_note(note_text)
    parse_checkpoint(note.text)
    cosignature = cosign_text(note.text, signer, time_s=time_s)
    return format_note(Note(note.text, (*note.signatures, cosignature)))


def open_checkpoint(text: str, vkeys: Iterable[str]) -> Checkpoint:
    """Verifies a signed checkpoint and returns it.

    Raises: VALIDATION_FAILED when it is malformed or not signed by a given key of its log.
    """
    return verify_checkpoint(text, vkeys).checkpoint


def verify_checkpoint(text: str, vkeys: Iterable[str]) -> VerifiedCheckpoint:
    """Verifies a signed checkpoint and returns it with its signatures and those cosignatures whose
    key was given.

    Raises: VALIDATION_FAILED when it is malformed or not signed by a given key of its log.
    """
    note = parse_note(text)
    checkpoint = parse_checkpoint(note.text)
    signatures = verify_note(note, vkeys)
    by_log = tuple(
        signature
        for signature in signatures
        if signature.key.key_type == ED25519 and signature.key.name == checkpoint.origin
    )
    if not by_log:
        refuse(f"checkpoint of {checkpoint.origin}: expected a signature by a key of it, got none")
    cosignatures = tuple(signature for signature in signatures if signature.time_s is not None)
    return VerifiedCheckpoint(checkpoint, by_log, cosignatures)
