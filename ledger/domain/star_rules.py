"""Stars 星级, 0 to 5: a pure function of a table and of where a volunteer stands.

Owns: which star conditions give, what is missing for the next one, and the reasons in words.
Refuses: counting hours and points, and granting (STAR_GRANTED is an entry of the log).
Rules:
- A star is given when all its conditions hold; thresholds never descend, so it implies those below.
- A star once held is kept unless the table demotes; `earned_star` tells what the conditions alone
  give, so that a fall opens a review.
- A suspended volunteer keeps the star held: no higher one, and no fall.
- A quality floor is judged by the quality once it is shown (`min_raters` ratings), before that by
  the prior mean of the table: with 4.0 nobody is kept from four stars for being rated by few, and
  the fifth, with its floor of 4.2, cannot be had without ratings. The choice is this project's.
- With `five_by_selection` the fifth star also needs `selected`, and the fourth to be held already.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from ledger.domain.evaluation import Quality
from ledger.domain.star_tables import (
    MINUTES_PER_HOUR,
    STARS,
    Level,
    Medal,
)
from ledger.domain.star_tables import NATIONAL as NATIONAL
from ledger.domain.star_tables import StarTable as StarTable
from ledger.domain.star_tables import parse_star_table as parse_star_table

STAR_MAX = STARS[-1]
_STARS_ZH = ("无星", "一星", "二星", "三星", "四星", "五星")


class Standing(NamedTuple):
    """Where a volunteer stands: POSTED hours in scope (minutes) and points earned, the quality if
    there is one, whether registration is suspended, whether the fifth star was voted, and the star
    held now.
    """

    hours_minutes: int
    points_earned: int
    quality: Quality | None
    suspended: bool = False
    selected: bool = False
    held: int = 0


class Kind(enum.StrEnum):
    """What a condition looks at; the numbers are minutes, points, tenths, yes as 1, and a star."""

    HOURS = "HOURS"
    POINTS = "POINTS"
    QUALITY = "QUALITY"
    SELECTED = "SELECTED"
    HELD = "HELD"


class Condition(NamedTuple):
    """One condition of one star: what there is, what it needs, and whether that is met."""

    star: int
    kind: Kind
    have: int
    need: int
    met: bool


class Progress(NamedTuple):
    """What is missing for the next star: minutes, points, tenths of quality, the selection, and
    holding the star before it; 0 or False where nothing is. `suspended`: not while it lasts.
    """

    star: int
    missing_minutes: int
    missing_points: int
    missing_quality_tenths: int
    needs_selection: bool = False
    needs_held: bool = False
    suspended: bool = False

    @property
    def text(self) -> str:
        """Says it in English: "38 h to go"."""
        parts = [_duration(self.missing_minutes)] if self.missing_minutes else []
        if self.missing_points:
            parts.append(f"{self.missing_points} points")
        if self.missing_quality_tenths:
            parts.append(f"{_tenths(self.missing_quality_tenths)} of quality")
        if self.needs_held:
            parts.append(f"star {self.star - 1} held")
        if self.needs_selection:
            parts.append("the selection")
        told = f"{', '.join(parts)} to go" if parts else "nothing is missing"
        return f"{told} (suspended)" if self.suspended else told

    @property
    def text_zh(self) -> str:
        """Says it in Chinese."""
        parts = [_duration_zh(self.missing_minutes)] if self.missing_minutes else []
        if self.missing_points:
            parts.append(f"{self.missing_points} 积分")
        if self.missing_quality_tenths:
            parts.append(f"评价 {_tenths(self.missing_quality_tenths)} 分")
        if self.needs_held:
            parts.append(f"先获{_STARS_ZH[self.star - 1]}")
        if self.needs_selection:
            parts.append("评选")
        told = f"距{_STARS_ZH[self.star]}还差 {'、'.join(parts)}" if parts else "条件已具备"
        return f"{told}（已暂停）" if self.suspended else told


def star_of(table: StarTable, standing: Standing) -> int:
    """Gives the star, 0 to 5, that a standing deserves by a table."""
    if standing.suspended:
        return standing.held
    earned = earned_star(table, standing)
    return earned if table.demote else max(earned, standing.held)


def earned_star(table: StarTable, standing: Standing) -> int:
    """Gives the star that the conditions alone give; below `held` a review is due."""
    given = 0
    for level in table.levels:
        if not all(condition.met for condition in _conditions_of(table, level, standing)):
            break
        given = level.star
    return given


def next_star(table: StarTable, standing: Standing) -> Progress | None:
    """Gives what is missing for one star more than there is; None at five."""
    star = star_of(table, standing) + 1
    if star > STAR_MAX:
        return None
    found = _conditions_of(table, table.levels[star - 1], standing)
    missing = {item.kind: item.need - item.have for item in found if not item.met}
    return Progress(
        star,
        missing_minutes=missing.get(Kind.HOURS, 0),
        missing_points=missing.get(Kind.POINTS, 0),
        missing_quality_tenths=missing.get(Kind.QUALITY, 0),
        needs_selection=Kind.SELECTED in missing,
        needs_held=Kind.HELD in missing,
        suspended=standing.suspended,
    )


def medals_of(table: StarTable, standing: Standing) -> tuple[Medal, ...]:
    """Gives the medals that hours and points have reached, in the table's order."""
    return tuple(
        medal
        for medal in table.medals
        if standing.hours_minutes >= medal.hours * MINUTES_PER_HOUR
        and standing.points_earned >= medal.points
    )


