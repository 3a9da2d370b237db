"""Settlement files: what is written is read back, and every change is found."""

import csv
import hashlib
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain import settlement_files
from merchant.domain.business_days import TIME_US_MAX
from merchant.domain.settlement_files import (
    CHUNK_BYTES,
    SettlementFileWriter,
    read_settlement_file,
)
from merchant.domain.settlement_records import (
    FORBIDDEN,
    MINUTES_MAX,
    POINTS_MAX,
    LineKind,
    SettlementHeader,
    SettlementLine,
    SettlementTotals,
    check_text,
)
from tests.merchant.domain.settlements import HEADER, TIME_US, line, read, sealed, valued, written
from timebank.errors import Reason, TimebankError

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("=+-@'\",;＝ "), max_size=40
).filter(lambda text: not FORBIDDEN.search(text))
NAMES = TEXTS.filter(bool)
SAMPLE = valued(
    [
        line(120, ref="A-1"),
        line(-35, ref='退货"2", 一', redemption_id="m-01/r2"),
        line(7, ref="=1+1", redemption_id="m-01/r3")._replace(original_date="2026-02-27"),
    ]
)


@st.composite
def headers(draw: st.DrawFn) -> SettlementHeader:
    return SettlementHeader(
        draw(NAMES),
        draw(NAMES),
        draw(st.dates().map(str).filter(lambda date: "1970" <= date < "9998")),
        draw(st.integers(1, 1_000_000)),
        draw(st.integers(0, 1_000_000)),
        draw(st.just("") | st.binary(min_size=32, max_size=32).map(bytes.hex)),
    )


@st.composite
def lines(draw: st.DrawFn) -> SettlementLine:
    amount = draw(st.integers(1, POINTS_MAX)) * draw(st.sampled_from([1, -1]))
    points, minutes = draw(st.sampled_from([(amount, 0), (amount, 0), (0, amount)]))
    made = line(points, ref=draw(TEXTS), redemption_id=draw(NAMES), minutes=minutes)
    return made._replace(
        business_time_us=draw(st.integers(0, TIME_US_MAX)),
        original_date=draw(st.sampled_from(["", "1969-05-05"])),
    )


def refusal_of(data: bytes, *, previous_sha256: str = "") -> TimebankError:
    with pytest.raises(TimebankError) as refused:
        read(data, previous_sha256=previous_sha256)
    assert refused.value.reason is Reason.VALIDATION_FAILED
    return refused.value


@given(headers(), st.lists(lines(), max_size=8), st.integers(1, 200))
def test_what_was_written_is_read_back_whatever_the_chunks(
    header: SettlementHeader, some: list[SettlementLine], chunk_bytes: int
) -> None:
    some = valued(some, header)
    writer = SettlementFileWriter(header, iter(some))
    data = b"".join(writer)
    chunks = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    found = read_settlement_file(chunks, previous_sha256=header.previous_sha256)
    assert found.header == header
    assert found.lines == tuple(some)
    assert found.totals == writer.totals
    assert found.sha256 == writer.sha256 == hashlib.sha256(data).hexdigest()


def test_the_file_is_plain_csv_with_one_record_a_line() -> None:
    rows = list(csv.reader(io.StringIO(written(SAMPLE).decode("utf-8"), newline="")))
    assert [row[0] for row in rows] == ["HEADER", "COLUMNS", "LINE", "LINE", "LINE", "TRAILER"]
    assert rows[0][1:-1] == [
        *("timebank-settlement/1", "hangzhou", "m-01", "2026-03-01", "7", "85", ""),
    ]
    assert rows[3][1:-1] == [
        *("REFUND", "m-01/r2", '退货"2", 一', "", "2026-03-01T02:00:00.000000Z"),
        *("-35", "0", "-30"),
    ]
    assert rows[5][1:5] == ["3", "92", "0", "78"]
    assert written(SAMPLE).count(b"\r\n") == written(SAMPLE).count(b"\n") == len(rows)


def test_every_change_of_a_single_byte_is_found() -> None:
    data = written(SAMPLE)
    for at in range(len(data)):
        for change in (1, 2, 32, 128):
            refusal_of(data[:at] + bytes([data[at] ^ change]) + data[at + 1 :])


