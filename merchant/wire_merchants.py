"""Merchants, tills, offers and velocity controls: messages to domain values and back.

Every field that breaks its rule is named at once; what needs other documents is decided by the
rules.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from merchant.domain.business_days import parse_date
from merchant.domain.calendars import DATE_FIELD
from merchant.domain.documents import Control, Merchant, Offer, Terminal
from merchant.domain.merchant_rules import DEBT_POINTS_DEFAULT, Changes, Terms
from merchant.domain.offer_rules import Content
from merchant.domain.states import OfferUnit
from merchant.domain.terminal_rules import CreateTerminal, live_keys
from merchant.domain.velocity import SCOPES, WINDOWS
from merchant.names import (
    budget_from_name,
    budget_name,
    control_name,
    etag_of,
    invalid,
    invalid_fields,
    merchant_name,
    offer_name,
    terminal_name,
    text_of,
    us_from_wire,
    us_to_wire,
)
from timebank.errors import TimebankError
from timebank.merchant.v1 import merchant_pb2

M = TypeVar("M")
NAME_CHARACTERS_MAX = 100
TERMINAL_NAME_CHARACTERS_MAX = 60
DESCRIPTION_CHARACTERS_MAX = 2_000
RATE_MAX = 1_000_000
CUT_OFF_MINUTE_MAX = 1_439
PRICE_MAX = 1_000_000
NUMBER_MAX = 10**12
"""Most of anything that the contract does not bound: sums of it stay far below 64 bits."""

Reader = Callable[[M, str], Any]
"""Reads one field of a message; the text is the name of the field in refusals."""


def _number(field: str, maximum: int) -> Reader[Any]:
    def read(message: Any, path: str) -> int:
        number = int(getattr(message, field))
        if not 0 <= number <= maximum:
            raise invalid(path, f"expected 0 to {maximum:,}, got {number}")
        return number

    return read


def _optional(field: str, default: int | None) -> Reader[Any]:
    bounded = _number(field, NUMBER_MAX)

    def read(message: Any, path: str) -> int | None:
        return bounded(message, path) if message.HasField(field) else default

    return read


def _text(field: str, characters_max: int, characters_min: int = 1) -> Reader[Any]:
    def read(message: Any, path: str) -> str:
        return text_of(path, getattr(message, field), characters_max, characters_min=characters_min)

    return read


def _value(field: str, values: Iterable[int]) -> Reader[Any]:
    """Reads a value of an enum, but not its zero."""
    allowed = frozenset(values) - {0}

    def read(message: Any, path: str) -> int:
        return known_value(path, getattr(message, field), allowed)

    return read


def _time(field: str) -> Reader[Any]:
    def read(message: Any, path: str) -> int:
        time: Timestamp = getattr(message, field)
        return us_from_wire(time, path) if message.HasField(field) else 0

    return read


def _date(field: str) -> Reader[Any]:
    def read(message: Any, path: str) -> str:
        text: str = getattr(message, field)
        return parse_date(path, text).isoformat() if text else ""

    return read


def _budget(message: merchant_pb2.Merchant, path: str) -> str:
    """Reads the id of the budget; see check_budget for its ledger."""
    return budget_from_name(message.budget, path)[1] if message.budget else ""


def _description(message: merchant_pb2.Offer, path: str) -> str:
    """Reads several lines of text."""
    text = message.description
    controls = {character for character in text if unicodedata.category(character) == "Cc"}
    if len(text) > DESCRIPTION_CHARACTERS_MAX or controls - {"\n", "\t"}:
        expected = f"expected at most {DESCRIPTION_CHARACTERS_MAX:,} characters of text"
        raise invalid(path, f"{expected}, got {len(text)}")
    return text


def _unit(message: merchant_pb2.Offer, path: str) -> OfferUnit:
    return OfferUnit(known_value(path, message.unit, {int(unit) for unit in OfferUnit}))


MERCHANT_FIELDS: dict[str, tuple[str, Reader[merchant_pb2.Merchant]]] = {
    "display_name": ("display_name", _text("display_name", NAME_CHARACTERS_MAX)),
    "category": ("category", _value("category", merchant_pb2.Merchant.Category.values())),
    "fen_per_hundred_points": (
        "fen_per_hundred_points",
        _number("fen_per_hundred_points", RATE_MAX),
    ),
    "cut_off_minute": ("cut_off_minute", _number("cut_off_minute", CUT_OFF_MINUTE_MAX)),
    "budget": ("budget", _budget),
    "debt_points_max": ("debt_points_max", _optional("debt_points_max", DEBT_POINTS_DEFAULT)),
}
"""Fields of the contract that are changed, the document's field of each, and how it is read."""
MERCHANT_CHANGES = {**MERCHANT_FIELDS, DATE_FIELD: (DATE_FIELD, _date(DATE_FIELD))}
"""What a change of a merchant may say: the first cut-off of a new one holds from the beginning."""
TERMINAL_FIELDS: dict[str, tuple[str, Reader[merchant_pb2.Terminal]]] = {
    "display_name": ("display_name", _text("display_name", TERMINAL_NAME_CHARACTERS_MAX)),
    "location": ("location", _text("location", NAME_CHARACTERS_MAX, 0)),
    "points_per_transaction_max": (
        "points_per_transaction_max",
        _number("points_per_transaction_max", NUMBER_MAX),
    ),
}
OFFER_FIELDS: dict[str, tuple[str, Reader[merchant_pb2.Offer]]] = {
    "title": ("title", _text("title", NAME_CHARACTERS_MAX)),
    "description": ("description", _description),
    "price": ("price", _number("price", PRICE_MAX)),
    "cash_fen": ("cash_fen", _number("cash_fen", NUMBER_MAX)),
    "stock": ("stock", _optional("stock", None)),
    "per_member_daily_max": ("per_member_daily_max", _number("per_member_daily_max", NUMBER_MAX)),
    "daily_max": ("daily_max", _number("daily_max", NUMBER_MAX)),
    "valid_from_time": ("valid_from_us", _time("valid_from_time")),
    "valid_until_time": ("valid_until_us", _time("valid_until_time")),
}
_NEW_OFFER_FIELDS = {**OFFER_FIELDS, "unit": ("unit", _unit)}


