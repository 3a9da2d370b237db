"""Certificates of volunteer service 志愿服务证明: how they are written, signed and opened.

Owns: the JSON text, the signed note it travels in, and the text of the QR code. Refuses: which
hours may be certified and whether a certificate was revoked (the ledger knows), and how it looks on
paper (see certificate_pdf.py).
Rules: the key that signs is that of the log, named like its origin; a certificate has one spelling,
and any other is refused; what a phone reads is a signed note of its own, with the name masked.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import NoReturn

from timebank.certificate_fields import Fields, parse_object
from timebank.certificate_models import LINES_MAX as LINES_MAX
from timebank.certificate_models import Certificate as Certificate
from timebank.certificate_models import CompactCertificate as CompactCertificate
from timebank.certificate_models import ServiceLine as ServiceLine
from timebank.certificate_models import mask_id_number as mask_id_number
from timebank.certificate_models import mask_name as mask_name
from timebank.errors import TimebankError
from timebank.tlog.encoding import decode_base64, encode_base64
from timebank.tlog.note import Note, Signer, format_note, parse_note, sign_text, verify_note
from timebank.tlog.refusal import refuse
from timebank.tlog.vkey import ED25519

CERTIFICATE_HEADER = "timebank.example/certificate@v1"
COMPACT_HEADER = "timebank.example/certificate-compact@v1"
COMPACT_PREFIX = "TBC1."
COMPACT_CHARACTERS_MAX = 2_331
"""Most that a QR code of the largest size holds at error correction M."""

COMPACT_NOTE_BYTES_MAX = 8_000
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


def format_certificate(certificate: Certificate) -> str:
    """Formats a certificate as its one JSON text: a line with sorted keys."""
    return _format_object(asdict(certificate))


def parse_certificate(text: str) -> Certificate:
    """Parses the JSON text of a certificate; believes nothing of it.

    Raises: VALIDATION_FAILED when it is malformed or spelt in another way.
    """
    fields = Fields("certificate", parse_object("certificate", text))
    certificate = Certificate(
        number=fields.text("number"),
        ledger_id=fields.text("ledger_id"),
        origin=fields.text("origin"),
        volunteer_number=fields.text("volunteer_number"),
        name=fields.text("name"),
        id_type=fields.text("id_type"),
        id_number_masked=fields.text("id_number_masked"),
        period_from=fields.day("period_from"),
        period_to=fields.day("period_to"),
        total_minutes=fields.number("total_minutes"),
        lines=tuple(_read_line(line) for line in fields.rows("lines", LINES_MAX)),
        issuer=fields.text("issuer"),
        person_in_charge=fields.text("person_in_charge"),
        handler=fields.text("handler"),
        contact=fields.text("contact"),
        issued_on=fields.day("issued_on"),
        note=fields.text("note"),
        log_size=fields.number("log_size"),
        log_root_hex=fields.text("log_root_hex"),
        policy=fields.text("policy"),
    )
    if format_certificate(certificate) != text:
        refuse("certificate: expected its one spelling: these keys alone, sorted, without spaces")
    return certificate


def sign_certificate(certificate: Certificate, signer: Signer) -> str:
    """Signs a certificate with the key of its log; gives the signed note.

    Raises: VALIDATION_FAILED when the key is another log's; what the signer raises.
    """
    return _sign(CERTIFICATE_HEADER, format_certificate(certificate), certificate.origin, signer)


def parse_certificate_note(text: str) -> Certificate:
    """Parses a signed certificate without checking its signature.

    Raises: VALIDATION_FAILED when it is malformed.
    """
    return parse_certificate(_body(parse_note(text), CERTIFICATE_HEADER))


def open_certificate(note: str, vkeys: Iterable[str]) -> Certificate:
    """Checks a signed certificate and gives what it says.

    Raises: VALIDATION_FAILED when it is malformed or the key of its log did not sign it.
    """
    certificate = parse_certificate_note(note)
    _verify(parse_note(note), certificate.origin, vkeys)
    return certificate


def compact_of(certificate: Certificate) -> CompactCertificate:
    """Takes out of a certificate what its QR code carries; the name is masked."""
    return CompactCertificate(
        number=certificate.number,
        origin=certificate.origin,
        volunteer_number=certificate.volunteer_number,
        name_masked=mask_name(certificate.name),
        total_minutes=certificate.total_minutes,
        period_from=certificate.period_from,
        period_to=certificate.period_to,
        issued_on=certificate.issued_on,
    )


def compact_note(certificate: Certificate, signer: Signer) -> str:
    """Signs what the QR code carries as a small note of its own.

    Raises: VALIDATION_FAILED when the key is another log's; what the signer raises.
    """
    body = _format_object(asdict(compact_of(certificate)))
    return _sign(COMPACT_HEADER, body, certificate.origin, signer)


def compact_text(certificate: Certificate, signer: Signer) -> str:
    """Makes the text of the QR code: `TBC1.` and the compact note, deflated, as base64url.

    Raises: as `compact_note`.
    """
    data = zlib.compress(compact_note(certificate, signer).encode(), 9)
    encoded = encode_base64(data).rstrip("=").replace("+", "-").replace("/", "_")
    return f"{COMPACT_PREFIX}{encoded}"


def parse_compact(text: str) -> CompactCertificate:
    """Parses the text of a QR code without checking its signature.

    Raises: VALIDATION_FAILED when it is malformed.
    """
    return _parse_compact_note(_unpack(text))


def open_compact(text: str, vkeys: Iterable[str]) -> CompactCertificate:
    """Checks the text of a QR code and gives what it says.

    Raises: VALIDATION_FAILED when it is malformed or the key of its log did not sign it.
    """
    note = _unpack(text)
    compact = _parse_compact_note(note)
    _verify(parse_note(note), compact.origin, vkeys)
    return compact


def _read_line(fields: Fields) -> ServiceLine:
    return ServiceLine(
        activity=fields.text("activity"),
        place=fields.text("place"),
        served_on=fields.day("served_on"),
        minutes=fields.number("minutes"),
        record_id=fields.text("record_id"),
        log_index=fields.number("log_index"),
    )


def _parse_compact_note(note: str) -> CompactCertificate:
    text = _body(parse_note(note), COMPACT_HEADER)
    fields = Fields("compact certificate", parse_object("compact certificate", text))
    compact = CompactCertificate(
        number=fields.text("number"),
        origin=fields.text("origin"),
        volunteer_number=fields.text("volunteer_number"),
        name_masked=fields.text("name_masked"),
        total_minutes=fields.number("total_minutes"),
        period_from=fields.day("period_from"),
        period_to=fields.day("period_to"),
        issued_on=fields.day("issued_on"),
    )
    if _format_object(asdict(compact)) != text:
        refuse("compact certificate: expected its one spelling: these keys alone, sorted")
    return compact


def _unpack(text: str) -> str:
    """Gives the note inside a compact text."""
    encoded = text.removeprefix(COMPACT_PREFIX)
    if len(text) > COMPACT_CHARACTERS_MAX or not text.startswith(COMPACT_PREFIX):
        _refuse_compact(f"expected {COMPACT_PREFIX} and at most {COMPACT_CHARACTERS_MAX} letters")
    if not _BASE64URL.fullmatch(encoded):
        _refuse_compact("expected base64url after the prefix")
    padded = encoded.replace("-", "+").replace("_", "/") + "=" * (-len(encoded) % 4)
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(
            decode_base64(padded, "compact certificate"), COMPACT_NOTE_BYTES_MAX
        )
        if not inflater.eof or inflater.unused_data:
            _refuse_compact(f"expected one deflated note of at most {COMPACT_NOTE_BYTES_MAX} bytes")
        return data.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        _refuse_compact("expected a deflated note in UTF-8", error)


def _refuse_compact(text: str, cause: Exception | None = None) -> NoReturn:
    refuse(f"compact certificate: {text}", cause=cause)


def _format_object(values: dict[str, object]) -> str:
    """Formats an object in its one spelling; dates are ISO dates."""
    return (
        json.dumps(
            values,
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
            default=date.isoformat,
        )
        + "\n"
    )


def _sign(header: str, body: str, origin: str, signer: Signer) -> str:
    if signer.name != origin:
        refuse(f"certificate of {origin}: expected the key of that log, got one of {signer.name}")
    text = f"{header}\n{body}"
    return format_note(Note(text, (sign_text(text, signer),)))


def _body(note: Note, header: str) -> str:
    """Gives the text of a note below its first line."""
    first, _, body = note.text.partition("\n")
    if first != header:
        refuse(f"certificate: expected {header} on the first line")
    return body


def _verify(note: Note, origin: str, vkeys: Iterable[str]) -> None:
    """Checks that the key of the log signed; a witness or another log is not enough."""
    try:
        signatures = verify_note(note, vkeys)
    except TimebankError as error:
        refuse(f"certificate of {origin}: {error.message}", cause=error)
    if not any(found.key.name == origin and found.key.key_type == ED25519 for found in signatures):
        refuse(f"certificate of {origin}: expected a signature by the key of that log")
