"""Tables sent in for the three-way match: a merchant's own journal 商户流水, and the advice of what
was paid out 付款回单.

Owns: encodings, column names, and what each cell may say. Refuses: what the rows mean for each
other (see merchant.domain.reconciliation).
Rules: a file is CSV with commas in UTF-8 (with or without BOM) or GB18030, its first row names the
columns, in English or Chinese, in any order; columns with other names are ignored. A file that is
no such table is refused whole; a row that breaks a rule is reported with its number, as a
spreadsheet counts (records from 1, heading and blank rows included), and the others still count.
A journal's `kind` says REDEMPTION, REFUND or VOID in one of many words; where there is a `state`
too, VOID in either wins, else `kind` does. Points of a refund may have either sign and become
negative; those of a redemption or a void are positive. A time without offset is local. The day a
merchant booked a row on is its `business_date`, where there is such a column, else that of the
time. A payment names its batch by id, or by merchant, business date and sequence; negative fen are
a payment that came back 退汇. The same bank reference twice for one batch is a broken row.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from merchant.domain.business_days import business_day_of, check_time, parse_date, to_us, zone_of
from merchant.domain.settlement_records import POINTS_MAX, SEQUENCE_MAX, check_text
from merchant.domain.tables import Table, read_table
from timebank.errors import TimebankError

FEN_MAX = 10**15
"""Most fen of one payment, either way."""


class JournalKind(enum.StrEnum):
    """What a merchant says happened. VOID: no points changed hands."""

    REDEMPTION = "REDEMPTION"
    REFUND = "REFUND"
    VOID = "VOID"


class JournalRow(NamedTuple):
    """One row of a merchant's journal; points are negative for a refund."""

    row: int
    merchant_ref: str
    kind: JournalKind
    points: int
    time_us: int
    business_date: str


class PaymentRow(NamedTuple):
    """One payment of an advice: for `batch`, or, when that is empty, for merchant, business date
    and sequence.
    """

    row: int
    batch: str
    merchant: str
    business_date: str
    sequence: int
    paid_fen: int
    paid_date: str
    bank_reference: str


class BrokenRow(NamedTuple):
    """A row that does not count, and why."""

    row: int
    message: str


class Journal(NamedTuple):
    """What a journal says: good rows and broken ones, each in order."""

    rows: tuple[JournalRow, ...]
    broken: tuple[BrokenRow, ...]


class PayoutAdvice(NamedTuple):
    """What an advice says: good rows and broken ones, each in order."""

    rows: tuple[PaymentRow, ...]
    broken: tuple[BrokenRow, ...]


def _names(*columns: str) -> dict[str, str]:
    """Reads lists of names, the column's own first, into one table from name to column."""
    return {name: names.split()[0] for names in columns for name in names.split()}


