"""Requests of a shop and its till as bytes, for callers that make very many.

Owns: methods' paths and requests of one shape. Refuses: views, errors and repetition.
"""

import uuid
from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.message import Message

from timebank.client.till_signatures import call_of, call_text
from timebank.merchant.v1 import (
    fund_pb2,
    fund_service_pb2,
    merchant_pb2,
    merchant_service_pb2,
    redemption_pb2,
    redemption_service_pb2,
)

_PACKAGE = "/timebank.merchant.v1"
SET_BUDGET = f"{_PACKAGE}.FundService/SetBudget"
CREATE_MERCHANT = f"{_PACKAGE}.MerchantService/CreateMerchant"
CREATE_TERMINAL = f"{_PACKAGE}.MerchantService/CreateTerminal"
CREATE_OFFER = f"{_PACKAGE}.MerchantService/CreateOffer"
SET_CONTROL = f"{_PACKAGE}.MerchantService/SetVelocityControl"
ISSUE_CODE = f"{_PACKAGE}.RedemptionService/IssuePaymentCode"
REDEEM = f"{_PACKAGE}.RedemptionService/RedeemPoints"
CLOSE_BATCH = f"{_PACKAGE}.SettlementService/CloseBatch"


class Till(NamedTuple):
    """A shop with one till and one offer, by resource names."""

    ledger: str
    merchant: str
    terminal: str
    offer: str
    budget: str

    @classmethod
    def of(cls, ledger: str, merchant_id: str) -> "Till":
        """Names a shop's parts."""
        merchant = f"{ledger}/merchants/{merchant_id}"
        return cls(
            ledger,
            merchant,
            f"{merchant}/terminals/t1",
            f"{merchant}/offers/goods",
            f"{ledger}/budgets/bench",
        )


def shop_requests(till: Till, *, limit_fen: int) -> list[tuple[str, bytes]]:
    """Gives the calls that make a shop: method and request, in order. The till's enrolment is the
    caller's (see `timebank.client.tills`).
    """
    merchant = merchant_pb2.Merchant(
        display_name="Benchmark 商户",
        category=merchant_pb2.Merchant.CATEGORY_DISCOUNT,
        fen_per_hundred_points=100,
        budget=till.budget,
    )
    offer = merchant_pb2.Offer(
        title="Goods 商品", unit=merchant_pb2.UNIT_POINTS, price=1, stock=10_000_000
    )
    control = merchant_pb2.VelocityControl(
        name=f"{till.ledger}/velocityControls/day",
        scope=merchant_pb2.VelocityControl.SCOPE_MEMBER,
        window=merchant_pb2.VelocityControl.WINDOW_DAY,
        amount_max=1_000,
    )
    budget = fund_pb2.Budget(name=till.budget, display_name="Benchmark", limit_fen=limit_fen)
    made: list[tuple[str, Message]] = [
        (SET_BUDGET, fund_service_pb2.SetBudgetRequest(budget=budget, request_id=_new_id())),
        (
            CREATE_MERCHANT,
            merchant_service_pb2.CreateMerchantRequest(
                parent=till.ledger,
                request_id=_new_id(),
                merchant_id=till.merchant.rpartition("/")[2],
                merchant=merchant,
            ),
        ),
        (
            CREATE_OFFER,
            merchant_service_pb2.CreateOfferRequest(
                parent=till.merchant, request_id=_new_id(), offer_id="goods", offer=offer
            ),
        ),
        (
            SET_CONTROL,
            merchant_service_pb2.SetVelocityControlRequest(
                velocity_control=control, request_id=_new_id()
            ),
        ),
    ]
    return [(method, request.SerializeToString()) for method, request in made]


def terminal_request(till: Till) -> bytes:
    """Gives the request that makes the till."""
    return merchant_service_pb2.CreateTerminalRequest(
        parent=till.merchant,
        request_id=_new_id(),
        terminal_id="t1",
        terminal=merchant_pb2.Terminal(display_name="Benchmark"),
    ).SerializeToString()


def enrolment_code_in(data: bytes) -> str:
    """Reads the enrolment code out of the answer to `terminal_request`."""
    return merchant_pb2.Terminal.FromString(data).enrolment_code


def code_request(ledger: str, member_id: str) -> bytes:
    """Gives the request for a payment code."""
    return redemption_service_pb2.IssuePaymentCodeRequest(
        name=f"{ledger}/members/{member_id}", request_id=_new_id(), device="bench"
    ).SerializeToString()


def code_in(data: bytes) -> str:
    """Reads the payment code out of an answer."""
    return redemption_pb2.PaymentCode.FromString(data).code


class SignedRequest(NamedTuple):
    """A request with the metadata by which its till signs it."""

    data: bytes
    metadata: tuple[tuple[str, str], ...]


def redeem_request(
    till: Till,
    code: str,
    merchant_ref: str,
    *,
    timestamp_s: int,
    sign: Callable[[bytes], str],
) -> SignedRequest:
    """Gives a redemption of one piece, signed; `sign` gives base64url of a text's signature."""
    request = redemption_service_pb2.RedeemPointsRequest(
        parent=till.merchant,
        request_id=_new_id(),
        merchant_ref=merchant_ref,
        terminal=till.terminal,
        offer=till.offer,
        quantity=1,
        payment_code=code,
    )
    nonce = uuid.uuid4().hex
    text = call_text(call_of(request, timestamp_s=timestamp_s, nonce=nonce))
    metadata = (
        ("timebank-terminal", till.terminal),
        ("timebank-timestamp", str(timestamp_s)),
        ("timebank-nonce", nonce),
        ("timebank-signature", sign(text)),
    )
    return SignedRequest(request.SerializeToString(), metadata)


def _new_id() -> str:
    return str(uuid.uuid4())
