"""Rows of TimeOverflow: one valid row, and what each change of it means."""

from datetime import UTC, datetime

import pytest

from ledger.imports.movements import CellError, Movement
from ledger.imports.timeoverflow import COLUMNS, TimeOverflowRows
from timebank.errors import TimebankError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ROW = {
    "source_id": "17",
    "source_type": "Member",
    "destination_id": "3",
    "destination_type": "Organization",
    "amount": "3600",
    "created_at": "2024-03-01 10:20:30 UTC",
    "reason": "理发",
    "post_id": "5",
}


def read(**changes: str) -> Movement | None:
    reader = TimeOverflowRows(COLUMNS, now=NOW)
    return reader.movement(2, list((ROW | changes).values()))


def test_a_row_is_a_movement_of_minutes_at_its_own_time() -> None:
    found = read()
    assert found is not None
    assert found[:7] == (
        2,
        "timeoverflow-member-17",
        "timeoverflow-organization-3",
        60,
        datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC),
        "理发",
        "timeoverflow/posts/5",
    )


def test_a_row_that_moves_nothing_is_no_movement() -> None:
    assert read(amount="0") is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount", "61"),
        ("amount", "-60"),
        ("amount", "an hour"),
        ("source_id", ""),
        ("source_type", ""),
        ("destination_type", "4"),
        ("created_at", "2099-01-01"),
        ("post_id", "王伟"),
        ("reason", "x" * 2001),
    ],
)
def test_a_broken_cell_is_named(column: str, value: str) -> None:
    with pytest.raises(CellError) as refused:
        read(**{column: value})
    assert refused.value.column == column
    assert refused.value.advice


def test_nobody_gives_to_himself() -> None:
    with pytest.raises(CellError, match="giver"):
        read(destination_id="17", destination_type="member")


def test_a_member_and_an_organisation_of_one_id_are_two_holders() -> None:
    found = read(source_id="3")
    assert found is not None
    assert found.source != found.destination


def test_equal_content_has_one_digest_and_other_content_another() -> None:
    plain, spelt, other = read(), read(amount="3600.0", source_id=" 17"), read(reason="陪护")
    assert plain is not None
    assert spelt is not None
    assert other is not None
    assert plain.digest == spelt.digest != other.digest


def test_columns_are_found_by_name_in_any_order() -> None:
    names = sorted(COLUMNS)
    reader = TimeOverflowRows([name.upper() for name in names], now=NOW)
    assert reader.heading
    assert reader.movement(2, [ROW[name] for name in names]) == read()


def test_the_seven_columns_that_timeoverflow_imports_need_no_heading() -> None:
    cells = [value for name, value in ROW.items() if name != "created_at"]
    reader = TimeOverflowRows(cells, now=NOW)
    found = reader.movement(1, cells)
    assert not reader.heading
    assert found is not None
    assert (found.minutes, found.effective, found.cause) == (60, None, "timeoverflow/posts/5")


def test_eight_columns_need_no_heading_either() -> None:
    reader = TimeOverflowRows(list(ROW.values()), now=NOW)
    assert not reader.heading
    assert reader.movement(2, list(ROW.values())) == read()


@pytest.mark.parametrize(
    ("first_row", "said"),
    [
        (["source_id", "amount"], "lacks source_type"),
        ([*COLUMNS, "amount"], "repeats amount"),
        (["a", "b", "c"], "3 cells"),
    ],
)
def test_a_heading_that_does_not_fit_is_refused(first_row: list[str], said: str) -> None:
    with pytest.raises(TimebankError, match=said):
        TimeOverflowRows(first_row, now=NOW)


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(CellError, match="expected 8 columns, got 7"):
        TimeOverflowRows(COLUMNS, now=NOW).movement(2, list(ROW.values())[:7])
