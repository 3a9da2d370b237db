"""Splitting services: the parts sum to the whole, whatever is split, and caps always hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.account import NEVER_US
from ledger.domain.calendar import to_us
from ledger.domain.earning import Service, TallyKey, earn, tally_keys
from ledger.domain.policy import PolicyTimeline, PolicyVersion
from ledger.domain.policy_fields import Json
from ledger.domain.policy_text import parse_policy
from ledger.domain.service_split import day_of, share_out, split_service
from tests.ledger.policy.services import (
    HOUR,
    MINUTE_US,
    ZONE,
    Member,
    document,
    policy,
    service,
    timeline,
    us,
)

ZONES = ["Asia/Shanghai", "UTC", "Europe/Berlin", "America/Santiago", "Asia/Kolkata"]
RATES: st.SearchStrategy[Json] = st.sampled_from([0, 1, "1/2", "2/3", "7/5", 3])
YEAR_MINUTES: st.SearchStrategy[Json] = st.none() | st.integers(1_440, 2_000)
STORE_MINUTES: st.SearchStrategy[Json] = st.none() | st.integers(0, 2_000)
MAYBE_MINUTES: st.SearchStrategy[Json] = st.none() | st.integers(0, 600)


@st.composite
def earn_keys(draw: st.DrawFn) -> dict[str, Json]:
    """Any rules of earning with BOTH rewards."""
    window: Json = {"from": "22:30", "to": "05:00", "rate": draw(RATES)}
    bands: list[Json] = [
        {"upto_minutes": 100, "rate": draw(RATES)},
        {"upto_minutes": None, "rate": draw(RATES)},
    ]
    caps: dict[str, Json] = {
        "activity_minutes": draw(MAYBE_MINUTES),
        "day_minutes": draw(MAYBE_MINUTES),
        "year_minutes": draw(YEAR_MINUTES),
        "store_minutes": draw(STORE_MINUTES),
    }
    return {
        "reward": "BOTH",
        "time_per_minute": draw(RATES),
        "points_per_hour": draw(RATES),
        "bands": bands if draw(st.booleans()) else [],
        "band_basis": draw(st.sampled_from(["YEAR", "LIFETIME"])),
        "multipliers": {
            "urgent": draw(RATES),
            "time_of_day": [window] if draw(st.booleans()) else [],
        },
        "caps": caps,
        "overflow": draw(st.sampled_from(["POOL", "HONOUR_ONLY"])),
        "rounding": draw(st.sampled_from(["FLOOR", "HALF_EVEN", "CEIL_15"])),
        "rounding_basis": draw(st.sampled_from(["RECORD", "DAY", "CUMULATIVE"])),
        "group": draw(st.sampled_from(["NORMAL", "DONATE_ONLY"])),
    }


@st.composite
def services(draw: st.DrawFn) -> Service:
    """A service of 2026 around midnights, with breaks or only its day known."""
    start_us = us("2026-01-02 00:00") + draw(st.integers(0, 360 * 24 * HOUR)) * MINUTE_US
    start_us += draw(st.sampled_from([0, 1, 30_000_000]))
    lasts = draw(st.integers(0, 3 * 24 * HOUR))
    minutes = draw(st.integers(0, lasts if lasts else 720))
    flags = draw(st.tuples(st.booleans(), st.booleans()))
    one = Service(start_us, start_us + lasts * MINUTE_US, minutes, "A")
    return one._replace(urgent=flags[0], group=flags[1])


def two_versions(first: dict[str, Json], second: dict[str, Json]) -> PolicyTimeline:
    """The second comes into force in the middle of a day."""
    change_us = us("2026-06-15 10:17")
    return (
        PolicyVersion("v1", parse_policy(document(earn=first)), us("2025-01-01 00:00"), change_us),
        PolicyVersion("v2", parse_policy(document(earn=second)), change_us, NEVER_US),
    )


@given(earn_keys(), earn_keys(), services(), st.sampled_from(ZONES), st.integers(0, 2_500))
def test_the_parts_sum_to_the_whole(
    first: dict[str, Json], second: dict[str, Json], one: Service, zone: str, stored: int
) -> None:
    versions = two_versions(first, second)
    earned = earn(versions, one, zone=zone, tallies={}, stored_time=stored)
    assert earned.hours == one.minutes == sum(part.minutes for part in earned.parts)
    assert earned.time == sum(part.time for part in earned.parts)
    assert earned.pool_time == sum(part.pool_time for part in earned.parts)
    assert earned.points == sum(part.points for part in earned.parts)
    assert min(earned.time, earned.pool_time, earned.points) >= 0
    for before, after in pairwise(earned.parts):
        assert before.end_us <= after.start_us
        assert (before.day, before.version) != (after.day, after.version)
    for part in earned.parts:
        assert part.start_us >= one.started_us
        assert part.end_us <= one.ended_us
        day = day_of(part.start_us, zone)
        assert part.day == day.date
        assert part.end_us <= day.end_us


class _Recorder(Mapping[TallyKey, int]):
    """Tallies that remember what was looked up."""

    def __init__(self) -> None:
        self.seen: set[TallyKey] = set()

    def __getitem__(self, key: TallyKey) -> int:
        self.seen.add(key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[TallyKey]:
        return iter(())

    def __len__(self) -> int:
        return 0


@given(earn_keys(), earn_keys(), services(), st.sampled_from(ZONES))
def test_every_tally_that_is_looked_up_is_announced(
    first: dict[str, Json], second: dict[str, Json], one: Service, zone: str
) -> None:
    versions = two_versions(first, second)
    seen = _Recorder()
    earn(versions, one, zone=zone, tallies=seen, stored_time=0)
    assert seen.seen <= set(tally_keys(versions, one, zone))


def minutes_by(who: Member, kind: str) -> dict[str, int]:
    """A member's tallies of one kind."""
    return {period: count for (name, period), count in who.tallies.items() if name == kind}


