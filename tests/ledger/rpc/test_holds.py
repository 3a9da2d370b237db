"""Holds over the rpcs: captures in parts, the ends of a hold, and expiry to the microsecond."""

import pathlib
from typing import Any

import pytest

import ledger.service
from ledger.audit.run import audit_database
from tests.ledger.rpc.sweepers import HandSweeper
from tests.support.commands import (
    DAY_S,
    MERCHANT,
    PAYMENT,
    REDEMPTION,
    SERVICE,
    START_US,
    TIME,
    at,
    capture,
    hold,
    later,
    post,
    us,
)
from tests.support.ledgers import LedgerWorld, ledger_world, refusal, refused
from timebank.config import DatabaseConfig
from timebank.errors import Reason
from timebank.ledger.v1 import entry_pb2, hold_pb2

ACTIVE, CAPTURED = hold_pb2.Hold.STATE_ACTIVE, hold_pb2.Hold.STATE_CAPTURED
VOIDED, EXPIRED = hold_pb2.Hold.STATE_VOIDED, hold_pb2.Hold.STATE_EXPIRED
HOLD_EXPIRED = entry_pb2.ENTRY_KIND_HOLD_EXPIRED
TILL_S = 36 * 3_600


async def figures(world: LedgerWorld, name: str) -> tuple[int, int, int, int]:
    """State, captured, released and the rest that lots still reserve, of a hold."""
    read = await world.read_hold(name)
    return read.state, read.captured, read.released, sum(lot.reserved for lot in read.lots)


async def sums(world: LedgerWorld, account: str) -> tuple[int, int, int]:
    """Posted, held and available of an account."""
    read = await world.balance(account)
    return read.posted, read.held, read.available


async def audited(world: LedgerWorld) -> None:
    """The tables are what the log says."""
    report = await audit_database(DatabaseConfig(url=world.database_url))
    assert report.difference is None


