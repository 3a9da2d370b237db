"""The closer: ends business days at their cut-off, and finishes what a crash left half-way.

Batches, payouts, incomes and spendings whose ledger's answer nobody took in are found again and
asked anew with the same request id. What fails, for whatever cause, is told and tried again in the
next round, and keeps nobody else waiting; a database that does not answer ends the round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast

import structlog

from merchant.domain.documents import Batch, Income, Merchant, Spending
from merchant.domain.states import DocumentKind
from merchant.metrics import OTHER
from merchant.store.closing_reads import Stored, stored_due, stored_merchants
from merchant.usecases.fund import Fund
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.settlements import Settlements
from timebank.errors import Reason, TimebankError

_LOG = structlog.get_logger("merchant.closer")
DAYS_MAX = 31
"""Days of one merchant that a round closes; the next round goes on."""
MERCHANTS_PAGE = 500
DUE_MAX = 1_000
_KINDS = (DocumentKind.BATCH, DocumentKind.INCOME, DocumentKind.SPENDING)
OPEN_US = 10_000_000
"""A question is left to its own caller for so long."""


class Closer:
    """Looks for business days that are over, in every programme."""

    def __init__(
        self,
        programmes: Programmes,
        settlements: Settlements,
        fund: Fund,
        *,
        interval_s: float,
    ) -> None:
        self._programmes = programmes
        self._settlements = settlements
        self._fund = fund
        self._interval_s = interval_s

    async def run(self) -> None:
        """Closes until cancelled; whatever fails, the next round comes after the interval."""
        while True:
            try:
                await self.round()
            except TimebankError as error:
                _LOG.warning("closing failed", cause=str(error))
            except Exception as error:  # noqa: BLE001  # a fault of ours must not end the process
                _LOG.error("closing failed", exc_info=error)
            await asyncio.sleep(self._interval_s)

    async def round(self) -> int:
        """Closes what is due; gives how many batches that were.

        Raises DATABASE_UNAVAILABLE when the database does not answer.
        """
        closed = 0
        for ledger_id in await self._programmes.known():
            closed += await self._tried(ledger_id, self._round(ledger_id))
        return closed

    async def _round(self, ledger_id: str) -> int:
        programme = await self._programmes.programme(ledger_id, None)
        await self._finish_due(programme)
        closed, after = 0, ""
        while rows := await stored_merchants(
            *(self._programmes.databases.reader, programme.ledger_no),
            after=after,
            limit=MERCHANTS_PAGE,
        ):
            for stored in rows:
                work = self._close_due(programme, stored)
                closed += await self._tried(ledger_id, work, merchant=stored.document_id)
            after = rows[-1].document_id
        return closed

    async def _close_due(self, programme: Programme, stored: Stored) -> int:
        """Closes the days of a merchant; what the fund cannot pay yet waits for the next round."""
        merchant = cast("Merchant", stored.read())
        return await self._settlements.close_due(programme, merchant, DAYS_MAX)

    async def _finish_due(self, programme: Programme) -> None:
        since_us = self._programmes.clock.now_us() - OPEN_US
        reader, ledger_no = self._programmes.databases.reader, programme.ledger_no
        for stored in await stored_due(reader, ledger_no, since_us, kinds=_KINDS, limit=DUE_MAX):
            work = self._finish(programme, stored)
            await self._tried(programme.ledger_id, work, document=stored.document_id)

    async def _finish(self, programme: Programme, stored: Stored) -> int:
        document = stored.read()
        if isinstance(document, Batch):
            await self._settlements.pay(programme, document)
        elif isinstance(document, Income):
            await self._fund.receive(programme, document)
        elif isinstance(document, Spending):
            await self._fund.pay(programme, document)
        return 0

    async def _tried(self, ledger_id: str, work: Awaitable[int], **about: str) -> int:
        """Does one thing and gives how many batches it closed; what fails is told and counted.

        Raises DATABASE_UNAVAILABLE when the database does not answer.
        """
        try:
            return await work
        except TimebankError as error:
            if error.reason is Reason.DATABASE_UNAVAILABLE:
                await self._programmes.databases.check()
            reason = error.reason.value
            _LOG.warning("not closed yet", ledger=ledger_id, reason=reason, **about)
        except Exception as error:  # noqa: BLE001  # a fault about one thing must not keep others waiting
            reason = OTHER
            _LOG.error("closing one failed", ledger=ledger_id, exc_info=error, **about)
        self._programmes.metrics.count_failed_closing(ledger_id, reason)
        return 0
