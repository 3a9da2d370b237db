r"""Enrolment codes: eight characters that turn a till's new key into a terminal's.

Owns: how a code is made, read and judged, and what a terminal signs to prove that it holds a key.
Refuses: keeping a code; only its digest is stored. Rules: the merchant's administrator gets a code,
it is good for 15 minutes and once, and a newer one replaces it. The proofs are these lines in
UTF-8, joined by "\n" and without one at the end; keys are 43 characters of base64url (RFC 4648 5)
without padding:

    TB1-ENROL                                   TB1-ROTATE
    name of the terminal                        name of the terminal
    SHA-256 of the code, in hexadecimal         id of the old key
    new key                                     new key

The new key signs the first; the old and the new key both sign the second. Times are microseconds
since 1970 UTC, 0 where a thing did not happen.
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

from merchant.domain.payment_codes import (
    SEPARATORS,
    TYPED_CHARACTERS_MAX,
    CodeVerdict,
    keyed_digest,
    number_below,
)
from merchant.domain.terminal_signatures import PUBLIC_KEY_BYTES, check_line, signed_lines
from timebank.errors import Reason, TimebankError

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without 0 O, 1 I L, and U, which is read as V."""
CODE_LENGTH = 8
CODE_LIFE_US = 15 * 60 * 1_000_000
ENROL_SCHEME = "TB1-ENROL"
ROTATE_SCHEME = "TB1-ROTATE"
TERMINAL_CHARACTERS_MAX = 256
KEY_ID_LENGTH = 16

_WIDE = "".join(chr(ord(character) + 0xFEE0) for character in ALPHABET + ALPHABET.lower())
_TYPED = str.maketrans(ALPHABET.lower() + _WIDE, ALPHABET * 3, SEPARATORS)
"""Only these change: str.upper would also make an S of the long s."""


class EnrolmentCode(NamedTuple):
    """What is known of a code; `replaced_us` is when the terminal got a newer one."""

    digest: bytes
    terminal: str
    issued_us: int
    used_us: int = 0
    replaced_us: int = 0


def make_code(random: bytes) -> str:
    """Writes a code; it is drawn from payment_codes.RANDOM_BYTES bytes, each equally likely."""
    number = number_below(random, len(ALPHABET) ** CODE_LENGTH)
    characters = []
    for _ in range(CODE_LENGTH):
        number, index = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[index])
    return "".join(reversed(characters))


def is_well_formed(code: str) -> bool:
    """Says whether a normalised text is a code, issued or not."""
    return len(code) == CODE_LENGTH and all(character in ALPHABET for character in code)


def normalise(typed: str) -> str:
    """Drops spaces and hyphens from what somebody typed, and makes letters narrow capitals.

    Everything else stays. Raises VALIDATION_FAILED for more than TYPED_CHARACTERS_MAX characters.
    """
    if len(typed) > TYPED_CHARACTERS_MAX:
        raise _malformed()
    return typed.translate(_TYPED)


def digest_of(key: bytes, ledger: str, code: str) -> bytes:
    """Gives the 32 bytes under which a ledger keeps a normalised code.

    Raises VALIDATION_FAILED for a text that is no code.
    """
    _check_code(code)
    return keyed_digest(key, "enrolment-code", ledger, code)


def judge(code: EnrolmentCode | None, now_us: int) -> CodeVerdict:
    """Says what a code is now, None being one that nobody knows; a used one is so for ever."""
    if code is None:
        return CodeVerdict.UNKNOWN
    if code.used_us:
        return CodeVerdict.USED
    if code.replaced_us:
        return CodeVerdict.REPLACED
    return CodeVerdict.EXPIRED if now_us - code.issued_us > CODE_LIFE_US else CodeVerdict.GOOD


def enrolment_text(terminal: str, code: str, public_key: bytes) -> bytes:
    """Gives the bytes that a till signs with its new key to enrol; the code is normalised.

    Raises VALIDATION_FAILED when the name, the code or the 32 bytes of the key are malformed.
    """
    _check_terminal(terminal)
    _check_code(code)
    digest = hashlib.sha256(code.encode()).hexdigest()
    return signed_lines(ENROL_SCHEME, terminal, digest, _key_text(public_key))


def rotation_text(terminal: str, old_key_id: str, new_public_key: bytes) -> bytes:
    """Gives the bytes that a terminal signs with its old key, which allows the new one, and with
    the new one, which proves that it has it.

    Raises VALIDATION_FAILED when the name, the id or the 32 bytes of the key are malformed.
    """
    _check_terminal(terminal)
    if len(old_key_id) != KEY_ID_LENGTH or set(old_key_id) - set("0123456789abcdef"):
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"key_id: expected {KEY_ID_LENGTH} lower-case hexadecimal digits,"
            f" got {old_key_id[:40]!a}",
            field="key_id",
        )
    return signed_lines(ROTATE_SCHEME, terminal, old_key_id, _key_text(new_public_key))


def key_id_of(public_key: bytes) -> str:
    """Gives the id of a key: the first 16 hexadecimal digits of its SHA-256.

    Raises VALIDATION_FAILED for anything but 32 bytes.
    """
    _check_key(public_key)
    return hashlib.sha256(public_key).hexdigest()[:KEY_ID_LENGTH]


def _key_text(public_key: bytes) -> str:
    _check_key(public_key)
    return base64.urlsafe_b64encode(public_key).decode().rstrip("=")


def _check_key(public_key: bytes) -> None:
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"public_key: expected the {PUBLIC_KEY_BYTES} bytes of an Ed25519 key,"
            f" got {len(public_key)}",
            field="public_key",
        )


def _check_terminal(terminal: str) -> None:
    if not terminal:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "terminal: expected the name of a terminal, got none",
            field="terminal",
        )
    check_line("terminal", terminal, TERMINAL_CHARACTERS_MAX)


def _check_code(code: str) -> None:
    if not is_well_formed(code):
        raise _malformed()


def _malformed() -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED,
        f"enrolment code: expected {CODE_LENGTH} of the characters {ALPHABET}; type it again",
        field="enrolment_code",
    )
