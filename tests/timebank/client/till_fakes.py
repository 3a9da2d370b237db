"""A merchant service in a few lines: it implements the real contract over a real socket.

It checks what a till signs, carries out what it is asked once for each request id, and loses
requests or answers as a test tells it to.
"""

import base64
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.timebank.client.fakes import Context, Failure, fail
from timebank.client.till_signatures import (
    NONCE_KEY,
    SIGNATURE_KEY,
    TERMINAL_KEY,
    TIMESTAMP_KEY,
    call_of,
    call_text,
    enrolment_text,
)
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import (
    merchant_pb2,
    merchant_service_pb2,
    redemption_pb2,
)
from timebank.merchant.v1 import redemption_service_pb2 as service_pb2
from timebank.merchant.v1.merchant_service_pb2_grpc import (
    MerchantServiceServicer,
    add_MerchantServiceServicer_to_server,
)
from timebank.merchant.v1.redemption_service_pb2_grpc import (
    RedemptionServiceServicer,
    add_RedemptionServiceServicer_to_server,
)

MERCHANT = "ledgers/weihai/merchants/barber"
TERMINAL = f"{MERCHANT}/terminals/t1"
CODE = "700012345678901234"
CARD = "8012345678901230"
PIN = "135790"
PRICE = 10
DATE = "2026-11-30"
ENROLMENT_CODE = "K7QM2Z4P"
State = redemption_pb2.Redemption.State


@dataclass(frozen=True)
class Lost:
    """The call is carried out, and its answer lost with this failure."""

    failure: Failure


