"""What quotes, authorisations and redemptions refuse."""

from collections.abc import Callable, Mapping
from typing import Any

from merchant.domain.states import DocumentKind as K
from tests.merchant.rpc.scene_shops import VELOCITY_MAX
from tests.merchant.rpc.scenes import (
    OTHER_PIN,
    PIN,
    Refusal,
    Scene,
    member,
    merchant,
    offer,
    terminal,
)
from tests.merchant.rpc.signature_refusals import V, fixed, signature_rows, unsigned
from timebank.errors import Reason as R
from timebank.merchant.v1 import redemption_service_pb2

DECLINED = frozenset({K.REDEMPTION, K.CODE, K.COUNTER, K.WALLET})
"""What stays of a sale that the ledger declined: that it was asked for, and its code is used."""
RELEASED = DECLINED | {K.BUDGET}
"""Of one that had waited, the reserved budget is free again as well."""
TRIED = frozenset({K.TRIES})
PIN_TRIED = frozenset({K.WALLET})
QUOTE, AUTHORIZE, REDEEM = "QuoteRedemption", "AuthorizeRedemption", "RedeemPoints"


def at(owner: str, till: str = "t1", sold: str = "coffee") -> dict[str, Any]:
    """A sale of another merchant."""
    return {
        "parent": merchant(owner),
        "terminal": terminal(till, owner),
        "offer": offer(sold, owner),
    }


def guessing(method: str) -> str:
    """The till at which wrong codes of a method are tried: ten a minute are counted for each."""
    return terminal(f"guess-{method[:5].lower()}")


def by_card(word: str, pin: str = PIN, **fields: Any) -> Callable[[Scene], Mapping[str, Any]]:
    """A sale to somebody's card."""
    return lambda scene: {"card_number": scene.codes[f"card of {word}"], "pin": pin, **fields}


def by_code(word: str, **fields: Any) -> Callable[[Scene], Mapping[str, Any]]:
    """A sale to somebody's payment code."""
    return lambda scene: {"payment_code": scene.codes[word], **fields}


def helped(word: str) -> dict[str, Any]:
    """A sale to a member whom an officer helps."""
    payer = redemption_service_pb2.AssistedPayer(member=member(word), officer="li")
    return {"assisted": payer}


def free(amount: int) -> dict[str, Any]:
    """A sale of something without a price."""
    return {"offer": offer("free"), "amount": amount}


def _quoted_rows(method: str) -> tuple[Refusal, ...]:
    """What a quote refuses as a sale does."""

    def row(reason: R, about: str, **fields: Any) -> Refusal:
        return Refusal(method, reason, about, fixed(**fields))

    return (
        row(V, "no pieces", quantity=0),
        row(V, "too many pieces", quantity=1_001),
        row(V, "fewer than no pieces", quantity=-1),
        row(V, "a till of another merchant", terminal=terminal("t1", "barber")),
        row(V, "an offer of another merchant", offer=offer("coffee", "barber")),
        row(V, "no amount", **free(0)),
        row(V, "too large an amount", **free(1_000_001)),
        row(V, "two pieces without a price", quantity=2, **free(10)),
        row(R.TERMINAL_NOT_FOUND, "an unknown till", terminal=terminal("none")),
        row(R.MERCHANT_NOT_ACTIVE, "a suspended merchant", **at("resting")),
        row(R.MERCHANT_NOT_ACTIVE, "a merchant that left", **at("gone")),
        row(R.TERMINAL_SUSPENDED, "a suspended till", terminal=terminal("lost")),
        row(R.OFFER_NOT_FOUND, "an unknown offer", offer=offer("none")),
        row(R.OFFER_NOT_ACTIVE, "a paused offer", offer=offer("paused")),
        row(R.OFFER_NOT_ACTIVE, "an offer that has ended", offer=offer("over")),
        row(R.PRICE_CHANGED, "another version", price_version=9),
        row(R.PRICE_CHANGED, "another amount", amount=11),
        row(R.LIMIT_EXCEEDED, "more than the till takes", terminal=terminal("small")),
        row(R.LIMIT_EXCEEDED, "a second piece on a day", offer=offer("capped")),
        row(R.RATE_LIMITED, "a till of many wrong codes", terminal=terminal("tried")),
        row(R.MEMBER_NOT_FOUND, "help for nobody", **helped("none")),
        row(R.VELOCITY_LIMIT_EXCEEDED, "above a limit", **free(VELOCITY_MAX + 1)),
        row(R.OUT_OF_STOCK, "nothing left", offer=offer("none-left")),
        row(R.FUND_EXHAUSTED, "a budget of one fen", **at("poor")),
        *(
            Refusal(method, R.PAYMENT_CODE_INVALID, about, changes, leaves=TRIED)
            for about, changes in (
                ("a code that is none", fixed(payment_code="x", terminal=guessing(method))),
                ("an unknown code", fixed(payment_code="7" * 18, terminal=guessing(method))),
                ("a card's number as a code", by_code("card of wang", terminal=guessing(method))),
            )
        ),
    )


