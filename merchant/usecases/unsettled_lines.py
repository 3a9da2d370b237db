"""Lines that no batch has taken yet, and how an open batch takes them.

Lines are looked through in pages and join in transactions of a page each, so that memory stays
bounded and tills wait for none of them long. A line that came after its page was read is found by
the pages after it, for lines keep the order in which they were written.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, cast

from merchant.domain.documents import Batch, Line, Merchant
from merchant.domain.places import UNSETTLED
from merchant.domain.settlement_files import LINES_MAX
from merchant.domain.settlement_rules import CARRIED, TakeLines, fits, makes_batch, take_lines
from merchant.domain.states import DocumentKind
from merchant.usecases.programmes import Programme, Programmes, carry_out

K = DocumentKind
PAGE_LINES = 5_000
"""Lines of one look-up and of one transaction."""


class _Left(NamedTuple):
    """What a batch has not taken: the ids of carried lines, and the points of refunds."""

    carried: tuple[str, ...]
    refunded_points: int


class UnsettledLines:
    """The unsettled lines of merchants."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes

    async def are_settled(self, programme: Programme, merchant_id: str) -> bool:
        """Says whether a merchant has none of them."""
        return not await self._page(programme, merchant_id, -1, limit=1)

    async def rate_of_next(
        self, programme: Programme, merchant_id: str, business_date: str
    ) -> int | None:
        """Gives the rate of the first line that makes a batch of a day; None when there is none."""
        after = -1
        while page := await self._page(programme, merchant_id, after):
            for _, line in page:
                if makes_batch(line, business_date):
                    return line.rate
            after = page[-1][0]
        return None

    async def collect(self, programme: Programme, batch: Batch, merchant: Merchant) -> None:
        """Moves lines into an open batch until none is left that fits."""
        left, taken = await self._take(programme, batch, nets_refunds=False)
        if not taken:
            return
        if left.carried:
            await _join(programme, TakeLines(batch.batch_id, left.carried))
        if left.refunded_points > merchant.debt_points_max:
            await self._take(programme, batch, nets_refunds=True)

    async def _take(
        self, programme: Programme, batch: Batch, *, nets_refunds: bool
    ) -> tuple[_Left, int]:
        """Looks through the lines once and takes those that fit; tells what stays, and how many
        the batch has.
        """
        merchant_id = batch.batch_id.partition("/")[0]
        carried: list[str] = []
        refunded, after, count = 0, -1, batch.line_count
        while page := await self._page(programme, merchant_id, after):
            fitting: list[str] = []
            for _, line in page:
                if line.kind == CARRIED:
                    carried.append(line.line_id)
                elif count + len(fitting) < LINES_MAX and fits(
                    line, batch, nets_refunds=nets_refunds
                ):
                    fitting.append(line.line_id)
                else:
                    refunded += max(-line.points, 0)
            if fitting:
                await _join(
                    programme, TakeLines(batch.batch_id, tuple(sorted(fitting)), nets_refunds)
                )
                count += len(fitting)
            after = page[-1][0]
        return _Left(tuple(carried[:PAGE_LINES]), refunded), count

    async def _page(
        self, programme: Programme, merchant_id: str, after: int, *, limit: int = PAGE_LINES
    ) -> list[tuple[int, Line]]:
        parent = f"{merchant_id}/{UNSETTLED}"
        rows = await self._programmes.listed(programme, K.LINE, parent, after=after, limit=limit)
        return cast("list[tuple[int, Line]]", rows)


async def _join(programme: Programme, command: TakeLines) -> None:
    hints = tuple((K.LINE, line_id) for line_id in command.line_ids)
    rule = functools.partial(take_lines, command=command)
    await carry_out(programme, rule, hints=((K.BATCH, command.batch_id), *hints))
