"""Policies 积分政策 of cities, as documents to start from: copy one, change it, check it.

Owns the files. Refuses to read them (see `ledger.domain.policy_text`).
"""

from __future__ import annotations

import difflib
import importlib.resources

from timebank.errors import Reason, TimebankError

_SUFFIX = ".json"


def preset_names() -> tuple[str, ...]:
    """Lists the presets by name."""
    files = importlib.resources.files(__name__).iterdir()
    return tuple(
        sorted(file.name.removesuffix(_SUFFIX) for file in files if file.name.endswith(_SUFFIX))
    )


def load_preset(name: str) -> str:
    """Gives the document of a preset. Raises VALIDATION_FAILED for an unknown name."""
    names = preset_names()
    if name not in names:
        near = difflib.get_close_matches(name[:40], names, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        raise TimebankError(
            Reason.VALIDATION_FAILED, f"no preset {name[:40]!r}; {hint}", field="name"
        )
    file = importlib.resources.files(__name__).joinpath(f"{name}{_SUFFIX}")
    return file.read_text(encoding="utf-8")
