"""PostgreSQL: any number of server processes on one database.

Owns: how connections are made and what the server is told about them. Refuses: a password in the
url.
Rules: nobody may hold a lock for long: the server ends idle transactions and long statements, and
both sides notice a dead peer; readers hold a snapshot (REPEATABLE READ) and cannot write; the
password is read again for each connection.
"""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from timebank.config import DatabaseConfig
from timebank.errors import Reason, TimebankError

APPLICATION = "timebank"
PASSWORD_BYTES_MAX = 4_096
KEEPALIVE_IDLE_SECONDS = 10
KEEPALIVE_INTERVAL_SECONDS = 5
KEEPALIVE_PROBES = 3
UNACKNOWLEDGED_MS = 20_000
"""After this long without an acknowledgement of sent data a peer counts as dead."""
READER_GRACE_SECONDS = 5
"""The server's own limit on statements comes first; a server that is silent is given up after this.
"""


def open_writer(database: DatabaseConfig) -> AsyncEngine:
    """Opens the engine that writes.

    It has no limit of the client's on statements: one on COMMIT would cancel the wait for a
    standby.
    """
    return _open(database, {}, isolation_level="READ COMMITTED", pool_pre_ping=True)


def open_reader(database: DatabaseConfig) -> AsyncEngine:
    """Opens the engine that reads snapshots and cannot write."""
    settings = {
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "repeatable read",
    }
    limit_s = database.statement_seconds_max + READER_GRACE_SECONDS
    return _open(
        database, settings, isolation_level="REPEATABLE READ", command_timeout_seconds=limit_s
    )


def _open(
    database: DatabaseConfig,
    settings: dict[str, str],
    *,
    isolation_level: str,
    pool_pre_ping: bool = False,
    command_timeout_seconds: int | None = None,
) -> AsyncEngine:
    arguments: dict[str, Any] = {
        "server_settings": _server_settings(database) | settings,
        "timeout": database.connect_seconds_max,
        "command_timeout": command_timeout_seconds,
    }
    if database.password_file is not None:
        arguments["password"] = _password_of(database.password_file)
    engine = create_async_engine(
        make_url(database.url).set(drivername="postgresql+asyncpg"),
        connect_args=arguments,
        hide_parameters=True,
        isolation_level=isolation_level,
        pool_size=database.connections_max,
        max_overflow=0,
        pool_timeout=database.connect_seconds_max,
        pool_pre_ping=pool_pre_ping,
        pool_use_lifo=True,
    )
    _notice_dead_servers(engine.sync_engine)
    return engine


def _server_settings(database: DatabaseConfig) -> dict[str, str]:
    return {
        "application_name": APPLICATION,
        "statement_timeout": f"{database.statement_seconds_max}s",
        "idle_in_transaction_session_timeout": f"{database.idle_transaction_seconds_max}s",
        "tcp_keepalives_idle": str(KEEPALIVE_IDLE_SECONDS),
        "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL_SECONDS),
        "tcp_keepalives_count": str(KEEPALIVE_PROBES),
        "tcp_user_timeout": str(UNACKNOWLEDGED_MS),
        # Compiling a plan takes longer than any statement of a bounded batch.
        "jit": "off",
    }


def _password_of(path: Path) -> Callable[[], str]:
    """Gives a function that reads the password, which is called for each new connection.

    Raises: VALIDATION_FAILED when the file cannot be read now.
    """

    def read() -> str:
        try:
            with open(path, "rb") as file:
                return file.read(PASSWORD_BYTES_MAX).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"database.password_file {path}: expected a readable text file, "
                f"got {type(error).__name__}",
            ) from error

    read()
    return read


def _notice_dead_servers(engine: Engine) -> None:
    """Makes each socket probe a silent server, as the server probes a silent client."""

    @event.listens_for(engine, "connect")
    def probe(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        found = socket_of(connection.driver_connection)
        if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
            return
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES),
            ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS),
        ):
            # Not every system knows all four.
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def socket_of(driver_connection: Any) -> socket.socket | None:  # asyncpg has no types
    """Gives the socket of an asyncpg connection, None when it has none any more."""
    found: socket.socket | None = driver_connection._transport.get_extra_info("socket")
    return found
