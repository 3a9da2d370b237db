"""Edge cases of back-entry 补录: many hours typed in at night by an officer."""

from ledger.domain.back_entries import DRAWS
from ledger.usecases.hours import Hours
from tests.ledger.rpc.sweepers import HandSweeper
from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    MATCHING,
    OFFICER,
    SECOND,
    UNIT,
    C,
    HoursWorld,
    State,
    policy,
)
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import record_pb2
from timebank.secret_keys import SecretKeys

THIRD = Principal(PrincipalKind.OFFICER, "sun", units=frozenset({UNIT}))
CHECKED_AT_LEAST, RECORDS = 20, 1_000


def typed(city: HoursWorld, day: int, minutes: int) -> record_pb2.ServiceRecord:
    """A service of some day that is entered afterwards."""
    return city.record("wang", start_us=BASE_US + day * DAY_US, minutes=minutes, evidence=C)


async def test_the_481st_minute_of_an_officers_night_is_refused(city: HoursWorld) -> None:
    await city.submit(typed(city, 0, 300), OFFICER)
    await city.submit(typed(city, 1, 180), OFFICER)
    over = city.submit(typed(city, 2, 1), OFFICER, once=True)
    assert await refused(over) is Reason.LIMIT_EXCEEDED
    assert (await city.submit(typed(city, 2, 480), SECOND)).state == State.STATE_CLAIMED


async def test_the_cap_counts_by_the_day_of_the_entry_not_of_the_service(
    city: HoursWorld,
) -> None:
    await city.submit(typed(city, 0, 480), OFFICER)
    city.world.clock.advance(us=16 * HOUR_US - 1_000_000)
    over = city.submit(typed(city, 1, 1), OFFICER, once=True)
    assert await refused(over) is Reason.LIMIT_EXCEEDED
    city.world.clock.advance(us=1_000_000)
    await city.submit(typed(city, 1, 480), OFFICER)


async def test_a_service_that_names_the_recorder_is_held_to_the_same_cap(
    city: HoursWorld,
) -> None:
    await city.submit(typed(city, 0, 480), OFFICER)
    record = typed(city, 1, 1)
    record.recorder = "li"
    assert await refused(city.submit(record, once=True)) is Reason.LIMIT_EXCEEDED


async def test_a_back_entry_needs_a_second_officer_who_is_neither_recorder_nor_volunteer(
    city: HoursWorld,
) -> None:
    await city.register("zhao-at-home", officer="zhao")
    record = typed(city, 0, 60)
    record.volunteer = city.member_name("zhao-at-home")
    await city.submit(record, OFFICER, record_id="r-c")
    name = city.record_name("r-c")
    for caller in (OFFICER, SECOND):
        attested = city.call("VerifyRecord", caller, name=name, once=True)
        assert await refused(attested) is Reason.FOUR_EYES_REQUIRED
    posted = await city.call("VerifyRecord", THIRD, name=name)
    assert posted.state == State.STATE_POSTED
    assert posted.verifiers == ["sun"]


async def test_the_elder_alone_does_not_make_a_back_entry_whole(city: HoursWorld) -> None:
    record = typed(city, 0, 60)
    record.beneficiary = city.member_name("li-elder")
    await city.submit(record, OFFICER, record_id="r-c")
    name = city.record_name("r-c")
    elder = Principal(PrincipalKind.MEMBER, "li-elder")
    assert (await city.call("VerifyRecord", elder, name=name)).state == State.STATE_CLAIMED
    assert (await city.call("VerifyRecord", SECOND, name=name)).state == State.STATE_POSTED


async def test_back_entries_earn_no_points_unless_the_policy_says_so(city: HoursWorld) -> None:
    await city.submit(typed(city, 0, 60), OFFICER, record_id="r-0")
    assert (await city.call("VerifyRecord", SECOND, name=city.record_name("r-0"))).points == 0
    generous = policy(earn={"back_entry_points": True}, effective_from="2026-01-02")
    await city.adopt(generous)
    await city.submit(typed(city, 1, 60), OFFICER, record_id="r-1")
    assert (await city.call("VerifyRecord", SECOND, name=city.record_name("r-1"))).points == 1


async def test_the_alarm_goes_off_above_a_fifth_of_an_officers_week(city: HoursWorld) -> None:
    for day in range(4):
        record = city.record("wang", start_us=BASE_US + day * DAY_US, minutes=100, recorder="li")
        await city.submit(record)
    assert not (await city.submit(typed(city, 5, 100), OFFICER)).alarm  # 100 of 500: a fifth
    assert (await city.submit(typed(city, 6, 1), OFFICER)).alarm
    found = await city.call("ListRecords", MATCHING, parent=city.name, alarm=True)
    assert [record.minutes for record in found.records] == [1]


async def test_the_spot_check_is_drawn_by_a_key_that_no_officer_holds(city: HoursWorld) -> None:
    ledgers = HandSweeper.latest.ledgers
    directory = city.world.process.runtime.config.keys.directory
    keyed = Hours(ledgers, None, SecretKeys.open(directory))  # type: ignore[arg-type]  # it writes nothing
    other = Hours(ledgers, None, SecretKeys(b"\x07" * 32))  # type: ignore[arg-type]  # likewise
    names = [f"n-{number}" for number in range(RECORDS)]
    drawn = {name for name in names if keyed.draw("weihai", name) < 5 * DRAWS // 100}
    assert CHECKED_AT_LEAST <= len(drawn) <= RECORDS // 10
    assert {name for name in names if other.draw("weihai", name) < 5 * DRAWS // 100} != drawn
    await city.adopt(policy(spot_check_percent=5, effective_from="2026-01-02"))
    picked, left = sorted(drawn)[0], next(name for name in names if name not in drawn)
    first = await city.submit(typed(city, 0, 60), OFFICER, record_id=picked)
    second = await city.submit(typed(city, 1, 60), OFFICER, record_id=left)
    pending = record_pb2.ServiceRecord.SpotCheck.SPOT_CHECK_PENDING
    assert (first.spot_check, second.spot_check) == (pending, 0)


async def test_a_record_drawn_for_the_spot_check_waits_for_a_third_officer(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(spot_check_percent=100))
    await bare.register("wang")
    await bare.submit(typed(bare, 0, 60), OFFICER, record_id="r-good")
    await bare.submit(typed(bare, 1, 60), OFFICER, record_id="r-bad")
    for name in (bare.record_name("r-good"), bare.record_name("r-bad")):
        waiting = await bare.call("VerifyRecord", SECOND, name=name)
        assert waiting.state == State.STATE_VERIFIED
        for caller in (OFFICER, SECOND):
            mine = bare.call("ResolveSpotCheck", caller, name=name, passed=True, once=True)
            assert await refused(mine) is Reason.FOUR_EYES_REQUIRED
    good = bare.record_name("r-good")
    passed = await bare.call("ResolveSpotCheck", THIRD, name=good, passed=True)
    assert passed.state == State.STATE_POSTED
    bad = bare.record_name("r-bad")
    failed = await bare.call("ResolveSpotCheck", THIRD, name=bad, passed=False)
    assert failed.state == State.STATE_VOIDED
    assert await bare.balances("wang") == (60, 60, 0)