class FakeMerchant(RedemptionServiceServicer, MerchantServiceServicer):
    """Redemptions in memory; `failures` of a method are used up one a call; None: it works."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.requests: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.nonces: set[str] = set()
        self.failures: dict[str, list[Failure | Lost | None]] = {}
        self.is_away = False
        self.public_key = b""
        self.redemptions: dict[str, redemption_pb2.Redemption] = {}
        self.answered: dict[str, redemption_pb2.Redemption] = {}
        self.waits_for_pin = False
        self.offer_price = PRICE

    def count(self, method: str) -> int:
        return self.calls.count(method)

    async def _receive(self, request: Any, context: Context) -> Lost | None:
        method = type(request).__name__.removesuffix("Request")
        self.calls.append(method)
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata() or ()))
        if self.is_away:
            await fail(context, grpc.StatusCode.UNAVAILABLE)
        queue = self.failures.get(method, [])
        failure = queue.pop(0) if queue else None
        if failure is None or isinstance(failure, Lost):
            return failure
        await fail(context, failure)
        raise AssertionError("unreachable: abort raises")

    async def _do(
        self,
        request: Any,
        context: Context,
        act: Callable[[Any], redemption_pb2.Redemption],
    ) -> redemption_pb2.Redemption:
        lost = await self._receive(request, context)
        try:
            self._check(request)
            if request.request_id not in self.answered:
                made = act(request)
                self.answered[request.request_id] = made
                self.redemptions[made.merchant_ref] = made
        except TimebankError as error:
            await fail(context, error)
        if lost is not None:
            await fail(context, lost.failure)
        return self.answered[request.request_id]

    def _check(self, request: Any) -> None:
        """Checks what the till signed, as the contract says it."""
        said = self.metadata[-1]
        call = call_of(request, timestamp_s=int(said[TIMESTAMP_KEY]), nonce=said[NONCE_KEY])
        signature = base64.urlsafe_b64decode(said[SIGNATURE_KEY] + "==")
        Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, call_text(call))
        assert said[TERMINAL_KEY] == TERMINAL
        assert call.nonce not in self.nonces
        self.nonces.add(call.nonce)

    def _find(self, ref: str) -> redemption_pb2.Redemption:
        if ref not in self.redemptions:
            raise TimebankError(Reason.REDEMPTION_NOT_FOUND, f"no redemption {ref}")
        return self.redemptions[ref]

    def _redeemed(self, request: service_pb2.RedeemPointsRequest) -> redemption_pb2.Redemption:
        known = self.redemptions.get(request.merchant_ref)
        if known is not None and known.state == State.STATE_REVERSED:
            raise TimebankError(Reason.REVERSED_BEFORE_AUTHORIZATION, "it was reversed before")
        if request.payment_code not in ("", CODE):
            raise TimebankError(Reason.PAYMENT_CODE_INVALID, "ask for a fresh code")
        amount = request.amount or self.offer_price * request.quantity
        waits = (self.waits_for_pin and not request.pin) or request.member_qr
        return redemption_pb2.Redemption(
            name=f"{MERCHANT}/redemptions/{request.merchant_ref}",
            merchant_ref=request.merchant_ref,
            state=State.STATE_PENDING_MEMBER if waits else State.STATE_CAPTURED,
            unit=merchant_pb2.UNIT_POINTS,
            offer=request.offer,
            quantity=request.quantity,
            amount=amount,
            captured_amount=0 if waits else amount,
            pin_required=waits and not request.member_qr,
            business_date="" if waits else DATE,
        )

    def _changed(self, ref: str, **fields: Any) -> redemption_pb2.Redemption:
        changed = redemption_pb2.Redemption()
        changed.CopyFrom(self._find(ref))
        for name, value in fields.items():
            setattr(changed, name, value)
        return changed

    def _confirmed(self, request: service_pb2.ConfirmRedemptionRequest) -> Any:
        if request.pin != PIN:
            raise TimebankError(Reason.PIN_INVALID, "wrong PIN")
        found = self._find(request.merchant_ref)
        return self._changed(
            request.merchant_ref,
            state=State.STATE_CAPTURED,
            captured_amount=found.amount,
            pin_required=False,
            business_date=DATE,
        )

    def _reversed(self, request: service_pb2.ReverseRedemptionRequest) -> Any:
        ref = request.merchant_ref
        if ref not in self.redemptions:
            return redemption_pb2.Redemption(
                name=f"{MERCHANT}/redemptions/{ref}",
                merchant_ref=ref,
                state=State.STATE_REVERSED,
            )
        captured = self.redemptions[ref].captured_amount
        return self._changed(ref, state=State.STATE_REVERSED, refunded_amount=captured)

    def _refunded(self, request: service_pb2.RefundRedemptionRequest) -> Any:
        found = self._find(request.merchant_ref)
        if found.refunded_amount + request.amount > found.captured_amount:
            raise TimebankError(Reason.REFUND_EXCEEDS_CAPTURE, "more than was captured")
        return self._changed(
            request.merchant_ref, refunded_amount=found.refunded_amount + request.amount
        )

    async def RedeemPoints(
        self, request: service_pb2.RedeemPointsRequest, context: Context
    ) -> redemption_pb2.Redemption:
        return await self._do(request, context, self._redeemed)

    async def ConfirmRedemption(
        self, request: service_pb2.ConfirmRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        return await self._do(request, context, self._confirmed)

    async def ReverseRedemption(
        self, request: service_pb2.ReverseRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        return await self._do(request, context, self._reversed)

    async def RefundRedemption(
        self, request: service_pb2.RefundRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        return await self._do(request, context, self._refunded)

    async def VoidRedemption(
        self, request: service_pb2.VoidRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        return await self._do(
            request,
            context,
            lambda asked: self._changed(asked.merchant_ref, state=State.STATE_VOIDED),
        )

    async def LookupRedemption(
        self, request: service_pb2.LookupRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        await self._receive(request, context)
        try:
            return self._find(request.merchant_ref)
        except TimebankError as error:
            await fail(context, error)
            raise

    async def QuoteRedemption(
        self, request: service_pb2.QuoteRedemptionRequest, context: Context
    ) -> service_pb2.QuoteRedemptionResponse:
        await self._receive(request, context)
        return service_pb2.QuoteRedemptionResponse(
            unit=merchant_pb2.UNIT_POINTS,
            amount=request.amount or self.offer_price * request.quantity,
            cash_fen=300,
            price_version=1,
        )

    def _offer(self) -> merchant_pb2.Offer:
        return merchant_pb2.Offer(
            name=f"{MERCHANT}/offers/coffee",
            title="咖啡",
            unit=merchant_pb2.UNIT_POINTS,
            price=self.offer_price,
            price_version=1,
            state=merchant_pb2.Offer.STATE_ACTIVE,
        )

    async def GetOffer(
        self, request: merchant_service_pb2.GetOfferRequest, context: Context
    ) -> merchant_pb2.Offer:
        await self._receive(request, context)
        if not request.name.endswith("/coffee"):
            await fail(context, TimebankError(Reason.OFFER_NOT_FOUND, "no such offer"))
        return self._offer()

    async def ListOffers(
        self, request: merchant_service_pb2.ListOffersRequest, context: Context
    ) -> merchant_service_pb2.ListOffersResponse:
        await self._receive(request, context)
        return merchant_service_pb2.ListOffersResponse(offers=[self._offer()])

    async def EnrollTerminal(
        self, request: merchant_service_pb2.EnrollTerminalRequest, context: Context
    ) -> merchant_pb2.Terminal:
        lost = await self._receive(request, context)
        uuid.UUID(request.request_id, version=4)
        text = enrolment_text(request.name, request.enrolment_code, request.public_key)
        Ed25519PublicKey.from_public_bytes(request.public_key).verify(request.proof, text)
        if request.enrolment_code != ENROLMENT_CODE:
            await fail(context, TimebankError(Reason.ENROLMENT_CODE_INVALID, "a wrong code"))
        self.public_key = request.public_key
        if lost is not None:
            await fail(context, lost.failure)
        return merchant_pb2.Terminal(name=request.name, state=merchant_pb2.Terminal.STATE_ACTIVE)


@asynccontextmanager
async def merchant_served(fake: FakeMerchant) -> AsyncIterator[str]:
    """Serves the fake on a loopback port and gives its address."""
    server = grpc.aio.server()
    add_RedemptionServiceServicer_to_server(fake, server)
    add_MerchantServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
