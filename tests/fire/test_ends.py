"""Callers that go away, servers that are told to stop, and SQLite files that refuse writes."""

import asyncio
import pathlib
import random
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from uuid import UUID

import grpc.aio
import pytest

from tests.support.crowds import LEDGER, Bank, Crowd, calls
from tests.support.forked_servers import Serve
from tests.support.ledgers import refused
from tests.support.processes import ServerProcess
from timebank.errors import Reason
from timebank.ledger.v1.ledger_service_pb2 import ListEntriesRequest, PostEntryRequest

CALLERS = 32
CANCELLED = 200
DRAIN_S = 10
READS = 3
READING_STARTS_S = 0.3
Hurt = Callable[[ServerProcess, pathlib.Path], AbstractContextManager[None]]


async def test_callers_who_cancel_at_any_moment_leave_whole_entries_that_replay(
    bank: Bank, serve: Serve, database_url: str
) -> None:
    server = serve(database_url)
    await server.serving()
    gone: list[PostEntryRequest] = []
    async with server.channel() as channel:
        await bank.create(channel)
        stub = calls(channel)

        async def leave(moment_s: float) -> None:
            request = bank.payment()
            task = asyncio.create_task(bank.call(stub, request))
            await asyncio.wait([task], timeout=moment_s)
            if task.cancel():
                gone.append(request)
            with suppress(asyncio.CancelledError):
                await task

        room = asyncio.Semaphore(CALLERS)

        async def enter() -> None:
            async with room:
                await leave(random.uniform(0, 0.06))

        await asyncio.gather(*(enter() for _ in range(CANCELLED)))
        assert gone, "nobody was cancelled"
        stood = {request.request_id for request in gone} & await logged(channel)
        answers = [(request, await bank.insist(stub, request)) for request in gone]
        assert all(answer.replayed for one, answer in answers if one.request_id in stood)
        assert stood, "every cancelled call came before its commit"
    await bank.audited(database_url, server.grpc_address)


async def test_a_server_told_to_stop_under_load_answers_what_it_took_and_ends_well(
    bank: Bank, serve: Serve, database_url: str
) -> None:
    server = serve(database_url, server={"drain_seconds": DRAIN_S})
    await server.serving()
    async with server.channel() as channel:
        await bank.create(channel)
        async with Crowd(bank, [channel], callers=CALLERS) as crowd:
            await crowd.answered(3 * CALLERS)
            assert await asyncio.to_thread(server.terminate) == 0
            server.start()
            await crowd.answered(3 * CALLERS)
    assert set(bank.codes) <= {"UNAVAILABLE", "CANCELLED"}
    assert set(bank.reasons) <= {Reason.SHUTTING_DOWN}
    assert not bank.replayed, "a call was carried out and not answered"
    assert bank.asked.keys() == bank.acknowledged.keys()
    await bank.audited(database_url, server.grpc_address)


async def logged(channel: grpc.aio.Channel) -> set[str]:
    """The request ids that the log knows now."""
    from_log: set[str] = set()
    request = ListEntriesRequest(parent=LEDGER, page_size=1_000)
    while True:
        page = await calls(channel).ListEntries(request)
        from_log |= {
            str(UUID(bytes=one.entry.request_id)) for one in page.entries if one.entry.request_id
        }
        if not page.next_page_token:
            return from_log
        request.page_token = page.next_page_token


@contextmanager
def locked(server: ServerProcess, path: pathlib.Path) -> Iterator[None]:
    """Another program holds the lock of writers."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


@contextmanager
def full(server: ServerProcess, path: pathlib.Path) -> Iterator[None]:
    """No file of the server may grow any more."""
    before = resource.prlimit(server.id, resource.RLIMIT_FSIZE)
    resource.prlimit(server.id, resource.RLIMIT_FSIZE, (4_096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.id, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("hurt", [pytest.param(locked, marks=pytest.mark.slow), full])
async def test_a_sqlite_file_that_refuses_writes_is_told_and_serves_again_afterwards(
    bank: Bank, serve: Serve, sqlite_url: str, hurt: Hurt
) -> None:
    server = serve(sqlite_url)
    await server.serving()
    async with server.channel() as channel:
        await bank.create(channel)
        stub = calls(channel)
        requests = [bank.payment() for _ in range(CALLERS)]
        with hurt(server, pathlib.Path(sqlite_url.removeprefix("sqlite:///"))):
            reasons = await asyncio.gather(
                *(refused(bank.call(stub, request)) for request in requests)
            )
        refusals = {Reason.DATABASE_UNAVAILABLE, Reason.READ_ONLY, Reason.DEADLINE_PASSED}
        assert set(reasons) <= refusals
        answers = await asyncio.gather(*(bank.insist(stub, request) for request in requests))
        assert not any(answer.replayed for answer in answers)
    await bank.audited(sqlite_url, server.grpc_address)


async def test_reads_are_answered_while_a_write_waits_for_another_programs_lock(
    bank: Bank, serve: Serve, sqlite_url: str
) -> None:
    server = serve(sqlite_url)
    await server.serving()
    async with server.channel() as channel:
        await bank.create(channel)
        with locked(server, pathlib.Path(sqlite_url.removeprefix("sqlite:///"))):
            waiting = asyncio.create_task(bank.insist(calls(channel), bank.payment()))
            await asyncio.wait([waiting], timeout=READING_STARTS_S)
            for _ in range(READS):
                await logged(channel)
            assert not waiting.done()
            assert not bank.broken, "the reads waited for the write"
        assert not (await waiting).replayed
    await bank.audited(sqlite_url, server.grpc_address)
