"""What `timebank verify` is given: reading it, and checking it, without any output.

Owns: the files of the command line, their size limits, and comparing two checkpoints. Refuses: the
network, private keys, deciding what to say (see verify_cli.py).
Rules: everything is parsed before anything is believed, so that input that cannot be used is told
from a proof that does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from timebank.errors import TimebankError
from timebank.tlog.checkpoint import (
    Checkpoint,
    VerifiedCheckpoint,
    parse_checkpoint,
    verify_checkpoint,
)
from timebank.tlog.encoding import decode_hash
from timebank.tlog.note import KNOWN_KEYS_MAX, parse_note
from timebank.tlog.proof import PROOF_HASHES_MAX, verify_consistency
from timebank.tlog.receipt import (
    RECEIPT_BYTES_MAX,
    RECEIPT_HEADER,
    Receipt,
    parse_receipt,
    verify_receipt,
)
from timebank.tlog.refusal import refuse
from timebank.tlog.vkey import VKEY_CHARACTERS_MAX, parse_vkey
from timebank.verify_certificates import CertificateInputs, find_certificate, parse_found

VKEY_FILE_BYTES_MAX = KNOWN_KEYS_MAX * (4 * VKEY_CHARACTERS_MAX + 1)
PROOF_FILE_BYTES_MAX = 64 * (PROOF_HASHES_MAX + 1)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything the command was given, parsed but not yet believed."""

    receipt: Receipt | None
    note: str
    """The signed checkpoint: the file itself, or the one inside the receipt."""

    vkeys: tuple[str, ...]
    kept: str | None
    proof: tuple[bytes, ...] | None


def read_any_inputs(
    file: Path, vkeys: Sequence[str], checkpoint: Path | None, proof: Path | None
) -> Inputs | CertificateInputs:
    """Reads and parses everything that was given, of a receipt, a checkpoint or a certificate;
    checks nothing yet.

    Raises: VALIDATION_FAILED when a file cannot be read or parsed, or does not fit the others.
    """
    data = _read_bytes(file, RECEIPT_BYTES_MAX)
    with _named(file):
        found = find_certificate(data)
        claimed = None if found is None else parse_found(found)
    if found is None or claimed is None:
        return _parse_inputs(file, data, vkeys, checkpoint, proof)
    known = _known_keys(vkeys)
    if checkpoint is not None or proof is not None:
        refuse("--checkpoint, --proof: a certificate is compared with none; leave them out")
    return CertificateInputs(claimed, found, known)


def read_inputs(
    file: Path, vkeys: Sequence[str], checkpoint: Path | None, proof: Path | None
) -> Inputs:
    """Reads and parses everything that was given, of a receipt or a checkpoint; checks nothing yet.

    Raises: VALIDATION_FAILED when a file cannot be read or parsed, or does not fit the others.
    """
    return _parse_inputs(file, _read_bytes(file, RECEIPT_BYTES_MAX), vkeys, checkpoint, proof)


def _parse_inputs(
    file: Path,
    data: bytes,
    vkeys: Sequence[str],
    checkpoint: Path | None,
    proof: Path | None,
) -> Inputs:
    text = _decode(file, data)
    with _named(file):
        receipt = parse_receipt(text) if text.startswith(RECEIPT_HEADER) else None
        if receipt and receipt.entry is None:
            refuse("receipt: it does not carry the entry; expected a line that begins with 'extra'")
        note = receipt.checkpoint if receipt else text
        head = parse_checkpoint(parse_note(note).text)
    known = _known_keys(vkeys)
    kept = None if checkpoint is None else _read(checkpoint, RECEIPT_BYTES_MAX)
    if kept is not None:
        _check_comparable(
            head, parse_checkpoint(parse_note(kept).text), has_proof=proof is not None
        )
    elif proof is not None:
        refuse("--proof: expected a second checkpoint to compare with; give --checkpoint as well")
    hashes = None if proof is None else _parse_proof(_read(proof, PROOF_FILE_BYTES_MAX))
    return Inputs(receipt, note, known, kept, hashes)


