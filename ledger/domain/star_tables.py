"""Star tables 星级标准: what each of the five stars asks for, as data that a policy carries.

Owns: the table's types, reading it from the JSON object of a policy, and the shipped tables.
Refuses: who has which star (see star_rules.py) and qualities (see evaluation.py).
Rules: unknown keys and contradictions are refused, all of them at once, each with its path; a
threshold never descends from one star to the next; hours are whole hours, qualities are tenths.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from timebank.errors import Reason, TimebankError

STARS = (1, 2, 3, 4, 5)
HOURS_MAX = 1_000_000
POINTS_MAX = 1_000_000_000
QUALITY_TENTHS_MAX = 50
PRIOR_TENTHS_MIN = 10
WEIGHT_MAX = 1_000
RATERS_MAX = 1_000
MEDALS_MAX = 20
NAME_CHARACTERS_MAX = 60
MINUTES_PER_HOUR = 60


class Scope(enum.StrEnum):
    """Which hours count: all of a life, or those of one calendar year."""

    LIFETIME = "LIFETIME"
    YEAR = "YEAR"


class Role(enum.StrEnum):
    """Who rates a volunteer."""

    RESIDENT = "RESIDENT"
    PEER = "PEER"
    COMMUNITY = "COMMUNITY"

    @property
    def name_zh(self) -> str:
        """Gives the Chinese name."""
        return _ROLES_ZH[self]


_ROLES_ZH = {Role.RESIDENT: "居民", Role.PEER: "志愿者互评", Role.COMMUNITY: "社区考核"}


class Level(NamedTuple):
    """What one star asks for; each number is the least that will do, 0 asks for nothing."""

    star: int
    hours: int
    points: int = 0
    quality_tenths: int = 0

    @property
    def minutes(self) -> int:
        """Gives the hours in minutes."""
        return self.hours * MINUTES_PER_HOUR


class Medal(NamedTuple):
    """An honour beyond the stars, for hours and points."""

    name: str
    hours: int
    points: int = 0


class StarTable(NamedTuple):
    """A whole table: five levels, medals, and how ratings are weighed.

    `demote`: who falls below a star loses it; else it is kept. `five_by_selection`: the fifth star
    also needs to be selected from the fourth. `min_star_hours`: no star below these hours, for
    tables whose levels ask for points alone. `weights` are (role, weight) in the order of `Role`;
    the prior mean is in tenths and weighs as many ratings as `prior_weight`; a quality is shown
    from `min_raters` ratings on.
    """

    levels: tuple[Level, ...]
    scope: Scope = Scope.LIFETIME
    demote: bool = False
    five_by_selection: bool = False
    medals: tuple[Medal, ...] = ()
    weights: tuple[tuple[Role, int], ...] = (
        (Role.RESIDENT, 50),
        (Role.PEER, 20),
        (Role.COMMUNITY, 30),
    )
    prior_tenths: int = 40
    prior_weight: int = 5
    min_raters: int = 3
    min_star_hours: int = 0


def _levels(*rows: tuple[int, int, int]) -> tuple[Level, ...]:
    """Makes levels from rows of hours, points and quality in tenths."""
    return tuple(Level(star, *row) for star, row in zip(STARS, rows, strict=True))


NATIONAL = StarTable(_levels((100, 0, 0), (300, 0, 0), (600, 0, 35), (1000, 0, 40), (1500, 0, 42)))
"""The default: hours of 志愿服务记录办法, with the project's own quality floors."""

BEIJING = StarTable(
    _levels((100, 0, 0), (200, 0, 0), (500, 0, 0), (800, 0, 0), (1000, 0, 0)),
    medals=(Medal("铜质奖章", 2000), Medal("银质奖章", 3000), Medal("金质奖章", 5000)),
)
"""Hours alone; medals above the fifth star."""

