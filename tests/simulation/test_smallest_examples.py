"""The smallest examples of what the simulation found, so that each stays mended by its name."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.audit.run import audit_database
from tests.support.commands import (
    MEMBER,
    MERCHANT,
    POINTS,
    REDEMPTION,
    TIME,
    TRANSFER,
    hold,
    later,
    new_id,
    opening,
    post,
)
from tests.support.ledgers import LedgerWorld, refused
from timebank.config import DatabaseConfig
from timebank.errors import Reason, from_status
from timebank.ledger.v1 import command_pb2, ledger_service_pb2
from timebank.paging import page_token

LARGE = 2**63 - 1
DAY_S = 86_400
END_OF_9999_S = 253_402_300_799


async def agrees(world: LedgerWorld) -> bool:
    report = await audit_database(DatabaseConfig(url=world.database_url))
    return report.difference is None


async def test_a_failed_chain_forgets_no_refund_of_an_earlier_request_of_its_batch(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    paid = (await world.post(post(REDEMPTION, alice, shop, 10))).result.entry
    refund = command_pb2.RefundCommand(entry=paid, amount=5)
    nothing = command_pb2.VoidHoldCommand(hold=f"{world.name}/holds/nothing")
    await world.batch([[refund], [refund, nothing]])
    await world.refund(paid, 5)
    assert await refused(world.refund(paid, 1)) is Reason.REFUND_EXCEEDS_CAPTURE
    assert await agrees(world)


async def test_a_failed_chain_forgets_no_reversal_of_an_earlier_request_of_its_batch(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    first = (await world.post(post(REDEMPTION, alice, shop, 10))).result.entry
    other = (await world.post(post(REDEMPTION, alice, shop, 20))).result.entry
    reverse = command_pb2.ReverseCommand(entry=first)
    results = await world.batch(
        [[reverse], [command_pb2.RefundCommand(entry=other, amount=1), reverse]]
    )
    assert [result.WhichOneof("outcome") for result in results.results] == ["ok", "error"]
    assert await refused(world.reverse(first)) is Reason.ALREADY_REVERSED
    assert await agrees(world)


async def test_one_natural_key_twice_in_a_chain_fails_the_chain_alone(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    twice = post(REDEMPTION, alice, shop, 1, natural_key="receipt/1")
    alone = post(REDEMPTION, alice, shop, 2)
    results = (await world.batch([[twice, twice], [alone], [twice]])).results
    error = from_status(results[0].error)
    assert (error.reason, error.metadata["failed_reason"]) == (
        Reason.LINKED_ITEM_FAILED,
        Reason.ENTRY_EXISTS,
    )
    assert [result.WhichOneof("outcome") for result in results[1:]] == ["ok", "ok"]
    assert (await world.balance(alice)).posted == 97


async def test_two_accounts_of_one_natural_key_in_a_chain_are_refused(world: LedgerWorld) -> None:
    made = opening("m-1", POINTS, MEMBER, "member/1")
    assert await refused(world.execute(made, made)) is Reason.LINKED_ITEM_FAILED


async def test_a_lot_whose_time_is_over_is_not_spent_by_the_chain_that_frees_it(
    world: LedgerWorld,
) -> None:
    alice = await world.open(balance=100, expires=later(seconds=3_600))
    shop = await world.open(kind=MERCHANT)
    held = await world.hold(hold(alice, 100, seconds=35 * 3_600))
    world.clock.advance(seconds=30 * 3_600)
    void = command_pb2.VoidHoldCommand(hold=held)
    chain = world.execute(void, post(REDEMPTION, alice, shop, 60))
    assert await refused(chain) is Reason.LINKED_ITEM_FAILED
    await world.execute(void)
    assert await refused(world.post(post(REDEMPTION, alice, shop, 1))) is (
        Reason.INSUFFICIENT_BALANCE
    )
    assert await world.lots(alice) == []


async def test_what_an_account_holds_stays_within_64_bits(world: LedgerWorld) -> None:
    alice = await world.open(unit=TIME, min_balance=-LARGE, balance=10)
    await world.hold(hold(alice, LARGE, TIME))
    assert await refused(world.hold(hold(alice, 5, TIME))) is Reason.AMOUNT_OVERFLOW
    assert (await world.account(alice)).held == LARGE


async def test_what_is_available_after_a_reversal_stays_within_64_bits(world: LedgerWorld) -> None:
    alice = await world.open(unit=TIME, min_balance=-LARGE, debt_limit=LARGE)
    bob = await world.open(unit=TIME)
    granted = (await world.grant(alice, 100, TIME)).result.entry
    await world.hold(hold(alice, LARGE, TIME))
    await world.post(post(TRANSFER, alice, bob, 100, TIME))
    assert await refused(world.reverse(granted)) is Reason.AMOUNT_OVERFLOW
    assert (await world.account(alice)).available == -LARGE


async def test_points_may_expire_in_the_last_days_of_the_calendar(world: LedgerWorld) -> None:
    for before_s in (0, DAY_S // 2, DAY_S, 2 * DAY_S, 3 * DAY_S):
        expires = Timestamp(seconds=END_OF_9999_S - before_s)
        alice = await world.open(balance=5, expires=expires)
        [(expires_us, remaining, _)] = await world.lots(alice)
        assert remaining == 5
        assert expires_us == 0 or expires_us >= expires.seconds * 1_000_000


async def test_an_etag_of_foreign_digits_is_refused(world: LedgerWorld) -> None:
    alice = await world.open()
    request = ledger_service_pb2.FreezeAccountRequest(name=alice, request_id=new_id(), etag="²")
    assert await refused(world.stub.FreezeAccount(request)) is Reason.VALIDATION_FAILED


async def test_a_forged_page_token_is_refused(world: LedgerWorld) -> None:
    alice = await world.open(balance=5)
    for position in ("x", "-1", "²", "9" * 40):
        token = page_token(position, "lots", alice)
        lots = ledger_service_pb2.ListLotsRequest(parent=alice, page_token=token)
        assert await refused(world.stub.ListLots(lots)) is Reason.PAGE_TOKEN_MISMATCH
        token = page_token(position, "accounts", world.name, "", 0, 0)
        accounts = ledger_service_pb2.ListAccountsRequest(parent=world.name, page_token=token)
        assert await refused(world.stub.ListAccounts(accounts)) is Reason.PAGE_TOKEN_MISMATCH


async def test_an_endless_heartbeat_is_refused(world: LedgerWorld) -> None:
    request = ledger_service_pb2.WatchEntriesRequest(
        parent=world.name, heartbeat=Duration(seconds=2**62)
    )
    assert await refused(world.stub.WatchEntries(request).read()) is Reason.VALIDATION_FAILED


async def test_watching_from_the_end_of_all_numbers_beats(world: LedgerWorld) -> None:
    request = ledger_service_pb2.WatchEntriesRequest(
        parent=world.name, start_index=LARGE, heartbeat=Duration(seconds=1)
    )
    async for message in world.stub.WatchEntries(request):
        assert message.heartbeat_next_index == LARGE
        break
