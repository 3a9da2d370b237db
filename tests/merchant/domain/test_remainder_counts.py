"""Shares in turn are those of the largest remainder over all lines at once."""

from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.remainder_counts import count_remainders, fen_in_turn
from merchant.domain.remainders import fen_of_lines

LINES = st.lists(st.integers(-500, 500).filter(bool), max_size=60)


@given(LINES, LINES, st.integers(0, 1_000))
def test_counted_shares_are_the_same(first: list[int], second: list[int], rate: int) -> None:
    points = first + second
    counts = count_remainders((), first, fen_per_hundred_points=rate)
    counts = count_remainders(counts, second, fen_per_hundred_points=rate)
    shares = fen_in_turn(points, counts, net_points=sum(points), fen_per_hundred_points=rate)
    assert list(shares) == fen_of_lines(points, fen_per_hundred_points=rate)
