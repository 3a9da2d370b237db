"""The lines of a till's journal: what the till is about to ask, and what came of it.

Owns: the two kinds of line, how each is written and read, and what the lines say of a sale so far.
Refuses: the file (see till_journal.py). Rules: a line is a JSON object; no line ever holds a
payment code, a card number or a PIN. Times are RFC 3339 in UTC; dates are the till's local ones
until the server says the business date.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from timebank.client.merchant_views import RedemptionState, RedemptionView
from timebank.errors import TimebankError

MESSAGE_CHARACTERS_MAX = 500


class Action(enum.StrEnum):
    """What a till asks for."""

    REDEEM = "REDEEM"
    AUTHORIZE = "AUTHORIZE"
    CONFIRM = "CONFIRM"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REVERSE = "REVERSE"
    REFUND = "REFUND"


SALES = frozenset({Action.REDEEM, Action.AUTHORIZE})
"""What begins a redemption; a code that is not kept is needed to ask for it again."""
SENT_AGAIN = frozenset({Action.CAPTURE, Action.VOID, Action.REVERSE, Action.REFUND})
"""What can be asked again out of the journal alone, any number of times."""


class Verdict(enum.StrEnum):
    """What came of an intent; UNKNOWN leaves it open."""

    ANSWERED = "ANSWERED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What the till is about to ask; it is on the disk before the call goes out."""

    seq: int
    time: str
    date: str
    action: Action
    merchant_ref: str
    request_id: str
    name: str = ""
    op_ref: str = ""
    offer: str = ""
    quantity: int = 0
    amount: int = 0
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of intent number `of`, and what the server said of the redemption then."""

    seq: int
    time: str
    of: int
    verdict: Verdict
    name: str = ""
    state: str = ""
    amount: int = 0
    captured_amount: int = 0
    refunded_amount: int = 0
    business_date: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A redemption as this till knows it.

    `refused`: the server took no redemption, and `reason` says why. `reversal_waits`: a reversal is
    not acknowledged yet. `date` is the till's, until the server says the business date.
    """

    merchant_ref: str
    time: str
    date: str
    offer: str
    quantity: int
    amount: int
    name: str = ""
    state: RedemptionState = RedemptionState.UNKNOWN
    captured_amount: int = 0
    refunded_amount: int = 0
    business_date: str = ""
    refused: bool = False
    reason: str = ""
    reversal_waits: bool = False

    @property
    def is_open(self) -> bool:
        """Says whether the truth is still to be asked for."""
        return not self.refused and self.state in (
            RedemptionState.UNKNOWN,
            RedemptionState.PENDING_MEMBER,
        )

    @property
    def day(self) -> str:
        """Gives the business date, or the till's own date before there is one."""
        return self.business_date or self.date


def begun(intent: Intent) -> Sale:
    """Gives the sale that an intent begins."""
    return Sale(
        merchant_ref=intent.merchant_ref,
        time=intent.time,
        date=intent.date,
        offer=intent.offer,
        quantity=intent.quantity,
        amount=intent.amount,
    )


def after_outcome(sale: Sale, intent: Intent, outcome: Outcome) -> Sale:
    """Gives a sale after what came of an intent about it."""
    if outcome.verdict is Verdict.ANSWERED:
        return replace(
            sale,
            name=outcome.name or sale.name,
            state=_state(outcome.state),
            amount=outcome.amount or sale.amount,
            captured_amount=outcome.captured_amount,
            refunded_amount=outcome.refunded_amount,
            business_date=outcome.business_date or sale.business_date,
            refused=False,
            reason=outcome.reason,
        )
    if outcome.verdict is Verdict.REFUSED and intent.action in SALES:
        return replace(sale, refused=True, reason=outcome.reason)
    if outcome.verdict is Verdict.UNKNOWN and intent.action is Action.CONFIRM:
        return replace(sale, state=RedemptionState.UNKNOWN)
    return sale


def said_of(view: RedemptionView | None, error: TimebankError | None) -> dict[str, Any]:
    """Gives the fields of an outcome that an answer or a refusal fills."""
    if view is not None:
        return {
            "name": view.name,
            "state": view.state.value,
            "amount": view.amount,
            "captured_amount": view.captured_amount,
            "refunded_amount": view.refunded_amount,
            "business_date": view.business_date,
            "reason": view.decline_reason,
            "message": view.decline_message[:MESSAGE_CHARACTERS_MAX],
        }
    if error is not None:
        return {
            "reason": error.reason.value,
            "message": error.message[:MESSAGE_CHARACTERS_MAX],
        }
    return {}


def to_line(record: Intent | Outcome) -> bytes:
    """Writes a record as a line; fields that are empty are left out."""
    cells = {key: value for key, value in asdict(record).items() if value not in ("", 0, False)}
    kind = "INTENT" if isinstance(record, Intent) else "OUTCOME"
    text = json.dumps({"kind": kind} | cells, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8") + b"\n"


def from_cells(cells: dict[str, Any]) -> Intent | Outcome:
    """Reads a record. Raises ValueError for what is none; fields that are not known are passed."""
    kind = cells.get("kind")
    if kind == "INTENT":
        return _filled(Intent, cells, {"action": Action})
    if kind == "OUTCOME":
        return _filled(Outcome, cells, {"verdict": Verdict})
    raise ValueError(f"expected an INTENT or OUTCOME, got {kind!r}")


_Record = TypeVar("_Record", Intent, Outcome)


def _filled(
    record: type[_Record], cells: dict[str, Any], kinds: dict[str, type[enum.StrEnum]]
) -> _Record:
    values: dict[str, Any] = {}
    for field in fields(record):
        if field.name not in cells:
            continue
        value = cells[field.name]
        expected = {"int": int, "bool": bool}.get(str(field.type), str)
        if type(value) is not expected:
            raise ValueError(f"{field.name}: expected {expected.__name__}, got {value!r}")
        values[field.name] = kinds[field.name](str(value)) if field.name in kinds else value
    try:
        return record(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _state(text: str) -> RedemptionState:
    return RedemptionState(text) if text in RedemptionState.__members__ else RedemptionState.UNKNOWN
