"""Points turned into fen 分 at a contracted rate, to the last fen.

Owns: what a batch is worth, and what each of its lines is worth. Refuses: what the rate is.
Rules: a rate is a whole number of fen per 100 points; 0 is a sponsor's. The whole is the net
points at the rate, rounded towards zero: down when the merchant is paid, and the same amount with
the other sign when the merchant owes, so that a batch and its exact reversal cancel. The parts are
shared out by the largest remainder, the earlier of two equal ones, so that they sum to the whole;
each lies less than one fen from its exact value and on the same side of zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from timebank.errors import Reason, TimebankError
from timebank.units import fits_int64

RATE_MAX = 1_000_000
"""Most fen per 100 points: 100 yuan a point."""
LINES_MAX = 1_000_000
POINTS_PER_RATE = 100
"""A rate is for so many points."""


def fen_of_points(points: int, *, fen_per_hundred_points: int) -> int:
    """Gives the fen of net points at a rate, rounded towards zero.

    Raises VALIDATION_FAILED for a rate that is not 0 to 1,000,000 or fen beyond 64 bits.
    """
    check_rate(fen_per_hundred_points)
    fen = abs(points) * fen_per_hundred_points // POINTS_PER_RATE
    if not fits_int64(fen):
        raise _refusal("points", f"expected fen that fit into 64 bits, got {points} points")
    return fen if points >= 0 else -fen


def fen_of_lines(points: Sequence[int], *, fen_per_hundred_points: int) -> list[int]:
    """Gives the fen of each line, in order; they sum to `fen_of_points` of the summed points.

    Points are signed: refunds are negative. Raises VALIDATION_FAILED for a rate that is not 0 to
    1,000,000, more than 1,000,000 lines, or fen beyond 64 bits.
    """
    if len(points) > LINES_MAX:
        raise _refusal("lines", f"expected at most {LINES_MAX} lines, got {len(points)}")
    net = sum(points)
    whole = fen_of_points(net, fen_per_hundred_points=fen_per_hundred_points)
    sign = 1 if net >= 0 else -1
    exact = [sign * amount * fen_per_hundred_points for amount in points]
    fen = [hundredths // POINTS_PER_RATE for hundredths in exact]
    remainders = [hundredths % POINTS_PER_RATE for hundredths in exact]
    left = sign * whole - sum(fen)
    # A reverse sort keeps equal ones in order: the earlier line comes first.
    by_remainder = sorted(range(len(fen)), key=remainders.__getitem__, reverse=True)
    for index in by_remainder[:left]:
        fen[index] += 1
    return fen if sign > 0 else [-part for part in fen]


def check_rate(fen_per_hundred_points: int) -> None:
    """Raises VALIDATION_FAILED unless a rate is 0 to 1,000,000 fen per 100 points."""
    if not 0 <= fen_per_hundred_points <= RATE_MAX:
        text = f"expected 0 to {RATE_MAX}, got {fen_per_hundred_points}"
        raise _refusal("fen_per_hundred_points", text)


def _refusal(field: str, text: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )
