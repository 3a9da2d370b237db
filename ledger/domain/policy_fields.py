"""Strict reading of a JSON document, field by field, that collects every fault with its place.

Owns what JSON may hold here (no float, no NaN, no key twice, no unknown key) and typed fields.
Refuses nothing by itself: a field with a fault yields its default, and the fault is in `Faults`,
which the caller raises at the end.
"""

from __future__ import annotations

import difflib
import enum
import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from fractions import Fraction
from typing import NamedTuple, TypeVar

FAULTS_MAX = 100
"""More faults than this are only counted."""
NESTING_MAX = 20
DIGITS_MAX = 18
RATE_MAX = 100
RATE_DIGITS_MAX = 6
_RATE = re.compile(rf"([0-9]{{1,{RATE_DIGITS_MAX}}})(?:/([0-9]{{1,{RATE_DIGITS_MAX}}}))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YEARS = range(1970, 9980)
_SHOWN = 40
_Word = TypeVar("_Word", bound=enum.StrEnum)


class Refused(NamedTuple):
    """Stands for a value with a fault that was told already."""

    problem: str = ""


Json = dict[str, "Json"] | list["Json"] | str | int | bool | None | Refused


class Faults:
    """Faults of one document: (place, what is wrong). `doubtful` places hold a default where
    something else was meant, so nothing follows from them.
    """

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self.doubtful: set[str] = set()
        self.count = 0

    def add(self, place: str, text: str) -> None:
        """Notes a fault."""
        self.count += 1
        self.doubtful.add(place)
        if self.count <= FAULTS_MAX:
            self.found.append((place, text))


class _Pairs(list[tuple[str, object]]):
    """An object as it is written, before keys that come twice are told."""


def read_json(text: str, faults: Faults) -> Json:
    """Reads JSON; Refused with faults for what is no JSON."""
    try:
        raw: object = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_float=_refuse_float,
            parse_int=_parse_int,
            parse_constant=_refuse_float,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        faults.add(where, f"is not JSON here: {error.msg}")
        return Refused()
    except RecursionError:
        faults.add("", f"is nested too deeply; at most {NESTING_MAX} levels")
        return Refused()
    return _plain(raw, "", 0, faults)


def canonical_json(value: Json) -> str:
    """Writes JSON with sorted keys and without spaces."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def ratio_text(rate: Fraction) -> str:
    """Writes an exact number as a document has it, "1/2"."""
    return f"{rate.numerator}/{rate.denominator}"


class Fields:
    """An object of the document, whose keys are known; unknown ones are told at once."""

    def __init__(
        self, values: Mapping[str, Json], place: str, faults: Faults, known: Collection[str]
    ) -> None:
        self.values = values
        self.place = place
        self.faults = faults
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key[:_SHOWN], known, 1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                self.fault(key, f"no such key; {hint}")
                self.faults.doubtful.update(map(self.at, near))

    def at(self, key: str) -> str:
        """Gives the place of a key."""
        return f"{self.place}.{key[:_SHOWN]}" if self.place else key[:_SHOWN]

    def fault(self, key: str, text: str) -> None:
        """Notes a fault of a key."""
        self.faults.add(self.at(key), text)

    def given(self, key: str) -> bool:
        """Says whether the key stands in the document."""
        return key in self.values

    def text(self, key: str, *, length_max: int, default: str = "") -> str:
        """Reads a text of one line."""
        value = self.values.get(key, default)
        if isinstance(value, str):
            if is_name(value, length_max) or (value == default == ""):
                return value
            self.fault(key, f"expected 1 to {length_max} characters on one line, got {_cut(value)}")
        else:
            self._mismatch(key, value, "a text")
        return default

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Reads a whole number from `low` to `high`."""
        found = self.optional_integer(key, low, high) if self.given(key) else default
        if found is None:
            if self.values[key] is None:
                self._mismatch(key, None, f"a whole number from {low} to {high}")
            return default
        return found

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        """Reads a whole number from `low` to `high`; null and nothing are None."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self._mismatch(key, value, f"a whole number from {low} to {high}")
        return None

    def boolean(self, key: str, default: bool) -> bool:
        """Reads true or false."""
        value = self.values.get(key, default)
        if isinstance(value, bool):
            return value
        self._mismatch(key, value, "true or false")
        return default

    def word(self, key: str, default: _Word) -> _Word:
        """Reads one of a closed list of words."""
        return self.as_word(self.at(key), self.values.get(key, default), default)

    def as_word(self, place: str, value: Json, default: _Word) -> _Word:
        """Reads a value as one of a closed list of words."""
        words = [str(word) for word in type(default)]
        if isinstance(value, str) and value in words:
            return type(default)(value)
        if not isinstance(value, Refused):
            expected = f"one of {', '.join(words)}"
            near = ""
            if isinstance(value, str):
                found = difflib.get_close_matches(value.upper()[:_SHOWN], words, 1)
                near = f"; did you mean {found[0]}?" if found else ""
            self.faults.add(place, f"expected {expected}, got {describe(value)}{near}")
        return default

    def rate(self, key: str, default: Fraction, *, positive: bool = False) -> Fraction:
        """Reads an exact number: an integer, or a text such as "1/2"."""
        if not self.given(key):
            return default
        found = self.as_rate(self.at(key), self.values[key])
        if found is not None and positive and not found:
            self.fault(key, "expected more than 0")
            return default
        return default if found is None else found

    def as_rate(self, place: str, value: Json) -> Fraction | None:
        """Reads a value as an exact number; None after a fault."""
        found: Fraction | None = None
        match = _RATE.fullmatch(str(value)) if _is_rate_like(value) else None
        if match and int(match[2] or 1):
            found = Fraction(int(match[1]), int(match[2] or 1))
        if found is not None and found <= RATE_MAX:
            return found
        if not isinstance(value, Refused):
            expected = f'a rate from 0 to {RATE_MAX} such as 2 or "1/2"'
            self.faults.add(place, f"expected {expected}, got {describe(value)}")
        return None

    def date(self, key: str) -> date | None:
        """Reads a date; None when there is none or after a fault."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, str) and _DATE.fullmatch(value):
            try:
                found = date.fromisoformat(value)
            except ValueError:
                pass  # Such as 2026-02-30: told below.
            else:
                if found.year in _YEARS:
                    return found
        self._mismatch(key, value, "a date of the calendar such as 2026-01-01")
        return None

    def items(self, key: str, count_max: int) -> list[tuple[str, Json]]:
        """Reads a list as (place, value)."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            self._mismatch(key, value, "a list")
            return []
        if len(value) > count_max:
            self.fault(key, f"expected at most {count_max} items, got {len(value):,}")
            return []
        return [(f"{self.at(key)}[{index}]", item) for index, item in enumerate(value)]

    def rows(self, key: str, count_max: int, known: Collection[str]) -> Iterator[Fields]:
        """Reads a list of objects."""
        for place, item in self.items(key, count_max):
            if isinstance(item, dict):
                yield Fields(item, place, self.faults, known)
            elif not isinstance(item, Refused):
                expected = f"an object with {', '.join(known)}"
                self.faults.add(place, f"expected {expected}, got {describe(item)}")

    def group(self, key: str, known: Collection[str]) -> Fields:
        """Reads an object; an empty one when there is none or after a fault."""
        return Fields(self.table(key), self.at(key), self.faults, known)

    def table(self, key: str) -> dict[str, Json]:
        """Reads an object whose keys are free."""
        value = self.values.get(key, {})
        if isinstance(value, dict):
            return value
        self._mismatch(key, value, "an object in braces")
        return {}

    def _mismatch(self, key: str, value: Json, expected: str) -> None:
        if not isinstance(value, Refused):
            self.fault(key, f"expected {expected}, got {describe(value)}")


def is_name(text: str, length_max: int) -> bool:
    """Says whether a text is a name: one line of printable characters."""
    return 0 < len(text) <= length_max and text.isprintable()


def describe(value: Json) -> str:
    """Shows a value in a message, shortly."""
    if isinstance(value, dict):
        return "an object in braces"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _cut(value) if isinstance(value, str) else str(value)


def _is_rate_like(value: Json) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _cut(text: str) -> str:
    return json.dumps(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...", ensure_ascii=False)


def _refuse_float(text: str) -> Refused:
    return Refused(f'expected a whole number or a fraction such as "1/2", got {text[:_SHOWN]}')


def _parse_int(text: str) -> int | Refused:
    if len(text) <= DIGITS_MAX:
        return int(text)
    return Refused(f"expected a number of at most {DIGITS_MAX} digits, got {text[:_SHOWN]}...")


def _plain(value: object, place: str, depth: int, faults: Faults) -> Json:
    """Turns what the JSON module read into plain values; tells floats and keys that come twice."""
    found: Json = Refused()
    if depth > NESTING_MAX:
        faults.add(place, f"is nested too deeply; at most {NESTING_MAX} levels")
    elif isinstance(value, _Pairs):
        table: dict[str, Json] = {}
        for key, item in value:
            inner = f"{place}.{key[:_SHOWN]}" if place else key[:_SHOWN]
            if key in table:
                faults.add(inner, "stands twice; keep one of the two")
            elif not is_encodable(key):
                faults.add(place, "has a key with characters that are no text")
            else:
                table[key] = _plain(item, inner, depth + 1, faults)
        found = table
    elif isinstance(value, list):
        found = [
            _plain(item, f"{place}[{index}]", depth + 1, faults) for index, item in enumerate(value)
        ]
    elif isinstance(value, Refused):
        faults.add(place, value.problem)
    elif isinstance(value, str):
        if is_encodable(value):
            found = value
        else:
            faults.add(place, "has characters that are no text")
    elif isinstance(value, int) or value is None:
        found = value
    return found


def is_encodable(text: str) -> bool:
    """Says whether a text can be written as UTF-8 and kept in every database."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
