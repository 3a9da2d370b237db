"""Settlements: closing business days and recording what was paid for them.

Each step of a batch is a transaction of its own, and the batch says how far it is, so whoever finds
one half-way goes on; a kill -9 at any point loses and doubles nothing:
- while it is OPEN, pages of lines join it, each with the batch's sums in one transaction; who comes
  later looks through what is unsettled again, where joined lines no longer are;
- in CLOSING nothing about its lines changes: the file's digest is computed of them anew, and the
  ledger is asked with the same request id, which gives the same answer;
- one transaction writes digest, signature and entry, and lets the merchant's next batch begin;
- a payout is noted first, then asked of the ledger with a request id made of the batch.
"""

from __future__ import annotations

import asyncio
import functools
from typing import NamedTuple, cast

from merchant.domain.closing_dates import first_open_date, last_over_date
from merchant.domain.documents import Batch, Merchant, Redemption
from merchant.domain.redemption_effects import LIVE
from merchant.domain.settlement_rules import (
    BatchState,
    CloseBatch,
    OpenBatch,
    RecordPayout,
    batch_id_of,
    begin_payout,
    check_closed,
    close_batch,
    count_attempt,
    finish_payout,
    fix_batch,
    leave,
    no_batch,
    no_merchant,
    open_batch,
)
from merchant.domain.states import DocumentKind, MerchantState
from merchant.ledger_client import LedgerUnavailable
from merchant.money_client import Money, Moved
from merchant.usecases.batch_files import BatchFiles
from merchant.usecases.programmes import Programme, Programmes, carry_out
from merchant.usecases.unsettled_lines import UnsettledLines
from timebank.auth import Call
from timebank.errors import Reason, TimebankError

K = DocumentKind
ATTEMPTS_MAX = 5
"""Times that a call finds another batch under way before it gives up."""
SEQUENCES_MAX = 10_000
"""Most batches of one business day."""
HOLD_LIFE_US = 37 * 3_600_000_000
"""Older redemptions hold nothing any more: the limit of 36 hours, and an hour for the sweeper."""
REDEMPTIONS_PAGE = 500


class Settlement(NamedTuple):
    """A batch, and whether the call was a repetition."""

    batch: Batch
    replayed: bool = False


