"""The refusals of holds and of corrections, in their documented order."""

from typing import Any

from tests.ledger.rpc.scenes import MEMBER_CALLER, USED_KEY, Refusal, Scene
from tests.support.commands import (
    DAY_S,
    HOURS,
    PAYMENT,
    POINTS,
    REDEMPTION,
    SERVICE,
    TIME,
    TRANSFER,
    capture,
    hold,
    later,
)
from timebank.errors import Reason as R
from timebank.ledger.v1 import command_pb2

CREATE, CAPTURE, VOID = "CreateHold", "CaptureHold", "VoidHold"
REVERSE, REFUND = "ReverseEntry", "RefundEntry"
V = R.VALIDATION_FAILED
PASSED_S = 61
"""The scene has moved the clock by so much."""
TILL_S = 36 * 3_600


def held(scene: Scene, word: str = "alice", amount: int = 1, unit: int = POINTS, **f: Any) -> Any:
    """Creates a hold."""
    return scene.call(CREATE, create_hold=hold(scene.account(word), amount, unit, **f))


def service(scene: Scene, word: str = "alice-time", unit: int = TIME, **fields: Any) -> Any:
    """Creates a hold for a service that ends in a day."""
    values = {"kind": SERVICE, "service_time": later(days=1)} | fields
    return held(scene, word, 1, unit, **values)


def captured(scene: Scene, word: str, to: str = "shop", amount: int = 1, **fields: Any) -> Any:
    """Captures a hold."""
    return scene.call(
        CAPTURE, capture_hold=capture(scene.a_hold(word), scene.account(to), amount, **fields)
    )


def voided(scene: Scene, word: str, **fields: Any) -> Any:
    """Voids a hold."""
    made = command_pb2.VoidHoldCommand(hold=scene.a_hold(word))
    return scene.call(VOID, **({"void_hold": made} | fields))


def reversed_(scene: Scene, word: str, memo: str = "", **fields: Any) -> Any:
    """Reverses an entry."""
    made = command_pb2.ReverseCommand(entry=scene.an_entry(word), memo=memo)
    return scene.call(REVERSE, **({"reverse": made} | fields))


def refunded(scene: Scene, word: str, amount: int = 1, key: str = "", **fields: Any) -> Any:
    """Refunds an entry."""
    made = command_pb2.RefundCommand(entry=scene.an_entry(word), amount=amount, natural_key=key)
    return scene.call(REFUND, **({"refund": made} | fields))


def unnamed(name: str) -> command_pb2.CaptureHoldCommand:
    """A capture of a hold with a bad name."""
    return capture(name, "ledgers/weihai/accounts/a", 1)


