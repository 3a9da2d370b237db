"""Lists of batches and work items, of one merchant or of all, and a merchant's statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from merchant.domain.business_days import business_day, business_day_of
from merchant.domain.calendars import calendar_of_merchant
from merchant.domain.documents import Batch, Document, Item, Merchant, Redemption
from merchant.domain.places import items_of
from merchant.domain.states import DocumentKind
from merchant.money_client import Money, Movement
from merchant.usecases.programmes import Programme, Programmes

K = DocumentKind
Row = tuple[int, Document]


class Filter(NamedTuple):
    """Which batches or items are wanted; empty: any. `resolved` is for items alone."""

    kind: str = ""
    first_date: str = ""
    last_date: str = ""
    owner: str = ""
    resolved: bool = False


class StatementLine(NamedTuple):
    """A movement of a merchant's account, with what it belongs to and the balance after it."""

    movement: Movement
    business_date: str
    balance: int
    redemption: Redemption | None = None
    batch: Batch | None = None


class Statement(NamedTuple):
    """A page of a statement; `next_us` 0: it is the last one."""

    opening: int
    closing: int
    lines: tuple[StatementLine, ...]
    next_us: int


class SettlementLists:
    """What is read about settlement."""

    def __init__(self, programmes: Programmes, money: Money) -> None:
        self._programmes = programmes
        self._money = money

    async def batches(
        self,
        programme: Programme,
        merchant_ids: Sequence[str],
        wanted: Filter,
        *,
        before: int,
        size: int,
    ) -> list[tuple[int, Batch]]:
        """Lists batches before a sequence (-1: all), newest first, one more than a page."""

        def fits(document: Document) -> bool:
            batch = cast("Batch", document)
            return wanted.kind in ("", batch.state) and _is_within(batch.business_date, wanted)

        rows = await self._merged(
            programme, K.BATCH, merchant_ids, fits, after=before, newest_first=True, size=size
        )
        return cast("list[tuple[int, Batch]]", rows)

    async def items(
        self,
        programme: Programme,
        merchant_ids: Sequence[str],
        wanted: Filter,
        *,
        after: int,
        size: int,
    ) -> list[tuple[int, Item]]:
        """Lists items after a sequence (-1: all), oldest first, one more than a page."""

        def fits(document: Document) -> bool:
            item = cast("Item", document)
            return (
                wanted.kind in ("", item.outcome)
                and wanted.owner in ("", item.owner)
                and _is_within(item.business_date, wanted)
            )

        lists = [items_of(merchant_id, resolved=wanted.resolved) for merchant_id in merchant_ids]
        rows = await self._merged(
            programme, K.ITEM, lists, fits, after=after, newest_first=False, size=size
        )
        return cast("list[tuple[int, Item]]", rows)

    async def _merged(
        self,
        programme: Programme,
        kind: DocumentKind,
        lists: Sequence[str],
        fits: Callable[[Document], bool],
        *,
        after: int,
        newest_first: bool,
        size: int,
    ) -> list[Row]:
        """Merges lists of merchants by their sequences, which are those of the programme."""
        found: list[Row] = []
        for parent in lists:
            found += await self._fitting(
                programme,
                kind,
                parent,
                fits,
                after=after,
                newest_first=newest_first,
                size=size,
            )
            found.sort(key=lambda row: row[0], reverse=newest_first)
            del found[size + 1 :]
        return found

    async def _fitting(
        self,
        programme: Programme,
        kind: DocumentKind,
        parent: str,
        fits: Callable[[Document], bool],
        *,
        after: int,
        newest_first: bool,
        size: int,
    ) -> list[Row]:
        found: list[Row] = []
        while len(found) <= size:
            rows = await self._programmes.listed(
                *(programme, kind, parent),
                after=after,
                newest_first=newest_first,
                limit=size + 1,
            )
            found += [row for row in rows if fits(row[1])]
            if len(rows) <= size:
                break
            after = rows[-1][0]
        return found[: size + 1]

    async def statement(
        self,
        programme: Programme,
        merchant: Merchant,
        account: str,
        *,
        dates: tuple[str, str],
        after_us: int,
        size: int,
    ) -> Statement:
        """Reads the movements of a merchant's account in some business days, oldest first, after
        a moment (0: all), with balances, as the ledger has them.
        """
        calendar = calendar_of_merchant(merchant, programme.zone)
        start_us = business_day(dates[0], calendar).start_us
        end_us = business_day(dates[1], calendar).end_us
        ledger = programme.ledger
        opening = await self._money.balance(ledger, account, start_us)
        closing = await self._money.balance(ledger, account, end_us)
        from_us = max(start_us, after_us + 1)
        movements = await self._money.movements(
            ledger, account, start_us=from_us, end_us=end_us, limit=size + 1
        )
        balance = opening
        if movements and after_us:
            balance = await self._money.balance(ledger, account, from_us)
        lines = []
        for movement in movements[:size]:
            balance += movement.amount
            day = business_day_of(movement.recorded_us, calendar).date
            line = StatementLine(movement, day, balance)
            lines.append(await self._explained(programme, merchant.merchant_id, line))
        next_us = movements[size - 1].recorded_us if len(movements) > size else 0
        return Statement(opening, closing, tuple(lines), next_us)

    async def _explained(
        self, programme: Programme, merchant_id: str, line: StatementLine
    ) -> StatementLine:
        """Adds the redemption or batch that a movement's natural key names."""
        owner, _, own_id = line.movement.natural_key.partition("/")
        if owner != merchant_id:
            return line
        name = f"{owner}/{own_id.partition('/')[0]}"
        if line.movement.kind == "SETTLEMENT":
            batch = await self._programmes.find(programme, K.BATCH, name)
            return line._replace(batch=cast("Batch | None", batch))
        redemption = await self._programmes.find(programme, K.REDEMPTION, name)
        return line._replace(redemption=cast("Redemption | None", redemption))


def _is_within(business_date: str, wanted: Filter) -> bool:
    if wanted.first_date and business_date < wanted.first_date:
        return False
    return not wanted.last_date or business_date <= wanted.last_date
