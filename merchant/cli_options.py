"""What the merchant's commands share: where the server is, who asks, and which ledger it is about.

Owns: the options and the connection. Refuses: showing errors (the `timebank` command does that).
"""

from __future__ import annotations

import asyncio
import enum
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from timebank.channels import TlsFiles
from timebank.client.merchant_views import MerchantCategory
from timebank.client.merchants import MerchantClient
from timebank.client.settlements import SettlementClient
from timebank.errors import Reason, TimebankError

SERVER = "127.0.0.1:50051"
LEDGER = "weihai"
ZONE = "Asia/Shanghai"
INTERRUPTED = 130
TLS = "https://"
UNREACHED = "UNAVAILABLE: "
"""How the message begins when the transport answers instead of a server."""
ROWS_SHOWN = 50
ROWS_SHOWN_MAX = 100_000
FEN_MAX = 10**15
INPUT_BYTES_MAX = 2_000_000
"""What the contract takes of a journal or an advice."""

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")
_Client = TypeVar("_Client", MerchantClient, SettlementClient)

Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="TIMEBANK_SERVER",
        help="Address of the gRPC server, `https://` before it for TLS 服务器.",
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
MerchantId = Annotated[
    str, typer.Argument(metavar="MERCHANT", help="Id of the merchant 商户.", show_default=False)
]
NameOf = Annotated[str, typer.Option("--name", help="Name for people 名称.", show_default=False)]
Limit = Annotated[
    int, typer.Option("--limit", min=1, max=ROWS_SHOWN_MAX, help="Most rows to show 行数.")
]
Bare = Annotated[bool, typer.Option("--bare", help="Show the code alone, for scripts 只显示码.")]
Zone = Annotated[str, typer.Option("--zone", help="Time zone in which days end 时区.")]


class CategoryName(enum.StrEnum):
    """The categories of a merchant by name, for options."""

    SERVICE = "SERVICE"
    DISCOUNT = "DISCOUNT"
    CULTURE = "CULTURE"

    @property
    def category(self) -> MerchantCategory:
        """Gives the category."""
        return MerchantCategory[self.value]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where and as whom a command asks, and which ledger it is about."""

    server: str
    token: str | None
    ledger: str = ""

    @property
    def address(self) -> str:
        """Gives `host:port`."""
        return self.server.removeprefix(TLS)

    @property
    def tls(self) -> TlsFiles | None:
        """Gives the TLS files, None for plain text."""
        return TlsFiles() if self.server.startswith(TLS) else None

    def merchants(self) -> MerchantClient:
        """Makes the client of merchants' administration."""
        return MerchantClient.connect(
            self.address, ledger=self.ledger, token=self.token, tls=self.tls
        )

    def settlements(self) -> SettlementClient:
        """Makes the client of settlement."""
        return SettlementClient.connect(
            self.address, ledger=self.ledger, token=self.token, tls=self.tls
        )


def ask(
    connection: Connection,
    connect: Callable[[], _Client],
    question: Callable[[_Client], Coroutine[None, None, _Result]],
) -> _Result:
    """Connects, asks, and gives the answer.

    Raises what the server refuses, and DATABASE_UNAVAILABLE naming the server when none answers.
    """

    async def asked() -> _Result:
        client = connect()  # here, for a channel belongs to the loop that it is made in
        opened: AbstractAsyncContextManager[_Client] = client
        async with opened:
            try:
                return await question(client)
            except TimebankError as error:
                raise unreached(error, connection.server) from error
            except UnicodeEncodeError as error:  # bytes of the command line that are not UTF-8
                raise refusal("expected words in UTF-8, got other bytes", "arguments") from error

    return run(asked())


def unreached(error: TimebankError, server: str) -> TimebankError:
    """Says which server does not answer, when that is the error; else gives it back."""
    if not error.message.startswith(UNREACHED):
        return error
    why = error.message.removeprefix(UNREACHED).rpartition(": ")[2]
    return TimebankError(
        Reason.DATABASE_UNAVAILABLE,
        f"no server answers at {server} ({why}); start one with `timebank serve`, or say where it "
        "is with --server",
        server=server,
    )


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
        raise refusal(
            f"--zone: expected an IANA name such as Asia/Shanghai, got {name[:60]!r}", "zone"
        ) from error


def date_of(text: str, option: str) -> str:
    """Checks a date, YYYY-MM-DD. Raises VALIDATION_FAILED for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise refusal(f"{option}: expected a date such as 2026-11-30, got {text[:40]!r}", option)
    return text


def yesterday(zone: tzinfo) -> str:
    """Gives the last day that is over in a zone."""
    return f"{datetime.now(zone) - timedelta(days=1):%Y-%m-%d}"


def read_input(path: Path, option: str) -> bytes:
    """Reads a file to send in. Raises VALIDATION_FAILED for one over INPUT_BYTES_MAX, OSError."""
    with open(path, "rb") as file:
        content = file.read(INPUT_BYTES_MAX + 1)
    if len(content) > INPUT_BYTES_MAX:
        size = os.path.getsize(path)
        raise refusal(
            f"{option} {path}: expected at most {INPUT_BYTES_MAX:,} bytes, got {size:,}; send it "
            "in by days",
            option,
        )
    return content


def refusal(message: str, field: str) -> TimebankError:
    """Says what is wrong with the options."""
    return TimebankError(Reason.VALIDATION_FAILED, message, field=field.lstrip("-"))
