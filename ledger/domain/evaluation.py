"""The three-way evaluation 三维评估: from sums of scores to one exact quality.

Owns: adding a score, and the weighted shrunken mean of the three roles. Refuses: who may rate whom
(ratings of oneself or in return are refused before they get here) and the cycle (the caller passes
the sums of one quarter, or of all).
Rules: a score is 1 to 5; arithmetic is exact (Fraction), and only `tenths` is rounded, down; a role
without ratings or with weight 0 is left out and the other weights re-normalise; with no rating at
all the quality is the prior mean; it is shown from `min_raters` ratings on, all roles together.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from ledger.domain.star_tables import Role as Role
from ledger.domain.star_tables import StarTable
from timebank.errors import Reason, TimebankError

SCORE_MIN = 1
SCORE_MAX = 5
RATINGS_MAX = 1_000_000
"""Most ratings of one role that are summed for one volunteer."""

RatingSums = Mapping[str, tuple[int, int]]
"""Per role (its name): how many ratings, and the sum of their scores."""


class Quality(NamedTuple):
    """A quality from 1 to 5, exactly numerator / denominator in lowest terms; `tenths` is ten times
    it, rounded down; `raters` counts the ratings; `shown` says whether they are enough.
    """

    numerator: int
    denominator: int
    raters: int
    tenths: int
    shown: bool


def quality_of(table: StarTable, sums: RatingSums) -> Quality:
    """Computes the quality that sums of ratings give by a table's weights and prior.

    Raises: VALIDATION_FAILED when a role is unknown or a sum cannot be one of such scores.
    """
    _check_sums(sums)
    weighted = Fraction(0)
    weight_total = raters = 0
    for role, weight in table.weights:
        count, total = sums.get(role.value, (0, 0))
        if count and weight:
            weighted += weight * _shrunken_mean(table, count, total)
            weight_total += weight
            raters += count
    exact = weighted / weight_total if weight_total else prior_mean(table)
    return Quality(
        numerator=exact.numerator,
        denominator=exact.denominator,
        raters=raters,
        tenths=10 * exact.numerator // exact.denominator,
        shown=raters >= table.min_raters,
    )


def prior_mean(table: StarTable) -> Fraction:
    """Gives the mean that is believed of somebody without ratings."""
    return Fraction(table.prior_tenths, 10)


def add_rating(sums: RatingSums, role: Role, score: int) -> dict[str, tuple[int, int]]:
    """Adds one score (1 to 5) and gives the new sums.

    Raises: VALIDATION_FAILED when the score is another.
    """
    if type(score) is not int or not SCORE_MIN <= score <= SCORE_MAX:
        raise _refusal("score", f"expected {SCORE_MIN} to {SCORE_MAX}, got {score!r}")
    count, total = sums.get(role.value, (0, 0))
    return {**sums, role.value: (count + 1, total + score)}


def _shrunken_mean(table: StarTable, count: int, total: int) -> Fraction:
    """Gives the mean of one role's ratings, drawn to the prior as if by `prior_weight` ratings."""
    return (prior_mean(table) * table.prior_weight + total) / (table.prior_weight + count)


def _check_sums(sums: RatingSums) -> None:
    known = {role.value for role in Role}
    for role, (count, total) in sums.items():
        if role not in known:
            raise _refusal("sums", f"expected {', '.join(sorted(known))}, got {role[:60]!r}")
        if not 0 <= count <= RATINGS_MAX:
            raise _refusal(f"sums.{role}", f"expected 0 to {RATINGS_MAX} ratings, got {count}")
        if not SCORE_MIN * count <= total <= SCORE_MAX * count:
            raise _refusal(
                f"sums.{role}",
                f"expected {count} scores to sum to {SCORE_MIN * count} to {SCORE_MAX * count}, "
                f"got {total}",
            )


def _refusal(field: str, text: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )
