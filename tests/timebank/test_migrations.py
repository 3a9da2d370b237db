"""Migrations: all or nothing, by one process at a time, and only of a database that is ours."""

import asyncio
import pathlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Literal

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank.config import DatabaseConfig
from timebank.database import Databases, open_databases
from timebank.errors import Reason, TimebankError
from timebank.migrations import (
    Version,
    migrate,
    prepare,
    read_versions,
    refuse_unfit,
)

ENVIRONMENT = """
from sqlalchemy import MetaData
from timebank.migrations import run_environment
run_environment(MetaData())
"""
SCRIPT = """
from alembic import op
revision = {revision!r}
down_revision = {previous!r}
def upgrade():
    op.execute({statement!r})
"""
FIRST = "CREATE TABLE {service}_things (name TEXT)"
SECOND = "ALTER TABLE {service}_things ADD COLUMN colour TEXT"

MakeService = Callable[..., str]


@pytest.fixture
def make_service(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeService]:
    """Makes importable services `<name>/migrations` with one script a statement."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name: str, *statements: str, minimum: str | None = None) -> str:
        versions = tmp_path / name / "migrations" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        made.append(name)
        (tmp_path / name / "__init__.py").write_text("")
        declared = f"MINIMUM_REVISION = {minimum!r}\n" if minimum else ""
        (versions.parent / "__init__.py").write_text(declared)
        (versions.parent / "env.py").write_text(ENVIRONMENT)
        previous = None
        for number, statement in enumerate(statements, start=1):
            revision = f"{name}_{number:04}"
            filled = statement.format(service=name)
            script = SCRIPT.format(revision=revision, previous=previous, statement=filled)
            (versions / f"{revision}.py").write_text(script)
            previous = revision
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)
        sys.modules.pop(f"{name}.migrations", None)


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[Databases]:
    opened = open_databases(DatabaseConfig(url=database_url))
    yield opened
    await opened.close()


async def columns(databases: Databases, table: str) -> list[str]:
    """The columns of a table; empty when there is none."""

    def read(connection: Connection) -> list[str]:
        found = inspect(connection)
        if not found.has_table(table):
            return []
        return [column["name"] for column in found.get_columns(table)]

    async with databases.reader.connect() as opened:
        return await opened.run_sync(read)


async def put_version(databases: Databases, service: str, revision: str) -> None:
    """Writes a revision, as another program would have."""
    statement = text(f"UPDATE alembic_version_{service} SET version_num = '{revision}'")
    if isinstance(databases.writer, AsyncEngine):
        async with databases.writer.begin() as opened:
            await opened.execute(statement)
        return
    with databases.writer.begin() as connection:
        connection.execute(statement)


async def test_an_empty_database_gets_every_step(
    databases: Databases, make_service: MakeService
) -> None:
    service = make_service("garden", FIRST, SECOND)
    [before] = await migrate(databases, [service])
    assert before == Version("garden", None, "garden_0002", "garden_0002")
    assert await columns(databases, "garden_things") == ["name", "colour"]
    [after] = await read_versions(databases, [service])
    assert after.current == "garden_0002"


async def test_a_database_behind_gets_the_steps_that_are_missing(
    databases: Databases, make_service: MakeService
) -> None:
    make_service("garden", FIRST)
    await migrate(databases, ["garden"])
    make_service("garden", FIRST, SECOND)
    [before] = await migrate(databases, ["garden"])
    assert before.current == "garden_0001"
    assert await columns(databases, "garden_things") == ["name", "colour"]


async def test_migrating_twice_changes_nothing(
    databases: Databases, make_service: MakeService
) -> None:
    service = make_service("garden", FIRST)
    await migrate(databases, [service])
    assert await migrate(databases, [service]) == await read_versions(databases, [service])


async def test_a_failed_step_leaves_no_trace_of_any_service(
    databases: Databases, make_service: MakeService
) -> None:
    services = [make_service("garden", FIRST), make_service("kitchen", FIRST, "SELEC 1")]
    with pytest.raises(Exception, match="SELEC"):
        await migrate(databases, services)
    assert await columns(databases, "garden_things") == []
    assert await columns(databases, "kitchen_things") == []
    assert [version.current for version in await read_versions(databases, services)] == [None, None]


async def test_services_in_one_database_have_versions_of_their_own(
    databases: Databases, make_service: MakeService
) -> None:
    await migrate(databases, [make_service("garden", FIRST)])
    services = ["garden", make_service("kitchen", FIRST, SECOND)]
    await migrate(databases, services)
    found = await read_versions(databases, services)
    assert [version.current for version in found] == ["garden_0001", "kitchen_0002"]


async def test_automatic_preparation_brings_the_tables_up_to_date(
    databases: Databases, make_service: MakeService
) -> None:
    service = make_service("garden", FIRST)
    await prepare(databases, [service], mode="auto")
    assert await columns(databases, "garden_things") == ["name"]


async def test_without_automatic_preparation_missing_tables_are_refused(
    databases: Databases, make_service: MakeService
) -> None:
    service = make_service("garden", FIRST)
    with pytest.raises(TimebankError, match="got none; run `timebank migrate`") as caught:
        await prepare(databases, [service], mode="never")
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    assert await columns(databases, "garden_things") == []


@pytest.mark.parametrize("mode", ["auto", "never"])
async def test_a_revision_that_the_program_does_not_know_is_refused_and_kept(
    databases: Databases, make_service: MakeService, mode: Literal["auto", "never"]
) -> None:
    service = make_service("garden", FIRST)
    await migrate(databases, [service])
    await put_version(databases, "garden", "garden_9999")
    for attempt in (prepare(databases, [service], mode=mode), migrate(databases, [service])):
        with pytest.raises(TimebankError, match="'garden_9999', which this program") as caught:
            await attempt
        assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    async with databases.reader.connect() as connection:
        kept = await connection.execute(text("SELECT version_num FROM alembic_version_garden"))
        assert kept.scalar_one() == "garden_9999"


async def test_tables_older_than_the_newest_but_not_than_the_minimum_will_do(
    databases: Databases, make_service: MakeService
) -> None:
    make_service("garden", FIRST, minimum="garden_0001")
    await migrate(databases, ["garden"])
    make_service("garden", FIRST, SECOND, minimum="garden_0001")
    await prepare(databases, ["garden"], mode="never")
    assert await columns(databases, "garden_things") == ["name"]


async def test_tables_older_than_the_minimum_are_refused(
    databases: Databases, make_service: MakeService
) -> None:
    make_service("garden", FIRST)
    await migrate(databases, ["garden"])
    make_service("garden", FIRST, SECOND)
    found = await read_versions(databases, ["garden"])
    with pytest.raises(TimebankError, match="at garden_0002 or later, got garden_0001"):
        refuse_unfit(found)


@pytest.mark.postgresql
async def test_processes_that_migrate_at_once_do_each_step_once(
    postgresql_url: str, make_service: MakeService
) -> None:
    service = make_service("garden", FIRST, SECOND)
    opened = [open_databases(DatabaseConfig(url=postgresql_url)) for _ in range(4)]
    before = await asyncio.gather(*(migrate(each, [service]) for each in opened))
    found = [versions[0].current for versions in before]
    assert (found.count(None), found.count("garden_0002")) == (1, 3)
    assert await columns(opened[0], "garden_things") == ["name", "colour"]
    for each in opened:
        await each.close()


async def test_the_ledger_can_be_migrated(databases: Databases) -> None:
    await prepare(databases, ["ledger"], mode="auto")
    await prepare(databases, ["ledger"], mode="never")
    assert "leaf" in await columns(databases, "entries")
