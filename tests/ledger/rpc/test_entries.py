"""The log as it is read: lists in pages, the stream, and who sees what."""

import asyncio
from typing import Any

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.ledger.rpc.read_refusals import ELSEWHERE
from tests.support.commands import MERCHANT, OPENING, REDEMPTION, TIME, at, hold, post
from tests.support.ledgers import LedgerWorld, refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import ledger_service_pb2, log_service_pb2

AUDITOR = Principal(PrincipalKind.AUDITOR, "audit-office")


async def listed(world: LedgerWorld, page_size: int = 1_000, **fields: Any) -> list[int]:
    """The indexes of a list, read page by page."""
    found: list[int] = []
    token = ""
    while True:
        request = ledger_service_pb2.ListEntriesRequest(
            parent=world.name, page_size=page_size, page_token=token, **fields
        )
        page = await world.stub.ListEntries(request)
        assert len(page.entries) <= page_size
        found += [one.entry.index for one in page.entries]
        token = page.next_page_token
        if not token:
            return found


async def busy(world: LedgerWorld) -> tuple[str, str]:
    """A member and a shop with thirteen redemptions for three causes, a minute apart."""
    alice, shop = await world.open("alice", balance=500), await world.open("shop", kind=MERCHANT)
    for number in range(13):
        world.clock.advance(seconds=60)
        await world.post(post(REDEMPTION, alice, shop, 1, cause=f"cause-{number % 3}"))
    return alice, shop


async def test_a_list_gives_every_entry_once_in_its_order_whatever_the_page(
    world: LedgerWorld,
) -> None:
    alice, shop = await busy(world)
    size = await world.size()
    entries = [await world.entry(index) for index in range(size)]
    paid = [entry.index for entry in entries if entry.kind == REDEMPTION]
    granted = [entry.index for entry in entries if entry.kind == OPENING]
    second = paid[1::3]
    for page_size in (1, 4, 1_000):
        assert await listed(world, page_size, oldest_first=True) == list(range(size))
        assert await listed(world, page_size) == list(range(size))[::-1]
        assert await listed(world, page_size, account=shop, oldest_first=True) == paid
        assert await listed(world, page_size, account=alice) == [*paid[::-1], *granted]
        assert await listed(world, page_size, cause="cause-1") == second[::-1]
        both = await listed(world, page_size, account=shop, cause="cause-1", oldest_first=True)
        assert both == second
        assert await listed(world, page_size, cause="cause-9") == []


async def test_a_list_takes_in_its_start_and_leaves_out_its_end(world: LedgerWorld) -> None:
    _, shop = await busy(world)
    entries = [await world.entry(index) for index in await listed(world, account=shop)][::-1]
    start, end = entries[3].recorded_time_us, entries[7].recorded_time_us
    wanted = [entry.index for entry in entries[3:7]]
    window = {"start_time": at(start), "end_time": at(end), "oldest_first": True}
    assert await listed(world, 3, account=shop, **window) == wanted
    assert await listed(world, 3, **window) == wanted
    assert await listed(world, start_time=at(end), end_time=at(start)) == []


async def test_a_page_token_belongs_to_its_own_list(world: LedgerWorld) -> None:
    alice, shop = await busy(world)
    request = ledger_service_pb2.ListEntriesRequest(parent=world.name, page_size=2, account=alice)
    token = (await world.stub.ListEntries(request)).next_page_token
    for change in (
        {"account": shop},
        {"account": ""},
        {"cause": "cause-1"},
        {"oldest_first": True},
        {"start_time": at(1_000_000)},
    ):
        values: dict[str, Any] = {"account": alice, **change}
        other = ledger_service_pb2.ListEntriesRequest(
            parent=world.name, page_size=2, page_token=token, **values
        )
        assert await refused(world.stub.ListEntries(other)) is Reason.PAGE_TOKEN_MISMATCH
    accounts = ledger_service_pb2.ListAccountsRequest(parent=world.name, page_token=token)
    assert await refused(world.stub.ListAccounts(accounts)) is Reason.PAGE_TOKEN_MISMATCH


