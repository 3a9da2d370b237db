"""Detached signatures of settlement files: a JWS in compact form without its payload.

Owns: the text that is signed, and the form of header and signature. Refuses: keys, signing and
verifying (see timebank.signing).
Rules: the payload is the file's SHA-256 in lower-case hex, 64 characters, not the file itself,
which may be large: `sha256sum` gives the payload. It is signed unencoded (RFC 7797: b64 false, and
named in crit), and left out of the text (RFC 7515 appendix F): `header..signature`. The algorithm
is EdDSA with Ed25519 (RFC 8037 3.1) and nothing else, whatever a header says.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Callable
from typing import NamedTuple

from timebank.errors import Reason, TimebankError

JWS_CHARACTERS_MAX = 2_048
SIGNATURE_BYTES = 64
_SHA256 = re.compile("[0-9a-f]{64}")
_KID = re.compile("[!-~]{1,200}")
_MEMBERS = [("alg", "EdDSA"), ("b64", False), ("crit", ["b64"])]


class DetachedJws(NamedTuple):
    """A parsed detached JWS: whose key, what of a digest was signed, and the signature."""

    kid: str
    signing_input: Callable[[str], bytes]
    signature: bytes


def jws_protected_header(kid: str) -> str:
    """Writes the protected header of a detached EdDSA signature, in base64url (RFC 7797 6).

    Raises VALIDATION_FAILED for a key id that is not 1 to 200 visible ASCII characters.
    """
    _check_kid(kid)
    header = {"alg": "EdDSA", "b64": False, "crit": ["b64"], "kid": kid}
    return _to_base64url(json.dumps(header, separators=(",", ":")).encode("ascii"))


def jws_signing_input(header: str, digest_hex: str) -> bytes:
    """Gives what is signed: RFC 7797 3, with the file's SHA-256 as 64 digits of lower-case hex as
    the payload, not the file itself, which may be large.

    Raises VALIDATION_FAILED for a digest of another form.
    """
    if _SHA256.fullmatch(digest_hex) is None:
        raise _refusal("digest", f"expected 64 digits of hex, got {digest_hex[:80]!r}")
    return f"{header}.{digest_hex}".encode("ascii")


def detached_jws(header: str, signature: bytes) -> str:
    """Joins a protected header and a signature of 64 bytes: RFC 7515 appendix F.

    Raises VALIDATION_FAILED for a signature of another length.
    """
    if len(signature) != SIGNATURE_BYTES:
        expected = f"expected {SIGNATURE_BYTES} bytes of Ed25519"
        raise _refusal("signature", f"{expected}, got {len(signature)}")
    return f"{header}..{_to_base64url(signature)}"


def parse_detached_jws(text: str) -> DetachedJws:
    """Reads a detached JWS without verifying it. It must have the four members of our header and
    no other, for a member that is not understood must not be ignored (RFC 7515 4.1.11).

    Raises VALIDATION_FAILED for anything else.
    """
    parts = text.split(".")
    if len(text) > JWS_CHARACTERS_MAX or len(parts) != 3 or parts[1]:
        raise _refusal("jws", "expected header..signature of a detached JWS")
    signature = _from_base64url("signature", parts[2])
    if len(signature) != SIGNATURE_BYTES:
        expected = f"expected {SIGNATURE_BYTES} bytes of Ed25519"
        raise _refusal("signature", f"{expected}, got {len(signature)}")
    try:
        # Pairs, so that a member that stands twice is seen; a type error is such a pair of pairs.
        pairs: object = json.loads(
            _from_base64url("header", parts[0]).decode("utf-8"), object_pairs_hook=sorted
        )
    except (ValueError, RecursionError, TypeError) as error:
        raise _refusal("header", "expected a JSON object, each member once") from error
    # False equals 0 in Python, but not in JSON.
    if not isinstance(pairs, list) or pairs[:-1] != _MEMBERS or pairs[1][1] is not False:
        raise _refusal("header", 'expected alg EdDSA, b64 false, crit ["b64"] and a kid')
    name, kid = pairs[-1]
    if name != "kid" or not isinstance(kid, str):
        raise _refusal("header", "expected a kid that is text")
    _check_kid(kid)
    return DetachedJws(kid, functools.partial(jws_signing_input, parts[0]), signature)


def _check_kid(kid: str) -> None:
    if _KID.fullmatch(kid) is None:
        raise _refusal("kid", f"expected 1 to 200 visible ASCII characters, got {kid[:40]!r}")


def _to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(field: str, text: str) -> bytes:
    """Reads base64url without padding (RFC 7515 2), in the one form that each value has."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _refusal(field, "expected base64url without padding") from error
    if _to_base64url(data) != text:
        raise _refusal(field, "expected base64url without padding")
    return data


def _refusal(field: str, text: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )
