"""Tables of CSV out of bytes that anybody may have sent.

Owns: encoding, columns and records, and the limits on them. Refuses: what the cells say.
Rules: whatever the bytes are, the answer is a table or VALIDATION_FAILED. Sound UTF-8 is UTF-8;
other bytes are GB18030, unless as many lines beyond ASCII are sound as UTF-8 as are broken, for
GB18030 hardly ever makes sound UTF-8. A record that cannot be read (bad quotes, bytes that are no
text, too long) is a broken record, and reading goes on with the next line: a quote that is never
closed costs one record, not the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from timebank.errors import Reason, TimebankError

TABLE_BYTES_MAX = 32 * 1024 * 1024
ROWS_MAX = 200_000
LINES_MAX = 2 * ROWS_MAX
"""Most lines of text: blank ones, and those within quotes, count here but not as rows."""
LINE_BYTES_MAX = 20_000
"""Longest line; of a record in quotes that spans several, the most characters."""
_LINE_CHARACTERS_SURE = LINE_BYTES_MAX // 4
"""A line of so many characters is not too long, whatever they are."""
RECORD_LINES_MAX = 5
"""Most lines that one record in quotes may span."""
CELL_CHARACTERS_MAX = 200
"""Longest cell of a column that is read; others end with their line."""
COLUMNS_MAX = 200
_LINE_END = re.compile(b"\r\n|\n|\r")
_OPEN_QUOTE = "unexpected end of data"
"""What the csv module says when a quote is not closed yet."""
_NO_TEXT = f"expected at most {LINE_BYTES_MAX} bytes of UTF-8 or GB18030, got other bytes or more"


Record = tuple[int, list[str], str]
"""The number of a record, its cells, and why a broken one has none: very many are made."""


class Table:
    """A table whose heading was read: where its columns are, and its records."""

    def __init__(
        self, columns: dict[str, int], number: int, lines: list[str | None], start: int
    ) -> None:
        self.columns = columns
        self._number = number
        self._lines = lines
        self._start = start

    def cells_of(self, names: Sequence[str]) -> Callable[[list[str]], list[str]]:
        """Makes what takes the cells of columns that the heading has out of a record, without space
        around them; a cell that a record lacks is empty.
        """
        indexes = [self.columns[name] for name in names]
        last = max(indexes)

        def cells_of(cells: list[str]) -> list[str]:
            count = len(cells)
            if last < count:
                return [cells[index].strip() for index in indexes]
            return [cells[index].strip() if index < count else "" for index in indexes]

        return cells_of

    def records(self) -> Iterator[Record]:
        """Gives the records after the heading but blank ones.

        Raises VALIDATION_FAILED when there are more than 200,000.
        """
        used = tuple(self.columns.values())
        lines, at, number, count = self._lines, self._start, self._number, 0
        while at < len(lines):
            line, line_count, problem = lines[at], 1, ""
            if line is None or '"' in line:
                cells, line_count, problem = _record_at(lines, at)
                problem = problem or _cell_problem(cells, used)
            else:
                cells = line.split(",")
                if len(line) > CELL_CHARACTERS_MAX:
                    problem = _cell_problem(cells, used)
            at, number = at + line_count, number + 1
            if not problem and not any(cells):
                continue
            count += 1
            if count > ROWS_MAX:
                raise _refusal("file", f"expected at most {ROWS_MAX} rows, got more")
            yield number, [] if problem else cells, problem


def read_table(data: bytes, names: Mapping[str, str], *, required: Sequence[str]) -> Table:
    """Reads the heading of a CSV file; `names` gives the column that each name in it stands for.

    Raises VALIDATION_FAILED for more than 32 MiB or 400,000 lines, NUL bytes, and a heading that
    cannot be read, lacks a required column, has one twice, or has over 200.
    """
    lines = _decode(data)
    start = 0
    for number, record in enumerate(_split(lines, 0), start=1):
        if record.problem or any(record.cells):
            start += record.line_count
            return Table(_columns(record, names, required), number, lines, start)
        start += record.line_count
    raise _refusal("header", f"expected columns {', '.join(required)}, got an empty file")


class _Lines(NamedTuple):
    """The cells of one record, how many lines it took, and what is wrong with it."""

    cells: list[str]
    line_count: int
    problem: str = ""


def _decode(data: bytes) -> list[str | None]:
    """Makes lines of text of a file; None for one that is no text, or far too long."""
    if len(data) > TABLE_BYTES_MAX:
        raise _refusal("file", f"expected at most {TABLE_BYTES_MAX} bytes, got {len(data)}")
    if b"\0" in data:
        raise _refusal("file", "expected text in UTF-8 or GB18030, got NUL bytes; save it as CSV")
    line_count = data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
    if line_count > LINES_MAX:
        raise _refusal("file", f"expected at most {LINES_MAX} lines, got {line_count}")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_by_line(data)
    lines: list[str | None] = [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    if any(len(line or "") > _LINE_CHARACTERS_SURE for line in lines):
        return _decode_by_line(data)
    return lines


def _decode_by_line(data: bytes) -> list[str | None]:
    """Makes lines of a file of which not all is sound UTF-8, or that has long lines."""
    # No letter of either encoding holds the byte of a line end.
    cut = _LINE_END.split(data)
    lines = [_decode_line(line, "utf-8") for line in cut]
    broken = lines.count(None)
    if broken and broken > sum(line is not None and not line.isascii() for line in lines):
        lines = [_decode_line(line, "gb18030") for line in cut]
        lines[0] = lines[0] and lines[0].removeprefix("\ufeff")
    return lines


def _decode_line(line: bytes, encoding: str) -> str | None:
    if len(line) > LINE_BYTES_MAX:
        return None
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def _columns(record: _Lines, names: Mapping[str, str], required: Sequence[str]) -> dict[str, int]:
    """Finds the columns in the heading."""
    if record.problem:
        raise _refusal("header", f"expected columns {', '.join(required)}: {record.problem}")
    if len(record.cells) > COLUMNS_MAX:
        raise _refusal("header", f"expected at most {COLUMNS_MAX}, got {len(record.cells)}")
    columns: dict[str, int] = {}
    for index, cell in enumerate(record.cells):
        words = cell.strip().casefold().replace("-", " ").split()
        name = names.get("_".join(words))
        if name in columns:
            raise _refusal("header", f"expected one column {name}, got two: {cell.strip()[:40]!r}")
        if name is not None:
            columns[name] = index
    if missing := [name for name in required if name not in columns]:
        got = ", ".join(record.cells)[:100]
        raise _refusal("header", f"expected a column {' and '.join(missing)}, got {got!r}")
    return columns


def _split(lines: list[str | None], start: int) -> Iterator[_Lines]:
    """Cuts lines into records."""
    while start < len(lines):
        record = _record_at(lines, start)
        start += record.line_count
        yield record


def _record_at(lines: list[str | None], start: int) -> _Lines:
    line = lines[start]
    if line is not None and '"' not in line:
        return _Lines(line.split(","), 1)
    text, problem = "", _NO_TEXT
    for count, part in enumerate(lines[start : start + RECORD_LINES_MAX], start=1):
        if part is None or len(text) + len(part) > LINE_BYTES_MAX:
            break
        text += part
        try:
            return _Lines(next(csv.reader([text], strict=True)), count)
        except csv.Error as error:
            problem = f"expected CSV: {error}; check the quotes of the row"
            if _OPEN_QUOTE not in problem:
                break
        text += "\n"
    return _Lines([], 1, problem)


def _cell_problem(cells: list[str], used: tuple[int, ...]) -> str:
    """Says whether a cell that is read is too long."""
    for index in used:
        if index < len(cells) and len(cells[index]) > CELL_CHARACTERS_MAX:
            return f"expected at most {CELL_CHARACTERS_MAX} characters in cell {index + 1}"
    return ""


def _refusal(field: str, text: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )
