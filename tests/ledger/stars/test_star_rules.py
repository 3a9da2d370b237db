"""Stars: every threshold to the minute, the reasons in words, and what is missing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.evaluation import Quality, quality_of
from ledger.domain.star_rules import (
    Progress,
    Standing,
    conditions_of,
    earned_star,
    explain,
    explain_zh,
    medals_of,
    next_star,
    star_of,
)
from ledger.domain.star_tables import BEIJING, LONGQUANYI, NATIONAL, PRESETS, StarTable

GOOD = Quality(9, 2, 5, 45, shown=True)
BELOW_FOUR = Quality(399, 100, 100, 39, shown=True)


def standing(minutes: int, points: int = 0, **changes: Any) -> Standing:
    """Somebody with good ratings, these minutes and points, and no star yet."""
    return Standing(minutes, points, GOOD)._replace(**changes)


def star(table: StarTable, minutes: int, points: int = 0, **changes: Any) -> int:
    return star_of(table, standing(minutes, points, **changes))


HOURS = [
    (table, at, hours)
    for table, thresholds in (
        ("national", (100, 300, 600, 1000, 1500)),
        ("beijing", (100, 200, 500, 800, 1000)),
    )
    for at, hours in enumerate(thresholds, start=1)
]


@pytest.mark.parametrize(("name", "given_star", "hours"), HOURS)
def test_the_last_minute_of_a_threshold_gives_the_star(
    name: str, given_star: int, hours: int
) -> None:
    table = PRESETS[name]
    minutes = [hours * 60 - 1, hours * 60, hours * 60 + 1]
    assert [star(table, each) for each in minutes] == [given_star - 1, given_star, given_star]


def test_5999_minutes_are_no_star_and_6000_are_one() -> None:
    assert [star(NATIONAL, minutes) for minutes in (0, 5_999, 6_000)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("given_star", "hours", "points"),
    [(1, 50, 500), (2, 100, 1000), (3, 200, 2100), (4, 400, 4200), (5, 800, 8400)],
)
def test_longquanyi_needs_hours_and_points_both(given_star: int, hours: int, points: int) -> None:
    enough = 60 * hours
    assert star(LONGQUANYI, enough, points) == given_star
    assert star(LONGQUANYI, enough - 1, points) == given_star - 1
    assert star(LONGQUANYI, enough, points - 1) == given_star - 1
    assert star(LONGQUANYI, 10 * enough, points - 1) == given_star - 1


def test_longquanyi_demotes_who_falls_below() -> None:
    fallen = standing(60 * 200 - 1, 2100, held=3)
    assert (star_of(LONGQUANYI, fallen), earned_star(LONGQUANYI, fallen)) == (2, 2)


def test_a_star_is_kept_where_the_table_does_not_demote_and_a_review_is_due() -> None:
    fallen = standing(5_000, held=3)
    assert (star_of(NATIONAL, fallen), earned_star(NATIONAL, fallen)) == (3, 0)
    assert "star 3 was granted before and is kept; a review is due" in explain(NATIONAL, fallen)


@pytest.mark.parametrize("table", [NATIONAL, LONGQUANYI])
def test_who_is_suspended_keeps_the_star_and_gets_no_other(table: StarTable) -> None:
    assert star(table, 10**6, 10**6, suspended=True, held=2) == 2
    assert star(table, 0, 0, suspended=True, held=2) == 2


@pytest.mark.parametrize(
    ("table", "hours", "points", "names"),
    [
        (BEIJING, 2000, 0, ["铜质奖章"]),
        (BEIJING, 3000, 0, ["铜质奖章", "银质奖章"]),
        (BEIJING, 5000, 0, ["铜质奖章", "银质奖章", "金质奖章"]),
        (LONGQUANYI, 1000, 10500, ["金牌"]),
        (LONGQUANYI, 2000, 21000, ["金牌", "钻石"]),
    ],
)
def test_medals_come_with_their_last_minute(
    table: StarTable, hours: int, points: int, names: list[str]
) -> None:
    given_now = [medal.name for medal in medals_of(table, standing(60 * hours, points))]
    before = [medal.name for medal in medals_of(table, standing(60 * hours - 1, points))]
    assert (given_now, before) == (names, names[:-1])


def test_a_medal_needs_its_points_too() -> None:
    assert medals_of(LONGQUANYI, standing(60 * 1000, 10499)) == ()


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (Quality(7, 2, 3, 35, shown=True), 3),
        (Quality(349, 100, 3, 34, shown=True), 2),
        (Quality(4, 1, 3, 40, shown=True), 4),
        (BELOW_FOUR, 3),
        (Quality(21, 5, 3, 42, shown=True), 5),
        (Quality(419, 100, 3, 41, shown=True), 4),
        (Quality(1, 1, 2, 10, shown=False), 4),
        (Quality(5, 1, 2, 50, shown=False), 4),
        (None, 4),
    ],
)
def test_floors_are_judged_by_the_shown_quality_else_by_the_prior_mean(
    quality: Quality | None, expected: int
) -> None:
    assert star(NATIONAL, 60 * 2000, quality=quality) == expected


def test_the_third_rating_is_what_makes_a_bad_quality_count() -> None:
    two, three = (quality_of(NATIONAL, {"RESIDENT": (count, count)}) for count in (2, 3))
    assert [star(NATIONAL, 60 * 600, quality=quality) for quality in (two, three)] == [3, 2]


def test_the_fifth_star_by_selection_needs_the_fourth_and_the_vote() -> None:
    table = NATIONAL._replace(five_by_selection=True)
    enough = 60 * 1500
    assert star(table, enough, selected=True, held=4) == 5
    assert star(table, enough, selected=False, held=4) == 4
    assert star(table, enough, selected=True, held=3) == 4
    assert star(table, enough - 1, selected=True, held=4) == 4
    assert star(table, enough, selected=False, held=5) == 5, "once given it is kept"


def test_562_hours_are_38_below_three_stars() -> None:
    progress = next_star(NATIONAL, standing(60 * 562))
    assert progress == Progress(3, 38 * 60, 0, 0)
    assert (progress.text, progress.text_zh) == ("38 h to go", "距三星还差 38 小时")


@pytest.mark.parametrize(
    ("minutes", "text", "text_zh"),
    [
        (5_999, "1 min to go", "距一星还差 1 分钟"),
        (5_935, "1 h 5 min to go", "距一星还差 1 小时 5 分钟"),
        (-60, "101 h to go", "距一星还差 101 小时"),
    ],
)
def test_progress_is_told_to_the_minute(minutes: int, text: str, text_zh: str) -> None:
    progress = next_star(NATIONAL, standing(minutes))
    assert progress is not None
    assert (progress.text, progress.text_zh) == (text, text_zh)


def test_progress_names_everything_that_is_missing() -> None:
    table = LONGQUANYI._replace(
        five_by_selection=True,
        levels=(*LONGQUANYI.levels[:4], LONGQUANYI.levels[4]._replace(quality_tenths=42)),
    )
    progress = next_star(table, standing(60 * 700, 8000, quality=BELOW_FOUR, held=3))
    assert progress == Progress(5, 6_000, 400, 3, needs_selection=True, needs_held=True)
    assert progress.text == ("100 h, 400 points, 0.3 of quality, star 4 held, the selection to go")
    assert progress.text_zh == "距五星还差 100 小时、400 积分、评价 0.3 分、先获四星、评选"


def test_progress_of_the_suspended_says_so_and_five_stars_have_none() -> None:
    stopped = next_star(NATIONAL, standing(60 * 1000, suspended=True, held=2))
    assert stopped == Progress(3, 0, 0, 0, suspended=True)
    assert (stopped.text, stopped.text_zh) == (
        "nothing is missing (suspended)",
        "条件已具备（已暂停）",
    )
    assert next_star(NATIONAL, standing(60 * 1500)) is None


def test_reasons_list_each_condition_up_to_the_next_star_in_both_languages() -> None:
    somebody = Standing(60 * 562, 0, None)
    assert explain(NATIONAL, somebody) == (
        "star 2; the conditions alone give 2",
        "star 1: hours: have 562 h, need 100 h: met",
        "star 2: hours: have 562 h, need 300 h: met",
        "star 3: hours: have 562 h, need 600 h: not met",
        "star 3: quality: have 4.0 (prior mean: fewer than 3 ratings), need 3.5: met",
    )
    chinese = explain_zh(NATIONAL, somebody)
    assert chinese[0] == "二星；仅按条件为二星"
    assert chinese[4] == "三星：综合评价：现有 4.0（评价不足 3 人次，按先验均值），需 3.5：达到"
    assert len(chinese) == 5


def test_reasons_tell_sanctions_selection_and_points() -> None:
    table = LONGQUANYI._replace(five_by_selection=True, demote=False)
    stopped = explain(table, standing(0, 0, suspended=True, held=2))
    assert "registration is suspended: star 2 is kept, none is added" in stopped
    unselected = explain(table, standing(0, 0, held=4))
    assert "star 5: selected: have no, need yes: not met" in unselected
    assert "star 5: star held: have 4, need 4: met" in unselected
    assert "star 1: points earned: have 0, need 500: not met" in stopped
    assert "注册已暂停：保留二星，不予晋级" in explain_zh(
        table, standing(0, suspended=True, held=2)
    )
    assert "四星此前已授予，予以保留；应当复核" in explain_zh(table, standing(0, held=4))
    assert "五星：评选通过：现有 是，需 是：达到" in explain_zh(
        table, standing(0, selected=True, held=4)
    )


@given(
    name=st.sampled_from(sorted(PRESETS)),
    minutes=st.integers(0, 60 * 2000),
    more=st.integers(0, 60 * 2000),
    points=st.integers(0, 25_000),
    held=st.integers(0, 5),
    suspended=st.booleans(),
)
def test_more_hours_never_give_fewer_stars(
    name: str, minutes: int, more: int, points: int, held: int, suspended: bool
) -> None:
    table = PRESETS[name]
    changes = {"held": held, "suspended": suspended}
    low = standing(minutes, points, **changes)
    high = standing(minutes + more, points, **changes)
    assert star_of(table, low) <= star_of(table, high)
    assert set(medals_of(table, low)) <= set(medals_of(table, high))


@given(name=st.sampled_from(sorted(PRESETS)), minutes=st.integers(0, 10**5), data=st.data())
def test_what_is_missing_is_exactly_what_gives_the_next_star(
    name: str, minutes: int, data: st.DataObject
) -> None:
    table = PRESETS[name]
    now = standing(minutes, data.draw(st.integers(0, 9_000)))
    progress = next_star(table, now)
    if progress is not None:
        reached = now._replace(
            hours_minutes=now.hours_minutes + progress.missing_minutes,
            points_earned=now.points_earned + progress.missing_points,
        )
        assert star_of(table, reached) >= progress.star
        assert all(item.met for item in conditions_of(table, reached) if item.star == progress.star)
