"""The sample city is the same every time, has who it should have, and its figures add up."""

from collections import Counter
from datetime import date, timedelta

import pytest

from ledger.domain.evaluation import quality_of
from ledger.domain.policy_text import parse_policy
from ledger.domain.star_rules import Standing, next_star
from ledger.domain.star_tables import NATIONAL
from ledger.sample.city import City
from ledger.sample.people import ELDERS_HOME, NEIGHBOURHOODS, WANG
from ledger.sample.records import (
    BACK_ENTRY_MINUTES_MAX,
    NIGHT_ACCEPTED,
    NIGHT_MINUTES,
    NIGHT_OFFICER,
    YEAR_DAYS,
    Service,
)

FIRST_DAY = date(2025, 11, 1)
MISSING_MINUTES = 38 * 60


@pytest.fixture(scope="module")
def city() -> City:
    """The city in its whole size."""
    return City(FIRST_DAY)


def minutes_by_member(services: tuple[Service, ...]) -> Counter[str]:
    """An independent sum of what counts as hours once it is posted."""
    total: Counter[str] = Counter()
    for service in services:
        if service.evidence in "ABCD":
            total[service.volunteer] += service.minutes
    return total


def test_the_city_has_its_volunteers_neighbourhoods_and_elders(city: City) -> None:
    volunteers = [person for person in city.people if not person.key_elder]
    elders = [person for person in city.people if person.key_elder]
    assert len(volunteers) == 2_000
    assert len({person.home_unit for person in volunteers}) == 28
    assert len(set(dict(NEIGHBOURHOODS).values())) == 28
    assert [elder.home_unit for elder in elders] == [ELDERS_HOME] * 5
    named = [person for person in volunteers if person.name]
    assert len(named) == 201
    assert all(elder.name for elder in elders)
    assert len({person.member_id for person in city.people}) == 2_005


def test_everybody_serves_within_the_year_and_never_twice_a_day(city: City) -> None:
    assert 8_000 <= len(city.services) <= 12_000
    assert len({service.record_id for service in city.services}) == len(city.services)
    days = Counter((service.volunteer, service.start.date()) for service in city.services)
    assert set(days.values()) == {1}
    assert len({service.volunteer for service in city.services}) == 2_000
    last_day = FIRST_DAY + timedelta(days=YEAR_DAYS - 1)
    assert all(FIRST_DAY <= service.start.date() <= last_day for service in city.services)


def test_the_classes_of_evidence_are_mixed(city: City) -> None:
    classes = Counter(service.evidence for service in city.services)
    assert set(classes) == set("ABCDE")
    assert classes["A"] > classes["B"] > classes["D"] > classes["E"] > 0


def test_back_entries_stay_under_the_cap_of_each_officer(city: City) -> None:
    entered: Counter[str] = Counter()
    for service in city.services:
        if service.evidence == "C":
            entered[service.recorder] += service.minutes
            assert service.recorder not in service.verifiers
    assert entered
    assert max(entered.values()) <= BACK_ENTRY_MINUTES_MAX


@pytest.mark.parametrize("first_day", [FIRST_DAY, date(2024, 2, 29), date(2026, 7, 8)])
def test_wang_is_38_hours_below_three_stars_by_the_rules(first_day: date) -> None:
    city = City(first_day, 20)
    minutes = minutes_by_member(city.services)[WANG]
    sums: dict[str, tuple[int, int]] = {}
    for rating in city.ratings:
        if rating.member_id == WANG:
            count, total = sums.get(rating.role, (0, 0))
            sums[rating.role] = count + 1, total + rating.score
    standing = Standing(minutes, 0, quality_of(NATIONAL, sums), held=2)
    progress = next_star(NATIONAL, standing)
    assert progress is not None
    assert (progress.star, progress.missing_minutes) == (3, MISSING_MINUTES)
    assert progress.missing_quality_tenths == 0
    assert standing.quality is not None
    assert standing.quality.shown


def test_the_same_city_is_made_to_the_letter(city: City) -> None:
    again = City(FIRST_DAY)
    assert again.people == city.people
    assert again.services == city.services
    assert again.policy == city.policy
    assert City(FIRST_DAY, seed=1).services != city.services


def test_a_small_city_is_the_beginning_of_a_large_one(city: City) -> None:
    small = City(FIRST_DAY, 40)
    assert set(small.people) <= set(city.people)
    names = {service.record_id for service in small.services}
    known = {service.record_id: service.start for service in city.services}
    assert {service.record_id: service.start for service in small.services} == {
        name: known[name] for name in names
    }


def test_too_small_a_city_is_refused() -> None:
    with pytest.raises(ValueError, match="20 or more"):
        City(FIRST_DAY, 19)


def test_the_policy_is_in_force_from_the_first_day(city: City) -> None:
    policy = parse_policy(city.policy)
    assert policy.effective_from == FIRST_DAY
    assert (policy.earn.reward, policy.publicity_days) == ("BOTH", 3)


def test_one_officer_alone_types_the_night(city: City) -> None:
    assert {service.recorder for service in city.night} == {NIGHT_OFFICER}
    assert NIGHT_OFFICER not in {service.recorder for service in city.services}
    assert NIGHT_ACCEPTED * NIGHT_MINUTES <= BACK_ENTRY_MINUTES_MAX
    assert len(city.night) * NIGHT_MINUTES > 3 * BACK_ENTRY_MINUTES_MAX