LONGQUANYI = StarTable(
    _levels((50, 500, 0), (100, 1000, 0), (200, 2100, 0), (400, 4200, 0), (800, 8400, 0)),
    demote=True,
    medals=(Medal("金牌", 1000, 10500), Medal("钻石", 2000, 21000)),
)
"""Hours and points earned, both; who falls below is demoted."""

PRESETS: Mapping[str, StarTable] = {
    "national": NATIONAL,
    "beijing": BEIJING,
    "longquanyi": LONGQUANYI,
}


def parse_star_table(data: Mapping[str, object]) -> StarTable:
    """Reads a table from its JSON object; only `levels` must be there, the rest has the defaults of
    the national table.

    Raises: VALIDATION_FAILED with every problem as a violation (path, text).
    """
    reader = _Reader()
    reader.check_keys("", data, StarTable._fields)
    table = StarTable(
        levels=reader.levels(data.get("levels")),
        scope=reader.scope(data.get("scope", NATIONAL.scope)),
        demote=reader.boolean("demote", data.get("demote", False)),
        five_by_selection=reader.boolean("five_by_selection", data.get("five_by_selection", False)),
        medals=reader.medals(data.get("medals", ())),
        weights=reader.weights(data.get("weights", {})),
        prior_tenths=reader.number(
            "", data, "prior_tenths", QUALITY_TENTHS_MAX, NATIONAL.prior_tenths, PRIOR_TENTHS_MIN
        ),
        prior_weight=reader.number("", data, "prior_weight", WEIGHT_MAX, NATIONAL.prior_weight),
        min_raters=reader.number("", data, "min_raters", RATERS_MAX, NATIONAL.min_raters, 1),
        min_star_hours=reader.number("", data, "min_star_hours", HOURS_MAX, 0),
    )
    if not reader.violations:
        _check_contradictions(table, reader)
    if reader.violations:
        told = "; ".join(f"{path}: {text}" for path, text in reader.violations)
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"star table: {told}",
            violations=reader.violations,
            field=reader.violations[0][0],
        )
    return table


