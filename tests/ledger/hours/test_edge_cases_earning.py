"""Edge cases of what services earn: the store cap, changes of policy, expiry, debt, corrections."""

from datetime import UTC, datetime
from typing import Any

from tests.ledger.hours.test_edge_cases_members import pool_minutes
from tests.support.commands import MERCHANT, POINTS, REDEMPTION, new_id, post
from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    MATCHING,
    OFFICER,
    SECOND,
    HoursWorld,
    State,
    policy,
    preset,
    sweep,
)
from tests.support.ledgers import refusal, refused
from timebank.errors import Reason
from timebank.ledger.v1 import entry_pb2, fact_pb2, ledger_service_pb2

MINUTE_US = 60_000_000
CAP_HOURS = 1_500
FLAGGED = fact_pb2.CERTIFICATE_STATE_FLAGGED
ISSUED = fact_pb2.CERTIFICATE_STATE_ISSUED


def us_at(*when: int) -> int:
    """A moment of UTC."""
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc,arg-type]  # year, month, day ...


async def redeem(city: HoursWorld, member_id: str, amount: int) -> None:
    """Spends POINTS of a member at a shop."""
    member = await city.call("GetMember", name=city.member_name(member_id))
    shop = await city.world.open(f"shop-of-{member_id}", POINTS, MERCHANT)
    await city.world.post(post(REDEMPTION, member.points_account, shop, amount))


async def test_the_store_cap_is_reached_in_the_middle_of_a_service(bare: HoursWorld) -> None:
    """1,499 h and 2 h more: one hour is stored, one is the pool's, in one entry."""
    await bare.adopt(preset("nanjing", effective_from="2025-10-01"))
    await bare.register("wang")
    await bare.serve("wang", CAP_HOURS - 1, start_us=us_at(2025, 11, 1))
    size = await bare.world.size()
    last = await bare.submit(bare.record("wang", minutes=120))
    assert (last.hours_minutes, last.time_minutes, last.pool_minutes) == (120, 60, 60)
    entry = await bare.world.entry(size)
    assert entry.kind == entry_pb2.ENTRY_KIND_RECORD_POSTED
    assert sorted(posting.amount for posting in entry.postings) == [-120, -120, 60, 60, 120]
    assert await bare.balances("wang") == ((CAP_HOURS + 1) * 60, CAP_HOURS * 60, 0)
    assert await pool_minutes(bare) == 60


async def test_the_time_of_a_group_is_the_pools_where_the_policy_says_so(
    bare: HoursWorld,
) -> None:
    await bare.adopt(preset("nanjing"))
    await bare.register("wang")
    record = await bare.submit(bare.record("wang", group=True))
    assert (record.hours_minutes, record.time_minutes, record.pool_minutes) == (60, 0, 60)


async def test_a_service_across_midnight_and_a_change_of_policy_is_split_by_the_minute(
    city: HoursWorld,
) -> None:
    await city.adopt(policy(earn={"points_per_hour": 10}, effective_from="2026-02-20"))
    midnight_us = us_at(2026, 2, 19, 16)
    record = city.record("wang", start_us=midnight_us - 37 * MINUTE_US, minutes=120)
    posted = await city.submit(record, record_id="r-night")
    assert posted.policy_versions == ["test@1", "test@2"]
    # 37 minutes at 1 an hour wait for more; 83 at 10 an hour are 13.
    assert (posted.hours_minutes, posted.time_minutes, posted.points) == (120, 120, 13)
    rest = city.record("wang", start_us=midnight_us - 60 * MINUTE_US, minutes=23)
    assert (await city.submit(rest)).points == 1


async def test_the_parts_of_a_split_service_sum_to_the_whole_whatever_its_breaks(
    city: HoursWorld,
) -> None:
    midnight_us = us_at(2026, 2, 19, 16)
    for day in range(4):
        start_us = midnight_us + day * DAY_US - 31 * MINUTE_US
        record = city.record("wang", start_us=start_us, minutes=97, break_minutes=8 + day)
        posted = await city.submit(record)
        assert posted.hours_minutes == posted.time_minutes == 89 - day


async def test_daily_visits_of_20_minutes_add_up(city: HoursWorld) -> None:
    points = []
    for day in range(6):
        record = city.record("wang", start_us=BASE_US + day * DAY_US, minutes=20)
        points.append((await city.submit(record)).points)
    assert points == [0, 0, 1, 0, 0, 1]


async def test_a_correction_after_the_points_were_spent_leaves_a_debt_that_is_repaid_first(
    city: HoursWorld,
) -> None:
    await city.submit(city.record("wang", minutes=600), record_id="r-long")
    await redeem(city, "wang", 8)
    fixed = city.record("wang", minutes=300, supersedes=city.record_name("r-long"))
    await city.submit(fixed, record_id="r-short")
    assert await city.balances("wang") == (300, 300, -3)
    await city.submit(city.record("wang", start_us=BASE_US + DAY_US, minutes=120))
    assert (await city.balances("wang"))[2] == -1
    member = await city.call("GetMember", name=city.member_name("wang"))
    assert await city.world.lots(member.points_account) == []
    await city.submit(city.record("wang", start_us=BASE_US + 2 * DAY_US, minutes=120))
    assert await city.world.lots(member.points_account) == [(0, 1, 0)]


async def test_a_posted_record_is_corrected_or_voided_and_not_disputed(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=600), record_id="r-long")
    await redeem(city, "wang", 10)
    name = city.record_name("r-long")
    dispute = city.call("DisputeRecord", MATCHING, name=name, once=True)
    assert await refused(dispute) is Reason.RECORD_STATE
    await city.call("VoidRecord", SECOND, name=name)
    assert await city.balances("wang") == (0, 0, -10)
    again = city.call("VoidRecord", SECOND, name=name, once=True)
    assert await refused(again) is Reason.RECORD_STATE


