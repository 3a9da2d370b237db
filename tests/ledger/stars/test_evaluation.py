"""The three-way evaluation: exact, shrunken, re-normalised, and hidden while few have rated."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.evaluation import (
    RATINGS_MAX,
    Quality,
    Role,
    add_rating,
    prior_mean,
    quality_of,
)
from ledger.domain.star_tables import NATIONAL
from timebank.errors import Reason, TimebankError

SCORES = st.lists(st.tuples(st.sampled_from(Role), st.integers(1, 5)), max_size=40)


def sums_of(scores: list[tuple[Role, int]]) -> dict[str, tuple[int, int]]:
    """Adds scores one by one."""
    sums: dict[str, tuple[int, int]] = {}
    for role, score in scores:
        sums = add_rating(sums, role, score)
    return sums


def exact(quality: Quality) -> Fraction:
    return Fraction(quality.numerator, quality.denominator)


def test_without_ratings_the_quality_is_the_prior_and_not_shown() -> None:
    assert quality_of(NATIONAL, {}) == Quality(4, 1, 0, 40, shown=False)


def test_one_role_alone_takes_the_whole_weight() -> None:
    # (4.0 * 5 + 5 * 5) / 10 = 4.5, whatever the role weighs.
    for role in Role:
        assert quality_of(NATIONAL, {role: (5, 25)}) == Quality(9, 2, 5, 45, shown=True)


def test_three_roles_are_weighed_50_20_30() -> None:
    sums = {"RESIDENT": (5, 25), "PEER": (5, 15), "COMMUNITY": (5, 20)}
    # means 4.5, 3.5, 4.0: (50 * 4.5 + 20 * 3.5 + 30 * 4.0) / 100 = 4.15
    assert quality_of(NATIONAL, sums) == Quality(83, 20, 15, 41, shown=True)


def test_a_missing_role_renormalises_the_weights() -> None:
    # means 4.5 and 3.5: (50 * 4.5 + 20 * 3.5) / 70 = 295 / 70
    quality = quality_of(NATIONAL, {"RESIDENT": (5, 25), "PEER": (5, 15), "COMMUNITY": (0, 0)})
    assert exact(quality) == Fraction(59, 14)


@pytest.mark.parametrize(
    ("sums", "shown"),
    [
        ({"RESIDENT": (2, 10)}, False),
        ({"RESIDENT": (3, 15)}, True),
        ({"RESIDENT": (1, 5), "PEER": (1, 5)}, False),
        ({"RESIDENT": (1, 5), "PEER": (1, 5), "COMMUNITY": (1, 5)}, True),
    ],
)
def test_a_quality_is_shown_from_three_raters_in_all(
    sums: dict[str, tuple[int, int]], shown: bool
) -> None:
    assert quality_of(NATIONAL, sums).shown is shown


def test_tenths_are_rounded_down_and_the_fraction_is_not() -> None:
    quality = quality_of(NATIONAL, {"RESIDENT": (1, 5)})
    assert (exact(quality), quality.tenths) == (Fraction(25, 6), 41)


def test_a_role_of_weight_0_neither_weighs_nor_counts() -> None:
    table = NATIONAL._replace(weights=((Role.RESIDENT, 1), (Role.PEER, 0), (Role.COMMUNITY, 0)))
    assert quality_of(table, {"PEER": (9, 9)}) == Quality(4, 1, 0, 40, shown=False)


def test_without_a_prior_weight_the_mean_is_plain() -> None:
    table = NATIONAL._replace(prior_weight=0)
    assert exact(quality_of(table, {"PEER": (3, 10)})) == Fraction(10, 3)


@pytest.mark.parametrize(
    ("sums", "words"),
    [
        ({"NEIGHBOUR": (1, 5)}, "sums: expected COMMUNITY, PEER, RESIDENT, got 'NEIGHBOUR'"),
        ({"PEER": (-1, 5)}, "0 to 1000000 ratings"),
        ({"PEER": (RATINGS_MAX + 1, 5)}, "0 to 1000000 ratings"),
        ({"PEER": (2, 1)}, "to sum to 2 to 10, got 1"),
        ({"PEER": (2, 11)}, "to sum to 2 to 10, got 11"),
        ({"PEER": (0, 1)}, "to sum to 0 to 0, got 1"),
    ],
)
def test_sums_that_no_scores_have_are_refused(sums: dict[str, tuple[int, int]], words: str) -> None:
    with pytest.raises(TimebankError, match=words) as caught:
        quality_of(NATIONAL, sums)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert caught.value.violations


@pytest.mark.parametrize("score", [0, 6, -1, True])
def test_a_score_is_1_to_5(score: int) -> None:
    with pytest.raises(TimebankError, match="score: expected 1 to 5"):
        add_rating({}, Role.PEER, score)


def test_roles_have_their_chinese_names() -> None:
    assert [role.name_zh for role in Role] == ["居民", "志愿者互评", "社区考核"]


@given(scores=SCORES)
def test_a_quality_stays_within_the_scores_and_tenths_are_its_floor(
    scores: list[tuple[Role, int]],
) -> None:
    quality = quality_of(NATIONAL, sums_of(scores))
    assert 1 <= exact(quality) <= 5
    assert Fraction(quality.tenths, 10) <= exact(quality) < Fraction(quality.tenths + 1, 10)
    assert quality.raters == len(scores)


@given(scores=SCORES, role=st.sampled_from(Role))
def test_a_higher_score_never_lowers_the_quality(
    scores: list[tuple[Role, int]], role: Role
) -> None:
    low, high = (quality_of(NATIONAL, sums_of([*scores, (role, score)])) for score in (2, 3))
    assert exact(low) < exact(high)


@given(scores=st.permutations([(Role.PEER, 1), (Role.PEER, 4), (Role.RESIDENT, 5)]))
def test_the_order_of_ratings_does_not_matter(scores: list[tuple[Role, int]]) -> None:
    assert exact(quality_of(NATIONAL, sums_of(scores))) == Fraction(
        Fraction(50 * 25, 6) + Fraction(20 * 25, 7), 70
    )


def test_the_prior_mean_is_exact() -> None:
    assert prior_mean(NATIONAL._replace(prior_tenths=37)) == Fraction(37, 10)
