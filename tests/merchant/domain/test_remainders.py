"""Points turned into fen: the parts sum to the whole."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain import remainders
from merchant.domain.remainders import RATE_MAX, fen_of_lines, fen_of_points
from timebank.errors import Reason, TimebankError

POINTS = st.lists(st.integers(-10_000, 10_000) | st.integers(-(10**12), 10**12), max_size=60)
RATES = st.integers(0, 200) | st.integers(0, RATE_MAX)


@given(POINTS, RATES)
def test_the_parts_sum_to_the_whole_to_the_last_fen(points: list[int], rate: int) -> None:
    parts = fen_of_lines(points, fen_per_hundred_points=rate)
    assert len(parts) == len(points)
    assert sum(parts) == fen_of_points(sum(points), fen_per_hundred_points=rate)


@given(POINTS, RATES)
def test_each_part_is_less_than_a_fen_from_its_exact_value_and_never_of_the_other_sign(
    points: list[int], rate: int
) -> None:
    for amount, part in zip(points, fen_of_lines(points, fen_per_hundred_points=rate), strict=True):
        assert abs(part - Fraction(amount * rate, 100)) < 1
        assert part * amount >= 0


@given(POINTS, RATES)
def test_a_batch_and_its_reversal_cancel_line_by_line(points: list[int], rate: int) -> None:
    parts = fen_of_lines(points, fen_per_hundred_points=rate)
    reversal = fen_of_lines([-amount for amount in points], fen_per_hundred_points=rate)
    if sum(points):
        assert reversal == [-part for part in parts]
    assert sum(reversal) == -sum(parts)


@pytest.mark.parametrize(
    ("points", "rate", "expected"),
    [
        ([], 50, []),
        ([0, 0], 50, [0, 0]),
        ([100, 200], 0, [0, 0]),
        ([1, 1, 1], 50, [1, 0, 0]),
        ([1, 1, 1, 1], 50, [1, 1, 0, 0]),
        ([33, 34, 33], 10, [3, 4, 3]),
        ([10, 29, 15], 10, [1, 3, 1]),
        ([-1, -1, -1], 50, [-1, 0, 0]),
        ([100, -30], 100, [100, -30]),
    ],
)
def test_the_largest_remainder_gets_the_fen_that_is_left_the_earlier_of_equal_ones(
    points: list[int], rate: int, expected: list[int]
) -> None:
    assert fen_of_lines(points, fen_per_hundred_points=rate) == expected


@pytest.mark.parametrize(("points", "fen"), [(3, 1), (-3, -1), (1, 0), (-1, 0), (2, 1), (-2, -1)])
def test_the_whole_is_rounded_towards_zero(points: int, fen: int) -> None:
    assert fen_of_points(points, fen_per_hundred_points=50) == fen


@pytest.mark.parametrize("rate", [-1, RATE_MAX + 1])
def test_a_rate_outside_its_range_is_refused(rate: int) -> None:
    with pytest.raises(TimebankError) as refused:
        fen_of_lines([1], fen_per_hundred_points=rate)
    assert refused.value.reason is Reason.VALIDATION_FAILED


def test_fen_beyond_64_bits_are_refused() -> None:
    with pytest.raises(TimebankError, match="64 bits"):
        fen_of_points(10**16, fen_per_hundred_points=RATE_MAX)


def test_more_lines_than_a_batch_can_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remainders, "LINES_MAX", 2)
    with pytest.raises(TimebankError, match="at most 2 lines"):
        fen_of_lines([1, 1, 1], fen_per_hundred_points=50)
