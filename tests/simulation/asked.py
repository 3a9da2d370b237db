"""What a simulated caller asks: commands with accounts, holds and entries by number.

The reference model and the servers under test get the same values: the model works on the numbers,
the drivers turn them into the names that the server gave. A number that was never given stands for
something unknown.
"""

from typing import NamedTuple

NEVER = 2**63 - 1
LAST_HOLD = -1
"""The hold that was created earlier in the same chain."""
UNKNOWN = 999_999


class Leg(NamedTuple):
    """One leg of a movement; `expires_us` 0: never."""

    account: int
    unit: int
    amount: int
    expires_us: int = 0


class Post(NamedTuple):
    """A movement."""

    kind: int
    legs: tuple[Leg, ...]
    effective_us: int = 0
    natural_key: str = ""
    memo: str = ""


class Open(NamedTuple):
    """An account to open; `minimum` None leaves it to the kind of the account."""

    unit: int
    kind: int
    minimum: int | None = None
    maximum: int | None = None
    debt_limit: int = 0
    natural_key: str = ""


class Hold(NamedTuple):
    """An amount to reserve."""

    account: int
    kind: int
    unit: int
    amount: int
    expires_us: int
    service_us: int = 0
    natural_key: str = ""


class Capture(NamedTuple):
    """A payment out of a hold."""

    hold: int
    to_account: int
    amount: int
    final: bool
    kind: int
    expires_us: int = 0
    natural_key: str = ""


class Void(NamedTuple):
    """A hold to release."""

    hold: int


class Reverse(NamedTuple):
    """An entry to undo."""

    entry: int
    memo: str = ""


class Refund(NamedTuple):
    """An entry to give back in part."""

    entry: int
    amount: int
    natural_key: str = ""
    memo: str = ""


class Change(NamedTuple):
    """An account to freeze, unfreeze or close, by the kind of the entry; etag -1: no check."""

    kind: int
    account: int
    etag: int = -1


class Limits(NamedTuple):
    """Limits to replace."""

    account: int
    minimum: int | None
    maximum: int | None
    debt_limit: int
    etag: int = -1


class CloseOpening(NamedTuple):
    """The end of opening balances."""

    nothing: None = None


Command = Post | Open | Hold | Capture | Void | Reverse | Refund | Change | Limits | CloseOpening


class Request(NamedTuple):
    """A chain with its request id."""

    request_id: str
    commands: tuple[Command, ...]


class Result(NamedTuple):
    """What one command wrote; an index of -1 and a time of 0 were not told."""

    log_index: int = -1
    recorded_us: int = 0
    hold: str = ""
    account: str = ""


class Reply(NamedTuple):
    """The answer to a request: results, or the reason of a refusal."""

    reason: str = ""
    results: tuple[Result, ...] = ()
    replayed: bool = False
