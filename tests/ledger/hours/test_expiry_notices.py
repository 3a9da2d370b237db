"""Members hear 30 and 7 days before that their POINTS will expire, once each."""

from typing import Any

from tests.support.hours import DAY_US, HoursWorld, policy, sweep


async def test_notices_are_given_once_at_30_and_at_7_days(bare: HoursWorld) -> None:
    await bare.adopt(policy(earn={"reward": "POINTS", "expiry": {"points": {"months": 3}}}))
    wang = await bare.register("wang")
    await bare.submit(bare.record("wang", minutes=300))
    await sweep()
    assert await numbers(bare) == []
    bare.world.clock.advance(us=55 * DAY_US)
    await sweep()
    bare.world.clock.advance(us=DAY_US)
    await sweep()
    [month] = (await bare.call("ListExpiryNotices", parent=bare.name)).notices
    assert (month.days, month.points, month.holder) == (30, 5, "wang")
    assert month.account == wang.points_account
    bare.world.clock.advance(us=22 * DAY_US)
    await sweep()
    assert await numbers(bare) == [(1, 30), (2, 7)]
    assert await numbers(bare, after=1) == [(2, 7)]
    bare.world.clock.advance(us=10 * DAY_US)
    await sweep()
    assert await numbers(bare) == [(1, 30), (2, 7)]
    assert (await bare.balances("wang"))[2] == 0


async def numbers(city: HoursWorld, **fields: Any) -> list[tuple[int, int]]:
    """Number and distance of the notices that were given."""
    found = await city.call("ListExpiryNotices", parent=city.name, **fields)
    return [(notice.number, notice.days) for notice in found.notices]
