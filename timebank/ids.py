"""Ids: random resource ids and UUIDs of requests."""

import uuid

from timebank.errors import Reason, TimebankError

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case."""
ID_BYTES = 16
ID_LENGTH = 26


def id_from_bytes(data: bytes) -> str:
    """Writes 16 random bytes as 26 characters of Crockford base 32."""
    number = int.from_bytes(data, "big")
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def uuid_bytes(text: str) -> bytes:
    """Reads a request id.

    Returns its 16 bytes. Raises VALIDATION_FAILED for anything but the 36 characters of a UUID
    that is not all zero.

    """
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-":
        digits = text.replace("-", "")
        if len(digits) == 32 and digits.isascii() and digits.isalnum():
            try:
                data = bytes.fromhex(digits)
            except ValueError:
                data = b""
            if any(data):
                return data
    raise TimebankError(
        Reason.VALIDATION_FAILED,
        f"request_id: expected a UUID such as {uuid.UUID(int=0x4DF1_4000_8000_0000_0000)!s}, "
        f"got {text[:40]!r}; make a new one for each request and keep it for its retries",
        field="request_id",
    )


def request_id_from_bytes(data: bytes) -> str:
    """Writes 16 random bytes as a request id: a UUID of version 4."""
    return str(uuid.UUID(bytes=data, version=4))