@given(st.data())
def test_every_byte_that_is_left_out_or_added_or_replaced_is_found(choice: st.DataObject) -> None:
    data = written(SAMPLE)
    at = choice.draw(st.integers(0, len(data)))
    more = choice.draw(st.binary(max_size=3))
    less = choice.draw(st.integers(0, 3))
    changed = data[:at] + more + data[at + less :]
    if changed != data:
        refusal_of(changed)


@pytest.mark.parametrize("row", range(1, 7))
def test_a_changed_record_is_named_by_its_number(row: int) -> None:
    records = written(SAMPLE).split(b"\r\n")
    records[row - 1] = records[row - 1].replace(b"0", b"9").replace(b"COL", b"COC")
    error = refusal_of(b"\r\n".join(records))
    assert error.metadata["row"] == str(row)
    assert error.violations[0][0].startswith(f"rows[{row}].")


@pytest.mark.parametrize(
    ("order", "row"),
    [
        ([0, 1, 3, 4, 5], 3),
        ([0, 1, 2, 4, 5], 4),
        ([0, 1, 2, 3, 5], 5),
        ([0, 1, 3, 2, 4, 5], 3),
        ([0, 1, 2, 2, 3, 4, 5], 4),
        ([0, 1, 2, 3, 4], 6),
        ([0, 1, 2, 3, 4, 5, 5], 7),
        ([0, 2, 3, 4, 5], 2),
        ([1, 2, 3, 4, 5], 1),
        ([0, 0, 1, 2, 3, 4, 5], 2),
        ([0, 1], 3),
        ([0], 2),
        ([], 1),
    ],
)
def test_a_record_that_is_left_out_moved_or_repeated_is_named(order: list[int], row: int) -> None:
    records = written(SAMPLE).splitlines(keepends=True)
    error = refusal_of(b"".join(records[index] for index in order))
    assert error.metadata["row"] == str(row)


SEALED = [
    "HEADER,timebank-settlement/1,hangzhou,m-01,2026-03-01,7,85,",
    "COLUMNS,kind,redemption_id,merchant_ref,original_date,business_time,points,minutes,fen",
    "LINE,REDEMPTION,m-01/r1,A-1,,2026-03-01T02:00:00.000000Z,120,0,102",
    "LINE,REFUND,m-01/r2,'-2,2026-02-28,2026-03-01T02:00:00.000000Z,-100,0,-85",
    "LINE,REDEMPTION,m-01/r3,B-1,,2026-03-01T02:00:00.000000Z,0,90,0",
    "LINE,REFUND,m-01/r3,B-1,,2026-03-01T02:00:00.000000Z,0,-30,0",
    "TRAILER,4,20,60,17",
]


def test_a_file_that_somebody_else_wrote_by_the_same_rules_is_read() -> None:
    found = read(sealed(SEALED))
    assert found.totals == SettlementTotals(4, 20, 60, 17)
    assert found.lines[1].merchant_ref == "-2"
    assert written(found.lines) == sealed(SEALED)


