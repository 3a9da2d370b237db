"""Rows of service records: what is read, what is refused, and that good rows do not suffer."""

import pathlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ledger.imports.movements import RowError
from ledger.imports.records import RecordRow, RecordRows
from timebank.client import EvidenceClass, RecordDraft
from timebank.errors import Reason, TimebankError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
HEADING = "record_id,volunteer,activity,organizer,started,ended,minutes,evidence"
GOOD = "r-1,wang,送药上门,community,2024-03-01 09:00,2024-03-01 10:30,,A"


def source(path: pathlib.Path, **defaults: str) -> RecordRows:
    return RecordRows(path, encoding=None, zone=SHANGHAI, now=NOW, defaults=defaults)


def read(
    tmp_path: pathlib.Path, *lines: str, encoding: str = "utf-8", **defaults: str
) -> list[RecordRow | RowError]:
    path = tmp_path / "records.csv"
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return list(source(path, **defaults).read(lambda _: None))


def draft(tmp_path: pathlib.Path, *lines: str, **options: str) -> RecordDraft:
    rows = read(tmp_path, *lines, **options)
    assert len(rows) == 1, rows
    assert isinstance(rows[0], RecordRow), rows
    return rows[0].draft


def error(tmp_path: pathlib.Path, row: str, heading: str = HEADING) -> RowError:
    rows = read(tmp_path, heading, row)
    assert len(rows) == 1, rows
    assert isinstance(rows[0], RowError), rows
    return rows[0]


def test_a_row_is_a_record(tmp_path: pathlib.Path) -> None:
    assert draft(tmp_path, HEADING, GOOD) == RecordDraft(
        record_id="r-1",
        volunteer="wang",
        activity="送药上门",
        organizer="community",
        start_time=datetime(2024, 3, 1, 1, tzinfo=UTC),
        end_time=datetime(2024, 3, 1, 2, 30, tzinfo=UTC),
        evidence=EvidenceClass.A,
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_chinese_headings_are_understood_in_every_encoding(
    tmp_path: pathlib.Path, encoding: str, mark: str
) -> None:
    heading = "编号,志愿者,活动,组织,日期,开始,结束,时长（小时）,证据,紧急,核实人,备用"
    row = "R-1,Wang,清雪,community,2024/3/1,9:00,10:30,1.5,b类,是,li、zhao,x"
    found = draft(tmp_path, heading.replace(",", mark), row.replace(",", mark), encoding=encoding)
    assert (found.record_id, found.volunteer, found.minutes) == ("r-1", "wang", 90)
    assert found.start_time == datetime(2024, 3, 1, 1, tzinfo=UTC)
    assert found.end_time == datetime(2024, 3, 1, 2, 30, tzinfo=UTC)
    assert (found.evidence, found.urgent) == (EvidenceClass.B, True)
    assert found.verifiers == ("li", "zhao")


def test_a_day_without_a_clock_is_all_that_is_known(tmp_path: pathlib.Path) -> None:
    found = draft(tmp_path, HEADING, "r-1,wang,清雪,community,2024年3月1日,,90,D")
    assert (found.date_only, found.end_time, found.minutes) == (True, None, 90)
    assert found.start_time == datetime(2024, 2, 29, 16, tzinfo=UTC)


def test_nobody_checked_out(tmp_path: pathlib.Path) -> None:
    heading = f"{HEADING},planned_minutes"
    found = draft(tmp_path, heading, "r-1,wang,清雪,community,2024-03-01 09:00,,,A,60")
    assert (found.date_only, found.end_time, found.planned_minutes) == (False, None, 60)


def test_options_stand_in_for_columns_and_empty_cells(tmp_path: pathlib.Path) -> None:
    said = draft(
        tmp_path,
        "record_id,volunteer,started,ended,evidence",
        "r-1,wang,2024-03-01 09:00,2024-03-01 10:00,",
        activity="清雪",
        organizer="community",
        evidence="C",
    )
    assert (said.activity, said.organizer, said.evidence) == ("清雪", "community", EvidenceClass.C)


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ("r 1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,,A", "record_id"),
        (",wang,x,community,2024-03-01 09:00,2024-03-01 10:30,,A", "record_id"),
        (f"{'r' * 65},wang,x,community,2024-03-01 09:00,2024-03-01 10:30,,A", "record_id"),
        ("r-1,王阿姨,x,community,2024-03-01 09:00,2024-03-01 10:30,,A", "volunteer"),
        ("r-1,37100219900101123X,x,community,2024-03-01 09:00,2024-03-01 10:30,,A", "volunteer"),
        ("r-1,wang,,community,2024-03-01 09:00,2024-03-01 10:30,,A", "activity"),
        (f"r-1,wang,{'药' * 101},community,2024-03-01 09:00,2024-03-01 10:30,,A", "activity"),
        ("r-1,wang,x,东门社区,2024-03-01 09:00,2024-03-01 10:30,,A", "organizer"),
        ("r-1,wang,x,community,,2024-03-01 10:30,,A", "started"),
        ("r-1,wang,x,community,yesterday,2024-03-01 10:30,,A", "started"),
        ("r-1,wang,x,community,2024-03-01 09:00,2999-03-01 10:30,,A", "ended"),
        ("r-1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,1.5,A", "minutes"),
        ("r-1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,-5,A", "minutes"),
        ("r-1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,9999999999999999999,A", "minutes"),
        ("r-1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,,F", "evidence"),
        ("r-1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,,", "evidence"),
        ("r-1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,,UNKNOWN", "evidence"),
        ("r-1,wang,x", "row"),
        ("r-1,wang,x,community,2024-03-01 09:00,2024-03-01 10:30,,A,more", "row"),
    ],
)
def test_a_wrong_cell_is_told_with_its_column(
    tmp_path: pathlib.Path, cells: str, column: str
) -> None:
    found = error(tmp_path, cells)
    assert (found.number, found.column) == (2, column)
    assert found.problem
    assert found.advice


