"""Rows of a CSV of service records 志愿服务记录: what the headings mean, and each row as a record.

Owns: the headings, English and Chinese, the rules of every cell, and that a number stands for one
record in a file. Refuses: the ledger (see record_runs.py) and its rules, which the server keeps.
Rules: nothing is guessed or rounded; a row that is wrong is told with its column, and the others
still count; a volunteer is given by number, never by identity number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ledger.imports.history import open_table
from ledger.imports.movements import (
    CellError,
    RowError,
    digest_of,
    integer_of,
    micro_minutes_of_hours,
    time_of,
    whole_minutes,
)
from ledger.imports.tables import Advance, rows
from timebank.client.drafts import RecordDraft
from timebank.client.kinds import EvidenceClass
from timebank.errors import Reason, TimebankError

ROWS_MAX = 500_000
MICRO = 1_000_000
LISTED_MAX = 5
_SPELLINGS = {
    "record_id": "record_id record id 编号 记录编号 单号 流水号",
    "volunteer": "volunteer member 志愿者 志愿者编号 会员 会员编号",
    "activity": "activity 活动 活动名称 项目",
    "organizer": "organizer 组织 组织者 组织编号",
    "date": "date day 日期 服务日期",
    "started": "started start start_time started_at 开始 开始时间",
    "ended": "ended end end_time ended_at 结束 结束时间",
    "minutes": "minutes 分钟 分钟数 时长 时长(分钟) 服务时长(分钟)",
    "hours": "hours 小时 小时数 时长(小时) 服务时长(小时)",
    "evidence": "evidence 证据 证据等级",
    "break_minutes": "break_minutes breaks 休息 休息(分钟)",
    "planned_minutes": "planned_minutes planned 计划 计划时长 计划时长(分钟)",
    "beneficiary": "beneficiary 服务对象 服务对象编号",
    "place": "place 地点 服务地点",
    "content": "content 内容 服务内容",
    "recorder": "recorder 记录人 录入人",
    "team_lead": "team_lead 负责人 领队",
    "verifiers": "verifiers verifier 核实人 审核人",
    "quality_tenths": "quality_tenths quality 质量 质量评分",
    "quality_failed": "quality_failed 质量不合格",
    "need_type": "need_type 需求类型 服务类型",
    "skill": "skill 技能",
    "urgent": "urgent 紧急",
    "group": "group 团体 集体活动",
    "relative": "relative 亲属",
    "reward": "reward 回报 奖励方式",
    "supersedes": "supersedes 更正 更正编号",
    "bonuses": "bonuses bonus 加分",
    "external_ids": "external_ids external_id 外部编号 原编号",
    "publicised": "publicised 已公示",
}
HEADINGS = {word: name for name, words in _SPELLINGS.items() for word in words.split()}
DEFAULTED = ("activity", "organizer", "evidence")
"""Columns that an option may stand in for."""
_TEXT_LIMITS = {
    "activity": 100,
    "place": 60,
    "content": 2_000,
    "recorder": 40,
    "team_lead": 40,
    "need_type": 40,
    "skill": 40,
}
_RECORD_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MEMBER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_IDENTITY_NUMBER = re.compile(r"\d{17}[\dx]|\d{15}")
_ORGANIZER = re.compile(r"[\x21-\x7e]{1,40}")
_CLOCK = re.compile(r"[0-9]{1,2}[:：时][0-9]{1,2}.*")
_SEPARATOR = re.compile(r"[;；、|\s]+")
_YES = frozenset({"1", "true", "yes", "y", "是", "有"})
_NO = frozenset({"", "0", "false", "no", "n", "否", "无"})


class RecordRow(NamedTuple):
    """A record, the row it stands in, and whether a row above says just the same."""

    number: int
    draft: RecordDraft
    repeated: bool = False


class RecordRows:
    """A CSV file of records; its headings are known before its rows are read."""

    def __init__(
        self,
        path: Path,
        *,
        encoding: str | None,
        zone: tzinfo,
        now: datetime,
        defaults: Mapping[str, str],
    ) -> None:
        """Looks at the file. `defaults` fill empty cells of activity, organizer and evidence.

        Raises VALIDATION_FAILED for what is no table, and for headings that are missing.
        """
        self.path = path
        self.table, first = open_table(path, encoding)
        self._width = len(first)
        self._zone = zone
        self._now = now
        self._defaults = {name: text for name, text in defaults.items() if text}
        self._columns = _columns(path, first, self._defaults)
        self._headings = {name: first[at].strip() for name, at in self._columns.items()}
        self._seen: dict[str, bytes] = {}

    def heading(self, field: str) -> str:
        """Gives the file's heading of a field of a record."""
        name = {"start_time": "started", "end_time": "ended"}.get(field, field)
        return self._headings.get(name, name)

    def read(self, advance: Advance) -> Iterator[RecordRow | RowError]:
        """Streams records; a row that is wrong comes as its error.

        Raises VALIDATION_FAILED for more than ROWS_MAX rows.
        """
        for row in rows(self.path, self.table, advance=advance):
            if row.number > ROWS_MAX:
                raise TimebankError(
                    Reason.VALIDATION_FAILED,
                    f"{self.path}: expected at most {ROWS_MAX:,} rows; cut the file in parts",
                    file=str(self.path),
                )
            if row.problem:
                yield RowError(row.number, "", row.problem, "correct the row")
            elif row.number > 1 and any(cell.strip() for cell in row.cells):
                try:
                    yield self._once(row.number, self._draft(row.cells))
                except CellError as error:
                    yield error.at(row.number)

    def _once(self, number: int, draft: RecordDraft) -> RecordRow:
        """Lets a number stand for one record only."""
        digest = digest_of(draft)
        before = self._seen.get(draft.record_id)
        if before is None:
            self._seen[draft.record_id] = digest
            return RecordRow(number, draft)
        if before != digest:
            raise CellError(
                self.heading("record_id"),
                f"{draft.record_id} stands above with other content",
                "give each record a number of its own",
            )
        return RecordRow(number, draft, repeated=True)

    def _draft(self, cells: Sequence[str]) -> RecordDraft:
        if len(cells) != self._width:
            raise CellError(
                "row",
                f"expected {self._width} columns, got {len(cells)}",
                "quote cells that contain the delimiter or a line break",
            )
        texts = {name: cells[at].strip() for name, at in self._columns.items()}
        for name, default in self._defaults.items():
            texts[name] = texts.get(name) or default
        started, ended, date_only = self._times(texts)
        text, flag = partial(self._text, texts), partial(self._flag, texts)
        return RecordDraft(
            record_id=self._id(texts, "record_id", _RECORD_ID),
            volunteer=self._member(texts, "volunteer"),
            organizer=self._organizer(texts),
            start_time=started,
            end_time=ended,
            date_only=date_only,
            minutes=self._minutes(texts),
            break_minutes=self._count(texts, "break_minutes"),
            planned_minutes=self._count(texts, "planned_minutes"),
            evidence=self._evidence(texts),
            beneficiary=self._member(texts, "beneficiary") if texts.get("beneficiary") else "",
            quality_tenths=self._count(
                texts, "quality_tenths", unit="tenths of a point, 10 to 50,"
            ),
            reward=texts.get("reward", "").upper(),
            verifiers=_parts(texts, "verifiers"),
            supersedes=texts.get("supersedes", "").lower(),
            bonuses=tuple(part.upper() for part in _parts(texts, "bonuses")),
            external_ids=_parts(texts, "external_ids"),
            activity=text("activity"),
            place=text("place"),
            content=text("content"),
            recorder=text("recorder"),
            team_lead=text("team_lead"),
            need_type=text("need_type"),
            skill=text("skill"),
            quality_failed=flag("quality_failed"),
            urgent=flag("urgent"),
            group=flag("group"),
            relative=flag("relative"),
            publicised=flag("publicised"),
        )

    def _times(self, texts: Mapping[str, str]) -> tuple[datetime, datetime | None, bool]:
        """Reads start, end, and whether only the day is known; a clock alone is of `date`."""
        day, start, end = (texts.get(name, "") for name in ("date", "started", "ended"))
        start = f"{day} {start}".strip() if not start or _CLOCK.fullmatch(start) else start
        if day and _CLOCK.fullmatch(end):
            end = f"{day} {end}"
        column = self.heading("started" if "started" in self._columns else "date")
        started = time_of(start, column, zone=self._zone, now=self._now)
        if started is None:
            raise CellError(column, "is empty", "fill in when the service began, or its day")
        ended = time_of(end, self.heading("ended"), zone=self._zone, now=self._now)
        return started, ended, ended is None and not re.search("[:：时]", start)

    def _minutes(self, texts: Mapping[str, str]) -> int:
        hours = texts.get("hours", "")
        if not hours or texts.get("minutes"):
            return self._count(texts, "minutes")
        column = self.heading("hours")
        return whole_minutes(micro_minutes_of_hours(hours, column), MICRO, column, hours)

    def _count(self, texts: Mapping[str, str], name: str, *, unit: str = "minutes") -> int:
        text, column = texts.get(name, ""), self.heading(name)
        return whole_minutes(integer_of(text, column, unit), 1, column, text) if text else 0

    def _evidence(self, texts: Mapping[str, str]) -> EvidenceClass:
        word = texts.get("evidence", "").upper().removesuffix("类").removeprefix("CLASS").strip()
        if len(word) != 1 or word not in EvidenceClass.__members__:
            raise CellError(
                self.heading("evidence"), f"got {word[:40]!r}", "give a class from A to E"
            )
        return EvidenceClass[word]

    def _id(self, texts: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
        text = texts.get(name, "").lower()
        if not pattern.fullmatch(text):
            raise CellError(
                self.heading(name),
                f"expected a number of letters, digits and '-', got {text[:40]!r}",
                "correct it, at most 64 characters" if name == "record_id" else "correct it",
            )
        return text

    def _member(self, texts: Mapping[str, str], name: str) -> str:
        text = texts.get(name, "").lower()
        if _IDENTITY_NUMBER.fullmatch(text):
            raise CellError(
                self.heading(name), "looks like an identity number", "give the volunteer number"
            )
        return self._id(texts, name, _MEMBER_ID)

    def _organizer(self, texts: Mapping[str, str]) -> str:
        text = texts.get("organizer", "")
        if not _ORGANIZER.fullmatch(text):
            raise CellError(
                self.heading("organizer"),
                f"expected an id of 1 to 40 ASCII characters, got {text[:40]!r}",
                "give the organization's id, or leave it empty and say --organizer",
            )
        return text

    def _text(self, texts: Mapping[str, str], name: str) -> str:
        text, limit = texts.get(name, ""), _TEXT_LIMITS[name]
        if len(text) > limit:
            raise CellError(
                self.heading(name), f"has {len(text):,} characters", f"shorten it to {limit:,}"
            )
        if name == "activity" and not text:
            raise CellError(
                self.heading(name), "is empty", "fill in what was done, or say --activity"
            )
        return text

    def _flag(self, texts: Mapping[str, str], name: str) -> bool:
        word = texts.get(name, "").lower()
        if word not in _YES | _NO:
            raise CellError(
                self.heading(name),
                f"expected yes or no, got {word[:40]!r}",
                "write 1 or 0, 是或否",
            )
        return word in _YES


def _parts(texts: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Cuts a cell of several values."""
    parts = [part for part in _SEPARATOR.split(texts.get(name, "")) if part]
    return tuple(parts[: LISTED_MAX + 1])


def _columns(path: Path, first: Sequence[str], defaults: Mapping[str, str]) -> dict[str, int]:
    """Finds the column of each heading; columns that mean nothing here are left alone."""
    normal = ["".join(cell.lower().split()) for cell in first]
    names = [HEADINGS.get(cell.replace("（", "(").replace("）", ")"), "") for cell in normal]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    needed = ["record_id", "volunteer", *(name for name in DEFAULTED if name not in defaults)]
    missing = [name for name in needed if name not in names]
    if "started" not in names and "date" not in names:
        missing.append("started")
    if twice or missing:
        problem = f"{twice[0]} stands twice" if twice else f"no column {', '.join(missing)}"
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"{path}: {problem}; expected headings such as record_id, volunteer, activity, "
            "organizer, started, ended, minutes, evidence (编号, 志愿者, 活动, 组织, 开始, 结束, "
            "时长, 证据); --activity, --organizer and --evidence stand in for theirs",
            file=str(path),
        )
    return {name: at for at, name in enumerate(names) if name}
