"""What payment codes, PINs, cards and vouchers refuse."""

from collections.abc import Callable
from typing import Any

from merchant.domain.states import DocumentKind as K
from tests.merchant.rpc.sale_refusals import BROKE, DECLINED, PIN_TRIED, TRIED, guessing
from tests.merchant.rpc.scenes import (
    BARBER,
    CHEN,
    FAR_OFFICER,
    OTHER_PIN,
    PIN,
    Refusal,
    Scene,
    member,
    offer,
    terminal,
)
from tests.merchant.rpc.signature_refusals import V, fixed, signature_rows, unsigned
from tests.merchant.till_world import LEDGER
from timebank.errors import Reason as R

CODE, SET_PIN, RESET_PIN = "IssuePaymentCode", "SetPin", "ResetPin"
ISSUE_CARD, BLOCK_CARD, LIST_CARDS = "IssueCard", "BlockCard", "ListCards"
ISSUE, COLLECT, GET = "IssueVoucher", "CollectVoucher", "GetVoucher"
WEAK_PINS = ("", "12345", "123456", "111111", "abcdef", "１９５７３８", "1957380")
VOUCHER_DECLINED = DECLINED | {K.VOUCHER}


def _named(method: str, reason: R, word: str, **more: Any) -> Refusal:
    leaves = more.pop("leaves", frozenset())
    return Refusal(method, reason, word, lambda s: {"name": member(word), **more}, leaves=leaves)


def _typed(word: str) -> Callable[[Scene], dict[str, Any]]:
    """A voucher's code by its word, or what is none."""
    return lambda scene: {"code": scene.codes.get(word, word), "terminal": guessing(COLLECT)}


def _bought(reason: R, text: str, **fields: Any) -> Refusal:
    leaves = fields.pop("leaves", frozenset())
    return Refusal(ISSUE, reason, text, fixed(**fields), leaves=leaves)


