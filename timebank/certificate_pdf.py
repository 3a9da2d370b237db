"""The printable certificate 志愿服务证明: A4 pages with room for the seal and a QR code.

Owns: the page, nothing else. Refuses: what is certified, and signing (see certificates.py).
Rules: equal input gives equal bytes: the file is dated by the day of issue; the identity number is
masked already; every line is printed and nothing is cut, long texts wrap and rows go on on the next
page. The compact text stands in the keywords too, so that the file can be checked without a camera.

The Chinese font, STSong-Light, is one that readers of PDF bring along; the file holds none, and a
machine without any Chinese font shows blanks. It has the characters of the Basic Multilingual Plane
alone: another one, in a rare name 生僻字, is printed as 〓, and the signed text has the right one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import segno
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from timebank.certificates import Certificate, ServiceLine

FONT = "STSong-Light"
PLACEHOLDER = "〓"
_LEFT = 18 * mm
_WIDTH = A4[0] - 2 * _LEFT
_TOP = A4[1] - 20 * mm
_BOTTOM = 22 * mm
_TITLE_HEIGHT = 20 * mm
_END_HEIGHT = 56 * mm
"""Room for the seal and the QR code; it is never torn apart."""

_QR_SIZE = 40 * mm
_QR_QUIET_MODULES = 4
_SEAL_SIZE = 42 * mm
_PADDING = 1.6 * mm
_FIELD_SIZE, _LINE_SIZE, _SMALL_SIZE = 10.5, 8.5, 7
_LEADING = 1.35
_FIELD_WIDTHS = (34 * mm, _WIDTH - 34 * mm)
_LINE_WIDTHS = (21 * mm, 52 * mm, 41 * mm, 23 * mm, _WIDTH - 137 * mm)
_LINE_TITLES = ("日期", "服务内容", "地点", "时长", "记录编号（日志序号）")
_GREY = 0.92


class _Row(NamedTuple):
    """One row of boxes: wrapped texts, the width of each box, the size of the font."""

    cells: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]
    size: float
    is_title: bool = False
    is_line: bool = False

    @property
    def height(self) -> float:
        most = max(len(cell) for cell in self.cells)
        return most * self.size * _LEADING + 2 * _PADDING


def certificate_pdf(certificate: Certificate, compact: str) -> bytes:
    """Draws a certificate as a PDF; `compact` is the text of its QR code (see `compact_text`)."""
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    _describe(canvas, certificate, compact)
    pages = _paginate(list(_rows(certificate)))
    for number, rows in enumerate(pages, start=1):
        y = _draw_top(canvas, certificate, number)
        for row in rows:
            y = _draw_row(canvas, row, y)
        if number == len(pages):
            _draw_end(canvas, certificate, compact, y)
        _draw_foot(canvas, certificate, number, len(pages))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _describe(canvas: Canvas, certificate: Certificate, compact: str) -> None:
    """Sets what a reader shows as the file's properties."""
    stamp = f"D:{certificate.issued_on:%Y%m%d}000000Z"
    canvas.setDateFormatter(lambda *_: stamp)
    canvas.setTitle(f"志愿服务证明 {certificate.number}")
    canvas.setAuthor(certificate.issuer)
    canvas.setSubject("Certificate of volunteer service")
    canvas.setCreator("timebank")
    canvas.setKeywords(compact)


def _rows(certificate: Certificate) -> Iterator[_Row]:
    """Lists all rows in reading order: who (1), hours and content (2), issuer (3), the rest (4)."""
    period = f"{_day(certificate.period_from)} 至 {_day(certificate.period_to)}"
    identity = f"{certificate.id_type} {certificate.id_number_masked}".strip() or "—"
    yield _field("姓名", certificate.name)
    yield _field("证件类型及号码", identity)
    yield _field("志愿者编号", certificate.volunteer_number)
    yield _field("服务期间", period)
    yield _field("服务总时长", _duration(certificate.total_minutes))
    if certificate.lines:
        yield _line_titles()
    for line in certificate.lines:
        yield _line(line)
    if certificate.unlisted_minutes:
        yield _field("未逐项列出的时长", _duration(certificate.unlisted_minutes))
    yield _field("开具单位", certificate.issuer)
    yield _field("负责人", certificate.person_in_charge)
    yield _field("经办人", certificate.handler)
    yield _field("联系方式", certificate.contact)
    yield _field("证明编号", certificate.number)
    yield _field("开具日期", _day(certificate.issued_on))
    yield _field("备注", certificate.note or "—")


def _field(label: str, value: str) -> _Row:
    return _row((label, value), _FIELD_WIDTHS, _FIELD_SIZE)


def _line_titles() -> _Row:
    return _row(_LINE_TITLES, _LINE_WIDTHS, _LINE_SIZE)._replace(is_title=True)


def _line(line: ServiceLine) -> _Row:
    record = f"{line.record_id}（{line.log_index}）"
    texts = (
        line.served_on.isoformat(),
        line.activity,
        line.place,
        _duration(line.minutes),
        record,
    )
    return _row(texts, _LINE_WIDTHS, _LINE_SIZE)._replace(is_line=True)


def _row(texts: Sequence[str], widths: tuple[float, ...], size: float) -> _Row:
    cells = tuple(
        _wrapped(text, width - 2 * _PADDING, size)
        for text, width in zip(texts, widths, strict=True)
    )
    return _Row(cells, widths, size)


