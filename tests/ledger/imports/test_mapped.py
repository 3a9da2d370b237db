"""Any CSV: which column means what, and rows with Chinese headings."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ledger.imports.mapped import MappedRows, parse_mapping
from ledger.imports.movements import POOL, CellError
from timebank.errors import TimebankError

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def reader(heading: str, mapping: str = "") -> MappedRows:
    return MappedRows(
        heading.split(","),
        mapping=parse_mapping(mapping),
        source="csv",
        zone=ZoneInfo("Asia/Shanghai"),
        now=NOW,
    )


def test_chinese_headings_are_understood_by_themselves() -> None:
    found = reader("编号,转出,转入,时长(分钟),日期,备注").movement(
        2, ["A-1", "m-1", "m-2", "90", "2024-03-01", "陪护"]
    )
    assert found is not None
    assert found[:6] == (
        2,
        "m-1",
        "m-2",
        90,
        datetime(2024, 2, 29, 16, tzinfo=UTC),
        "陪护",
    )
    assert found.reference == "A-1"


@pytest.mark.parametrize(
    ("heading", "amount"),
    [
        ("时长（小时）", "1.5"),
        ("hours", "1.5"),
        ("秒", "5400"),
        ("Minutes", "90"),
        (" 分钟 ", "90"),
    ],
)
def test_every_unit_of_time_becomes_minutes(heading: str, amount: str) -> None:
    found = reader(f"转入,{heading}").movement(2, ["m-1", amount])
    assert found is not None
    assert found.minutes == 90


def test_the_pool_gives_where_there_is_no_giver() -> None:
    found = reader("志愿者,分钟").movement(2, ["m-1", "30"])
    assert found is not None
    assert (found.source, found.destination) == (POOL, "m-1")


def test_the_pool_may_be_named_in_a_cell() -> None:
    found = reader("转出,转入,分钟").movement(2, ["m-1", "公共时间池", "30"])
    assert found is not None
    assert (found.source, found.destination) == ("m-1", POOL)


def test_a_mapping_names_columns_that_are_not_understood() -> None:
    found = reader("谁,多久", "谁=holder，多久=amount_minutes").movement(2, ["m-1", "30"])
    assert found is not None
    assert (found.destination, found.minutes) == ("m-1", 30)


def test_a_mapping_wins_over_the_usual_meaning() -> None:
    rows = reader("志愿者,转入,分钟", "志愿者=from")
    found = rows.movement(2, ["m-1", "m-2", "30"])
    assert found is not None
    assert (found.source, found.destination) == ("m-1", "m-2")


def test_zero_moves_nothing() -> None:
    assert reader("转入,分钟").movement(2, ["m-1", "0"]) is None


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (["m-1", "m-2", "1.234"], "小时"),
        (["m-1", "m-2", "-1"], "小时"),
        (["", "m-2", "1"], "转出"),
        (["m-1", "m-1", "1"], "转入"),
        (["m-1", "m-2"], "row"),
    ],
)
def test_a_broken_cell_is_named_as_the_file_names_it(cells: list[str], column: str) -> None:
    with pytest.raises(CellError) as refused:
        reader("转出,转入,小时").movement(2, cells)
    assert refused.value.column == column


@pytest.mark.parametrize(
    ("heading", "mapping", "said"),
    [
        ("转入,时长", "", "one amount column, found 0"),
        ("转入,分钟,小时", "", "one amount column, found 2"),
        ("分钟,备注", "", "giver or a receiver"),
        ("转入,志愿者,分钟", "", "both mean to"),
        ("转入,分钟", "谁=from", "no column"),
        (",".join(["x"] * 300), "", "300 columns"),
    ],
)
def test_a_heading_that_does_not_fit_is_refused(heading: str, mapping: str, said: str) -> None:
    with pytest.raises(TimebankError, match=said):
        reader(heading, mapping)


@pytest.mark.parametrize("mapping", ["志愿者", "志愿者=", "=to", "志愿者=boss"])
def test_a_mapping_without_a_meaning_is_refused(mapping: str) -> None:
    with pytest.raises(TimebankError, match="meanings are"):
        parse_mapping(mapping)
