"""The sweeper: enters what expired on accounts that nobody touches, and forgets old outcomes."""

import asyncio

import structlog

from ledger.domain import commands as c
from ledger.domain import hours_commands as h
from ledger.domain.book import EXPIRY_CALLER
from ledger.domain.facts import FactKind
from ledger.store import reads
from ledger.store.hours_reads import due_facts
from ledger.store.ledgers import list_ledgers
from ledger.store.notices import ROWS_MAX as NOTICES_MAX
from ledger.store.notices import give_notices
from ledger.store.outcomes import ROWS_MAX, forget_outcomes
from ledger.usecases.ledgers import Handle, Ledgers
from timebank.database.sessions import open_session

_LOG = structlog.get_logger("ledger.sweeper")
SWEEP_ACCOUNTS_MAX = 1_000
LEDGERS_MAX = 10_000
ROUNDS_MAX = 1_000
DAY_US = 86_400 * 1_000_000
NOTICE_DAYS = (30, 7)
"""How long before they expire members hear of their POINTS."""
FORGET_EVERY_US = 3_600 * 1_000_000
OUTCOMES_KEPT_US = 31 * 86_400 * 1_000_000
"""A decline answers its retries for 31 days: the contract promises 30."""


class Sweeper:
    """Rounds over every ledger of the database."""

    def __init__(self, ledgers: Ledgers, *, interval_s: float) -> None:
        self._ledgers = ledgers
        self._interval_s = interval_s
        self._forgot_us: dict[int, int] = {}
        self._noticed_us: dict[int, int] = {}

    async def run(self) -> None:
        """Sweeps again and again until cancelled; a round that fails is logged and tried again."""
        while True:
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001  # an outage must not end the rounds
                _LOG.warning("sweep failed", exc_info=error)
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> int:
        """Enters what is due now and gives the number of accounts it touched.

        A ledger that fails is logged, and the others are swept all the same.
        """
        reader = self._ledgers.world.databases.reader
        rows = await list_ledgers(reader, after="", limit=LEDGERS_MAX)
        touched = 0
        for row in rows:
            ledger_id = row.state.ledger_id
            try:
                handle = await self._ledgers.handle(ledger_id, None)
                touched += await self._sweep_ledger(handle)
                touched += await self._sweep_facts(handle)
                await self._give_notices(handle)
                await self._forget(handle)
            except Exception as error:  # noqa: BLE001  # the next ledger is none the worse for it
                _LOG.warning("sweep of a ledger failed", ledger=ledger_id, exc_info=error)
        return touched

    async def _forget(self, handle: Handle) -> None:
        """Forgets, once an hour, the outcomes of a ledger that are old enough."""
        world = self._ledgers.world
        now_us = world.clock.now_us()
        last_us = self._forgot_us.get(handle.ledger_no)
        if last_us is not None and now_us < last_us + FORGET_EVERY_US:
            return
        session = open_session(world.databases)
        try:
            plan = forget_outcomes(now_us - OUTCOMES_KEPT_US)
            forgotten = await session.run(handle.ledger_no, plan, begin=True, commit=True)
        finally:
            await session.close()
        if forgotten < ROWS_MAX:
            self._forgot_us[handle.ledger_no] = now_us
        if forgotten:
            _LOG.info("old outcomes forgotten", ledger=handle.ledger_id, rows=forgotten)

    async def _sweep_facts(self, handle: Handle) -> int:
        """Posts records whose publicity has ended, and ends minorities.

        One that cannot be posted, for instance because its payer has not enough, is logged and
        tried at the next round; it holds up no other.
        """
        touched = 0
        for kind, made in ((FactKind.RECORD, h.PostDue), (FactKind.MEMBER, h.ComeOfAge)):
            after = (0, "")
            for _ in range(ROUNDS_MAX):
                now_us = self._ledgers.world.clock.now_us()
                due = await due_facts(
                    self._ledgers.world.databases.reader,
                    handle.ledger_no,
                    kind,
                    now_us,
                    after=after,
                    limit=SWEEP_ACCOUNTS_MAX,
                )
                if not due:
                    break
                requests = [
                    c.make_request((made(fact_id),), caller=EXPIRY_CALLER, request_id=b"")
                    for _, fact_id in due
                ]
                answer = await handle.sequencer.submit(requests)
                for (_, fact_id), outcome in zip(due, answer.outcomes, strict=True):
                    if outcome.error is not None:
                        reason = outcome.error.reason.value
                        _LOG.warning("due fact not entered", fact=fact_id, reason=reason)
                    touched += bool(outcome.entries)
                after = due[-1]
        return touched

    async def _give_notices(self, handle: Handle) -> None:
        """Gives notice of POINTS that will expire, once an hour, 30 and 7 days before."""
        world = self._ledgers.world
        now_us = world.clock.now_us()
        last_us = self._noticed_us.get(handle.ledger_no)
        if last_us is not None and now_us < last_us + FORGET_EVERY_US:
            return
        session = open_session(world.databases)
        try:
            for days in NOTICE_DAYS:
                for _ in range(ROUNDS_MAX):
                    plan = give_notices(now_us, now_us + days * DAY_US, days)
                    given = await session.run(handle.ledger_no, plan, begin=True, commit=True)
                    if given:
                        _LOG.info("expiry notices given", ledger=handle.ledger_id, days=days)
                    if given < NOTICES_MAX:
                        break
        finally:
            await session.close()
        self._noticed_us[handle.ledger_no] = now_us

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
