"""The holiday files of China, one per year, after the State Council's yearly notice
国务院办公厅关于部分节假日安排的通知.

Owns: the shipped files and where an operator's own are read from. Refuses: what they mean (see
ledger.domain.working_days).
Rules: an operator's file of a year replaces the shipped one: notices are amended, as in spring
2020; a file is called by its year, `2027.json`.
"""

from __future__ import annotations

import importlib.resources
import re
from importlib.resources.abc import Traversable
from pathlib import Path

from ledger.domain.working_days import (
    FILE_CHARACTERS_MAX,
    FILES_MAX,
    Holidays,
    parse_holidays,
)
from timebank.errors import Reason, TimebankError

_FILE_NAME = re.compile(r"[0-9]{4}\.json")
_BYTES_MAX = 4 * FILE_CHARACTERS_MAX


def load_holidays(directory: Path | None = None) -> Holidays:
    """Reads the shipped holiday files, and those of a directory if one is given; other files there
    are left alone.

    Raises: VALIDATION_FAILED when a file cannot be read, is malformed, or is not called by its
    year.
    """
    texts = _read(importlib.resources.files("ledger.holidays"))
    if directory is not None:
        texts |= _read(directory)
    for name, text in texts.items():
        (year,) = _named(name, text).years
        if name != f"{year}.json":
            raise _refusal(name, f"expected the year of its name, got {year}")
    return parse_holidays(texts.values())


def _named(name: str, text: str) -> Holidays:
    """Parses one file and says of which one a refusal speaks."""
    try:
        return parse_holidays([text])
    except TimebankError as error:
        raise _refusal(name, error.message) from error


def _read(directory: Traversable) -> dict[str, str]:
    """Reads the holiday files of a directory by name."""
    texts: dict[str, str] = {}
    try:
        for file in directory.iterdir():
            if not _FILE_NAME.fullmatch(file.name):
                continue
            with file.open("rb") as opened:
                data = opened.read(_BYTES_MAX + 1)
            if len(data) > _BYTES_MAX or len(texts) >= FILES_MAX:
                raise _refusal(file.name, f"expected {FILES_MAX} files of {_BYTES_MAX} bytes")
            texts[file.name] = data.decode()
    except OSError as error:
        raise _refusal("holidays", f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _refusal("holidays", "expected UTF-8 text, got other bytes") from error
    return texts


def _refusal(name: str, text: str) -> TimebankError:
    message = f"{name}: {text}"
    return TimebankError(
        Reason.VALIDATION_FAILED, message, violations=[(name, text)], field="holidays"
    )
