"""The log as a stream: every entry once, whatever breaks."""

from contextlib import aclosing
from datetime import timedelta

import grpc
import pytest

from tests.timebank.client.fakes import PARENT, FakeLedger, Pauses
from timebank.client import LedgerClient
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1.ledger_service_pb2 import WatchEntriesResponse


def entry(index: int) -> WatchEntriesResponse:
    message = WatchEntriesResponse()
    message.entry.name = f"{PARENT}/entries/{index}"
    message.entry.entry.ledger_id = "weihai"
    message.entry.entry.index = index
    return message


def heartbeat(index: int) -> WatchEntriesResponse:
    return WatchEntriesResponse(heartbeat_next_index=index)


async def take(client: LedgerClient, count: int, *, start_index: int = 0) -> list[int]:
    found: list[int] = []
    async with aclosing(client.watch_entries(start_index=start_index)) as entries:
        async for view in entries:
            found.append(view.index)
            if len(found) == count:
                break
    return found


async def test_a_stream_starts_at_the_index_asked_for(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.streams = [[entry(5), heartbeat(6), entry(6)]]
    assert await take(client, 2, start_index=5) == [5, 6]
    assert (fake.requests[0].start_index, fake.requests[0].heartbeat.seconds) == (5, 15)


@pytest.mark.parametrize(
    "failure",
    [grpc.StatusCode.UNAVAILABLE, TimebankError(Reason.SLOW_READER, "too slow")],
    ids=str,
)
async def test_a_broken_stream_goes_on_where_it_broke(
    failure: grpc.StatusCode | TimebankError, fake: FakeLedger, client: LedgerClient, pauses: Pauses
) -> None:
    fake.streams = [[entry(0), entry(1), failure], [entry(2)]]
    assert await take(client, 3) == [0, 1, 2]
    assert [request.start_index for request in fake.requests] == [0, 2]
    assert len(pauses.seconds) == 1


async def test_a_stream_that_the_server_ends_is_opened_again(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.streams = [[entry(0)], [entry(1)]]
    assert await take(client, 2) == [0, 1]


async def test_an_entry_sent_twice_is_yielded_once(fake: FakeLedger, client: LedgerClient) -> None:
    fake.streams = [[entry(0), entry(0), entry(1)]]
    assert await take(client, 2) == [0, 1]


async def test_a_gap_is_an_error(fake: FakeLedger, client: LedgerClient) -> None:
    fake.streams = [[entry(0), entry(2)]]
    with pytest.raises(TimebankError, match="expected entry 1, got 2"):
        await take(client, 2)


async def test_a_refused_stream_is_not_opened_again(fake: FakeLedger, client: LedgerClient) -> None:
    fake.streams = [[TimebankError(Reason.SCOPE_MISSING, "auditors only")]]
    with pytest.raises(TimebankError) as caught:
        await take(client, 1)
    assert caught.value.reason is Reason.SCOPE_MISSING
    assert len(fake.requests) == 1


async def test_failures_in_a_row_end_the_stream_at_last(
    fake: FakeLedger, client: LedgerClient, pauses: Pauses
) -> None:
    fake.streams = [[TimebankError(Reason.SLOW_READER, "too slow")] for _ in range(60)]
    with pytest.raises(TimebankError, match="too slow"):
        await take(client, 1)
    assert len(pauses.seconds) == 59


async def test_a_silent_stream_is_taken_for_dead(
    fake: FakeLedger, client: LedgerClient, pauses: Pauses
) -> None:
    await client.get_ledger()  # connected, so that only the stream is slow
    fake.open_gate.clear()
    fake.streams = [[], [entry(0)]]
    pauses.then = fake.open_gate.set
    async with aclosing(client.watch_entries(heartbeat=timedelta(milliseconds=100))) as entries:
        assert (await anext(entries)).index == 0
    assert (len(fake.requests), len(pauses.seconds)) == (3, 1)