@pytest.mark.parametrize(
    ("row", "old", "new", "field"),
    [
        (1, "HEADER", "LINE", "LINE"),
        (1, "HEADER", "header", "record"),
        (1, "settlement/1", "settlement/2", "format"),
        (1, ",7,", ",07,", "sequence"),
        (1, ",85,", ",085,", "fen_per_hundred_points"),
        (1, "m-01", '"m-01"', "HEADER"),
        (1, "m-01", "m-01,x", "HEADER"),
        (1, "m-01", "'m-01", "merchant"),
        (3, "REDEMPTION", "GIFT", "kind"),
        (3, "LINE", "HEADER", "HEADER"),
        (3, "A-1", '"A-1"', "LINE"),
        (3, "A-1", '"A-1', "record"),
        (3, "A-1", "'A-1", "merchant_ref"),
        (3, "A-1", "=A-1", "merchant_ref"),
        (3, "A-1", "A\x0b1", "record"),
        (3, ",120", ",+120", "points"),
        (3, ",120", ",1e2", "points"),
        (3, ",120", ",１２０", "points"),
        (3, ",120", ",-120", "points"),
        (3, ",102", ",103", "fen"),
        (3, "000000Z", "0Z", "business_time"),
        (3, ".000000Z", ".000000+00:00", "business_time"),
        (3, "03-01T", "02-30T", "business_time"),
        (4, "'-2", "-2", "merchant_ref"),
        (4, "2026-02-28", "2026-03-01", "original_date"),
        (4, "2026-02-28", "28 February", "original_date"),
        (5, ",90,0", ",90,1", "fen"),
        (5, ",0,90", ",90,90", "points"),
        (5, ",0,90", ",0,-90", "minutes"),
        (5, ",0,90", ",0,0", "points"),
        (6, ",0,-30", ",0,30", "minutes"),
        (7, "4,20,60,17", "3,20,60,17", "line_count"),
        (7, "4,20,60,17", "4,21,60,17", "points"),
        (7, "4,20,60,17", "4,20,61,17", "minutes"),
        (7, "4,20,60,17", "4,80,0,17", "points"),
        (7, "4,20,60,17", "4,20,60,18", "fen"),
        (7, "4,20,60,17", "4,20,60,-0", "fen"),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused_although_the_checks_are_right(
    row: int, old: str, new: str, field: str
) -> None:
    records = list(SEALED)
    assert old in records[row - 1]
    records[row - 1] = records[row - 1].replace(old, new)
    error = refusal_of(sealed(records))
    assert error.violations[0][0] == f"rows[{row}].{field}"


def test_another_rate_is_seen_at_the_first_line_that_it_makes_wrong() -> None:
    error = refusal_of(sealed([SEALED[0].replace(",85,", ",86,"), *SEALED[1:]]))
    assert error.violations[0][0] == "rows[3].fen"


@pytest.mark.parametrize("end", [b"x", b"\r", b"\r\n", b"\n", b"\0", b"\x1a"])
def test_nothing_may_follow_the_trailer(end: bytes) -> None:
    assert refusal_of(sealed(SEALED) + end).metadata["row"] == "8"


def test_a_file_that_does_not_follow_the_one_before_is_refused() -> None:
    first = SettlementFileWriter(HEADER, [])
    list(first)
    data = written(SAMPLE, HEADER._replace(previous_sha256=first.sha256, sequence=8))
    assert read(data, previous_sha256=first.sha256).header.sequence == 8
    for other in ("", "0" * 64):
        error = refusal_of(data, previous_sha256=other)
        assert error.violations[0][0] == "rows[1].previous_sha256"


def test_an_empty_day_gives_an_empty_file_that_reads_back() -> None:
    found = read(written([]))
    assert found.lines == ()
    assert found.totals == SettlementTotals(0, 0, 0, 0)


@pytest.mark.parametrize(
    "text", ["=1+1", "+86", "-2", "@SUM(A1)", "  =1", "＝１", "－", "'quoted", "''=", "\u3000@x"]
)
def test_what_a_spreadsheet_takes_for_a_formula_begins_with_an_apostrophe(text: str) -> None:
    data = written(valued([line(ref=text, redemption_id=text)]))
    record = data.decode("utf-8").splitlines()[2]
    assert record.split(",")[2:4] == [f"'{text}", f"'{text}"]
    assert read(data).lines[0].merchant_ref == text


@pytest.mark.parametrize(
    "text", ["\t=1", "a\rb", "a\nb", "\0", "\x7f", "\x85", "\u2028", "\u202e", "\ud800", "x" * 201]
)
def test_text_that_cannot_stand_in_the_file_is_refused_with_its_row(text: str) -> None:
    with pytest.raises(TimebankError) as refused:
        written(valued([line(), line(ref=text)]))
    assert refused.value.metadata == {"row": "4", "field": "merchant_ref"}
    with pytest.raises(TimebankError, match="merchant_ref"):
        check_text("merchant_ref", text)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("points", {"points": 0}),
        ("points", {"points": -1}),
        ("points", {"points": POINTS_MAX + 1}),
        ("points", {"kind": LineKind.REFUND}),
        ("points", {"minutes": 5}),
        ("minutes", {"points": 0, "minutes": -5, "fen": 0}),
        ("minutes", {"points": 0, "minutes": MINUTES_MAX + 1, "fen": 0}),
        ("fen", {"points": 0, "minutes": 60}),
        ("fen", {"fen": 103}),
        ("fen", {"fen": -102}),
        ("redemption_id", {"redemption_id": ""}),
        ("original_date", {"original_date": "2026-03-01"}),
        ("original_date", {"original_date": "yesterday"}),
        ("business_time", {"business_time_us": -1}),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused_with_its_field(
    field: str, change: dict[str, object]
) -> None:
    good = valued([line(120)])[0]
    with pytest.raises(TimebankError) as refused:
        written([good._replace(**change)])  # type: ignore[arg-type] # any field may be broken
    assert refused.value.violations[0][0] == f"rows[3].{field}"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("ledger", {"ledger": ""}),
        ("merchant", {"merchant": "a\nb"}),
        ("business_date", {"business_date": "2026-3-1"}),
        ("sequence", {"sequence": 0}),
        ("sequence", {"sequence": 1_000_001}),
        ("fen_per_hundred_points", {"fen_per_hundred_points": -1}),
        ("previous_sha256", {"previous_sha256": "A" * 64}),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused_with_its_field(
    field: str, change: dict[str, object]
) -> None:
    with pytest.raises(TimebankError) as refused:
        written([], HEADER._replace(**change))  # type: ignore[arg-type] # any field may be broken
    assert refused.value.violations[0][0] == f"rows[1].{field}"


def test_fen_that_do_not_sum_to_the_rounded_whole_are_refused_at_the_trailer() -> None:
    # Each line is right to less than a fen, and the sum is not: 2 x 0.85 is 1.7, so 1.
    each = line(1)._replace(fen=1)
    with pytest.raises(TimebankError) as refused:
        written([each, each])
    assert refused.value.violations[0][0] == "rows[5].fen"


def test_more_lines_than_a_file_can_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(SAMPLE)
    monkeypatch.setattr(settlement_files, "LINES_MAX", 2)
    with pytest.raises(TimebankError, match="row 5: lines: expected at most 2"):
        written(SAMPLE)
    assert refusal_of(data).metadata["row"] == "5"


def test_a_record_without_end_is_refused_before_it_fills_the_memory() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1_000

    with pytest.raises(TimebankError, match="row 1: record: expected at most 4096 bytes"):
        read_settlement_file(endless(), previous_sha256="")
    assert taken == 5


def test_a_large_file_is_written_in_chunks_while_its_lines_are_taken() -> None:
    taken = 0

    def many() -> Iterator[SettlementLine]:
        nonlocal taken
        for _ in range(3_000):
            taken += 1
            yield line(100)._replace(fen=85)

    chunks = iter(SettlementFileWriter(HEADER, many()))
    assert CHUNK_BYTES <= len(next(chunks)) < CHUNK_BYTES + 200
    assert taken < 1_000
    assert len(list(chunks)) == 3


def test_a_writer_writes_once_and_tells_nothing_before_the_end() -> None:
    writer = SettlementFileWriter(HEADER, SAMPLE)
    with pytest.raises(RuntimeError):
        _ = writer.sha256
    list(writer)
    assert writer.totals.line_count == 3
    with pytest.raises(RuntimeError):
        list(writer)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_are_refused_and_nothing_else_happens(chunks: list[bytes]) -> None:
    with pytest.raises(TimebankError):
        read_settlement_file(chunks, previous_sha256="")


@given(st.binary(max_size=60))
def test_any_bytes_after_a_sound_beginning_are_refused(end: bytes) -> None:
    data = b"".join(written(SAMPLE).splitlines(keepends=True)[:4])
    assert refusal_of(data + end).metadata["row"] in {"5", "6", "7"}


def test_the_time_of_a_line_is_written_to_the_microsecond_in_utc() -> None:
    data = written(valued([line()._replace(business_time_us=TIME_US + 1)]))
    assert b",2026-03-01T02:00:00.000001Z," in data
