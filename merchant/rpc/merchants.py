"""MerchantService: merchants and velocity controls; see terminals.py and offers.py for the rest."""

from __future__ import annotations

from typing import cast

from merchant.domain.documents import Merchant
from merchant.domain.merchant_rules import ChangeMerchant, MerchantMove
from merchant.names import (
    control_from_name,
    ledger_id_from_name,
    merchant_from_name,
    new_id_of,
    version_from_etag,
)
from merchant.rpc.offers import Context, asking, next_token
from merchant.rpc.terminals import TerminalRpcs
from merchant.usecases.callers import sees_terms
from merchant.usecases.merchants import Wish
from merchant.wire_merchants import (
    MERCHANT_CHANGES,
    changes_from_wire,
    check_budget,
    control_from_wire,
    control_to_wire,
    known_value,
    merchant_to_wire,
    terms_from_wire,
)
from timebank.auth import current_principal
from timebank.merchant.v1 import merchant_pb2, merchant_service_pb2
from timebank.paging import page_position, page_size_of


class MerchantRpcs(TerminalRpcs):
    """MerchantService."""

    async def CreateMerchant(
        self, request: merchant_service_pb2.CreateMerchantRequest, context: Context
    ) -> merchant_pb2.Merchant:
        """Registers a merchant."""
        ledger_id = ledger_id_from_name(request.parent)
        programme = await self._merchants.programme(ledger_id, current_principal())
        asker = asking(request.request_id)
        merchant_id = new_id_of("merchant_id", request.merchant_id)
        terms = terms_from_wire(request.merchant)
        check_budget(ledger_id, request.merchant)
        merchant = await self._merchants.create(programme, merchant_id, terms, asker)
        return _answer(ledger_id, merchant)

    async def GetMerchant(
        self, request: merchant_service_pb2.GetMerchantRequest, context: Context
    ) -> merchant_pb2.Merchant:
        """Reads a merchant."""
        ledger_id, merchant_id = merchant_from_name(request.name)
        programme = await self._merchants.programme(ledger_id, current_principal())
        return _answer(ledger_id, await self._merchants.find(programme, merchant_id))

    async def ListMerchants(
        self, request: merchant_service_pb2.ListMerchantsRequest, context: Context
    ) -> merchant_service_pb2.ListMerchantsResponse:
        """Lists merchants."""
        ledger_id, size = ledger_id_from_name(request.parent), page_size_of(request.page_size)
        known_value("category", request.category, merchant_pb2.Merchant.Category.values())
        known_value("state", request.state, merchant_pb2.Merchant.State.values())
        key = ("merchants", ledger_id, int(request.category), int(request.state))
        after = page_position(request.page_token, *key)
        programme = await self._merchants.programme(ledger_id, current_principal())
        wish = Wish(request.category, request.state)
        page = await self._merchants.listed(programme, wish, after=after, size=size)
        return merchant_service_pb2.ListMerchantsResponse(
            merchants=[_answer(ledger_id, cast("Merchant", item)) for item in page.documents],
            next_page_token=next_token(page.next_after, key),
        )

    async def UpdateMerchant(
        self, request: merchant_service_pb2.UpdateMerchantRequest, context: Context
    ) -> merchant_pb2.Merchant:
        """Changes terms of a merchant."""
        ledger_id, merchant_id = merchant_from_name(request.merchant.name, "merchant.name")
        programme = await self._merchants.programme(ledger_id, current_principal())
        asker = asking(request.request_id)
        paths = request.update_mask.paths
        changes = changes_from_wire(request.merchant, MERCHANT_CHANGES, paths, prefix="merchant")
        if "budget" in dict(changes):
            check_budget(ledger_id, request.merchant)
        version = version_from_etag(request.merchant.etag)
        command = ChangeMerchant(merchant_id, changes, version)
        return _answer(ledger_id, await self._merchants.change(programme, command, asker))

    async def SuspendMerchant(
        self, request: merchant_service_pb2.SuspendMerchantRequest, context: Context
    ) -> merchant_pb2.Merchant:
        """Suspends a merchant."""
        return await self._move(request.name, request.request_id, MerchantMove.SUSPEND)

    async def ResumeMerchant(
        self, request: merchant_service_pb2.ResumeMerchantRequest, context: Context
    ) -> merchant_pb2.Merchant:
        """Ends the suspension of a merchant."""
        return await self._move(request.name, request.request_id, MerchantMove.RESUME)

    async def LeaveMerchant(
        self, request: merchant_service_pb2.LeaveMerchantRequest, context: Context
    ) -> merchant_pb2.Merchant:
        """Begins the exit of a merchant."""
        return await self._move(request.name, request.request_id, MerchantMove.LEAVE)

    async def _move(self, name: str, request_id: str, way: MerchantMove) -> merchant_pb2.Merchant:
        ledger_id, merchant_id = merchant_from_name(name)
        programme = await self._merchants.programme(ledger_id, current_principal())
        merchant = await self._merchants.move(programme, merchant_id, way, asking(request_id))
        return _answer(ledger_id, merchant)

    async def SetVelocityControl(
        self, request: merchant_service_pb2.SetVelocityControlRequest, context: Context
    ) -> merchant_pb2.VelocityControl:
        """Sets a limit, or removes it."""
        name = request.velocity_control.name
        ledger_id, control_id = control_from_name(name, "velocity_control.name")
        programme = await self._merchants.programme(ledger_id, current_principal())
        asker = asking(request.request_id)
        control_id = new_id_of("velocity_control.name", control_id)
        control = control_from_wire(control_id, request.velocity_control)
        await self._merchants.set_control(programme, control, asker)
        return control_to_wire(ledger_id, control)

    async def ListVelocityControls(
        self, request: merchant_service_pb2.ListVelocityControlsRequest, context: Context
    ) -> merchant_service_pb2.ListVelocityControlsResponse:
        """Lists the limits."""
        ledger_id, size = ledger_id_from_name(request.parent), page_size_of(request.page_size)
        key = ("velocityControls", ledger_id)
        after = page_position(request.page_token, *key)
        programme = await self._merchants.programme(ledger_id, current_principal())
        controls = await self._merchants.controls(programme)
        rest = [control for control in controls if control.control_id > after]
        last = rest[size - 1].control_id if len(rest) > size else ""
        return merchant_service_pb2.ListVelocityControlsResponse(
            velocity_controls=[control_to_wire(ledger_id, control) for control in rest[:size]],
            next_page_token=next_token(last, key),
        )


def _answer(ledger_id: str, merchant: Merchant) -> merchant_pb2.Merchant:
    shows_terms = sees_terms(current_principal(), merchant.merchant_id)
    return merchant_to_wire(ledger_id, merchant, shows_terms=shows_terms)
