"""Hostile CSV files: every byte sequence is a table, a table with broken rows, or refused."""

import pathlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.imports.mapped import MappedRows, parse_mapping
from ledger.imports.movements import MINUTES_MAX, CellError, Movement
from ledger.imports.tables import FIELD_CHARACTERS_MAX, Row, inspect, rows
from ledger.imports.timeoverflow import TimeOverflowRows
from tests.timebank.fuzz.mutations import accepted, damaged_bytes, damaged_text

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OVERFLOW = (
    "source_id,source_type,destination_id,destination_type,amount,created_at,reason,post_id\n"
    '1,Member,2,Member,3600,2024-03-01 10:20:30 UTC,"买菜, 陪诊",7\n'
    "3,Organization,1,Member,1800,2024-03-02 08:00:00 UTC,,\n"
)
MAPPED = (
    "转出,转入,时长(分钟),日期,备注,编号\n"
    "甲01,乙02,60,2024年3月1日 10:20,陪诊,A-1\n"
    "丙,丁,30,2024/3/2,,A-2\n"
)
SAMPLES = [
    text.encode(encoding)
    for text in (OVERFLOW, MAPPED)
    for encoding in ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-be")
]
ENCODINGS = (None, None, None, "utf-8", "gb18030", "latin-1", "utf-16", "utf-7", "utf-32")
SHARED_FOLDER = [HealthCheck.function_scoped_fixture]


def read(path: pathlib.Path, encoding: str | None = None) -> list[Row]:
    return list(rows(path, inspect(path, encoding=encoding)))


def movements(found: list[Row], reader: TimeOverflowRows | MappedRows) -> list[Movement]:
    """Reads every row; a broken cell is refused by its column."""
    made = []
    for row in found[1 if reader.heading else 0 :]:
        if row.problem:
            continue
        try:
            movement = reader.movement(row.number, row.cells)
        except CellError:
            continue
        if movement is not None:
            made.append(movement)
    return made


@settings(max_examples=250, deadline=None, suppress_health_check=SHARED_FOLDER)
@given(data=st.sampled_from(SAMPLES).flatmap(damaged_bytes), encoding=st.sampled_from(ENCODINGS))
def test_hostile_files_are_only_ever_refused_or_read_as_movements(
    tmp_path: pathlib.Path, data: bytes, encoding: str | None
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    found = accepted(lambda: read(path, encoding))
    if not found:
        return
    assert all(len(cell) <= FIELD_CHARACTERS_MAX for row in found for cell in row.cells)
    mapping = parse_mapping("")
    readers: list[Callable[[], TimeOverflowRows | MappedRows]] = [
        lambda: TimeOverflowRows(found[0].cells, now=NOW),
        lambda: MappedRows(found[0].cells, mapping=mapping, source="csv", zone=UTC, now=NOW),
    ]
    for make in readers:
        reader = accepted(make)
        if reader is None:
            continue
        for movement in movements(found, reader):
            assert 1 <= movement.minutes <= MINUTES_MAX
            assert movement.source != movement.destination
            assert movement.effective is None or movement.effective <= NOW


@settings(max_examples=60, deadline=None, suppress_health_check=SHARED_FOLDER)
@given(data=st.binary(max_size=300))
def test_any_bytes_at_all_are_refused_or_read(tmp_path: pathlib.Path, data: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    accepted(lambda: read(path))


@pytest.mark.parametrize(
    "encoding", ["hex", "base64", "zlib", "rot13", "undefined", "a\0b", "idna", "x" * 200, " "]
)
def test_an_encoding_that_is_none_of_text_is_refused(tmp_path: pathlib.Path, encoding: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(OVERFLOW.encode())
    found = accepted(lambda: read(path, encoding))
    assert found is None or len(found) == 3


@given(damaged_text("志愿者=to,时长=amount_minutes，备注=reason"))
def test_hostile_mappings_are_only_ever_refused(text: str) -> None:
    mapping = accepted(lambda: parse_mapping(text))
    assert mapping is None or all(mapping)


def test_a_mark_of_byte_order_in_the_middle_breaks_no_other_row(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(OVERFLOW.encode().replace(b"\n3,", b"\n\xef\xbb\xbf3,"))
    found = read(path)
    assert [len(row.cells) for row in found] == [8, 8, 8]


def test_a_million_quotes_are_read_in_little_memory(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(OVERFLOW.encode() + b'"\n' * 500_000 + b"x" * 1_000_000)
    count = sum(1 for row in rows(path, inspect(path)) if row.problem)
    assert count
