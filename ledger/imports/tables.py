"""Tables of text as people export them: CSV in UTF-8 or GB18030, cut by comma, semicolon or tab.

Owns: finding out encoding and delimiter, and streaming rows in bounded memory. Refuses: what the
cells mean.
Rules: a file that is no table at all is refused with one line before anything else happens; a row
that cannot be read (bad quotes, undecodable bytes) is handed on as a broken row, so that the rest
of the file still counts.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from timebank.errors import Reason, TimebankError

CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 1 << 20
"""A line longer than this is no table of movements."""
FIELD_CHARACTERS_MAX = 100_000
"""Longest cell; a quote that is never closed stops here."""
DELIMITERS = ",;\t"
_HEAD_BYTES = 65_536
_UNDECODED = re.compile("[\ud800-\udfff]")
_UNCLEAN = re.compile("[\0\ud800-\udfff]")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or zip archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls)",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
}


class TableFormat(NamedTuple):
    """How a file is written. `size_bytes` is what a progress bar counts."""

    encoding: str
    delimiter: str
    size_bytes: int


class Row(NamedTuple):
    """One record of a file. `number` counts records from 1 as a spreadsheet does, heading
    included; `line` is the line of text on which it ends. `problem` says why a broken row could
    not be read; its cells are empty then.
    """

    number: int
    line: int
    cells: list[str]
    problem: str = ""


Advance = Callable[[int], None]
"""Told the position in bytes now and then."""


def inspect(path: Path, *, encoding: str | None = None) -> TableFormat:
    """Reads a whole file once to learn its encoding and delimiter.

    Raises VALIDATION_FAILED when it is missing, unreadable, empty, no text, or has a line beyond 1
    MiB.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            size = path.stat().st_size
            _refuse_foreign(path, head)
            file.seek(0)
            found = _bom_encoding(head) or encoding or _scan(file.read, path)
        _check_encoding(found)
        with _open(path, found) as text:
            first = text.readline(_HEAD_BYTES)
    except OSError as error:
        problem = error.strerror or "cannot be read"
        raise _refusal(path, f"{problem}; give a file that exists and can be read") from error
    except UnicodeError as error:
        raise _refusal(path, f"is not text in {found}; save it as UTF-8") from error
    return TableFormat(found, _sniff(first), size)


def rows(path: Path, table: TableFormat, *, advance: Advance | None = None) -> Iterator[Row]:
    """Streams the rows of a file, broken ones included; blank rows are left out but counted.

    Raises VALIDATION_FAILED when the file vanishes or stops being readable meanwhile.
    """
    previous = csv.field_size_limit(FIELD_CHARACTERS_MAX)
    try:
        with _open(path, table.encoding) as text:
            yield from _records(text, table, advance)
    except OSError as error:
        raise _refusal(path, error.strerror or "cannot be read") from error
    except UnicodeError as error:
        raise _refusal(path, f"is not text in {table.encoding}; save it as UTF-8") from error
    finally:
        csv.field_size_limit(previous)


def _records(text: TextIO, table: TableFormat, advance: Advance | None) -> Iterator[Row]:
    reader = csv.reader(text, delimiter=table.delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, reader.line_num, [], f"{error}: check the quotes of the row")
            continue
        if advance is not None and not number & 1023:
            advance(text.buffer.tell())
        if not cells:
            continue
        if not _is_clean(cells):
            yield Row(number, reader.line_num, [], f"bytes that are not {table.encoding}")
            continue
        yield Row(number, reader.line_num, cells)


def _is_clean(cells: list[str]) -> bool:
    """Says whether every byte was text: undecodable ones were read as lone surrogates."""
    return _UNCLEAN.search("".join(cells)) is None


def _open(path: Path, encoding: str) -> TextIO:
    return path.open(encoding=encoding, errors="surrogateescape", newline="")


def _bom_encoding(head: bytes) -> str | None:
    return next((name for bom, name in _BOMS if head.startswith(bom)), None)


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"encoding: expected a name such as utf-8 or gb18030, got {name[:40]!r}",
            field="encoding",
        ) from error


def _scan(read: Callable[[int], bytes], path: Path) -> str:
    """Tells UTF-8 from GB18030 by the whole file: strict UTF-8 wins; damaged UTF-8 is still UTF-8
    when more of its letters are sound than broken, for GB18030 text hardly ever makes sound UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    sound = broken = line_bytes = 0
    while chunk := read(CHUNK_BYTES):
        newline = chunk.rfind(b"\n") if b"\n" in chunk else chunk.rfind(b"\r")
        line_bytes = line_bytes + len(chunk) if newline < 0 else len(chunk) - newline
        if line_bytes > LINE_BYTES_MAX:
            raise _refusal(path, "has a line of over 1 MiB: that is no CSV file of movements")
        letters = decoder.decode(chunk)
        if not letters.isascii():
            bad = len(_UNDECODED.findall(letters))
            broken += bad
            sound += len(letters) - len(letters.encode("ascii", "ignore")) - bad
    return "utf-8" if sound > broken or not broken else "gb18030"


def _refuse_foreign(path: Path, head: bytes) -> None:
    if not head.strip():
        raise _refusal(path, "is empty; export the movements again")
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise _refusal(path, f"is {name}; save it as CSV (UTF-8) and import that")
    if not _bom_encoding(head) and head.count(0) * 4 > len(head):
        raise _refusal(path, "is no text; save it as CSV (UTF-8) and import that")


def _sniff(line: str) -> str:
    """Takes the delimiter that cuts the first line into most cells."""
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def _refusal(path: Path, problem: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, f"{path}: {problem}", file=str(path))
