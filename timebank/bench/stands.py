"""A stand: one database with a server on it, ready to be measured.

Owns: what cases need of a server, made when the first case needs it. Rules: after each case that
writes, the log must have grown by exactly what was acknowledged, and the audit must pass.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from timebank.bench.audits import audit
from timebank.bench.city import City, build_city
from timebank.bench.driver import Measured, measure
from timebank.bench.plans import LoadPlan
from timebank.bench.postgres import running_postgres
from timebank.bench.servers import ORIGIN, Server, running_server
from timebank.bench.shops import Shop
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
        database_id: int | None,
        seconds: float,
        tell: Tell,
    ) -> None:
        """Takes the parts; `tell` shows a person what goes on."""
        self.database = database
        self.folder = folder
        self.server = server
        self.database_id = database_id
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

    async def audit(self, ledger: str) -> bool | None:
        """Audits a ledger; None when this version has no audit."""
        return await audit(self.server.config, ledger, self.folder / "audit.log")

    async def measure(self, plan: LoadPlan, *, server: Server | None = None) -> Measured:
        """Runs a load against the server, or another one."""
        return await measure(
            plan,
            server_id=(server or self.server).process.id,
            database_id=None if server else self.database_id,
        )


@asynccontextmanager
async def standing(
    database: str, folder: Path, *, seconds: float, tell: Tell
) -> AsyncIterator[Stand]:
    """Starts database and server in an empty folder until the block ends."""
    async with AsyncExitStack() as running:
        tell("starting the server")
        url, database_id = None, None
        if database == POSTGRESQL:
            # Beside the folder, not in it: PostgreSQL may run as a user who must not see the keys.
            cluster = running.enter_context(
                TemporaryDirectory(prefix="timebank-bench-postgresql-", dir=folder.parent)
            )
            postgres = running.enter_context(running_postgres(Path(cluster)))
            url, database_id = postgres.url, postgres.process_id
        server = await running.enter_async_context(running_server(folder, url))
        yield Stand(
            database=database,
            folder=folder,
            server=server,
            database_id=database_id,
            seconds=seconds,
            tell=tell,
        )
