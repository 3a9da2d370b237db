"""Lists that page by themselves.

Owns: page tokens. Rules: the next page is asked for only when the caller has used up the last one;
the empty token is the only end.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

PAGE_SIZE = 500

Item = TypeVar("Item")
Page = tuple[Iterable[Item], str]


async def pages(read: Callable[[str], Awaitable[Page[Item]]]) -> AsyncIterator[Item]:
    """Yields the items of every page; `read` takes a page token and gives items and the next."""
    token = ""
    while True:
        items, token = await read(token)
        for item in items:
            yield item
        if not token:
            return
