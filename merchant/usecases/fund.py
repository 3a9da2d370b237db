"""The special fund: what came in, what may be promised, and what is spent beside settlement.

What moves money is noted first, then asked of the ledger with a request id made of what was noted,
then its answer is taken in. What a crash leaves between these is finished by the repeated call, or
by the closer.
"""

from __future__ import annotations

import asyncio
import functools
from typing import NamedTuple, cast

from merchant.domain.documents import Batch, Budget, Income, Merchant, Spending
from merchant.domain.fund_rules import (
    Decision,
    Paid,
    ProposeSpending,
    RecordIncome,
    SetBudget,
    approve_spending,
    finish_income,
    finish_spending,
    no_spending,
    propose_spending,
    record_income,
    reject_spending,
    set_budget,
)
from merchant.domain.fund_statements import FundStatement, Quarter, sum_up
from merchant.domain.settlement_rules import SETTLED
from merchant.domain.states import DocumentKind
from merchant.ledger_client import LedgerUnavailable
from merchant.money_client import Money
from merchant.usecases.programmes import Programme, Programmes, carry_out
from timebank.auth import Call
from timebank.errors import Reason, TimebankError

K = DocumentKind
PAGE_ROWS = 1_000
ATTEMPTS_MAX = 3
"""Times that a decision waits for an earlier yes to be paid."""


class Recorded(NamedTuple):
    """An income, and whether the call was a repetition."""

    income: Income
    replayed: bool = False


class Decided(NamedTuple):
    """A spending, and whether the call was a repetition."""

    spending: Spending
    replayed: bool = False


