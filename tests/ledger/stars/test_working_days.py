"""Working days: the State Council's notices day by day, and no guess about another year."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.working_days import (
    FILE_CHARACTERS_MAX,
    FILES_MAX,
    Holidays,
    add_working_days,
    is_working_day,
    parse_holidays,
)
from ledger.holidays import load_holidays
from timebank.errors import Reason, TimebankError

SHIPPED = load_holidays()


def day(text: str) -> date:
    return date.fromisoformat(text)


def test_the_shipped_files_are_those_of_2024_to_2026() -> None:
    assert SHIPPED.years == {2024, 2025, 2026}


@pytest.mark.parametrize(("year", "days"), [(2024, 251), (2025, 248), (2026, 248)])
def test_a_year_has_as_many_working_days_as_the_law_gives(year: int, days: int) -> None:
    # Days of the year less weekends less 11 holidays (13 from 2025 on); swaps cancel out.
    first = date(year, 1, 1)
    all_days = [first + timedelta(days=at) for at in range((date(year + 1, 1, 1) - first).days)]
    assert sum(is_working_day(each, SHIPPED) for each in all_days) == days


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        ("2026-03-02", 0, "2026-03-02"),
        ("2026-03-02", 1, "2026-03-03"),
        ("2026-03-06", 3, "2026-03-11"),
        ("2026-02-12", 3, "2026-02-24"),  # Friday, the Saturday worked instead, then 9 days off
        ("2026-02-14", 1, "2026-02-24"),
        ("2026-02-27", 1, "2026-02-28"),
        ("2026-09-30", 3, "2026-10-10"),  # the seven days of October, then a Saturday that works
        ("2025-09-30", 1, "2025-10-09"),
        ("2025-12-31", 1, "2026-01-04"),  # a Sunday that works, in another file
        ("2024-09-13", 1, "2024-09-14"),
        ("2024-02-09", 1, "2024-02-18"),
        ("2026-01-02", 0, "2026-01-02"),
    ],
)
def test_three_working_days_step_over_holidays_and_into_worked_weekends(
    start: str, count: int, end: str
) -> None:
    assert add_working_days(day(start), count, SHIPPED) == day(end)


@pytest.mark.parametrize(
    ("start", "count"), [("2023-12-29", 0), ("2027-01-04", 1), ("2026-12-30", 2)]
)
def test_a_date_in_a_year_without_a_file_is_an_error(start: str, count: int) -> None:
    with pytest.raises(TimebankError, match="expected a year with a holiday file") as caught:
        add_working_days(day(start), count, SHIPPED)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert caught.value.metadata["field"] == "date"


def test_the_error_names_the_file_to_add() -> None:
    with pytest.raises(TimebankError, match=r"2024, 2025, 2026.*add 2027\.json"):
        is_working_day(day("2027-06-01"), SHIPPED)
    with pytest.raises(TimebankError, match=r"\(none\)"):
        is_working_day(day("2026-06-01"), parse_holidays([]))


def test_the_last_day_of_the_calendar_ends_in_an_error_and_no_overflow() -> None:
    with pytest.raises(TimebankError, match="9999"):
        add_working_days(
            date(9998, 12, 31), 1, Holidays(frozenset({9998}), frozenset(), SHIPPED.on)
        )


@pytest.mark.parametrize("count", [-1, 1_001])
def test_the_count_is_limited(count: int) -> None:
    with pytest.raises(TimebankError, match="0 to 1000 working days"):
        add_working_days(day("2026-03-02"), count, SHIPPED)


@given(start=st.dates(date(2024, 1, 1), date(2026, 9, 1)), count=st.integers(1, 60))
def test_one_day_after_another_is_the_same_as_all_at_once(start: date, count: int) -> None:
    end = add_working_days(start, count, SHIPPED)
    before = add_working_days(start, count - 1, SHIPPED)
    assert end == add_working_days(before, 1, SHIPPED)
    assert before < end
    assert is_working_day(end, SHIPPED)


def file_of(**changes: object) -> str:
    """A holiday file of 2026 with one change."""
    data = {"year": 2026, "holidays": ["2026-01-01"], "workdays": ["2026-01-04"]}
    return json.dumps({**data, **changes})


def test_several_files_are_joined() -> None:
    other = json.dumps({"year": 2025, "holidays": [], "workdays": []})
    assert parse_holidays([file_of(), other]) == Holidays(
        frozenset({2025, 2026}), frozenset({"2026-01-01"}), frozenset({"2026-01-04"})
    )


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "holidays"),
        ("[" * 10_000, "holidays"),
        ("[]", "holidays"),
        ("{}", "holidays"),
        (" " * (FILE_CHARACTERS_MAX + 1), "holidays"),
        (file_of(more=1), "holidays"),
        (file_of(year="2026"), "year"),
        (file_of(year=True), "year"),
        (file_of(year=1948), "year"),
        (file_of(year=9999), "year"),
        (file_of(holidays="2026-01-01"), "holidays"),
        (file_of(holidays=[20260101]), "holidays"),
        (file_of(holidays=["2026-02-30"]), "holidays"),
        (file_of(holidays=["20260101"]), "holidays"),
        (file_of(holidays=["2026-W01-1"]), "holidays"),
        (file_of(holidays=["2025-01-01"]), "holidays"),
        (file_of(holidays=["2026-01-01", "2026-01-01"]), "holidays"),
        (file_of(workdays=["2026-01-05"]), "workdays"),
        (file_of(workdays=["2026-01-03"], holidays=["2026-01-03"]), "workdays"),
        (file_of(workdays=None), "workdays"),
    ],
)
def test_a_malformed_file_is_refused_with_its_field(text: str, field: str) -> None:
    with pytest.raises(TimebankError) as caught:
        parse_holidays([text])
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert caught.value.metadata["field"] == field


def test_a_year_in_two_files_and_too_many_files_are_refused() -> None:
    with pytest.raises(TimebankError, match="one file for 2026, got two"):
        parse_holidays([file_of(), file_of()])
    years = (
        json.dumps({"year": 2000 + at, "holidays": [], "workdays": []})
        for at in range(FILES_MAX + 1)
    )
    with pytest.raises(TimebankError, match="at most 200 files"):
        parse_holidays(years)


def test_an_operator_adds_a_year_and_replaces_one(tmp_path: Path) -> None:
    added = {"year": 2027, "holidays": ["2027-01-01"], "workdays": []}
    (tmp_path / "2027.json").write_text(json.dumps(added))
    (tmp_path / "2026.json").write_text(file_of(holidays=["2026-03-03"], workdays=[]))
    (tmp_path / "notes.json").write_text("anything")

    holidays = load_holidays(tmp_path)

    assert holidays.years == {2024, 2025, 2026, 2027}
    assert not is_working_day(day("2026-03-03"), holidays)
    assert is_working_day(day("2026-01-01"), holidays), "the shipped file is replaced as a whole"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.joinpath("2027.json").write_text(file_of()), "2027.json: expected"),
        (lambda path: path.joinpath("2027.json").write_text("x"), "2027.json: holidays: expected"),
        (lambda path: path.joinpath("2027.json").write_bytes(b"\xff"), "expected UTF-8"),
        (lambda path: path.joinpath("2027.json").write_text(" " * 500_000), "400000 bytes"),
        (lambda path: path.joinpath("2027.json").mkdir(), "cannot be read"),
        (lambda path: path.rmdir(), "cannot be read"),
    ],
)
def test_a_directory_that_cannot_be_used_is_refused(
    make: Callable[[Path], Any], words: str, tmp_path: Path
) -> None:
    directory = tmp_path / "own"
    directory.mkdir()
    make(directory)
    with pytest.raises(TimebankError, match=words) as caught:
        load_holidays(directory)
    assert caught.value.reason is Reason.VALIDATION_FAILED


@given(text=st.text())
def test_hostile_text_is_refused_and_never_raises_anything_else(text: str) -> None:
    with pytest.raises(TimebankError):
        parse_holidays([text])
