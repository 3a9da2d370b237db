"""Documents as bytes: JSON objects of the fields that are not at their defaults."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from merchant.domain import documents as d
from merchant.domain import states as s
from merchant.domain.business_days import CutOff
from merchant.domain.places import KINDS

_CLASSES: dict[int, Any] = {int(kind): cls for cls, kind in KINDS.items()}
_NESTED: dict[tuple[type, str], Any] = {
    (d.Merchant, "cut_offs"): CutOff,
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


_NO_DEFAULT = object()


class _Shape(NamedTuple):
    """The fields of a class, in order with their defaults, and those that JSON has otherwise: one
    document of another class, several of them, words, and states by their values.
    """

    names: tuple[str, ...]
    defaults: tuple[object, ...]
    known: frozenset[str]
    required: Callable[[dict[str, Any]], tuple[Any, ...]]
    """Takes what has no default, the first fields. Raises KeyError."""
    others: tuple[str, ...]
    other_defaults: tuple[object, ...]
    nested: tuple[tuple[str, Any], ...]
    states: tuple[tuple[str, dict[Any, enum.Enum]], ...]
    has_pending: bool
    has_counters: bool


def _shape(cls: Any) -> _Shape:
    names: tuple[str, ...] = cls._fields
    enums = [(name, _ENUMS[cls, name]) for name in names if (cls, name) in _ENUMS]
    defaults = tuple(cls._field_defaults.get(name, _NO_DEFAULT) for name in names)
    count = defaults.count(_NO_DEFAULT)
    return _Shape(
        names=names,
        defaults=defaults,
        known=frozenset(names),
        required=_taker(names[:count]),
        others=names[count:],
        other_defaults=defaults[count:],
        nested=tuple((name, _NESTED[cls, name]) for name in names if (cls, name) in _NESTED),
        states=tuple((name, {state.value: state for state in states}) for name, states in enums),
        has_pending="pending" in names,
        has_counters="counters" in names,
    )


def _taker(names: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Makes what takes values out of a dictionary; of one name itemgetter gives no tuple."""
    if len(names) > 1:
        return operator.itemgetter(*names)
    return lambda said: tuple(said[name] for name in names)


_SHAPES = {cls: _shape(cls) for cls in (*_CLASSES.values(), *_NESTED.values(), d.Pending)}


def body_of(document: d.Document) -> bytes:
    """Writes a document."""
    return orjson.dumps(_fields(document))


def _fields(value: Any) -> dict[str, Any]:
    shape = _SHAPES[type(value)]
    said = {
        name: item
        for name, default, item in zip(shape.names, shape.defaults, value, strict=True)
        if item != default
    }
    for name, _ in shape.nested:
        if name in said:
            said[name] = [_fields(item) for item in said[name]]
    if shape.has_pending and said.get("pending") is not None:
        said["pending"] = _fields(said["pending"])
    return said


def document_from_body(kind: int, body: bytes) -> d.Document:
    """Reads what `body_of` wrote. Raises ValueError and KeyError for a damaged body."""
    document: d.Document = _read(_CLASSES[kind], fields_from_body(body))
    return document


def fields_from_body(body: bytes) -> dict[str, Any]:
    """Reads the fields of a document that are not at their defaults, as JSON has them, for who
    needs few of very many documents. Raises ValueError for a damaged body.
    """
    said = orjson.loads(body)
    if not isinstance(said, dict):
        raise ValueError(f"expected a JSON object, got a {type(said).__name__}")
    return said


def _read(cls: Any, said: dict[str, Any]) -> Any:
    shape = _SHAPES[cls]
    if not shape.known.issuperset(said):
        raise KeyError(f"expected the fields of {cls.__name__}, got {', '.join(said)}")
    for name, nested in shape.nested:
        if name in said:
            said[name] = tuple(_read(nested, item) for item in said[name])
    for name, states in shape.states:
        if name in said:
            said[name] = states[said[name]]
    if shape.has_pending and said.get("pending") is not None:
        said["pending"] = _read(d.Pending, said["pending"])
    if shape.has_counters and "counters" in said:
        said["counters"] = tuple(said["counters"])
    others = map(said.get, shape.others, shape.other_defaults)
    return tuple.__new__(cls, (*shape.required(said), *others))
