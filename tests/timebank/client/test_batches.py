"""Concurrent callers share calls, and nothing else."""

import asyncio
import uuid

import grpc
import pytest

from tests.timebank.client.fakes import LEDGER, FakeLedger, Pauses, patient
from timebank.client import (
    EntryKind,
    LedgerClient,
    Leg,
    OpenAccount,
    Post,
    PostResult,
    Unit,
    move,
)
from timebank.errors import Reason, TimebankError

IDS = [str(uuid.UUID(int=number)) for number in range(1, 3_001)]
DECLINE = TimebankError(Reason.INSUFFICIENT_BALANCE, "not enough", account="a")


def start(client: LedgerClient, request_id: str) -> asyncio.Task[PostResult]:
    postings = move(debit="a", credit="b", unit=Unit.POINTS, amount=1)
    return asyncio.create_task(
        client.post(kind=EntryKind.REDEMPTION, postings=postings, request_id=request_id)
    )


async def fill_the_line(fake: FakeLedger, client: LedgerClient, calls: int) -> None:
    """Brings `calls` calls under way, whose items wait behind the fake's gate."""
    fake.open_gate.clear()
    for number in range(calls):
        start(client, IDS[-1 - number])
        await fake.arrived.acquire()


async def test_a_lone_post_is_sent_at_once(fake: FakeLedger, client: LedgerClient) -> None:
    result = await start(client, IDS[0])
    assert result.entry == f"ledgers/{LEDGER}/entries/0"
    assert (result.checkpoint, result.receipt, result.replayed) == ("note", None, False)
    assert [len(request.items) for request in fake.requests] == [1]


async def test_posts_of_one_moment_travel_in_one_call(
    fake: FakeLedger, client: LedgerClient
) -> None:
    results = await asyncio.gather(*(start(client, id_) for id_ in IDS[:16]))
    assert [result.index for result in results] == list(range(16))
    assert [len(request.items) for request in fake.requests] == [16]


async def test_many_posts_of_one_moment_are_shared_out_over_the_free_calls(
    fake: FakeLedger, client: LedgerClient
) -> None:
    results = await asyncio.gather(*(start(client, id_) for id_ in IDS[:64]))
    assert sorted(result.index for result in results) == list(range(64))
    assert [len(request.items) for request in fake.requests] == [32, 32]


async def test_what_queues_while_calls_are_under_way_goes_together_next(
    fake: FakeLedger, client: LedgerClient
) -> None:
    await fill_the_line(fake, client, calls=2)
    first, second = start(client, IDS[0]), start(client, IDS[1])
    await asyncio.sleep(0)
    third = start(client, IDS[2])
    await asyncio.sleep(0)
    fake.open_gate.set()
    await asyncio.gather(first, second, third)
    assert [len(request.items) for request in fake.requests] == [1, 1, 3]
    assert fake.under_way_max == 2


