"""Pages of lists: sizes, and opaque tokens tied to the arguments of their list (AIP-158).

Owns: how large a page is and how a token is written. Refuses: what a position means, which each
list decides.
Rules: a token holds no secret and gives no right: it says where a list goes on, and its digest only
finds what was mixed up or damaged.
"""

import base64
import hashlib

from timebank.errors import Reason, TimebankError

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000
TOKEN_LENGTH_MAX = 1_000
_DIGEST_BYTES = 12


def page_size_of(requested: int) -> int:
    """Gives how many rows a page has: the default for 0, at most 1,000.

    Raises VALIDATION_FAILED for a negative size.
    """
    if requested < 0:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"page_size: expected 0 or more, got {requested}",
            violations=[("page_size", "expected 0 or more")],
            field="page_size",
        )
    return min(requested or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def page_token(position: str, *arguments: object) -> str:
    """Writes the token of the page after a position, tied to the arguments of the list."""
    data = _digest(position, arguments) + position.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def page_position(token: str, *arguments: object) -> str:
    """Reads the position out of a token; empty for the first page.

    Raises PAGE_TOKEN_MISMATCH for a token of another list or of none.
    """
    if not token:
        return ""
    try:
        if len(token) > TOKEN_LENGTH_MAX:
            raise ValueError("too long")
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = data[_DIGEST_BYTES:].decode()
    except ValueError:
        data, position = b"", ""
    good = bool(position) and position.isprintable()
    if not good or data[:_DIGEST_BYTES] != _digest(position, arguments):
        raise _mismatch()
    return position


def page_number(token: str, *arguments: object, first: int = 0) -> int:
    """Reads a position that is a number out of a token; `first` for the first page.

    Raises PAGE_TOKEN_MISMATCH as `page_position`, also for a position that is none.
    """
    position = page_position(token, *arguments)
    if not position:
        return first
    if not (position.isascii() and position.isdigit()) or len(position) > 18:
        raise _mismatch()
    return int(position)


def _mismatch() -> TimebankError:
    return TimebankError(
        Reason.PAGE_TOKEN_MISMATCH,
        "page_token: expected the token of the previous page with all other fields unchanged;"
        " start again without a token",
        field="page_token",
    )


def _digest(position: str, arguments: tuple[object, ...]) -> bytes:
    return hashlib.sha256(repr((position, *arguments)).encode()).digest()[:_DIGEST_BYTES]
