"""PostgreSQL: its time-outs, and what each of its failures is called."""

import asyncio
import pathlib
import socket

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import PostgresServer
from tests.support.processes import free_port
from tests.timebank.databases import count, opening_refusal, refusal, write
from timebank.config import DatabaseConfig
from timebank.database import (
    open_databases,
)
from timebank.database.postgresql import UNACKNOWLEDGED_MS, socket_of
from timebank.errors import Reason, TimebankError


@pytest.mark.postgresql
async def test_postgresql_is_told_how_long_anything_may_take(postgresql_url: str) -> None:
    opened = open_databases(
        DatabaseConfig(url=postgresql_url, statement_seconds_max=7, idle_transaction_seconds_max=3)
    )
    wanted = {
        "statement_timeout": "7s",
        "idle_in_transaction_session_timeout": "3s",
        "tcp_user_timeout": str(UNACKNOWLEDGED_MS),
        "application_name": "timebank",
        "jit": "off",
    }
    assert isinstance(opened.writer, AsyncEngine)
    for engine in (opened.reader, opened.writer):
        async with engine.connect() as connection:
            for name, value in wanted.items():
                row = await connection.execute(text(f"SELECT current_setting('{name}')"))
                assert row.scalar_one() == value
    await opened.close()


@pytest.mark.postgresql
async def test_a_dead_postgresql_server_is_noticed_by_the_socket(postgresql_url: str) -> None:
    opened = open_databases(DatabaseConfig(url=postgresql_url))
    async with opened.reader.connect() as connection:
        raw = await connection.get_raw_connection()
        found = socket_of(raw.driver_connection)
        assert found is not None
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    await opened.close()


@pytest.mark.postgresql
async def test_a_statement_that_takes_too_long_is_ended(postgresql_url: str) -> None:
    opened = open_databases(DatabaseConfig(url=postgresql_url, statement_seconds_max=1))
    error = await refusal(opened, "SELECT pg_sleep(30)")
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert "took too long" in error.message
    await opened.close()


@pytest.mark.postgresql
async def test_a_lock_that_is_not_given_is_unavailable(postgresql_url: str) -> None:
    opened = open_databases(DatabaseConfig(url=postgresql_url))
    await write(opened, "CREATE TABLE things (name TEXT)")
    assert isinstance(opened.writer, AsyncEngine)
    async with opened.writer.begin() as holder:
        await holder.execute(text("LOCK TABLE things"))
        error = await refusal(opened, "LOCK TABLE things NOWAIT")
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert "lock" in error.message
    await opened.close()


@pytest.mark.postgresql
async def test_a_database_that_does_not_exist_is_refused(postgres: PostgresServer) -> None:
    error = await opening_refusal(DatabaseConfig(url=postgres.url("nowhere")))
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert "no such database" in error.message


@pytest.mark.parametrize("host", ["127.0.0.1", "host.invalid"])
async def test_a_server_that_is_not_there_is_unavailable(host: str) -> None:
    url = f"postgresql://me@{host}:{free_port()}/timebank"
    error = await opening_refusal(DatabaseConfig(url=url))
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert "cannot be reached" in error.message


@pytest.mark.postgresql
async def test_a_server_that_accepts_and_is_silent_is_given_up(
    postgres: PostgresServer, postgresql_url: str
) -> None:
    postgres.pause()
    try:
        error = await opening_refusal(DatabaseConfig(url=postgresql_url, connect_seconds_max=1))
    finally:
        postgres.resume()
    assert error.reason is Reason.DATABASE_UNAVAILABLE
    assert "no answer in time" in error.message


@pytest.mark.postgresql
async def test_after_a_crash_of_the_server_only_the_first_call_fails(
    postgres: PostgresServer, postgresql_url: str
) -> None:
    opened = open_databases(DatabaseConfig(url=postgresql_url))
    await opened.check()
    await write(opened, "CREATE TABLE things (name TEXT)")
    postgres.restart("immediate")
    with pytest.raises(TimebankError) as caught:
        await opened.check()
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    await opened.check()
    await write(opened, "INSERT INTO things VALUES ('a')")
    assert await count(opened) == 1
    await opened.close()


@pytest.mark.postgresql
async def test_when_all_connections_are_in_use_the_next_caller_is_told(
    postgresql_url: str,
) -> None:
    opened = open_databases(
        DatabaseConfig(url=postgresql_url, connections_max=2, connect_seconds_max=1)
    )
    async with opened.reader.connect(), opened.reader.connect():
        with pytest.raises(TimebankError) as caught:
            await opened.check()
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    assert "in use" in caught.value.message
    await opened.close()


async def test_the_password_is_read_from_its_file_for_each_connection(
    tmp_path: pathlib.Path,
) -> None:
    passwords: list[bytes] = []

    async def ask_password(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Plays a PostgreSQL server up to the password (protocol 3.0, in clear text)."""
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        writer.write(b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big"))
        assert await reader.readexactly(1) == b"p"
        length = int.from_bytes(await reader.readexactly(4), "big")
        passwords.append(await reader.readexactly(length - 4))
        writer.close()

    file = tmp_path / "password"
    file.write_text("sesame\n")
    async with await asyncio.start_server(ask_password, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = DatabaseConfig(
            url=f"postgresql://me@127.0.0.1:{port}/timebank?ssl=disable", password_file=file
        )
        opened = open_databases(config)
        for word in ("sesame", "open"):
            file.write_text(f"{word}\n")
            with pytest.raises(TimebankError) as caught:
                await opened.check()
            assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
        await opened.close()
    assert passwords == [b"sesame\0", b"open\0"]


def test_a_password_file_that_cannot_be_read_is_refused(tmp_path: pathlib.Path) -> None:
    config = DatabaseConfig(
        url="postgresql://me@127.0.0.1/timebank", password_file=tmp_path / "missing"
    )
    with pytest.raises(TimebankError, match=r"database\.password_file") as caught:
        open_databases(config)
    assert caught.value.reason is Reason.VALIDATION_FAILED
