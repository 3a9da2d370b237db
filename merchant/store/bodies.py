"""Documents as bytes: JSON objects of the fields that are not at their defaults."""

from __future__ import annotations

import enum
import json
from typing import Any

from merchant.domain import documents as d
from merchant.domain import states as s
from merchant.domain.places import KINDS

_CLASSES: dict[int, Any] = {int(kind): cls for cls, kind in KINDS.items()}
_NESTED: dict[tuple[type, str], Any] = {
    (d.Terminal, "keys"): d.TerminalKey,
    (d.Controls, "controls"): d.Control,
    (d.Redemption, "captures"): d.Capture,
    (d.Redemption, "done"): d.Done,
    (d.Batch, "advices"): d.Advice,
    (d.Batch, "remainders"): d.RemainderCount,
    (d.Comparison, "bad_rows"): d.BadRow,
}
"""Fields that hold tuples of other classes."""
_ENUMS: dict[tuple[type, str], type[enum.Enum]] = {
    (d.Merchant, "state"): s.MerchantState,
    (d.Terminal, "state"): s.TerminalState,
    (d.Offer, "state"): s.OfferState,
    (d.Offer, "unit"): s.OfferUnit,
    (d.Redemption, "state"): s.RedemptionState,
    (d.Redemption, "unit"): s.OfferUnit,
    (d.Redemption, "method"): s.Method,
    (d.Pending, "step"): s.Step,
    (d.Done, "step"): s.Step,
}


def _plan(cls: Any) -> dict[str, tuple[Any, type[enum.Enum] | None]]:
    fields = cls._fields
    return {
        name: (_NESTED.get((cls, name)), _ENUMS.get((cls, name)))
        for name in fields
        if (cls, name) in _NESTED or (cls, name) in _ENUMS
    }


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_DECODE = json.JSONDecoder().decode
"""As json.dumps and json.loads, which make and look up more than this for each body."""
_PLANS = {cls: _plan(cls) for cls in (*_CLASSES.values(), *_NESTED.values(), d.Pending)}


def body_of(document: d.Document) -> bytes:
    """Writes a document."""
    return _ENCODE(_fields(document)).encode()


def _fields(value: Any) -> dict[str, Any]:
    defaults = value._field_defaults
    said = {
        name: item
        for name, item in zip(value._fields, value, strict=True)
        if name not in defaults or item != defaults[name]
    }
    cls = type(value)
    for name in _PLANS[cls]:
        if name in said and (cls, name) in _NESTED:
            said[name] = [_fields(item) for item in said[name]]
    if said.get("pending") is not None:
        said["pending"] = _fields(said["pending"])
    return said


def document_from_body(kind: int, body: bytes) -> d.Document:
    """Reads what `body_of` wrote. Raises ValueError and KeyError for a damaged body."""
    document: d.Document = _read(_CLASSES[kind], _DECODE(body.decode()))
    return document


def _read(cls: Any, said: dict[str, Any]) -> Any:
    for name, (nested, states) in _PLANS[cls].items():
        if name not in said:
            continue
        if nested is not None:
            said[name] = tuple(_read(nested, item) for item in said[name])
        elif states is not None:
            said[name] = states(said[name])
    if said.get("pending") is not None:
        said["pending"] = _read(d.Pending, said["pending"])
    if "counters" in said:
        said["counters"] = tuple(said["counters"])
    return cls(**said)
