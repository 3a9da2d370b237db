"""Fixtures that every test may ask for: databases of both kinds and real server processes."""

import os
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

# Tests start programs while gRPC's threads run; its own fork handlers would get in their way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import pytest

from tests.support.builders_server import LocalServer, local_server
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.processes import ServerProcess, Settings

ServerFactory = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server a test process; a test may restart it, the next finds it running."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: pathlib.Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def postgresql_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database of the test's own."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database: the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def start_server(tmp_path: pathlib.Path) -> Iterator[ServerFactory]:
    """Starts server processes with the settings given; every one is gone after the test."""
    with ExitStack() as processes:
        count = 0

        def start(settings: Settings | None = None, *arguments: str) -> ServerProcess:
            nonlocal count
            count += 1
            folder = tmp_path / f"server-{count}"
            folder.mkdir()
            return processes.enter_context(ServerProcess(folder, settings or {}, *arguments))

        yield start


@pytest.fixture
async def server(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[LocalServer]:
    """The ledger's server in this event loop, on each database, with a key for ORIGIN."""
    async with local_server(tmp_path, settings={"database": {"url": database_url}}) as running:
        yield running
