"""What one service earns, rule by rule."""

from datetime import date

import pytest

from ledger.domain.account import NEVER_US
from ledger.domain.earning import Service, earn, tally_keys
from ledger.domain.policy_fields import Json
from ledger.domain.policy_text import parse_policy
from ledger.domain.service_split import policy_version
from tests.ledger.policy.services import (
    HOUR,
    ZONE,
    Member,
    document,
    policy,
    service,
    timeline,
    us,
)
from timebank.errors import Reason, TimebankError
from timebank.units import INT64_MAX


def member(stored_time: int = 0, **earn_keys: Json) -> Member:
    return Member(timeline(policy(**earn_keys)), stored_time=stored_time)


def with_self_service(word: str) -> Member:
    return Member(timeline(parse_policy(document(self_service=word))))


def refusal(who: Member, one: Service) -> TimebankError:
    with pytest.raises(TimebankError) as refused:
        who.serve(one)
    assert refused.value.reason is Reason.VALIDATION_FAILED
    return refused.value


def test_an_hour_earns_an_hour_by_default() -> None:
    earned = member().serve(service(minutes=HOUR))
    assert (earned.hours, earned.time, earned.pool_time, earned.points) == (60, 60, 0, 0)
    assert earned.version == "v1"
    assert dict(earned.tallies) == {("year", "2026"): 60, ("life", ""): 60}
    (part,) = earned.parts
    assert (part.day, part.minutes, part.time) == ("2026-03-02", 60, 60)
    assert part.points_expire_us == NEVER_US


@pytest.mark.parametrize(
    ("reward", "choice", "time", "points"),
    [
        ("TIME", "POINTS", 60, 0),
        ("POINTS", "TIME", 0, 1),
        ("BOTH", "", 60, 1),
        ("MEMBER_CHOICE", "TIME", 60, 0),
        ("MEMBER_CHOICE", "POINTS", 0, 1),
    ],
)
def test_the_reward_says_which_unit_is_earned(
    reward: str, choice: str, time: int, points: int
) -> None:
    earned = member(reward=reward).serve(service()._replace(reward=choice))
    assert (earned.hours, earned.time, earned.points) == (60, time, points)


@pytest.mark.parametrize("choice", ["", "BOTH", "time"])
def test_a_choice_that_the_member_has_not_made_is_refused(choice: str) -> None:
    error = refusal(member(reward="MEMBER_CHOICE"), service()._replace(reward=choice))
    assert error.metadata["field"] == "reward"


@pytest.mark.parametrize(
    ("floor", "back_entry", "earning"),
    [("D", False, "ABD"), ("D", True, "ABCD"), ("B", False, "AB"), ("E", False, "ABDE")],
)
def test_points_need_evidence_and_time_does_not(floor: str, back_entry: bool, earning: str) -> None:
    for evidence in "ABCDE":
        who = member(reward="BOTH", evidence_floor=floor, back_entry_points=back_entry)
        earned = who.serve(service()._replace(evidence=evidence))
        assert (earned.time, earned.points) == (60, int(evidence in earning))


@pytest.mark.parametrize(("word", "time"), [("HONOUR_ONLY", 0), ("NORMAL", 60)])
def test_a_service_to_a_relative_keeps_its_hours(word: str, time: int) -> None:
    earned = with_self_service(word).serve(service()._replace(relative=True))
    assert (earned.hours, earned.time) == (60, time)


def test_a_service_to_a_relative_may_be_refused() -> None:
    error = refusal(with_self_service("REFUSE"), service()._replace(relative=True))
    assert error.metadata["field"] == "relative"


def test_multipliers_multiply_time_and_points_and_never_hours() -> None:
    who = member(
        reward="BOTH",
        points_per_hour=10,
        multipliers={"need_type": {"助浴": "3/2"}, "skill": {"nurse": "4/3"}, "urgent": 2},
    )
    bath = service()._replace(need_type="助浴", skill="nurse", urgent=True)
    earned = who.serve(bath)
    assert (earned.hours, earned.time, earned.points) == (60, 240, 40)
    other = who.serve(bath._replace(need_type="陪诊", skill="", urgent=False))
    assert (other.hours, other.time, other.points) == (60, 60, 10)


@pytest.mark.parametrize(
    ("tenths", "failed", "time"),
    [
        *((None, False, 60), (29, False, 60), (30, False, 30), (39, False, 30)),
        *((45, False, 90), (45, True, 0)),
    ],
)
def test_quality_is_a_factor_from_its_step_on(tenths: int | None, failed: bool, time: int) -> None:
    steps: list[Json] = [{"from_tenths": 30, "rate": "1/2"}, {"from_tenths": 40, "rate": "3/2"}]
    who = member(quality_factor=steps, quality_failed=0)
    earned = who.serve(service()._replace(quality_tenths=tenths, quality_failed=failed))
    assert (earned.hours, earned.time) == (60, time)