def _wrapped(text: str, width: float, size: float) -> tuple[str, ...]:
    """Breaks a text into lines that fit, wherever a character does not: Chinese has no spaces."""
    lines = [""]
    used = 0.0
    for character in _printed(text):
        wide = pdfmetrics.stringWidth(character, FONT, size)
        if lines[-1] and used + wide > width:
            lines.append("")
            used = 0.0
        lines[-1] += character
        used += wide
    return tuple(lines)


def _paginate(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Distributes rows over pages; a page that begins with a service repeats the titles, and the
    last page has room for the end.
    """
    pages: list[list[_Row]] = [[]]
    left = _TOP - _TITLE_HEIGHT - _BOTTOM
    for row in rows:
        if row.height > left:
            pages.append([_line_titles()] if row.is_line else [])
            left = _TOP - _TITLE_HEIGHT - _BOTTOM - sum(each.height for each in pages[-1])
        pages[-1].append(row)
        left -= row.height
    if left < _END_HEIGHT:
        pages.append([])
    return pages


def _draw_top(canvas: Canvas, certificate: Certificate, number: int) -> float:
    """Draws the title and gives where the rows begin."""
    title = "志愿服务证明" if number == 1 else "志愿服务证明（续）"
    canvas.setFont(FONT, 22 if number == 1 else 14)
    canvas.drawCentredString(A4[0] / 2, _TOP - 8 * mm, title)
    canvas.setFont(FONT, 9)
    label = f"编号：{_printed(certificate.number)}"
    canvas.drawRightString(_LEFT + _WIDTH, _TOP - 16 * mm, label)
    return _TOP - _TITLE_HEIGHT


def _draw_row(canvas: Canvas, row: _Row, y: float) -> float:
    """Draws one row below `y` and gives where the next begins."""
    x = _LEFT
    canvas.setLineWidth(0.5)
    for at, (cell, width) in enumerate(zip(row.cells, row.widths, strict=True)):
        shaded = row.is_title or (not row.is_line and at == 0)
        canvas.setFillGray(_GREY if shaded else 1)
        canvas.rect(x, y - row.height, width, row.height, stroke=1, fill=1)
        canvas.setFillGray(0)
        canvas.setFont(FONT, row.size)
        for line_at, text in enumerate(cell):
            baseline = y - _PADDING - row.size * (_LEADING * line_at + 1)
            canvas.drawString(x + _PADDING, baseline, text)
        x += width
    return y - row.height


def _draw_end(canvas: Canvas, certificate: Certificate, compact: str, y: float) -> None:
    """Draws the place for the seal, the QR code, and what it is for."""
    top = y - 6 * mm
    _draw_qr(canvas, compact, _LEFT, top - _QR_SIZE)
    canvas.setFont(FONT, _SMALL_SIZE)
    below = top - _QR_SIZE - 4 * mm
    canvas.drawString(_LEFT, below, "扫码可离线核验编号、姓名（已隐去）与时长；")
    canvas.drawString(_LEFT, below - 3.5 * mm, "公钥由开具单位公布。本证明免费开具。")
    right = _LEFT + _WIDTH
    canvas.setDash(3, 3)
    canvas.rect(right - _SEAL_SIZE, top - _SEAL_SIZE, _SEAL_SIZE, _SEAL_SIZE, stroke=1, fill=0)
    canvas.setDash()
    canvas.setFont(FONT, 11)
    canvas.drawCentredString(right - _SEAL_SIZE / 2, top - _SEAL_SIZE / 2, "（盖章处）")
    canvas.drawRightString(right, top - _SEAL_SIZE - 6 * mm, _day(certificate.issued_on))


def _draw_foot(canvas: Canvas, certificate: Certificate, number: int, pages: int) -> None:
    """Draws page number and the head of the log that was cited."""
    canvas.setFont(FONT, _SMALL_SIZE)
    log = f"账本 {certificate.ledger_id}　日志 {certificate.origin}　长度 {certificate.log_size}"
    lines = (
        *_wrapped(log, _WIDTH - 30 * mm, _SMALL_SIZE),
        f"根 {certificate.log_root_hex}",
    )
    for at, text in enumerate(lines):
        canvas.drawString(_LEFT, _BOTTOM - (6 + 3.2 * at) * mm, text)
    page = f"第 {number} 页　共 {pages} 页"
    canvas.drawRightString(_LEFT + _WIDTH, _BOTTOM - 6 * mm, page)


def _draw_qr(canvas: Canvas, compact: str, x: float, y: float) -> None:
    """Draws the QR code as rectangles, one for each run of dark modules."""
    code = segno.make(compact, error="m", micro=False, boost_error=False)
    rows = [[bool(module) for module in row] for row in code.matrix]
    side = _QR_SIZE / (len(rows) + 2 * _QR_QUIET_MODULES)
    canvas.setFillGray(0)
    for row_at, row in enumerate(rows):
        bottom = y + _QR_SIZE - (row_at + 1 + _QR_QUIET_MODULES) * side
        for start, length in _runs(row):
            left = x + (start + _QR_QUIET_MODULES) * side
            canvas.rect(left, bottom, length * side, side, stroke=0, fill=1)


def _runs(row: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yields start and length of each run of dark modules."""
    start: int | None = None
    for at, dark in enumerate((*row, False)):
        if dark and start is None:
            start = at
        elif not dark and start is not None:
            yield start, at - start
            start = None


def _printed(text: str) -> str:
    """Replaces what the font has no glyph for."""
    return "".join(character if ord(character) <= 0xFFFF else PLACEHOLDER for character in text)


def _duration(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if not rest:
        return f"{hours} 小时"
    return f"{hours} 小时 {rest} 分钟" if hours else f"{rest} 分钟"


def _day(day: date) -> str:
    return f"{day.year} 年 {day.month} 月 {day.day} 日"
