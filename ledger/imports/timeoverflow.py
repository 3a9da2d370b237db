"""Rows of TimeOverflow's transfers: who gave how many seconds to whom, when, and for which post.

Owns: the columns `source_id, source_type, destination_id, destination_type, amount, created_at,
reason, post_id`.
Rules: a file without a heading has these columns in this order, or the seven without `created_at`
that TimeOverflow itself imports; amounts are seconds; times without an offset are UTC, as its
database keeps them; each (type, id) is one account. TimeOverflow's organisation has an ordinary
account, which may be in debt, and so it is a member here, not the public pool.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter

from ledger.imports.movements import (
    CellError,
    Movement,
    cause_of,
    digest_of,
    holder_of,
    integer_of,
    memo_of,
    time_of,
    whole_minutes,
)
from timebank.errors import Reason, TimebankError

COLUMNS = (
    "source_id",
    "source_type",
    "destination_id",
    "destination_type",
    "amount",
    "created_at",
    "reason",
    "post_id",
)
OPTIONAL = frozenset({"created_at", "reason", "post_id"})
SECONDS_PER_MINUTE = 60
TYPES_CACHED_MAX = 64
_TYPE = re.compile(r"[A-Za-z]{1,20}")


class TimeOverflowRows:
    """Reads the rows of one file; `heading` says whether its first row names the columns."""

    key_prefix = "timeoverflow"

    def __init__(self, first_row: Sequence[str], *, now: datetime) -> None:
        """Takes the file's first row. Raises VALIDATION_FAILED when columns are missing or
        repeated.
        """
        self._now = now
        names = [cell.strip().lower() for cell in first_row]
        self.heading = any(name in COLUMNS for name in names)
        self._width = len(names)
        positions = _headed(names) if self.heading else _headless(names)
        self._pick = itemgetter(*positions)

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
        source_id, source_type, to_id, to_type, amount, created, reason, post = self._pick(
            (*cells, "")
        )
        seconds = integer_of(amount, "amount", "seconds")
        if not seconds:
            return None
        minutes = whole_minutes(seconds, SECONDS_PER_MINUTE, "amount", amount)
        source = holder_of(_prefix(source_type, "source_type"), source_id, "source_id")
        destination = holder_of(_prefix(to_type, "destination_type"), to_id, "destination_id")
        if source == destination:
            raise CellError("destination_id", "is the giver itself", "name another receiver")
        effective = time_of(created, "created_at", zone=UTC, now=self._now)
        memo = memo_of(reason, "reason")
        cause = cause_of("timeoverflow/posts/", post, "post_id")
        digest = digest_of(source, destination, seconds, effective, memo, cause)
        return Movement(number, source, destination, minutes, effective, memo, cause, digest)


@functools.lru_cache(maxsize=TYPES_CACHED_MAX)
def _prefix(type_text: str, column: str) -> str:
    kind = type_text.strip()
    if not _TYPE.fullmatch(kind):
        raise CellError(
            column,
            f"expected a type such as Member or Organization, got {kind[:40]!r}",
            "correct it",
        )
    return f"timeoverflow-{kind.lower()}-"


def _headed(names: Sequence[str]) -> list[int]:
    """Finds the columns by name; -1, the empty cell behind the last, for missing ones."""
    missing = [name for name in COLUMNS if name not in names and name not in OPTIONAL]
    repeated = [name for name in COLUMNS if names.count(name) > 1]
    if missing or repeated:
        problem = f"lacks {', '.join(missing)}" if missing else f"repeats {', '.join(repeated)}"
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"the heading {problem}; expected the columns {', '.join(COLUMNS)}",
            field="heading",
        )
    return [names.index(name) if name in names else -1 for name in COLUMNS]


def _headless(names: Sequence[str]) -> list[int]:
    if len(names) == len(COLUMNS):
        return list(range(len(COLUMNS)))
    if len(names) == len(COLUMNS) - 1:
        return [0, 1, 2, 3, 4, -1, 5, 6]
    raise TimebankError(
        Reason.VALIDATION_FAILED,
        f"the first row has {len(names)} cells; expected the columns {', '.join(COLUMNS)}",
        field="heading",
    )
