"""The two sides of a till in a terminal: the keyboard, and the loop on which the till works.

Owns: reading lines and secrets of a person or a pipe, and running work while a line is awaited.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import getpass
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

THREAD_END_S = 10.0

T = TypeVar("T")


class Background:
    """The event loop of the till, in a thread of its own: it works while the prompt waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="till", daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs work and waits for it; Ctrl-C gives it up."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, None]) -> concurrent.futures.Future[None]:
        """Starts work and does not wait."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Ends the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(THREAD_END_S)


class Keyboard:
    """Lines from a person or a pipe; the prompt is shown to a person only."""

    def __init__(self) -> None:
        self.is_person = sys.stdin.isatty()

    def line(self, prompt: str) -> str:
        """Reads a line. Raises EOFError at the end."""
        return input(prompt if self.is_person else "")

    def secret(self, prompt: str) -> str:
        """Reads a line without showing it. Raises EOFError at the end."""
        return getpass.getpass(prompt) if self.is_person else input()
