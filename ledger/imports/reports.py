"""What a person reads about an import: the broken rows and the sums.

Owns: the table of errors, the CSV of errors, the summary. Refuses: deciding what is an error.
Rules: the table shows the first rows only; the CSV file has all of them; the count is always true.
"""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.table import Table
from rich.text import Text

from ledger.imports.movements import RowError
from timebank.errors import Reason, TimebankError

if TYPE_CHECKING:
    from _csv import Writer
    from io import TextIOWrapper

    from ledger.imports.booking import BookingCount
    from ledger.imports.history import Survey

ERRORS_SHOWN_MAX = 20
MINUTES_PER_HOUR = 60
HEADING = ("row", "column", "problem", "advice")


class ErrorLog:
    """Counts row errors, keeps the first, and writes all of them to a CSV file when one is
    given.
    """

    def __init__(self, path: Path | None) -> None:
        self.count = 0
        self.first: list[RowError] = []
        self._path = path
        self._file: TextIOWrapper | None = None
        self._writer: Writer | None = None

    def __enter__(self) -> Self:
        """Creates the file. Raises VALIDATION_FAILED when that is not possible."""
        if self._path is not None:
            try:
                self._file = self._path.open("w", encoding="utf-8-sig", newline="")
            except OSError as error:
                raise self._unwritable(error) from error
            self._writer = csv.writer(self._file)
            self._writer.writerow(HEADING)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file. Raises VALIDATION_FAILED when the disk is full."""
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as failure:
            if error is None:
                raise self._unwritable(failure) from failure

    def add(self, error: RowError) -> None:
        """Takes one error. Raises VALIDATION_FAILED when the file cannot be written any more."""
        self.count += 1
        if len(self.first) < ERRORS_SHOWN_MAX:
            self.first.append(error)
        if self._writer is None:
            return
        try:
            self._writer.writerow(error)
        except OSError as failure:
            raise self._unwritable(failure) from failure

    def _unwritable(self, error: OSError) -> TimebankError:
        return TimebankError(
            Reason.VALIDATION_FAILED,
            f"--errors {self._path}: {error.strerror}; give a file that can be written",
            file=str(self._path),
        )

    def table(self) -> Table:
        """Gives the table of the first errors."""
        title = f"Rows not imported 未导入的行: {self.count:,}"
        if self.count > len(self.first):
            title += f" (the first {len(self.first)}; --errors FILE gets all 全部写入文件)"
        table = Table(title=title, title_justify="left")
        table.add_column("Row 行", justify="right")
        table.add_column("Column 列")
        table.add_column("Problem 问题", overflow="fold")
        table.add_column("What to do 处理办法", overflow="fold")
        for error in sorted(self.first):
            cells = (error.column, error.problem, error.advice)
            table.add_row(str(error.number), *(Text(_visible(cell)) for cell in cells))
        return table


def summary(survey: Survey, count: BookingCount, *, errors: int, dry_run: bool) -> Table:
    """Gives the table of sums."""
    table = Table(title="Dry run 试运行: nothing was written" if dry_run else "Import 导入结果")
    table.title_justify = "left"
    table.add_column("What 项目")
    table.add_column("Rows 行数", justify="right")
    booked = "would be booked 将导入" if dry_run else "booked now 本次导入"
    lines = [("read 读取", survey.rows), (booked, count.booked)]
    if count.replayed:
        lines.append(("booked before, left alone 此前已导入", count.replayed))
    if count.repeated:
        lines.append(("reference said before, left alone 编号重复", count.repeated))
    if survey.zero_rows:
        lines.append(("moved nothing, skipped 零时长，已跳过", survey.zero_rows))
    lines.append(("not imported, see above 未导入", errors))
    for label, rows in lines:
        table.add_row(label, f"{rows:,}")
    return table


def advice(survey: Survey, min_balance: int, *, dry_run: bool) -> list[str]:
    """Says which --min-balance would let every row pass, unless the given one does, and in a dry
    run what the public pool must hold.
    """
    balances = survey.balances
    lines = []
    where = balances.lowest_at
    if where is not None and balances.lowest < min_balance:
        lines.append(
            f"In the order of the file {_visible(where.source)} falls to {balances.lowest:,} "
            f"minutes at row {where.number:,}: --min-balance {balances.lowest} would take "
            "every row."
        )
    if dry_run and balances.pool_lowest:
        lines.append(
            f"The public time pool 公共时间池 must hold {-balances.pool_lowest:,} minutes to give "
            "what the file says: fill it first, e.g. by `timebank post --kind OPENING_BALANCE`."
        )
    return lines


def _visible(text: str) -> str:
    """Replaces control characters and lone surrogates, which terminals and files cannot show."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