WALLET_REFUSALS: tuple[Refusal, ...] = (
    Refusal(CODE, V, "a device of too many characters", fixed(device="d" * 65)),
    _named(CODE, R.MEMBER_NOT_FOUND, "none"),
    _named(CODE, R.RATE_LIMITED, "chen"),
    Refusal(CODE, R.MEMBER_NOT_FOUND, "another's", fixed(name=member("wang")), CHEN),
    *(Refusal(SET_PIN, V, pin, fixed(pin=pin)) for pin in WEAK_PINS),
    _named(SET_PIN, R.MEMBER_NOT_FOUND, "none"),
    Refusal(SET_PIN, R.MEMBER_NOT_FOUND, "another's", fixed(name=member("wang")), CHEN),
    _named(SET_PIN, R.PIN_REQUIRED, "wang"),
    _named(SET_PIN, R.PIN_INVALID, "slip", present_pin=OTHER_PIN, leaves=PIN_TRIED),
    _named(SET_PIN, R.PIN_LOCKED, "locked", present_pin=PIN),
    _named(SET_PIN, V, "slip", present_pin="12345"),
    *(Refusal(RESET_PIN, V, pin, fixed(pin=pin)) for pin in WEAK_PINS[1:]),
    _named(RESET_PIN, R.MEMBER_NOT_FOUND, "none"),
    Refusal(RESET_PIN, R.MEMBER_NOT_FOUND, "another unit", caller=FAR_OFFICER),
    Refusal(ISSUE_CARD, R.MEMBER_NOT_FOUND, "nobody", fixed(member=member("none"))),
    Refusal(ISSUE_CARD, R.MEMBER_NOT_FOUND, "another unit", caller=FAR_OFFICER),
    Refusal(BLOCK_CARD, R.CARD_NOT_FOUND, "unknown", fixed(name=f"{LEDGER}/cards/none")),
    Refusal(BLOCK_CARD, R.CARD_NOT_FOUND, "another's", caller=CHEN),
    Refusal(BLOCK_CARD, R.CARD_NOT_FOUND, "another unit", caller=FAR_OFFICER),
    Refusal(LIST_CARDS, V, "a state of no contract", fixed(state=9)),
    Refusal(LIST_CARDS, V, "no member", fixed(member="wang")),
    Refusal(LIST_CARDS, R.MEMBER_NOT_FOUND, "another's", fixed(member=member("wang")), CHEN),
    Refusal(
        LIST_CARDS,
        R.MEMBER_NOT_FOUND,
        "another unit",
        fixed(member=member("wang")),
        FAR_OFFICER,
    ),
)
VOUCHER_REFUSALS: tuple[Refusal, ...] = (
    _bought(V, "no pieces", quantity=0),
    _bought(V, "too many pieces", quantity=1_001),
    _bought(V, "no price", offer=offer("free")),
    _bought(V, "too many days", valid_days=366),
    _bought(V, "days before today", valid_days=-1),
    _bought(V, "a member of another ledger", member="ledgers/rongcheng/members/wang"),
    _bought(V, "five digits", pin="12345"),
    _bought(R.MEMBER_NOT_FOUND, "nobody", member=member("none")),
    _bought(R.MERCHANT_NOT_FOUND, "an unknown merchant", offer=offer("coffee", "none")),
    _bought(R.MERCHANT_NOT_ACTIVE, "a suspended merchant", offer=offer("coffee", "resting")),
    _bought(R.OFFER_NOT_FOUND, "an unknown offer", offer=offer("none")),
    _bought(R.OFFER_NOT_ACTIVE, "a paused offer", offer=offer("paused")),
    _bought(R.PRICE_CHANGED, "another version", price_version=9),
    _bought(R.OUT_OF_STOCK, "nothing left", offer=offer("none-left")),
    _bought(R.FUND_EXHAUSTED, "a budget of one fen", offer=offer("coffee", "poor")),
    _bought(R.LIMIT_EXCEEDED, "a second piece on a day", offer=offer("capped")),
    _bought(R.VELOCITY_LIMIT_EXCEEDED, "above a limit", offer=offer("dear"), quantity=9),
    _bought(R.PIN_REQUIRED, "much without a PIN", offer=offer("dear")),
    _bought(
        R.PIN_INVALID,
        "a wrong PIN",
        offer=offer("dear"),
        pin=OTHER_PIN,
        member=member("slip"),
        leaves=PIN_TRIED,
    ),
    _bought(R.PIN_LOCKED, "locked", offer=offer("dear"), pin=PIN, member=member("locked")),
    *(
        _bought(reason, f"{word} pays", member=member(word), leaves=VOUCHER_DECLINED)
        for word, reason in BROKE.items()
    ),
    *signature_rows(COLLECT),
    Refusal(COLLECT, R.TERMINAL_SIGNATURE_INVALID, "no signature", metadata=unsigned),
    Refusal(COLLECT, V, "a till of another merchant", fixed(terminal=terminal("t1", "barber"))),
    Refusal(COLLECT, R.TERMINAL_NOT_FOUND, "unknown", fixed(terminal=terminal("none"))),
    Refusal(COLLECT, R.TERMINAL_SUSPENDED, "a suspended till", fixed(terminal=terminal("lost"))),
    Refusal(COLLECT, R.RATE_LIMITED, "many wrong codes", fixed(terminal=terminal("tried"))),
    *(
        Refusal(COLLECT, R.VOUCHER_NOT_FOUND, text, _typed(code), leaves=TRIED)
        for text, code in (
            ("an unknown code", "1" * 18),
            ("a code that is none", "x"),
            ("another merchant's", "barber voucher"),
        )
    ),
    Refusal(COLLECT, R.REDEMPTION_STATE, "collected", lambda s: {"code": s.codes["collected"]}),
    Refusal(GET, R.VOUCHER_NOT_FOUND, "unknown", fixed(name=f"{LEDGER}/vouchers/none")),
    Refusal(GET, R.VOUCHER_NOT_FOUND, "another's", caller=CHEN),
    Refusal(GET, R.VOUCHER_NOT_FOUND, "another merchant's", caller=BARBER),
)
