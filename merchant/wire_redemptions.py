"""Redemptions, codes, cards and vouchers: messages to domain values and back."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from merchant.domain import card_numbers, payment_codes
from merchant.domain.documents import Card, Redemption, Voucher
from merchant.domain.payers import Payer
from merchant.domain.states import Method, RedemptionState
from merchant.names import invalid, person_of, text_of
from timebank.merchant.v1 import redemption_pb2

MERCHANT_REF_MAX = 128
QUANTITY_MAX = 1_000
HOLD_MINUTES_DEFAULT, HOLD_MINUTES_MAX = 15, 36 * 60
MINUTE_US = 60_000_000
_HOLDS = frozenset({RedemptionState.AUTHORIZED, RedemptionState.PARTIALLY_CAPTURED})


class Payable(NamedTuple):
    """How a request says who pays: the code or number as it was typed, or a member with officer."""

    method: Method
    typed: str = ""
    member: str = ""
    officer: str = ""


def payable_from_wire(request: Any) -> Payable:
    """Reads who pays. Raises VALIDATION_FAILED when nobody is named."""
    match request.WhichOneof("payer"):
        case "payment_code":
            typed = payment_codes.normalise(request.payment_code)
            return Payable(Method.PAYMENT_CODE, typed)
        case "card_number":
            return Payable(Method.CARD, card_numbers.normalise(request.card_number))
        case "member_qr" if request.member_qr:
            return Payable(Method.MERCHANT_QR)
        case "assisted":
            officer = person_of("assisted.officer", request.assisted.officer)
            return Payable(Method.ASSISTED, member=request.assisted.member, officer=officer)
        case _:
            raise invalid(
                "payer", "expected payment_code, card_number, member_qr = true or assisted"
            )


def merchant_ref_from_wire(text: str) -> str:
    """Reads the merchant's reference. Raises VALIDATION_FAILED."""
    return text_of("merchant_ref", text, MERCHANT_REF_MAX)


def quantity_from_wire(quantity: int) -> int:
    """Reads how many pieces. Raises VALIDATION_FAILED."""
    if not 1 <= quantity <= QUANTITY_MAX:
        raise invalid("quantity", f"expected 1 to {QUANTITY_MAX}, got {quantity}")
    return quantity


def life_us_from_wire(hold_minutes: int) -> int:
    """Reads how long a hold lives. Raises VALIDATION_FAILED."""
    if not 0 <= hold_minutes <= HOLD_MINUTES_MAX:
        raise invalid("hold_minutes", f"expected 0 to {HOLD_MINUTES_MAX}, got {hold_minutes}")
    return (hold_minutes or HOLD_MINUTES_DEFAULT) * MINUTE_US


def fingerprint_of(request: Any, payer: Payer, *, redeems: bool) -> str:
    """Hashes what a merchant's reference stands for: what is sold and how it is paid, not the code,
    which is another one each minute.
    """
    said = (
        *(request.terminal, request.offer, request.quantity, request.amount),
        *(int(payer.method), payer.member_id, redeems),
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def redemption_to_wire(
    ledger_id: str, redemption: Redemption, *, shows_member: bool, replayed: bool = False
) -> redemption_pb2.Redemption:
    """Writes a redemption; the member is shown only to who may know."""
    ledger = f"ledgers/{ledger_id}"
    merchant_id, _, own_id = redemption.redemption_id.partition("/")
    merchant = f"{ledger}/merchants/{merchant_id}"
    held = redemption.amount - redemption.captured if redemption.state in _HOLDS else 0
    message = redemption_pb2.Redemption(
        name=f"{merchant}/redemptions/{own_id}",
        merchant_ref=redemption.merchant_ref,
        state=int(redemption.state),  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        method=int(redemption.method) if redemption.fingerprint else 0,  # type: ignore[arg-type]  # likewise
        quantity=redemption.quantity,
        unit=int(redemption.unit) if redemption.fingerprint else 0,  # type: ignore[arg-type]  # likewise
        amount=redemption.amount,
        cash_fen=redemption.cash_fen,
        captured_amount=redemption.captured,
        refunded_amount=redemption.refunded,
        held_amount=held,
        pin_required=redemption.pin_required,
        price_version=redemption.price_version,
        decline_reason=redemption.reason,
        decline_message=redemption.message,
        business_date=redemption.business_date,
        entries=[capture.entry for capture in redemption.captures],
        replayed=replayed,
    )
    message.create_time.FromMicroseconds(redemption.created_us)
    if redemption.expires_us:
        message.expire_time.FromMicroseconds(redemption.expires_us)
    if redemption.captured_us:
        message.capture_time.FromMicroseconds(redemption.captured_us)
    if redemption.terminal:
        message.terminal = f"{merchant}/terminals/{redemption.terminal.partition('/')[2]}"
    if redemption.offer:
        message.offer = f"{merchant}/offers/{redemption.offer.partition('/')[2]}"
    if redemption.batch:
        message.batch = f"{merchant}/batches/{redemption.batch}"
    if redemption.method is Method.VOUCHER:
        message.voucher = f"{ledger}/vouchers/{redemption.merchant_ref.partition('-')[2]}"
    if shows_member and redemption.member_id:
        message.member = f"{ledger}/members/{redemption.member_id}"
    return message


def card_to_wire(ledger_id: str, card: Card, number: str = "") -> redemption_pb2.Card:
    """Writes a card; its number only when it was issued just now."""
    state = redemption_pb2.Card.STATE_BLOCKED if card.blocked else redemption_pb2.Card.STATE_ACTIVE
    message = redemption_pb2.Card(
        name=f"ledgers/{ledger_id}/cards/{card.card_id}",
        member=f"ledgers/{ledger_id}/members/{card.member_id}",
        state=state,
        number=number,
    )
    message.create_time.FromMicroseconds(card.created_us)
    return message


def voucher_to_wire(
    ledger_id: str, voucher: Voucher, quantity: int, code: str = "", *, shows_member: bool
) -> redemption_pb2.Voucher:
    """Writes a voucher; its code only when it was issued just now, the member only for who may
    know.
    """
    merchant = f"ledgers/{ledger_id}/merchants/{voucher.merchant_id}"
    message = redemption_pb2.Voucher(
        name=f"ledgers/{ledger_id}/vouchers/{voucher.voucher_id}",
        offer=f"{merchant}/offers/{voucher.offer.partition('/')[2]}",
        member=f"ledgers/{ledger_id}/members/{voucher.member_id}" if shows_member else "",
        state=voucher.state,  # type: ignore[arg-type]  # the domain has the contract's numbers
        code=code,
        redemption=f"{merchant}/redemptions/{voucher.redemption_id.partition('/')[2]}",
        quantity=quantity,
    )
    message.create_time.FromMicroseconds(voucher.issued_us)
    message.expire_time.FromMicroseconds(voucher.expires_us)
    return message
