"""A stand: one database with a server on it, ready to be measured.

Owns: what cases need of a server, made when the first case needs it. Rules: after each case that
writes, the log must have grown by exactly what was acknowledged, and the audit must pass.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from timebank.bench.audits import audit
from timebank.bench.city import City, build_city
from timebank.bench.driver import Measured, measure
from timebank.bench.plans import LoadPlan
from timebank.bench.postgres import Postgres, running_postgres
from timebank.bench.servers import ORIGIN, Server, Setting, running_server
from timebank.bench.shops import Shop
from timebank.bench.sites import Site
from timebank.bench.volunteers import Volunteers
from timebank.client import LedgerClient

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
DATABASES = (SQLITE, POSTGRESQL)
Tell = Callable[[str], None]


class Stand:
    """A server on one database, and its city."""

    def __init__(
        self,
        *,
        database: str,
        folder: Path,
        server: Server,
        postgres: Postgres | None,
        seconds: float,
        tell: Tell,
    ) -> None:
        """Takes the parts; `tell` shows a person what goes on."""
        self.database = database
        self.folder = folder
        self.server = server
        self.database_id = postgres.process_id if postgres else None
        self._postgres = postgres
        self.seconds = seconds
        self.tell = tell
        self._city: City | None = None
        self.volunteers: Volunteers | None = None
        self.shop: Shop | None = None

    async def city(self) -> City:
        """Gives the city; builds it the first time."""
        if self._city is None:
            self._city = await build_city(
                self.server.address,
                ORIGIN,
                lambda done, total: self.tell(f"building the city: {done:,} of {total:,}"),
            )
        return self._city

    async def log_size(self, ledger: str) -> int:
        """Gives the number of entries in the log of a ledger."""
        async with LedgerClient.connect(self.server.address, ledger=ledger) as client:
            return (await client.checkpoint()).size

    async def site(self, name: str, *, apart: bool) -> Site:
        """Makes an empty site of other servers on databases of their own."""
        return await Site.prepare(self.folder, name, apart=apart, add_database=self._add_database)

    async def _add_database(self, name: str) -> str | None:
        """Makes an empty database and gives its url; None: SQLite."""
        if self._postgres is None:
            return None
        return await asyncio.to_thread(self._postgres.add_database, name)

    async def audit(self, ledger: str, servers: Sequence[Server] = ()) -> bool | None:
        """Audits what the server, or other ones, have of a ledger; None when this version has no
        audit.
        """
        log = self.folder / "audit.log"
        found = [await audit(one.config, ledger, log) for one in servers or (self.server,)]
        return None if None in found else all(found)

    async def measure(
        self, plan: LoadPlan, *, servers: Sequence[Server] = (), uses_database: bool = True
    ) -> Measured:
        """Runs a load against the server, or other ones."""
        return await measure(
            plan,
            server_ids=[server.process.id for server in servers or (self.server,)],
            database_id=self.database_id if uses_database else None,
        )


@asynccontextmanager
async def standing(
    database: str, folder: Path, *, seconds: float, tell: Tell
) -> AsyncIterator[Stand]:
    """Starts database and server in an empty folder until the block ends."""
    async with AsyncExitStack() as running:
        tell("starting the server")
        postgres = None
        if database == POSTGRESQL:
            # Beside the folder, not in it: PostgreSQL may run as a user who must not see the keys.
            cluster = running.enter_context(
                TemporaryDirectory(prefix="timebank-bench-postgresql-", dir=folder.parent)
            )
            postgres = running.enter_context(running_postgres(Path(cluster)))
        setting = Setting(database_url=postgres.url if postgres else None)
        server = await running.enter_async_context(running_server(folder, setting))
        yield Stand(
            database=database,
            folder=folder,
            server=server,
            postgres=postgres,
            seconds=seconds,
            tell=tell,
        )
