"""RedemptionService: vouchers."""

from __future__ import annotations

from typing import Any

import grpc.aio

from merchant.domain import payment_codes
from merchant.domain.pins import PinTiers
from merchant.domain.settlement_rules import no_merchant
from merchant.domain.voucher_rules import DAY_US, VALID_DAYS_MAX
from merchant.names import (
    invalid,
    ledger_id_from_name,
    merchant_from_name,
    offer_from_name,
    terminal_from_name,
    voucher_from_name,
)
from merchant.rpc.signed_calls import check_signed, own_id_of
from merchant.rpc.wallets import WalletRpcs, id_of_request
from merchant.usecases.callers import is_own
from merchant.usecases.programmes import Programmes
from merchant.usecases.tills import Tills
from merchant.usecases.vouchers import Shown, Vouchers
from merchant.usecases.wallets import Wallets
from merchant.wire_redemptions import quantity_from_wire, voucher_to_wire
from timebank.auth import PrincipalKind, current_actor, current_call, current_principal
from timebank.errors import Reason, TimebankError
from timebank.ids import uuid_bytes
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2

Context = grpc.aio.ServicerContext[Any, Any]


class VoucherRpcs(WalletRpcs):
    """The part of RedemptionService about vouchers."""

    _tiers = PinTiers()
    """Above which a PIN is asked for; the whole service sets its own."""

    def __init__(
        self, programmes: Programmes, wallets: Wallets, vouchers: Vouchers, tills: Tills
    ) -> None:
        super().__init__(programmes, wallets)
        self._vouchers = vouchers
        self._tills = tills

    async def IssueVoucher(
        self, request: redemption_service_pb2.IssueVoucherRequest, context: Context
    ) -> redemption_pb2.Voucher:
        """Buys a voucher."""
        request_id = uuid_bytes(request.request_id)
        ledger_id, principal = ledger_id_from_name(request.parent), current_principal()
        programme = await self._programmes.programme(ledger_id, principal)
        offer = offer_from_name(request.offer, "offer")
        days = request.valid_days or VALID_DAYS_MAX
        if not 1 <= days <= VALID_DAYS_MAX:
            raise invalid("valid_days", f"expected 1 to {VALID_DAYS_MAX}, got {days}")
        member_id = self._member_of(programme, request.member)
        matched = None
        if request.pin:
            matched = await self._wallets.matched_pin(
                programme, member_id, request.pin, caller=current_actor()
            )
        shown = await self._vouchers.issue(
            programme,
            id_of_request(principal.name, request_id),
            offer=own_id_of(programme, offer[1], offer, "offer"),
            member_id=member_id,
            quantity=quantity_from_wire(request.quantity),
            price_version=request.price_version,
            valid_us=days * DAY_US,
            tiers=self._tiers,
            matched_pin=matched,
            request_id=request_id,
            call=current_call(),
        )
        return _to_wire(ledger_id, shown)

    async def CollectVoucher(
        self, request: redemption_service_pb2.CollectVoucherRequest, context: Context
    ) -> redemption_pb2.Voucher:
        """Hands the goods out."""
        ledger_id, merchant_id = merchant_from_name(request.parent, "parent")
        principal = current_principal()
        if not is_own(principal, merchant_id):
            raise no_merchant(merchant_id)
        programme = await self._programmes.programme(ledger_id, principal)
        named = terminal_from_name(request.terminal, "terminal")
        terminal = own_id_of(programme, merchant_id, named, "terminal")
        code = payment_codes.normalise(request.code)
        if not code:
            raise invalid("code", "expected the voucher's code, got nothing")
        await check_signed(
            self._tills,
            programme,
            context,
            request,
            merchant_id=merchant_id,
            terminal=terminal,
            code=code,
            in_use=True,
        )
        shown = await self._vouchers.collect(
            programme,
            code,
            terminal,
            request_id=uuid_bytes(request.request_id),
            call=current_call(),
        )
        return _to_wire(ledger_id, shown)

    async def GetVoucher(
        self, request: redemption_service_pb2.GetVoucherRequest, context: Context
    ) -> redemption_pb2.Voucher:
        """Reads a voucher."""
        ledger_id, voucher_id = voucher_from_name(request.name)
        principal = current_principal()
        programme = await self._programmes.programme(ledger_id, principal)
        shown = await self._vouchers.get(programme, voucher_id)
        foreign = principal.kind is PrincipalKind.MEMBER and principal.id != shown.voucher.member_id
        if foreign or not is_own(principal, shown.voucher.merchant_id):
            raise TimebankError(Reason.VOUCHER_NOT_FOUND, "no such voucher")
        return _to_wire(ledger_id, shown)


def _to_wire(ledger_id: str, shown: Shown) -> redemption_pb2.Voucher:
    shows_member = current_principal().kind not in (PrincipalKind.MERCHANT, PrincipalKind.TERMINAL)
    message = voucher_to_wire(
        ledger_id, shown.voucher, shown.quantity, shown.code, shows_member=shows_member
    )
    message.replayed = shown.replayed
    return message
