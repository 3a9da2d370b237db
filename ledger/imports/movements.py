"""One row of a history as a movement of TIME between two holders, and the cells it is read from.

Owns: the rules of every cell (holder, minutes, time, text) and the key that books a row once.
Refuses: files (see tables.py) and running balances (see balances.py).
Rules: whole minutes only; nothing is rounded, cut or guessed; a holder's id that could name a
person (letters beyond ASCII, an identity or telephone number) is replaced by a hash, because
holders in the log are pseudonyms.
"""

from __future__ import annotations

import functools
import hashlib
import re
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

POOL = ""
"""Stands for the public time pool 公共时间池 where a movement names a holder."""
POOL_WORDS = frozenset({"pool", "公共时间池", "时间池"})
HOLDER_CHARACTERS_MAX = 64
MEMO_CHARACTERS_MAX = 2_000
MINUTES_MAX = 1_000_000_000
"""Nobody gives more than 1,900 years in one movement; bigger numbers are typing errors."""
INTEGER_DIGITS_MAX = 18
HOLDERS_CACHED_MAX = 65_536
_PLAIN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:@-]{0,39}")
_PERSONAL_ID = re.compile(r"\d{17}[\dXx]|\d{15}|1\d{10}|.*@.*")
_INTEGER = re.compile(r"([+-]?)([0-9]{1,18})(?:\.0{1,6})?")
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,12})(?:\.([0-9]{1,6}))?")
_CAUSE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:/-]{0,99}")
_TIME_ZONE_SUFFIX = re.compile(r"\s*(UTC|Z|[+-]\d{2}:?\d{2})$")
_CHINESE_DATE = str.maketrans({"年": "-", "月": "-", "日": " ", "/": "-", "时": ":", "分": ""})


class Movement(NamedTuple):
    """Minutes of TIME from one holder to another, read from row `number` of a file.

    `effective` None: dated when it is booked. `digest` is the content of the row; equal rows have
    equal digests. `reference` is the number that the other system gave it; empty: none.
    """

    number: int
    source: str
    destination: str
    minutes: int
    effective: datetime | None
    memo: str
    cause: str
    digest: bytes
    reference: str = ""


class RowError(NamedTuple):
    """What is wrong with a row, in which column, and what to do about it."""

    number: int
    column: str
    problem: str
    advice: str


class CellError(ValueError):
    """A cell that breaks its rule; the row reader adds the row's number."""

    def __init__(self, column: str, problem: str, advice: str) -> None:
        super().__init__(f"{column}: {problem}; {advice}")
        self.column = column
        self.problem = problem
        self.advice = advice

    def at(self, number: int) -> RowError:
        """Gives the row error."""
        return RowError(number, self.column, self.problem, self.advice)


@functools.lru_cache(maxsize=HOLDERS_CACHED_MAX)
def holder_of(prefix: str, id_text: str, column: str) -> str:
    """Gives the pseudonymous holder of an id: prefix and id, or prefix and hash when the id could
    name a person.

    Raises CellError when it is empty.
    """
    text = id_text.strip()
    if not text:
        raise CellError(column, "is empty", "fill in whose account it is")
    plain = _PLAIN_ID.fullmatch(text) and not _PERSONAL_ID.fullmatch(text)
    if plain and len(prefix) + len(text) <= HOLDER_CHARACTERS_MAX:
        return f"{prefix}{text}"
    return f"{prefix}h{hashlib.sha256(f'{prefix}{text}'.encode()).hexdigest()[:20]}"