def known_value(field: str, value: int, values: Iterable[int]) -> int:
    """Reads a value of an enum. Raises VALIDATION_FAILED for one that is not in the contract."""
    if value not in values:
        expected = ", ".join(str(item) for item in sorted(values))
        raise invalid(field, f"expected one of the contract's values {expected}, got {value}")
    return value


def changes_from_wire(
    message: M,
    fields: Mapping[str, tuple[str, Reader[M]]],
    paths: Iterable[str],
    *,
    prefix: str,
) -> Changes:
    """Reads the fields that a mask names, all that may be changed when it names none.

    Raises VALIDATION_FAILED naming every field that breaks its rule.
    """
    wanted = list(dict.fromkeys(paths)) or list(fields)
    changes = []
    violations: list[tuple[str, str]] = []
    for path in wanted:
        if path not in fields:
            expected = f"expected {', '.join(fields)}"
            violations.append(("update_mask", f"{expected}, got {path[:40]!r}"))
            continue
        name, read = fields[path]
        try:
            changes.append((name, read(message, f"{prefix}.{path}")))
        except TimebankError as error:
            violations.extend(error.violations)
    if violations:
        raise invalid_fields(violations)
    return tuple(changes)


def terms_from_wire(message: merchant_pb2.Merchant) -> Terms:
    """Reads what is agreed with a new merchant. Raises VALIDATION_FAILED."""
    return Terms(**dict(changes_from_wire(message, MERCHANT_FIELDS, (), prefix="merchant")))


def check_budget(ledger_id: str, message: merchant_pb2.Merchant) -> None:
    """Refuses the budget of another ledger, with VALIDATION_FAILED."""
    if message.budget and budget_from_name(message.budget, "merchant.budget")[0] != ledger_id:
        raise invalid("merchant.budget", f"expected a budget of ledger {ledger_id}")


def terminal_from_wire(terminal_id: str, message: merchant_pb2.Terminal) -> CreateTerminal:
    """Reads a new till. Raises VALIDATION_FAILED."""
    fields = dict(changes_from_wire(message, TERMINAL_FIELDS, (), prefix="terminal"))
    return CreateTerminal(terminal_id, enrolment_digest="", **fields)


def content_from_wire(message: merchant_pb2.Offer) -> Content:
    """Reads a new offer. Raises VALIDATION_FAILED."""
    return Content(**dict(changes_from_wire(message, _NEW_OFFER_FIELDS, (), prefix="offer")))


