"""What a till asks, as messages of the contract.

Owns: the names below one till's merchant, and the requests of its calls. Refuses: every rule of the
server. Rules: codes are sent without separators, as they are signed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from timebank.client.till_signatures import clean_code
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import redemption_service_pb2 as service_pb2

_COLLECTIONS = ("ledgers", "merchants", "terminals")


@dataclass(frozen=True, slots=True)
class TillNames:
    """The resource names around one till."""

    terminal: str
    merchant: str = field(init=False)

    def __post_init__(self) -> None:
        parts = self.terminal.split("/")
        if tuple(parts[::2]) != _COLLECTIONS or len(parts) != 6 or not all(parts):
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                "terminal: expected ledgers/LEDGER/merchants/MERCHANT/terminals/TERMINAL, "
                f"got {self.terminal[:120]!r}",
                field="terminal",
            )
        object.__setattr__(self, "merchant", "/".join(parts[:4]))

    @property
    def id(self) -> str:
        """Gives the till's id within its merchant."""
        return self.terminal.rpartition("/")[2]

    def offer(self, offer: str) -> str:
        """Gives the name of an offer of the merchant by its id or name."""
        return offer if "/" in offer else f"{self.merchant}/offers/{offer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a member buys and how they are recognised: by exactly one of code, card and QR.

    `amount` in points or minutes; only for an offer without a price, else 0 or what was shown.
    `price_version` 0: any. Its text never shows the code, the number or the PIN.
    """

    offer: str
    quantity: int = 1
    amount: int = 0
    price_version: int = 0
    payment_code: str = field(default="", repr=False)
    card_number: str = field(default="", repr=False)
    member_qr: bool = False
    pin: str = field(default="", repr=False)


def quote_request(
    names: TillNames, purchase: Purchase, request_id: str
) -> service_pb2.QuoteRedemptionRequest:
    """Gives the question what a purchase would cost; without a payer it asks of the offer alone."""
    with _sendable():
        request = service_pb2.QuoteRedemptionRequest(
            parent=names.merchant,
            request_id=request_id,
            terminal=names.terminal,
            offer=names.offer(purchase.offer),
            quantity=purchase.quantity,
            price_version=purchase.price_version,
            amount=purchase.amount,
        )
        _add_payer(request, purchase)
        return request


def redeem_request(
    names: TillNames, purchase: Purchase, *, merchant_ref: str, request_id: str
) -> service_pb2.RedeemPointsRequest:
    """Gives the request that authorises and captures."""
    with _sendable():
        request = service_pb2.RedeemPointsRequest(
            parent=names.merchant,
            request_id=request_id,
            merchant_ref=merchant_ref,
            terminal=names.terminal,
            offer=names.offer(purchase.offer),
            quantity=purchase.quantity,
            price_version=purchase.price_version,
            amount=purchase.amount,
            pin=purchase.pin,
        )
        _add_payer(request, purchase)
        return request


def authorize_request(
    names: TillNames, purchase: Purchase, *, merchant_ref: str, request_id: str, hold_minutes: int
) -> service_pb2.AuthorizeRedemptionRequest:
    """Gives the request that holds an amount."""
    with _sendable():
        request = service_pb2.AuthorizeRedemptionRequest(
            parent=names.merchant,
            request_id=request_id,
            merchant_ref=merchant_ref,
            terminal=names.terminal,
            offer=names.offer(purchase.offer),
            quantity=purchase.quantity,
            price_version=purchase.price_version,
            amount=purchase.amount,
            pin=purchase.pin,
            hold_minutes=hold_minutes,
        )
        _add_payer(request, purchase)
        return request


def confirm_request(
    name: str, *, merchant_ref: str, request_id: str, pin: str
) -> service_pb2.ConfirmRedemptionRequest:
    """Gives the request that takes a PIN."""
    with _sendable():
        return service_pb2.ConfirmRedemptionRequest(
            name=name, request_id=request_id, merchant_ref=merchant_ref, pin=pin
        )


def capture_request(
    name: str, *, merchant_ref: str, request_id: str, op_ref: str, amount: int, final: bool
) -> service_pb2.CaptureRedemptionRequest:
    """Gives the request that pays out of what is held."""
    with _sendable():
        return service_pb2.CaptureRedemptionRequest(
            name=name,
            request_id=request_id,
            merchant_ref=merchant_ref,
            op_ref=op_ref,
            amount=amount,
            final=final,
        )


def void_request(
    name: str, *, merchant_ref: str, request_id: str
) -> service_pb2.VoidRedemptionRequest:
    """Gives the request that releases what is held."""
    with _sendable():
        return service_pb2.VoidRedemptionRequest(
            name=name, request_id=request_id, merchant_ref=merchant_ref
        )


def reverse_request(
    names: TillNames, *, merchant_ref: str, request_id: str
) -> service_pb2.ReverseRedemptionRequest:
    """Gives the request that undoes a redemption, known or not."""
    with _sendable():
        return service_pb2.ReverseRedemptionRequest(
            parent=names.merchant, request_id=request_id, merchant_ref=merchant_ref
        )


def refund_request(
    name: str, *, merchant_ref: str, request_id: str, op_ref: str, amount: int
) -> service_pb2.RefundRedemptionRequest:
    """Gives the request that gives an amount back."""
    with _sendable():
        return service_pb2.RefundRedemptionRequest(
            name=name,
            request_id=request_id,
            merchant_ref=merchant_ref,
            op_ref=op_ref,
            amount=amount,
        )


def _add_payer(
    request: service_pb2.QuoteRedemptionRequest
    | service_pb2.RedeemPointsRequest
    | service_pb2.AuthorizeRedemptionRequest,
    purchase: Purchase,
) -> None:
    if purchase.payment_code:
        request.payment_code = clean_code(purchase.payment_code)
    if purchase.card_number:
        request.card_number = clean_code(purchase.card_number)
    if purchase.member_qr:
        request.member_qr = True


@contextmanager
def _sendable() -> Iterator[None]:
    """Turns what protobuf says of values that do not fit into a refusal.

    Raises VALIDATION_FAILED without repeating the value, which may be a code.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "expected texts in UTF-8 and numbers that fit into 32 bits (quantity) or 64 (amount)",
        ) from error
