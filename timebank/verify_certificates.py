"""What `timebank verify` does with a certificate: recognising it, checking it, and saying what that
proves.

Owns: telling a signed certificate from the text of a QR code and from a PDF that carries one, and
the words. Refuses: reading files and writing to a terminal (see verification.py, verify_cli.py).
Rules: a page is never believed: of a PDF only the signed text inside is checked, and the words say
so. What a certificate cannot prove is always said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from timebank.certificates import (
    CERTIFICATE_HEADER,
    COMPACT_CHARACTERS_MAX,
    COMPACT_PREFIX,
    Certificate,
    CompactCertificate,
    ServiceLine,
    open_certificate,
    open_compact,
    parse_certificate_note,
    parse_compact,
)
from timebank.tlog.encoding import encode_base64
from timebank.tlog.refusal import refuse

_PDF_START = b"%PDF-"
_COMPACT_IN_PDF = re.compile(
    rf"{re.escape(COMPACT_PREFIX)}[A-Za-z0-9_-]{{1,{COMPACT_CHARACTERS_MAX}}}".encode()
)
_SPACES_MAX = 100
"""Most spaces and line ends that may stand around a scanned text."""


class Found(NamedTuple):
    """The signed text that a file is or carries, and whether it came out of a PDF."""

    text: str
    is_compact: bool
    in_pdf: bool = False


class CertificateInputs(NamedTuple):
    """A certificate that was given: parsed but not yet believed, its signed text, and the keys."""

    claimed: Certificate | CompactCertificate
    found: Found
    vkeys: tuple[str, ...]


class Findings(NamedTuple):
    """What is shown of a verified certificate: its fields, and what they prove and do not."""

    title: str
    rows: tuple[tuple[str, str], ...]
    proved: tuple[str, ...]
    unproved: tuple[str, ...]


def find_certificate(data: bytes) -> Found | None:
    """Recognises a signed certificate by its first line, the text of a QR code by `TBC1.`, and the
    latter inside a PDF; None when the bytes are none of these.

    Raises: VALIDATION_FAILED when a PDF carries no such text or several, or a text is not UTF-8.
    """
    if data.startswith(_PDF_START):
        return Found(_compact_in_pdf(data), is_compact=True, in_pdf=True)
    if data.startswith(f"{CERTIFICATE_HEADER}\n".encode()):
        return Found(_decode(data), is_compact=False)
    if data.startswith(COMPACT_PREFIX.encode()):
        text = data.rstrip()
        if len(data) - len(text) > _SPACES_MAX:
            refuse(f"certificate: expected at most {_SPACES_MAX} line ends after it, got more")
        return Found(_decode(text), is_compact=True)
    return None


def parse_found(found: Found) -> Certificate | CompactCertificate:
    """Parses what was found without believing it.

    Raises: VALIDATION_FAILED when it is malformed.
    """
    return parse_compact(found.text) if found.is_compact else parse_certificate_note(found.text)


def verify_certificate(inputs: CertificateInputs) -> Findings:
    """Checks a certificate with the given keys and says what it shows.

    Raises: VALIDATION_FAILED when the key of its log did not sign it.
    """
    if inputs.found.is_compact:
        compact = open_compact(inputs.found.text, inputs.vkeys)
        return _findings_of_compact(compact, in_pdf=inputs.found.in_pdf)
    return _findings_of_certificate(open_certificate(inputs.found.text, inputs.vkeys))


def _findings_of_certificate(certificate: Certificate) -> Findings:
    unproved = [*_always_unproved(certificate)]
    if certificate.lines:
        unproved.append(
            "That each service stands in the log: the receipt of its entry shows that. "
            "不证明各项记录已入账（须另验凭证）。"
        )
    return Findings(
        title="Certificate 志愿服务证明",
        rows=tuple((label, value) for label, value in _rows(certificate) if value),
        proved=(
            f"The holder of the key of {certificate.origin} certified these hours for this person. "
            "账本密钥持有者为此人开具了上述时长。",
            "Not one field or line of it was changed since. 各字段及明细自签名后未被改动。",
        ),
        unproved=tuple(unproved),
    )


def _findings_of_compact(compact: CompactCertificate, *, in_pdf: bool) -> Findings:
    page = "the pages of this PDF show" if in_pdf else "the paper around the code shows"
    return Findings(
        title="QR code of a certificate 志愿服务证明二维码",
        rows=(
            ("Number 编号", compact.number),
            ("Name (masked) 姓名（已隐去）", compact.name_masked),
            ("Volunteer number 志愿者编号", compact.volunteer_number),
            *_period_rows(compact),
            ("Issued 开具日期", compact.issued_on.isoformat()),
            ("Log 日志", compact.origin),
        ),
        proved=(
            f"The holder of the key of {compact.origin} certified these hours under this number. "
            "账本密钥持有者以此编号开具了上述时长。",
            "Number, masked name and hours were not changed since. "
            "编号、隐去的姓名与时长自签名后未被改动。",
        ),
        unproved=(
            f"That {page} the same: compare number, name and hours with those above, and ask for "
            "the signed text for all else. 不证明纸面其他内容与此一致，请逐项核对。",
            *_always_unproved(compact),
        ),
    )


def _always_unproved(certificate: Certificate | CompactCertificate) -> tuple[str, ...]:
    return (
        "That the hours were worked: evidence and four eyes show that. 不证明服务确实发生。",
        f"That it still holds: after {certificate.issued_on} it may have been revoked, or a record "
        "it cites corrected; ask the issuer. 不证明此后未被撤销或更正，请向开具单位核实。",
        "That whoever shows it is this person: compare an identity document. "
        "不证明出示者即本人，请核对身份证件。",
    )


def _rows(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """Lists what a certificate says, in reading order."""
    yield "Number 编号", certificate.number
    yield "Name 姓名", certificate.name
    yield "Identity document 证件", f"{certificate.id_type} {certificate.id_number_masked}".strip()
    yield "Volunteer number 志愿者编号", certificate.volunteer_number
    yield from _period_rows(certificate)
    if certificate.unlisted_minutes:
        yield "Of which not listed 未逐项列出", _duration(certificate.unlisted_minutes)
    yield "Issuer 开具单位", certificate.issuer
    yield "Person in charge 负责人", certificate.person_in_charge
    yield "Handler 经办人", certificate.handler
    yield "Contact 联系方式", certificate.contact
    yield "Issued 开具日期", certificate.issued_on.isoformat()
    yield "Note 备注", certificate.note
    yield "Policy 规则版本", certificate.policy
    yield "Ledger 账本", certificate.ledger_id
    yield "Log 日志", certificate.origin
    root = encode_base64(bytes.fromhex(certificate.log_root_hex))
    yield "Head of the log 日志长度与根", f"{certificate.log_size}, {root}"
    for line in certificate.lines:
        yield "Service 服务", _line(line)


def _period_rows(
    certificate: Certificate | CompactCertificate,
) -> Iterator[tuple[str, str]]:
    yield "Period 服务期间", f"{certificate.period_from} to {certificate.period_to}"
    yield "Hours 服务总时长", _duration(certificate.total_minutes)


def _line(line: ServiceLine) -> str:
    where = f", {line.place}" if line.place else ""
    record = f", record {line.record_id}" if line.record_id else ""
    duration = _duration(line.minutes)
    return f"{line.served_on}: {duration}, {line.activity}{where}{record}, entry {line.log_index}"


def _duration(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min ({minutes} minutes)"


def _compact_in_pdf(data: bytes) -> str:
    """Gives the one compact text that a PDF of ours carries in its keywords."""
    texts = set(_COMPACT_IN_PDF.findall(data))
    if len(texts) != 1:
        refuse(
            f"PDF: expected the text of one QR code inside it, got {len(texts)}; scan the code and "
            "give its text (TBC1.) in a file"
        )
    return _decode(texts.pop())


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        refuse("certificate: expected UTF-8 text, got other bytes", cause=error)