_CONTROL_FIELDS: dict[str, tuple[str, Reader[merchant_pb2.VelocityControl]]] = {
    "scope": ("scope", _value("scope", merchant_pb2.VelocityControl.Scope.values())),
    "window": ("window", _value("window", merchant_pb2.VelocityControl.Window.values())),
    "amount_max": ("amount_max", _number("amount_max", NUMBER_MAX)),
    "count_max": ("count_max", _number("count_max", NUMBER_MAX)),
}


def control_from_wire(control_id: str, message: merchant_pb2.VelocityControl) -> Control:
    """Reads a velocity control. Raises VALIDATION_FAILED."""
    fields = dict(changes_from_wire(message, _CONTROL_FIELDS, (), prefix="velocity_control"))
    scope, window = SCOPES[fields["scope"] - 1], WINDOWS[fields["window"] - 1]
    return Control(control_id, scope, window, fields["amount_max"], fields["count_max"])


def control_to_wire(ledger_id: str, control: Control) -> merchant_pb2.VelocityControl:
    """Writes a velocity control; the domain's words stand in the order of the contract's."""
    return merchant_pb2.VelocityControl(
        name=control_name(ledger_id, control.control_id),
        scope=SCOPES.index(control.scope) + 1,  # type: ignore[arg-type]  # the contract's numbers
        window=WINDOWS.index(control.window) + 1,  # type: ignore[arg-type]  # the contract's numbers
        amount_max=control.amount_max,
        count_max=control.count_max,
    )


def merchant_to_wire(
    ledger_id: str, merchant: Merchant, *, shows_terms: bool
) -> merchant_pb2.Merchant:
    """Writes a merchant, its terms only for who may see them."""
    message = merchant_pb2.Merchant(
        name=merchant_name(ledger_id, merchant.merchant_id),
        display_name=merchant.display_name,
        category=merchant.category,  # type: ignore[arg-type]  # the document has the contract's numbers
        state=int(merchant.state),  # type: ignore[arg-type]  # likewise
    )
    if shows_terms:
        message.fen_per_hundred_points = merchant.fen_per_hundred_points
        message.cut_off_minute = merchant.cut_off_minute
        if merchant.cut_offs:
            before, last = merchant.cut_offs[-2:]
            message.cut_off_effective_date = last.first_date
            message.previous_cut_off_minute = before.minute
        message.budget = budget_name(ledger_id, merchant.budget)
        message.debt_points_max = merchant.debt_points_max
        message.points_account = merchant.points_account
        message.time_account = merchant.time_account
        message.fund_account = merchant.fund_account
        message.create_time.CopyFrom(us_to_wire(merchant.created_us))
        message.etag = etag_of(merchant.version)
    return message


def terminal_to_wire(
    ledger_id: str, terminal: Terminal, now_us: int, *, code: str = ""
) -> merchant_pb2.Terminal:
    """Writes a till; its enrolment code only when it was asked for just now."""
    expires_us = terminal.enrolment_expires_us
    return merchant_pb2.Terminal(
        name=terminal_name(ledger_id, terminal.terminal_id),
        display_name=terminal.display_name,
        location=terminal.location,
        state=int(terminal.state),  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        keys=[
            merchant_pb2.TerminalKey(
                key_id=key.key_id,
                public_key=bytes.fromhex(key.public_key),
                expire_time=us_to_wire(key.expires_us) if key.expires_us else None,
            )
            for key in live_keys(terminal, now_us)
        ],
        enrolment_code=code,
        enrolment_expire_time=us_to_wire(expires_us) if expires_us >= now_us else None,
        points_per_transaction_max=terminal.points_per_transaction_max,
        create_time=us_to_wire(terminal.created_us),
        etag=etag_of(terminal.version),
    )


def offer_to_wire(ledger_id: str, offer: Offer) -> merchant_pb2.Offer:
    """Writes an offer."""
    from_us, until_us = offer.valid_from_us, offer.valid_until_us
    return merchant_pb2.Offer(
        name=offer_name(ledger_id, offer.offer_id),
        title=offer.title,
        description=offer.description,
        unit=int(offer.unit),  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        price=offer.price,
        cash_fen=offer.cash_fen,
        price_version=offer.price_version,
        stock=offer.stock,
        per_member_daily_max=offer.per_member_daily_max,
        daily_max=offer.daily_max,
        valid_from_time=us_to_wire(from_us) if from_us else None,
        valid_until_time=us_to_wire(until_us) if until_us else None,
        state=int(offer.state),  # type: ignore[arg-type]  # likewise
        create_time=us_to_wire(offer.created_us),
        etag=etag_of(offer.version),
    )
