"""RedemptionService: the till's calls."""

from __future__ import annotations

from typing import Any, cast

import grpc.aio

from merchant.domain.documents import Redemption
from merchant.domain.payers import Payer
from merchant.domain.pins import PinTiers
from merchant.domain.redemption_begin import Begin
from merchant.domain.redemption_moves import Confirm, Event, Move
from merchant.domain.states import DocumentKind, Method, RedemptionState
from merchant.names import (
    invalid,
    member_from_name,
    offer_from_name,
    person_of,
    terminal_from_name,
    text_of,
)
from merchant.rpc.redemption_reads import RedemptionReadRpcs, not_found
from merchant.rpc.signed_calls import check_signed, own_id_of
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.redemptions import Redemptions, redemption_id_of
from merchant.usecases.tills import Tills
from merchant.usecases.vouchers import Vouchers
from merchant.usecases.wallets import Wallets
from merchant.wire_redemptions import (
    Payable,
    fingerprint_of,
    life_us_from_wire,
    merchant_ref_from_wire,
    payable_from_wire,
    quantity_from_wire,
)
from timebank.auth import PrincipalKind, current_actor, current_call, current_principal
from timebank.errors import Reason, TimebankError
from timebank.ids import uuid_bytes
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2

Context = grpc.aio.ServicerContext[Any, Any]
OP_REF_MAX = 128
NEWEST_LOOKED_AT = 200
"""Redemptions of a merchant among which one waits for its member: it waits a minute at most."""