class Fund:
    """Incomes, budgets and spendings of a ledger."""

    def __init__(self, programmes: Programmes, money: Money) -> None:
        self._programmes = programmes
        self._money = money

    async def record_income(
        self, programme: Programme, command: RecordIncome, *, request_id: bytes, call: Call
    ) -> Recorded:
        """Records an income. Raises REQUEST_ID_REUSED, INCOME_EXISTS, OUTCOME_UNKNOWN."""
        answer = await carry_out(
            programme,
            functools.partial(record_income, command=command),
            call=call,
            request_id=request_id,
            said=command,
        )
        income = cast("Income", answer.document)
        replayed = answer.replayed or bool(income.entry)
        return Recorded(await self.receive(programme, income), replayed)

    async def receive(self, programme: Programme, income: Income) -> Income:
        """Enters an income in the ledger that is not there yet. Raises OUTCOME_UNKNOWN, and what
        the ledger declines with.
        """
        if income.entry:
            return income
        return await asyncio.shield(self._receive(programme, income))

    async def _receive(self, programme: Programme, income: Income) -> Income:
        name = f"income {income.income_id}"
        try:
            moved = await self._money.receive(programme.ledger, income)
        except LedgerUnavailable as error:
            raise _unknown(name) from error
        rule = functools.partial(
            finish_income,
            income_id=income.income_id,
            entry=moved.entry,
            recorded_us=moved.recorded_us,
        )
        answer = await carry_out(programme, rule)
        if moved.reason:
            raise TimebankError(Reason(moved.reason), moved.message)
        return cast("Income", answer.document)

    async def set_budget(
        self, programme: Programme, command: SetBudget, *, request_id: bytes, call: Call
    ) -> Budget:
        """Creates or changes a budget. Raises REQUEST_ID_REUSED, ETAG_MISMATCH."""
        answer = await carry_out(
            programme,
            functools.partial(set_budget, command=command),
            call=call,
            request_id=request_id,
            said=command,
        )
        return cast("Budget", answer.document)

    async def budget(self, programme: Programme, budget_id: str) -> Budget:
        """Reads a budget. Raises BUDGET_NOT_FOUND."""
        found = await self._programmes.find(programme, K.BUDGET, budget_id)
        if found is None:
            raise TimebankError(Reason.BUDGET_NOT_FOUND, f"no budget {budget_id}", budget=budget_id)
        return cast("Budget", found)

    async def propose(
        self, programme: Programme, command: ProposeSpending, *, request_id: bytes, call: Call
    ) -> Decided:
        """Proposes a spending. Raises REQUEST_ID_REUSED, SPENDING_EXISTS."""
        found = await self._programmes.find(programme, K.SPENDING, command.spending_id)
        answer = await carry_out(
            programme,
            functools.partial(propose_spending, command=command),
            call=call,
            request_id=request_id,
            said=command,
        )
        return Decided(cast("Spending", answer.document), answer.replayed or found is not None)

    async def approve(
        self, programme: Programme, command: Decision, *, request_id: bytes, call: Call
    ) -> Decided:
        """Approves a spending and pays it. Raises SPENDING_NOT_FOUND, REQUEST_ID_REUSED,
        FOUR_EYES_REQUIRED, SPENDING_STATE, INSUFFICIENT_BALANCE, OUTCOME_UNKNOWN.
        """
        found = await self._decide(programme, command, True, request_id=request_id, call=call)
        spending = await self.pay(programme, found.spending)
        if spending.declined == command.request:
            raise TimebankError(
                Reason(spending.reason), spending.message, spending=command.spending_id
            )
        return Decided(spending, found.replayed)

    async def reject(
        self, programme: Programme, command: Decision, *, request_id: bytes, call: Call
    ) -> Decided:
        """Rejects a spending. Raises SPENDING_NOT_FOUND, REQUEST_ID_REUSED, FOUR_EYES_REQUIRED,
        SPENDING_STATE, OUTCOME_UNKNOWN.
        """
        return await self._decide(programme, command, False, request_id=request_id, call=call)

    async def _decide(
        self,
        programme: Programme,
        command: Decision,
        approves: bool,
        *,
        request_id: bytes,
        call: Call,
    ) -> Decided:
        """Takes a decision; an earlier yes that the ledger has not paid yet is paid first."""
        rule = approve_spending if approves else reject_spending
        said = (approves, command.spending_id)
        for attempt in range(ATTEMPTS_MAX):
            try:
                answer = await carry_out(
                    programme,
                    functools.partial(rule, command=command),
                    call=call,
                    request_id=request_id,
                    said=said,
                )
                return Decided(cast("Spending", answer.document), answer.replayed)
            except TimebankError as error:
                if error.reason is not Reason.OUTCOME_UNKNOWN or attempt == ATTEMPTS_MAX - 1:
                    raise
            await self.pay(programme, await self.spending(programme, command.spending_id))
        raise AssertionError("the last attempt returns or raises")

    async def pay(self, programme: Programme, spending: Spending) -> Spending:
        """Asks the ledger to pay a spending with a second person's yes, if that is still to be
        done. Raises OUTCOME_UNKNOWN.
        """
        if not spending.paying:
            return spending
        return await asyncio.shield(self._pay(programme, spending))

    async def _pay(self, programme: Programme, spending: Spending) -> Spending:
        try:
            moved = await self._money.spend(programme.ledger, spending)
        except LedgerUnavailable as error:
            raise _unknown(f"spending {spending.spending_id}") from error
        answer = Paid(
            spending.spending_id,
            spending.paying,
            moved.entry,
            moved.recorded_us,
            moved.reason,
            moved.message,
        )
        written = await carry_out(programme, functools.partial(finish_spending, command=answer))
        return cast("Spending", written.document)

    async def spending(self, programme: Programme, spending_id: str) -> Spending:
        """Reads a spending. Raises SPENDING_NOT_FOUND."""
        found = await self._programmes.find(programme, K.SPENDING, spending_id)
        if found is None:
            raise no_spending(spending_id)
        return cast("Spending", found)

    async def spendings(
        self, programme: Programme, *, state: int, kind: int, before: int, size: int
    ) -> list[tuple[int, Spending]]:
        """Lists spendings before a sequence (-1: all), newest first, one more than a page."""
        found: list[tuple[int, Spending]] = []
        while len(found) <= size:
            rows = await self._programmes.listed(
                programme, K.SPENDING, "", after=before, newest_first=True, limit=PAGE_ROWS
            )
            for sequence, document in rows:
                spending = cast("Spending", document)
                if state in (0, spending.state) and kind in (0, spending.kind):
                    found.append((sequence, spending))
            if len(rows) < PAGE_ROWS:
                break
            before = rows[-1][0]
        return found[: size + 1]

    async def statement(self, programme: Programme, quarter: Quarter) -> FundStatement:
        """Sums a quarter up, or what is over of it; the ledger's times say what belongs to it."""
        ledger, is_over = programme.ledger, quarter.end_us <= self._programmes.clock.now_us()
        opening_fen, _ = await self._money.fund_balance(ledger, quarter.start_us)
        end_us = quarter.end_us if is_over else None
        closing_fen, log_size = await self._money.fund_balance(ledger, end_us)
        within = range(quarter.start_us, quarter.end_us)
        incomes = [
            income
            for income in cast("list[Income]", await self._all(programme, K.INCOME))
            if income.recorded_us in within
        ]
        spendings = [
            spending
            for spending in cast("list[Spending]", await self._all(programme, K.SPENDING))
            if spending.recorded_us in within
        ]
        settlement_fen = 0
        for document in await self._all(programme, K.MERCHANT):
            merchant = cast("Merchant", document)
            settlement_fen += await self._settled(programme, merchant.merchant_id, within)
        totals = sum_up(incomes, spendings)
        return FundStatement(opening_fen, *totals, settlement_fen, closing_fen, log_size)

    async def _settled(self, programme: Programme, merchant_id: str, within: range) -> int:
        """Sums what was settled for a merchant; its batches close one after the other."""
        fen, before = 0, -1
        while True:
            rows = await self._programmes.listed(
                *(programme, K.BATCH, merchant_id),
                after=before,
                newest_first=True,
                limit=PAGE_ROWS,
            )
            for sequence, document in rows:
                batch, before = cast("Batch", document), sequence
                if batch.settled_us in within:
                    fen += batch.net_fen
                if batch.state in SETTLED and batch.closed_us < within.start:
                    return fen
            if len(rows) < PAGE_ROWS:
                return fen

    async def _all(self, programme: Programme, kind: DocumentKind) -> list[object]:
        """Reads all documents of a kind that stands in one list."""
        found: list[object] = []
        after = -1
        while rows := await self._programmes.listed(
            programme, kind, "", after=after, limit=PAGE_ROWS
        ):
            found.extend(document for _, document in rows)
            after = rows[-1][0]
        return found


def _unknown(name: str) -> TimebankError:
    return TimebankError(
        Reason.OUTCOME_UNKNOWN,
        f"the ledger has not entered {name} yet: repeat the call with the same request id",
    )