def test_time_of_day_is_shared_out_by_minute_across_midnight() -> None:
    night: Json = [{"from": "22:00", "to": "06:00", "rate": 2}]
    who = member(multipliers={"time_of_day": night})
    earned = who.serve(service("2026-03-02 21:00", 4 * HOUR))
    assert [(part.minutes, part.time) for part in earned.parts] == [(180, 300), (60, 120)]
    morning = who.serve(service("2026-03-03 05:30", HOUR))
    assert (morning.hours, morning.time) == (60, 90)


def test_where_only_the_day_is_known_the_time_of_day_does_not_count() -> None:
    all_day: Json = [{"from": "00:00", "to": "23:59", "rate": 2}]
    who = member(multipliers={"time_of_day": all_day})
    earned = who.serve(service("2026-03-02 09:00", 300, lasts=0))
    assert (earned.hours, earned.time, len(earned.parts)) == (300, 300, 1)


def test_bands_are_a_factor_on_points_and_cross_in_one_service() -> None:
    bands: Json = [
        {"upto_minutes": 60, "rate": 1},
        {"upto_minutes": 120, "rate": "1/2"},
        {"upto_minutes": None, "rate": 0},
    ]
    who = member(reward="BOTH", points_per_hour=60, bands=bands)
    first = who.serve(service(minutes=90))
    second = who.serve(service("2026-03-03 09:00", 90))
    assert (first.points, second.points) == (75, 15)
    assert (first.time, second.time) == (90, 90)


@pytest.mark.parametrize(("basis", "points"), [("YEAR", 60), ("LIFETIME", 30)])
def test_bands_begin_again_with_the_year_unless_they_are_of_a_life(basis: str, points: int) -> None:
    bands: Json = [{"upto_minutes": 60, "rate": 1}, {"upto_minutes": None, "rate": "1/2"}]
    who = member(reward="BOTH", points_per_hour=60, bands=bands, band_basis=basis)
    who.serve(service("2026-12-30 09:00", 60))
    assert who.serve(service("2027-01-02 09:00", 60)).points == points


def test_caps_cut_what_earns_and_leave_the_hours() -> None:
    caps: Json = {"activity_minutes": 120, "day_minutes": 180, "year_minutes": 240}
    who = member(reward="BOTH", caps=caps)
    days = ["2026-03-02 08:00", "2026-03-02 12:00", "2026-03-03 08:00", "2026-03-04 08:00"]
    assert [who.serve(service(day, 150)).time for day in days] == [120, 60, 60, 0]
    assert who.hours == 600
    assert who.points == 4
    assert who.tallies[("year", "2026")] == who.tallies[("life", "")] == 240


@pytest.mark.parametrize(
    ("overflow", "hours", "pool_time"),
    [("POOL", 120, 75), ("HONOUR_ONLY", 120, 0), ("DROP", 45, 0)],
)
def test_the_overflow_decides_about_time_over_the_store(
    overflow: str, hours: int, pool_time: int
) -> None:
    who = member(stored_time=955, caps={"store_minutes": 1_000}, overflow=overflow)
    earned = who.serve(service(minutes=120))
    assert (earned.hours, earned.time, earned.pool_time) == (hours, 45, pool_time)


def test_time_of_a_group_passes_the_store_and_goes_to_the_pool() -> None:
    who = member(stored_time=50, caps={"store_minutes": 60}, group="DONATE_ONLY", overflow="DROP")
    earned = who.serve(service(minutes=120)._replace(group=True))
    assert (earned.hours, earned.time, earned.pool_time) == (120, 0, 120)


def test_bonus_points_come_once_a_record() -> None:
    who = member(reward="POINTS", bonus={"referral_points": 5, "team_lead_points": 2})
    leading = service("2026-03-02 23:00", 120)._replace(team_lead=True, referral=True)
    assert [part.points for part in who.serve(leading).parts] == [8, 1]
    assert who.serve(leading._replace(evidence="C")).points == 0


