"""The sweeper: enters what expired on accounts that nobody touches."""

import asyncio

import structlog

from ledger.domain import commands as c
from ledger.domain.book import EXPIRY_CALLER
from ledger.store import reads
from ledger.store.ledgers import list_ledgers
from ledger.usecases.ledgers import Handle, Ledgers
from timebank.errors import TimebankError

_LOG = structlog.get_logger("ledger.sweeper")
SWEEP_ACCOUNTS_MAX = 1_000
LEDGERS_MAX = 10_000
ROUNDS_MAX = 1_000


class Sweeper:
    """Rounds over every ledger of the database."""

    def __init__(self, ledgers: Ledgers, *, interval_s: float) -> None:
        self._ledgers = ledgers
        self._interval_s = interval_s

    async def run(self) -> None:
        """Sweeps again and again until cancelled; a round that fails is logged and tried again."""
        while True:
            try:
                await self.sweep()
            except TimebankError as error:
                _LOG.warning("sweep failed", reason=error.reason.value, message=error.message)
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> int:
        """Enters what is due now and gives the number of accounts it touched."""
        reader = self._ledgers.world.databases.reader
        rows = await list_ledgers(reader, after="", limit=LEDGERS_MAX)
        touched = 0
        for row in rows:
            handle = await self._ledgers.handle(row.state.ledger_id, None)
            touched += await self._sweep_ledger(handle)
        return touched

    async def _sweep_ledger(self, handle: Handle) -> int:
        world = self._ledgers.world
        metrics = handle.sequencer.metrics
        touched = 0
        for _ in range(ROUNDS_MAX):
            now_us = world.clock.now_us()
            due = await reads.due_accounts(
                world.databases.reader, handle.ledger_no, now_us, SWEEP_ACCOUNTS_MAX
            )
            if not touched:
                oldest_us = min((since_us for _, since_us in due), default=now_us)
                metrics.sweep_lag_seconds.set((now_us - oldest_us) / 1_000_000)
            if not due:
                break
            command = c.ExpireDue(tuple(account_id for account_id, _ in due))
            request = c.make_request((command,), caller=EXPIRY_CALLER, request_id=b"")
            await handle.sequencer.submit([request])
            touched += len(due)
        metrics.sweeps.inc()
        return touched
