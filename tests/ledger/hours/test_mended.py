"""Records that once went wrong on their way: refused in the middle, of volunteers who have died,
short of attestations, judged by who disputed them. Each test ends with an audit.
"""

from typing import Any

import pytest

from tests.support.commands import TIME, at
from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    MATCHING,
    OFFICER,
    OPERATOR,
    SECOND,
    UNIT,
    C,
    D,
    HoursWorld,
    State,
    policy,
    sweep,
)
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, from_status
from timebank.ledger.v1 import hours_service_pb2, record_pb2

THIRD = Principal(PrincipalKind.OFFICER, "sun", units=frozenset({UNIT}))
FOURTH = Principal(PrincipalKind.OFFICER, "wu", units=frozenset({UNIT}))
TO_YEAR_END_US = 304 * DAY_US
"""From the start of the clock to 30 December 2026; there is a holiday file of 2026 alone."""
LAST_DAY_US = 253_402_214_400_000_000
"""9999-12-31."""
LEAVING: dict[str, dict[str, Any]] = {"RecordDeath": {}, "ExportMember": {"destination": "济南"}}
BREAK_MINUTES_MAX = 100_000


async def claimed(city: HoursWorld, name: str, **fields: Any) -> record_pb2.ServiceRecord:
    """A claim that an officer enters."""
    record = city.record("wang", evidence=C, **fields)
    return await city.submit(record, OFFICER, record_id=name)


async def read(city: HoursWorld, name: str) -> record_pb2.ServiceRecord:
    """Reads a record."""
    found: record_pb2.ServiceRecord = await city.call("GetRecord", name=city.record_name(name))
    return found


async def refused_whole(
    city: HoursWorld, reason: Reason, name: str, method: str, caller: Principal, **fields: Any
) -> None:
    """Makes a call about a record, which must be refused and leave everything as it was."""
    before, size = await read(city, name), await city.world.size()
    call = city.call(method, caller, once=True, name=city.record_name(name), **fields)
    assert await refused(call) is reason
    assert await city.world.size() == size
    assert await read(city, name) == before
    assert await city.balances("wang") == (0, 0, 0)


async def unpaid(bare: HoursWorld, **changes: Any) -> None:
    """A ledger where an elder who has no TIME pays, with a claim of a service to them."""
    await bare.adopt(policy(time_payer="BENEFICIARY", **changes))
    await bare.register("wang")
    await bare.register("li-elder")
    await claimed(bare, "r-c", beneficiary=bare.member_name("li-elder"))


async def paid(bare: HoursWorld) -> None:
    """Gives the elder an hour of TIME."""
    elder = await bare.call("GetMember", name=bare.member_name("li-elder"))
    await bare.world.grant(elder.time_account, 60, TIME)


async def test_attesting_is_refused_whole_while_the_beneficiary_cannot_pay(
    bare: HoursWorld,
) -> None:
    await unpaid(bare)
    poor = Reason.INSUFFICIENT_BALANCE
    await refused_whole(bare, poor, "r-c", "VerifyRecord", SECOND)
    await paid(bare)
    posted = await bare.call("VerifyRecord", SECOND, name=bare.record_name("r-c"))
    assert (posted.state, posted.verifiers) == (State.STATE_POSTED, ["zhao"])
    assert await bare.balances("li-elder") == (0, 0, 0)


async def test_resolving_a_dispute_is_refused_whole_while_the_beneficiary_cannot_pay(
    bare: HoursWorld,
) -> None:
    await unpaid(bare)
    await bare.call("DisputeRecord", SECOND, name=bare.record_name("r-c"))
    poor = Reason.INSUFFICIENT_BALANCE
    await refused_whole(bare, poor, "r-c", "ResolveDispute", THIRD)
    await paid(bare)
    posted = await bare.call("ResolveDispute", THIRD, name=bare.record_name("r-c"))
    assert posted.state == State.STATE_POSTED
    assert await bare.balances("li-elder") == (0, 0, 0)