def _sale_rows(method: str) -> tuple[Refusal, ...]:
    """What a sale refuses and a quote does not."""
    return (
        *signature_rows(method),
        Refusal(method, R.TERMINAL_SIGNATURE_INVALID, "no signature", metadata=unsigned),
        Refusal(
            method,
            R.TERMINAL_SIGNATURE_INVALID,
            "a till without a key",
            fixed(terminal=terminal("fresh")),
        ),
        Refusal(method, V, "nobody pays", fixed(payment_code=None)),
        Refusal(method, V, "a PIN of letters", by_card("wang", "abcdef")),
        Refusal(
            method,
            R.MERCHANT_REF_REUSED,
            "a reference of another sale",
            lambda s: {"merchant_ref": s.refs["capped"]},
        ),
        Refusal(
            method,
            R.REVERSED_BEFORE_AUTHORIZATION,
            "a reference that was reversed",
            lambda s: {"merchant_ref": s.refs["reversed"]},
        ),
        *(
            Refusal(method, R.PAYMENT_CODE_INVALID, f"a card that {about}", changes, leaves=TRIED)
            for about, changes in (
                ("is blocked", by_card("nopin", terminal=guessing(method))),
                ("nobody has", fixed(card_number="4" * 16, pin=PIN, terminal=guessing(method))),
            )
        ),
        Refusal(method, R.PIN_REQUIRED, "a card alone", by_card("wang", "")),
        Refusal(method, R.PIN_REQUIRED, "a member without PIN", by_card("chen")),
        Refusal(
            method,
            R.PIN_INVALID,
            "a wrong PIN",
            by_card("typo", OTHER_PIN),
            leaves=PIN_TRIED,
        ),
        Refusal(method, R.PIN_LOCKED, "a locked PIN", by_card("locked")),
        *(
            Refusal(method, reason, f"{word} pays", by_card(word), leaves=DECLINED)
            for word, reason in BROKE.items()
        ),
    )


BROKE = {
    "thin": R.INSUFFICIENT_BALANCE,
    "frozen": R.ACCOUNT_FROZEN,
    "shut": R.ACCOUNT_CLOSED,
}
"""Members for whom the ledger declines, and why."""
SALE_REFUSALS: tuple[Refusal, ...] = (
    *_quoted_rows(QUOTE),
    Refusal(QUOTE, R.MERCHANT_NOT_FOUND, "an unknown merchant", fixed(**at("none"))),
    *(Refusal(QUOTE, reason, f"{word} would pay", by_code(word)) for word, reason in BROKE.items()),
    Refusal(
        QUOTE,
        R.PIN_LOCKED,
        "a locked PIN is wanted",
        by_code("locked", offer=offer("dear")),
    ),
    *_quoted_rows(AUTHORIZE),
    *_sale_rows(AUTHORIZE),
    Refusal(AUTHORIZE, V, "held for too long", fixed(hold_minutes=2_161)),
    Refusal(AUTHORIZE, V, "held for less than no time", fixed(hold_minutes=-1)),
    *_quoted_rows(REDEEM),
    *_sale_rows(REDEEM),
)
