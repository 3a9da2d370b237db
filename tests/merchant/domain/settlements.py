"""Settlement files to test with."""

import hashlib
from collections.abc import Iterable, Sequence

from merchant.domain.remainders import fen_of_lines
from merchant.domain.settlement_files import (
    SettlementFile,
    SettlementFileWriter,
    read_settlement_file,
)
from merchant.domain.settlement_records import LineKind, SettlementHeader, SettlementLine

HEADER = SettlementHeader("hangzhou", "m-01", "2026-03-01", 7, 85, "")
TIME_US = 1_772_330_400_000_000
"""2026-03-01T02:00:00Z."""


def line(
    points: int = 120, *, ref: str = "A-1", redemption_id: str = "m-01/r1", minutes: int = 0
) -> SettlementLine:
    kind = LineKind.REDEMPTION if points + minutes > 0 else LineKind.REFUND
    return SettlementLine(kind, redemption_id, ref, "", TIME_US, points, minutes, 0)


def valued(
    lines: Sequence[SettlementLine], header: SettlementHeader = HEADER
) -> list[SettlementLine]:
    """Gives the lines with their fen."""
    fen = fen_of_lines(
        [line.points for line in lines], fen_per_hundred_points=header.fen_per_hundred_points
    )
    return [line._replace(fen=part) for line, part in zip(lines, fen, strict=True)]


def written(lines: Iterable[SettlementLine], header: SettlementHeader = HEADER) -> bytes:
    return b"".join(SettlementFileWriter(header, lines))


def read(data: bytes, *, previous_sha256: str = "") -> SettlementFile:
    return read_settlement_file([data], previous_sha256=previous_sha256)


def sealed(records: Sequence[str]) -> bytes:
    """Gives records, written without checks and CRLF, with right checks: damage that only the
    rules on their cells can find. The form is written down here a second time, on purpose.
    """
    data = b""
    for number, record in enumerate(records, start=1):
        body = record.encode("utf-8")
        digits = 64 if record.startswith("TRAILER") else 8
        check = hashlib.sha256(data + body).hexdigest()[:digits].encode("ascii")
        data += body + (b",check" if number == 2 else b"," + check) + b"\r\n"
    return data
