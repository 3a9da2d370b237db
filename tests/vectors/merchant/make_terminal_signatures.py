"""Writes terminal_signatures.json: what tills sign, and the signatures.

It knows nothing of the product: it joins the lines itself, as a till in another language would.
Seed i is 32 bytes of the value i. Run it here:
python make_terminal_signatures.py > terminal_signatures.json
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
RANDOM = "Zm9yIHRoZSB0aWxs"
TERMINAL = "ledgers/weihai/merchants/barber/terminals/till-1"
FIRST = "4df14000-8000-4000-8000-00000000000a"
SECOND = "9b2e6d1c-5f0a-4c77-b1de-0123456789ab"
CODE = "701234567890123457"
CARD = "8012345678901230"
CALLS = (
    ("a code", 1, "RedeemPoints", FIRST, "2026-000001", "35", CODE, "1767225600", RANDOM),
    ("another key", 2, "RedeemPoints", FIRST, "2026-000001", "35", CODE, "1767225600", RANDOM),
    ("Chinese", 1, "RedeemPoints", FIRST, "理发-二〇二六（一）", "35", CODE, "1767225600", RANDOM),
    ("beyond 16 bits", 1, "RedeemPoints", FIRST, "𠮷野家-😀", "35", CODE, "1767225600", RANDOM),
    ("composed", 1, "RedeemPoints", FIRST, "caf\u00e9 1", "35", CODE, "1767225600", RANDOM),
    ("decomposed", 1, "RedeemPoints", FIRST, "cafe\u0301 1", "35", CODE, "1767225600", RANDOM),
    ("a card", 3, "AuthorizeRedemption", SECOND, "A/7", "200", CARD, "1767225601", RANDOM),
    ("no code", 3, "VoidRedemption", SECOND, "A/7", "0", "", "1767225602", RANDOM),
    ("no reference", 3, "SubmitOfflineRedemptions", SECOND, "", "0", "", "1767225603", RANDOM),
    (
        *("all of 64 bits", 4, "CaptureRedemption", SECOND, "A/8"),
        *("9223372036854775807", "", "1767225604", RANDOM),
    ),
    (
        *("above 53 bits", 4, "RefundRedemption", SECOND, "A/8"),
        *("9007199254740993", "", "1767225605", RANDOM),
    ),
    ("request in capitals", 5, "ReverseRedemption", SECOND.upper(), "B", "35", "", "1", RANDOM),
    ("year 9999", 5, "ReverseRedemption", SECOND, "B", "35", "", "253402300799", RANDOM),
    (
        *("longest nonce", 6, "RedeemPoints", SECOND, "C", "1", CODE, "1767225606"),
        PUNCTUATION + PUNCTUATION,
    ),
    ("spaces stay", 6, "RedeemPoints", SECOND, " C  1 ", "1", CODE, "1767225607", RANDOM),
    ("longest reference", 7, "RedeemPoints", SECOND, "次" * 128, "1", CODE, "1767225608", RANDOM),
)
ENROLMENTS = (("enrolment", 8, TERMINAL, "K7QWX2M9"), ("Chinese name", 9, "终端/一号", "22222222"))
ROTATIONS = (("rotation", 8, 10, TERMINAL), ("rotation again", 10, 11, TERMINAL))


def key(seed: int) -> Ed25519PrivateKey:
    """Makes the private key of a seed."""
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public(seed: int) -> bytes:
    """Gives the 32 bytes of the public key of a seed."""
    return key(seed).public_key().public_bytes_raw()


def base64url(data: bytes) -> str:
    """Writes bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(seed: int, lines: list[str]) -> dict[str, str]:
    """Gives the key, the text of the lines and the signature."""
    text = "\n".join(lines).encode()
    return {
        "seed_hex": (bytes([seed]) * 32).hex(),
        "public_key_hex": public(seed).hex(),
        "canonical_hex": text.hex(),
        "signature_hex": key(seed).sign(text).hex(),
    }


def till_call(call: tuple[str, int, str, str, str, str, str, str, str]) -> dict[str, str]:
    """Gives the vector of a call."""
    name, seed, method, request_id, merchant_ref, amount, code, timestamp, nonce = call
    digest = hashlib.sha256(code.encode()).hexdigest() if code else ""
    lines = ["TB1", method, request_id, merchant_ref, amount, digest, timestamp, nonce]
    fields = {
        "name": name,
        "method": method,
        "request_id": request_id,
        "merchant_ref": merchant_ref,
        "amount": amount,
        "code": code,
        "timestamp": timestamp,
        "nonce": nonce,
    }
    return fields | signed(seed, lines)


def enrolment(name: str, seed: int, terminal: str, code: str) -> dict[str, str]:
    """Gives the vector of an enrolment."""
    digest = hashlib.sha256(code.encode()).hexdigest()
    lines = ["TB1-ENROL", terminal, digest, base64url(public(seed))]
    return {"name": name, "terminal": terminal, "code": code} | signed(seed, lines)


def rotation(name: str, old: int, new: int, terminal: str) -> dict[str, str]:
    """Gives the vector of a rotation; the signature of the new key stands beside the old one's."""
    key_id = hashlib.sha256(public(old)).hexdigest()[:16]
    lines = ["TB1-ROTATE", terminal, key_id, base64url(public(new))]
    by_new = signed(new, lines)
    fields = {"name": name, "terminal": terminal, "old_key_id": key_id}
    return fields | signed(old, lines) | {f"new_{field}": by_new[field] for field in by_new}


def main() -> None:
    """Writes the file to the standard output."""
    vectors = {
        "made_by": "make_terminal_signatures.py",
        "till_calls": [till_call(call) for call in CALLS],
        "enrolments": [enrolment(*item) for item in ENROLMENTS],
        "rotations": [rotation(*item) for item in ROTATIONS],
    }
    text = json.dumps(vectors, ensure_ascii=True, indent=1) + "\n"
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
