"""The presets keep the rules of their cities: the golden vectors of the specification."""

import json

import pytest

from ledger.domain.earning import credit_points
from ledger.domain.policy import Policy, Reward
from ledger.domain.policy_text import parse_policy, policy_to_text
from ledger.policies import load_preset, preset_names
from tests.ledger.policy.services import HOUR, Member, preset, service
from timebank.errors import Reason, TimebankError

NAMES = (
    *("beijing", "fuzhou", "hailin", "longquanyi", "nanjing", "national", "norcal"),
    *("shanghai", "weihai"),
)
STAR_HOURS = {
    "national": [100, 300, 600, 1000, 1500],
    "beijing": [100, 200, 500, 800, 1000],
    "longquanyi": [50, 100, 200, 400, 800],
}
STAR_KEYS = {
    *("scope", "levels", "demote", "five_by_selection", "medals", "weights"),
    *("prior_tenths", "prior_weight", "min_raters"),
}


def load(name: str) -> Policy:
    return parse_policy(load_preset(name))


def test_every_preset_of_the_specification_is_there() -> None:
    assert preset_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_valid_and_bears_its_own_name(name: str) -> None:
    policy = load(name)
    assert policy.policy_id == name
    assert parse_policy(policy_to_text(policy)) == policy


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(TimebankError, match="did you mean weihai") as refused:
        load_preset("weihia")
    assert refused.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("name", ["../secret", "", "weihai.json", "/etc/passwd"])
def test_no_other_file_can_be_read_as_a_preset(name: str) -> None:
    with pytest.raises(TimebankError):
        load_preset(name)


@pytest.mark.parametrize(
    ("hours", "points"),
    [(0, 0), (20, 20), (21, 20), (22, 21), (80, 50), (83, 51), (200, 90), (204, 91), (300, 115)],
)
def test_weihai_yields_credit_points_degressively(hours: int, points: int) -> None:
    assert credit_points(load("weihai"), hours * HOUR, 0) == points


def test_weihai_credit_points_are_rounded_down_at_the_minute() -> None:
    assert credit_points(load("weihai"), 22 * HOUR - 1, 0) == 20
    assert credit_points(load("weihai"), HOUR - 1, 0) == 0


@pytest.mark.parametrize(("minutes", "points"), [(90, 1), (3 * HOUR, 2), (2 * HOUR, 2), (59, 0)])
def test_hailin_gives_a_point_an_hour_and_two_an_activity(minutes: int, points: int) -> None:
    member = Member(preset("hailin"))
    earned = member.serve(service(minutes=minutes))
    assert (earned.hours, earned.time, earned.points) == (minutes, 0, points)


def test_hailin_gives_nothing_for_failed_quality_but_honour_hours() -> None:
    earned = Member(preset("hailin")).serve(service(minutes=120)._replace(quality_failed=True))
    assert (earned.hours, earned.time, earned.points, earned.tallies) == (120, 0, 0, ())


def test_hailin_rounds_each_record_down() -> None:
    member = Member(preset("hailin"))
    member.serve_all([service(minutes=90), service("2026-03-03 09:00", 90)])
    assert member.points == 2


def test_nanjing_sends_what_exceeds_the_store_to_the_pool_in_one_entry() -> None:
    earned = Member(preset("nanjing"), stored_time=1_499 * HOUR).serve(service(minutes=2 * HOUR))
    assert (earned.hours, earned.time, earned.pool_time) == (2 * HOUR, HOUR, HOUR)
    assert len(earned.parts) == 1


def test_nanjing_gives_time_of_groups_to_the_pool() -> None:
    earned = Member(preset("nanjing")).serve(service(minutes=120)._replace(group=True))
    assert (earned.hours, earned.time, earned.pool_time) == (120, 0, 120)


@pytest.mark.parametrize("name", ["beijing", "shanghai"])
def test_an_hour_is_an_hour_of_time_and_never_becomes_goods(name: str) -> None:
    earned = Member(preset(name)).serve(service(minutes=HOUR))
    assert (earned.hours, earned.time, earned.points) == (HOUR, HOUR, 0)
    assert load(name).time_to_goods is False
    assert load(name).earn.reward is Reward.TIME


@pytest.mark.parametrize(("minutes", "time"), [(52, 60), (70, 75), (60, 60), (0, 0), (1, 15)])
def test_norcal_rounds_up_to_the_quarter_hour(minutes: int, time: int) -> None:
    earned = Member(preset("norcal")).serve(service(minutes=minutes))
    assert (earned.hours, earned.time) == (minutes, time)


@pytest.mark.parametrize("star", range(6))
def test_fuzhou_gives_a_credit_point_a_star(star: int) -> None:
    assert credit_points(load("fuzhou"), 5_000 * HOUR, star) == star


def test_a_city_without_a_formula_exports_no_credit_points() -> None:
    assert credit_points(load("national"), 5_000 * HOUR, 5) == 0


@pytest.mark.parametrize(("minutes", "star"), [(-1, 0), (0, 6), (0, -1)])
def test_credit_points_of_nonsense_are_refused(minutes: int, star: int) -> None:
    with pytest.raises(TimebankError) as refused:
        credit_points(load("fuzhou"), minutes, star)
    assert refused.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("name", NAMES)
def test_star_tables_are_complete_and_ascend(name: str) -> None:
    stars = json.loads(load(name).stars_json)
    assert set(stars) == STAR_KEYS
    levels = stars["levels"]
    assert [level["star"] for level in levels] == [1, 2, 3, 4, 5]
    hours = [level["hours"] for level in levels]
    assert hours == STAR_HOURS.get(name, STAR_HOURS["national"])
    assert stars["demote"] is (name == "longquanyi")
    floors = [level["quality_tenths"] for level in levels]
    assert floors == ([0, 0, 35, 40, 42] if name == "national" else [0] * 5)


def test_longquanyi_needs_points_too_and_has_gold_and_diamond() -> None:
    stars = json.loads(load("longquanyi").stars_json)
    assert [level["points"] for level in stars["levels"]] == [500, 1000, 2100, 4200, 8400]
    medals = [(medal["hours"], medal["points"]) for medal in stars["medals"]]
    assert medals == [(1000, 10500), (2000, 21000)]
    assert Member(preset("longquanyi")).serve(service(minutes=90)).points == 15


def test_beijing_has_three_medals() -> None:
    medals = json.loads(load("beijing").stars_json)["medals"]
    assert [medal["hours"] for medal in medals] == [2000, 3000, 5000]
