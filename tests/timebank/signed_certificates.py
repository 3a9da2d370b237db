"""Valid certificates for tests, with the keys that sign them."""

import base64
import dataclasses
import zlib
from datetime import date
from typing import Any

from timebank.certificates import (
    Certificate,
    ServiceLine,
    compact_text,
    mask_id_number,
    sign_certificate,
)
from timebank.signing import Ed25519Signer
from timebank.tlog.note import Note, format_note, sign_text
from timebank.tlog.vkey import COSIGNATURE_V1

ORIGIN = "timebank.example/ledger"
SIGNER = Ed25519Signer.from_seed(ORIGIN, b"l" * 32)
OTHER = Ed25519Signer.from_seed("timebank.example/other", b"o" * 32)
WITNESS = Ed25519Signer.from_seed(ORIGIN, b"w" * 32, key_type=COSIGNATURE_V1)


def line(at: int = 0, **changes: Any) -> ServiceLine:
    """A service of half an hour."""
    valid = ServiceLine(
        activity="社区助老：陪同就医与每日探访",
        place="威海市环翠区竹岛街道",
        served_on=date(2026, 3, 1),
        minutes=30,
        record_id=f"record-{at}",
        log_index=at,
    )
    return dataclasses.replace(valid, **changes)


def certificate(**changes: Any) -> Certificate:
    """A valid certificate of 100 hours with two services."""
    valid = Certificate(
        number="ZM-2026-000123",
        ledger_id="weihai",
        origin=ORIGIN,
        volunteer_number="371000123456",
        name="张三丰",
        id_type="居民身份证",
        id_number_masked=mask_id_number("371002199001011234"),
        period_from=date(2026, 1, 1),
        period_to=date(2026, 11, 30),
        total_minutes=6_000,
        lines=(line(0), line(1)),
        issuer="威海市志愿服务联合会",
        person_in_charge="李四",
        handler="王五",
        contact="0631-1234567",
        issued_on=date(2026, 11, 30),
        note="仅用于升学",
        log_size=1_000,
        log_root_hex="ab" * 32,
        policy="national/1",
    )
    return dataclasses.replace(valid, **changes)


NOTE = sign_certificate(certificate(), SIGNER)
COMPACT = compact_text(certificate(), SIGNER)


def pack(note: bytes) -> str:
    """Packs any bytes as the text of a QR code."""
    return "TBC1." + base64.urlsafe_b64encode(zlib.compress(note)).decode().rstrip("=")


def signed(text: str) -> str:
    """Signs any text with the key of the log."""
    return format_note(Note(text, (sign_text(text, SIGNER),)))
