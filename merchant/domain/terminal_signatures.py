r"""What a till signs: the text of a call, its time and its nonce.

Owns: the bytes under a signature, how old they may be, and which nonces a terminal has used.
Refuses: holding keys and checking Ed25519 (RFC 8032), which the caller does. Rules: a till in any
language makes the same bytes of the same call. They are these lines in UTF-8, joined by "\n" and
without one at the end; tests/vectors/merchant has examples:

    TB1
    method         name of the rpc, such as RedeemPoints
    request_id     the UUID as it is sent
    merchant_ref   as it is sent, not normalised; empty for a call that has none
    amount         decimal, no sign, no leading zero: points, or minutes for an offer in TIME;
                   0 for a call that has none
    code           SHA-256 of the code or card number as ASCII digits without separators, 64
                   lower-case hexadecimal digits; empty for a call without a code
    timestamp      decimal Unix seconds, UTC
    nonce          16 to 64 visible ASCII characters, another one for each signature

A retry is signed again, with a new time and nonce and the same request_id. No field can hold a line
feed, so that no two calls have the same bytes. The order of checks is: time, signature, nonce; only
a call that its terminal did sign uses up a nonce.
"""

from __future__ import annotations

import enum
import hashlib
import re
import unicodedata
from typing import NamedTuple

from timebank.errors import Reason, TimebankError
from timebank.ids import uuid_bytes
from timebank.units import INT64_MAX

SCHEME = "TB1"
SKEW_US = 300_000_000
"""How far a till's clock may be off, either way."""
NONCE_LIFE_US = 2 * SKEW_US
"""A call signed SKEW ahead is good until SKEW after its time; so long its nonce is remembered."""
NONCES_MAX = 20_000
"""Most calls of a terminal within NONCE_LIFE_US: thirty a second."""
MERCHANT_REF_CHARACTERS_MAX = 128
CODE_CHARACTERS_MAX = 64
TIMESTAMP_S_MAX = 253_402_300_799
"""The end of the year 9999."""
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_METHOD = re.compile(r"[A-Z][A-Za-z]{1,63}")
_NONCE = re.compile(r"[!-~]{16,64}")
_CODE = re.compile(r"[0-9A-Za-z]*")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, formats (also those that turn the direction), halves of surrogate
pairs, and the separators of lines and paragraphs."""


class TillCall(NamedTuple):
    """What a till signs of a call; `code` is normalised, `amount` is points or minutes."""

    method: str
    request_id: str
    merchant_ref: str
    amount: int
    code: str
    timestamp_s: int
    nonce: str


class TimeVerdict(enum.Enum):
    """How the time of a signature stands to ours."""

    GOOD = "GOOD"
    TOO_OLD = "TOO_OLD"
    TOO_NEW = "TOO_NEW"


class NonceVerdict(enum.Enum):
    """Whether a terminal may use a nonce."""

    FRESH = "FRESH"
    SAME = "SAME"
    REPEATED = "REPEATED"
    TOO_MANY = "TOO_MANY"


class NonceWindow:
    """The nonces of one terminal with their times and signatures: at most NONCES_MAX."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, bytes]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, nonce: str, signature: bytes, now_us: int) -> NonceVerdict:
        """Says whether a nonce is fresh, and remembers it; the same nonce with the same signature
        is the same call once more.

        A nonce is forgotten when it is older than NONCE_LIFE_US, never to make room: a full window
        answers TOO_MANY until its oldest goes, because dropping one would let its call be replayed.
        """
        seen = self._seen
        while seen and now_us - seen[oldest := next(iter(seen))][0] > NONCE_LIFE_US:
            del seen[oldest]
        known = seen.get(nonce)
        if known is not None:
            return NonceVerdict.SAME if known[1] == signature else NonceVerdict.REPEATED
        if len(seen) >= NONCES_MAX:
            return NonceVerdict.TOO_MANY
        seen[nonce] = (now_us, signature)
        return NonceVerdict.FRESH


def canonical_text(call: TillCall) -> bytes:
    """Gives the bytes that a terminal signs of a call.

    Raises VALIDATION_FAILED for the first field, in the order of the lines, that is malformed.
    """
    _check(call)
    digest = hashlib.sha256(call.code.encode()).hexdigest() if call.code else ""
    return signed_lines(
        SCHEME,
        call.method,
        call.request_id,
        call.merchant_ref,
        str(call.amount),
        digest,
        str(call.timestamp_s),
        call.nonce,
    )


def check_time(timestamp_s: int, now_us: int) -> TimeVerdict:
    """Says whether the time of a signature is within five minutes of ours, both ends included."""
    ahead_us = timestamp_s * 1_000_000 - now_us
    if ahead_us > SKEW_US:
        return TimeVerdict.TOO_NEW
    return TimeVerdict.TOO_OLD if ahead_us < -SKEW_US else TimeVerdict.GOOD


def signed_lines(*lines: str) -> bytes:
    """Joins lines that were checked; see check_line."""
    return "\n".join(lines).encode("utf-8")


def check_line(field: str, text: str, characters_max: int) -> None:
    """Checks that a text fits on a line of what is signed; it may be empty.

    Raises VALIDATION_FAILED for a text that is too long or has a character that cannot be seen,
    such as a line feed.
    """
    if len(text) > characters_max:
        raise _malformed(field, f"at most {characters_max} characters", f"{len(text)}")
    if text.isprintable():
        return  # none of them is unseen; some that are seen, as a wide space, are not printable
    for index, character in enumerate(text):
        if unicodedata.category(character) in _UNSEEN:
            got = f"U+{ord(character):04X} at {index}"
            raise _malformed(field, "characters that can be seen", got)


def _check(call: TillCall) -> None:
    if not _METHOD.fullmatch(call.method):
        raise _malformed("method", "the name of an rpc", ascii(call.method[:80]))
    uuid_bytes(call.request_id)
    check_line("merchant_ref", call.merchant_ref, MERCHANT_REF_CHARACTERS_MAX)
    if not 0 <= call.amount <= INT64_MAX:
        raise _malformed("amount", f"from 0 to {INT64_MAX}", "another number")
    if len(call.code) > CODE_CHARACTERS_MAX or not _CODE.fullmatch(call.code):
        raise _malformed("code", "letters and digits without separators", "another text")
    if not 0 <= call.timestamp_s <= TIMESTAMP_S_MAX:
        raise _malformed("timestamp", "Unix seconds, not milliseconds", "another number")
    if not _NONCE.fullmatch(call.nonce):
        raise _malformed("nonce", "16 to 64 visible ASCII characters", ascii(call.nonce[:80]))


def _malformed(field: str, expected: str, got: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: expected {expected}, got {got}", field=field
    )