@pytest.mark.parametrize(
    ("expiry", "served", "ends"),
    [
        ("none", "2026-03-02", None),
        ("CALENDAR_YEAR_END", "2026-03-02", "2027-01-01"),
        ({"months": 24}, "2026-03-02", "2028-03-03"),
        ({"months": 1}, "2026-01-31", "2026-03-01"),
        ({"months": 25}, "2026-01-30", "2028-03-01"),
        ({"months": 600}, "2026-12-31", "2077-01-01"),
    ],
)
def test_points_expire_after_a_whole_day(expiry: Json, served: str, ends: str | None) -> None:
    who = member(reward="POINTS", expiry={"points": expiry})
    (part,) = who.serve(service(f"{served} 09:00")).parts
    assert part.points_expire_us == (NEVER_US if ends is None else us(f"{ends} 00:00"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ended_us": us("2026-03-02 08:59")}, "ended_time"),
        ({"ended_us": us("2026-04-02 09:01")}, "ended_time"),
        ({"minutes": -1}, "minutes"),
        ({"minutes": 61}, "minutes"),
        ({"minutes": 1_441, "ended_us": us("2026-03-02 09:00")}, "minutes"),
        ({"evidence": "F"}, "evidence"),
        ({"evidence": ""}, "evidence"),
        ({"evidence": "AB"}, "evidence"),
        ({"started_us": -1}, "started_time"),
        ({"started_us": 2**63}, "started_time"),
        (
            {"started_us": us("2025-12-31 22:00"), "ended_us": us("2025-12-31 23:00")},
            "started_time",
        ),
    ],
)
def test_a_service_that_cannot_be_is_refused(change: dict[str, int | str], field: str) -> None:
    one = Service(**{**service()._asdict(), **change})
    assert refusal(member(), one).metadata["field"] == field


def test_a_service_that_begins_before_the_policy_is_refused() -> None:
    one = service("2025-12-31 23:30", 60)
    assert "2025-12-31 23:30" in refusal(member(), one).message


def test_a_service_that_outlasts_the_policy_is_refused() -> None:
    versions = timeline(parse_policy(document(effective_to="2026-02-01")))
    assert refusal(Member(versions), service("2026-01-31 23:30", 60)).metadata["field"]


def test_an_unknown_zone_is_refused() -> None:
    versions = timeline(policy())
    with pytest.raises(TimebankError, match="time_zone"):
        earn(versions, service(), zone="Weihai", tallies={}, stored_time=0)


def test_no_minutes_earn_nothing() -> None:
    earned = member(reward="BOTH").serve(service(minutes=0, lasts=30))
    assert (earned.hours, earned.time, earned.points, earned.tallies) == (0, 0, 0, ())
    assert len(earned.parts) == 1


def test_the_greatest_rates_stay_within_64_bits() -> None:
    rates: dict[str, Json] = {"need_type": {"x": 100}, "skill": {"y": 100}, "urgent": 100}
    who = member(
        reward="BOTH",
        time_per_minute=100,
        points_per_hour=100,
        multipliers={**rates, "time_of_day": [{"from": "00:00", "to": "23:59", "rate": 100}]},
        bands=[{"upto_minutes": None, "rate": 100}],
        quality_factor=[{"from_tenths": 0, "rate": 100}],
    )
    month = service("2026-03-01 00:00", 31 * 24 * HOUR)
    earned = who.serve(month._replace(need_type="x", skill="y", urgent=True, quality_tenths=50))
    assert earned.time <= INT64_MAX
    assert earned.points <= INT64_MAX
    assert len(earned.parts) == 31


def test_a_policy_is_in_force_on_its_own_dates_in_the_zone() -> None:
    ends = policy_version("v1", parse_policy(document(effective_to="2026-07-01")), ZONE)
    assert (ends.from_us, ends.to_us) == (us("2026-01-01 00:00"), us("2026-07-01 00:00"))
    assert policy_version("v1", policy(), "UTC").to_us == NEVER_US
    assert policy().effective_from == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("earn_keys", "keys"),
    [
        ({}, []),
        ({"caps": {"day_minutes": 60}}, [("day", "2026-03-02")]),
        ({"caps": {"year_minutes": 60}}, [("year", "2026")]),
        ({"reward": "POINTS"}, [("carry-points", "v1")]),
        (
            {"reward": "POINTS", "rounding_basis": "DAY"},
            [("carry-points", "2026-03-02/v1")],
        ),
        ({"reward": "POINTS", "rounding_basis": "RECORD"}, []),
        ({"time_per_minute": "1/2"}, [("carry-time", "v1")]),
    ],
)
def test_only_the_tallies_that_matter_are_looked_up(
    earn_keys: dict[str, Json], keys: list[tuple[str, str]]
) -> None:
    assert list(tally_keys(timeline(policy(**earn_keys)), service(), ZONE)) == keys
