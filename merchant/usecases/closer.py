"""The closer: ends business days at their cut-off, and finishes what a crash left half-way.

Batches, payouts, incomes and spendings whose ledger's answer nobody took in are found again and
asked anew with the same request id.
"""

from __future__ import annotations

import asyncio
from typing import cast

import structlog

from merchant.domain.documents import Batch, Document, Income, Merchant, Spending
from merchant.domain.states import DocumentKind
from merchant.store.documents import due_documents
from merchant.usecases.fund import Fund
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.settlements import Settlements
from timebank.errors import TimebankError

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
        """Closes until cancelled; a database or ledger that is away for a while does not end it."""
        while True:
            try:
                await self.round()
            except TimebankError as error:
                _LOG.warning("closing failed", cause=str(error))
            await asyncio.sleep(self._interval_s)

    async def round(self) -> int:
        """Closes what is due; gives how many batches that were."""
        closed = 0
        for ledger_id in await self._programmes.known():
            programme = await self._programmes.programme(ledger_id, None)
            closed += await self._round(programme)
        return closed

    async def _round(self, programme: Programme) -> int:
        await self._finish_due(programme)
        closed, after = 0, -1
        while rows := await self._programmes.listed(
            programme, DocumentKind.MERCHANT, "", after=after, limit=MERCHANTS_PAGE
        ):
            for _, document in rows:
                closed += await self._merchant(programme, cast("Merchant", document))
            after = rows[-1][0]
        return closed

    async def _merchant(self, programme: Programme, merchant: Merchant) -> int:
        """Closes the days of a merchant; what the fund cannot pay yet waits for the next round."""
        try:
            return await self._settlements.close_due(programme, merchant, DAYS_MAX)
        except TimebankError as error:
            _LOG.warning("day not closed", merchant=merchant.merchant_id, reason=error.reason.value)
            return 0

    async def _finish_due(self, programme: Programme) -> None:
        since_us = self._programmes.clock.now_us() - OPEN_US
        reader, ledger_no = self._programmes.databases.reader, programme.ledger_no
        for document in await due_documents(
            reader, ledger_no, since_us, kinds=_KINDS, limit=DUE_MAX
        ):
            try:
                await self._finish(programme, document)
            except TimebankError as error:
                reason = error.reason.value
                _LOG.warning("not finished yet", document=document[0], reason=reason)

    async def _finish(self, programme: Programme, document: Document) -> None:
        if isinstance(document, Batch):
            await self._settlements.pay(programme, document)
        elif isinstance(document, Income):
            await self._fund.receive(programme, document)
        elif isinstance(document, Spending):
            await self._fund.pay(programme, document)