async def test_passing_a_spot_check_is_refused_whole_while_the_beneficiary_cannot_pay(
    bare: HoursWorld,
) -> None:
    await unpaid(bare, spot_check_percent=100)
    await bare.call("VerifyRecord", SECOND, name=bare.record_name("r-c"))
    poor = Reason.INSUFFICIENT_BALANCE
    await refused_whole(bare, poor, "r-c", "ResolveSpotCheck", THIRD, passed=True)
    await paid(bare)
    name = bare.record_name("r-c")
    posted = await bare.call("ResolveSpotCheck", THIRD, name=name, passed=True)
    assert posted.state == State.STATE_POSTED
    assert await bare.balances("li-elder") == (0, 0, 0)


async def test_publicity_into_a_year_without_a_holiday_file_is_refused_whole(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(publicity_days=3))
    await bare.register("wang")
    await claimed(bare, "r-c")
    bare.world.clock.advance(us=TO_YEAR_END_US)
    await refused_whole(bare, Reason.VALIDATION_FAILED, "r-c", "VerifyRecord", SECOND)
    size = await bare.world.size()
    record = bare.record("wang", start_us=BASE_US + DAY_US)
    call = bare.submit(record, record_id="r-a", once=True)
    assert await refused(call) is Reason.VALIDATION_FAILED
    assert await bare.world.size() == size
    assert await refused(read(bare, "r-a")) is Reason.RECORD_NOT_FOUND
    assert (await bare.star("wang")).pending_points == 0


@pytest.mark.parametrize("leaving", LEAVING)
async def test_a_claim_of_who_died_or_moved_away_is_not_attested(
    city: HoursWorld, leaving: str
) -> None:
    await claimed(city, "r-c")
    await city.call(leaving, name=city.member_name("wang"), **LEAVING[leaving])
    gone = Reason.MEMBER_NOT_ACTIVE
    await refused_whole(city, gone, "r-c", "VerifyRecord", SECOND)
    voided = await city.call("VoidRecord", SECOND, name=city.record_name("r-c"))
    assert voided.state == State.STATE_VOIDED


@pytest.mark.parametrize("leaving", LEAVING)
async def test_a_publicised_record_of_who_died_or_moved_away_is_disputed_when_it_is_due(
    bare: HoursWorld, leaving: str
) -> None:
    await bare.adopt(policy(publicity_days=3))
    await bare.register("wang")
    shown = await bare.submit(bare.record("wang"), record_id="r-a")
    assert (shown.state, shown.pending_points) == (State.STATE_PUBLICISED, 1)
    await bare.call(leaving, name=bare.member_name("wang"), **LEAVING[leaving])
    await sweep()
    assert (await read(bare, "r-a")).state == State.STATE_PUBLICISED
    bare.world.clock.advance(us=10 * DAY_US)
    for _ in range(2):
        await sweep()
        left = await read(bare, "r-a")
        assert (left.state, left.pending_points) == (State.STATE_DISPUTED, 0)
        assert not left.HasField("publicity_end_time")
    assert (await bare.star("wang")).pending_points == 0
    assert await bare.balances("wang") == (0, 0, 0)
    name = bare.record_name("r-a")
    resolved = bare.call("ResolveDispute", SECOND, name=name, once=True)
    assert await refused(resolved) is Reason.MEMBER_NOT_ACTIVE
    voided = await bare.call("ResolveDispute", SECOND, name=name, upheld=True)
    assert voided.state == State.STATE_VOIDED


async def test_a_dispute_that_fails_is_no_substitute_for_the_attestations_that_lack(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(verifications=2))
    await bare.register("wang")
    await claimed(bare, "r-c")
    name = bare.record_name("r-c")
    await bare.call("DisputeRecord", SECOND, name=name)
    stands = await bare.call("ResolveDispute", THIRD, name=name)
    assert (stands.state, stands.verifiers) == (State.STATE_CLAIMED, ["sun"])
    assert await bare.balances("wang") == (0, 0, 0)
    again = bare.call("VerifyRecord", THIRD, name=name, once=True)
    assert await refused(again) is Reason.FOUR_EYES_REQUIRED
    posted = await bare.call("VerifyRecord", FOURTH, name=name)
    assert (posted.state, posted.verifiers) == (State.STATE_POSTED, ["sun", "wu"])
    assert await bare.balances("wang") == (60, 60, 0)