class Settlements:
    """The life of batches."""

    def __init__(self, programmes: Programmes, money: Money, files: BatchFiles) -> None:
        self._programmes = programmes
        self._money = money
        self._files = files
        self._lines = UnsettledLines(programmes)
        self._closing: dict[tuple[int, str], asyncio.Lock] = {}

    async def close(
        self,
        programme: Programme,
        merchant_id: str,
        business_date: str,
        *,
        request_id: bytes = b"",
        call: Call | None = None,
    ) -> Settlement:
        """Closes a business day. A client that goes away does not stop it.

        Raises MERCHANT_NOT_FOUND, VALIDATION_FAILED, REQUEST_ID_REUSED, FUND_EXHAUSTED,
        OUTCOME_UNKNOWN.
        """
        closing = self._close(programme, merchant_id, business_date, request_id, call)
        return await asyncio.shield(closing)

    async def _close(
        self,
        programme: Programme,
        merchant_id: str,
        business_date: str,
        request_id: bytes,
        call: Call | None,
    ) -> Settlement:
        lock = self._closing.setdefault((programme.ledger_no, merchant_id), asyncio.Lock())
        async with lock:
            began = await self._begin(programme, merchant_id, business_date, request_id, call)
            batch = await self._drive(programme, began.batch)
            if not began.replayed:
                await self._close_rest(programme, merchant_id, business_date)
            await self._leave(programme, merchant_id)
        return Settlement(batch, began.replayed)

    async def _close_rest(self, programme: Programme, merchant_id: str, date: str) -> None:
        """Closes what has another rate, or is too much for one file, as the next sequences."""
        for _ in range(SEQUENCES_MAX):
            if await self._lines.rate_of_next(programme, merchant_id, date) is None:
                return
            began = await self._begin(programme, merchant_id, date, b"", None)
            await self._drive(programme, began.batch)

    async def _begin(
        self,
        programme: Programme,
        merchant_id: str,
        business_date: str,
        request_id: bytes,
        call: Call | None,
    ) -> Settlement:
        """Begins a batch, or finds the last one of the day; one under way is closed first."""
        for attempt in range(ATTEMPTS_MAX):
            merchant = await self.merchant(programme, merchant_id)
            if attempt and merchant.open_batch:
                await self._drive(programme, await self.find(programme, merchant.open_batch))
                merchant = await self.merchant(programme, merchant_id)
            rate = await self._lines.rate_of_next(programme, merchant_id, business_date)
            sequence = await self._next_sequence(programme, merchant_id, business_date)
            command = OpenBatch(
                merchant_id, business_date, sequence, rate, merchant.batches, programme.zone
            )
            try:
                answer = await carry_out(
                    programme,
                    functools.partial(open_batch, command=command),
                    call=call,
                    request_id=request_id,
                    said=("close", merchant_id, business_date),
                    hints=((K.MERCHANT, merchant_id),),
                )
            except TimebankError as error:
                if error.reason is not Reason.OUTCOME_UNKNOWN or attempt == ATTEMPTS_MAX - 1:
                    raise
                continue
            batch = cast("Batch", answer.document)
            return Settlement(batch, answer.replayed or batch.sequence < sequence)
        raise AssertionError("the last attempt returns or raises")

    async def _next_sequence(
        self, programme: Programme, merchant_id: str, business_date: str
    ) -> int:
        for sequence in range(1, SEQUENCES_MAX):
            name = batch_id_of(merchant_id, business_date, sequence)
            if await self._programmes.find(programme, K.BATCH, name) is None:
                return sequence
        raise TimebankError(
            Reason.BATCH_TOO_LARGE, f"{business_date} has {SEQUENCES_MAX} batches already"
        )

    async def _drive(self, programme: Programme, batch: Batch) -> Batch:
        """Closes a batch from wherever it is. Raises FUND_EXHAUSTED, OUTCOME_UNKNOWN."""
        if batch.state == BatchState.OPEN:
            await self._lines.collect(programme, batch, await self._merchant_of(programme, batch))
            rule = functools.partial(fix_batch, batch_id=batch.batch_id)
            batch = cast("Batch", (await carry_out(programme, rule)).document)
        if batch.state == BatchState.CLOSING:
            batch = await self._settle(programme, batch)
        return batch

    async def _settle(self, programme: Programme, batch: Batch) -> Batch:
        merchant = await self._merchant_of(programme, batch)
        sha256, shares = await self._files.digest(programme, batch)
        try:
            moved = await self._money.settle(programme.ledger, batch, merchant)
        except LedgerUnavailable as error:
            raise _unknown(batch) from error
        if moved.reason:
            await self._declined(programme, batch, moved)
        jws = self._files.sign(sha256)
        command = CloseBatch(batch.batch_id, sha256, jws, moved.entry, moved.recorded_us, shares)
        answer = await carry_out(programme, functools.partial(close_batch, command=command))
        return cast("Batch", answer.document)

    async def _declined(self, programme: Programme, batch: Batch, moved: Moved) -> None:
        """Says why the ledger declined; the next try is a new question."""
        batch_id, attempts = batch.batch_id, batch.attempts
        rule = functools.partial(count_attempt, batch_id=batch_id, attempts=attempts)
        await carry_out(programme, rule)
        if moved.reason != Reason.INSUFFICIENT_BALANCE:
            raise TimebankError(Reason(moved.reason), moved.message, batch=batch_id)
        if await self._money.is_fund(programme.ledger, moved.account):
            raise TimebankError(
                Reason.FUND_EXHAUSTED,
                f"the fund has less than the {batch.net_fen} fen of batch {batch_id}: record an"
                " income, then close the day again",
                batch=batch_id,
            )
        # A refund was entered in the ledger whose line is not here yet.
        raise _unknown(batch)

    async def _leave(self, programme: Programme, merchant_id: str) -> None:
        """Ends the exit of a merchant when nothing is unsettled and nothing held any more."""
        merchant = await self.merchant(programme, merchant_id)
        if merchant.state is MerchantState.LEAVING and await self._is_done(programme, merchant):
            await carry_out(programme, functools.partial(leave, merchant_id=merchant_id))

    async def _is_done(self, programme: Programme, merchant: Merchant) -> bool:
        merchant_id, before = merchant.merchant_id, -1
        if merchant.open_batch or not await self._lines.are_settled(programme, merchant_id):
            return False
        since_us = self._programmes.clock.now_us() - HOLD_LIFE_US
        while True:
            rows = await self._programmes.listed(
                *(programme, K.REDEMPTION, merchant_id),
                after=before,
                newest_first=True,
                limit=REDEMPTIONS_PAGE,
            )
            for sequence, document in rows:
                redemption, before = cast("Redemption", document), sequence
                if redemption.pending is not None or redemption.state in LIVE:
                    return False
                if redemption.created_us < since_us:
                    return True
            if not rows:
                return True

    async def leave(self, programme: Programme, merchant_id: str) -> Merchant:
        """Lets a merchant that leaves go at once, if nothing is left to settle."""
        await self._leave(programme, merchant_id)
        return await self.merchant(programme, merchant_id)

    async def close_due(self, programme: Programme, merchant: Merchant, days_max: int) -> int:
        """Finishes a batch under way and closes the days that are due, at most so many; gives how
        many it closed.
        """
        merchant_id, closed = merchant.merchant_id, 0
        if merchant.open_batch:
            await asyncio.shield(self._resume(programme, merchant_id))
            merchant = await self.merchant(programme, merchant_id)
        while closed < days_max and (date := await self._due_date(programme, merchant)):
            await self.close(programme, merchant_id, date)
            merchant = await self.merchant(programme, merchant_id)
            closed += 1
        return closed

    async def _due_date(self, programme: Programme, merchant: Merchant) -> str:
        """Gives the business date that is to be closed next; empty: none is due yet. A merchant
        that has left has one as long as something is unsettled.
        """
        over = last_over_date(merchant, programme.zone, self._programmes.clock.now_us())
        if merchant.state is MerchantState.LEFT:
            rate = await self._lines.rate_of_next(programme, merchant.merchant_id, over)
            return "" if rate is None else over
        due = first_open_date(merchant, programme.zone)
        return due if due <= over else ""

    async def _resume(self, programme: Programme, merchant_id: str) -> None:
        lock = self._closing.setdefault((programme.ledger_no, merchant_id), asyncio.Lock())
        async with lock:
            merchant = await self.merchant(programme, merchant_id)
            if merchant.open_batch:
                await self._drive(programme, await self.find(programme, merchant.open_batch))

    async def pay_out(
        self, programme: Programme, command: RecordPayout, *, request_id: bytes, call: Call
    ) -> Settlement:
        """Records that a batch was paid. Raises BATCH_NOT_FOUND, REQUEST_ID_REUSED, BATCH_STATE,
        VALIDATION_FAILED, OUTCOME_UNKNOWN.
        """
        answer = await carry_out(
            programme,
            functools.partial(begin_payout, command=command),
            call=call,
            request_id=request_id,
            said=command,
            hints=((K.BATCH, command.batch_id),),
        )
        batch = cast("Batch", answer.document)
        if batch.state == BatchState.PAID:
            return Settlement(batch, replayed=True)
        return Settlement(await self.pay(programme, batch), answer.replayed)

    async def pay(self, programme: Programme, batch: Batch) -> Batch:
        """Enters a payment that was noted in the ledger. Raises OUTCOME_UNKNOWN, and what the
        ledger declines with.
        """
        return await asyncio.shield(self._pay(programme, batch))

    async def _pay(self, programme: Programme, batch: Batch) -> Batch:
        merchant = await self._merchant_of(programme, batch)
        try:
            moved = await self._money.pay_out(programme.ledger, batch, merchant)
        except LedgerUnavailable as error:
            raise _unknown(batch) from error
        if moved.reason:
            batch_id, attempts = batch.batch_id, batch.attempts
            rule = functools.partial(count_attempt, batch_id=batch_id, attempts=attempts)
            await carry_out(programme, rule)
            raise TimebankError(Reason(moved.reason), moved.message, batch=batch_id)
        finish = functools.partial(finish_payout, batch_id=batch.batch_id, entry=moved.entry)
        return cast("Batch", (await carry_out(programme, finish)).document)

    async def find(self, programme: Programme, batch_id: str) -> Batch:
        """Reads a batch. Raises BATCH_NOT_FOUND."""
        found = await self._programmes.find(programme, K.BATCH, batch_id)
        if found is None:
            raise no_batch(batch_id)
        return cast("Batch", found)

    async def find_closed(self, programme: Programme, batch_id: str) -> Batch:
        """Reads a batch that has a file. Raises BATCH_NOT_FOUND, BATCH_STATE."""
        batch = await self.find(programme, batch_id)
        check_closed(batch)
        return batch

    async def _merchant_of(self, programme: Programme, batch: Batch) -> Merchant:
        return await self.merchant(programme, batch.batch_id.partition("/")[0])

    async def merchant(self, programme: Programme, merchant_id: str) -> Merchant:
        """Reads a merchant. Raises MERCHANT_NOT_FOUND."""
        found = await self._programmes.find(programme, K.MERCHANT, merchant_id)
        if found is None:
            raise no_merchant(merchant_id)
        return cast("Merchant", found)


def _unknown(batch: Batch) -> TimebankError:
    return TimebankError(
        Reason.OUTCOME_UNKNOWN,
        f"the ledger has not settled batch {batch.batch_id} yet: repeat the call with the same"
        " request id",
        batch=batch.batch_id,
    )
