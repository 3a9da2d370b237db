"""`timebank ledger`: making, listing and closing the opening of ledgers.

Owns: the command line of these. Refuses: everything within a ledger (see ledger/cli.py).
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_options import LEDGER, SERVER, Connection, LedgerId, Server, Token, ask
from ledger.cli_shown import ledgers_table
from timebank.client import LedgerClient
from timebank.client.views import LedgerView

app = typer.Typer(
    name="ledger",
    help="Make and list ledgers 账本: one for each city or community.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command(
    epilog="Example: `timebank ledger create weihai --origin timebank.example/weihai "
    "--zone Asia/Shanghai --name 威海时间银行`"
)
def create(
    ledger: Annotated[
        str, typer.Argument(help="Id: 2 to 40 of a-z, 0-9 and '-' 编号.", show_default=False)
    ],
    origin: Annotated[
        str,
        typer.Option(
            "--origin",
            help="Origin of its log; the server needs a key of it: `timebank keys new`. 日志名",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name for people 名称.", show_default=False)],
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone in which its days end 时区.")
    ] = "Asia/Shanghai",
    server: Server = SERVER,
    token: Token = None,
) -> None:
    """Makes a ledger. 新建账本."""

    async def make(client: LedgerClient) -> LedgerView:
        return await client.create_ledger(display_name=name, time_zone=zone, log_origin=origin)

    made = ask(Connection(server, token, ledger), make)
    Console().print(ledgers_table([made]))


@app.command(name="list", epilog="Example: `timebank ledger list`")
def list_ledgers(server: Server = SERVER, token: Token = None) -> None:
    """Lists the ledgers that the caller may see. 列出账本."""

    async def collect(client: LedgerClient) -> list[LedgerView]:
        return [ledger async for ledger in client.list_ledgers()]

    Console().print(ledgers_table(ask(Connection(server, token, ""), collect)))


@app.command(epilog="Example: `timebank ledger close-opening --ledger weihai --yes`")
def close_opening(
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask back 不再询问.")] = False,
) -> None:
    """Ends opening balances and imports for ever. 关闭期初，此后不能再导入."""
    if not yes:
        question = f"End opening balances and imports of {ledger} for ever? 永久关闭期初？"
        typer.confirm(question, abort=True)

    async def close(client: LedgerClient) -> LedgerView:
        return await client.close_opening()

    closed = ask(Connection(server, token, ledger), close)
    Console().print(ledgers_table([closed]))
