"""Receipts (C2SP tlog-proof): one entry, its inclusion path and a signed checkpoint, for offline
verification.

Owns: the `.tlog-proof` text and its check. Refuses: what the entry means.
Rules: `extra` carries the exact entry bytes, which are hashed as they are; nothing in a receipt is
believed but what a given key signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from timebank.tlog.checkpoint import VerifiedCheckpoint, verify_checkpoint
from timebank.tlog.encoding import (
    decode_base64,
    decode_decimal,
    decode_hash,
    encode_base64,
    encode_utf8,
)
from timebank.tlog.merkle import HASH_BYTES, TREE_SIZE_MAX, leaf_hash
from timebank.tlog.note import NOTE_BYTES_MAX, parse_note
from timebank.tlog.proof import PROOF_HASHES_MAX, verify_inclusion
from timebank.tlog.refusal import refuse
from timebank.tlog.tiles import ENTRY_BYTES_MAX

RECEIPT_BYTES_MAX = NOTE_BYTES_MAX + 100_000
RECEIPT_HEADER = "c2sp.org/tlog-proof@v1"
RECEIPT_SUFFIX = ".tlog-proof"
_EXTRA_CHARACTERS_MAX = 4 * ((ENTRY_BYTES_MAX + 2) // 3)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry's bytes (None: kept elsewhere), its index from 0, its path leaf to root, and the
    checkpoint note.
    """

    entry: bytes | None
    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def __post_init__(self) -> None:
        if self.entry is not None and not 1 <= len(self.entry) <= ENTRY_BYTES_MAX:
            refuse(f"receipt: expected an entry of 1 to {ENTRY_BYTES_MAX} bytes")
        if not 0 <= self.index < TREE_SIZE_MAX:
            refuse(f"receipt: expected an index from 0 to {TREE_SIZE_MAX - 1}, got {self.index}")
        if len(self.path) > PROOF_HASHES_MAX:
            refuse(f"receipt: expected at most {PROOF_HASHES_MAX} hashes, got {len(self.path)}")
        if any(len(value) != HASH_BYTES for value in self.path):
            refuse(f"receipt: expected hashes of {HASH_BYTES} bytes")
        parse_note(self.checkpoint)


def format_receipt(receipt: Receipt) -> str:
    """Formats a receipt as the text of a `.tlog-proof` file."""
    extra = [] if receipt.entry is None else [f"extra {encode_base64(receipt.entry)}"]
    path = (encode_base64(value) for value in receipt.path)
    lines = (RECEIPT_HEADER, *extra, f"index {receipt.index}", *path, "", receipt.checkpoint)
    return "\n".join(lines)


def parse_receipt(text: str) -> Receipt:
    """Parses the text of a `.tlog-proof` file without checking anything it claims.

    Raises: VALIDATION_FAILED when it is malformed.
    """
    if len(encode_utf8(text, "receipt")) > RECEIPT_BYTES_MAX:
        refuse(f"receipt: expected at most {RECEIPT_BYTES_MAX} bytes, got more")
    head, separator, checkpoint = text.partition("\n\n")
    if not separator:
        refuse("receipt: expected an empty line before the checkpoint")
    header, *lines = head.split("\n", PROOF_HASHES_MAX + 3)
    if header != RECEIPT_HEADER:
        refuse(f"receipt: expected {RECEIPT_HEADER} on the first line")
    entry: bytes | None = None
    if lines and lines[0].startswith("extra "):
        entry = _parse_entry(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        refuse("receipt: expected a line with the index")
    index = decode_decimal(lines.pop(0).removeprefix("index "), "receipt index")
    path = tuple(decode_hash(line, f"receipt hash {at}") for at, line in enumerate(lines))
    return Receipt(entry, index, path, checkpoint)


def verify_receipt(
    receipt: Receipt, vkeys: Iterable[str], *, entry: bytes | None = None
) -> VerifiedCheckpoint:
    """Checks that the entry stands at the index in the log whose key signed the checkpoint; returns
    the checkpoint.

    `entry` is needed when the receipt does not carry it; when both are there they must be the same.

    Raises: VALIDATION_FAILED with what is wrong.
    """
    carried = receipt.entry if entry is None else entry
    if carried is None:
        refuse("receipt: expected the entry's bytes inside it or beside it, got none")
    if receipt.entry is not None and carried != receipt.entry:
        refuse("receipt: the entry given is not the one it carries")
    verified = verify_checkpoint(receipt.checkpoint, vkeys)
    verify_inclusion(
        index=receipt.index,
        size=verified.checkpoint.size,
        leaf_hash=leaf_hash(carried),
        path=receipt.path,
        root=verified.checkpoint.root,
    )
    return verified


def _parse_entry(text: str) -> bytes:
    if len(text) > _EXTRA_CHARACTERS_MAX:
        refuse(f"receipt: expected an entry of at most {ENTRY_BYTES_MAX} bytes, got more")
    return decode_base64(text, "receipt extra")