class RedemptionRpcs(RedemptionReadRpcs):
    """RedemptionService."""

    def __init__(
        self,
        programmes: Programmes,
        redemptions: Redemptions,
        wallets: Wallets,
        vouchers: Vouchers,
        tills: Tills,
        tiers: PinTiers,
    ) -> None:
        super().__init__(programmes, redemptions, wallets, vouchers, tills)
        self._tiers = tiers

    async def AuthorizeRedemption(
        self, request: redemption_service_pb2.AuthorizeRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Authorises: the amount is held."""
        life_us = life_us_from_wire(request.hold_minutes)
        return await self._begin(request, context, redeems=False, life_us=life_us)

    async def RedeemPoints(
        self, request: redemption_service_pb2.RedeemPointsRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Redeems: authorises and captures in one step."""
        return await self._begin(request, context, redeems=True, life_us=life_us_from_wire(0))

    async def _begin(
        self, request: Any, context: Context, *, redeems: bool, life_us: int
    ) -> redemption_pb2.Redemption:
        request_id = uuid_bytes(request.request_id)
        programme, merchant_id = await self._merchant(request.parent)
        terminal = own_id_of(
            programme, merchant_id, terminal_from_name(request.terminal, "terminal"), "terminal"
        )
        offer = own_id_of(programme, merchant_id, offer_from_name(request.offer, "offer"), "offer")
        merchant_ref = merchant_ref_from_wire(request.merchant_ref)
        payable = payable_from_wire(request)
        await check_signed(
            self._tills,
            programme,
            context,
            request,
            merchant_id=merchant_id,
            terminal=terminal,
            code=payable.typed,
        )
        payer = await self._payer(programme, payable)
        command = Begin(
            redemption_id_of(merchant_id, merchant_ref),
            merchant_ref,
            fingerprint_of(request, payer, redeems=redeems),
            terminal,
            offer,
            quantity_from_wire(request.quantity),
            request.amount,
            request.price_version,
            payer,
            redeems,
            life_us,
            programme.zone,
            self._tiers,
            await self._typed_pin(programme, payer, request.pin),
        )
        outcome = await self._redemptions.begin(
            programme, command, request_id=request_id, call=current_call()
        )
        return self._answer(programme, outcome)

    async def QuoteRedemption(
        self, request: redemption_service_pb2.QuoteRedemptionRequest, context: Context
    ) -> redemption_service_pb2.QuoteRedemptionResponse:
        """Says what it would cost, changing nothing; a "no" is an error."""
        uuid_bytes(request.request_id)
        programme, merchant_id = await self._merchant(request.parent)
        terminal = own_id_of(
            programme, merchant_id, terminal_from_name(request.terminal, "terminal"), "terminal"
        )
        offer = own_id_of(programme, merchant_id, offer_from_name(request.offer, "offer"), "offer")
        named = request.WhichOneof("payer")
        if named == "assisted" and _is_shop():
            named = None  # a shop asks for the price, never what somebody by name could pay
        payable = payable_from_wire(request) if named else Payable(Method.MERCHANT_QR)
        payer = await self._payer(programme, payable)
        command = Begin(
            redemption_id_of(merchant_id, f"quote {request.request_id}"),
            "quote",
            "quote",
            terminal,
            offer,
            quantity_from_wire(request.quantity),
            request.amount,
            request.price_version,
            payer,
            True,
            0,
            programme.zone,
            self._tiers,
        )
        quoted = await self._redemptions.quote(programme, command)
        return redemption_service_pb2.QuoteRedemptionResponse(
            unit=int(quoted.unit),  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
            amount=quoted.amount,
            cash_fen=quoted.cash_fen,
            price_version=quoted.price_version,
            pin_required=quoted.pin_required,
            payer_checked=bool(quoted.member_id),
        )

    async def _payer(self, programme: Programme, payable: Payable) -> Payer:
        if payable.method is Method.PAYMENT_CODE:
            return Payer(payable.method, self._wallets.code_digest(programme, payable.typed))
        if payable.method is Method.CARD:
            return Payer(payable.method, self._wallets.card_digest(programme, payable.typed))
        if payable.method is Method.MERCHANT_QR:
            return Payer(payable.method)
        ledger_id, member_id = member_from_name(payable.member, "assisted.member")
        if ledger_id != programme.ledger_id:
            raise invalid("assisted.member", "expected a member of the merchant's ledger")
        if not payable.officer and _is_shop():
            raise invalid(
                "assisted.officer", "expected the officer who helps: a shop is no officer"
            )
        accounts = await self._programmes.member_accounts(programme, member_id)
        officer = payable.officer or current_actor()
        return Payer(payable.method, "", member_id, accounts.points, officer, accounts.time)

    async def _typed_pin(self, programme: Programme, payer: Payer, pin: str) -> str | None:
        """Gives what a typed PIN matches; None when none was typed."""
        if not pin:
            return None
        member_id = payer.member_id
        if payer.method is Method.PAYMENT_CODE:
            member_id = await self._wallets.payer_of(programme, code=payer.digest)
        if payer.method is Method.CARD:
            member_id = await self._wallets.payer_of(programme, card=payer.digest)
        # Also when the code or card is nobody's: a guess must not be told by how it was answered.
        return await self._wallets.matched_pin(programme, member_id, pin, caller=current_actor())

    async def ConfirmRedemption(
        self, request: redemption_service_pb2.ConfirmRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Goes on with the member's PIN, typed at the till."""
        programme, redemption_id = await self._redemption_id(request.name)
        await self._check_move(programme, context, request, redemption_id, in_use=True)
        found = await self._find(programme, redemption_id)
        matched = await self._wallets.matched_pin(
            programme, found.member_id, request.pin, caller=current_actor()
        )
        command = Confirm(
            redemption_id,
            programme.zone,
            Method.PAYMENT_CODE,
            matched_pin=matched,
            life_us=life_us_from_wire(0),
        )
        return await self._confirm(programme, command, request.request_id)

    async def ConfirmByMember(
        self, request: redemption_service_pb2.ConfirmByMemberRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Goes on with the yes of the member who scanned the merchant's QR."""
        if request.terminal:
            terminal_from_name(request.terminal, "terminal")
        if request.name.endswith("/-"):
            programme, redemption_id = await self._waiting_at(request)
        else:
            programme, redemption_id = await self._redemption_id(request.name)
        member_id = self._member_of(programme, request.member)
        accounts = await self._programmes.member_accounts(programme, member_id)
        found = await self._find(programme, redemption_id)
        if request.amount not in (0, found.amount):
            raise _agreed_to_another(found, request.amount)
        by_points = found.unit.name == "POINTS"
        matched = None
        if request.pin:
            matched = await self._wallets.matched_pin(
                programme, member_id, request.pin, caller=current_actor()
            )
        command = Confirm(
            redemption_id,
            programme.zone,
            Method.MERCHANT_QR,
            matched_pin=matched,
            member_id=member_id,
            account=accounts.points if by_points else accounts.time,
            life_us=life_us_from_wire(0),
            tiers=self._tiers,
        )
        return await self._confirm(programme, command, request.request_id)

    async def _waiting_at(self, request: Any) -> tuple[Programme, str]:
        """Finds what waits at the till of a printed QR. Raises REDEMPTION_NOT_FOUND."""
        programme, merchant_id = await self._merchant(request.name.removesuffix("/redemptions/-"))
        named = terminal_from_name(request.terminal, "terminal")
        terminal = own_id_of(programme, merchant_id, named, "terminal")
        rows = await self._programmes.listed(
            programme,
            DocumentKind.REDEMPTION,
            merchant_id,
            newest_first=True,
            limit=NEWEST_LOOKED_AT,
        )
        waiting = [
            redemption
            for _, document in rows
            if (redemption := cast("Redemption", document)).terminal == terminal
            and redemption.method is Method.MERCHANT_QR
            and redemption.state is RedemptionState.PENDING_MEMBER
            and redemption.expires_us > self._programmes.clock.now_us()
        ]
        if len(waiting) != 1 or request.amount not in (0, waiting[0].amount):
            raise not_found(f"that alone waits at {request.terminal} with this amount")
        if not request.amount:
            raise invalid("amount", "expected what the member agreed to, got nothing")
        return programme, waiting[0].redemption_id

    async def ApproveAssistedRedemption(
        self, request: redemption_service_pb2.ApproveAssistedRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Goes on with the yes of a second person, an officer only for members of their units."""
        programme, redemption_id = await self._redemption_id(request.name)
        if current_principal().kind is PrincipalKind.OFFICER:
            helped = (await self._find(programme, redemption_id)).member_id
            if helped and not await self._is_served(programme, helped):
                raise not_found(redemption_id)
        trusted = current_principal().kind in (PrincipalKind.SERVICE, PrincipalKind.OPERATOR)
        officer = person_of("officer", request.officer) if trusted else ""
        officer = officer or current_actor()
        command = Confirm(
            redemption_id,
            programme.zone,
            Method.ASSISTED,
            officer=officer,
            life_us=life_us_from_wire(0),
        )
        return await self._confirm(programme, command, request.request_id)

    async def _confirm(
        self, programme: Programme, command: Confirm, request_id: str
    ) -> redemption_pb2.Redemption:
        outcome = await self._redemptions.confirm(
            programme, command, request_id=uuid_bytes(request_id), call=current_call()
        )
        return self._answer(programme, outcome)

    async def CaptureRedemption(
        self, request: redemption_service_pb2.CaptureRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Captures a part, or the last of it."""
        return await self._move(request, context, Event.CAPTURE, final=request.final)

    async def VoidRedemption(
        self, request: redemption_service_pb2.VoidRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Voids before the capture."""
        return await self._move(request, context, Event.VOID)

    async def RefundRedemption(
        self, request: redemption_service_pb2.RefundRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Gives a part back."""
        return await self._move(request, context, Event.REFUND)

    async def _move(
        self, request: Any, context: Context, event: Event, *, final: bool = False
    ) -> redemption_pb2.Redemption:
        programme, redemption_id = await self._redemption_id(request.name)
        # What a stolen till gives back goes to whoever stole it.
        in_use = event is Event.REFUND
        await self._check_move(programme, context, request, redemption_id, in_use=in_use)
        op_ref, amount = "", 0
        if event is not Event.VOID:
            op_ref, amount = text_of("op_ref", request.op_ref, OP_REF_MAX), request.amount
            if amount < 1:
                raise invalid("amount", f"expected 1 or more, got {amount}")
        command = Move(redemption_id, event, programme.zone, op_ref, amount, final)
        outcome = await self._redemptions.move(
            programme, command, request_id=uuid_bytes(request.request_id), call=current_call()
        )
        return self._answer(programme, outcome)

    async def ReverseRedemption(
        self, request: redemption_service_pb2.ReverseRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Reverses by the merchant's reference, whether it arrived or not."""
        programme, merchant_id = await self._merchant(request.parent)
        await check_signed(self._tills, programme, context, request, merchant_id=merchant_id)
        outcome = await self._redemptions.reverse(
            programme,
            merchant_id,
            merchant_ref_from_wire(request.merchant_ref),
            request_id=uuid_bytes(request.request_id),
            call=current_call(),
        )
        return self._answer(programme, outcome)

    # Who asks, and for what.

    async def _check_move(
        self,
        programme: Programme,
        context: Context,
        request: Any,
        redemption_id: str,
        *,
        in_use: bool,
    ) -> None:
        """A till signs its reference: it must be that of the redemption which it names."""
        merchant_id = redemption_id.partition("/")[0]
        await check_signed(
            self._tills, programme, context, request, merchant_id=merchant_id, in_use=in_use
        )
        merchant_ref = request.merchant_ref
        if not merchant_ref and current_principal().kind is not PrincipalKind.TERMINAL:
            return
        if redemption_id_of(merchant_id, merchant_ref) != redemption_id:
            raise not_found(redemption_id)


def _is_shop() -> bool:
    """Says whether a till or a merchant calls, who is nobody's helper."""
    return current_principal().kind in (PrincipalKind.TERMINAL, PrincipalKind.MERCHANT)


def _agreed_to_another(redemption: Redemption, amount: int) -> TimebankError:
    return TimebankError(
        Reason.PRICE_CHANGED,
        f"amount: the member agreed to {amount}, this costs {redemption.amount}: show it again",
        field="amount",
        amount=redemption.amount,
    )
