"""Text encodings that the formats of the log share: UTF-8, base64 and decimal numbers.

Rule: every value has one spelling. What does not encode back to the same text is refused. The
refused text is never repeated in the message: it may be a private key put in the wrong place.
"""

from __future__ import annotations

import binascii

from timebank.tlog.merkle import HASH_BYTES, TREE_SIZE_MAX
from timebank.tlog.refusal import refuse

_DECIMAL_CHARACTERS_MAX = len(str(TREE_SIZE_MAX))


def encode_utf8(text: str, what: str) -> bytes:
    """Encodes text as UTF-8; `what` names it in the error.

    Raises: VALIDATION_FAILED when it holds half a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        refuse(f"{what}: expected valid UTF-8", cause=error)


def encode_base64(data: bytes) -> str:
    """Encodes bytes as standard base64 with padding, without a line end."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """Decodes standard base64 with padding in its one right spelling; `what` names it in the error.

    Raises: VALIDATION_FAILED when it is anything else.
    """
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are both ValueErrors
        refuse(f"{what}: expected base64, got {len(text)} characters that are not", cause=error)
    if encode_base64(data) != text:
        refuse(f"{what}: expected base64 that encodes back to the same text")
    return data


def decode_hash(text: str, what: str) -> bytes:
    """Decodes a SHA-256 hash written in base64 (44 characters); `what` names it in the error.

    Raises: VALIDATION_FAILED when it is not base64 or not 32 bytes.
    """
    data = decode_base64(text, what)
    if len(data) != HASH_BYTES:
        refuse(f"{what}: expected {HASH_BYTES} bytes, got {len(data)}")
    return data


def decode_decimal(text: str, what: str) -> int:
    """Reads a decimal number from 0 to 2^63 - 1 without sign or leading zeros.

    Raises: VALIDATION_FAILED when it is anything else.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _DECIMAL_CHARACTERS_MAX):
        refuse(f"{what}: expected a decimal number from 0 to {TREE_SIZE_MAX}")
    number = int(text)
    if number > TREE_SIZE_MAX or str(number) != text:
        refuse(f"{what}: expected a number up to {TREE_SIZE_MAX} without leading zeros, got {text}")
    return number
