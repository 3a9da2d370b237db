"""Settings out of a TOML file, the environment and the command line, into a frozen model.

Owns: the order of sources, the names of environment variables, and how problems are worded.
Refuses: knowing any setting (see config.py).
Rules: the command line wins over the environment, the environment over the file, the file over the
default; a key that no setting has is a problem, in the environment too; all problems of the values
are told at once, with where each value came from.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from timebank.errors import Reason, TimebankError

PREFIX = "TIMEBANK_"
SEPARATOR = "__"
"""Stands between section and key: TIMEBANK_SERVER__WORKERS is `workers` of `[server]`."""
FILE_BYTES_MAX = 16_384
SHOWN_CHARACTERS_MAX = 60
INTEGER_SHOWN_MAX = 2**64
"""Python refuses to write very large numbers in decimal."""
NEARLY = 0.85
"""From this likeness on, a variable that is no setting is taken for a misspelt one."""

_INTEGER = re.compile(r"\s*-?\d{1,30}\s*")
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(slots=True)
class Settings:
    """Values by section and key, where each came from, and what was wrong on the way."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def put(self, key: str, value: object, origin: str) -> None:
        """Sets one value; `key` is `section.key`, or the key alone outside the sections."""
        section, dot, name = key.rpartition(".")
        target = self.values.setdefault(section, {}) if dot else self.values
        if isinstance(target, dict):
            target[name] = value
        self.origins[key] = origin

    def origin(self, key: str) -> str:
        """Says where the value of a key came from."""
        return self.origins.get(key, "default")


def read_settings(
    model: type[BaseModel],
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, object],
) -> Settings:
    """Reads all sources; `overrides` are the command line's, by `section.key`, None meaning not
    given.

    Raises: VALIDATION_FAILED when the file cannot be read or is no TOML.
    """
    settings = Settings()
    if path is not None:
        for key, value in _flat(_read_file(path)):
            settings.put(key, value, str(path))
    _read_environment(settings, known_keys(model), environment)
    for key, value in overrides.items():
        if value is not None:
            settings.put(key, value, "command line")
    return settings


def build(model: type[_Model], settings: Settings) -> _Model:
    """Makes the model of the settings.

    Raises: VALIDATION_FAILED with one violation a problem.
    """
    problems = list(settings.problems)
    try:
        built = model.model_validate(settings.values)
    except ValidationError as error:
        known = known_keys(model)
        problems += [_problem(details, known) for details in error.errors(include_url=False)]
    if not problems:
        return built
    lines = [
        f"{key} ({settings.origins[key]}): {text}" if key in settings.origins else f"{key}: {text}"
        for key, text in problems
    ]
    start = "configuration: " if len(lines) == 1 else f"configuration: {len(lines)} problems\n  "
    raise TimebankError(Reason.VALIDATION_FAILED, start + "\n  ".join(lines), violations=problems)


def known_keys(model: type[BaseModel]) -> dict[str, Any]:
    """Gives the type of every setting by `section.key`."""
    known: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            inner = info.annotation.model_fields.items()
            known.update({f"{name}.{key}": found.annotation for key, found in inner})
        else:
            known[name] = info.annotation
    return known


def variable(key: str) -> str:
    """Gives the environment variable of a setting."""
    return PREFIX + key.replace(".", SEPARATOR).upper()


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise _unusable(path, f"expected at most {FILE_BYTES_MAX} bytes, got more")
        return tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _unusable(path, f"expected TOML in UTF-8: {error}") from error
    except RecursionError as error:
        raise _unusable(path, "expected TOML, got tables or lists nested too deeply") from error


def _unusable(path: Path, what: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, f"configuration file {path}: {what}")


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the values of a document by `section.key`; an empty or deeper table as it is."""
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def _read_environment(
    settings: Settings, known: Mapping[str, Any], environment: Mapping[str, str]
) -> None:
    """Takes the variables that are settings; one that nearly is, is a problem."""
    keys = {variable(key): key for key in known}
    for name in sorted(environment):
        if not name.startswith(PREFIX):
            continue
        origin = f"environment {name}"
        if name in keys:
            key = keys[name]
            settings.put(key, _from_text(environment[name], known[key]), origin)
        elif near := _nearest(name, keys):
            settings.problems.append((name, f"unknown variable; did you mean {near}?"))
        elif SEPARATOR in name:
            settings.problems.append((name, "unknown variable; see `timebank config show`"))


def _from_text(text: str, annotation: object) -> object:
    """Reads a variable: whole numbers for numbers, commas between the items of a list."""
    if annotation is int and _INTEGER.fullmatch(text):
        return int(text)
    if get_origin(annotation) is tuple:
        return [item.strip() for item in text.split(",")]
    return text


def _nearest(name: str, variables: Mapping[str, str]) -> str | None:
    """Gives the variable that a misspelt one stands for, if there is one."""
    bare = {known.removeprefix(PREFIX): known for known in variables}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=NEARLY)
    return bare[near[0]] if near else None


def _problem(details: ErrorDetails, known: Mapping[str, Any]) -> tuple[str, str]:
    """Words one violation as (key, expected and got)."""
    key = ".".join(str(part) for part in details["loc"][:2])
    if details["type"] == "extra_forbidden":
        return key, _unknown(key, known)
    if details["type"] == "value_error":
        text = str(details["ctx"]["error"]) if "ctx" in details else details["msg"]
        if key in known:
            return key, text
        # A rule between values: its text starts with the key, as seen from its section.
        name, _, rule = text.partition(": ")
        return (f"{key}.{name}" if key else name), rule
    if details["type"] in ("model_type", "model_attributes_type"):
        return key, f"expected a section [{key}], got {_shown(details['input'])}"
    expected = details["msg"].replace("Input should be", "expected", 1)
    return key, f"{expected}, got {_shown(details['input'])}"


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    sections: Sequence[str] = sorted({name.partition(".")[0] for name in known})
    near = difflib.get_close_matches(key, [*known, *sections], n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    section = key.rpartition(".")[0]
    siblings = [name for name in known if section and name.startswith(f"{section}.")] or sections
    return f"unknown key; expected one of {', '.join(siblings)}"


def _shown(value: object) -> str:
    text = hex(value) if isinstance(value, int) and abs(value) > INTEGER_SHOWN_MAX else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "…"
