"""The closer: ends business days at their cut-off, and batches that a crash left half-way."""

from __future__ import annotations

import asyncio
from typing import cast

import structlog

from merchant.domain.documents import Merchant
from merchant.domain.states import DocumentKind
from merchant.ledger_client import LedgerUnavailable
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.settlements import Settlements
from timebank.errors import TimebankError

_LOG = structlog.get_logger("merchant.closer")
DAYS_MAX = 31
"""Days of one merchant that a round closes; the next round goes on."""
MERCHANTS_PAGE = 500


class Closer:
    """Looks for business days that are over, in every programme."""

    def __init__(
        self, programmes: Programmes, settlements: Settlements, *, interval_s: float
    ) -> None:
        self._programmes = programmes
        self._settlements = settlements
        self._interval_s = interval_s

    async def run(self) -> None:
        """Closes until cancelled; a database or ledger that is away for a while does not end it."""
        while True:
            try:
                await self.round()
            except (TimebankError, LedgerUnavailable) as error:
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
