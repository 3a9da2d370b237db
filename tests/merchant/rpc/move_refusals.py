"""What confirmations, captures, voids, reversals and refunds refuse, and the readings of sales."""

from typing import Any

from merchant.domain.states import DocumentKind as K
from tests.merchant.rpc.sale_refusals import BROKE, PIN_TRIED, RELEASED
from tests.merchant.rpc.scenes import (
    CHEN,
    FAR_OFFICER,
    FIRST_TILL,
    OFFICER,
    OTHER_PIN,
    PIN,
    Refusal,
    member,
    merchant,
    terminal,
)
from tests.merchant.rpc.signature_refusals import V, fixed, signature_rows, signed_by, unsigned
from timebank.errors import Reason as R

CONFIRM, CAPTURE, VOID = "ConfirmRedemption", "CaptureRedemption", "VoidRedemption"
REVERSE, REFUND = "ReverseRedemption", "RefundRedemption"
GET, LOOKUP, LIST = "GetRedemption", "LookupRedemption", "ListRedemptions"
APPROVE, BY_MEMBER = "ApproveAssistedRedemption", "ConfirmByMember"
UNKNOWN = f"{merchant('shop')}/redemptions/none"
WAITING = f"{merchant('shop')}/redemptions/-"
"""The only one that waits at a till."""
MOVED = frozenset({K.REDEMPTION})
"""What the ledger declined is told by the redemption."""


def about(method: str, reason: R, word: str, **more: Any) -> Refusal:
    """A row about a redemption of the scene, with other fields too."""
    leaves = more.pop("leaves", frozenset())
    caller = {"caller": more.pop("caller")} if "caller" in more else {}
    text = f"{word} {' '.join(map(str, more.values()))}"[:60]
    changes = lambda s: {"name": s.names[word], **more}  # noqa: E731  # a row has it as a value
    return Refusal(method, reason, text, changes, leaves=leaves, **caller)


def _named_rows(method: str) -> tuple[Refusal, ...]:
    """What every call about one redemption refuses that a till signs."""
    other_ref = {"merchant_ref": "ref-of-another"}
    return (
        Refusal(method, R.REDEMPTION_NOT_FOUND, "unknown", fixed(name=UNKNOWN)),
        Refusal(method, R.REDEMPTION_NOT_FOUND, "another reference", fixed(**other_ref)),
        Refusal(method, R.REDEMPTION_NOT_FOUND, "a till without reference", caller=FIRST_TILL),
        Refusal(method, R.TERMINAL_NOT_FOUND, "an unknown till", metadata=signed_by("none")),
        *signature_rows(method),
    )