@given(st.lists(services(), min_size=1, max_size=6), st.sampled_from(["FLOOR", "CEIL_15"]))
def test_caps_are_never_exceeded(several: list[Service], rounding: str) -> None:
    caps: Json = {
        "activity_minutes": 200,
        "day_minutes": 250,
        "year_minutes": 700,
        "store_minutes": 500,
    }
    who = Member(timeline(policy(reward="BOTH", caps=caps, rounding=rounding)))
    for one in several:
        earned = who.serve(one)
        assert earned.time + earned.pool_time <= 200
    assert who.time <= 500
    assert who.time + who.pool_time == sum(minutes_by(who, "year").values())
    assert all(minutes <= 250 for minutes in minutes_by(who, "day").values())
    assert all(minutes <= 700 for minutes in minutes_by(who, "year").values())
    assert who.hours == sum(one.minutes for one in several)


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
    st.sampled_from(["FLOOR", "HALF_EVEN"]),
    RATES,
    RATES,
)
def test_the_order_of_services_does_not_change_the_sum(
    minutes: list[int],
    random: Random,
    rounding: str,
    per_minute: Json,
    per_hour: Json,
) -> None:
    versions = timeline(
        policy(
            reward="BOTH",
            rounding=rounding,
            time_per_minute=per_minute,
            points_per_hour=per_hour,
        )
    )
    sums = []
    for _ in range(3):
        random.shuffle(minutes)
        who = Member(versions)
        who.serve_all(
            service(f"2026-05-{day:02} 08:00", one) for day, one in enumerate(minutes, start=1)
        )
        sums.append((who.hours, who.time, who.points))
    assert len(set(sums)) == 1
    if rounding == "FLOOR":
        total = sum(minutes)
        exact = (total, total * Fraction(str(per_minute)), total * Fraction(str(per_hour)) / 60)
        assert sums[0] == tuple(int(amount) for amount in exact)


@given(st.integers(1, 12), st.integers(1, 12), RATES)
def test_equal_pieces_earn_what_the_whole_earns(parts: int, each: int, per_hour: Json) -> None:
    versions = timeline(policy(reward="POINTS", points_per_hour=per_hour))
    whole = Member(versions).serve_all([service(minutes=parts * each)])
    pieces = Member(versions).serve_all(
        service(f"2026-03-{day:02} 09:00", each) for day in range(1, parts + 1)
    )
    assert (pieces.hours, pieces.points) == (whole.hours, whole.points)
    assert {key: count for key, count in pieces.tallies.items() if count} == whole.tallies