def conditions_of(table: StarTable, standing: Standing) -> tuple[Condition, ...]:
    """Lists every condition of every star, from the first star up."""
    return tuple(
        condition for level in table.levels for condition in _conditions_of(table, level, standing)
    )


def _conditions_of(table: StarTable, level: Level, standing: Standing) -> list[Condition]:
    """Lists what one star asks for; hours always, anything else only when it is asked for."""

    def condition(kind: Kind, have: int, need: int) -> Condition:
        return Condition(level.star, kind, have, need, have >= need)

    minutes = max(level.minutes, table.min_star_hours * MINUTES_PER_HOUR)
    found = [condition(Kind.HOURS, standing.hours_minutes, minutes)]
    if level.points:
        found.append(condition(Kind.POINTS, standing.points_earned, level.points))
    if level.quality_tenths:
        found.append(condition(Kind.QUALITY, _judged_tenths(table, standing), level.quality_tenths))
    if table.five_by_selection and level.star == STAR_MAX:
        found.append(condition(Kind.HELD, standing.held, STAR_MAX - 1))
        found.append(condition(Kind.SELECTED, int(standing.selected), 1))
    return found


def _judged_tenths(table: StarTable, standing: Standing) -> int:
    """Gives ten times the quality that floors are compared with, rounded down: a floor is in whole
    tenths, so nothing is lost.
    """
    quality = standing.quality
    return table.prior_tenths if quality is None or not quality.shown else quality.tenths


def explain(table: StarTable, standing: Standing) -> tuple[str, ...]:
    """Explains a star in English: the star, then each condition of it and of the next one with
    have, need and met.
    """
    star, earned = star_of(table, standing), earned_star(table, standing)
    lines = [f"star {star}; the conditions alone give {earned}"]
    if standing.suspended:
        lines.append(f"registration is suspended: star {standing.held} is kept, none is added")
    elif star > earned:
        lines.append(f"star {star} was granted before and is kept; a review is due")
    for item in _told(table, standing, star):
        have, need, name = _words(item)
        if item.kind is Kind.QUALITY and not _is_shown(standing):
            have += f" (prior mean: fewer than {table.min_raters} ratings)"
        met = "met" if item.met else "not met"
        lines.append(f"star {item.star}: {name}: have {have}, need {need}: {met}")
    return tuple(lines)


def explain_zh(table: StarTable, standing: Standing) -> tuple[str, ...]:
    """Explains a star in Chinese, line by line as `explain` does."""
    star, earned = star_of(table, standing), earned_star(table, standing)
    lines = [f"{_STARS_ZH[star]}；仅按条件为{_STARS_ZH[earned]}"]
    if standing.suspended:
        lines.append(f"注册已暂停：保留{_STARS_ZH[standing.held]}，不予晋级")
    elif star > earned:
        lines.append(f"{_STARS_ZH[star]}此前已授予，予以保留；应当复核")
    for item in _told(table, standing, star):
        have, need, name = _words_zh(item)
        if item.kind is Kind.QUALITY and not _is_shown(standing):
            have += f"（评价不足 {table.min_raters} 人次，按先验均值）"
        met = "达到" if item.met else "未达到"
        lines.append(f"{_STARS_ZH[item.star]}：{name}：现有 {have}，需 {need}：{met}")
    return tuple(lines)


def _told(table: StarTable, standing: Standing, star: int) -> list[Condition]:
    """Gives the conditions that explain a star: those of it and of the next one."""
    return [
        condition
        for level in table.levels[: star + 1]
        for condition in _conditions_of(table, level, standing)
    ]


def _is_shown(standing: Standing) -> bool:
    return standing.quality is not None and standing.quality.shown


def _words(item: Condition) -> tuple[str, str, str]:
    """Gives have, need and name of a condition in English."""
    match item.kind:
        case Kind.HOURS:
            return _duration(item.have), _duration(item.need), "hours"
        case Kind.POINTS:
            return str(item.have), str(item.need), "points earned"
        case Kind.QUALITY:
            return _tenths(item.have), _tenths(item.need), "quality"
        case Kind.SELECTED:
            return ("yes" if item.have else "no"), "yes", "selected"
        case Kind.HELD:
            return str(item.have), str(item.need), "star held"


def _words_zh(item: Condition) -> tuple[str, str, str]:
    """Gives have, need and name of a condition in Chinese."""
    match item.kind:
        case Kind.HOURS:
            return _duration_zh(item.have), _duration_zh(item.need), "服务时长"
        case Kind.POINTS:
            return str(item.have), str(item.need), "累计积分"
        case Kind.QUALITY:
            return _tenths(item.have), _tenths(item.need), "综合评价"
        case Kind.SELECTED:
            return ("是" if item.have else "否"), "是", "评选通过"
        case Kind.HELD:
            return _STARS_ZH[item.have], _STARS_ZH[item.need], "现有星级"


def _duration(minutes: int) -> str:
    """Writes minutes as "38 h", "38 h 5 min" or "5 min"; a debt of hours has a minus."""
    sign = "-" if minutes < 0 else ""
    hours, rest = divmod(abs(minutes), MINUTES_PER_HOUR)
    if not rest:
        return f"{sign}{hours} h"
    return f"{sign}{hours} h {rest} min" if hours else f"{sign}{rest} min"


def _duration_zh(minutes: int) -> str:
    """Writes minutes as in `_duration`, in Chinese."""
    sign = "-" if minutes < 0 else ""
    hours, rest = divmod(abs(minutes), MINUTES_PER_HOUR)
    if not rest:
        return f"{sign}{hours} 小时"
    return f"{sign}{hours} 小时 {rest} 分钟" if hours else f"{sign}{rest} 分钟"


def _tenths(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"