def integer_of(text: str, column: str, unit: str) -> int:
    """Reads a whole number, negative ones included. Raises CellError for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= INTEGER_DIGITS_MAX:
        return int(text)
    found = _INTEGER.fullmatch(text.strip())
    if found is None:
        raise CellError(
            column, f"expected a whole number of {unit}, got {_shown(text)}", "correct the number"
        )
    return int(found[1] + found[2])


def micro_minutes_of_hours(text: str, column: str) -> int:
    """Reads hours with decimals, such as 1.5, as millionths of a minute, so that nothing is
    rounded.

    Raises CellError for anything else.
    """
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        raise CellError(column, f"expected hours such as 1.5, got {_shown(text)}", "correct it")
    micro_hours = int(found[2] + (found[3] or "").ljust(6, "0"))
    return micro_hours * (-60 if found[1] == "-" else 60)


def whole_minutes(amount: int, per_minute: int, column: str, text: str) -> int:
    """Turns an amount of which `per_minute` make a minute into minutes; 0 stays 0. `text` is what
    the cell says.

    Raises CellError when it is negative, no whole minute, or beyond MINUTES_MAX.
    """
    minutes, rest = divmod(amount, per_minute)
    if amount < 0:
        raise CellError(
            column, f"{text.strip()} is negative", "swap giver and receiver and make it positive"
        )
    if rest:
        raise CellError(
            column,
            f"{text.strip()} is no whole number of minutes",
            "correct it in the file: nothing is rounded here",
        )
    if minutes > MINUTES_MAX:
        raise CellError(
            column, f"{text.strip()} exceeds {MINUTES_MAX:,} minutes", "correct the number"
        )
    return minutes


def time_of(text: str, column: str, *, zone: tzinfo, now: datetime) -> datetime | None:
    """Reads a date or time, e.g. `2024-03-01 10:20:30 UTC`, `2024/3/1` or `2024年3月1日 10:20`;
    empty gives None.

    Without an offset it is a time in `zone`. Raises CellError when it is unreadable, before 1970
    or after `now`.
    """
    cleaned = text.strip()
    if not cleaned:
        return None
    try:
        time = datetime.fromisoformat(cleaned.replace(" UTC", "Z"))
    except ValueError:
        time = _loose_time(cleaned, column)
    aware = time if time.tzinfo is UTC else _in_utc(time, zone, column)
    if aware > now:
        raise CellError(column, f"{cleaned[:40]} is in the future", "correct the date")
    if aware.year < 1970:
        raise CellError(column, f"{cleaned[:40]} is before 1970", "correct the date")
    return aware


def _in_utc(time: datetime, zone: tzinfo, column: str) -> datetime:
    try:
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise CellError(column, "is beyond the calendar", "correct the date") from error


def _loose_time(text: str, column: str) -> datetime:
    """Reads the spellings that ISO 8601 does not know: a zone after a space, slashes, Chinese,
    missing zeros.
    """
    try:
        zone = _TIME_ZONE_SUFFIX.search(text)
        offset = "" if zone is None else zone[1].replace("UTC", "Z")
        plain = (text[: zone.start()] if zone else text).translate(_CHINESE_DATE).strip(" :")
        date, _, clock = plain.replace("T", " ").partition(" ")
        year, month, day = (int(part) for part in date.split("-"))
        hour, minute, second = (*clock.strip().split(":"), "0", "0", "0")[:3]
        start = f"{year:04}-{month:02}-{day:02}T{int(hour or 0):02}:{int(minute):02}"
        return datetime.fromisoformat(f"{start}:{second.zfill(2)}{offset}")
    except (ValueError, OverflowError) as error:
        raise CellError(
            column,
            f"expected a date such as 2024-03-01 or 2024-03-01 10:20:30 UTC, got {_shown(text)}",
            "correct the date",
        ) from error


def memo_of(text: str, column: str) -> str:
    """Checks free text. Raises CellError when it is too long."""
    memo = text.strip()
    if len(memo) > MEMO_CHARACTERS_MAX:
        raise CellError(
            column, f"has {len(memo):,} characters", f"shorten it to {MEMO_CHARACTERS_MAX:,}"
        )
    return memo


def cause_of(prefix: str, text: str, column: str) -> str:
    """Gives what caused a movement as prefix and reference; empty stays empty.

    Raises CellError when the reference is no plain id.
    """
    reference = text.strip()
    if not reference:
        return ""
    if not _CAUSE.fullmatch(reference):
        raise CellError(
            column,
            f"expected an id of at most 100 letters and digits, got {_shown(text)}",
            "correct it, or leave it empty",
        )
    return f"{prefix}{reference}"


def digest_of(*cells: object) -> bytes:
    """Hashes the content of a row (16 bytes), independent of delimiter, encoding and spelling of
    numbers.
    """
    return hashlib.sha256("\x1f".join(map(str, cells)).encode()).digest()[:16]


def _shown(text: str) -> str:
    return repr(text[:40])