async def test_a_hold_is_captured_in_parts_until_a_final_one_releases_the_rest(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    name = await world.hold(hold(alice, 60))
    assert await sums(world, alice) == (100, 60, 40)
    await world.capture(capture(name, shop, 20))
    assert await figures(world, name) == (ACTIVE, 20, 0, 40)
    await world.capture(capture(name, shop, 10))
    assert await sums(world, alice) == (70, 30, 40)
    error = await refusal(world.capture(capture(name, shop, 31)))
    assert error.reason is Reason.AMOUNT_EXCEEDS_HOLD
    assert error.metadata["rest"] == "30"
    await world.capture(capture(name, shop, 5, final=True))
    assert await figures(world, name) == (CAPTURED, 35, 25, 0)
    assert await sums(world, alice) == (65, 0, 65)
    assert await sums(world, shop) == (35, 0, 35)
    assert await refused(world.capture(capture(name, shop, 1))) is Reason.ALREADY_CAPTURED
    await audited(world)


async def test_a_hold_captured_in_full_is_over_and_one_voided_after_a_part_counts_as_captured(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    whole, part, none = [await world.hold(hold(alice, 10)) for _ in range(3)]
    await world.capture(capture(whole, shop, 10))
    await world.capture(capture(part, shop, 4))
    for name in (part, none):
        await world.void(name)
    assert await figures(world, whole) == (CAPTURED, 10, 0, 0)
    assert await figures(world, part) == (CAPTURED, 4, 6, 0)
    assert await figures(world, none) == (VOIDED, 0, 10, 0)
    assert await sums(world, alice) == (86, 0, 86)
    assert await refused(world.void(part)) is Reason.ALREADY_CAPTURED
    assert await refused(world.capture(capture(none, shop, 1))) is Reason.HOLD_RELEASED
    await audited(world)


async def test_a_hold_expires_at_its_microsecond_and_not_before(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    expires_us = START_US + 60_000_123
    early, late = [
        await world.hold(hold(alice, 10, expire_time=at(expires_us + after))) for after in (0, 1)
    ]
    world.clock.advance(us=60_000_122)
    await world.capture(capture(early, shop, 1))
    assert not (await world.read_hold(early)).expired_pending
    world.clock.advance(us=1)
    read, balance = await world.read_hold(early), await world.balance(alice)
    assert (read.state, read.expired_pending, balance.expired_pending) == (ACTIVE, True, True)
    assert not (await world.read_hold(late)).expired_pending
    size = await world.size()
    assert await refused(world.capture(capture(early, shop, 1))) is Reason.ALREADY_CAPTURED
    expiry = await world.entry(size)
    assert (expiry.kind, expiry.effective_time_us) == (HOLD_EXPIRED, expires_us)
    assert expiry.recorded_time_us == expires_us
    assert expiry.caller == "ledger/expiry"
    assert not expiry.request_id
    await audited(world)


async def test_an_expiry_is_entered_first_and_stands_when_what_touched_it_is_declined(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    name = await world.hold(hold(alice, 60, seconds=60))
    world.clock.advance(seconds=61)
    size = await world.size()
    greedy = post(REDEMPTION, alice, shop, 101)
    assert await refused(world.post(greedy)) is Reason.INSUFFICIENT_BALANCE
    assert await world.size() == size + 1
    assert (await world.entry(size)).kind == HOLD_EXPIRED
    assert await figures(world, name) == (EXPIRED, 0, 60, 0)
    assert await refused(world.void(name)) is Reason.HOLD_EXPIRED
    other = await world.hold(hold(alice, 60, seconds=120))
    world.clock.advance(seconds=60)
    await world.post(post(REDEMPTION, alice, shop, 100))
    assert (await world.read_hold(other)).state == EXPIRED
    await audited(world)


async def test_reads_show_what_is_due_without_writing_and_the_sweeper_enters_it(
    tmp_path: pathlib.Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.service, "Sweeper", HandSweeper)
    async with ledger_world(tmp_path, database_url) as world:
        alice, bob = await world.open(balance=10), await world.open(balance=10)
        await world.hold(hold(alice, 5, seconds=60))
        kept = await world.hold(hold(bob, 5, seconds=61))
        world.clock.advance(seconds=60)
        size = await world.size()
        assert (await world.balance(alice)).expired_pending
        assert await sums(world, alice) == (10, 5, 5)
        assert await world.size() == size
        assert await HandSweeper.latest.sweep() == 1
        assert await world.size() == size + 1
        assert await sums(world, alice) == (10, 0, 10)
        assert not (await world.balance(alice)).expired_pending
        assert (await world.read_hold(kept)).state == ACTIVE
        assert await HandSweeper.latest.sweep() == 0
        await audited(world)


async def test_a_hold_lives_as_long_as_its_kind_allows_and_no_microsecond_longer(
    world: LedgerWorld,
) -> None:
    alice = await world.open("alice", balance=100)
    time = await world.open("alice", TIME, balance=100)
    await world.hold(hold(alice, 1, seconds=TILL_S))
    longest = later(seconds=TILL_S)
    beyond = at(us(longest) + 1_000)
    assert await refused(world.hold(hold(alice, 1, expire_time=beyond))) is Reason.LIMIT_EXCEEDED
    service: dict[str, Any] = {"kind": SERVICE, "service_time": later(days=30)}
    await world.hold(hold(time, 1, TIME, seconds=37 * DAY_S, **service))
    beyond = at(us(later(days=37)) + 1)
    made = hold(time, 1, TIME, expire_time=beyond, **service)
    assert await refused(world.hold(made)) is Reason.LIMIT_EXCEEDED


async def test_time_held_for_a_service_pays_the_volunteer(world: LedgerWorld) -> None:
    payer = await world.open(unit=TIME, balance=120)
    volunteer = await world.open(unit=TIME)
    service: dict[str, Any] = {"kind": SERVICE, "service_time": later(days=1)}
    name = await world.hold(hold(payer, 90, TIME, seconds=8 * DAY_S, **service))
    await world.capture(capture(name, volunteer, 60, kind=PAYMENT, final=True))
    assert await sums(world, payer) == (60, 0, 60)
    assert await sums(world, volunteer) == (60, 0, 60)
    await audited(world)


async def test_freezing_refuses_holds_and_debits_but_lets_a_hold_be_paid_and_credits_through(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    name = await world.hold(hold(alice, 10))
    paid = (await world.post(post(REDEMPTION, alice, shop, 30))).result.entry
    await world.freeze(alice)
    assert await refused(world.hold(hold(alice, 1))) is Reason.ACCOUNT_FROZEN
    assert await refused(world.post(post(REDEMPTION, alice, shop, 1))) is Reason.ACCOUNT_FROZEN
    await world.capture(capture(name, shop, 10))
    await world.grant(alice, 5)
    await world.refund(paid, 30)
    assert await sums(world, alice) == (95, 0, 95)
    await world.unfreeze(alice)
    await world.hold(hold(alice, 95))
    assert await refused(world.close(alice)) is Reason.ACCOUNT_NOT_EMPTY
    await audited(world)
