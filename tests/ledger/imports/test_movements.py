"""Cells of a movement: each rule with what keeps it and what breaks it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.imports.movements import (
    MEMO_CHARACTERS_MAX,
    CellError,
    cause_of,
    holder_of,
    integer_of,
    memo_of,
    micro_minutes_of_hours,
    time_of,
    whole_minutes,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_plain_id_stands_in_the_holder() -> None:
    assert holder_of("timeoverflow-member-", " 17 ", "id") == "timeoverflow-member-17"


@pytest.mark.parametrize(
    "personal",
    ["王伟", "371002199001011234", "37100219900101123X", "13800138000", "a@example.org", "x" * 41],
)
def test_an_id_that_could_name_a_person_is_hashed(personal: str) -> None:
    holder = holder_of("m-", personal, "id")
    assert personal not in holder
    assert holder == holder_of("m-", personal, "id")
    assert holder != holder_of("m-", personal + "1", "id")


@given(st.text(min_size=1))
def test_every_holder_is_visible_ascii_of_at_most_64(text: str) -> None:
    try:
        holder = holder_of("timeoverflow-organization-", text, "id")
    except CellError:
        assert not text.strip()
        return
    assert len(holder) <= 64
    assert all("!" <= letter <= "~" for letter in holder)


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(CellError, match="empty"):
        holder_of("m-", "  ", "id")


@pytest.mark.parametrize(("text", "value"), [("60", 60), ("-60", -60), (" 60.0 ", 60), ("+1", 1)])
def test_whole_numbers_are_read(text: str, value: int) -> None:
    assert integer_of(text, "amount", "seconds") == value


@pytest.mark.parametrize("text", ["", "1.5", "1e3", "60 s", "٦٠", "0x10", "1,000", "9" * 30])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(CellError, match="whole number"):
        integer_of(text, "amount", "seconds")


@pytest.mark.parametrize(
    ("text", "minutes"), [("1.5", 90), ("0.25", 15), ("2", 120), ("0", 0), ("0.05", 3)]
)
def test_hours_become_whole_minutes(text: str, minutes: int) -> None:
    assert whole_minutes(micro_minutes_of_hours(text, "h"), 1_000_000, "h", text) == minutes


@pytest.mark.parametrize(
    ("amount", "said"),
    [(61, "no whole number"), (-60, "negative"), (-61, "negative"), (60 * 10**10, "exceeds")],
)
def test_amounts_that_are_no_minutes_are_refused(amount: int, said: str) -> None:
    with pytest.raises(CellError, match=said):
        whole_minutes(amount, 60, "amount", str(amount))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-03-01 10:20:30 UTC", datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2024-03-01T10:20:30Z", datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2024-03-01 10:20:30 +0100", datetime(2024, 3, 1, 9, 20, 30, tzinfo=UTC)),
        ("2024-03-01 10:20:30.123456", datetime(2024, 3, 1, 2, 20, 30, 123456, tzinfo=UTC)),
        ("2024-03-01", datetime(2024, 2, 29, 16, tzinfo=UTC)),
        ("2024/3/1 9:05", datetime(2024, 3, 1, 1, 5, tzinfo=UTC)),
        ("2024年3月1日 10时20分", datetime(2024, 3, 1, 2, 20, tzinfo=UTC)),
        ("2024年3月1日", datetime(2024, 2, 29, 16, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, time: datetime) -> None:
    assert time_of(text, "time", zone=SHANGHAI, now=NOW) == time


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "2024-13-01", "2024-02-30", "1/2", "2099-01-01", "1969-01-01", "9" * 50),
        *("0001-01-01T00:00+05:00", "9999-12-31T23:00-05:00", "2024-03-01 25:00"),
    ],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(CellError):
        time_of(text, "time", zone=SHANGHAI, now=NOW)


@given(st.text())
def test_no_text_crashes_the_reading_of_times(text: str) -> None:
    try:
        found = time_of(text, "time", zone=SHANGHAI, now=NOW)
    except CellError:
        return
    assert found is None or found.tzinfo is UTC


def test_no_time_means_none() -> None:
    assert time_of(" ", "time", zone=UTC, now=NOW) is None


def test_a_memo_beyond_the_limit_is_refused_not_cut() -> None:
    assert memo_of("x" * MEMO_CHARACTERS_MAX, "reason") == "x" * MEMO_CHARACTERS_MAX
    with pytest.raises(CellError, match="shorten"):
        memo_of("x" * (MEMO_CHARACTERS_MAX + 1), "reason")


def test_a_cause_is_a_plain_reference() -> None:
    assert cause_of("posts/", "12", "post_id") == "posts/12"
    assert cause_of("posts/", "", "post_id") == ""
    with pytest.raises(CellError):
        cause_of("posts/", "王伟的服务", "post_id")