async def test_a_call_carries_at_most_a_thousand_items(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.open_gate.clear()
    posts = [start(client, id_) for id_ in IDS[:2_500]]
    for _ in range(2):
        await fake.arrived.acquire()
    fake.open_gate.set()
    results = await asyncio.gather(*posts)
    assert len({result.index for result in results}) == 2_500
    assert sorted(len(request.items) for request in fake.requests) == [500, 1_000, 1_000]
    assert fake.under_way_max == 2


async def test_a_call_carries_at_most_32000_postings(
    fake: FakeLedger, client: LedgerClient
) -> None:
    legs = [Leg(account=f"a{at}", unit=Unit.TIME, amount=at) for at in range(64)]
    chain = [Post(kind=EntryKind.TRANSFER, postings=legs)] * 64  # 4,096 postings
    await asyncio.gather(*(client.execute(chain) for _ in range(10)))
    assert sorted(len(request.items) for request in fake.requests) == [3, 7]


async def test_each_caller_gets_its_own_refusal(fake: FakeLedger, client: LedgerClient) -> None:
    fake.declines[IDS[1]] = DECLINE
    good, bad, other = await asyncio.gather(
        *(start(client, id_) for id_ in IDS[:3]), return_exceptions=True
    )
    assert isinstance(good, PostResult)
    assert isinstance(other, PostResult)
    assert isinstance(bad, TimebankError)
    assert bad.reason is Reason.INSUFFICIENT_BALANCE
    assert bad.metadata == {"account": "a", "request_id": IDS[1]}
    assert len(fake.requests) == 1


async def test_a_caller_that_gives_up_early_is_not_sent(
    fake: FakeLedger, client: LedgerClient
) -> None:
    await fill_the_line(fake, client, calls=2)
    leaving, staying = start(client, IDS[0]), start(client, IDS[1])
    await asyncio.sleep(0)
    leaving.cancel()
    fake.open_gate.set()
    await staying
    sent = [item.request_id for request in fake.requests for item in request.items]
    assert IDS[1] in sent
    assert IDS[0] not in sent


async def test_a_caller_that_gives_up_under_way_takes_nothing_from_the_others(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.open_gate.clear()
    leaving, staying = start(client, IDS[0]), start(client, IDS[1])
    await fake.arrived.acquire()
    leaving.cancel()
    await asyncio.wait([leaving])
    fake.open_gate.set()
    assert (await staying).index == 1
    assert leaving.cancelled()


async def test_a_malformed_item_does_not_refuse_its_neighbours(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.poison.add(IDS[5])
    outcomes = await asyncio.gather(
        *(start(client, id_) for id_ in IDS[:16]), return_exceptions=True
    )
    refused = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, TimebankError)]
    assert refused == [5]
    assert len(fake.answered) == 15
    assert len(fake.requests) == 9  # 16, and two halves at each of 4 levels


async def test_a_call_that_fails_fails_each_caller_with_an_error_of_its_own(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.failures = [TimebankError(Reason.QUEUE_FULL, "too many writes wait")]
    outcomes = await asyncio.gather(
        *(start(client, id_) for id_ in IDS[:3]), return_exceptions=True
    )
    assert [getattr(outcome, "reason", None) for outcome in outcomes] == [Reason.QUEUE_FULL] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    told = [getattr(outcome, "metadata", {}).get("request_id") for outcome in outcomes]
    assert told == IDS[:3], "who does not know the outcome asks again with the same id"


async def test_the_line_is_free_again_after_a_failure(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.failures = [grpc.StatusCode.PERMISSION_DENIED] * 2
    for id_ in IDS[:2]:
        with pytest.raises(TimebankError):
            await start(client, id_)
    assert (await start(client, IDS[2])).index == 0


async def test_a_repeated_call_keeps_the_request_ids(
    fake: FakeLedger, client: LedgerClient, pauses: Pauses
) -> None:
    fake.failures = [grpc.StatusCode.ABORTED, grpc.StatusCode.UNKNOWN]
    await asyncio.gather(*(start(client, id_) for id_ in IDS[:3]))
    sent = [[item.request_id for item in request.items] for request in fake.requests]
    assert sent == [IDS[:3]] * 3
    assert len(pauses.seconds) == 2


async def test_a_request_sent_twice_is_written_once(fake: FakeLedger, client: LedgerClient) -> None:
    first = await start(client, IDS[0])
    second = await start(client, IDS[0])
    assert (first.index, first.replayed) == (second.index, False)
    assert second.replayed


async def test_leaving_the_block_waits_for_what_was_asked(
    fake: FakeLedger, address: str, pauses: Pauses
) -> None:
    fake.open_gate.clear()
    async with LedgerClient.connect(address, ledger=LEDGER, repetition=patient(pauses)) as client:
        post = start(client, IDS[0])
        await fake.arrived.acquire()
        fake.open_gate.set()
    assert (await post).index == 0


async def test_an_exception_leaving_the_block_gives_up_what_was_asked(
    fake: FakeLedger, address: str
) -> None:
    fake.open_gate.clear()
    posts: list[asyncio.Task[PostResult]] = []

    async def leave() -> None:
        async with LedgerClient.connect(address, ledger=LEDGER) as client:
            posts.append(start(client, IDS[0]))
            await fake.arrived.acquire()
            raise LookupError

    with pytest.raises(LookupError):
        await leave()
    await asyncio.wait(posts)
    assert posts[0].cancelled()
    fake.open_gate.set()


async def test_accounts_are_opened_in_batches_too(fake: FakeLedger, client: LedgerClient) -> None:
    opening = OpenAccount(holder="zhang", unit=Unit.POINTS)
    await asyncio.gather(*(client.execute([opening]) for _ in range(3)))
    assert [len(request.items) for request in fake.requests] == [3]
    command = fake.requests[0].items[0].commands[0]
    assert command.open_account.account.holder == "zhang"
    assert not command.open_account.account.HasField("min_balance")
