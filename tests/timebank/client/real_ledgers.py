"""A real server in the test's event loop, and the client of an operator over the network.

Owns opening both. The clock stands still; policies of the tests post at once.
"""

import pathlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.support.hours import BASE_US, HoursWorld, policy
from tests.support.ledgers import ledger_world
from timebank.auth import Principal
from timebank.client import EvidenceClass, LedgerClient, RecordDraft
from timebank.local_channels import LocalChannel

BASE = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=BASE_US)


@dataclass
class RealLedger:
    """A ledger with a policy and the members `wang` and `li`, and its operator's client."""

    city: HoursWorld
    client: LedgerClient

    def client_of(self, caller: Principal) -> LedgerClient:
        """A client for another principal."""
        channel = LocalChannel(self.city.world.process.runtime.interceptors, caller)
        return LedgerClient.on_channel(channel, ledger="weihai")


def draft(
    record_id: str, volunteer: str = "wang", *, hours: int = 0, **fields: object
) -> RecordDraft:
    """A record of class A, an hour long, that starts `hours` after BASE."""
    start = BASE + timedelta(hours=hours)
    values: dict[str, object] = {
        "record_id": record_id,
        "volunteer": volunteer,
        "activity": "送药上门",
        "organizer": "community",
        "start_time": start,
        "end_time": start + timedelta(hours=1),
        "evidence": EvidenceClass.A,
    }
    return RecordDraft(**(values | fields))  # type: ignore[arg-type]  # a test says what it means


@asynccontextmanager
async def real_ledger(folder: pathlib.Path, database_url: str) -> AsyncIterator[RealLedger]:
    """Serves a ledger with a policy and two members until the block ends."""
    async with ledger_world(folder, database_url) as world:
        city = HoursWorld(world)
        address = f"127.0.0.1:{world.process.grpc_port}"
        async with LedgerClient.connect(address, ledger="weihai") as client:
            await client.adopt_policy(policy())
            await client.register_member("wang", home_unit="huancui/12")
            await client.register_member("li", home_unit="huancui/12", key_elder=True)
            yield RealLedger(city, client)
