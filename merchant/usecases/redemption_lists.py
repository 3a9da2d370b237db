"""Lists of redemptions, newest first: those of merchants, or those that stand in a batch.

A list is read on from the sequence of the row before. A call looks at a bounded number of rows, so
a page may have fewer redemptions than wanted, and a next one. A redemption stands in a batch where
its last line in that batch does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, cast

from merchant.domain.documents import Document, Line, Redemption
from merchant.domain.places import Key
from merchant.domain.settlement_rules import CARRIED
from merchant.domain.states import DocumentKind
from merchant.store.newest_documents import newest_redemptions
from merchant.usecases.look_ups import find_all
from merchant.usecases.programmes import Programme, Programmes

K = DocumentKind
LOOK_UPS_MAX = 20
"""Look-ups of one page; the first is enough when all that it finds is wanted."""
_Row = tuple[int, Redemption | None]
"""The sequence of a row, and the redemption that it shows; None: it shows none."""
_Look = Callable[[int], Awaitable[list[_Row]]]
"""Gives the rows before a sequence, one more than a page has."""


class Wanted(NamedTuple):
    """Which redemptions are wanted, by the ids of documents; empty and 0: any."""

    state: int = 0
    business_date: str = ""
    terminal: str = ""
    member_id: str = ""


class Page(NamedTuple):
    """Redemptions, and the sequence before which the next page begins; -1: this is the last."""

    redemptions: tuple[Redemption, ...]
    next_before: int


class RedemptionLists:
    """Pages of redemptions."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes

    async def of_merchant(
        self,
        programme: Programme,
        merchant_id: str | None,
        wanted: Wanted,
        *,
        before: int,
        size: int,
    ) -> Page:
        """Lists the redemptions of a merchant, None: of all, before a sequence, -1: from the newest
        on.
        """

        async def look(before: int) -> list[_Row]:
            return await self._latest(programme, merchant_id, before=before, limit=size + 1)

        return await _page(look, wanted, before=before, size=size)

    async def of_batch(
        self, programme: Programme, batch_id: str, wanted: Wanted, *, before: int, size: int
    ) -> Page:
        """Lists the redemptions that stand in a batch before a sequence, -1: from the end on."""

        async def look(before: int) -> list[_Row]:
            listed = await self._programmes.listed(
                *(programme, K.LINE, batch_id), after=before, newest_first=True, limit=size + 1
            )
            lines = [(sequence, cast("Line", line)) for sequence, line in listed]
            return await self._shown_by(programme, lines)

        return await _page(look, wanted, before=before, size=size)

    async def with_batches(
        self, programme: Programme, redemptions: Sequence[Redemption]
    ) -> list[Redemption]:
        """Tells of each redemption the batch that settled it, which its first line knows."""
        keys: list[Key] = [(K.LINE, f"{one.redemption_id}/1") for one in redemptions if one.lines]
        lines = await find_all(self._programmes, programme, keys)
        batches = {line.redemption_id: line.batch for line in cast("list[Line]", lines.values())}
        return [one._replace(batch=batches.get(one.redemption_id, "")) for one in redemptions]

    async def _latest(
        self, programme: Programme, merchant_id: str | None, *, before: int, limit: int
    ) -> list[_Row]:
        """Reads a merchant's redemptions out of their own list, or those of all out of one list:
        what a look costs does not grow with the merchants.
        """
        listed: Sequence[tuple[int, Document]]
        if merchant_id is None:
            reader = self._programmes.databases.reader
            listed = await newest_redemptions(
                reader, programme.ledger_no, before=before, limit=limit
            )
        else:
            of = (programme, K.REDEMPTION, merchant_id)
            listed = await self._programmes.listed(
                *of, after=before, newest_first=True, limit=limit
            )
        return [(sequence, cast("Redemption", found)) for sequence, found in listed]

    async def _shown_by(
        self, programme: Programme, listed: Sequence[tuple[int, Line]]
    ) -> list[_Row]:
        """Gives the redemption that each line of a batch shows: the last of its lines in it does,
        and none what a batch before carried.
        """
        lines = [line for _, line in listed if line.kind != CARRIED]
        ids = dict.fromkeys(line.redemption_id for line in lines)
        keys: list[Key] = [(K.REDEMPTION, redemption_id) for redemption_id in ids]
        found = await find_all(self._programmes, programme, keys)
        redemptions = {one[0]: one for one in cast("list[Redemption]", found.values())}
        last = await self._last_lines(programme, lines, redemptions)
        return [
            (sequence, redemptions.get(line.redemption_id) if line.line_id in last else None)
            for sequence, line in listed
        ]

    async def _last_lines(
        self,
        programme: Programme,
        lines: Sequence[Line],
        redemptions: Mapping[str, Redemption],
    ) -> set[str]:
        """Names the last line that each redemption has in the batch of some lines."""
        later: list[Key] = [
            (K.LINE, f"{line.redemption_id}/{number}")
            for line in lines
            if line.redemption_id in redemptions
            for number in range(_number_of(line) + 1, redemptions[line.redemption_id].lines + 1)
        ]
        found = await find_all(self._programmes, programme, list(dict.fromkeys(later)))
        batches = {line.batch for line in lines}
        last: dict[str, int] = {}
        for line in (*lines, *cast("list[Line]", found.values())):
            if line.batch in batches:
                number = max(_number_of(line), last.get(line.redemption_id, 0))
                last[line.redemption_id] = number
        return {f"{redemption_id}/{number}" for redemption_id, number in last.items()}


async def _page(look: _Look, wanted: Wanted, *, before: int, size: int) -> Page:
    """Fills a page with what is wanted, looking 20 times at most."""
    found: list[Redemption] = []
    for _ in range(LOOK_UPS_MAX):
        rows = await look(before)
        for sequence, redemption in rows:
            if redemption is not None and _fits(redemption, wanted):
                if len(found) == size:
                    return Page(tuple(found), before)
                found.append(redemption)
            before = sequence
        if len(rows) <= size:
            return Page(tuple(found), -1)
    return Page(tuple(found), before)


def _fits(redemption: Redemption, wanted: Wanted) -> bool:
    return (
        wanted.state in (0, redemption.state)
        and wanted.business_date in ("", redemption.business_date)
        and wanted.terminal in ("", redemption.terminal)
        and wanted.member_id in ("", redemption.member_id)
    )


def _number_of(line: Line) -> int:
    """Gives the number of a line among those of its redemption."""
    return int(line.line_id.rpartition("/")[2])