class _Reader:
    """Reads values and collects what is wrong with them; a wrong one reads as its default."""

    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def refuse(self, path: str, text: str) -> None:
        self.violations.append((path, text))

    def check_keys(self, path: str, data: Mapping[str, object], known: Sequence[str]) -> None:
        for key in data:
            if key in known:
                continue
            shown = repr(key[:NAME_CHARACTERS_MAX])[1:-1]  # it may hold half a surrogate pair
            near = difflib.get_close_matches(shown, known, n=1)
            hint = f"meant {near[0]}?" if near else f"expected one of {', '.join(known)}"
            self.refuse(f"{path}{shown}", f"unknown key: {hint}")

    def number(
        self,
        path: str,
        data: Mapping[str, object],
        key: str,
        maximum: int,
        default: int | None = None,
        minimum: int = 0,
    ) -> int:
        value = data.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        huge = isinstance(value, int) and abs(value) > 10**18  # some are too long to be written
        got = "nothing" if value is None else "a huge one" if huge else repr(value)
        shown = got[:NAME_CHARACTERS_MAX]
        self.refuse(f"{path}{key}", f"expected a whole number {minimum} to {maximum}, got {shown}")
        return minimum

    def boolean(self, path: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.refuse(path, "expected true or false")
        return value is True

    def scope(self, value: object) -> Scope:
        for scope in Scope:
            if value == scope.value:
                return scope
        self.refuse("scope", "expected LIFETIME or YEAR")
        return Scope.LIFETIME

    def rows(
        self, path: str, value: object, known: Sequence[str]
    ) -> list[tuple[str, Mapping[str, object]]]:
        """Gives the objects of a list, each with its path; refuses what is no object."""
        if not isinstance(value, list | tuple):
            self.refuse(path, "expected a list of objects")
            return []
        found: list[tuple[str, Mapping[str, object]]] = []
        for at, row in enumerate(value[: MEDALS_MAX + 1]):
            if isinstance(row, Mapping):
                self.check_keys(f"{path}[{at}].", row, known)
                found.append((f"{path}[{at}].", row))
            else:
                self.refuse(f"{path}[{at}]", f"expected an object with {', '.join(known)}")
        return found

    def levels(self, value: object) -> tuple[Level, ...]:
        found = []
        for path, row in self.rows("levels", value, Level._fields):
            star = self.number(path, row, "star", STARS[-1], None, STARS[0])
            hours = self.number(path, row, "hours", HOURS_MAX)
            points = self.number(path, row, "points", POINTS_MAX, 0)
            quality_tenths = self.number(path, row, "quality_tenths", QUALITY_TENTHS_MAX, 0)
            found.append(Level(star, hours, points, quality_tenths))
        stars = [level.star for level in found]
        if stars != list(STARS) and isinstance(value, list | tuple):
            self.refuse("levels", f"expected the stars 1 to 5 once each, in order, got {stars}")
        return tuple(found)

    def medals(self, value: object) -> tuple[Medal, ...]:
        found = []
        for path, row in self.rows("medals", value, Medal._fields):
            name = row.get("name")
            if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
                self.refuse(f"{path}name", f"expected 1 to {NAME_CHARACTERS_MAX} characters")
                name = ""
            elif not name.isprintable() or name != name.strip():
                self.refuse(f"{path}name", "expected printable characters, no space around them")
            hours = self.number(path, row, "hours", HOURS_MAX)
            found.append(Medal(name, hours, self.number(path, row, "points", POINTS_MAX, 0)))
        if len(found) > MEDALS_MAX:
            self.refuse("medals", f"expected at most {MEDALS_MAX}, got more")
        return tuple(found)

    def weights(self, value: object) -> tuple[tuple[Role, int], ...]:
        if not isinstance(value, Mapping):
            self.refuse("weights", "expected an object with RESIDENT, PEER and COMMUNITY")
            return NATIONAL.weights
        if not value:
            return NATIONAL.weights
        self.check_keys("weights.", value, [role.value for role in Role])
        found = tuple(
            (role, self.number("weights.", value, role.value, WEIGHT_MAX)) for role in Role
        )
        if not any(weight for _, weight in found):
            self.refuse("weights", "expected at least one weight above 0")
        return found


def _check_contradictions(table: StarTable, reader: _Reader) -> None:
    """Refuses thresholds that descend, ask for nothing more, or are below `min_star_hours`."""
    first = table.levels[0]
    if not (first.hours or first.points or table.min_star_hours):
        reader.refuse("levels[0]", "expected hours or points above 0 for the first star")
    for at, level in enumerate(table.levels):
        if 0 < level.hours < table.min_star_hours:
            reader.refuse(
                "min_star_hours",
                f"expected at most {level.hours}, the hours of star {level.star}, "
                f"got {table.min_star_hours}",
            )
        by_selection = table.five_by_selection and level.star == STARS[-1]
        if at and level[1:] == table.levels[at - 1][1:] and not by_selection:
            reader.refuse(f"levels[{at}]", f"expected more than star {level.star - 1} asks for")
    for path, rows in (("levels", table.levels), ("medals", table.medals)):
        for at in range(1, len(rows)):
            _check_ascending(f"{path}[{at}]", rows[at - 1], rows[at], reader)
    names = [medal.name for medal in table.medals]
    if len(set(names)) != len(names):
        reader.refuse("medals", "expected a name of its own for each medal")


def _check_ascending(
    path: str, below: Level | Medal, above: Level | Medal, reader: _Reader
) -> None:
    """Refuses numbers that are smaller than those of the row before."""
    for field, low, high in zip(above._fields[1:], below[1:], above[1:], strict=True):
        if isinstance(low, int) and isinstance(high, int) and high < low:
            reader.refuse(f"{path}.{field}", f"expected at least {low}, as before it, got {high}")