async def test_a_disputed_record_with_enough_attestations_goes_on(bare: HoursWorld) -> None:
    await bare.adopt(policy(verifications=2))
    await bare.register("wang")
    await claimed(bare, "r-c")
    name = bare.record_name("r-c")
    first = await bare.call("VerifyRecord", SECOND, name=name)
    assert first.state == State.STATE_CLAIMED
    await bare.call("DisputeRecord", FOURTH, name=name)
    posted = await bare.call("ResolveDispute", THIRD, name=name)
    assert (posted.state, posted.verifiers) == (State.STATE_POSTED, ["zhao", "sun"])
    assert await bare.balances("wang") == (60, 60, 0)


@pytest.mark.parametrize("upheld", [False, True])
async def test_who_disputed_a_record_does_not_resolve_it(city: HoursWorld, upheld: bool) -> None:
    await claimed(city, "r-c")
    await city.call("DisputeRecord", SECOND, name=city.record_name("r-c"))
    mine = Reason.FOUR_EYES_REQUIRED
    await refused_whole(city, mine, "r-c", "ResolveDispute", SECOND, upheld=upheld)
    resolved = await city.call("ResolveDispute", THIRD, name=city.record_name("r-c"), upheld=upheld)
    assert resolved.state == (State.STATE_VOIDED if upheld else State.STATE_POSTED)


async def test_who_disputed_a_record_as_a_member_does_not_resolve_it_as_an_officer(
    city: HoursWorld,
) -> None:
    await city.register("zhao-at-home", officer="zhao")
    await claimed(city, "r-c", beneficiary=city.member_name("zhao-at-home"))
    at_home = Principal(PrincipalKind.MEMBER, "zhao-at-home")
    await city.call("DisputeRecord", at_home, name=city.record_name("r-c"))
    mine = Reason.FOUR_EYES_REQUIRED
    await refused_whole(city, mine, "r-c", "ResolveDispute", SECOND)


def dated(city: HoursWorld, **fields: Any) -> record_pb2.ServiceRecord:
    """A record of an hour of which only the day is known."""
    values: dict[str, Any] = {"evidence": D, "date_only": True, "external_ids": ["x-1"]}
    record = city.record("wang", **(values | {"end_time": None} | fields))
    record.minutes = record.minutes or 60
    return record


async def test_a_day_at_the_end_of_time_is_refused(city: HoursWorld) -> None:
    last = dated(city, start_time=at(LAST_DAY_US))
    for caller in (MATCHING, OPERATOR, OFFICER):
        call = city.submit(last, caller, record_id="r-last", once=True)
        assert await refused(call) is Reason.VALIDATION_FAILED, caller
    good = hours_service_pb2.SubmitRecordItem(record_id="r-good", record=dated(city))
    bad = hours_service_pb2.SubmitRecordItem(record_id="r-last", record=last)
    answer = await city.call(
        "BatchSubmitRecords", MATCHING, once=True, parent=city.name, items=[bad, good]
    )
    refusal, done = answer.results
    assert from_status(refusal.error).reason is Reason.VALIDATION_FAILED
    assert done.ok.state == State.STATE_POSTED
    assert await city.balances("wang") == (60, 60, 1)


@pytest.mark.parametrize("minutes", [-1, BREAK_MINUTES_MAX + 1, 2**63 - 1, -(2**63)])
async def test_the_break_of_a_record_without_times_is_bounded(
    city: HoursWorld, minutes: int
) -> None:
    size = await city.world.size()
    call = city.submit(dated(city, break_minutes=minutes), record_id="r-d", once=True)
    assert await refused(call) is Reason.VALIDATION_FAILED
    assert await city.world.size() == size


async def test_two_hours_that_wait_for_their_publicity_are_pending_until_one_is_disputed(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(publicity_days=3))
    await bare.register("wang")
    await bare.submit(bare.record("wang"), record_id="r-a")
    await bare.submit(bare.record("wang", start_us=BASE_US + HOUR_US), record_id="r-b")
    assert (await bare.star("wang")).pending_points == 2
    await bare.call("DisputeRecord", SECOND, name=bare.record_name("r-a"))
    assert (await bare.star("wang")).pending_points == 1
    bare.world.clock.advance(us=10 * DAY_US)
    await sweep()
    assert (await bare.star("wang")).pending_points == 0
    assert await bare.balances("wang") == (60, 60, 1)
