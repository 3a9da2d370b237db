"""What every command of the ledger shares: where the server is, who asks, and how moments are read.

Owns: the options and the connection. Refuses: showing errors (the `timebank` command does that).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from timebank.channels import TlsFiles
from timebank.client import LedgerClient
from timebank.client.kinds import AccountKind
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

SERVER = "127.0.0.1:50051"
LEDGER = "weihai"
INTERRUPTED = 130
TLS = "https://"
UNREACHED = "UNAVAILABLE: "
"""How the message begins when the transport answers instead of a server."""
ROWS_SHOWN = 50
ROWS_SHOWN_MAX = 100_000
_Result = TypeVar("_Result")
_Item = TypeVar("_Item")

Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="TIMEBANK_SERVER",
        help="Address of the gRPC server, `https://` before it for TLS 服务器. Your own authority: "
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="TIMEBANK_TOKEN",
        help="Bearer token of the caller 令牌.",
        show_default=False,
    ),
]
LedgerId = Annotated[
    str, typer.Option("--ledger", envvar="TIMEBANK_LEDGER", help="Id of the ledger 账本.")
]
Limit = Annotated[
    int, typer.Option("--limit", min=1, max=ROWS_SHOWN_MAX, help="Most rows to show 行数.")
]


class UnitName(enum.StrEnum):
    """The units by name, for options."""

    HOURS = "HOURS"
    TIME = "TIME"
    POINTS = "POINTS"
    FUND = "FUND"

    @property
    def unit(self) -> Unit:
        """Gives the unit."""
        return Unit[self.value]


class AccountKindName(enum.StrEnum):
    """The kinds of account by name, for options."""

    MEMBER = "MEMBER"
    ISSUANCE = "ISSUANCE"
    POOL = "POOL"
    MERCHANT = "MERCHANT"
    CLEARING = "CLEARING"
    FUND = "FUND"
    EXPIRED = "EXPIRED"

    @property
    def kind(self) -> AccountKind:
        """Gives the kind."""
        return AccountKind[self.value]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where and as whom a command asks, and which ledger it is about."""

    server: str
    token: str | None
    ledger: str

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LedgerClient]:
        """Makes the client; it connects when it is entered.

        Raises DATABASE_UNAVAILABLE naming the server when nobody answers there.
        """
        tls = TlsFiles() if self.server.startswith(TLS) else None
        address = self.server.removeprefix(TLS)
        client = LedgerClient.connect(address, ledger=self.ledger, token=self.token, tls=tls)
        async with client:
            try:
                yield client
            except TimebankError as error:
                if not error.message.startswith(UNREACHED):
                    raise
                why = error.message.removeprefix(UNREACHED).rpartition(": ")[2]
                raise TimebankError(
                    Reason.DATABASE_UNAVAILABLE,
                    f"no server answers at {self.server} ({why}); start one with "
                    "`timebank serve`, or say where it is with --server",
                    server=self.server,
                ) from error

    def http_address(self, port: int) -> str:
        """Gives the address of the HTTP side on the same host."""
        host = self.server.removeprefix(TLS)
        scheme = TLS if self.server.startswith(TLS) else "http://"
        return f"{scheme}{host.rpartition(':')[0] or host}:{port}"


def ask(
    connection: Connection, question: Callable[[LedgerClient], Coroutine[None, None, _Result]]
) -> _Result:
    """Connects, asks, and gives the answer.

    Raises what the server refuses, and VALIDATION_FAILED for words that are no text.
    """

    async def asked() -> _Result:
        async with connection.open() as client:
            try:
                return await question(client)
            except UnicodeEncodeError as error:  # bytes of the command line that are not UTF-8
                raise TimebankError(
                    Reason.VALIDATION_FAILED,
                    "expected words in UTF-8, got other bytes; set the terminal to UTF-8",
                ) from error

    return run(asked())


def run(work: Coroutine[None, None, _Result], *, interrupted: str = "interrupted") -> _Result:
    """Runs work until it ends; Ctrl-C ends it with one line and exit code 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt as error:
        typer.echo(interrupted, err=True)
        raise typer.Exit(INTERRUPTED) from error


async def first(items: AsyncIterator[_Item], limit: int) -> list[_Item]:
    """Takes the first items of a list that pages by itself."""
    taken: list[_Item] = []
    async for item in items:
        taken.append(item)
        if len(taken) == limit:
            break
    return taken


def zone_of(name: str) -> tzinfo:
    """Finds a time zone. Raises VALIDATION_FAILED for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"--zone: expected an IANA name such as Asia/Shanghai, got {name[:60]!r}",
            field="zone",
        ) from error


def moment(text: str, option: str, zone: tzinfo, *, day_end: bool = False) -> datetime:
    """Reads a moment such as `2026-11-24` or `2026-11-24T10:00+08:00`; without an offset in `zone`.

    A bare date is its first moment, with `day_end` its last: the first of the next day. Raises
    VALIDATION_FAILED for anything else.
    """
    try:
        found = datetime.fromisoformat(text.strip())
        if day_end and len(text.strip()) <= len("2026-11-24"):
            found = datetime.combine(found.date() + timedelta(days=1), time())
    except (ValueError, OverflowError) as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"{option}: expected a moment such as 2026-11-24 or 2026-11-24T10:00+08:00, "
            f"got {text[:40]!r}",
            field=option.lstrip("-"),
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