def _known_keys(arguments: Sequence[str]) -> tuple[str, ...]:
    """Reads all verifier keys that were given."""
    known = tuple(key for argument in arguments for key in _read_vkeys(argument))
    if len(known) > KNOWN_KEYS_MAX:
        refuse(f"--vkey: expected at most {KNOWN_KEYS_MAX} keys, got {len(known)}")
    return known


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Says of which file a refusal speaks, and what was expected of it."""
    try:
        yield
    except TimebankError as error:
        refuse(
            f"{file.name}: expected a receipt (.tlog-proof), a signed checkpoint or a certificate: "
            f"{error.message}",
            cause=error,
        )


def _check_comparable(head: Checkpoint, kept: Checkpoint, *, has_proof: bool) -> None:
    """Refuses two checkpoints that nothing given can compare."""
    if head.origin != kept.origin:
        refuse(f"--checkpoint: expected one of {head.origin}, got one of {kept.origin}")
    if head.size != kept.size and 0 not in (head.size, kept.size) and not has_proof:
        refuse(
            f"--checkpoint: sizes {kept.size} and {head.size} need a consistency proof; "
            "give --proof, or a checkpoint of the same size"
        )


def _read(path: Path, bytes_max: int) -> str:
    """Reads a text file of limited size."""
    return _decode(path, _read_bytes(path, bytes_max))


def _read_bytes(path: Path, bytes_max: int) -> bytes:
    """Reads a file of limited size."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        refuse(f"{path.name or path}: cannot be read ({error.strerror})", cause=error)
    if len(data) > bytes_max:
        refuse(f"{path.name}: expected at most {bytes_max} bytes, got more")
    return data


def _decode(path: Path, data: bytes) -> str:
    """Decodes what a text file holds."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        refuse(f"{path.name}: expected UTF-8 text, got other bytes", cause=error)


def _read_vkeys(argument: str) -> list[str]:
    """Reads verifier keys from a text, or from a file with one a line, empty lines and # comments
    ignored.
    """
    try:
        parse_vkey(argument)
    except TimebankError:
        if not _is_file(argument):
            if "+" not in argument:
                refuse(f"--vkey: expected a verifier key or a file, got {argument[:80]!r}")
            raise
    else:
        return [argument]
    lines = _read(Path(argument), VKEY_FILE_BYTES_MAX).split("\n")
    vkeys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not vkeys:
        refuse(f"{Path(argument).name}: expected at least one verifier key, got none")
    for vkey in vkeys:
        parse_vkey(vkey)
    return vkeys


def _is_file(argument: str) -> bool:
    try:
        return bool(argument) and Path(argument).exists()
    except (OSError, ValueError):  # too long or with zero bytes: no file has such a name
        return False


def _parse_proof(text: str) -> tuple[bytes, ...]:
    """Parses a consistency proof: base64 hashes, one a line."""
    lines = text.removesuffix("\n").split("\n") if text.strip() else []
    if len(lines) > PROOF_HASHES_MAX:
        refuse(f"--proof: expected at most {PROOF_HASHES_MAX} hashes, got {len(lines)}")
    return tuple(decode_hash(line, f"--proof line {at}") for at, line in enumerate(lines, start=1))


def verify_inputs(inputs: Inputs) -> tuple[VerifiedCheckpoint, VerifiedCheckpoint | None]:
    """Checks everything that was given; returns the checkpoint, and the kept one.

    Raises: VALIDATION_FAILED with what does not hold.
    """
    if inputs.receipt:
        verified = verify_receipt(inputs.receipt, inputs.vkeys)
    else:
        verified = verify_checkpoint(inputs.note, inputs.vkeys)
    if inputs.kept is None:
        return verified, None
    kept = verify_checkpoint(inputs.kept, inputs.vkeys)
    _compare(kept.checkpoint, verified.checkpoint, inputs.proof or ())
    return verified, kept


def _compare(one: Checkpoint, other: Checkpoint, proof: Sequence[bytes]) -> None:
    """Checks that the smaller of two signed heads is the beginning of the larger."""
    first, second = sorted((one, other), key=lambda head: head.size)
    if first.size == second.size and first.root != second.root:
        refuse(
            f"the log signed two different histories of size {first.size}; keep both files, "
            "together they prove it"
        )
    if first.size:
        verify_consistency(
            first=first.size,
            second=second.size,
            first_root=first.root,
            second_root=second.root,
            proof=proof,
        )