_JOURNAL_COLUMNS = _names(
    "merchant_ref merchant_reference reference ref 商户单号 商户订单号 订单号 单号",
    "points 积分 积分数",
    "kind type 类型 交易类型",
    "state status 状态 交易状态",
    "time business_time transaction_time 时间 交易时间",
    "business_date 营业日 营业日期 记账日期",
)
_PAYMENT_COLUMNS = _names(
    "batch batch_id 批次 批次号",
    "merchant merchant_id 商户 商户号",
    "business_date 营业日 营业日期",
    "sequence 序号 批次序号",
    "paid_fen 实付分 付款金额分",
    "paid_date 付款日期",
    "bank_reference 银行流水号",
)
_KINDS = {
    word: kind
    for kind, words in {
        JournalKind.REDEMPTION: "redemption redeem redeemed sale purchase payment capture captured "
        "completed settled success 兑换 消费 支付 已兑换 已支付 已完成 成功",
        JournalKind.REFUND: "refund refunded return returned 退款 退货 退分 已退款",
        JournalKind.VOID: "void voided reverse reversed cancel cancelled canceled "
        "撤销 作废 取消 冲正 已撤销 已作废 已取消 已冲正",
    }.items()
    for word in words.split()
}
_INTEGER = re.compile("[+-]?[0-9]{1,18}")
_TIME = re.compile(
    "([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})[T ] *([0-9]{1,2}):([0-9]{2})"
    "(?::([0-9]{2})(?:[.]([0-9]{1,6}))?)? *(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_Row = TypeVar("_Row")


def parse_journal(data: bytes, *, zone: str, cut_off_minute: int) -> Journal:
    """Reads a merchant's journal with the columns merchant_ref, points, time, and kind or state.

    `zone` is where its times are, and with `cut_off_minute` which day they are booked on. Raises
    VALIDATION_FAILED for a file that is no such table (see read_table), an unknown zone, and a
    cut-off that is no minute of a day.
    """
    business_day_of(0, zone=zone, cut_off_minute=cut_off_minute)
    table = read_table(data, _JOURNAL_COLUMNS, required=("merchant_ref", "points", "time"))
    table.require_any("kind", "state")

    def parse(number: int, cells: list[str]) -> JournalRow:
        cell = table.cell
        merchant_ref = _text("merchant_ref", cell(cells, "merchant_ref"))
        kind = _kind(cell(cells, "kind"), cell(cells, "state"))
        points = _points(cell(cells, "points"), kind)
        time_us = _time_us(cell(cells, "time"), zone)
        booked = cell(cells, "business_date")
        if booked:
            business_date = _date("business_date", booked)
        else:
            business_date = business_day_of(time_us, zone=zone, cut_off_minute=cut_off_minute).date
        return JournalRow(number, merchant_ref, kind, points, time_us, business_date)

    return Journal(*_parse_rows(table, parse))


def parse_payout_advice(data: bytes) -> PayoutAdvice:
    """Reads an advice with the columns paid_fen, paid_date and bank_reference, and batch or all of
    merchant, business_date and sequence.

    Raises VALIDATION_FAILED for a file that is no such table (see read_table).
    """
    required = ("paid_fen", "paid_date", "bank_reference")
    table = read_table(data, _PAYMENT_COLUMNS, required=required)
    table.require_any("batch", "merchant")
    if "batch" not in table.columns:
        table.require_any("business_date")
        table.require_any("sequence")
    seen: set[tuple[object, ...]] = set()

    def parse(number: int, cells: list[str]) -> PaymentRow:
        cell = table.cell
        batch = cell(cells, "batch")
        merchant = business_date = ""
        sequence = 0
        if batch:
            check_text("batch", batch)
        else:
            merchant = _text("merchant", cell(cells, "merchant"))
            business_date = _date("business_date", cell(cells, "business_date"))
            sequence = _integer("sequence", cell(cells, "sequence"), 1, SEQUENCE_MAX)
        paid_fen = _integer("paid_fen", cell(cells, "paid_fen"), -FEN_MAX, FEN_MAX)
        if not paid_fen:
            raise _Problem("paid_fen: expected an amount other than 0")
        paid_date = _date("paid_date", cell(cells, "paid_date"))
        reference = _text("bank_reference", cell(cells, "bank_reference"))
        key = (batch, merchant, business_date, sequence, reference)
        if key in seen:
            raise _Problem(f"bank_reference: expected it once for a batch, got {reference} again")
        seen.add(key)
        return PaymentRow(
            number, batch, merchant, business_date, sequence, paid_fen, paid_date, reference
        )

    return PayoutAdvice(*_parse_rows(table, parse))


class _Problem(ValueError):
    """Why one row does not count."""


def _parse_rows(
    table: Table, parse: Callable[[int, list[str]], _Row]
) -> tuple[tuple[_Row, ...], tuple[BrokenRow, ...]]:
    rows: list[_Row] = []
    broken: list[BrokenRow] = []
    for record in table.records():
        if record.problem:
            broken.append(BrokenRow(record.number, record.problem))
            continue
        try:
            rows.append(parse(record.number, record.cells))
        except _Problem as problem:
            broken.append(BrokenRow(record.number, str(problem)))
        except TimebankError as error:
            broken.append(BrokenRow(record.number, error.message))
    return tuple(rows), tuple(broken)


def _text(field: str, cell: str) -> str:
    if not cell:
        raise _Problem(f"{field}: expected text, got nothing")
    check_text(field, cell)
    return cell


def _kind(kind: str, state: str) -> JournalKind:
    said = [word for word in (kind, state) if word]
    if not said:
        raise _Problem("kind: expected REDEMPTION, REFUND or VOID, got nothing")
    kinds = [_KINDS.get(word.casefold()) for word in said]
    for word, found in zip(said, kinds, strict=True):
        if found is None:
            raise _Problem(f"kind: expected REDEMPTION, REFUND or VOID, got {word[:40]!r}")
    if JournalKind.VOID in kinds:
        return JournalKind.VOID
    return kinds[0] or JournalKind.VOID


def _points(cell: str, kind: JournalKind) -> int:
    points = _integer("points", cell, -POINTS_MAX, POINTS_MAX)
    if kind is JournalKind.REFUND:
        points = -abs(points)
    elif points < 0:
        raise _Problem(f"points: expected more than 0 for a {kind}, got {points}")
    if not points:
        raise _Problem("points: expected a number other than 0")
    return points


def _integer(field: str, cell: str, lowest: int, highest: int) -> int:
    if _INTEGER.fullmatch(cell) is None or not lowest <= int(cell) <= highest:
        raise _Problem(f"{field}: expected an integer {lowest} to {highest}, got {cell[:40]!r}")
    return int(cell)


def _date(field: str, cell: str) -> str:
    """Reads 2026-01-05, 2026/1/5 or 20260105."""
    parts = cell.replace("/", "-").split("-")
    if len(parts) == 3:
        cell = "-".join((parts[0], parts[1].zfill(2), parts[2].zfill(2)))
    elif len(cell) == 8 and cell.isdecimal():
        cell = f"{cell[:4]}-{cell[4:6]}-{cell[6:]}"
    return parse_date(field, cell).isoformat()


def _time_us(cell: str, zone: str) -> int:
    """Reads a moment; a local time that comes twice is the first of the two."""
    found = _TIME.fullmatch(cell)
    if found is None:
        raise _Problem(f"time: expected a time such as 2026-01-31 09:30:00, got {cell[:40]!r}")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        text = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second or '00'}"
        moment = datetime.fromisoformat(f"{text}.{(fraction or ''):0<6}{offset or ''}")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone_of(zone))
        time_us = to_us(moment)
    except (ValueError, OverflowError) as error:
        raise _Problem(f"time: expected a time that exists, got {cell[:40]!r}") from error
    check_time("time", time_us)
    return time_us
