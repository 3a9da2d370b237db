"""Shared look-ups: what is asked while a look-up is under way goes with the next one, so each
answer reflects everything committed before it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

V = TypeVar("V")
KEYS_MAX = 1_000


class SharedLookup(Generic[V]):
    """Look-ups by one key, many callers at once; `load` gives what it finds by key."""

    def __init__(self, load: Callable[[list[str]], Awaitable[dict[str, V]]]) -> None:
        self._load = load
        self._waiting: dict[str, asyncio.Future[V | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def find(self, key: str) -> V | None:
        """Finds what there is of a key."""
        future = self._waiting.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        try:
            await self._answer()
        finally:
            self._running = None

    async def _answer(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:KEYS_MAX]
            futures = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._load(keys)
            except Exception as error:  # noqa: BLE001  # whatever fails must reach who asked
                for future in futures.values():
                    future.set_exception(error)
                continue
            for key, future in futures.items():
                future.set_result(found.get(key))
