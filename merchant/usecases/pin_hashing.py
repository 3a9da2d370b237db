"""Hashing PINs: how many at a time, and for whom.

Owns: the hasher (Argon2id, RFC 9106) and its threads. Refuses: knowing whose PIN it is, and
counting tries. Rules: a hash takes 64 MiB and keeps a core busy for a tenth of a second and more,
so few run at a time, in threads that nothing else waits for; the others wait in the order in which
they came. Who is refused, or goes away while waiting, has hashed nothing. The limits are those of
one process.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from timebank.errors import Reason, TimebankError

HASHES_OF_THREAD_MAX = 16
"""Hashes that wait or run for each thread: they take some seconds, and a till waits no longer."""
LANES = 1
"""Threads within a hash (RFC 9106, p): more would take cores that nobody counted."""
HASHES_OF_CALLER_MAX = 4
"""Those of one caller: enough for a shop that calls for several tills."""

T = TypeVar("T")


class PinHashing:
    """The hashing of one process; close it when the last call has ended."""

    def __init__(self, *, threads: int | None = None) -> None:
        """Takes how many hashes run at a time, from 1; None: one for two cores, at least one."""
        self._hasher = PasswordHasher(parallelism=LANES)
        count = threads or max(1, (os.cpu_count() or 1) // 2)
        self._hashes_max = HASHES_OF_THREAD_MAX * count
        self._executor = ThreadPoolExecutor(count, "pin-hashing")
        self._of_callers: Counter[str] = Counter()
        self._lock = threading.Lock()
        """Guards the counts: a hash ends in its own thread."""
        self._closing = False

    async def hash(self, pin: str, *, caller: str) -> str:
        """Gives the hash of a PIN, for `caller`, the person or till behind the call.

        Raises RATE_LIMITED at once when too many wait, SHUTTING_DOWN.
        """
        return await self._run(functools.partial(self._hasher.hash, pin), caller)

    async def matches(self, pin: str, *, pin_hash: str, caller: str) -> bool:
        """Says whether a PIN is the one of the hash, never of a text that is no hash.

        Raises RATE_LIMITED at once when too many wait, SHUTTING_DOWN.
        """
        try:
            return await self._run(functools.partial(self._hasher.verify, pin_hash, pin), caller)
        except (VerificationError, InvalidHashError):
            return False

    async def close(self) -> None:
        """Returns when no hash runs; those that wait are refused with SHUTTING_DOWN, as are those
        that come later.
        """
        self._closing = True
        await asyncio.to_thread(self._executor.shutdown)

    async def _run(self, work: Callable[[], T], caller: str) -> T:
        """Runs a piece of work in its turn; a caller that is cancelled before leaves the queue."""
        self._enter(caller)
        future = self._executor.submit(self._unless_closing, work)
        # What runs cannot be stopped: it counts until it ends, also when nobody waits for it.
        future.add_done_callback(functools.partial(self._leave, caller))
        return await asyncio.wrap_future(future)

    def _unless_closing(self, work: Callable[[], T]) -> T:
        if self._closing:
            raise _closed()
        return work()

    def _enter(self, caller: str) -> None:
        if self._closing:
            raise _closed()
        with self._lock:
            if self._of_callers[caller] >= HASHES_OF_CALLER_MAX:
                raise TimebankError(
                    Reason.RATE_LIMITED,
                    f"expected at most {HASHES_OF_CALLER_MAX} PINs of a caller at once, got more:"
                    " wait for an answer, then call again",
                )
            if self._of_callers.total() >= self._hashes_max:
                raise TimebankError(
                    Reason.RATE_LIMITED,
                    f"{self._hashes_max} PINs wait already: try again in a moment",
                )
            self._of_callers[caller] += 1

    def _leave(self, caller: str, _: Future[T]) -> None:
        with self._lock:
            self._of_callers[caller] -= 1
            if not self._of_callers[caller]:
                del self._of_callers[caller]


def _closed() -> TimebankError:
    return TimebankError(Reason.SHUTTING_DOWN, "the server is stopping: call again")