_DECLINED = tuple((reason, word) for word, reason in BROKE.items())
MOVE_REFUSALS: tuple[Refusal, ...] = (
    *_named_rows(CONFIRM),
    Refusal(CONFIRM, V, "five digits", fixed(pin="12345")),
    Refusal(CONFIRM, R.TERMINAL_SUSPENDED, "a suspended till", metadata=signed_by("lost")),
    about(CONFIRM, R.REDEMPTION_STATE, "voided"),
    about(CONFIRM, R.REDEMPTION_STATE, "qr of any"),
    about(CONFIRM, R.REDEMPTION_STATE, "assisted wang"),
    about(CONFIRM, R.PIN_REQUIRED, "pin of nopin"),
    about(CONFIRM, R.PIN_INVALID, "pin of typo", pin=OTHER_PIN, leaves=PIN_TRIED),
    about(CONFIRM, R.PIN_LOCKED, "pin of locked"),
    *(about(CONFIRM, reason, f"pin of {word}", leaves=RELEASED) for reason, word in _DECLINED),
    *_named_rows(CAPTURE),
    Refusal(CAPTURE, V, "nothing", fixed(amount=0)),
    Refusal(CAPTURE, V, "less than nothing", fixed(amount=-1), metadata=unsigned),
    about(CAPTURE, R.MERCHANT_REF_REUSED, "partly", op_ref="op-1", amount=5),
    about(CAPTURE, R.REDEMPTION_STATE, "qr of any"),
    about(CAPTURE, R.HOLD_RELEASED, "voided"),
    about(CAPTURE, R.ALREADY_CAPTURED, "captured"),
    about(CAPTURE, R.AMOUNT_EXCEEDS_HOLD, "partly", amount=7),
    about(CAPTURE, R.LIMIT_EXCEEDED, "many"),
    *_named_rows(VOID),
    about(VOID, R.ALREADY_CAPTURED, "captured"),
    *signature_rows(REVERSE),
    Refusal(REVERSE, R.TERMINAL_NOT_FOUND, "an unknown till", metadata=signed_by("none")),
    Refusal(
        REVERSE,
        R.MERCHANT_NOT_FOUND,
        "an unknown merchant",
        fixed(parent=merchant("none")),
        metadata=unsigned,
    ),
    Refusal(
        REVERSE,
        R.BATCH_CLOSED,
        "after the cut-off",
        lambda s: {"merchant_ref": s.refs["settled"]},
    ),
    Refusal(
        REVERSE,
        R.INSUFFICIENT_BALANCE,
        "a merchant that spent it",
        lambda s: {"parent": merchant("drained"), "merchant_ref": s.refs["drained"]},
        leaves=MOVED,
        metadata=signed_by("t1", "drained"),
    ),
    *_named_rows(REFUND),
    Refusal(REFUND, V, "nothing", fixed(amount=0)),
    Refusal(REFUND, V, "less than nothing", fixed(amount=-1), metadata=unsigned),
    Refusal(REFUND, R.TERMINAL_SUSPENDED, "a suspended till", metadata=signed_by("lost")),
    about(REFUND, R.MERCHANT_REF_REUSED, "refunded", op_ref="op-2", amount=1),
    about(REFUND, R.REDEMPTION_STATE, "held"),
    about(REFUND, R.REDEMPTION_STATE, "voided"),
    about(REFUND, R.REFUND_EXCEEDS_CAPTURE, "captured", amount=11),
    about(REFUND, R.REFUND_EXCEEDS_CAPTURE, "refunded"),
    about(REFUND, R.LIMIT_EXCEEDED, "many"),
    Refusal(
        REFUND,
        R.INSUFFICIENT_BALANCE,
        "a merchant that spent it",
        lambda s: {"name": s.names["drained"], "amount": 10},
        leaves=MOVED,
        metadata=signed_by("t1", "drained"),
    ),
)
CONSENT_REFUSALS: tuple[Refusal, ...] = (
    Refusal(APPROVE, R.REDEMPTION_NOT_FOUND, "unknown", fixed(name=UNKNOWN)),
    Refusal(APPROVE, R.FOUR_EYES_REQUIRED, "the first officer", fixed(officer="li")),
    Refusal(APPROVE, R.FOUR_EYES_REQUIRED, "the first officer calls", caller=OFFICER),
    Refusal(APPROVE, R.REDEMPTION_NOT_FOUND, "another unit", caller=FAR_OFFICER),
    Refusal(APPROVE, R.FOUR_EYES_REQUIRED, "the member", fixed(officer="members/wang")),
    about(APPROVE, R.REDEMPTION_STATE, "voided"),
    about(APPROVE, R.REDEMPTION_STATE, "qr of any"),
    *(about(APPROVE, reason, f"assisted {word}", leaves=RELEASED) for reason, word in _DECLINED),
    Refusal(BY_MEMBER, R.REDEMPTION_NOT_FOUND, "unknown", fixed(name=UNKNOWN)),
    Refusal(BY_MEMBER, R.MEMBER_NOT_FOUND, "nobody", fixed(member=member("none"))),
    Refusal(
        BY_MEMBER,
        R.REDEMPTION_NOT_FOUND,
        "several wait at the till",
        fixed(name=WAITING, terminal=terminal("t1"), amount=10),
    ),
    Refusal(
        BY_MEMBER,
        R.REDEMPTION_NOT_FOUND,
        "another amount waits at the till",
        fixed(name=WAITING, terminal=terminal("t2"), amount=9),
    ),
    Refusal(
        BY_MEMBER,
        V,
        "no amount for what waits at the till",
        fixed(name=WAITING, terminal=terminal("t2")),
    ),
    Refusal(
        BY_MEMBER,
        V,
        "no till for what waits there",
        fixed(name=WAITING, amount=10),
    ),
    Refusal(BY_MEMBER, V, "five digits", fixed(pin="12345")),
    Refusal(
        BY_MEMBER,
        R.REDEMPTION_NOT_FOUND,
        "another's",
        lambda s: {"name": s.names["captured"], "member": ""},
        CHEN,
    ),
    about(BY_MEMBER, R.REDEMPTION_STATE, "voided"),
    about(BY_MEMBER, R.REDEMPTION_STATE, "assisted wang"),
    about(BY_MEMBER, R.PRICE_CHANGED, "qr of any", amount=11),
    about(BY_MEMBER, R.PIN_REQUIRED, "dear qr"),
    about(
        BY_MEMBER, R.PIN_INVALID, "dear qr", member=member("typo"), pin=OTHER_PIN, leaves=PIN_TRIED
    ),
    about(BY_MEMBER, R.PIN_LOCKED, "dear qr", member=member("locked"), pin=PIN),
    about(BY_MEMBER, R.VELOCITY_LIMIT_EXCEEDED, "large qr", pin=PIN),
    about(BY_MEMBER, R.LIMIT_EXCEEDED, "capped qr"),
    *(
        about(BY_MEMBER, reason, f"qr of {word}", member=member(word), leaves=RELEASED)
        for reason, word in _DECLINED
    ),
)
READ_REFUSALS: tuple[Refusal, ...] = (
    Refusal(GET, R.REDEMPTION_NOT_FOUND, "unknown", fixed(name=UNKNOWN)),
    about(GET, R.REDEMPTION_NOT_FOUND, "captured", caller=CHEN),
    Refusal(LOOKUP, R.REDEMPTION_NOT_FOUND, "unknown", fixed(merchant_ref="none")),
    Refusal(LIST, V, "fewer than none", fixed(page_size=-1)),
    Refusal(LIST, R.BATCH_NOT_FOUND, "unknown", fixed(batch=f"{merchant('shop')}/batches/none")),
)
