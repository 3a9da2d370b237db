"""A site: ledger and merchant service in one process, or apart with a database each.

Owns: their folders and databases, which outlive the servers, so that a site can be stopped, filled
and started again. Refuses: what is asked of the servers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from timebank.bench.servers import (
    LEDGER_SERVICE,
    MERCHANT_SERVICE,
    Server,
    Setting,
    running_server,
)


class Pair(NamedTuple):
    """The servers of ledger and merchant service; one and the same when they are together."""

    ledger: Server
    merchant: Server

    @property
    def servers(self) -> tuple[Server, ...]:
        """Gives each server once."""
        return (self.ledger,) if self.ledger is self.merchant else (self.ledger, self.merchant)


@dataclass(frozen=True, slots=True)
class Site:
    """Folders of a site's servers and what each is to be, the merchant service's last."""

    parts: tuple[tuple[Path, Setting], ...]

    @classmethod
    async def prepare(
        cls,
        folder: Path,
        name: str,
        *,
        apart: bool,
        add_database: Callable[[str], Awaitable[str | None]],
    ) -> Self:
        """Makes empty folders below one, and databases, for a site of a name that is new there."""
        groups = ((LEDGER_SERVICE,), (MERCHANT_SERVICE,))
        parts = []
        for services in groups if apart else ((LEDGER_SERVICE, MERCHANT_SERVICE),):
            own = "_".join((name, *services))
            setting = Setting(services=services, database_url=await add_database(own))
            (folder / own).mkdir()
            parts.append((folder / own, setting))
        return cls(tuple(parts))

    @property
    def merchant_config(self) -> Path:
        """Gives the configuration with which the merchant service ran last."""
        return self.parts[-1][0] / "timebank.toml"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Pair]:
        """Runs the servers until the block ends. Raises DATABASE_UNAVAILABLE."""
        async with AsyncExitStack() as running:
            servers: list[Server] = []
            for folder, setting in self.parts:
                address = servers[0].address if servers else ""
                placed = dataclasses.replace(setting, ledger_address=address)
                servers.append(await running.enter_async_context(running_server(folder, placed)))
            yield Pair(servers[0], servers[-1])
