"""The sweeper: drives every question to its answer and ends what has run out.

What a crash left between the two halves of a step is found by its due time and asked again with the
same request id, so that it is carried out once or not at all.
"""

from __future__ import annotations

import asyncio
import functools
from typing import cast

import structlog

from merchant.domain.documents import Budget, Code, Document, Redemption
from merchant.domain.states import DocumentKind
from merchant.domain.transactions import Transaction
from merchant.store.documents import due_documents
from merchant.usecases.forgetting import Forgetting
from merchant.usecases.programmes import Programme, Programmes, carry_out
from merchant.usecases.redemptions import Redemptions
from timebank.errors import TimebankError

_LOG = structlog.get_logger("merchant.sweeper")
BUDGETS_MAX = 1_000
"""Budgets whose rest is shown."""
ROUND_MAX = 200
"""Documents of a kind in one round; the next one follows at once when as many were ended."""
TOGETHER = 16
OPEN_US = 2_000_000
"""A question is left to its own caller for so long."""


class Sweeper:
    """Looks for what is due, in every programme."""

    def __init__(
        self, programmes: Programmes, redemptions: Redemptions, *, interval_s: float
    ) -> None:
        self._programmes = programmes
        self._redemptions = redemptions
        self._interval_s = interval_s
        self._forgetting = Forgetting(programmes)

    async def run(self) -> None:
        """Sweeps until cancelled; a database or ledger that is away for a while does not end it."""
        while True:
            try:
                swept = await self.sweep()
            except TimebankError as error:
                _LOG.warning("sweeping failed", reason=error.reason.value)
                swept = 0
            if swept < ROUND_MAX:
                await asyncio.sleep(self._interval_s)

    async def sweep(self) -> int:
        """Ends one round of what is due; gives how much of it there was."""
        swept = 0
        for ledger_id in await self._programmes.known():
            programme = await self._programmes.programme(ledger_id, None)
            swept = max(swept, await self._sweep(programme))
            await self._forgetting.round(programme)
        return swept

    async def _sweep(self, programme: Programme) -> int:
        now_us = self._programmes.clock.now_us()
        reader, ledger_no = self._programmes.databases.reader, programme.ledger_no
        due: list[Document] = []
        for kind in (DocumentKind.REDEMPTION, DocumentKind.CODE):
            due += await due_documents(reader, ledger_no, now_us, kinds=(kind,), limit=ROUND_MAX)
        await self._show(programme, due, now_us)
        gate = asyncio.Semaphore(TOGETHER)

        async def one(document: Document) -> bool:
            async with gate:
                return await self._one(programme, document, now_us)

        done = await asyncio.gather(*(one(document) for document in due))
        return sum(done)

    async def _show(self, programme: Programme, due: list[Document], now_us: int) -> None:
        """Has the metrics show how many questions are open, and what is left of the budgets."""
        questions = [
            document.pending.since_us
            for document in due
            if isinstance(document, Redemption) and document.pending is not None
        ]
        rows = await self._programmes.listed(programme, DocumentKind.BUDGET, "", limit=BUDGETS_MAX)
        budgets = [document for _, document in rows if isinstance(document, Budget)]
        programme.metrics.swept(questions, now_us, budgets)

    async def _one(self, programme: Programme, document: Document, now_us: int) -> bool:
        """Ends one thing; gives whether it did anything."""
        try:
            if isinstance(document, Redemption):
                return await self._redemption(programme, document, now_us)
            if isinstance(document, Code):
                await carry_out(programme, functools.partial(forget_code, digest=document.digest))
                return True
        except TimebankError as error:
            _LOG.warning("not finished yet", document=document[0], reason=error.reason.value)
        except Exception as error:  # noqa: BLE001  # a fault of ours about one thing must not end the process
            _LOG.error("sweeping one failed", document=document[0], exc_info=error)
        return False

    async def _redemption(self, programme: Programme, redemption: Redemption, now_us: int) -> bool:
        if redemption.pending is None:
            await self._redemptions.expire(programme, redemption)
            return True
        if redemption.pending.since_us + OPEN_US > now_us:
            return False
        await self._redemptions.settled(programme, redemption)
        return True


def forget_code(transaction: Transaction, digest: str) -> Document:
    """Forgets a payment code long after it could pay."""
    code = cast("Code", transaction.find(Code, digest) or Code(digest, "", "", 0))
    transaction.delete(Code, digest)
    return code
