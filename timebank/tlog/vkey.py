"""Verifier keys: who signs, with what, and how that is written (C2SP signed-note).

Owns: key names, key types, key ids and the text of verifier keys. Refuses: signatures (see
timebank.signing).
Rules: a verifier key is `name+hexid+base64(type || public key)`; name, id and key must agree or it
is refused. A refused text is never repeated in the message: it may be a private key put in the
wrong place.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from hashlib import sha256

from timebank.tlog.encoding import decode_base64, encode_base64, encode_utf8
from timebank.tlog.refusal import refuse

KEY_ID_BYTES = 4
PUBLIC_KEY_BYTES = 32
ED25519 = 0x01
"""Key type: an Ed25519 signature over the text of a note."""

COSIGNATURE_V1 = 0x04
"""Key type: a timestamped Ed25519 cosignature over a checkpoint."""

KEY_TYPES = frozenset({ED25519, COSIGNATURE_V1})
NAME_BYTES_MAX = 200
"""Longest key name in UTF-8; with a suffix it still fits a file name of 255 bytes."""

VKEY_CHARACTERS_MAX = NAME_BYTES_MAX + 64
PRIVATE_KEY_PREFIX = "PRIVATE+KEY+"
PARSED_MAX = 1_024
"""Verifier keys kept parsed: a log is signed with the same few again and again."""

_NOT_IN_NAMES = re.compile(r"[\s\x00-\x1f+]")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key: who signs, the key type, and the 32-byte Ed25519 public key."""

    name: str
    key_type: int
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.key_type not in KEY_TYPES:
            refuse(f"key of {self.name}: expected type 0x01 or 0x04, got {self.key_type:#04x}")
        if len(self.public_key) != PUBLIC_KEY_BYTES:
            refuse(
                f"key of {self.name}: expected a public key of {PUBLIC_KEY_BYTES} bytes, "
                f"got {len(self.public_key)}"
            )

    @property
    def key_id(self) -> bytes:
        """First 4 bytes of SHA-256 over name, type and public key: an identifier, no security."""
        typed_key = bytes([self.key_type]) + self.public_key
        return sha256(self.name.encode() + b"\n" + typed_key).digest()[:KEY_ID_BYTES]


def format_vkey(key: VerifierKey) -> str:
    """Formats a verifier key as text."""
    typed_key = bytes([key.key_type]) + key.public_key
    return f"{key.name}+{key.key_id.hex()}+{encode_base64(typed_key)}"


@functools.lru_cache(maxsize=PARSED_MAX)
def parse_vkey(text: str) -> VerifierKey:
    """Parses a verifier key text without surrounding space.

    Raises: VALIDATION_FAILED when it is malformed or its name, id and key do not agree.
    """
    if text.startswith(PRIVATE_KEY_PREFIX):
        refuse("verifier key: got a private key; keep it secret and give the vkey text instead")
    if len(text) > VKEY_CHARACTERS_MAX:
        refuse(f"verifier key: expected at most {VKEY_CHARACTERS_MAX} characters, got {len(text)}")
    parts = text.split("+", 2)
    if len(parts) != 3:
        refuse("verifier key: expected a text like example.org/ledger+a0f5c1f0+AYqI...")
    name, key_id, encoded = parts
    check_name(name)
    typed_key = decode_base64(encoded, f"key of {name}")
    if not typed_key:
        refuse(f"key of {name}: expected a type and a public key, got nothing")
    key = VerifierKey(name, typed_key[0], typed_key[1:])
    if key.key_id.hex() != key_id:
        refuse(f"key of {name}: expected id {key.key_id.hex()} for this name and key, got another")
    return key


def check_name(name: str) -> None:
    """Checks a key name: not empty, no Unicode space, no `+`, no control character, valid UTF-8.

    Raises: VALIDATION_FAILED when it breaks a rule.
    """
    if not name:
        refuse("key name: expected a name such as example.org/ledger, got nothing")
    if _NOT_IN_NAMES.search(name):
        refuse("key name: expected no space, no control character and no '+'")
    if len(encode_utf8(name, "key name")) > NAME_BYTES_MAX:
        refuse(f"key name: expected at most {NAME_BYTES_MAX} bytes, got {len(name.encode())}")
