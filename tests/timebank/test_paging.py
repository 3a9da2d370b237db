"""Pages: sizes are bounded, and a token belongs to one list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank.errors import Reason, TimebankError
from timebank.paging import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    TOKEN_LENGTH_MAX,
    page_number,
    page_position,
    page_size_of,
    page_token,
)


@pytest.mark.parametrize(
    ("requested", "size"),
    [
        (0, PAGE_SIZE_DEFAULT),
        (1, 1),
        (PAGE_SIZE_MAX, PAGE_SIZE_MAX),
        (PAGE_SIZE_MAX + 1, PAGE_SIZE_MAX),
        (2**31 - 1, PAGE_SIZE_MAX),
    ],
)
def test_a_page_size_is_the_default_for_zero_and_coerced_when_too_large(
    requested: int, size: int
) -> None:
    assert page_size_of(requested) == size


def test_a_negative_page_size_is_refused_by_its_field() -> None:
    with pytest.raises(TimebankError) as caught:
        page_size_of(-1)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert [field for field, _ in caught.value.violations] == ["page_size"]


@given(st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable()))
def test_a_token_gives_its_position_back(position: str) -> None:
    token = page_token(position, "ledgers/weihai", 7)
    assert token.isascii()
    assert page_position(token, "ledgers/weihai", 7) == position


def test_no_token_is_the_first_page() -> None:
    assert page_position("", "ledgers/weihai") == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("ledgers/rushan", None),
        ("ledgers/weihai", "member-1"),
        ("ledgers/weihai",),
        ("ledgers/weihai", "None"),
        (),
    ],
)
def test_a_token_of_a_list_with_other_arguments_is_refused(arguments: tuple[object, ...]) -> None:
    token = page_token("17", "ledgers/weihai", None)
    with pytest.raises(TimebankError) as caught:
        page_position(token, *arguments)
    assert caught.value.reason is Reason.PAGE_TOKEN_MISMATCH


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "17",
        "!!!!",
        "页",
        "AAAAAAAAAAAAAAAAAAAA",
        page_token("17", "list")[:-1],
        page_token("17", "list") + "A",
        "=" + page_token("17", "list"),
        page_token("", "list"),
        "A" * (TOKEN_LENGTH_MAX + 1),
        "_" * 40,
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TimebankError) as caught:
        page_position(token, "list")
    assert caught.value.reason is Reason.PAGE_TOKEN_MISMATCH


def test_a_number_is_read_back_and_the_first_page_begins_at_the_first() -> None:
    for number in (0, 7, 10**18 - 1):
        assert page_number(page_token(str(number), "list"), "list") == number
    assert page_number("", "list") == 0
    assert page_number("", "list", first=-1) == -1


@pytest.mark.parametrize(
    "position",
    [
        "abc",
        "-5",
        "+5",
        " 5",
        "5\n",
        "5|x",
        "1.5",
        "1e3",
        "9" * 19,
        "9" * 30,
        "\0",
        "5\0",
        "٣",
        "²",
    ],
)
def test_a_position_that_is_no_number_is_refused(position: str) -> None:
    with pytest.raises(TimebankError) as caught:
        page_number(page_token(position, "list"), "list")
    assert caught.value.reason is Reason.PAGE_TOKEN_MISMATCH
