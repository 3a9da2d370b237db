"""Working days 工作日 of China: weekdays without the State Council's holidays, and the weekend days
worked instead 调休.

Owns: reading yearly holiday files, and counting working days. Refuses: where the files are (see
ledger.holidays).
Rules: a calendar knows whole years; a date in a year it does not know is an error, never a guess;
a holiday lies in its file's year and is not worked; a day worked instead lies on a weekend.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from timebank.errors import Reason, TimebankError

YEAR_MIN = 1949
YEAR_MAX = 9998
FILE_CHARACTERS_MAX = 100_000
FILES_MAX = 200
WORKING_DAYS_MAX = 1_000
"""Most working days that are counted in one call: about four years."""

_KEYS = {"year", "holidays", "workdays"}
_SATURDAY = 5


class Holidays(NamedTuple):
    """The years that are known, the days off in them (ISO dates; weekends need not be there), and
    the weekend days that are worked.
    """

    years: frozenset[int]
    off: frozenset[str]
    on: frozenset[str]


NO_HOLIDAYS = Holidays(frozenset(), frozenset(), frozenset())
"""No year is known: nothing can be publicised."""


def parse_holidays(texts: Iterable[str]) -> Holidays:
    """Reads holiday files, each `{"year": 2026, "holidays": [dates], "workdays": [dates]}`.

    Raises: VALIDATION_FAILED when one is malformed or a year stands in two.
    """
    years: set[int] = set()
    off: set[str] = set()
    on: set[str] = set()
    for at, text in enumerate(texts):
        if at >= FILES_MAX:
            raise _refusal("holidays", f"expected at most {FILES_MAX} files, got more")
        year, holidays, workdays = _parse_file(text)
        if year in years:
            raise _refusal("year", f"expected one file for {year}, got two")
        years.add(year)
        off |= holidays
        on |= workdays
    return Holidays(frozenset(years), frozenset(off), frozenset(on))


def is_working_day(day: date, holidays: Holidays) -> bool:
    """Says whether a day is worked.

    Raises: VALIDATION_FAILED when its year is not known.
    """
    if day.year not in holidays.years:
        known = ", ".join(str(year) for year in sorted(holidays.years)) or "none"
        raise _refusal(
            "date",
            f"expected a year with a holiday file ({known}), got {day.isoformat()}: "
            f"add {day.year}.json",
        )
    text = day.isoformat()
    return text in holidays.on or (day.weekday() < _SATURDAY and text not in holidays.off)


def add_working_days(day: date, count: int, holidays: Holidays) -> date:
    """Gives the last of the `count` working days after a day, which itself does not count; 0 gives
    the day itself, worked or not.

    Raises: VALIDATION_FAILED when a day on the way is in a year that is not known, or the count is
    not 0 to 1,000.
    """
    if not 0 <= count <= WORKING_DAYS_MAX:
        raise _refusal("count", f"expected 0 to {WORKING_DAYS_MAX} working days, got {count}")
    is_working_day(day, holidays)
    left = count
    while left:
        day += timedelta(days=1)
        left -= is_working_day(day, holidays)
    return day


def _parse_file(text: str) -> tuple[int, set[str], set[str]]:
    """Reads one file: its year, the days off, and the days worked instead."""
    if len(text) > FILE_CHARACTERS_MAX:
        raise _refusal("holidays", f"expected at most {FILE_CHARACTERS_MAX} characters, got more")
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refusal("holidays", "expected a JSON object, got other text") from error
    if not isinstance(data, dict) or set(data) != _KEYS:
        raise _refusal("holidays", f"expected an object with {', '.join(sorted(_KEYS))} alone")
    year = data["year"]
    if type(year) is not int or not YEAR_MIN <= year <= YEAR_MAX:
        raise _refusal("year", f"expected a year {YEAR_MIN} to {YEAR_MAX}")
    off = {day.isoformat() for day in _dates("holidays", year, data["holidays"])}
    worked = _dates("workdays", year, data["workdays"])
    for day in worked:
        if day.weekday() < _SATURDAY:
            raise _refusal("workdays", f"expected days of a weekend, got {day.isoformat()}")
        if day.isoformat() in off:
            raise _refusal("workdays", f"expected no holiday, got {day.isoformat()}")
    return year, off, {day.isoformat() for day in worked}


def _dates(field: str, year: int, values: object) -> list[date]:
    """Reads the dates of one list: of its year, none twice."""
    if not isinstance(values, list):
        raise _refusal(field, "expected a list of dates")
    found: list[date] = []
    for value in values:
        try:
            day = date.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            day = None
        if day is None or day.isoformat() != value:
            raise _refusal(field, f"expected dates like {year}-01-01, got {value!r:.40}")
        if day.year != year or day in found:
            raise _refusal(field, f"expected each date once and in {year}, got {value}")
        found.append(day)
    return found


def _refusal(field: str, text: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )
