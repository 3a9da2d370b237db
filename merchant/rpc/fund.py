"""FundService: incomes, budgets, spendings, and the statement of a quarter."""

from __future__ import annotations

from typing import Any, cast

import grpc.aio

from merchant.domain.documents import Budget, Document
from merchant.domain.fund_rules import Decision
from merchant.domain.fund_statements import quarter_of
from merchant.domain.states import DocumentKind
from merchant.names import budget_from_name, ledger_id_from_name, spending_from_name
from merchant.usecases.fund import Fund
from merchant.usecases.listings import page_by_id
from merchant.usecases.programmes import Programme, Programmes
from merchant.wire_fund import (
    any_value,
    budget_from_wire,
    budget_to_wire,
    income_from_wire,
    income_to_wire,
    spending_from_wire,
    spending_to_wire,
    statement_to_wire,
)
from timebank.auth import current_actor, current_call, current_principal
from timebank.ids import uuid_bytes
from timebank.merchant.v1 import fund_pb2, fund_service_pb2
from timebank.merchant.v1.fund_service_pb2_grpc import FundServiceServicer
from timebank.paging import page_number, page_position, page_size_of, page_token

Context = grpc.aio.ServicerContext[Any, Any]


class FundRpcs(FundServiceServicer):
    """FundService."""

    def __init__(self, programmes: Programmes, fund: Fund) -> None:
        self._programmes = programmes
        self._fund = fund

    async def RecordIncome(
        self, request: fund_service_pb2.RecordIncomeRequest, context: Context
    ) -> fund_pb2.Income:
        """Records an income."""
        ledger_id, request_id = ledger_id_from_name(request.parent), uuid_bytes(request.request_id)
        command = income_from_wire(request.income_id, request.income)
        programme = await self._programme(ledger_id)
        recorded = await self._fund.record_income(
            programme, command, request_id=request_id, call=current_call()
        )
        return income_to_wire(ledger_id, recorded.income, replayed=recorded.replayed)

    async def SetBudget(
        self, request: fund_service_pb2.SetBudgetRequest, context: Context
    ) -> fund_pb2.Budget:
        """Creates or changes a budget."""
        ledger_id, budget_id = budget_from_name(request.budget.name, "budget.name")
        request_id = uuid_bytes(request.request_id)
        command = budget_from_wire(budget_id, request.budget)
        programme = await self._programme(ledger_id)
        budget = await self._fund.set_budget(
            programme, command, request_id=request_id, call=current_call()
        )
        return budget_to_wire(ledger_id, budget)

    async def GetBudget(
        self, request: fund_service_pb2.GetBudgetRequest, context: Context
    ) -> fund_pb2.Budget:
        """Reads a budget."""
        ledger_id, budget_id = budget_from_name(request.name)
        programme = await self._programme(ledger_id)
        return budget_to_wire(ledger_id, await self._fund.budget(programme, budget_id))

    async def ListBudgets(
        self, request: fund_service_pb2.ListBudgetsRequest, context: Context
    ) -> fund_service_pb2.ListBudgetsResponse:
        """Lists budgets by id."""
        ledger_id, size = ledger_id_from_name(request.parent), page_size_of(request.page_size)
        key = ("budgets", ledger_id)
        after = page_position(request.page_token, *key)
        page = await page_by_id(
            self._programmes,
            await self._programme(ledger_id),
            DocumentKind.BUDGET,
            parent=None,
            after=after,
            size=size,
            wanted=_any,
        )
        found = [budget_to_wire(ledger_id, cast("Budget", item)) for item in page.documents]
        token = page_token(page.next_after, *key) if page.next_after else ""
        return fund_service_pb2.ListBudgetsResponse(budgets=found, next_page_token=token)

    async def ProposeSpending(
        self, request: fund_service_pb2.ProposeSpendingRequest, context: Context
    ) -> fund_pb2.Spending:
        """Proposes a spending."""
        ledger_id, request_id = ledger_id_from_name(request.parent), uuid_bytes(request.request_id)
        command = spending_from_wire(request.spending_id, request.spending, current_actor())
        programme = await self._programme(ledger_id)
        proposed = await self._fund.propose(
            programme, command, request_id=request_id, call=current_call()
        )
        return spending_to_wire(ledger_id, proposed.spending, replayed=proposed.replayed)

    async def ApproveSpending(
        self, request: fund_service_pb2.ApproveSpendingRequest, context: Context
    ) -> fund_pb2.Spending:
        """Approves a spending, and pays it."""
        ledger_id, spending_id = spending_from_name(request.name)
        request_id = uuid_bytes(request.request_id)
        programme = await self._programme(ledger_id)
        command = Decision(spending_id, current_actor(), request_id.hex())
        decided = await self._fund.approve(
            programme, command, request_id=request_id, call=current_call()
        )
        return spending_to_wire(ledger_id, decided.spending, replayed=decided.replayed)

    async def RejectSpending(
        self, request: fund_service_pb2.RejectSpendingRequest, context: Context
    ) -> fund_pb2.Spending:
        """Rejects a spending."""
        ledger_id, spending_id = spending_from_name(request.name)
        request_id = uuid_bytes(request.request_id)
        programme = await self._programme(ledger_id)
        command = Decision(spending_id, current_actor(), request_id.hex())
        decided = await self._fund.reject(
            programme, command, request_id=request_id, call=current_call()
        )
        return spending_to_wire(ledger_id, decided.spending, replayed=decided.replayed)

    async def GetSpending(
        self, request: fund_service_pb2.GetSpendingRequest, context: Context
    ) -> fund_pb2.Spending:
        """Reads a spending."""
        ledger_id, spending_id = spending_from_name(request.name)
        programme = await self._programme(ledger_id)
        return spending_to_wire(ledger_id, await self._fund.spending(programme, spending_id))

    async def ListSpendings(
        self, request: fund_service_pb2.ListSpendingsRequest, context: Context
    ) -> fund_service_pb2.ListSpendingsResponse:
        """Lists spendings, newest first."""
        ledger_id, size = ledger_id_from_name(request.parent), page_size_of(request.page_size)
        state = any_value("state", request.state, fund_pb2.Spending.State.values())
        kind = any_value("kind", request.kind, fund_pb2.Spending.Kind.values())
        key = ("spendings", ledger_id, state, kind)
        before = page_number(request.page_token, *key, first=-1)
        found = await self._fund.spendings(
            await self._programme(ledger_id), state=state, kind=kind, before=before, size=size
        )
        token = page_token(str(found[size - 1][0]), *key) if len(found) > size else ""
        return fund_service_pb2.ListSpendingsResponse(
            spendings=[spending_to_wire(ledger_id, spending) for _, spending in found[:size]],
            next_page_token=token,
        )

    async def GetFundStatement(
        self, request: fund_service_pb2.GetFundStatementRequest, context: Context
    ) -> fund_pb2.FundStatement:
        """Reads the statement of a quarter."""
        programme = await self._programme(ledger_id_from_name(request.parent))
        quarter = quarter_of(request.year, request.quarter, zone=programme.zone)
        return statement_to_wire(quarter, await self._fund.statement(programme, quarter))

    async def _programme(self, ledger_id: str) -> Programme:
        return await self._programmes.programme(ledger_id, current_principal())


async def _any(_: Document) -> bool:
    """Wants every document."""
    return True
