"""Reading and checking the fields of a certificate: texts, counts, dates.

Owns: which characters a printed text may have, and turning JSON values into typed ones. Refuses:
which fields there are (see certificates.py).
Rules: a text that would turn a line around, break it or hide in it is refused: it is printed and
signed, and both must say the same.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import NoReturn

from timebank.errors import Reason, TimebankError

_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of controls, formats, half surrogate pairs, and line and paragraph ends.
Unassigned and private characters pass: rare names 生僻字 are written with them."""


def refuse_field(field: str, text: str, *, cause: Exception | None = None) -> NoReturn:
    """Refuses one field.

    Raises: VALIDATION_FAILED, always, with the field as a violation.
    """
    raise TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    ) from cause


def check_text(field: str, value: str, characters_max: int, *, required: bool = False) -> None:
    """Checks a text: its length, printable characters alone, no space around it.

    Raises: VALIDATION_FAILED when it breaks a rule.
    """
    if required and not value:
        refuse_field(field, "expected a text, got nothing")
    if len(value) > characters_max:
        refuse_field(field, f"expected at most {characters_max} characters, got {len(value)}")
    if value != value.strip():
        refuse_field(field, "expected no space before or after it")
    if any(unicodedata.category(character) in _UNPRINTED for character in value):
        refuse_field(field, "expected printable characters alone")


def check_count(field: str, value: int, minimum: int, maximum: int) -> None:
    """Checks a whole number.

    Raises: VALIDATION_FAILED when it is out of range.
    """
    if not minimum <= value <= maximum:
        refuse_field(field, f"expected {minimum} to {maximum}")


def parse_object(what: str, text: str) -> Mapping[str, object]:
    """Parses the JSON text of an object; `what` names it in the error.

    Raises: VALIDATION_FAILED when it is something else.
    """
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse_field(what, "expected a JSON object, got other text", cause=error)
    if not isinstance(data, dict):
        refuse_field(what, "expected a JSON object, got another value")
    return data


class Fields:
    """The fields of one object, read by name and type; `path` names it in errors."""

    __slots__ = ("_path", "_values")

    def __init__(self, path: str, values: Mapping[str, object]) -> None:
        self._path = path
        self._values = values

    def text(self, key: str) -> str:
        """Reads a text.

        Raises: VALIDATION_FAILED when it is missing or something else.
        """
        value = self._values.get(key)
        if not isinstance(value, str):
            refuse_field(f"{self._path}.{key}", "expected a text")
        return value

    def number(self, key: str) -> int:
        """Reads a whole number.

        Raises: VALIDATION_FAILED when it is missing or something else.
        """
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            refuse_field(f"{self._path}.{key}", "expected a whole number")
        return value

    def day(self, key: str) -> date:
        """Reads a date.

        Raises: VALIDATION_FAILED when it is missing or something else.
        """
        text = self.text(key)
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            refuse_field(f"{self._path}.{key}", "expected a date such as 2026-03-01", cause=error)

    def rows(self, key: str, rows_max: int) -> list[Fields]:
        """Reads a list of objects.

        Raises: VALIDATION_FAILED when it is missing, too long or something else.
        """
        values = self._values.get(key)
        if not isinstance(values, list) or len(values) > rows_max:
            refuse_field(f"{self._path}.{key}", f"expected a list of at most {rows_max} objects")
        found: list[Fields] = []
        for at, value in enumerate(values):
            path = f"{self._path}.{key}[{at}]"
            if not isinstance(value, dict):
                refuse_field(path, "expected an object")
            found.append(Fields(path, value))
        return found
