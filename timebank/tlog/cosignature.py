"""Cosignatures of witnesses over checkpoints (C2SP tlog-cosignature, cosignature/v1).

Owns: the message that is signed and the payload of a signature line. Refuses: clocks: the time is
given.
Rules: the payload is u64be Unix seconds || 64-byte Ed25519 signature; two cosignatures on one head
at different times are no conflict.
"""

from __future__ import annotations

from typing import NamedTuple

from timebank.tlog.encoding import encode_utf8
from timebank.tlog.merkle import TREE_SIZE_MAX
from timebank.tlog.refusal import refuse

TIME_BYTES = 8
SIGNATURE_BYTES = 64
TIME_S_MAX = TREE_SIZE_MAX
"""Latest time that may be written, Unix seconds."""


class Cosignature(NamedTuple):
    """What a cosigning line carries after the key id: Unix seconds and the Ed25519 signature."""

    time_s: int
    signature: bytes


def cosignature_message(checkpoint_text: str, time_s: int) -> bytes:
    """Builds the bytes that a witness signs; `checkpoint_text` ends with its newline.

    Raises: VALIDATION_FAILED when the time is out of range.
    """
    _check_time(time_s)
    return f"cosignature/v1\ntime {time_s}\n".encode() + encode_utf8(checkpoint_text, "checkpoint")


def encode_cosignature(cosignature: Cosignature) -> bytes:
    """Encodes time and signature as the payload of a signature line (72 bytes).

    Raises: VALIDATION_FAILED when the time is out of range or the signature is not 64 bytes.
    """
    _check_time(cosignature.time_s)
    if len(cosignature.signature) != SIGNATURE_BYTES:
        refuse(f"cosignature: expected {SIGNATURE_BYTES} bytes, got {len(cosignature.signature)}")
    return cosignature.time_s.to_bytes(TIME_BYTES, "big") + cosignature.signature


def decode_cosignature(payload: bytes) -> Cosignature:
    """Decodes the payload of a signature line.

    Raises: VALIDATION_FAILED when it is not 72 bytes or the time is out of range.
    """
    if len(payload) != TIME_BYTES + SIGNATURE_BYTES:
        refuse(f"cosignature: expected {TIME_BYTES + SIGNATURE_BYTES} bytes, got {len(payload)}")
    time_s = int.from_bytes(payload[:TIME_BYTES], "big")
    _check_time(time_s)
    return Cosignature(time_s, payload[TIME_BYTES:])


def _check_time(time_s: int) -> None:
    if not 0 <= time_s <= TIME_S_MAX:
        refuse(f"cosignature time: expected 0 to {TIME_S_MAX} seconds, got {time_s}")
