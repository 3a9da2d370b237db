"""Balances as of a point of the log, against sums over the entries themselves."""

from typing import Any

from tests.support.commands import (
    MERCHANT,
    REDEMPTION,
    START_US,
    TIME,
    TRANSFER,
    at,
    hold,
    later,
    post,
)
from tests.support.ledgers import LedgerWorld
from timebank.ledger.v1 import entry_pb2, ledger_service_pb2

MINUTE_US = 60_000_000


async def whole_log(world: LedgerWorld) -> list[entry_pb2.Entry]:
    """Every entry, oldest first."""
    request = ledger_service_pb2.ListEntriesRequest(
        parent=world.name, page_size=1_000, oldest_first=True
    )
    return [one.entry for one in (await world.stub.ListEntries(request)).entries]


async def lived_in(world: LedgerWorld) -> list[str]:
    """Accounts with a history: postings of earlier effect, holds, an expiry, a reversal."""
    alice, bob = await world.open(balance=500), await world.open(balance=50)
    shop = await world.open(kind=MERCHANT)
    giver, taker = await world.open(unit=TIME, balance=300), await world.open(unit=TIME)
    for step in range(6):
        back_us = START_US - (step * 7 % 5) * MINUTE_US
        await world.post(post(REDEMPTION, alice, shop, 10 + step, effective_time=at(back_us)))
        await world.post(
            post(TRANSFER, giver, taker, 5 + step, TIME, effective_time=at(back_us + 1))
        )
        world.clock.advance(seconds=60)
    await world.grant(alice, 7, expires=later(days=1))
    await world.hold(hold(bob, 20, seconds=900))
    spent = await world.post(post(REDEMPTION, bob, shop, 3))
    await world.reverse(spent.result.entry)
    # What the first account of TIME gives after this lies before what it got.
    early = at(START_US - 3_600_000_000)
    await world.post(post(TRANSFER, giver, taker, 100, TIME, effective_time=early))
    return [alice, bob, shop, giver, taker]


def total(entries: list[entry_pb2.Entry], account: str, **limits: Any) -> int:
    """Sums the postings of an account over the entries within limits."""
    account_id = account.rpartition("/")[2]
    return sum(
        posting.amount
        for entry in entries
        if entry.index < limits.get("size", 2**62)
        and entry.recorded_time_us <= limits.get("recorded_us", 2**62)
        and entry.effective_time_us <= limits.get("effective_us", 2**62)
        for posting in entry.postings
        if posting.account_id == account_id
    )


async def test_a_balance_as_of_any_size_of_the_log_is_the_sum_up_to_it(
    world: LedgerWorld,
) -> None:
    accounts = await lived_in(world)
    entries = await whole_log(world)
    assert len(entries) == await world.size()
    for size in range(len(entries) + 3):
        account = accounts[size % len(accounts)]
        read = await world.balance(account, as_of_log_size=size)
        assert read.posted == total(entries, account, size=size), (account, size)
        assert read.log_size == min(size, len(entries))
        assert (read.held, read.debt, read.available) == (0, 0, read.posted)


async def test_a_balance_as_of_a_recorded_time_takes_in_what_was_recorded_by_then(
    world: LedgerWorld,
) -> None:
    accounts = await lived_in(world)
    entries = await whole_log(world)
    times = {entry.recorded_time_us + step for entry in entries[8:] for step in (-1, 0, 1)}
    for number, time_us in enumerate(sorted(times)):
        account = accounts[number % len(accounts)]
        read = await world.balance(account, as_of_recorded_time=at(time_us))
        assert read.posted == total(entries, account, recorded_us=time_us), (account, time_us)
        counted = sum(entry.recorded_time_us <= time_us for entry in entries)
        assert read.log_size == counted
    first = await world.balance(accounts[0], as_of_recorded_time=at(1))
    assert (first.posted, first.log_size) == (0, 0)


async def test_a_balance_as_of_an_effective_time_is_a_report_that_may_be_negative(
    world: LedgerWorld,
) -> None:
    accounts = await lived_in(world)
    entries = await whole_log(world)
    times = {
        entry.effective_time_us + step for entry in entries if entry.postings for step in (-1, 0)
    }
    for time_us in sorted(times):
        for account in (accounts[0], accounts[3]):
            read = await world.balance(account, as_of_effective_time=at(time_us))
            assert read.posted == total(entries, account, effective_us=time_us)
            assert read.log_size == len(entries)
    early = await world.balance(accounts[3], as_of_effective_time=at(START_US - MINUTE_US * 30))
    assert early.posted == -100


async def test_the_latest_points_of_the_log_agree_with_the_balance_now(world: LedgerWorld) -> None:
    for account in await lived_in(world):
        now = await world.balance(account)
        size = await world.size()
        assert (await world.balance(account, as_of_log_size=size)).posted == now.posted
        late = at(world.clock.now_us() + 1_000_000)
        assert (await world.balance(account, as_of_recorded_time=late)).posted == now.posted
        assert (await world.balance(account, as_of_effective_time=late)).posted == now.posted