CREATE_REFUSALS: tuple[Refusal, ...] = (
    Refusal(CREATE, R.SCOPE_MISSING, "member", lambda s: s.call(CREATE, caller=MEMBER_CALLER)),
    Refusal(CREATE, V, "nothing", lambda s: s.call(CREATE)),
    Refusal(CREATE, V, "zero", lambda s: held(s, amount=0)),
    Refusal(CREATE, V, "negative", lambda s: held(s, amount=-1)),
    Refusal(CREATE, V, "no kind", lambda s: held(s, kind=0)),
    Refusal(CREATE, V, "no unit", lambda s: held(s, unit=0)),
    Refusal(CREATE, V, "no expiry", lambda s: held(s, expire_time=None)),
    Refusal(CREATE, V, "service time at a till", lambda s: held(s, service_time=later(days=1))),
    Refusal(CREATE, V, "service without time", lambda s: service(s, service_time=None)),
    Refusal(CREATE, V, "long key", lambda s: held(s, natural_key="k" * 129)),
    Refusal(CREATE, V, "bad uuid", lambda s: s.call(CREATE, request_id="1")),
    Refusal(CREATE, V, "now", lambda s: held(s, seconds=PASSED_S)),
    Refusal(
        CREATE,
        R.REQUEST_ID_REUSED,
        "a request id of a posting",
        lambda s: s.call(CREATE, request_id=s.used_id, create_hold=hold(s.account("alice"), 1)),
    ),
    Refusal(CREATE, R.ACCOUNT_NOT_FOUND, "unknown", lambda s: held(s, "unknown")),
    Refusal(CREATE, R.MOVEMENT_NOT_ALLOWED, "wrong unit", lambda s: held(s, unit=TIME)),
    Refusal(CREATE, R.MOVEMENT_NOT_ALLOWED, "HOURS", lambda s: held(s, "hours", unit=HOURS)),
    Refusal(CREATE, R.MOVEMENT_NOT_ALLOWED, "a merchant", lambda s: held(s, "shop")),
    Refusal(CREATE, R.MOVEMENT_NOT_ALLOWED, "POINTS", lambda s: service(s, "alice", POINTS)),
    Refusal(CREATE, R.ACCOUNT_CLOSED, "closed", lambda s: held(s, "closed")),
    Refusal(CREATE, R.ACCOUNT_FROZEN, "frozen", lambda s: held(s, "frozen")),
    Refusal(
        CREATE,
        R.LIMIT_EXCEEDED,
        "longer than 36 hours",
        lambda s: held(s, seconds=PASSED_S + TILL_S + 1),
    ),
    Refusal(
        CREATE,
        R.LIMIT_EXCEEDED,
        "more than 7 days after the service",
        lambda s: service(s, seconds=8 * DAY_S + 1),
    ),
    Refusal(CREATE, R.INSUFFICIENT_BALANCE, "more than there is", lambda s: held(s, amount=10_000)),
)
CAPTURE_REFUSALS: tuple[Refusal, ...] = (
    Refusal(CAPTURE, R.SCOPE_MISSING, "member", lambda s: s.call(CAPTURE, caller=MEMBER_CALLER)),
    Refusal(CAPTURE, V, "nothing", lambda s: s.call(CAPTURE)),
    Refusal(CAPTURE, V, "bad hold", lambda s: s.call(CAPTURE, capture_hold=unnamed("holds/a"))),
    Refusal(
        CAPTURE,
        V,
        "a hold of another ledger",
        lambda s: s.call(CAPTURE, capture_hold=unnamed("ledgers/other/holds/a")),
    ),
    Refusal(CAPTURE, V, "zero", lambda s: captured(s, "live", amount=0)),
    Refusal(CAPTURE, V, "negative", lambda s: captured(s, "live", amount=-5)),
    Refusal(CAPTURE, V, "no kind", lambda s: captured(s, "live", kind=0)),
    Refusal(CAPTURE, V, "expiry without lots", lambda s: captured(s, "live", expire_time=later())),
    Refusal(CAPTURE, R.HOLD_NOT_FOUND, "unknown", lambda s: captured(s, "unknown", amount=99)),
    Refusal(
        CAPTURE,
        R.HOLD_NOT_FOUND,
        "no chain",
        lambda s: s.call(
            CAPTURE, capture_hold=capture(f"{s.parent}/holds/-", s.account("shop"), 1)
        ),
    ),
    Refusal(CAPTURE, R.HOLD_EXPIRED, "expired", lambda s: captured(s, "expired", amount=99)),
    Refusal(CAPTURE, R.HOLD_RELEASED, "voided", lambda s: captured(s, "voided", amount=99)),
    Refusal(CAPTURE, R.ALREADY_CAPTURED, "captured", lambda s: captured(s, "captured", amount=99)),
    Refusal(
        CAPTURE,
        R.AMOUNT_EXCEEDS_HOLD,
        "more than is reserved",
        lambda s: captured(s, "live", "unknown", 21),
    ),
    Refusal(CAPTURE, R.ACCOUNT_NOT_FOUND, "unknown", lambda s: captured(s, "live", "unknown")),
    Refusal(CAPTURE, R.MOVEMENT_NOT_ALLOWED, "a member", lambda s: captured(s, "live", "bob")),
    Refusal(CAPTURE, R.MOVEMENT_NOT_ALLOWED, "itself", lambda s: captured(s, "live", "alice")),
    Refusal(
        CAPTURE,
        R.MOVEMENT_NOT_ALLOWED,
        "a kind that is no capture",
        lambda s: captured(s, "time", "bob-time", kind=TRANSFER),
    ),
    Refusal(
        CAPTURE,
        R.MOVEMENT_NOT_ALLOWED,
        "another unit",
        lambda s: captured(s, "time", "shop", kind=REDEMPTION),
    ),
    Refusal(CAPTURE, R.ACCOUNT_CLOSED, "closed", lambda s: captured(s, "live", "closed-shop")),
    Refusal(
        CAPTURE,
        R.LIMIT_EXCEEDED,
        "above what the payee may have",
        lambda s: captured(s, "time", "capped", 6, kind=PAYMENT),
    ),
    Refusal(
        CAPTURE,
        R.AMOUNT_OVERFLOW,
        "64 bits",
        lambda s: captured(s, "debtor", "full", 1_000, kind=PAYMENT),
    ),
    Refusal(
        CAPTURE,
        R.REQUEST_ID_REUSED,
        "a request id of a posting",
        lambda s: s.call(
            CAPTURE,
            request_id=s.used_id,
            capture_hold=capture(s.a_hold("live"), s.account("shop"), 1),
        ),
    ),
    Refusal(
        CAPTURE,
        R.ENTRY_EXISTS,
        "key",
        lambda s: captured(s, "live", natural_key=USED_KEY),
    ),
)
VOID_REFUSALS: tuple[Refusal, ...] = (
    Refusal(VOID, R.SCOPE_MISSING, "member", lambda s: s.call(VOID, caller=MEMBER_CALLER)),
    Refusal(VOID, V, "nothing", lambda s: s.call(VOID)),
    Refusal(VOID, R.HOLD_NOT_FOUND, "unknown", lambda s: voided(s, "unknown")),
    Refusal(VOID, R.HOLD_EXPIRED, "expired", lambda s: voided(s, "expired")),
    Refusal(VOID, R.HOLD_RELEASED, "voided", lambda s: voided(s, "voided")),
    Refusal(VOID, R.ALREADY_CAPTURED, "captured", lambda s: voided(s, "captured")),
    Refusal(VOID, R.REQUEST_ID_REUSED, "reused", lambda s: voided(s, "live", request_id=s.used_id)),
)
CORRECTION_REFUSALS: tuple[Refusal, ...] = (
    Refusal(REVERSE, R.SCOPE_MISSING, "member", lambda s: s.call(REVERSE, caller=MEMBER_CALLER)),
    Refusal(REVERSE, V, "nothing", lambda s: s.call(REVERSE)),
    Refusal(REVERSE, V, "long memo", lambda s: reversed_(s, "redemption", "m" * 2_001)),
    Refusal(
        REVERSE,
        V,
        "an index in other digits",
        lambda s: s.call(
            REVERSE, reverse=command_pb2.ReverseCommand(entry=f"{s.parent}/entries/²")
        ),
    ),
    Refusal(
        REVERSE,
        R.REQUEST_ID_REUSED,
        "reused",
        lambda s: reversed_(s, "three", request_id=s.used_id),
    ),
    Refusal(REVERSE, R.ENTRY_NOT_FOUND, "beyond the log", lambda s: reversed_(s, "unknown")),
    Refusal(REVERSE, R.MOVEMENT_NOT_ALLOWED, "a fact", lambda s: reversed_(s, "fact")),
    Refusal(REVERSE, R.MOVEMENT_NOT_ALLOWED, "a refund", lambda s: reversed_(s, "refund")),
    Refusal(REVERSE, R.ALREADY_REVERSED, "reversed", lambda s: reversed_(s, "reversed")),
    Refusal(REVERSE, R.ALREADY_REVERSED, "refunded in part", lambda s: reversed_(s, "refunded")),
    Refusal(REVERSE, R.ACCOUNT_CLOSED, "closed payer", lambda s: reversed_(s, "first-closed")),
    Refusal(REVERSE, R.INSUFFICIENT_BALANCE, "spent", lambda s: reversed_(s, "spent")),
    Refusal(REVERSE, R.INSUFFICIENT_BALANCE, "no debt", lambda s: reversed_(s, "given")),
    Refusal(REFUND, R.SCOPE_MISSING, "member", lambda s: s.call(REFUND, caller=MEMBER_CALLER)),
    Refusal(REFUND, V, "nothing", lambda s: s.call(REFUND)),
    Refusal(REFUND, V, "zero", lambda s: refunded(s, "redemption", 0)),
    Refusal(REFUND, V, "negative", lambda s: refunded(s, "redemption", -1)),
    Refusal(REFUND, V, "long key", lambda s: refunded(s, "redemption", key="k" * 129)),
    Refusal(
        REFUND, R.REQUEST_ID_REUSED, "reused", lambda s: refunded(s, "keyed", request_id=s.used_id)
    ),
    Refusal(REFUND, R.ENTRY_EXISTS, "key", lambda s: refunded(s, "keyed", key=USED_KEY)),
    Refusal(REFUND, R.ENTRY_NOT_FOUND, "beyond the log", lambda s: refunded(s, "unknown", 99)),
    Refusal(REFUND, R.MOVEMENT_NOT_ALLOWED, "a fact", lambda s: refunded(s, "fact", 99)),
    Refusal(REFUND, R.MOVEMENT_NOT_ALLOWED, "three postings", lambda s: refunded(s, "three")),
    Refusal(REFUND, R.ALREADY_REVERSED, "reversed", lambda s: refunded(s, "reversed", 99)),
    Refusal(REFUND, R.REFUND_EXCEEDS_CAPTURE, "in one", lambda s: refunded(s, "keyed", 4)),
    Refusal(REFUND, R.REFUND_EXCEEDS_CAPTURE, "in all", lambda s: refunded(s, "refunded", 7)),
    Refusal(REFUND, R.ACCOUNT_CLOSED, "closed payer", lambda s: refunded(s, "second-closed")),
    Refusal(REFUND, R.INSUFFICIENT_BALANCE, "spent", lambda s: refunded(s, "spent")),
)
HOLD_REFUSALS = (*CREATE_REFUSALS, *CAPTURE_REFUSALS, *VOID_REFUSALS, *CORRECTION_REFUSALS)
