"""Fractions: over what they are rounded, what is carried, and what a correction gives back."""

import pytest

from ledger.domain.policy_fields import Json
from tests.ledger.policy.services import HOUR, Member, policy, service, timeline


def member(**earn_keys: Json) -> Member:
    return Member(timeline(policy(**earn_keys)))


@pytest.mark.parametrize(
    ("rounding", "basis", "points"),
    [
        ("FLOOR", "RECORD", [0, 0, 0, 0]),
        ("FLOOR", "DAY", [0, 1, 0, 1]),
        ("FLOOR", "CUMULATIVE", [0, 1, 1, 1]),
        ("HALF_EVEN", "RECORD", [1, 1, 1, 1]),
        ("HALF_EVEN", "DAY", [1, 1, 1, 0]),
        ("HALF_EVEN", "CUMULATIVE", [1, 1, 0, 1]),
        ("CEIL_15", "RECORD", [1, 1, 0, 0]),
    ],
)
def test_rounding_is_over_its_basis(rounding: str, basis: str, points: list[int]) -> None:
    # 50, 55, 40 and 40 minutes: 5/6, 11/12, 2/3 and 2/3 of a point, two on each of two days.
    # CEIL_15 makes 60, 60, 45 and 45 minutes of them.
    who = member(reward="POINTS", rounding=rounding, rounding_basis=basis)
    visits = [("2026-03-02 08:00", 50), ("2026-03-02 12:00", 55)]
    visits += [("2026-03-03 08:00", 40), ("2026-03-03 12:00", 40)]
    got = [who.serve(service(when, minutes)).points for when, minutes in visits]
    assert got == points


@pytest.mark.parametrize(("minutes", "points"), [(30, 0), (90, 2), (150, 2), (91, 2)])
def test_half_of_a_record_goes_to_the_even_side(minutes: int, points: int) -> None:
    who = member(reward="POINTS", rounding="HALF_EVEN", rounding_basis="RECORD")
    assert who.serve(service(minutes=minutes)).points == points


def test_daily_visits_of_twenty_minutes_add_up() -> None:
    who = member(reward="POINTS")
    days = range(1, 31)
    who.serve_all(service(f"2026-04-{day:02} 09:00", 20) for day in days)
    assert who.points == 10
    assert who.tallies[("carry-points", "v1")] == 0


def test_fifty_hours_typed_for_five_are_taken_back_wholly() -> None:
    who = member(reward="BOTH", points_per_hour="7/3")
    who.serve_all([service("2026-03-01 09:00", 20)])
    before = (who.hours, who.time, who.points, dict(who.tallies))
    wrong = who.serve(service("2026-03-02 09:00", 50 * HOUR))
    who.take_back(wrong)
    after = {key: count for key, count in who.tallies.items() if count}
    assert (who.hours, who.time, who.points, after) == before


def test_after_a_correction_the_next_services_make_up_for_the_remainder() -> None:
    who = member(reward="POINTS")
    first = who.serve(service("2026-03-01 09:00", 50))
    second = who.serve(service("2026-03-02 09:00", 50))
    assert (first.points, second.points) == (0, 1)
    who.take_back(first)  # 50 minutes are left, and the whole point that both had made.
    assert who.points == 1
    assert who.serve(service("2026-03-03 09:00", 60)).points == 0
    assert who.serve(service("2026-03-04 09:00", 10)).points == 1
    assert who.points == 2
