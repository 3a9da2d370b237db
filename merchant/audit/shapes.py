"""Whether the fields of a document hold what they are declared to hold.

A body that somebody tampered with may be JSON of any types: what passes here can be computed with.
"""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin, get_type_hints

from merchant.domain.documents import Document
from timebank.units import fits_int64

Check = Callable[[Any], bool]


def misfit(document: Document) -> str:
    """Names the first field whose value is not of its type; empty when all are."""
    cls: Any = type(document)
    for (name, check), value in zip(_checks_of(cls), document, strict=True):
        if not check(value):
            return name
    return ""


@functools.cache
def _checks_of(cls: type) -> tuple[tuple[str, Check], ...]:
    hints = get_type_hints(cls)
    return tuple((name, _check_of(hints[name])) for name in cls._fields)  # type: ignore[attr-defined]  # a named tuple


@functools.cache
def _check_of(hint: Any) -> Check:
    """Makes the check of a type; one that is not known is a fault of this program."""
    if hint is int:
        return lambda value: type(value) is int and fits_int64(value)
    if hint is str:
        return _is_text
    if hint in (bool, types.NoneType):
        return lambda value: type(value) is hint
    if get_origin(hint) is tuple:
        item = _check_of(get_args(hint)[0])
        return lambda value: type(value) is tuple and all(item(one) for one in value)
    if get_origin(hint) in (Union, types.UnionType):
        options = [_check_of(option) for option in get_args(hint)]
        return lambda value: any(option(value) for option in options)
    if issubclass(hint, enum.Enum):
        return lambda value: isinstance(value, hint)
    if issubclass(hint, tuple):
        return lambda value: type(value) is hint and not misfit(value)
    raise TypeError(f"expected a type that documents are made of, got {hint!r}")


def _is_text(value: Any) -> bool:
    """A text that UTF-8 can write: JSON can name halves of surrogate pairs."""
    if type(value) is not str:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
