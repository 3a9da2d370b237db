"""Lots over the rpcs: expiry at the end of a day, the order of spending, refunds and reversals."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tests.ledger.rpc.test_holds import audited
from tests.support.commands import (
    DAY_S,
    MERCHANT,
    POINTS,
    REDEMPTION,
    START_US,
    ZONE,
    at,
    capture,
    hold,
    post,
)
from tests.support.commands import EXPIRED as EXPIRED_ACCOUNT
from tests.support.ledgers import LedgerWorld, refused
from timebank.errors import Reason
from timebank.ledger.v1 import entry_pb2, ledger_service_pb2

LOT_EXPIRED = entry_pb2.ENTRY_KIND_LOT_EXPIRED
DAY_US = DAY_S * 1_000_000


def day_end(year: int, month: int, day: int) -> int:
    """The end of a day in Shanghai, which is the next midnight, in microseconds."""
    local = datetime(year, month, day, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    return int(local.timestamp()) * 1_000_000 + DAY_US


FIRST, SECOND, THIRD = day_end(2026, 3, 2), day_end(2026, 3, 3), day_end(2026, 3, 4)


async def lots(world: LedgerWorld, account: str) -> dict[int, tuple[int, int]]:
    """What remains and is reserved by expiry; 0: never."""
    return {expires: (left, kept) for expires, left, kept in await world.lots(account)}


async def layered(world: LedgerWorld) -> tuple[str, str]:
    """A member with lots of 10 on three days, and 10 that never expire; and a shop."""
    alice, shop = await world.open(), await world.open(kind=MERCHANT)
    for expires_us in (THIRD, FIRST, SECOND):
        await world.grant(alice, 10, expires=at(expires_us))
    await world.grant(alice, 10)
    return alice, shop


async def test_credits_of_one_day_in_the_zone_share_a_lot_that_ends_with_the_day(
    world: LedgerWorld,
) -> None:
    alice = await world.open()
    for expires_us in (FIRST - DAY_US + 1, FIRST - 3_600_000_000, FIRST - 1, FIRST):
        await world.grant(alice, 10, expires=at(expires_us))
    assert await world.lots(alice) == [(FIRST, 40, 0)]
    await world.grant(alice, 1, expires=at(FIRST + 1))
    await world.grant(alice, 2)
    assert await world.lots(alice) == [(FIRST, 40, 0), (SECOND, 1, 0), (0, 2, 0)]
    past = world.grant(alice, 1, expires=at(START_US))
    assert await refused(past) is Reason.VALIDATION_FAILED


async def test_spending_takes_the_earliest_expiry_first_and_never_what_a_hold_reserves(
    world: LedgerWorld,
) -> None:
    alice, shop = await layered(world)
    name = await world.hold(hold(alice, 15))
    assert await lots(world, alice) == {
        FIRST: (10, 10),
        SECOND: (10, 5),
        THIRD: (10, 0),
        0: (10, 0),
    }
    await world.post(post(REDEMPTION, alice, shop, 12))
    assert await lots(world, alice) == {FIRST: (10, 10), SECOND: (5, 5), THIRD: (3, 0), 0: (10, 0)}
    assert await refused(world.post(post(REDEMPTION, alice, shop, 14))) is (
        Reason.INSUFFICIENT_BALANCE
    )
    await world.capture(capture(name, shop, 12))
    assert await lots(world, alice) == {SECOND: (3, 3), THIRD: (3, 0), 0: (10, 0)}
    await world.void(name)
    assert await lots(world, alice) == {SECOND: (3, 0), THIRD: (3, 0), 0: (10, 0)}
    await audited(world)


async def test_a_lot_expires_by_an_entry_at_its_boundary_and_a_hold_protects_its_own(
    world: LedgerWorld,
) -> None:
    alice, shop = await layered(world)
    world.clock.advance(us=FIRST - START_US - 60_000_000)
    name = await world.hold(hold(alice, 4, expire_time=at(FIRST + 60_000_000)))
    world.clock.advance(us=60_000_000 - 1)
    assert not (await world.balance(alice)).expired_pending
    world.clock.advance(us=1)
    assert (await world.balance(alice)).expired_pending
    size = await world.size()
    await world.post(post(REDEMPTION, alice, shop, 1))
    expiry = await world.entry(size)
    assert (expiry.kind, expiry.effective_time_us) == (LOT_EXPIRED, FIRST)
    assert [posting.amount for posting in expiry.postings] == [-6, 6]
    assert (await world.balance(world.system[EXPIRED_ACCOUNT, POINTS])).posted == 6
    assert await lots(world, alice) == {FIRST: (4, 4), SECOND: (9, 0), THIRD: (10, 0), 0: (10, 0)}
    await world.capture(capture(name, shop, 3))
    world.clock.advance(seconds=61)
    size = await world.size()
    await world.post(post(REDEMPTION, alice, shop, 1))
    # The hold ends first, then what it reserved of the lot follows the rest of it.
    kinds = [(await world.entry(index)).kind for index in (size, size + 1)]
    assert kinds == [entry_pb2.ENTRY_KIND_HOLD_EXPIRED, LOT_EXPIRED]
    assert await lots(world, alice) == {SECOND: (8, 0), THIRD: (10, 0), 0: (10, 0)}
    await audited(world)


async def test_refunds_add_up_and_restore_the_latest_expiry_first(world: LedgerWorld) -> None:
    alice, shop = await layered(world)
    entry = (await world.post(post(REDEMPTION, alice, shop, 25))).result.entry
    assert await lots(world, alice) == {THIRD: (5, 0), 0: (10, 0)}
    await world.refund(entry, 7)
    assert await lots(world, alice) == {SECOND: (2, 0), THIRD: (10, 0), 0: (10, 0)}
    await world.refund(entry, 10)
    assert await lots(world, alice) == {FIRST: (2, 0), SECOND: (10, 0), THIRD: (10, 0), 0: (10, 0)}
    assert await refused(world.refund(entry, 9)) is Reason.REFUND_EXCEEDS_CAPTURE
    await world.refund(entry, 8)
    assert await refused(world.refund(entry, 1)) is Reason.REFUND_EXCEEDS_CAPTURE
    assert await refused(world.reverse(entry)) is Reason.ALREADY_REVERSED
    assert {key: left for key, (left, _) in (await lots(world, alice)).items()} == {
        FIRST: 10,
        SECOND: 10,
        THIRD: 10,
        0: 10,
    }
    await audited(world)


async def test_a_refund_into_a_lot_that_has_expired_leaves_again_by_an_expiry(
    world: LedgerWorld,
) -> None:
    alice, shop = await layered(world)
    entry = (await world.post(post(REDEMPTION, alice, shop, 10))).result.entry
    world.clock.advance(us=FIRST - START_US)
    await world.refund(entry, 10)
    assert (await world.balance(alice)).posted == 40
    assert (await world.balance(alice)).expired_pending
    assert (await lots(world, alice))[FIRST] == (10, 0)
    await world.post(post(REDEMPTION, alice, shop, 1))
    assert (await world.balance(world.system[EXPIRED_ACCOUNT, POINTS])).posted == 10
    assert await lots(world, alice) == {SECOND: (9, 0), THIRD: (10, 0), 0: (10, 0)}
    await audited(world)


async def test_a_reversal_takes_its_own_lot_then_others_then_debt_but_nothing_reserved(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(debt_limit=8), await world.open(kind=MERCHANT)
    granted = (await world.grant(alice, 20, expires=at(SECOND))).result.entry
    await world.grant(alice, 10, expires=at(FIRST))
    await world.post(post(REDEMPTION, alice, shop, 15))
    assert await lots(world, alice) == {SECOND: (15, 0)}
    await world.grant(alice, 3, expires=at(FIRST))
    name = await world.hold(hold(alice, 5))
    assert await lots(world, alice) == {FIRST: (3, 3), SECOND: (15, 2)}
    # 13 are free: own lot 13, and 7 become debt, within the limit of 8.
    await world.reverse(granted)
    read = await world.account(alice)
    assert (read.posted, read.held, read.debt) == (-2, 5, 7)
    assert await lots(world, alice) == {FIRST: (3, 3), SECOND: (2, 2)}
    assert await refused(world.reverse(granted)) is Reason.ALREADY_REVERSED
    await world.grant(alice, 5, expires=at(THIRD))
    read = await world.account(alice)
    assert (read.posted, read.debt) == (3, 2)
    assert THIRD not in await lots(world, alice)
    await world.grant(alice, 5, expires=at(THIRD))
    assert (await world.account(alice)).debt == 0
    assert (await lots(world, alice))[THIRD] == (3, 0)
    await world.capture(capture(name, shop, 5))
    await audited(world)


async def test_a_reversal_beyond_the_debt_limit_is_refused_and_earnings_follow_corrections(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(debt_limit=8), await world.open(kind=MERCHANT)
    granted = (await world.grant(alice, 20)).result.entry
    await world.post(post(REDEMPTION, alice, shop, 9))
    await world.post(post(REDEMPTION, alice, shop, 1))
    assert await refused(world.reverse(granted)) is Reason.INSUFFICIENT_BALANCE
    await world.grant(alice, 2)
    await world.reverse(granted)
    read = await world.balance(alice)
    assert (read.posted, read.debt, read.earned_lifetime) == (-8, 8, 0)
    assert await world.lots(alice) == []
    await audited(world)


async def test_lots_are_listed_in_pages(world: LedgerWorld) -> None:
    alice, _ = await layered(world)
    found, token = [], ""
    for _ in range(5):
        page = await world.stub.ListLots(
            ledger_service_pb2.ListLotsRequest(parent=alice, page_size=1, page_token=token)
        )
        found += [lot.remaining for lot in page.lots]
        token = page.next_page_token
        if not token:
            break
    assert found == [10] * 4
    assert token == ""
