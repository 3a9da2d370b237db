"""Servers whose clocks differ: the database's clock decides, and ledger time never turns back."""

import pathlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import grpc
import grpc.aio
import pytest
import structlog

import ledger.service
from tests.support.builders_server import server_config
from tests.support.crowds import LEDGER, Bank, calls
from tests.support.ledgers import refused
from timebank.clock import SystemClock
from timebank.errors import Reason
from timebank.ledger.v1 import log_service_pb2
from timebank.ledger.v1.log_service_pb2_grpc import LogServiceStub
from timebank.server import open_server

if TYPE_CHECKING:
    from timebank.ledger.v1.log_service_pb2_grpc import LogServiceAsyncStub

pytestmark = pytest.mark.postgresql
MINUTES_US = 60_000_000
WITHIN_US = 600_000
TURNS = 20


class ShiftedClock:
    """The clock of a machine that somebody has set wrongly."""

    def __init__(self, shift_us: int) -> None:
        self._shift_us = shift_us
        self._right = SystemClock()

    def now_us(self) -> int:
        """Gives microseconds since 1970-01-01T00:00:00Z, as this machine believes."""
        return self._right.now_us() + self._shift_us


@asynccontextmanager
async def serving(
    folder: pathlib.Path, url: str, shift_us: int, **limits: int
) -> AsyncIterator[tuple[str, grpc.aio.Channel]]:
    """A server whose clock is shifted, and a channel to it."""
    process = await open_server(
        server_config(folder, {"database": {"url": url}, "ledger": limits}),
        [ledger.service.register],
        clock=ShiftedClock(shift_us),
        logger=structlog.get_logger("test"),
        http=False,
    )
    address = f"127.0.0.1:{process.grpc_port}"
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield address, channel
    finally:
        await process.stop(0)


async def size_of(channel: grpc.aio.Channel) -> int:
    """The size of the log."""
    request = log_service_pb2.GetCheckpointRequest(parent=LEDGER)
    stub = cast("LogServiceAsyncStub", LogServiceStub(channel))
    return (await stub.GetCheckpoint(request)).size


@pytest.mark.parametrize("shift_us", [5 * MINUTES_US, -5 * MINUTES_US, 3_000_000, -3_000_000])
async def test_a_server_whose_clock_is_far_from_the_databases_writes_nothing(
    bank: Bank, tmp_path: pathlib.Path, postgresql_url: str, shift_us: int
) -> None:
    async with (
        serving(tmp_path, postgresql_url, 0) as (right, channel),
        serving(tmp_path, postgresql_url, shift_us) as (_, wrong),
    ):
        await bank.create(channel)
        before = await size_of(channel)
        request = bank.payment()
        assert await refused(bank.call(calls(wrong), request)) is Reason.CLOCK_SKEW
        assert await size_of(channel) == before
        assert not (await bank.call(calls(channel), request)).replayed
        await bank.audited(postgresql_url, right)


async def test_recorded_times_increase_whatever_server_within_the_limit_wrote(
    bank: Bank, tmp_path: pathlib.Path, postgresql_url: str
) -> None:
    async with (
        serving(tmp_path, postgresql_url, WITHIN_US) as (ahead, early),
        serving(tmp_path, postgresql_url, -WITHIN_US) as (behind, late),
    ):
        await bank.create(early)
        times = []
        for _ in range(TURNS):
            for channel in (early, late):
                answer = await bank.call(calls(channel), bank.payment())
                times.append(answer.result.recorded_time.ToNanoseconds())
        assert times == sorted(set(times))
        await bank.audited(postgresql_url, ahead, behind)
