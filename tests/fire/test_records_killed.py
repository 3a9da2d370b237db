"""kill -9 of a server while records are submitted: each is posted once, and none that was
acknowledged is lost.
"""

import asyncio
import pathlib

import pytest

from tests.ledger.hours.recorders import Recorders
from tests.support.crowds import GIVE_UP_S, elapse
from tests.support.forked_servers import Serve
from tests.support.keys import make_key

ROUNDS = 6
CALLERS = 16
IN_FLIGHT_MIN = 8
ANSWERS_BEFORE_KILL = 120
LOOK_S = 0.001


async def answered(recorders: Recorders, count: int) -> None:
    """Returns when so many more records were acknowledged and calls are in flight."""
    enough = len(recorders.acknowledged) + count
    async with asyncio.timeout(GIVE_UP_S):
        while len(recorders.acknowledged) < enough or recorders.in_flight < IN_FLIGHT_MIN:
            await elapse(LOOK_S)


@pytest.mark.slow
async def test_six_kills_lose_no_acknowledged_record_and_post_none_twice(
    tmp_path: pathlib.Path, serve: Serve, database_url: str
) -> None:
    make_key(tmp_path)
    recorders, stopping = Recorders(), asyncio.Event()
    server = serve(database_url)
    await server.serving()
    async with server.channel() as channel:
        await recorders.create(channel, volunteers=CALLERS)
        async with asyncio.TaskGroup() as group:
            for volunteer in range(CALLERS):
                group.create_task(recorders.work(channel, volunteer, stopping))
            for _ in range(ROUNDS):
                await answered(recorders, ANSWERS_BEFORE_KILL)
                server.kill()
                server.start()
            await answered(recorders, ANSWERS_BEFORE_KILL)
            stopping.set()
        assert recorders.broken, "the kills met no call"
        await recorders.audited(database_url, channel)
