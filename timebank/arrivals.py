"""Letting requests arrive before a batch of them is taken.

Requests come in one by one, each after some passes of the event loop, so that whoever takes what is
there makes many small batches of what can be one, and pays a commit for each.
"""

import asyncio
import time
from collections.abc import Callable

QUIET_S = 0.0005
"""Seconds without anything to do for the event loop after which nothing more is on its way."""
PASS_S = 0.0001
"""A pass of the event loop that took longer did something."""
GATHER_S = 0.050
"""Seconds that requests wait at most."""


async def let_arrive(waiting: Callable[[], int], *, enough: int) -> None:
    """Returns when `enough` requests wait, when the event loop has had nothing to do for QUIET_S,
    or after GATHER_S. A busy loop makes large batches, an idle one loses no time.
    """
    now_s = idle_s = time.monotonic()
    end_s = now_s + GATHER_S
    while waiting() < enough and now_s < end_s and now_s - idle_s < QUIET_S:
        before_s = now_s
        await asyncio.sleep(0)
        now_s = time.monotonic()
        if now_s - before_s > PASS_S:
            idle_s = now_s
