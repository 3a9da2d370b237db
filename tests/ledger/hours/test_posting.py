"""Records from claim to posted: what they credit, and that they credit once."""

from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    MATCHING,
    OFFICER,
    SECOND,
    B,
    C,
    HoursWorld,
    State,
    policy,
    sweep,
)
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason


async def test_an_attested_record_credits_hours_time_and_points_in_one_entry(
    city: HoursWorld,
) -> None:
    size = await city.world.size()
    record = await city.submit(city.record("wang", minutes=90))
    assert record.state == State.STATE_POSTED
    assert (record.hours_minutes, record.time_minutes, record.points) == (90, 90, 1)
    assert await city.balances("wang") == (90, 90, 1)
    assert await city.world.size() == size + 1


async def test_the_same_record_again_is_the_same_record(city: HoursWorld) -> None:
    first = await city.submit(city.record("wang"), record_id="r-same")
    again = await city.submit(city.record("wang"), record_id="r-same")
    assert again == first
    assert await city.balances("wang") == (60, 60, 1)
    other = city.submit(city.record("wang", minutes=61), record_id="r-same", once=True)
    assert await refused(other) is Reason.RECORD_EXISTS


async def test_a_claim_waits_for_a_second_officer_and_for_its_publicity(city: HoursWorld) -> None:
    await city.adopt(policy(publicity_days=3, effective_from="2026-01-02"))
    claim = await city.submit(city.record("wang", evidence=C), OFFICER, record_id="r-c")
    assert claim.state == State.STATE_CLAIMED
    assert claim.recorder == "li"
    name = city.record_name("r-c")
    assert await refused(city.call("VerifyRecord", OFFICER, name=name)) is (
        Reason.FOUR_EYES_REQUIRED
    )
    shown = await city.call("VerifyRecord", SECOND, name=name)
    assert shown.state == State.STATE_PUBLICISED
    assert await city.balances("wang") == (0, 0, 0)
    # Sunday 1 March: three working days end with Wednesday.
    city.world.clock.advance(us=3 * DAY_US + 15 * HOUR_US)
    await sweep()
    assert (await city.call("GetRecord", name=name)).state == State.STATE_PUBLICISED
    city.world.clock.advance(us=HOUR_US)
    await sweep()
    posted = await city.call("GetRecord", name=name)
    assert posted.state == State.STATE_POSTED
    assert await city.balances("wang") == (60, 60, 0)  # back-entry earns no POINTS


async def test_points_of_a_publicised_record_show_as_pending(city: HoursWorld) -> None:
    await city.adopt(policy(publicity_days=3, effective_from="2026-01-02"))
    await city.submit(city.record("wang", minutes=120))
    assert (await city.star("wang")).pending_points == 2
    city.world.clock.advance(us=10 * DAY_US)
    await sweep()
    assert (await city.star("wang")).pending_points == 0
    assert await city.balances("wang") == (120, 120, 2)


async def test_the_beneficiary_attests_class_b(city: HoursWorld) -> None:
    elder = Principal(PrincipalKind.MEMBER, "li-elder")
    volunteer = Principal(PrincipalKind.MEMBER, "wang")
    record = city.record("wang", evidence=B, beneficiary=city.member_name("li-elder"))
    claim = await city.submit(record, volunteer, record_id="r-b")
    assert claim.state == State.STATE_CLAIMED
    assert await refused(city.call("VerifyRecord", volunteer, name=city.record_name("r-b"))) is (
        Reason.FOUR_EYES_REQUIRED
    )
    posted = await city.call("VerifyRecord", elder, name=city.record_name("r-b"))
    assert posted.state == State.STATE_POSTED
    assert posted.verifiers == ["members/li-elder"]


async def test_a_correction_posts_the_difference(city: HoursWorld) -> None:
    """50 h typed for 5 h: found later, corrected by a new record."""
    await city.submit(city.record("wang", minutes=2880), record_id="r-50")
    assert await city.balances("wang") == (2880, 2880, 48)
    fixed = city.record("wang", minutes=300, supersedes=city.record_name("r-50"))
    posted = await city.submit(fixed, record_id="r-5")
    assert posted.state == State.STATE_POSTED
    assert await city.balances("wang") == (300, 300, 5)
    old = await city.call("GetRecord", name=city.record_name("r-50"))
    assert old.state == State.STATE_CORRECTED
    assert old.superseded_by == city.record_name("r-5")


async def test_a_void_record_takes_its_credit_back(city: HoursWorld) -> None:
    await city.submit(city.record("wang"), record_id="r-v")
    void = await city.call("VoidRecord", SECOND, name=city.record_name("r-v"), memo="没有发生")
    assert void.state == State.STATE_VOIDED
    assert await city.balances("wang") == (0, 0, 0)
    again = city.record("wang", start_us=BASE_US)
    assert (await city.submit(again, MATCHING)).state == State.STATE_POSTED
