"""Migrations: bringing the tables of each service up to date, and refusing a database that does
not fit.

Owns: running the scripts found in `<service>/migrations`, one version table a service. Refuses:
tables and scripts themselves, which belong to the services.
Rules: all steps of all services are one transaction, done by one process at a time; a revision that
the program does not know is refused, never guessed about; a service declares the oldest revision
that it runs on as `MINIMUM_REVISION` in its `migrations/__init__.py`.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from alembic import command, context
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank.database import DATABASE_ERRORS, Databases, translate_database_error
from timebank.errors import Reason, TimebankError

ALEMBIC_TABLE = "alembic_version"
"""What Alembic calls the version table of a program that does not choose a name."""
VERSION_TABLE_PREFIX = "alembic_version_"
ADVISORY_LOCK = 0x74696D6562616E6B
"""The number of the lock that is held on PostgreSQL while migrating; it spells `timebank`."""
LOCK_SECONDS_MAX = 60
_CONNECTION = "connection"
_VERSION_TABLE = "version_table"

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Version:
    """The revision of a service's tables; `current` is None when there are none yet."""

    service: str
    current: str | None
    newest: str
    minimum: str


async def prepare(
    databases: Databases, services: Sequence[str], *, mode: Literal["auto", "never"]
) -> None:
    """Makes sure that the tables of the services fit the program; `auto` brings them up to date.

    Raises: DATABASE_UNAVAILABLE when they do not fit or the database does not answer.
    """
    versions = await read_versions(databases, services)
    if mode == "auto" and any(version.current != version.newest for version in versions):
        await migrate(databases, services)
    else:
        refuse_unfit(versions)


async def read_versions(databases: Databases, services: Sequence[str]) -> list[Version]:
    """Reads which revision the tables of each service have.

    Raises: DATABASE_UNAVAILABLE for a revision that this program does not know, or no answer.
    """

    def read(connection: Connection) -> list[Version]:
        return [_version(connection, service) for service in services]

    try:
        async with databases.reader.connect() as opened:
            return await opened.run_sync(read)
    except DATABASE_ERRORS as error:
        raise translate_database_error(error) from error


async def migrate(databases: Databases, services: Sequence[str]) -> list[Version]:
    """Brings the tables of the services to their newest revision, all or none.

    Returns the versions from before. Raises: DATABASE_UNAVAILABLE for a revision that this program
    does not know, or no answer; READ_ONLY when the database takes no writes.
    """

    def run(connection: Connection) -> list[Version]:
        if databases.dialect == "postgresql":
            _take_advisory_lock(connection)
        versions = [_version(connection, service) for service in services]
        for version in versions:
            if version.current != version.newest:
                command.upgrade(_alembic(version.service, connection), version.newest)
        return versions

    return await _write(databases, run)


def refuse_unfit(versions: Sequence[Version]) -> None:
    """Raises: DATABASE_UNAVAILABLE when tables are missing or older than the program can use."""
    for version in versions:
        if version.current != version.newest:
            _refuse_before_minimum(version)


def run_environment(metadata: MetaData) -> None:
    """Does what an `env.py` is for: runs the scripts on the connection that `migrate` opened."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes[_CONNECTION],
        version_table=attributes[_VERSION_TABLE],
        target_metadata=metadata,
    )
    context.run_migrations()


async def _write(databases: Databases, work: Callable[[Connection], _Result]) -> _Result:
    """Does synchronous work in one transaction of the writer."""
    try:
        if isinstance(databases.writer, AsyncEngine):
            async with databases.writer.begin() as opened:
                return await opened.run_sync(work)
        with databases.writer.begin() as connection:
            return work(connection)
    except DATABASE_ERRORS as error:
        raise translate_database_error(error) from error


def _take_advisory_lock(connection: Connection) -> None:
    """Waits for other processes that migrate; a step may then take as long as it needs."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS_MAX}s'"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))


def _version(connection: Connection, service: str) -> Version:
    """Reads the version of one service's tables."""
    scripts = ScriptDirectory.from_config(_alembic(service, connection))
    newest = scripts.get_current_head()
    if newest is None:
        raise LookupError(f"{service}/migrations/versions: expected at least one script")
    known = {script.revision for script in scripts.walk_revisions()}
    opts = {"version_table": VERSION_TABLE_PREFIX + service}
    current = MigrationContext.configure(connection, opts=opts).get_current_revision()
    if current is None:
        _refuse_foreign(connection)
    if current is not None and current not in known:
        raise TimebankError(
            Reason.DATABASE_UNAVAILABLE,
            f"database: expected the tables of {service} at {newest} or before, got {current!r}, "
            "which this program does not know; install the newer program, or check database.url",
            service=service,
            revision=current,
        )
    return Version(service, current, newest, _minimum(service, newest))


def _refuse_foreign(connection: Connection) -> None:
    """Refuses a database that another program made: a SQLite file with tables but none of our
    version tables, or any database with the version table that Alembic makes by itself.

    Raises: DATABASE_UNAVAILABLE.
    """
    tables = inspect(connection).get_table_names()
    if any(name.startswith(VERSION_TABLE_PREFIX) for name in tables):
        return
    if ALEMBIC_TABLE in tables or (tables and connection.dialect.name == "sqlite"):
        raise TimebankError(
            Reason.DATABASE_UNAVAILABLE,
            f"database: holds tables of another program ({', '.join(sorted(tables)[:3])}); set "
            "database.url to a database of its own",
        )


def _refuse_before_minimum(version: Version) -> None:
    scripts = ScriptDirectory(str(_folder(version.service)))
    behind = scripts.iterate_revisions(version.current, "base") if version.current else ()
    if version.minimum not in {script.revision for script in behind}:
        found = f"got {version.current}" if version.current else "got none"
        raise TimebankError(
            Reason.DATABASE_UNAVAILABLE,
            f"database: expected the tables of {version.service} at {version.minimum} or later, "
            f"{found}; run `timebank migrate` or set database.migrate to auto",
            service=version.service,
        )


def _minimum(service: str, newest: str) -> str:
    """Gives the oldest revision that a service runs on, the newest unless it declares one."""
    declared: str = getattr(
        importlib.import_module(f"{service}.migrations"), "MINIMUM_REVISION", newest
    )
    return declared


def _alembic(service: str, connection: Connection) -> AlembicConfig:
    """Makes Alembic's configuration for one service; no alembic.ini is needed."""
    config = AlembicConfig()
    # Alembic's options take % for an interpolation.
    config.set_main_option("script_location", str(_folder(service)).replace("%", "%%"))
    config.attributes[_CONNECTION] = connection
    config.attributes[_VERSION_TABLE] = VERSION_TABLE_PREFIX + service
    return config


def _folder(service: str) -> Path:
    """Gives the folder `<service>/migrations`."""
    [folder] = importlib.import_module(f"{service}.migrations").__path__
    return Path(folder)