async def test_time_that_was_given_away_is_owed_after_a_correction(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=600), record_id="r-long")
    await city.call("TransferTime", name=city.member_name("wang"), minutes=600)
    await city.call("VoidRecord", SECOND, name=city.record_name("r-long"))
    assert await city.balances("wang") == (0, -600, 0)
    transfer = city.call("TransferTime", name=city.member_name("wang"), minutes=1, once=True)
    assert await refused(transfer) is Reason.INSUFFICIENT_BALANCE


async def test_points_expire_with_the_calendar_year_of_the_service(bare: HoursWorld) -> None:
    yearly = policy(earn={"expiry": {"points": "CALENDAR_YEAR_END"}}, effective_from="2025-01-01")
    await bare.adopt(yearly)
    await bare.register("wang")
    new_year_us = us_at(2025, 12, 31, 16)
    await bare.submit(bare.record("wang", start_us=new_year_us + HOUR_US, minutes=120))
    member = await bare.call("GetMember", name=bare.member_name("wang"))
    assert await bare.world.lots(member.points_account) == [(us_at(2026, 12, 31, 16), 2, 0)]
    bare.world.clock.advance(us=us_at(2026, 12, 31, 16) - bare.world.clock.now_us() - 1)
    await sweep()
    assert (await bare.balances("wang"))[2] == 2
    bare.world.clock.advance(us=1)
    await sweep()
    assert await bare.balances("wang") == (120, 120, 0)


async def test_a_service_across_new_year_makes_points_of_both_years(bare: HoursWorld) -> None:
    yearly = policy(earn={"expiry": {"points": "CALENDAR_YEAR_END"}}, effective_from="2025-01-01")
    await bare.adopt(yearly)
    await bare.register("wang")
    bare.world.clock.advance(us=us_at(2027, 1, 1) - bare.world.clock.now_us())
    start_us = us_at(2026, 12, 31, 16) - HOUR_US
    await bare.submit(bare.record("wang", start_us=start_us, minutes=180))
    member = await bare.call("GetMember", name=bare.member_name("wang"))
    await sweep()
    assert await bare.world.lots(member.points_account) == [(us_at(2027, 12, 31, 16), 2, 0)]


async def test_a_policy_never_applies_backwards_unless_it_is_replayed(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=120), record_id="r-old")
    closing = ledger_service_pb2.CloseOpeningRequest(name=city.name, request_id=new_id())
    await city.world.stub.CloseOpening(closing)
    better = policy(earn={"points_per_hour": 3}, effective_from="2026-02-01")
    assert await refused(city.adopt(better, once=True)) is Reason.VALIDATION_FAILED
    adopted = await city.adopt(better, replay=True)
    assert adopted.replays
    assert (await city.balances("wang"))[2] == 2
    done = await city.call("ReplayPolicy", name=adopted.name)
    assert (done.records, done.corrected) == (1, 1)
    assert await city.balances("wang") == (120, 120, 6)
    again = await city.call("ReplayPolicy", name=adopted.name)
    assert (again.records, again.corrected) == (1, 0)
    record = await city.call("GetRecord", name=city.record_name("r-old"))
    assert (record.points, record.state) == (6, State.STATE_POSTED)
    first = f"{city.name}/policies/test@1"
    assert await refused(city.call("ReplayPolicy", name=first)) is Reason.VALIDATION_FAILED


async def test_a_certificate_is_flagged_when_a_cited_record_is_corrected(
    city: HoursWorld,
) -> None:
    await city.submit(city.record("wang", minutes=600), record_id="r-long")
    later = city.record("wang", start_us=BASE_US + DAY_US)
    wording: dict[str, Any] = {
        "issuer": "环翠区志愿服务中心",
        "person_in_charge": "李四",
        "handler": "王五",
        "contact": "0631-1234567",
    }
    parent = city.member_name("wang")
    cited = await city.call("IssueCertificate", OFFICER, parent=parent, **wording)
    assert (cited.state, cited.total_minutes) == (ISSUED, 600)
    await city.submit(later)
    assert (await city.call("CheckCertificate", name=cited.name)).state == ISSUED
    fixed = city.record("wang", minutes=300, supersedes=city.record_name("r-long"))
    await city.submit(fixed)
    assert (await city.call("CheckCertificate", name=cited.name)).state == FLAGGED
    anew = await city.call("IssueCertificate", OFFICER, parent=parent, **wording)
    assert (anew.state, anew.total_minutes) == (ISSUED, 360)
    revoked = await city.call("RevokeCertificate", OFFICER, name=cited.name)
    assert revoked.state == fact_pb2.CERTIFICATE_STATE_REVOKED


async def test_a_correction_of_a_record_that_was_corrected_meanwhile_is_refused(
    city: HoursWorld,
) -> None:
    await city.submit(city.record("wang", minutes=600), record_id="r-1")
    old = city.record_name("r-1")
    await city.submit(city.record("wang", minutes=300, supersedes=old), record_id="r-2")
    second = city.submit(city.record("wang", minutes=200, supersedes=old), once=True)
    error = await refusal(second)
    assert error.reason is Reason.RECORD_STATE
    chain = city.record("wang", minutes=200, supersedes=city.record_name("r-2"))
    assert (await city.submit(chain)).state == State.STATE_POSTED
    assert await city.balances("wang") == (200, 200, 3)