async def test_owners_see_their_own_accounts_entries_and_receipts_alone(
    world: LedgerWorld,
) -> None:
    alice, shop = await busy(world)
    other = await world.open("bob", balance=5)
    paid = (await world.post(post(REDEMPTION, alice, shop, 1))).result.entry
    held = await world.hold(hold(alice, 1))
    strange = (await world.post(post(REDEMPTION, other, shop, 1))).result.entry
    for kind, own, seen in (
        (PrincipalKind.MEMBER, "alice", {paid}),
        (PrincipalKind.MERCHANT, "shop", {paid, strange}),
        (PrincipalKind.MEMBER, "bob", {strange}),
    ):
        caller = Principal(kind, own)
        stub, log = world.calls_as(caller), world.log_of(caller)
        names = await stub.ListAccounts(ledger_service_pb2.ListAccountsRequest(parent=world.name))
        assert {account.holder for account in names.accounts} == {own}
        for entry in (paid, strange):
            read = stub.GetEntry(ledger_service_pb2.GetEntryRequest(name=entry))
            receipt = log.GetReceipt(log_service_pb2.GetReceiptRequest(name=entry))
            if entry in seen:
                assert (await read).name == entry
                assert (await receipt).proof
            else:
                assert await refused(read) is Reason.ENTRY_NOT_FOUND
                assert await refused(receipt) is Reason.ENTRY_NOT_FOUND
        hold_read = stub.GetHold(ledger_service_pb2.GetHoldRequest(name=held))
        if own == "alice":
            assert (await hold_read).name == held
        else:
            assert await refused(hold_read) is Reason.HOLD_NOT_FOUND
    of_others = ledger_service_pb2.ListAccountsRequest(parent=world.name, holder="bob")
    member = world.calls_of(PrincipalKind.MEMBER, "alice")
    assert not (await member.ListAccounts(of_others)).accounts


async def test_a_caller_of_another_ledger_learns_nothing_of_this_one(world: LedgerWorld) -> None:
    stub = world.calls_as(ELSEWHERE)
    assert not (await stub.ListLedgers(ledger_service_pb2.ListLedgersRequest())).ledgers
    listing = ledger_service_pb2.ListEntriesRequest(parent=world.name)
    assert await refused(stub.ListEntries(listing)) is Reason.LEDGER_NOT_FOUND
    movement = world.post_request(post(REDEMPTION, f"{world.name}/accounts/a", "", 1))
    movement.post.postings[1].account = f"{world.name}/accounts/b"
    assert await refused(stub.PostEntry(movement)) is Reason.LEDGER_NOT_FOUND


async def events(stream: Any, count: int) -> list[Any]:
    """The next messages of a stream."""
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


async def test_a_watcher_gets_every_entry_once_and_can_resume_anywhere(world: LedgerWorld) -> None:
    alice, shop = await busy(world)
    size = await world.size()
    watching = aiter(
        world.stub.WatchEntries(
            ledger_service_pb2.WatchEntriesRequest(parent=world.name, start_index=3)
        )
    )
    seen = [event.entry.entry.index for event in await events(watching, size - 3)]
    for number in range(1, 6):
        await world.batch([[post(REDEMPTION, alice, shop, 1)]] * number)
        seen += [event.entry.entry.index for event in await events(watching, number)]
    assert seen == list(range(3, size + 15))
    last = ledger_service_pb2.WatchEntriesRequest(parent=world.name, start_index=size + 14)
    [event] = await events(aiter(world.calls_as(AUDITOR).WatchEntries(last)), 1)
    read = await world.stub.GetEntry(ledger_service_pb2.GetEntryRequest(name=event.entry.name))
    assert (event.entry.leaf, event.entry.entry) == (read.leaf, read.entry)


async def test_a_quiet_log_sends_a_sign_of_life_with_the_next_index(world: LedgerWorld) -> None:
    size = await world.size()
    request = ledger_service_pb2.WatchEntriesRequest(
        parent=world.name, start_index=size, heartbeat=Duration(seconds=1)
    )
    watching = aiter(world.stub.WatchEntries(request))
    [event] = await events(watching, 1)
    assert event.heartbeat_next_index == size
    await world.open(unit=TIME)
    [event] = await events(watching, 1)
    assert event.entry.entry.index == size


async def test_watching_needs_a_permission(world: LedgerWorld) -> None:
    request = ledger_service_pb2.WatchEntriesRequest(parent=world.name)
    for kind in PrincipalKind:
        stream = aiter(world.calls_of(kind, "x").WatchEntries(request))
        if kind in (PrincipalKind.AUDITOR, PrincipalKind.SERVICE, PrincipalKind.OPERATOR):
            assert (await events(stream, 1))[0].entry.entry.index == 0
        else:
            with pytest.raises(grpc.aio.AioRpcError) as denied:
                await events(stream, 1)
            assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
