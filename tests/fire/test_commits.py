"""A COMMIT that breaks between server and PostgreSQL: the caller hears what is true."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.crowds import Bank, calls
from tests.support.forked_servers import Serve
from tests.support.ledgers import refused
from tests.support.postgres import PostgresServer
from tests.support.proxies import AtCommit, PostgresProxy
from timebank.errors import Reason

pytestmark = pytest.mark.postgresql
WAIT_S = 60
SLOW_COMMIT = (
    "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON entries DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION linger()",
)


@pytest.fixture
async def proxy(postgres: PostgresServer) -> AsyncIterator[PostgresProxy]:
    """A proxy before the PostgreSQL server."""
    async with PostgresProxy(postgres.port) as running:
        yield running


@pytest.mark.parametrize("lingers", [False, True])
async def test_a_commit_that_went_through_without_its_answer_is_told_as_a_success(
    bank: Bank,
    serve: Serve,
    postgres: PostgresServer,
    postgresql_url: str,
    proxy: PostgresProxy,
    lingers: bool,
) -> None:
    database = postgresql_url.rpartition("/")[2]
    server = serve(proxy.url(database))
    await server.serving()
    async with server.channel() as channel:
        await bank.create(channel)
        for statement in SLOW_COMMIT if lingers else ():
            postgres.sql(statement, database)
        request = bank.payment()
        proxy.arm(AtCommit.ANSWER_LOST)
        first = await bank.call(calls(channel), request)
        assert proxy.reached.is_set()
        assert not first.replayed
        again = await bank.call(calls(channel), request)
        assert again.replayed
        assert again.result == first.result
    assert "commit outcome unknown" in server.log
    await bank.audited(postgresql_url, server.grpc_address)


async def test_a_commit_that_never_arrived_writes_nothing_and_its_retry_is_carried_out(
    bank: Bank, serve: Serve, postgresql_url: str, proxy: PostgresProxy
) -> None:
    server = serve(proxy.url(postgresql_url.rpartition("/")[2]))
    await server.serving()
    async with server.channel() as channel:
        await bank.create(channel)
        request = bank.payment()
        proxy.arm(AtCommit.NEVER_ARRIVES)
        reason = await refused(bank.call(calls(channel), request))
        assert proxy.reached.is_set()
        assert reason is Reason.DATABASE_UNAVAILABLE
        assert not (await bank.insist(calls(channel), request)).replayed
    await bank.audited(postgresql_url, server.grpc_address)


async def test_a_server_stopped_under_the_head_lock_delays_the_others_and_forks_nothing(
    bank: Bank, serve: Serve, postgresql_url: str, proxy: PostgresProxy
) -> None:
    limits = {"idle_transaction_seconds_max": 1}
    stopped = serve(proxy.url(postgresql_url.rpartition("/")[2]), database=limits)
    await stopped.serving()
    other = serve(postgresql_url, database=limits)
    await other.serving()
    async with stopped.channel() as channel, other.channel() as beside:
        await bank.create(channel)
        proxy.arm(AtCommit.HELD)
        caught = [
            asyncio.create_task(bank.insist(calls(channel), bank.payment())) for _ in range(16)
        ]
        await asyncio.wait_for(proxy.reached.wait(), WAIT_S)
        stopped.pause()
        try:
            passed = await asyncio.gather(
                *(bank.insist(calls(beside), bank.payment()) for _ in range(16))
            )
            assert not any(task.done() for task in caught)
        finally:
            proxy.release()
            stopped.resume()
        late = await asyncio.gather(*caught)
    assert max(one.result.index for one in passed) < min(one.result.index for one in late)
    await bank.audited(postgresql_url, stopped.grpc_address, other.grpc_address)
