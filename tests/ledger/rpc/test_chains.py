"""Chains and batches: all or nothing, the culprit named, and each item by itself."""

from typing import Any

from google.rpc import status_pb2

from tests.ledger.rpc.test_holds import audited
from tests.support.commands import (
    ISSUANCE,
    MERCHANT,
    OPENING,
    POINTS,
    REDEMPTION,
    capture,
    command,
    hold,
    new_id,
    opening,
    post,
)
from tests.support.ledgers import LedgerWorld, refusal, refused
from timebank.errors import Reason, from_status
from timebank.ledger.v1 import command_pb2, ledger_service_pb2

VOID_LAST = command_pb2.VoidHoldCommand(hold="ledgers/weihai/holds/-")
LAST = VOID_LAST.hold


def reason_of(status: status_pb2.Status) -> Reason:
    return from_status(status).reason


def said(status: status_pb2.Status) -> tuple[Reason, str, dict[str, str]]:
    """What a refusal says, in whatever order its bytes have it."""
    error = from_status(status)
    return error.reason, error.message, error.metadata


def reverse(entry: str) -> command_pb2.ReverseCommand:
    return command_pb2.ReverseCommand(entry=entry)


def refund(entry: str, amount: int) -> command_pb2.RefundCommand:
    return command_pb2.RefundCommand(entry=entry, amount=amount)


async def standing(world: LedgerWorld, *holds: str) -> tuple[Any, ...]:
    """The size of the log, every account, the lots of members, and holds."""
    request = ledger_service_pb2.ListAccountsRequest(parent=world.name)
    accounts = list((await world.stub.ListAccounts(request)).accounts)
    lots = [await world.lots(account.name) for account in accounts if account.kind == 1]
    read = [await world.read_hold(name) for name in holds]
    return await world.size(), accounts, lots, read


