"""kill -9 of a server under load: nothing acknowledged is lost, nothing is doubled."""

import pytest

from tests.support.crowds import Bank, Crowd
from tests.support.forked_servers import Serve

ROUNDS = 20
ROUNDS_MAX = 60
CALLERS = 48
IN_FLIGHT_MIN = 32
REPLAYS_MIN = 5
ANSWERS_BEFORE_KILL = 60


@pytest.mark.slow
async def test_twenty_kills_lose_nothing_acknowledged_and_double_nothing(
    bank: Bank, serve: Serve, database_url: str
) -> None:
    server = serve(database_url)
    await server.serving()
    async with server.channel() as channel:
        await bank.create(channel)
        rounds = 0
        async with Crowd(bank, [channel], callers=CALLERS) as crowd:
            while rounds < ROUNDS or len(bank.replayed & bank.broken) < REPLAYS_MIN:
                assert rounds < ROUNDS_MAX, "too few retries replayed"
                in_flight = await crowd.hurt(server.kill, after=ANSWERS_BEFORE_KILL)
                assert in_flight >= IN_FLIGHT_MIN
                rounds += 1
                server.start()
    assert len(bank.replayed & bank.broken) >= REPLAYS_MIN
    assert bank.asked.keys() == bank.acknowledged.keys()
    await bank.audited(database_url, server.grpc_address)
