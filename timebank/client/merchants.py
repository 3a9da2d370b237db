"""The client of merchants' administration: merchants, tills, offers, budgets, payment codes.

Owns: asking; what is asked about merchants themselves stands in `timebank.client.merchant_terms`.
Rules: a thing is given by its id or its resource name; what changes carries a request id, so that a
repeated call changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import grpc.aio

from timebank.channels import TlsFiles, open_channel
from timebank.client.calls import TIMEOUT_S, Caller, Repetition
from timebank.client.kinds import kind_to_wire
from timebank.client.merchant_answers import (
    INCOME_SOURCES,
    UNITS,
    budget_from_wire,
    income_from_wire,
    offer_from_wire,
    payment_code_from_wire,
    terminal_from_wire,
)
from timebank.client.merchant_terms import MerchantTerms
from timebank.client.merchant_views import (
    BudgetView,
    IncomeSource,
    IncomeView,
    OfferView,
    PaymentCodeView,
    TerminalView,
)
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import (
    fund_pb2,
    fund_service_pb2,
    merchant_pb2,
    merchant_service_pb2,
    redemption_service_pb2,
)
from timebank.merchant.v1.fund_service_pb2_grpc import FundServiceStub
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub
from timebank.units import Unit

if TYPE_CHECKING:
    from timebank.merchant.v1.fund_service_pb2_grpc import FundServiceAsyncStub
    from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceAsyncStub

_UNIT_NUMBERS = {unit: number for number, unit in UNITS.items()}


class MerchantClient(MerchantTerms):
    """A connection to a server, for the merchants of one ledger."""

    def __init__(self, channel: grpc.aio.Channel, *, ledger: str, call: Caller) -> None:
        """Takes an open channel; leaving the block closes it."""
        super().__init__(channel, ledger=ledger, call=call)
        self._fund_stub = cast("FundServiceAsyncStub", FundServiceStub(channel))
        self._redemption_stub = cast("RedemptionServiceAsyncStub", RedemptionServiceStub(channel))

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        ledger: str,
        token: str | Callable[[], str] | None = None,
        tls: TlsFiles | None = None,
        timeout_s: float = TIMEOUT_S,
        repetition: Repetition | None = None,
    ) -> Self:
        """Makes a client of the server at `host:port`; nothing is sent before the first call.

        Raises VALIDATION_FAILED when a TLS file cannot be read.
        """
        call = Caller(token=token, timeout_s=timeout_s, repetition=repetition)
        return cls(open_channel(address, tls=tls), ledger=ledger, call=call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def create_terminal(
        self,
        merchant: str,
        terminal_id: str,
        *,
        display_name: str,
        location: str = "",
        points_per_transaction_max: int = 0,
        request_id: str = "",
    ) -> TerminalView:
        """Registers a till; the answer holds the code with which it enrols.

        Raises TimebankError: VALIDATION_FAILED, MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE,
        TERMINAL_EXISTS, SCOPE_MISSING.
        """
        request = merchant_service_pb2.CreateTerminalRequest(
            parent=self.merchant(merchant),
            request_id=request_id or new_request_id(),
            terminal_id=terminal_id,
            terminal=merchant_pb2.Terminal(
                display_name=display_name,
                location=location,
                points_per_transaction_max=points_per_transaction_max,
            ),
        )
        return terminal_from_wire(await self._call(self._stub.CreateTerminal, request))

    async def renew_enrolment(self, terminal: str, *, request_id: str = "") -> TerminalView:
        """Makes another enrolment code. Raises TimebankError: TERMINAL_NOT_FOUND, SCOPE_MISSING."""
        request = merchant_service_pb2.RenewEnrolmentRequest(
            name=terminal, request_id=request_id or new_request_id()
        )
        return terminal_from_wire(await self._call(self._stub.RenewEnrolment, request))

    async def suspend_terminal(self, terminal: str, *, request_id: str = "") -> TerminalView:
        """Suspends a till, by its resource name, that is lost or out of use.

        Raises TimebankError: TERMINAL_NOT_FOUND, SCOPE_MISSING.
        """
        request = merchant_service_pb2.SuspendTerminalRequest(
            name=terminal, request_id=request_id or new_request_id()
        )
        return terminal_from_wire(await self._call(self._stub.SuspendTerminal, request))

    async def create_offer(
        self,
        merchant: str,
        offer_id: str,
        *,
        title: str,
        unit: Unit = Unit.POINTS,
        price: int = 0,
        cash_fen: int = 0,
        stock: int | None = None,
        description: str = "",
        request_id: str = "",
    ) -> OfferView:
        """Adds an offer: whole points, or minutes of TIME; price 0: the till says the amount.

        Raises TimebankError: VALIDATION_FAILED, MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE,
        OFFER_EXISTS, MOVEMENT_NOT_ALLOWED, SCOPE_MISSING.
        """
        if unit not in _UNIT_NUMBERS:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"unit: expected POINTS or TIME, got {unit.name}",
                field="unit",
            )
        request = merchant_service_pb2.CreateOfferRequest(
            parent=self.merchant(merchant),
            request_id=request_id or new_request_id(),
            offer_id=offer_id,
            offer=merchant_pb2.Offer(
                title=title,
                description=description,
                unit=merchant_pb2.Unit.ValueType(_UNIT_NUMBERS[unit]),
                price=price,
                cash_fen=cash_fen,
                stock=stock,
            ),
        )
        return offer_from_wire(await self._call(self._stub.CreateOffer, request))

    def list_offers(
        self, merchant: str = "-", *, redeemable: bool = False, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[OfferView]:
        """Yields offers by merchant and id; `-`: of all merchants."""

        async def read(token: str) -> Page[OfferView]:
            request = merchant_service_pb2.ListOffersRequest(
                parent=self.merchant(merchant),
                page_size=page_size,
                page_token=token,
                redeemable=redeemable,
            )
            response = await self._call(self._stub.ListOffers, request)
            return map(offer_from_wire, response.offers), response.next_page_token

        return pages(read)

    async def set_budget(
        self,
        budget: str,
        *,
        display_name: str,
        limit_fen: int,
        etag: str = "",
        request_id: str = "",
    ) -> BudgetView:
        """Creates a budget or changes it; what is reserved stays reserved.

        Raises TimebankError: VALIDATION_FAILED, LEDGER_NOT_FOUND, ETAG_MISMATCH.
        """
        request = fund_service_pb2.SetBudgetRequest(
            budget=fund_pb2.Budget(
                name=self.budget(budget),
                display_name=display_name,
                limit_fen=limit_fen,
                etag=etag,
            ),
            request_id=request_id or new_request_id(),
        )
        return budget_from_wire(await self._call(self._fund_stub.SetBudget, request))

    def list_budgets(self, *, page_size: int = PAGE_SIZE) -> AsyncIterator[BudgetView]:
        """Yields budgets by id."""

        async def read(token: str) -> Page[BudgetView]:
            request = fund_service_pb2.ListBudgetsRequest(
                parent=self._names.ledger, page_size=page_size, page_token=token
            )
            response = await self._call(self._fund_stub.ListBudgets, request)
            return map(budget_from_wire, response.budgets), response.next_page_token

        return pages(read)

    async def record_income(
        self,
        income_id: str,
        *,
        source: IncomeSource,
        amount_fen: int,
        reference: str,
        earmark: str = "",
        request_id: str = "",
    ) -> IncomeView:
        """Records money that came into the special fund; `reference` is the bank's or donor's.

        Raises TimebankError: VALIDATION_FAILED, LEDGER_NOT_FOUND, INCOME_EXISTS, OUTCOME_UNKNOWN.
        """
        number = kind_to_wire(INCOME_SOURCES, "SOURCE_", source)
        request = fund_service_pb2.RecordIncomeRequest(
            parent=self._names.ledger,
            request_id=request_id or new_request_id(),
            income_id=income_id,
            income=fund_pb2.Income(
                source=fund_pb2.Income.Source.ValueType(number),
                amount_fen=amount_fen,
                earmark=earmark,
                reference=reference,
            ),
        )
        return income_from_wire(await self._call(self._fund_stub.RecordIncome, request))

    async def issue_payment_code(
        self, member: str, *, device: str, request_id: str = ""
    ) -> PaymentCodeView:
        """Issues a payment code for a member; the code before it is void.

        Raises TimebankError: MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE, RATE_LIMITED, SCOPE_MISSING.
        """
        request = redemption_service_pb2.IssuePaymentCodeRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            device=device,
        )
        answer = await self._call(self._redemption_stub.IssuePaymentCode, request)
        return payment_code_from_wire(answer)