async def test_a_chain_of_every_command_is_carried_out_as_one(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    first = (await world.post(post(REDEMPTION, alice, shop, 10))).result.entry
    second = (await world.post(post(REDEMPTION, alice, shop, 10))).result.entry
    answer = await world.execute(
        hold(alice, 30),
        capture(LAST, shop, 20),
        VOID_LAST,
        hold(alice, 5),
        capture(LAST, shop, 5),
        reverse(first),
        refund(second, 4),
        opening("bob"),
        post(REDEMPTION, alice, shop, 1),
    )
    results = answer.chain.results
    assert [result.index for result in results] == list(
        range(results[0].index, results[0].index + 9)
    )
    assert len({result.hold for result in results[:3]}) == 1
    assert len({result.hold for result in results[3:5]}) == 1
    assert results[0].hold != results[3].hold
    assert (await world.account(results[7].account)).holder == "bob"
    entries = [await world.entry(result.index) for result in results]
    assert [entry.chain_position for entry in entries] == list(range(9))
    assert len({entry.request_id for entry in entries}) == 1
    assert (await world.balance(alice)).posted == 100 - 20 - 25 + 14 - 1
    assert (await world.balance(alice)).held == 0
    await audited(world)


async def test_a_failed_chain_names_the_culprit_and_leaves_everything_as_it_was(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    entry = (await world.post(post(REDEMPTION, alice, shop, 10))).result.entry
    held = await world.hold(hold(alice, 20))
    works = (
        post(REDEMPTION, alice, shop, 5),
        capture(held, shop, 3),
        hold(alice, 7),
        capture(LAST, shop, 2),
        refund(entry, 1),
        opening("carol"),
        command_pb2.VoidHoldCommand(hold=held),
    )
    culprits: tuple[tuple[Any, Reason], ...] = (
        (post(REDEMPTION, alice, shop, 1_000), Reason.INSUFFICIENT_BALANCE),
        (capture(held, shop, 1), Reason.ALREADY_CAPTURED),
        (reverse(entry), Reason.ALREADY_REVERSED),
        (refund(entry, 10), Reason.REFUND_EXCEEDS_CAPTURE),
    )
    before = await standing(world, held)
    for culprit, reason in culprits:
        error = await refusal(world.execute(*works, culprit))
        assert error.reason is Reason.LINKED_ITEM_FAILED
        assert error.metadata["failed_reason"] == reason
        assert error.metadata["position"] == str(len(works))
        assert await standing(world, held) == before
    await world.execute(*works)
    await audited(world)


async def test_a_dash_means_the_hold_of_this_chain_alone(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    await world.hold(hold(alice, 20))
    error = await refusal(
        world.execute(post(REDEMPTION, alice, shop, 1), capture(LAST, shop, 1), hold(alice, 1))
    )
    assert error.metadata["failed_reason"] == Reason.HOLD_NOT_FOUND
    assert await refused(world.execute(VOID_LAST)) is Reason.HOLD_NOT_FOUND


async def test_an_expiry_that_a_failed_chain_met_stands(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=10), await world.open(kind=MERCHANT)
    await world.hold(hold(alice, 5, seconds=60))
    world.clock.advance(seconds=60)
    size = await world.size()
    error = await refusal(
        world.execute(post(REDEMPTION, alice, shop, 10), post(REDEMPTION, alice, shop, 1))
    )
    assert error.metadata["position"] == "1"
    assert await world.size() == size + 1
    assert (await world.balance(alice)).available == 10
    await audited(world)


async def test_each_item_of_a_batch_succeeds_or_fails_by_itself(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=10), await world.open(kind=MERCHANT)
    spend = post(REDEMPTION, alice, shop, 6)
    unbalanced = command_pb2.PostCommand(kind=REDEMPTION, postings=[*spend.postings[:1]] * 2)
    chains: list[list[Any]] = [
        [spend],
        [spend],
        [unbalanced],
        [],
        [post(REDEMPTION, alice, shop, 1)] * 65,
        [post(REDEMPTION, alice, shop, 2), post(REDEMPTION, alice, shop, 2)],
        [opening("bob"), post(REDEMPTION, alice, shop, 1)],
    ]
    results = (await world.batch(chains)).results
    assert [item.WhichOneof("outcome") for item in results] == [
        *("ok", "error", "error", "error", "error", "ok", "error")
    ]
    reasons = [reason_of(item.error) for item in results if item.HasField("error")]
    assert reasons == [
        Reason.INSUFFICIENT_BALANCE,
        Reason.VALIDATION_FAILED,
        Reason.VALIDATION_FAILED,
        Reason.BATCH_TOO_LARGE,
        Reason.LINKED_ITEM_FAILED,
    ]
    assert (await world.balance(alice)).posted == 0
    await audited(world)


async def test_duplicates_inside_one_batch_are_written_once(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    spend = post(REDEMPTION, alice, shop, 6)
    keyed = post(REDEMPTION, alice, shop, 7, natural_key="order-7")
    other = post(REDEMPTION, alice, shop, 8, natural_key="order-7")
    same, refused_id = new_id(), new_id()
    rows: list[tuple[str, Any]] = [
        *((same, spend), (same, spend), (same, keyed)),
        *((new_id(), keyed), (new_id(), keyed), (new_id(), other)),
        *((refused_id, post(REDEMPTION, alice, shop, 999)),) * 2,
    ]
    items = [command_pb2.BatchItem(request_id=id_, commands=[command(c)]) for id_, c in rows]
    size = await world.size()
    request = ledger_service_pb2.BatchExecuteRequest(parent=world.name, items=items)
    results = (await world.stub.BatchExecute(request)).results
    assert [item.ok.replayed for item in results] == [
        *(False, True, False, False, True, False, False, False)
    ]
    assert results[0].ok.results == results[1].ok.results
    assert results[3].ok.results == results[4].ok.results
    assert reason_of(results[2].error) is Reason.REQUEST_ID_REUSED
    assert reason_of(results[5].error) is Reason.ENTRY_EXISTS
    assert {reason_of(item.error) for item in results[6:]} == {Reason.INSUFFICIENT_BALANCE}
    assert await world.size() == size + 2
    again = (await world.stub.BatchExecute(request)).results
    assert [item.ok.results for item in again] == [item.ok.results for item in results]
    assert [said(item.error) for item in again] == [said(item.error) for item in results]
    assert await world.size() == size + 2
    await audited(world)


async def test_a_batch_has_at_most_32_000_postings_in_all(world: LedgerWorld) -> None:
    source = world.system[ISSUANCE, POINTS]
    legs = post(OPENING, source, f"{world.name}/accounts/a1", 63).postings
    legs[1].amount = 1
    for number in range(2, 64):
        legs.add(account=f"{world.name}/accounts/a{number}", unit=POINTS, amount=1)
    wide = command_pb2.PostCommand(kind=OPENING, postings=legs)
    size = await world.size()
    assert await refused(world.batch([[wide]] * 501)) is Reason.VALIDATION_FAILED
    results = (await world.batch([[wide]] * 500)).results
    assert {reason_of(item.error) for item in results} == {Reason.ACCOUNT_NOT_FOUND}
    assert await world.size() == size
