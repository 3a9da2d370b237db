"""The largest remainder of very many lines, without holding them all.

Owns: the same shares as merchant.domain.remainders.fen_of_lines, line by line. Which lines are
rounded up depends only on how many lines have which remainder: 100 numbers, counted while lines
join a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from merchant.domain.documents import RemainderCount
from merchant.domain.remainders import POINTS_PER_RATE


def count_remainders(
    before: Sequence[RemainderCount], points: Iterable[int], *, fen_per_hundred_points: int
) -> tuple[RemainderCount, ...]:
    """Adds lines, given by their signed points, to counts."""
    counts = dict(before)
    for amount in points:
        remainder = amount * fen_per_hundred_points % POINTS_PER_RATE
        counts[remainder] = counts.get(remainder, 0) + 1
    return tuple(RemainderCount(*item) for item in sorted(counts.items()))


def fen_in_turn(
    points: Iterable[int],
    counts: Sequence[RemainderCount],
    *,
    net_points: int,
    fen_per_hundred_points: int,
) -> Iterator[int]:
    """Gives the fen of each line, in order; `counts` and `net_points` are those of all of them."""
    sign = 1 if net_points >= 0 else -1
    signed = {sign * item.remainder % POINTS_PER_RATE: item.lines for item in counts}
    # What rounding every line down leaves of the whole, a fen for each line rounded up.
    left = sum(remainder * count for remainder, count in signed.items()) // POINTS_PER_RATE
    bound = POINTS_PER_RATE
    for remainder in sorted(signed, reverse=True):
        bound = remainder
        if left <= signed[remainder]:
            break
        left -= signed[remainder]
    for amount in points:
        fen, remainder = divmod(sign * amount * fen_per_hundred_points, POINTS_PER_RATE)
        if remainder > bound:
            fen += 1
        elif remainder == bound and left:
            fen, left = fen + 1, left - 1
        yield sign * fen
