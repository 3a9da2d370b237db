"""Clocks: the system's, and one that a test moves by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_us(self) -> int:
        """Gives microseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_us(self) -> int:
        """Gives microseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1000


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Gives microseconds since 1970-01-01T00:00:00Z."""
        return self._now_us

    def advance(self, *, seconds: int = 0, us: int = 0) -> None:
        """Moves the clock, backwards with negative amounts."""
        self._now_us += seconds * 1_000_000 + us
