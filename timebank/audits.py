"""What an audit of a service's database finds: differences, what was checked, and how fast.

Owns: the words that all audits report in. Refuses: knowing what any service keeps. Rules: whatever
a damaged row holds is shown on one line that a terminal can bear.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from timebank.config import Config

SHOWN_CHARACTERS_MAX = 200
WHOLE_ROW = "(row)"
"""Stands for the column when a row is missing or surplus."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not what the log says; `key` names the row by its key columns."""

    table: str
    key: Mapping[str, str]
    column: str
    expected: str
    got: str

    def of_row(self, key: Mapping[str, str]) -> Difference:
        """Gives the same difference with another name of its row."""
        return replace(self, key=key)

    def as_json(self) -> dict[str, object]:
        """Gives the difference for machines."""
        return {
            "table": self.table,
            "key": dict(self.key),
            "column": self.column,
            "expected": self.expected,
            "got": self.got,
        }


class Watcher(Protocol):
    """Is told how far a walk over so many rows is."""

    def start(self, name: str, size: int) -> None:
        """A walk over `size` rows comes next."""
        ...

    def walked(self, count: int) -> None:
        """So many more rows were looked at."""
        ...


class Payment(NamedTuple):
    """One entry of a ledger that paid for something, or gave back part of an earlier one.

    `cause` is what the caller said it is for, `original_index` the earlier entry's index.
    """

    log_index: int
    cause: str
    amount: int
    original_index: int | None = None


PaymentsOf = Callable[[str], AsyncIterator[Payment]]
"""Gives the payments of a ledger by its id, oldest first."""


class ServiceAudit(NamedTuple):
    """The audit of another service than the ledger, as the command runs it.

    `run` takes the configuration, the id of one ledger or None for all, what the ledgers paid or
    None when they cannot be read, and who watches; `labels` are what its report counts.
    """

    service: str
    run: Callable[[Config, str | None, PaymentsOf | None, Watcher | None], Awaitable[Report]]
    labels: Mapping[str, str]


class DifferenceFound(Exception):
    """Ends an audit at its first difference."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.table)
        self.difference = difference


def differs(
    table: str, key: Mapping[str, object], column: str, *, expected: object, got: object
) -> DifferenceFound:
    """Makes the end of an audit of what was expected and what is there."""
    keys = {name: shown(value) for name, value in key.items()}
    return DifferenceFound(Difference(table, keys, column, shown(expected), shown(got)))


def row_missing(table: str, key: Mapping[str, object]) -> DifferenceFound:
    """Says that a row which the log demands is not there."""
    return differs(table, key, WHOLE_ROW, expected=Said("a row"), got=Said("none"))


def row_surplus(table: str, key: Mapping[str, object]) -> DifferenceFound:
    """Says that a row is there which nothing in the log made."""
    return differs(table, key, WHOLE_ROW, expected=Said("none"), got=Said("a row"))


class Said(str):
    """A text of the audit's own, which is shown as it is."""

    __slots__ = ()


def shown(value: object) -> str:
    """Writes a value of a row on one line that a terminal can bear, at most 200 characters long."""
    if isinstance(value, Said):
        text = str(value)
    elif isinstance(value, bytes | bytearray | memoryview):
        text = f"0x{bytes(value[: SHOWN_CHARACTERS_MAX // 2]).hex()}"
    elif value is None:
        text = "NULL"
    elif isinstance(value, str):
        text = f"'{value}'"
    else:
        text = repr(value)
    # A row that somebody tampered with may hold anything, also what commands a terminal.
    plain = "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text[:SHOWN_CHARACTERS_MAX]
    )
    return plain if len(text) <= SHOWN_CHARACTERS_MAX else f"{plain}…"


@dataclass(slots=True)
class Report:
    """The outcome of an audit; without a difference everything counted in `checked` agrees.
    `entries` are those of a log, or documents.
    """

    entries: int = 0
    seconds: float = 0.0
    checked: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def difference(self) -> Difference | None:
        """Gives the first difference, None without any."""
        return self.differences[0] if self.differences else None

    @property
    def ok(self) -> bool:
        """Says whether nothing differs."""
        return not self.differences

    @property
    def rate_per_s(self) -> float:
        """Gives entries a second."""
        return self.entries / self.seconds if self.seconds else 0.0

    def count(self, what: str, number: int) -> None:
        """Adds to what was checked."""
        self.checked[what] = self.checked.get(what, 0) + number

    def as_json(self) -> dict[str, object]:
        """Gives the report for machines."""
        return {
            "entries": self.entries,
            "seconds": round(self.seconds, 3),
            "rate_per_s": round(self.rate_per_s),
            "ok": self.ok,
            "difference": self.difference.as_json() if self.difference else None,
        }
