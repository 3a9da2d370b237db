"""Databases: what the reader and the writer promise, and what each failure is called."""

import asyncio
import os
import pathlib
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine, text

from tests.timebank.databases import count, opening_refusal, refusal, write
from timebank.config import DatabaseConfig
from timebank.database import (
    DATABASE_ERRORS,
    Databases,
    open_databases,
    translate_database_error,
)
from timebank.errors import Reason, TimebankError

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HOLD_FILE = """
import sys
from timebank.config import DatabaseConfig
from timebank.database import open_databases
held = open_databases(DatabaseConfig(url=sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[Databases]:
    opened = open_databases(DatabaseConfig(url=database_url))
    await write(opened, "CREATE TABLE things (name TEXT PRIMARY KEY)")
    yield opened
    await opened.close()


async def test_the_reader_sees_what_the_writer_committed(databases: Databases) -> None:
    await write(databases, "INSERT INTO things VALUES ('a')")
    assert await count(databases) == 1


async def test_a_failed_transaction_of_the_writer_leaves_nothing(databases: Databases) -> None:
    with pytest.raises(DATABASE_ERRORS):
        await write(databases, "INSERT INTO things VALUES ('a')", "INSERT INTO things VALUES ('a')")
    assert await count(databases) == 0


async def test_a_transaction_of_the_reader_sees_one_state_throughout(databases: Databases) -> None:
    async with databases.reader.connect() as connection:
        before = (await connection.execute(text("SELECT count(*) FROM things"))).scalar_one()
        await write(databases, "INSERT INTO things VALUES ('a')")
        after = (await connection.execute(text("SELECT count(*) FROM things"))).scalar_one()
    assert (before, after) == (0, 0)
    assert await count(databases) == 1


async def test_the_reader_cannot_write(databases: Databases) -> None:
    async with databases.reader.connect() as connection:
        with pytest.raises(DATABASE_ERRORS) as caught:
            await connection.execute(text("INSERT INTO things VALUES ('a')"))
    assert translate_database_error(caught.value).reason is Reason.READ_ONLY


async def test_a_mistake_in_the_program_stays_the_error_it_is(databases: Databases) -> None:
    for statement in (
        "INSERT INTO things VALUES ('a'), ('a')",
        "SELECT nothing FROM nowhere",
        "SELEC 1",
    ):
        with pytest.raises(DATABASE_ERRORS) as caught:
            await write(databases, statement)
        with pytest.raises(type(caught.value)) as raised:
            translate_database_error(caught.value)
        assert raised.value is caught.value


async def test_a_failure_does_not_tell_the_values_of_its_statement(databases: Databases) -> None:
    statement = text("SELECT no_such_column FROM things WHERE name = :name")
    with pytest.raises(DATABASE_ERRORS) as caught:
        async with databases.reader.connect() as connection:
            await connection.execute(statement, {"name": "sesame"})
    assert "no_such_column" in str(caught.value)
    assert "sesame" not in str(caught.value)


async def test_a_closed_database_can_be_opened_again(database_url: str) -> None:
    for _ in range(2):
        opened = open_databases(DatabaseConfig(url=database_url))
        await opened.check()
        await opened.close()


async def test_a_commit_on_sqlite_is_on_the_disk_when_it_returns(sqlite_url: str) -> None:
    opened = open_databases(DatabaseConfig(url=sqlite_url))
    assert isinstance(opened.writer, Engine)
    with opened.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    await opened.close()


async def test_a_writer_on_sqlite_has_the_lock_from_its_beginning(
    sqlite_url: str, tmp_path: pathlib.Path
) -> None:
    opened = open_databases(DatabaseConfig(url=sqlite_url))
    await write(opened, "CREATE TABLE things (name TEXT)")
    assert isinstance(opened.writer, Engine)
    other = sqlite3.connect(tmp_path / "ledger.db", timeout=0, isolation_level=None)
    with opened.writer.begin(), pytest.raises(sqlite3.OperationalError) as caught:
        other.execute("BEGIN IMMEDIATE")
    other.close()
    error = translate_database_error(caught.value)
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert "locked by another process" in error.message
    await opened.close()


async def test_a_sqlite_file_has_one_server(sqlite_url: str) -> None:
    first = open_databases(DatabaseConfig(url=sqlite_url))
    error = await opening_refusal(DatabaseConfig(url=sqlite_url))
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert f"in use by process {os.getpid()}" in error.message
    await first.close()
    second = open_databases(DatabaseConfig(url=sqlite_url))
    await second.close()


async def test_a_killed_server_leaves_its_sqlite_file_free(sqlite_url: str) -> None:
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD_FILE, sqlite_url),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    error = await opening_refusal(DatabaseConfig(url=sqlite_url))
    assert f"in use by process {holder.pid}" in error.message
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    opened = open_databases(DatabaseConfig(url=sqlite_url))
    await opened.check()
    await opened.close()


async def test_whoever_only_reads_needs_no_file_of_their_own(sqlite_url: str) -> None:
    first = open_databases(DatabaseConfig(url=sqlite_url))
    await write(first, "CREATE TABLE things (name TEXT)")
    second = open_databases(DatabaseConfig(url=sqlite_url), exclusive=False)
    assert await count(second) == 0
    await second.close()
    await first.close()


def test_whoever_only_reads_makes_no_empty_file(sqlite_url: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(TimebankError, match="expected a file"):
        open_databases(DatabaseConfig(url=sqlite_url), exclusive=False)
    assert list(tmp_path.iterdir()) == []


async def test_missing_directories_of_a_sqlite_file_are_made(tmp_path: pathlib.Path) -> None:
    opened = open_databases(DatabaseConfig(url=f"sqlite:///{tmp_path}/a/b/ledger.db"))
    await opened.check()
    await opened.close()
    assert (tmp_path / "a" / "b" / "ledger.db").exists()


@pytest.mark.parametrize(
    ("content", "word"), [(b"no database " * 100, "no SQLite database"), (None, "cannot be opened")]
)
async def test_what_is_no_sqlite_file_is_refused_in_one_line(
    tmp_path: pathlib.Path, content: bytes | None, word: str
) -> None:
    path = tmp_path / "ledger.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    error = await opening_refusal(DatabaseConfig(url=f"sqlite:///{path}"))
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert word in error.message


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    error = await opening_refusal(DatabaseConfig(url=f"sqlite:///{tmp_path}/file/ledger.db"))
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert "cannot be used" in error.message


async def test_a_sqlite_file_that_may_not_be_written_is_refused_and_left_free(
    sqlite_url: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ledger.db").write_bytes(b"")
    with monkeypatch.context() as patch:
        # Rights do not hold a superuser back, who may run the tests.
        patch.setattr(os, "access", lambda path, mode: False)
        error = await opening_refusal(DatabaseConfig(url=sqlite_url))
    assert error.reason is Reason.READ_ONLY
    opened = open_databases(DatabaseConfig(url=sqlite_url))
    await opened.close()


async def test_a_full_disk_makes_sqlite_read_only(sqlite_url: str) -> None:
    opened = open_databases(DatabaseConfig(url=sqlite_url))
    await write(opened, "CREATE TABLE things (name TEXT)")
    error = await refusal(
        opened,
        "PRAGMA max_page_count = 2",
        "INSERT INTO things VALUES (hex(randomblob(100000)))",
    )
    assert error.reason is Reason.READ_ONLY
    assert "disk is full" in error.message
    assert "INSERT" not in error.message
    assert await count(opened) == 0
    await opened.close()
