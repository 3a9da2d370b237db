"""What a certificate of volunteer service 志愿服务证明 says, whole and for a QR code.

Owns: its fields (1) to (4), their limits, and masking. Refuses: how it is written and signed (see
certificates.py).
Rules: identity numbers are masked before they get here; services lie in the period and in the log
as far as it is cited. The lines may add up to less than the total (the rest is not listed), never
to more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from timebank.certificate_fields import check_count, check_text, refuse_field
from timebank.tlog.merkle import HASH_BYTES, TREE_SIZE_MAX
from timebank.tlog.vkey import check_name
from timebank.units import INT64_MAX

LINES_MAX = 2_000
_MASK = "*"
_ROOT = re.compile(rf"[0-9a-f]{{{2 * HASH_BYTES}}}")
_REQUIRED = {
    "number": 64,
    "ledger_id": 64,
    "volunteer_number": 64,
    "name": 100,
    "issuer": 200,
    "person_in_charge": 100,
    "handler": 100,
    "contact": 200,
}
"""Texts that must be there, and the most characters of each."""

_OPTIONAL = {"id_type": 40, "id_number_masked": 40, "note": 500, "policy": 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLine:
    """One service: the activity, where and when, the minutes credited, and where it stands."""

    activity: str
    place: str
    served_on: date
    minutes: int
    record_id: str
    log_index: int

    def __post_init__(self) -> None:
        check_text("lines.activity", self.activity, 200, required=True)
        check_text("lines.place", self.place, 200)
        check_text("lines.record_id", self.record_id, 128)
        check_count("lines.minutes", self.minutes, 1, INT64_MAX)
        check_count("lines.log_index", self.log_index, 0, TREE_SIZE_MAX - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A whole certificate: who (1), hours and content (2), issuer (3), number, date, note (4), and
    the head of the log that the lines stand in; `policy` names the rules the hours were counted by.
    """

    number: str
    ledger_id: str
    origin: str
    volunteer_number: str
    name: str
    id_type: str
    id_number_masked: str
    period_from: date
    period_to: date
    total_minutes: int
    lines: tuple[ServiceLine, ...]
    issuer: str
    person_in_charge: str
    handler: str
    contact: str
    issued_on: date
    note: str
    log_size: int
    log_root_hex: str
    policy: str

    def __post_init__(self) -> None:
        check_name(self.origin)
        for field, characters_max in _REQUIRED.items():
            check_text(field, getattr(self, field), characters_max, required=True)
        for field, characters_max in _OPTIONAL.items():
            check_text(field, getattr(self, field), characters_max)
        if 2 * self.id_number_masked.count(_MASK) < len(self.id_number_masked):
            refuse_field("id_number_masked", "expected at least half of it masked with *")
        _check_period(self.period_from, self.period_to)
        check_count("total_minutes", self.total_minutes, 1, INT64_MAX)
        check_count("log_size", self.log_size, 1, TREE_SIZE_MAX)
        if not _ROOT.fullmatch(self.log_root_hex):
            refuse_field("log_root_hex", f"expected {2 * HASH_BYTES} hexadecimal digits")
        self._check_lines()

    def _check_lines(self) -> None:
        if len(self.lines) > LINES_MAX:
            refuse_field("lines", f"expected at most {LINES_MAX}, got {len(self.lines)}")
        for line in self.lines:
            if not self.period_from <= line.served_on <= self.period_to:
                refuse_field(
                    "lines.served_on",
                    f"expected {self.period_from} to {self.period_to}, got {line.served_on}",
                )
            if line.log_index >= self.log_size:
                refuse_field(
                    "lines.log_index",
                    f"expected one below the log size {self.log_size}, got {line.log_index}",
                )
        if self.unlisted_minutes < 0:
            listed = self.total_minutes - self.unlisted_minutes
            refuse_field(
                "total_minutes",
                f"expected at least the {listed} minutes of the lines, got {self.total_minutes}",
            )

    @property
    def unlisted_minutes(self) -> int:
        """Gives the minutes of the total that no line accounts for."""
        return self.total_minutes - sum(line.minutes for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactCertificate:
    """What the QR code carries: enough to know the certificate and the person before one."""

    number: str
    origin: str
    volunteer_number: str
    name_masked: str
    total_minutes: int
    period_from: date
    period_to: date
    issued_on: date

    def __post_init__(self) -> None:
        check_name(self.origin)
        check_text("number", self.number, _REQUIRED["number"], required=True)
        check_text(
            "volunteer_number",
            self.volunteer_number,
            _REQUIRED["volunteer_number"],
            required=True,
        )
        check_text("name_masked", self.name_masked, _REQUIRED["name"], required=True)
        if _MASK not in self.name_masked:
            refuse_field("name_masked", "expected a name masked with *")
        check_count("total_minutes", self.total_minutes, 1, INT64_MAX)
        _check_period(self.period_from, self.period_to)


def mask_id_number(number: str) -> str:
    """Masks an identity number: of 18 digits the first and last four stay, of a shorter one a
    quarter at each end.
    """
    kept = min(4, len(number) // 4)
    return f"{number[:kept]}{_MASK * (len(number) - 2 * kept)}{number[len(number) - kept :]}"


def mask_name(name: str) -> str:
    """Masks a name: its first character stays, unless it is the only one."""
    return f"{name[0]}{_MASK * (len(name) - 1)}" if len(name) > 1 else _MASK * len(name)


def _check_period(first: date, last: date) -> None:
    if first > last:
        refuse_field("period_to", f"expected {first} or later, got {last}")
