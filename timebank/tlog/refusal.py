"""The one way the log's formats refuse: VALIDATION_FAILED with a sentence that says expected and
got.
"""

from __future__ import annotations

from typing import NoReturn

from timebank.errors import Reason, TimebankError


def refuse(message: str, *, cause: Exception | None = None) -> NoReturn:
    """Refuses an input.

    Raises: VALIDATION_FAILED, always; `cause` is the library error behind it.
    """
    raise TimebankError(Reason.VALIDATION_FAILED, message) from cause
