"""Star tables: read whole, and every wrong field and contradiction refused with its path."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.star_rules import parse_star_table
from ledger.domain.star_tables import NATIONAL, StarTable
from tests.ledger.stars.test_star_rules import star
from timebank.errors import Reason, TimebankError

JSON_OF_NATIONAL = """{
  "scope": "LIFETIME",
  "levels": [
    {"star": 1, "hours": 100, "points": 0, "quality_tenths": 0},
    {"star": 2, "hours": 300},
    {"star": 3, "hours": 600, "quality_tenths": 35},
    {"star": 4, "hours": 1000, "quality_tenths": 40},
    {"star": 5, "hours": 1500, "quality_tenths": 42}
  ],
  "demote": false, "five_by_selection": false, "medals": [],
  "weights": {"RESIDENT": 50, "PEER": 20, "COMMUNITY": 30},
  "prior_tenths": 40, "prior_weight": 5, "min_raters": 3, "min_star_hours": 0
}"""


def parsed(change: Callable[[dict[str, Any]], object] | None = None) -> StarTable:
    """Parses the national table with one change."""
    data = json.loads(JSON_OF_NATIONAL)
    if change:
        change(data)
    return parse_star_table(data)


def test_the_whole_json_and_the_levels_alone_both_read_as_national() -> None:
    assert parsed() == NATIONAL
    assert parse_star_table({"levels": json.loads(JSON_OF_NATIONAL)["levels"]}) == NATIONAL


def test_a_table_with_everything_changed_is_read() -> None:
    table = parsed(
        lambda data: data.update(
            scope="YEAR",
            demote=True,
            five_by_selection=True,
            medals=[{"name": "金牌", "hours": 2000, "points": 5}],
            weights={"RESIDENT": 1, "PEER": 0, "COMMUNITY": 2},
            prior_tenths=30,
            prior_weight=0,
            min_raters=1,
            min_star_hours=100,
        )
    )
    assert (table.scope, table.demote, table.five_by_selection) == ("YEAR", True, True)
    assert table.medals[0] == ("金牌", 2000, 5)
    assert [weight for _, weight in table.weights] == [1, 0, 2]
    assert table[-4:] == (30, 0, 1, 100)


def test_points_alone_may_give_stars_above_a_least_number_of_hours() -> None:
    def change(data: dict[str, Any]) -> None:
        rows = [{"star": at, "hours": 0, "points": 100 * at} for at in range(1, 6)]
        data.update(levels=rows, min_star_hours=10)

    table = parsed(change)
    assert [star(table, minutes, 300) for minutes in (599, 600)] == [0, 3]


def set_in(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    """Makes a change that sets one value deep in the object."""

    def change(data: dict[str, Any]) -> None:
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def with_medals(*medals: object) -> Callable[[dict[str, Any]], None]:
    return set_in("medals", to=list(medals))


WRONG = [
    (set_in("colour", to=1), "colour", "unknown key"),
    (set_in("min_rater", to=1), "min_rater", "meant min_raters?"),
    (set_in("\ud800\n", to=1), r"\ud800\n", "unknown key"),
    (set_in("scope", to="MONTH"), "scope", "LIFETIME or YEAR"),
    (set_in("scope", to=["LIFETIME"]), "scope", "LIFETIME or YEAR"),
    (set_in("demote", to=0), "demote", "true or false"),
    (set_in("five_by_selection", to="yes"), "five_by_selection", "true or false"),
    (set_in("levels", to=None), "levels", "list of objects"),
    (set_in("levels", to={}), "levels", "list of objects"),
    (set_in("levels", to=[]), "levels", "got []"),
    (set_in("levels", 2, to=7), "levels[2]", "an object with star"),
    (lambda data: data["levels"].pop(2), "levels", "got [1, 2, 4, 5]"),
    (lambda data: data["levels"].append(data["levels"][4]), "levels", "got [1, 2, 3, 4, 5, 5]"),
    (lambda data: data["levels"].reverse(), "levels", "in order"),
    (set_in("levels", 0, "star", to=0), "levels[0].star", "1 to 5"),
    (set_in("levels", 0, "hour", to=1), "levels[0].hour", "meant hours?"),
    (lambda data: data["levels"][1].pop("hours"), "levels[1].hours", "got nothing"),
    (set_in("levels", 1, "hours", to=299.5), "levels[1].hours", "whole number"),
    (set_in("levels", 1, "hours", to=True), "levels[1].hours", "whole number"),
    (set_in("levels", 1, "hours", to=-1), "levels[1].hours", "0 to 1000000"),
    (set_in("levels", 1, "hours", to=10**5000), "levels[1].hours", "got a huge one"),
    (set_in("levels", 1, "points", to="9"), "levels[1].points", "whole number"),
    (set_in("levels", 1, "quality_tenths", to=51), "levels[1].quality_tenths", "0 to 50"),
    (set_in("levels", 1, "hours", to=99), "levels[1].hours", "at least 100"),
    (set_in("levels", 0, "points", to=5), "levels[1].points", "at least 5"),
    (set_in("levels", 3, "quality_tenths", to=34), "levels[3].quality_tenths", "at least 35"),
    (set_in("levels", 1, "hours", to=100), "levels[1]", "more than star 1"),
    (set_in("levels", 0, "hours", to=0), "levels[0]", "above 0 for the first star"),
    (set_in("medals", to=3), "medals", "list of objects"),
    (with_medals("gold"), "medals[0]", "an object with name"),
    (with_medals({"hours": 1}), "medals[0].name", "1 to 60 characters"),
    (with_medals({"name": "", "hours": 1}), "medals[0].name", "1 to 60 characters"),
    (with_medals({"name": "a\n", "hours": 1}), "medals[0].name", "printable"),
    (with_medals({"name": "a"}), "medals[0].hours", "got nothing"),
    (with_medals({"name": "a", "hours": 1, "points": -1}), "medals[0].points", "0 to"),
    (with_medals({"name": "a", "hours": 1, "x": 1}), "medals[0].x", "unknown key"),
    (with_medals({"name": "a", "hours": 2}, {"name": "b", "hours": 1}), "medals[1].hours", "2"),
    (with_medals({"name": "a", "hours": 2}, {"name": "a", "hours": 3}), "medals", "of its own"),
    (with_medals(*({"name": f"{at}", "hours": at} for at in range(21))), "medals", "at most 20"),
    (set_in("weights", to=3), "weights", "an object"),
    (set_in("weights", "FRIEND", to=3), "weights.FRIEND", "unknown key"),
    (set_in("weights", "PEER", to=-1), "weights.PEER", "0 to 1000"),
    (lambda data: data["weights"].pop("PEER"), "weights.PEER", "got nothing"),
    (
        set_in("weights", to={"RESIDENT": 0, "PEER": 0, "COMMUNITY": 0}),
        "weights",
        "at least one weight above 0",
    ),
    (set_in("prior_tenths", to=9), "prior_tenths", "10 to 50"),
    (set_in("prior_weight", to=1.5), "prior_weight", "whole number"),
    (set_in("min_raters", to=0), "min_raters", "1 to 1000"),
    (set_in("min_star_hours", to="10"), "min_star_hours", "whole number"),
    (set_in("min_star_hours", to=101), "min_star_hours", "at most 100, the hours of star 1"),
]


@pytest.mark.parametrize(("change", "path", "words"), WRONG)
def test_one_wrong_field_is_refused_with_its_path(
    change: Callable[[dict[str, Any]], object], path: str, words: str
) -> None:
    with pytest.raises(TimebankError, match="star table") as caught:
        parsed(change)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    told = dict(caught.value.violations)
    assert caught.value.message.encode().isascii()
    assert words in told[path]


def test_every_problem_is_told_at_once() -> None:
    def change(data: dict[str, Any]) -> None:
        data.update(scope="MONTH", min_raters=0, colour=1)

    with pytest.raises(TimebankError) as caught:
        parsed(change)
    assert [path for path, _ in caught.value.violations] == ["colour", "scope", "min_raters"]


def test_selection_may_be_all_that_the_fifth_star_adds() -> None:
    def change(data: dict[str, Any]) -> None:
        data["levels"][4] = {**data["levels"][3], "star": 5}
        data["five_by_selection"] = True

    table = parsed(change)
    assert star(table, 60 * 1000, held=4, selected=True) == 5


@given(
    data=st.dictionaries(
        st.one_of(st.sampled_from(StarTable._fields), st.text(max_size=5)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=6)
                | st.dictionaries(st.sampled_from(["star", "hours", "name", "PEER"]), inner)
            ),
            max_leaves=12,
        ),
    )
)
def test_hostile_objects_are_refused_and_never_raise_anything_else(data: dict[str, object]) -> None:
    with pytest.raises(TimebankError) as caught:
        parse_star_table(data)
    assert caught.value.reason is Reason.VALIDATION_FAILED
