"""Rows of any CSV of TIME movements, by a mapping from its columns to what they mean.

Owns: the meanings, the headings that are understood without a mapping (English and Chinese), and
the rows.
Rules: one amount column; a giver, a receiver or both, and the public pool 公共时间池 stands for
the one that is missing; a row with a reference is booked once per reference, one without once per
content and occurrence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from ledger.imports.movements import (
    POOL,
    POOL_WORDS,
    CellError,
    Movement,
    digest_of,
    holder_of,
    integer_of,
    memo_of,
    micro_minutes_of_hours,
    time_of,
    whole_minutes,
)
from timebank.errors import Reason, TimebankError

_SPELLINGS = {
    "from": "from source payer giver 转出 转出方 转出人 转出账户 付出方 支付方",
    "to": "to destination receiver holder volunteer 转入 转入方 转入人 转入账户 收入方 接收方 "
    "志愿者 志愿者编号",
    "amount_minutes": "amount_minutes minutes 分钟 分钟数 时长(分钟) 时长(分) "
    "服务时长(分钟) 金额(分钟)",
    "amount_hours": "amount_hours hours 小时 小时数 时长(小时) 服务时长(小时) 金额(小时)",
    "amount_seconds": "amount_seconds seconds 秒 秒数 时长(秒) 服务时长(秒)",
    "time": "time date created_at 日期 时间 服务日期 服务时间 发生时间 发生日期",
    "reason": "reason memo note 备注 事由 说明 摘要 服务内容",
    "reference": "reference id number 编号 单号 流水号 凭证号 记录编号 序号",
}
HEADINGS = {meaning: frozenset(words.split()) for meaning, words in _SPELLINGS.items()}
"""Meaning -> the headings that have it without being mapped."""
ALIASES = {"holder": "to"}
"""Meanings that may be written another way in a mapping."""
AMOUNTS = ("amount_minutes", "amount_hours", "amount_seconds")
MICRO = 1_000_000
SECONDS_PER_MINUTE = 60
COLUMNS_MAX = 200


def parse_mapping(text: str) -> dict[str, str]:
    """Reads a mapping such as `志愿者=to,时长=amount_minutes` into heading -> meaning.

    Raises VALIDATION_FAILED for a meaning that does not exist.
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.replace("，", ",").split(","))):
        heading, sign, meaning = (piece.strip() for piece in part.rpartition("="))
        meaning = ALIASES.get(meaning.lower(), meaning.lower())
        if not sign or not heading or meaning not in HEADINGS:
            raise _refusal(f"--map {part[:80]!r}: expected HEADING=MEANING; {_meanings()}", "map")
        mapping[_normal(heading)] = meaning
    return mapping


class MappedRows:
    """Reads the rows of one file with a heading."""

    heading = True

    def __init__(
        self,
        first_row: Sequence[str],
        *,
        mapping: Mapping[str, str],
        source: str,
        zone: tzinfo,
        now: datetime,
    ) -> None:
        """Takes the heading. `source` names the other system in keys. Raises VALIDATION_FAILED
        when it does not fit.
        """
        self.key_prefix = source
        self._zone = zone
        self._now = now
        self._width = len(first_row)
        self._names = [cell.strip() for cell in first_row]
        self._positions = _positions(self._names, mapping)
        self._amount = next(amount for amount in AMOUNTS if amount in self._positions)

    def movement(self, number: int, cells: Sequence[str]) -> Movement | None:
        """Reads a row; None: it moves nothing (amount 0). Raises CellError when a cell breaks its
        rule.
        """
        if len(cells) != self._width:
            raise CellError(
                "row",
                f"expected {self._width} columns, got {len(cells)}",
                "quote cells that contain the delimiter or a line break",
            )
        minutes = self._minutes(cells)
        if not minutes:
            return None
        source, destination = self._holder("from", cells), self._holder("to", cells)
        if source == destination:
            raise CellError(self._name("to"), "is the giver itself", "name another receiver")
        effective = time_of(
            self._cell("time", cells), self._name("time"), zone=self._zone, now=self._now
        )
        memo = memo_of(self._cell("reason", cells), self._name("reason"))
        digest = digest_of(source, destination, minutes, effective, memo)
        reference = self._cell("reference", cells).strip()
        return Movement(
            number, source, destination, minutes, effective, memo, "", digest, reference
        )

    def _minutes(self, cells: Sequence[str]) -> int:
        text, name = self._cell(self._amount, cells), self._name(self._amount)
        if self._amount == "amount_hours":
            return whole_minutes(micro_minutes_of_hours(text, name), MICRO, name, text)
        if self._amount == "amount_seconds":
            return whole_minutes(integer_of(text, name, "seconds"), SECONDS_PER_MINUTE, name, text)
        return whole_minutes(integer_of(text, name, "minutes"), 1, name, text)

    def _holder(self, meaning: str, cells: Sequence[str]) -> str:
        if meaning not in self._positions:
            return POOL
        text = self._cell(meaning, cells)
        return (
            POOL if text.strip().lower() in POOL_WORDS else holder_of("", text, self._name(meaning))
        )

    def _cell(self, meaning: str, cells: Sequence[str]) -> str:
        position = self._positions.get(meaning)
        return "" if position is None else cells[position]

    def _name(self, meaning: str) -> str:
        position = self._positions.get(meaning)
        return meaning if position is None else self._names[position]


def _positions(names: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Finds the column of each meaning: mapped headings first, then those understood by
    themselves.
    """
    if len(names) > COLUMNS_MAX:
        raise _refusal(f"the heading has {len(names)} columns, at most {COLUMNS_MAX}", "heading")
    normal = [_normal(name) for name in names]
    unknown = [heading for heading in mapping if heading not in normal]
    if unknown:
        raise _refusal(f"--map: no column {unknown[0]!r} among {', '.join(names)}"[:400], "map")
    positions: dict[str, int] = {}
    for position, name in enumerate(normal):
        meaning = mapping.get(name) or _understood(name)
        if meaning is None or (name not in mapping and meaning in mapping.values()):
            continue
        if meaning in positions:
            first = names[positions[meaning]]
            raise _refusal(
                f"columns {first!r} and {names[position]!r} both mean {meaning}; "
                "say with --map which one counts",
                "heading",
            )
        positions[meaning] = position
    _check_complete(positions, names)
    return positions


def _check_complete(positions: Mapping[str, int], names: Sequence[str]) -> None:
    amounts = [amount for amount in AMOUNTS if amount in positions]
    shown = ", ".join(names)[:200]
    if len(amounts) != 1:
        raise _refusal(
            f"expected one amount column, found {len(amounts)} among {shown}; "
            'name it, e.g. --map "时长=amount_minutes"',
            "heading",
        )
    if "from" not in positions and "to" not in positions:
        raise _refusal(
            f'expected a giver or a receiver among {shown}; name one, e.g. --map "志愿者=to"',
            "heading",
        )


def _understood(name: str) -> str | None:
    return next((meaning for meaning, known in HEADINGS.items() if name in known), None)


def _normal(heading: str) -> str:
    """Makes headings comparable: no spaces, small letters, half-width brackets."""
    return "".join(heading.lower().split()).replace("（", "(").replace("）", ")")


def _meanings() -> str:
    return f"meanings are {', '.join((*HEADINGS, *ALIASES))}"


def _refusal(message: str, field: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message, field=field)