def test_a_wrong_flag_is_told_by_the_heading_of_the_file(tmp_path: pathlib.Path) -> None:
    assert error(tmp_path, f"{GOOD},maybe", f"{HEADING},紧急").column == "紧急"


def test_broken_rows_leave_the_others_alone(tmp_path: pathlib.Path) -> None:
    huge = "x" * 200_000
    path = tmp_path / "records.csv"
    lines = [
        HEADING,
        GOOD,
        f'r-2,wang,"{huge}",community,2024-03-01 09:00,2024-03-01 10:30,,A',
        'r-3,"wang"x,y,community,2024-03-01 09:00,2024-03-01 10:30,,A',
        "",
        "r-4,li,y,community,2024-03-01 09:00,2024-03-01 10:30,,A",
    ]
    path.write_bytes("\r\n".join(lines).encode() + b"\r\nr-5,\xff\xfe\0,y\r\n")
    found = list(source(path).read(lambda _: None))
    assert [item.draft.record_id for item in found if isinstance(item, RecordRow)] == ["r-1", "r-4"]
    assert sum(isinstance(item, RowError) for item in found) >= 3


def test_a_number_stands_for_one_record(tmp_path: pathlib.Path) -> None:
    other = GOOD.replace("送药上门", "清雪")
    rows = read(tmp_path, HEADING, GOOD, GOOD, other)
    assert [isinstance(row, RecordRow) and row.repeated for row in rows] == [False, True, False]
    assert isinstance(rows[2], RowError)
    assert rows[2].column == "record_id"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("name,age\nx,1\n", "no column record_id, volunteer, activity"),
        ("record_id,volunteer,activity,organizer,evidence\n", "no column started"),
        (f"{HEADING},编号\n", "record_id stands twice"),
        ("PK\x03\x04", "spreadsheet"),
    ],
)
def test_what_is_no_table_of_records_is_refused(
    tmp_path: pathlib.Path, text: str, words: str
) -> None:
    path = tmp_path / "records.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TimebankError, match=words) as refused:
        source(path)
    assert refused.value.reason is Reason.VALIDATION_FAILED
