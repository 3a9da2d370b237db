"""Forgetting what need not be kept for ever: old requests, and counters of windows long past.

Rules: natural keys live for ever (a merchant's reference, an op_ref, the id of an income or a
budget), so what a request made is found without it; a request answers its retries for 31 days, as
in the ledger, of which the contract promises 30. Each statement is small, so that tills wait for
none of them long; what is left is forgotten in the next round.
"""

from __future__ import annotations

import functools

import structlog

from merchant.domain.documents import Counter
from merchant.domain.states import DocumentKind
from merchant.domain.velocity import forget_counters
from merchant.store.documents import due_documents
from merchant.store.outcomes import ROWS_MAX, forget_requests
from merchant.usecases.programmes import Programme, Programmes, carry_out
from timebank.database.sessions import UnknownCommit, open_session
from timebank.errors import TimebankError

_LOG = structlog.get_logger("merchant.forgetting")
REQUESTS_KEPT_US = 31 * 86_400_000_000
FORGET_EVERY_US = 3_600_000_000
"""Requests are looked through once an hour, unless there is more to forget."""
STATEMENTS_MAX = 10
"""Statements of a kind in one round of one programme."""
COUNTERS_MAX = 500
"""Counters that one transaction forgets."""


class Forgetting:
    """Rounds over what is old enough."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes
        self._forgot_us: dict[int, int] = {}

    async def round(self, programme: Programme) -> None:
        """Forgets some of what is old enough; what fails is logged and tried again later."""
        try:
            await self._forget_counters(programme)
            await self._forget_requests(programme)
        except (TimebankError, UnknownCommit) as error:
            _LOG.warning("forgetting failed", ledger=programme.ledger_id, cause=str(error))

    async def _forget_counters(self, programme: Programme) -> None:
        reader = self._programmes.databases.reader
        for _ in range(STATEMENTS_MAX):
            now_us = self._programmes.clock.now_us()
            due = await due_documents(
                *(reader, programme.ledger_no, now_us),
                kinds=(DocumentKind.COUNTER,),
                limit=COUNTERS_MAX,
            )
            ids = tuple(counter.counter_id for counter in due if isinstance(counter, Counter))
            if ids:
                await carry_out(programme, functools.partial(forget_counters, counter_ids=ids))
            if len(ids) < COUNTERS_MAX:
                return

    async def _forget_requests(self, programme: Programme) -> None:
        now_us = self._programmes.clock.now_us()
        last_us = self._forgot_us.get(programme.ledger_no)
        if last_us is not None and now_us < last_us + FORGET_EVERY_US:
            return
        session = open_session(self._programmes.databases)
        try:
            for _ in range(STATEMENTS_MAX):
                plan = forget_requests(now_us - REQUESTS_KEPT_US)
                forgotten = await session.run(programme.ledger_no, plan, begin=True, commit=True)
                if forgotten < ROWS_MAX:
                    self._forgot_us[programme.ledger_no] = now_us
                    return
        except BaseException:
            await session.rollback()
            raise
        finally:
            await session.close()
