"""Several servers on one PostgreSQL ledger: one log, exact sums, and a database that crashes."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import grpc.aio
import pytest

from tests.support.commands import REDEMPTION, new_id, post
from tests.support.crowds import LEDGER, Bank, Crowd, calls
from tests.support.forked_servers import Serve
from tests.support.postgres import PostgresServer
from timebank.client import CheckpointView, verify_checkpoint
from timebank.errors import MEANINGS
from timebank.ledger.v1.ledger_service_pb2 import CommandResponse, PostEntryRequest

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]
CLIENT_PROCESSES = 8
PAYMENTS = 40
TASKS = 8
CRASHES = 2
CALLERS = 32


def pay(address: str, requests: list[bytes]) -> list[bytes]:
    """Carries out requests in a process of its own and gives the answers in their order."""

    async def run() -> list[bytes]:
        async with grpc.aio.insecure_channel(address) as channel:
            stub, room = calls(channel), asyncio.Semaphore(TASKS)

            async def one(data: bytes) -> bytes:
                async with room:
                    answer: CommandResponse = await stub.PostEntry(
                        PostEntryRequest.FromString(data), timeout=60, wait_for_ready=True
                    )
                    return answer.SerializeToString()

            return await asyncio.gather(*(one(data) for data in requests))

    return asyncio.run(run())


async def test_two_servers_and_eight_client_processes_write_one_log_without_a_fork(
    bank: Bank, serve: Serve, postgresql_url: str
) -> None:
    servers = [serve(postgresql_url), serve(postgresql_url)]
    await servers[0].serving()
    await servers[1].serving()
    async with servers[0].channel() as channel:
        await bank.create(channel)
    work: list[list[PostEntryRequest]] = [
        [bank.payment() for _ in range(PAYMENTS)] for _ in range(CLIENT_PROCESSES)
    ]
    hot = post(REDEMPTION, bank.purses[0], bank.shop, 1)
    for share in work:
        share.extend(
            PostEntryRequest(parent=LEDGER, request_id=new_id(), post=hot) for _ in range(PAYMENTS)
        )
    spawning = multiprocessing.get_context("spawn")
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(CLIENT_PROCESSES, mp_context=spawning) as pool:
        answers = await asyncio.gather(
            *(
                loop.run_in_executor(
                    pool,
                    pay,
                    servers[number % 2].grpc_address,
                    [request.SerializeToString() for request in share],
                )
                for number, share in enumerate(work)
            )
        )
    heads: dict[int, CheckpointView] = {}
    for share, found in zip(work, answers, strict=True):
        for request, data in zip(share, found, strict=True):
            answer = CommandResponse.FromString(data)
            assert not answer.replayed
            bank.asked[request.request_id] = request
            bank.acknowledged[request.request_id] = answer.result.index
            head = verify_checkpoint(answer.checkpoint, bank.verifier_key)
            assert heads.setdefault(head.size, head).root == head.root
    bank.heads = [heads[size] for size in sorted(heads)]
    assert len(set(bank.acknowledged.values())) == 2 * PAYMENTS * CLIENT_PROCESSES
    await bank.audited(postgresql_url, *(server.grpc_address for server in servers))


async def test_a_crash_of_postgresql_under_load_is_told_as_unavailable_and_loses_nothing(
    bank: Bank, serve: Serve, postgres: PostgresServer, postgresql_url: str
) -> None:
    servers = [serve(postgresql_url), serve(postgresql_url)]
    await servers[0].serving()
    await servers[1].serving()
    async with servers[0].channel() as one, servers[1].channel() as other:
        await bank.create(one)
        async with Crowd(bank, [one, other], callers=CALLERS) as crowd:
            for _ in range(CRASHES):
                await crowd.answered(3 * CALLERS)
                await asyncio.to_thread(postgres.stop, "immediate")
                await asyncio.to_thread(postgres.start)
            await crowd.answered(3 * CALLERS)
    assert bank.broken, "the crash met no call"
    assert set(bank.codes) == {"UNAVAILABLE"}
    assert {MEANINGS[reason].status.name for reason in bank.reasons} == {"UNAVAILABLE"}
    assert bank.asked.keys() == bank.acknowledged.keys()
    await bank.audited(postgresql_url, *(server.grpc_address for server in servers))
