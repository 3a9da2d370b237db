"""The methods about merchants themselves: registering, reading, their terms, and where they stand.

Owns: what the groups of methods about a ledger's merchants share. Rules: an `etag` given makes a
change fail with ETAG_MISMATCH when the merchant changed meanwhile; read it again and decide anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask

from timebank.client.calls import Caller
from timebank.client.kinds import kind_to_wire
from timebank.client.merchant_answers import merchant_from_wire
from timebank.client.merchant_views import MerchantCategory, MerchantView
from timebank.client.names import Names
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import merchant_pb2, merchant_service_pb2
from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceStub

if TYPE_CHECKING:
    from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceAsyncStub

_CATEGORY_NUMBERS = dict(merchant_pb2.Merchant.Category.items())
_NO_CATEGORY = merchant_pb2.Merchant.CATEGORY_UNSPECIFIED


class MerchantTerms:
    """Merchants of one ledger, on a channel that is open."""

    def __init__(self, channel: grpc.aio.Channel, *, ledger: str, call: Caller) -> None:
        self._channel = channel
        self._names = Names(ledger)
        self._call = call
        self._stub = cast("MerchantServiceAsyncStub", MerchantServiceStub(channel))

    def merchant(self, merchant: str) -> str:
        """Gives the name of a merchant; `-` is all of them."""
        return self._below("merchants", merchant)

    def budget(self, budget: str) -> str:
        """Gives the name of a budget; nothing stays nothing."""
        return self._below("budgets", budget) if budget else ""

    async def create_merchant(
        self,
        merchant_id: str,
        *,
        display_name: str,
        category: MerchantCategory,
        fen_per_hundred_points: int,
        budget: str = "",
        cut_off_minute: int = 0,
        debt_points_max: int | None = None,
        request_id: str = "",
    ) -> MerchantView:
        """Registers a merchant and opens its accounts; a rate of 0 is a sponsor's.

        Raises TimebankError: VALIDATION_FAILED, MERCHANT_EXISTS, BUDGET_NOT_FOUND, OUTCOME_UNKNOWN.
        """
        request = merchant_service_pb2.CreateMerchantRequest(
            parent=self._names.ledger,
            request_id=request_id or new_request_id(),
            merchant_id=merchant_id,
            merchant=merchant_pb2.Merchant(
                display_name=display_name,
                category=_category_to_wire(category),
                fen_per_hundred_points=fen_per_hundred_points,
                cut_off_minute=cut_off_minute,
                budget=self.budget(budget),
                debt_points_max=debt_points_max,
            ),
        )
        return merchant_from_wire(await self._call(self._stub.CreateMerchant, request))

    async def get_merchant(self, merchant: str) -> MerchantView:
        """Reads a merchant. Raises TimebankError: MERCHANT_NOT_FOUND."""
        request = merchant_service_pb2.GetMerchantRequest(name=self.merchant(merchant))
        return merchant_from_wire(await self._call(self._stub.GetMerchant, request))

    def list_merchants(self, *, page_size: int = PAGE_SIZE) -> AsyncIterator[MerchantView]:
        """Yields merchants by id."""

        async def read(token: str) -> Page[MerchantView]:
            request = merchant_service_pb2.ListMerchantsRequest(
                parent=self._names.ledger, page_size=page_size, page_token=token
            )
            response = await self._call(self._stub.ListMerchants, request)
            return map(merchant_from_wire, response.merchants), response.next_page_token

        return pages(read)

    async def update_merchant(
        self,
        merchant: str,
        *,
        display_name: str | None = None,
        category: MerchantCategory | None = None,
        fen_per_hundred_points: int | None = None,
        cut_off_minute: int | None = None,
        cut_off_effective_date: str | None = None,
        budget: str | None = None,
        debt_points_max: int | None = None,
        etag: str = "",
        request_id: str = "",
    ) -> MerchantView:
        """Changes what is given; None leaves alone, an empty budget is a sponsor's, who is paid
        nothing.

        A rate binds the redemptions that begin from then on. A cut-off holds from the business day
        `cut_off_effective_date` on, YYYY-MM-DD; without one, from the next business day on.

        Raises TimebankError: VALIDATION_FAILED, also when nothing is given; MERCHANT_NOT_FOUND,
        MERCHANT_NOT_ACTIVE, ETAG_MISMATCH, LIMIT_EXCEEDED, BUDGET_NOT_FOUND, OUTCOME_UNKNOWN.
        """
        update_mask = _mask_of(
            display_name=display_name,
            category=category,
            fen_per_hundred_points=fen_per_hundred_points,
            cut_off_minute=cut_off_minute,
            cut_off_effective_date=cut_off_effective_date,
            budget=budget,
            debt_points_max=debt_points_max,
        )
        request = merchant_service_pb2.UpdateMerchantRequest(
            merchant=merchant_pb2.Merchant(
                name=self.merchant(merchant),
                display_name=display_name or "",
                category=_category_to_wire(category) if category is not None else _NO_CATEGORY,
                fen_per_hundred_points=fen_per_hundred_points or 0,
                cut_off_minute=cut_off_minute or 0,
                cut_off_effective_date=cut_off_effective_date or "",
                budget=self.budget(budget or ""),
                debt_points_max=debt_points_max,
                etag=etag,
            ),
            update_mask=update_mask,
            request_id=request_id or new_request_id(),
        )
        return merchant_from_wire(await self._call(self._stub.UpdateMerchant, request))

    async def suspend_merchant(self, merchant: str, *, request_id: str = "") -> MerchantView:
        """Suspends a merchant: no new redemptions until it is resumed.

        Raises TimebankError: MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
        """
        request = merchant_service_pb2.SuspendMerchantRequest(
            name=self.merchant(merchant), request_id=request_id or new_request_id()
        )
        return merchant_from_wire(await self._call(self._stub.SuspendMerchant, request))

    async def resume_merchant(self, merchant: str, *, request_id: str = "") -> MerchantView:
        """Ends a suspension. Raises TimebankError: MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE."""
        request = merchant_service_pb2.ResumeMerchantRequest(
            name=self.merchant(merchant), request_id=request_id or new_request_id()
        )
        return merchant_from_wire(await self._call(self._stub.ResumeMerchant, request))

    async def leave_merchant(self, merchant: str, *, request_id: str = "") -> MerchantView:
        """Begins the exit of a merchant 退出, for ever: no new redemptions; it has left once
        everything is settled.

        Raises TimebankError: MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
        """
        request = merchant_service_pb2.LeaveMerchantRequest(
            name=self.merchant(merchant), request_id=request_id or new_request_id()
        )
        return merchant_from_wire(await self._call(self._stub.LeaveMerchant, request))

    def _below(self, collection: str, id_: str) -> str:
        return id_ if "/" in id_ else f"{self._names.ledger}/{collection}/{id_}"


def _category_to_wire(category: MerchantCategory) -> merchant_pb2.Merchant.Category.ValueType:
    number = kind_to_wire(_CATEGORY_NUMBERS, "CATEGORY_", category)
    return merchant_pb2.Merchant.Category.ValueType(number)


def _mask_of(**given: object) -> FieldMask:
    """Names the fields that are given. Raises VALIDATION_FAILED when none is."""
    paths = [field for field, value in given.items() if value is not None]
    if not paths:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "expected something to change, got nothing; name a term and its new value",
            field="update_mask",
        )
    return FieldMask(paths=paths)
