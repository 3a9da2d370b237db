"""Records for `timebank policy simulate`: services of volunteers out of a CSV file.

Owns the headings, English and Chinese, and what their cells mean. Refuses to reckon.
Rules: a row that is wrong is told with its column, and the others still count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

from ledger.domain.calendar import to_us
from ledger.domain.service_split import EVIDENCE_CLASSES, Service
from ledger.imports.history import open_table
from ledger.imports.movements import CellError, RowError, integer_of, time_of
from ledger.imports.tables import Advance, TableFormat, rows
from timebank.errors import Reason, TimebankError

ROWS_MAX = 500_000
VOLUNTEER_CHARACTERS_MAX = 64
_LATEST = datetime(9980, 1, 1, tzinfo=UTC)
_SPELLINGS = {
    "volunteer": "volunteer member 志愿者 志愿者编号 姓名",
    "started": "started started_at start 开始 开始时间 服务日期 日期",
    "ended": "ended ended_at end 结束 结束时间",
    "minutes": "minutes 分钟 分钟数 时长(分钟) 服务时长(分钟)",
    "evidence": "evidence 证据 证据等级",
    "need_type": "need_type 需求类型 服务类型",
    "skill": "skill 技能",
    "urgent": "urgent 紧急",
    "quality": "quality quality_tenths 质量 质量评分",
    "quality_failed": "quality_failed 质量不合格",
    "group": "group 团体 集体活动",
    "relative": "relative 亲属",
    "reward": "reward 回报 奖励方式",
    "team_lead": "team_lead 负责人 领队",
    "referral": "referral 推荐",
}
_HEADINGS = {word: name for name, words in _SPELLINGS.items() for word in words.split()}
_NEEDED = ("volunteer", "started", "minutes")
_YES = {"1", "true", "yes", "y", "是", "有"}
_NO = {"", "0", "false", "no", "n", "否", "无"}


class SimulatedRecord(NamedTuple):
    """A service, whose it is, and the row it stands in."""

    volunteer: str
    number: int
    service: Service


class RecordFile:
    """A CSV file of records; its headings are known before its rows are read."""

    def __init__(self, path: Path) -> None:
        """Looks at the first row.

        Raises VALIDATION_FAILED for what is no table, and for headings that are missing.
        """
        self.path = path
        self.table: TableFormat
        self.table, first = open_table(path, None)
        names = [_HEADINGS.get(cell.strip().lower(), "") for cell in first]
        missing = [name for name in _NEEDED if name not in names]
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if missing or twice:
            problem = f"no column {', '.join(missing)}" if missing else f"{twice[0]} stands twice"
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"{path}: {problem}; expected headings such as volunteer, started, ended, "
                "minutes, evidence (志愿者, 开始时间, 结束时间, 分钟, 证据等级)",
                file=str(path),
            )
        self._columns = {name: index for index, name in enumerate(names) if name}

    def read(self, zone: tzinfo, advance: Advance) -> Iterator[SimulatedRecord | RowError]:
        """Streams records; a row that is wrong comes as its error.

        Raises VALIDATION_FAILED for more than ROWS_MAX rows.
        """
        for row in rows(self.path, self.table, advance=advance):
            if row.number > ROWS_MAX:
                raise TimebankError(
                    Reason.VALIDATION_FAILED,
                    f"{self.path}: expected at most {ROWS_MAX:,} rows; simulate a part of them",
                    file=str(self.path),
                )
            if row.problem:
                yield RowError(row.number, "", row.problem, "correct the row")
            elif row.number > 1 and any(cell.strip() for cell in row.cells):
                try:
                    yield self._record(row.number, row.cells, zone)
                except CellError as error:
                    yield error.at(row.number)

    def _record(self, number: int, cells: Sequence[str], zone: tzinfo) -> SimulatedRecord:
        texts = {
            name: cells[index].strip() if index < len(cells) else ""
            for name, index in self._columns.items()
        }
        volunteer = texts["volunteer"]
        if not 0 < len(volunteer) <= VOLUNTEER_CHARACTERS_MAX:
            expected = f"expected 1 to {VOLUNTEER_CHARACTERS_MAX} characters"
            raise CellError("volunteer", expected, "fill in whose service it is")
        started_us, ended_us = _interval(texts["started"], texts.get("ended", ""), zone)
        evidence = texts.get("evidence", "").upper() or "A"
        if len(evidence) != 1 or evidence not in EVIDENCE_CLASSES:
            raise CellError("evidence", f"got {evidence[:40]!r}", "give a class from A to E")
        quality = texts.get("quality", "")
        service = Service(
            started_us=started_us,
            ended_us=ended_us,
            minutes=integer_of(texts["minutes"], "minutes", "minutes"),
            evidence=evidence,
            need_type=texts.get("need_type", ""),
            skill=texts.get("skill", ""),
            urgent=_flag(texts, "urgent"),
            quality_tenths=integer_of(quality, "quality", "tenths") if quality else None,
            quality_failed=_flag(texts, "quality_failed"),
            group=_flag(texts, "group"),
            relative=_flag(texts, "relative"),
            reward=texts.get("reward", "").upper(),
            team_lead=_flag(texts, "team_lead"),
            referral=_flag(texts, "referral"),
        )
        return SimulatedRecord(volunteer, number, service)


def _interval(started: str, ended: str, zone: tzinfo) -> tuple[int, int]:
    """Reads start and end; without an end only the day is known, and they are equal."""
    start = time_of(started, "started", zone=zone, now=_LATEST)
    if start is None:
        raise CellError("started", "is empty", "fill in when the service began, or its day")
    end = time_of(ended, "ended", zone=zone, now=_LATEST)
    return to_us(start), to_us(start if end is None else end)


def _flag(texts: dict[str, str], name: str) -> bool:
    word = texts.get(name, "").lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise CellError(name, f"expected yes or no, got {word[:40]!r}", "write 1 or 0, 是 or 否")
