"""Each request is carried out once: by its id, whatever the method, and by its natural key."""

from typing import Any

from tests.ledger.rpc.test_holds import audited
from tests.support.commands import (
    MERCHANT,
    REDEMPTION,
    START_US,
    at,
    capture,
    command,
    hold,
    later,
    new_id,
    opening,
    post,
)
from tests.support.ledgers import SERVICE_CALLER, LedgerWorld, refusal, refused
from timebank.errors import Reason, from_status
from timebank.ledger.v1 import command_pb2, ledger_service_pb2


async def by_execute(world: LedgerWorld, message: Any, request_id: str) -> Any:
    return (await world.execute(message, request_id=request_id)).chain


async def by_batch(world: LedgerWorld, message: Any, request_id: str) -> Any:
    item = command_pb2.BatchItem(request_id=request_id, commands=[command(message)])
    request = ledger_service_pb2.BatchExecuteRequest(parent=world.name, items=[item])
    [result] = (await world.stub.BatchExecute(request)).results
    return result.ok if result.HasField("ok") else from_status(result.error).reason


async def test_one_request_id_gets_one_answer_whatever_the_method(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    spend, request_id = post(REDEMPTION, alice, shop, 10, memo="茶"), new_id()
    first = await world.post(spend, request_id)
    size = await world.size()
    again = await world.post(spend, request_id)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.result == first.result
    for chain in (
        await by_execute(world, spend, request_id),
        await by_batch(world, spend, request_id),
    ):
        assert chain.replayed
        assert list(chain.results) == [first.result]
    assert await refused(world.execute(spend, spend, request_id=request_id)) is (
        Reason.REQUEST_ID_REUSED
    )
    assert await world.size() == size
    # Another caller's ids are its own.
    service = world.calls_as(SERVICE_CALLER)
    assert not (await service.PostEntry(world.post_request(spend, request_id))).replayed
    assert await world.size() == size + 1


async def test_a_request_id_with_any_other_content_is_refused(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    values: dict[str, Any] = {"cause": "order", "memo": "茶", "effective_time": at(START_US)}
    request_id = new_id()
    await world.post(post(REDEMPTION, alice, shop, 10, **values), request_id)
    size = await world.size()
    others: tuple[dict[str, Any], ...] = (
        {"cause": "orders"},
        {"natural_key": "1"},
        {"policy_version": "1"},
        {"effective_time": at(START_US - 1)},
        {"memo": "酒"},
        {"memo": ""},
    )
    changed = [post(REDEMPTION, alice, shop, 10, **(values | other)) for other in others]
    for movement in (post(REDEMPTION, alice, shop, 11, **values), *changed):
        assert await refused(world.post(movement, request_id)) is Reason.REQUEST_ID_REUSED
        assert await by_batch(world, movement, request_id) is Reason.REQUEST_ID_REUSED
    assert await world.size() == size


async def test_a_stored_decline_is_final_but_a_broken_rule_is_never_stored(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(), await world.open(kind=MERCHANT)
    spend, request_id = post(REDEMPTION, alice, shop, 10), new_id()
    error = await refusal(world.post(spend, request_id))
    await world.grant(alice, 100)
    again = await refusal(world.post(spend, request_id))
    assert (again.reason, again.message) == (Reason.INSUFFICIENT_BALANCE, error.message)
    assert again.metadata == error.metadata
    assert await by_batch(world, spend, request_id) is Reason.INSUFFICIENT_BALANCE
    smaller = post(REDEMPTION, alice, shop, 9)
    assert await refused(world.post(smaller, request_id)) is Reason.REQUEST_ID_REUSED
    await world.post(spend)
    # Neither what the wire nor what the ledger's time makes invalid uses up the id.
    fixed = new_id()
    assert await refused(world.post(post(REDEMPTION, alice, shop, 0), fixed)) is (
        Reason.VALIDATION_FAILED
    )
    future = post(REDEMPTION, alice, shop, 1, effective_time=later(seconds=30))
    assert await refused(world.post(future, fixed)) is Reason.VALIDATION_FAILED
    world.clock.advance(seconds=30)
    assert not (await world.post(future, fixed)).replayed
    await audited(world)


async def test_a_declined_chain_stays_declined(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=5), await world.open(kind=MERCHANT)
    chain, request_id = [post(REDEMPTION, alice, shop, 4)] * 2, new_id()
    first = await refusal(world.execute(*chain, request_id=request_id))
    await world.grant(alice, 100)
    again = await refusal(world.execute(*chain, request_id=request_id))
    assert (again.reason, again.metadata) == (Reason.LINKED_ITEM_FAILED, first.metadata)
    assert (await world.balance(alice)).posted == 105


async def test_a_natural_key_gives_the_entry_that_has_it_when_the_content_agrees(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    spend = post(REDEMPTION, alice, shop, 10, natural_key="order-1", memo="茶")
    first = await world.post(spend)
    again = await world.post(spend)
    assert again.replayed
    assert again.result == first.result
    chain = await by_batch(world, spend, new_id())
    assert (chain.replayed, list(chain.results)) == (True, [first.result])
    other = post(REDEMPTION, alice, shop, 11, natural_key="order-1", memo="茶")
    error = await refusal(world.post(other))
    assert (error.reason, error.metadata["entry"]) == (
        Reason.ENTRY_EXISTS,
        str(first.result.index),
    )
    assert (await world.balance(alice)).posted == 90
    await audited(world)


async def test_another_memo_under_the_same_natural_key_is_other_content(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    await world.post(post(REDEMPTION, alice, shop, 10, natural_key="order-1", memo="茶"))
    other = post(REDEMPTION, alice, shop, 10, natural_key="order-1", memo="酒")
    assert await refused(world.post(other)) is Reason.ENTRY_EXISTS


async def test_natural_keys_are_apart_by_kind_and_hold_for_every_command(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    spend = await world.post(post(REDEMPTION, alice, shop, 10, natural_key="k"))
    made = hold(alice, 10, natural_key="k")
    held = await world.hold(made)
    assert await world.hold(made) == held
    assert await refused(world.hold(hold(alice, 11, natural_key="k"))) is Reason.ENTRY_EXISTS
    refunded = await world.refund(spend.result.entry, 3, natural_key="k")
    assert (await world.refund(spend.result.entry, 3, natural_key="k")).result == refunded.result
    assert await refused(world.refund(spend.result.entry, 4, natural_key="k")) is (
        Reason.ENTRY_EXISTS
    )
    taken = capture(held, shop, 5, natural_key="k")
    assert await refused(world.capture(taken)) is Reason.ENTRY_EXISTS
    taken.natural_key = "c"
    paid = await world.capture(taken)
    assert (await world.capture(taken)).result == paid.result
    requests = [
        ledger_service_pb2.CreateAccountRequest(
            parent=world.name, request_id=new_id(), open_account=opening(name, natural_key="k")
        )
        for name in ("bob", "bob", "carol")
    ]
    first = await world.stub.CreateAccount(requests[0])
    assert (await world.stub.CreateAccount(requests[1])).name == first.name
    assert await refused(world.stub.CreateAccount(requests[2])) is Reason.ACCOUNT_EXISTS
    await audited(world)
