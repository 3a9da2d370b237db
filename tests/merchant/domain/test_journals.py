"""Journals and payout advice as people send them, and as nobody should."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain import tables
from merchant.domain.journals import (
    Journal,
    JournalKind,
    JournalRow,
    PaymentRow,
    PayoutAdvice,
    parse_journal,
    parse_payout_advice,
)
from merchant.domain.tables import CELL_CHARACTERS_MAX, LINE_BYTES_MAX
from timebank.errors import Reason, TimebankError

HEADING = "merchant_ref,points,kind,time\n"
GOOD_ROW = "A-1,120,REDEMPTION,2026-03-01 10:00:00\n"
ADVICE_HEADING = "batch,paid_fen,paid_date,bank_reference\n"
TIME_US = 1_772_330_400_000_000
"""2026-03-01T10:00:00 in Shanghai."""


def journal(data: bytes | str, *, cut_off_minute: int = 0) -> Journal:
    content = data.encode("utf-8") if isinstance(data, str) else data
    return parse_journal(content, zone="Asia/Shanghai", cut_off_minute=cut_off_minute)


def advice(text: str) -> PayoutAdvice:
    return parse_payout_advice(text.encode("utf-8"))


def only_row(text: str) -> JournalRow:
    found = journal(HEADING + text)
    assert found.broken == ()
    (row,) = found.rows
    return row


def only_problem(text: str, heading: str = HEADING) -> str:
    found = journal(heading + text)
    assert found.rows == ()
    (broken,) = found.broken
    assert broken.row == 2
    return broken.message


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8"),
        lambda text: codecs.BOM_UTF8 + text.encode("utf-8"),
        lambda text: text.encode("gb18030"),
        lambda text: ("\ufeff" + text).encode("gb18030"),
        lambda text: text.replace("\n", "\r\n").encode("gb18030"),
        lambda text: text.replace("\n", "\r").encode("utf-8"),
    ],
)
def test_a_journal_is_read_in_each_encoding_and_line_end(encode: object) -> None:
    assert callable(encode)
    text = "商户单号,积分,类型,时间,备注\n单-1,120,兑换,2026-03-01 10:00,理发\n"
    expected = JournalRow(2, "单-1", JournalKind.REDEMPTION, 120, TIME_US, "2026-03-01")
    assert journal(encode(text)) == Journal((expected,), ())


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored() -> None:
    text = (
        'Memo,Time,KIND,till,Points,Merchant Ref\n"a, ""b""\nc",2026-03-01 10:00,sale,7,120,A-1\n'
    )
    expected = JournalRow(2, "A-1", JournalKind.REDEMPTION, 120, TIME_US, "2026-03-01")
    assert journal(text) == Journal((expected,), ())


@pytest.mark.parametrize(
    ("time", "time_us"),
    [
        ("2026-03-01 10:00:00", TIME_US),
        ("2026-03-01T10:00", TIME_US),
        ("2026/3/1 10:00", TIME_US),
        ("2026-03-01T02:00:00Z", TIME_US),
        ("2026-03-01T04:00:00+02:00", TIME_US),
        ("2026-03-01 10:00:00.5", TIME_US + 500_000),
    ],
)
def test_a_time_is_local_unless_it_has_an_offset(time: str, time_us: int) -> None:
    assert only_row(f"A-1,120,sale,{time}\n").time_us == time_us


@pytest.mark.parametrize(
    ("cells", "kind", "points"),
    [
        ("120,REDEMPTION", JournalKind.REDEMPTION, 120),
        ("+120,Captured", JournalKind.REDEMPTION, 120),
        ("-120,refund", JournalKind.REFUND, -120),
        ("120,退款", JournalKind.REFUND, -120),
        ("120,已撤销", JournalKind.VOID, 120),
    ],
)
def test_a_refund_is_negative_whatever_sign_it_had(
    cells: str, kind: JournalKind, points: int
) -> None:
    row = only_row(f"A-1,{cells},2026-03-01 10:00\n")
    assert (row.kind, row.points) == (kind, points)


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        ("sale", "voided", JournalKind.VOID),
        ("void", "captured", JournalKind.VOID),
        ("sale", "refunded", JournalKind.REDEMPTION),
        ("refund", "success", JournalKind.REFUND),
        ("", "refunded", JournalKind.REFUND),
        ("sale", "", JournalKind.REDEMPTION),
    ],
)
def test_void_wins_in_kind_or_state_and_else_the_kind_does(
    kind: str, state: str, expected: JournalKind
) -> None:
    text = f"merchant_ref,points,kind,state,time\nA-1,5,{kind},{state},2026-03-01 10:00\n"
    assert [row.kind for row in journal(text).rows] == [expected]


def test_a_row_is_booked_on_its_own_date_or_on_that_of_its_time() -> None:
    text = (
        "merchant_ref,points,state,time,business_date\n"
        "A-1,5,sale,2026-03-01 22:30,2026/3/1\n"
        "A-2,5,sale,2026-03-01 22:30,\n"
        "A-3,5,sale,2026-03-01 21:30,20260303\n"
    )
    dates = [row.business_date for row in journal(text, cut_off_minute=1_320).rows]
    assert dates == ["2026-03-01", "2026-03-02", "2026-03-03"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (",120,sale,2026-03-01 10:00", "merchant_ref: expected text"),
        ("A\x07,120,sale,2026-03-01 10:00", "merchant_ref: expected printable"),
        ("A-1,,sale,2026-03-01 10:00", "points: expected an integer"),
        ("A-1,1.5,sale,2026-03-01 10:00", "points: expected an integer"),
        ('A-1,"1,200",sale,2026-03-01 10:00', "points: expected an integer"),
        ("A-1,１２,sale,2026-03-01 10:00", "points: expected an integer"),
        ("A-1,1000000000001,sale,2026-03-01 10:00", "points: expected an integer"),
        ("A-1," + "9" * 150 + ",sale,2026-03-01 10:00", "points: expected an integer"),
        ("A-1,0,sale,2026-03-01 10:00", "points: expected a number other than 0"),
        ("A-1,-5,sale,2026-03-01 10:00", "points: expected more than 0"),
        ("A-1,5,gift,2026-03-01 10:00", "kind: expected REDEMPTION, REFUND or VOID"),
        ("A-1,5,,2026-03-01 10:00", "kind: expected REDEMPTION, REFUND or VOID"),
        ("A-1,5,sale,yesterday", "time: expected a time such as"),
        ("A-1,5,sale,2026-02-30 10:00", "time: expected a time that exists"),
        ("A-1,5,sale,2026-03-01 24:30", "time: expected a time that exists"),
        ("A-1,5,sale,0001-01-01 00:00", "time: expected"),
        ("A-1,5,sale,9999-12-31 23:59-23:59", "time: expected"),
        ("A-1,5,sale,1969-12-31 23:59", "time: expected microseconds"),
        ("A-1,5,sale", "time: expected a time such as"),
        ('"A-1"x,5,sale,2026-03-01 10:00', "expected CSV"),
        ('A-1,5,sale,"2026-03-01 10:00', "expected CSV"),
        ("A" * (CELL_CHARACTERS_MAX + 1) + ",5,sale,2026-03-01 10:00", "at most 200 characters"),
        ("A" * (LINE_BYTES_MAX + 1), "at most 20000 bytes"),
    ],
)
def test_a_row_that_breaks_a_rule_is_reported_with_its_number(row: str, problem: str) -> None:
    assert problem in only_problem(row + "\n")


def test_the_other_rows_count_when_some_are_broken() -> None:
    text = f'{HEADING}{GOOD_ROW}\nA-2,x,sale,t\n,,,\nA-3,"5,sale,never closed\n{GOOD_ROW}'
    found = journal(text)
    assert [row.row for row in found.rows] == [2, 7]
    assert [broken.row for broken in found.broken] == [4, 6]


def test_bytes_that_are_no_text_break_their_own_row() -> None:
    good = GOOD_ROW.replace("A-1", "单-1").encode("utf-8")
    found = journal(HEADING.encode("utf-8") + good + b"\xff\xfe,5,sale,t\n" + good)
    assert [row.row for row in found.rows] == [2, 4]
    assert found.broken[0].row == 3
    assert "bytes of UTF-8 or GB18030" in found.broken[0].message


def test_a_quote_that_is_never_closed_costs_one_row_and_no_time() -> None:
    found = journal(HEADING + 'A-1,"5,sale,t\n' * 20_000 + GOOD_ROW)
    assert len(found.broken) == 20_000
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "header: expected columns"),
        (b"\n\n\r\n", "header: expected columns"),
        (b"\xef\xbb\xbf", "header: expected columns"),
        (b"merchant_ref,points,time\nA,1,t\n", "expected a column kind or state"),
        (b"merchant_ref,kind,time\n", "expected a column points"),
        (b"merchant_ref,points,points,kind,time\n", "expected one column points, got two"),
        (b"merchant_ref,points,kind,type,time\n", "expected one column kind, got two"),
        (b'merchant_ref,"points,kind,time\n', "header: expected columns"),
        (b"x," * 250 + b"\n", "expected at most 200"),
        (b"\xff\xfem\0e\0", "NUL bytes"),
        (HEADING.encode("utf-8") + b"A\0,1,sale,t\n", "NUL bytes"),
        (b"PK\x03\x04\x14\0\x06\0", "NUL bytes"),
    ],
)
def test_a_file_that_is_no_journal_is_refused_whole(data: bytes, problem: str) -> None:
    with pytest.raises(TimebankError, match=problem) as refused:
        journal(data)
    assert refused.value.reason is Reason.VALIDATION_FAILED
    assert refused.value.violations


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ("TABLE_BYTES_MAX", "expected at most 3 bytes"),
        ("LINES_MAX", "expected at most 3 lines"),
        ("ROWS_MAX", "expected at most 3 rows"),
    ],
)
def test_a_file_beyond_a_limit_is_refused_whole(
    limit: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, limit, 3)
    with pytest.raises(TimebankError, match=problem):
        journal(HEADING + GOOD_ROW * 4)


def test_an_unknown_zone_or_cut_off_is_refused_before_any_row() -> None:
    with pytest.raises(TimebankError, match="time_zone"):
        parse_journal(HEADING.encode("utf-8"), zone="Mars/Olympus", cut_off_minute=0)
    with pytest.raises(TimebankError, match="cut_off_minute"):
        journal(HEADING, cut_off_minute=1_440)


def test_a_payment_names_its_batch_by_id_or_by_merchant_date_and_sequence() -> None:
    text = (
        "batch,merchant,business_date,sequence,paid_fen,paid_date,bank_reference\n"
        "b-1,,,,1200,2026-03-03,N1\n"
        ",m-01,2026-03-01,2,-300,2026/3/4,N2\n"
    )
    expected = (
        PaymentRow(2, "b-1", "", "", 0, 1_200, "2026-03-03", "N1"),
        PaymentRow(3, "", "m-01", "2026-03-01", 2, -300, "2026-03-04", "N2"),
    )
    assert advice(text) == PayoutAdvice(expected, ())


def test_an_advice_in_chinese_without_batch_ids_is_read() -> None:
    text = (
        "商户号,营业日期,批次序号,实付分,付款日期,银行流水号\nm-01,2026-03-01,2,5,2026-03-03,N1\n"
    )
    found = parse_payout_advice(text.encode("gb18030"))
    assert found.rows == (PaymentRow(2, "", "m-01", "2026-03-01", 2, 5, "2026-03-03", "N1"),)


def test_the_same_bank_reference_counts_once_for_a_batch() -> None:
    rows = "b-1,5,2026-03-03,N1\nb-2,5,2026-03-03,N1\nb-1,5,2026-03-03,N1\n"
    found = advice(ADVICE_HEADING + rows)
    assert [row.row for row in found.rows] == [2, 3]
    assert [broken.row for broken in found.broken] == [4]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (",5,2026-03-03,N1", "merchant: expected text"),
        ("b-1,0,2026-03-03,N1", "paid_fen: expected an amount other than 0"),
        ("b-1,12.50,2026-03-03,N1", "paid_fen: expected an integer"),
        ("b-1,5,3 March,N1", "paid_date: expected a date"),
        ("b-1,5,2026-03-03,", "bank_reference: expected text"),
    ],
)
def test_a_payment_that_breaks_a_rule_is_reported_with_its_number(row: str, problem: str) -> None:
    found = advice(ADVICE_HEADING + row + "\n")
    assert found.rows == ()
    assert found.broken[0].row == 2
    assert problem in found.broken[0].message


@pytest.mark.parametrize(
    ("heading", "problem"),
    [
        ("paid_fen,paid_date,bank_reference\n", "batch or merchant"),
        ("merchant,business_date,paid_fen,paid_date,bank_reference\n", "sequence"),
        ("merchant,sequence,paid_fen,paid_date,bank_reference\n", "business_date"),
        ("batch,paid_fen,paid_date\n", "bank_reference"),
    ],
)
def test_an_advice_that_names_no_batch_or_lacks_a_column_is_refused(
    heading: str, problem: str
) -> None:
    with pytest.raises(TimebankError, match=problem):
        advice(heading)


HOSTILE = st.binary(max_size=300) | st.text("\",\n\r='-0159a单\ufeff", max_size=200).map(
    lambda text: text.encode("utf-8")
)


@given(HOSTILE)
def test_any_bytes_without_a_heading_are_refused_and_nothing_else_happens(data: bytes) -> None:
    # No heading is ever drawn.
    with pytest.raises(TimebankError):
        journal(data)


@given(HOSTILE)
def test_any_bytes_after_a_heading_break_rows_only(data: bytes) -> None:
    if b"\0" in data:
        return
    found = journal(HEADING.encode("utf-8") + data + b"\n" + GOOD_ROW.encode("utf-8"))
    assert len(found.rows) <= 1
    numbers = [broken.row for broken in found.broken]
    assert numbers == sorted(set(numbers))
    assert all(len(broken.message) < 300 for broken in found.broken)
    payments = parse_payout_advice(ADVICE_HEADING.encode("utf-8") + data)
    assert payments.rows == ()