@given(st.integers(0, 10_000), st.lists(st.integers(0, 10**15), min_size=1, max_size=40))
def test_shares_sum_to_the_whole_and_are_off_by_less_than_one(
    total: int, weights: list[int]
) -> None:
    weights[0] += 1
    shares = share_out(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(Fraction(total * weight, sum(weights)) - share) < 1


@pytest.mark.parametrize(
    ("started", "days"),
    [
        ("2026-03-05 23:00", ["2026-03-05", "2026-03-06"]),
        ("2026-03-31 23:00", ["2026-03-31", "2026-04-01"]),
        ("2026-12-31 23:00", ["2026-12-31", "2027-01-01"]),
        ("2028-02-28 23:00", ["2028-02-28", "2028-02-29"]),
    ],
    ids=["midnight", "quarter", "year", "leap day"],
)
def test_a_service_is_split_at_midnight(started: str, days: list[str]) -> None:
    who = Member(timeline(policy()))
    earned = who.serve(service(started, 100, lasts=180))
    assert [(part.day, part.minutes) for part in earned.parts] == [(days[0], 33), (days[1], 67)]
    assert earned.parts[0].end_us == earned.parts[1].start_us == us(f"{days[1]} 00:00")
    years = minutes_by(who, "year")
    assert years == ({"2026": 33, "2027": 67} if days[1] == "2027-01-01" else {days[0][:4]: 100})


def test_a_service_that_ends_at_midnight_has_one_part() -> None:
    (part,) = Member(timeline(policy())).serve(service("2026-12-31 22:00", 120)).parts
    assert (part.day, part.end_us) == ("2026-12-31", us("2027-01-01 00:00"))


def test_day_caps_count_each_side_of_midnight_for_itself() -> None:
    who = Member(timeline(policy(caps={"day_minutes": 90})))
    earned = who.serve(service("2026-03-05 22:00", 240))
    assert [part.time for part in earned.parts] == [90, 90]


def test_a_policy_change_across_midnight_pays_each_part_by_its_own_version() -> None:
    old = parse_policy(document(effective_to="2026-07-01"))
    new = parse_policy(document(effective_from="2026-07-01", earn={"time_per_minute": 2}))
    earned = Member(timeline(old, new)).serve(service("2026-06-30 23:00", 120))
    assert [(part.version, part.minutes, part.time) for part in earned.parts] == [
        ("v1", 60, 60),
        ("v2", 60, 120),
    ]
    assert (earned.version, earned.hours, earned.time) == ("v1", 120, 180)


def test_a_policy_change_in_the_middle_of_a_day_splits_by_minute() -> None:
    versions = two_versions({}, {"time_per_minute": 2})
    earned = Member(versions).serve(service("2026-06-15 10:00", 60))
    assert [(part.minutes, part.time) for part in earned.parts] == [(17, 17), (43, 86)]


def test_of_two_overlapping_versions_the_later_one_counts() -> None:
    first, second = two_versions({}, {"time_per_minute": 2})
    versions = (first._replace(to_us=NEVER_US), second)
    assert Member(versions).serve(service("2026-06-15 10:00", 60)).time == 17 + 86
    assert Member(versions).serve(service("2026-06-14 10:00", 60)).time == 60
    ending = (first._replace(to_us=NEVER_US), second._replace(to_us=us("2026-06-16 00:00")))
    earned = Member(ending).serve(service("2026-06-15 23:00", 120))
    assert [part.version for part in earned.parts] == ["v2", "v1"]


def test_each_version_carries_its_own_remainder() -> None:
    versions = two_versions({"reward": "POINTS"}, {"reward": "POINTS"})
    who = Member(versions).serve_all([service("2026-06-15 09:27", 100)])
    assert who.points == 0
    assert (who.tallies[("carry-points", "v1")], who.tallies[("carry-points", "v2")]) == (50, 50)


def test_a_quarter_hour_is_filled_up_once_in_a_service_that_crosses_midnight() -> None:
    who = Member(timeline(policy(rounding="CEIL_15")))
    earned = who.serve(service("2026-03-05 23:30", 70))
    assert [(part.minutes, part.time) for part in earned.parts] == [(30, 30), (40, 45)]


def test_the_store_fills_up_in_the_middle_of_a_service_across_midnight() -> None:
    who = Member(timeline(policy(caps={"store_minutes": 1_000})), stored_time=910)
    earned = who.serve(service("2026-03-05 23:00", 120))
    assert [(part.time, part.pool_time) for part in earned.parts] == [(60, 0), (30, 30)]


def test_a_record_is_rounded_once_though_it_crosses_midnight() -> None:
    who = Member(timeline(policy(reward="POINTS", rounding_basis="RECORD")))
    earned = who.serve(service("2026-03-05 23:30", 60))
    assert [part.points for part in earned.parts] == [0, 1]
    assert dict(earned.tallies) == {("year", "2026"): 60, ("life", ""): 60}


def test_parts_without_a_minute_are_left_out() -> None:
    one = service("2026-03-05 23:59", 10, lasts=60)
    (part,) = Member(timeline(policy())).serve(one).parts
    assert (part.day, part.minutes) == ("2026-03-06", 10)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)],
)
def test_days_on_which_clocks_change_have_their_own_length(day: str, hours: int) -> None:
    zone = "Europe/Berlin"
    start_us = us(f"{day} 00:00", zone)
    versions = timeline(policy(), zone=zone)
    one = Service(start_us, start_us + hours * HOUR * MINUTE_US, hours * HOUR, "A")
    (piece,) = split_service(versions, one, zone)
    assert piece.day.date == day
    longer = one._replace(ended_us=one.ended_us + MINUTE_US, minutes=one.minutes + 1)
    assert [piece.minutes for piece in split_service(versions, longer, zone)] == [hours * HOUR, 1]


def test_the_day_is_the_zones_own() -> None:
    early = to_us(datetime(2026, 3, 1, 17, 0, tzinfo=UTC))
    assert day_of(early, ZONE).date == "2026-03-02"
    assert day_of(early, "UTC").date == "2026-03-01"
    assert day_of(us("2026-03-02 00:00") - 1, ZONE).date == "2026-03-01"
    assert day_of(us("2026-03-02 00:00"), ZONE).date == "2026-03-02"
