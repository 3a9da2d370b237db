r"""What a till signs, in the bytes that the contract of RedemptionService names.

Owns: the text of a call, of an enrolment and of a rotation, and the metadata that carries a
signature. Refuses: keys (see till_keys.py), time and randomness, which are given. Rules: every text
is lines in UTF-8, joined by "\n" and without one at the end; tests/vectors/merchant has examples of
each, which tills in other languages are checked with too. A field that holds a line feed is
refused, so that no two calls have the same bytes.
"""

import base64
import hashlib
from typing import NamedTuple

from google.protobuf.message import Message

from timebank.client.calls import Metadata
from timebank.errors import Reason, TimebankError

SCHEME = "TB1"
ENROL_SCHEME = "TB1-ENROL"
ROTATE_SCHEME = "TB1-ROTATE"
TERMINAL_KEY = "timebank-terminal"
TIMESTAMP_KEY = "timebank-timestamp"
NONCE_KEY = "timebank-nonce"
SIGNATURE_KEY = "timebank-signature"
NONCE_BYTES = 16
KEY_ID_LENGTH = 16
CODE_FIELDS = ("payment_code", "card_number", "code")
"""Fields of requests that hold a code; no request has two of them."""
SEPARATORS = " \t\r\n\u00a0\u3000-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
"""Spaces and hyphens that people type into a code, and the line feed that ends a scanner's."""

_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CODE = str.maketrans("０１２３４５６７８９", _DIGITS, SEPARATORS)
_ENROLMENT = str.maketrans(
    _LETTERS.lower() + "".join(chr(ord(one) + 0xFEE0) for one in _LETTERS + _LETTERS.lower()),
    _LETTERS * 3,
)


class TillCall(NamedTuple):
    """What is signed of a call; `amount` is points or minutes, `code` has no separators."""

    method: str
    request_id: str
    merchant_ref: str
    amount: int
    code: str
    timestamp_s: int
    nonce: str


def call_of(request: Message, *, timestamp_s: int, nonce: str) -> TillCall:
    """Reads what is signed out of a request; a field that its message lacks counts as unset."""
    fields = request.DESCRIPTOR.fields_by_name

    def text(name: str) -> str:
        return str(getattr(request, name)) if name in fields else ""

    return TillCall(
        method=request.DESCRIPTOR.name.removesuffix("Request"),
        request_id=text("request_id"),
        merchant_ref=text("merchant_ref"),
        amount=int(text("amount") or 0),
        code=next((code for name in CODE_FIELDS if (code := text(name))), ""),
        timestamp_s=timestamp_s,
        nonce=nonce,
    )


def call_text(call: TillCall) -> bytes:
    """Gives the bytes under the signature of a call. Raises VALIDATION_FAILED for a line feed."""
    digest = hashlib.sha256(call.code.encode()).hexdigest() if call.code else ""
    return _lines(
        SCHEME,
        call.method,
        call.request_id,
        call.merchant_ref,
        str(call.amount),
        digest,
        str(call.timestamp_s),
        call.nonce,
    )


def enrolment_text(terminal: str, code: str, public_key: bytes) -> bytes:
    """Gives the bytes that proves an enrolment; the code has been through clean_enrolment_code.

    Raises VALIDATION_FAILED for a line feed.
    """
    digest = hashlib.sha256(code.encode()).hexdigest()
    return _lines(ENROL_SCHEME, terminal, digest, to_base64url(public_key))


def rotation_text(terminal: str, old_key_id: str, public_key: bytes) -> bytes:
    """Gives the bytes that the old and the new key sign. Raises VALIDATION_FAILED as above."""
    return _lines(ROTATE_SCHEME, terminal, old_key_id, to_base64url(public_key))


def key_id_of(public_key: bytes) -> str:
    """Gives the id of a key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:KEY_ID_LENGTH]


def clean_code(typed: str) -> str:
    """Drops spaces and hyphens of a payment code, card number or voucher; narrows wide digits."""
    return typed.translate(_CODE)


def clean_enrolment_code(typed: str) -> str:
    """Drops spaces and hyphens of an enrolment code, and makes its letters narrow capitals."""
    return clean_code(typed).translate(_ENROLMENT)


def signature_metadata(terminal: str, call: TillCall, signature: bytes) -> Metadata:
    """Gives the four metadata keys of a signed call."""
    return (
        (TERMINAL_KEY, terminal),
        (TIMESTAMP_KEY, str(call.timestamp_s)),
        (NONCE_KEY, call.nonce),
        (SIGNATURE_KEY, to_base64url(signature)),
    )


def to_base64url(data: bytes) -> str:
    """Writes bytes in base64url without padding (RFC 4648 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _lines(*lines: str) -> bytes:
    for line in lines:
        if "\n" in line or "\r" in line:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"expected texts of one line, got {line[:60]!a}; a till signs a line for each",
            )
    return "\n".join(lines).encode("utf-8")
