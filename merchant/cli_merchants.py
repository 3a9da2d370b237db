"""`timebank merchant`: registering and showing merchants, changing their terms, and their exit.

Owns: the command line of these. Refuses: every rule, which the server keeps, and asking back but
for what nobody can undo.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated

import typer
from rich.console import Console

from merchant.cli_options import (
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    CategoryName,
    Connection,
    LedgerId,
    Limit,
    MerchantId,
    NameOf,
    Server,
    Token,
    ask,
    date_of,
    first,
)
from merchant.cli_shown import merchant_table, merchants_table
from timebank.client.merchant_views import MerchantView
from timebank.client.merchants import MerchantClient

RATE_MAX = 1_000_000
MINUTE_MAX = 1_439
DEBT_POINTS_MAX = 10**12

merchant_app = typer.Typer(
    help="Register, show and change merchants 商户.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

NewName = Annotated[str | None, typer.Option("--name", help="New name for people 名称.")]
NewCategory = Annotated[
    CategoryName | None, typer.Option("--category", help="What it offers 类别.")
]
NewRate = Annotated[
    int | None,
    typer.Option(
        "--fen-per-100-points",
        min=0,
        max=RATE_MAX,
        help="For redemptions from now on; 0: a sponsor 每百积分结算（分）.",
    ),
]
NewBudget = Annotated[
    str | None, typer.Option("--budget", help="Budget that pays it; '' for a sponsor 预算.")
]
NewCutOff = Annotated[
    int | None,
    typer.Option(
        "--cut-off-minute", min=0, max=MINUTE_MAX, help="New end of its day 日切（分钟）."
    ),
]
CutOffFrom = Annotated[
    str | None,
    typer.Option(
        "--cut-off-from",
        metavar="YYYY-MM-DD",
        help="First business day that ends by it; else the next one 日切生效日.",
    ),
]
NewDebt = Annotated[
    int | None,
    typer.Option(
        "--debt-points-max",
        min=0,
        max=DEBT_POINTS_MAX,
        help="How far its points may go negative after refunds 最大欠额（积分）.",
    ),
]
Etag = Annotated[
    str,
    typer.Option("--etag", help="Change it only while it has this etag, as shown 版本标识."),
]
_Question = Callable[[MerchantClient], Coroutine[None, None, MerchantView]]


@merchant_app.command(
    name="create",
    epilog="Example: `timebank merchant create barber --name 幸福理发店 --category SERVICE "
    "--fen-per-100-points 500 --budget 2026`",
)
def create_merchant(
    merchant: MerchantId,
    name: NameOf,
    category: Annotated[
        CategoryName, typer.Option("--category", help="What it offers 类别.", show_default=False)
    ],
    fen_per_hundred_points: Annotated[
        int,
        typer.Option(
            "--fen-per-100-points", min=0, max=RATE_MAX, help="0: a sponsor 每百积分结算（分）."
        ),
    ] = 0,
    budget: Annotated[
        str, typer.Option("--budget", help="Budget that pays it; none for a sponsor 预算.")
    ] = "",
    cut_off_minute: Annotated[
        int,
        typer.Option(
            "--cut-off-minute", min=0, max=MINUTE_MAX, help="End of its day 日切（分钟）."
        ),
    ] = 0,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Registers a merchant and opens its accounts. 新建商户."""
    _show(
        Connection(server, token, ledger),
        lambda client: client.create_merchant(
            merchant,
            display_name=name,
            category=category.category,
            fen_per_hundred_points=fen_per_hundred_points,
            budget=budget,
            cut_off_minute=cut_off_minute,
        ),
    )


@merchant_app.command(name="list", epilog="Example: `timebank merchant list`")
def list_merchants(
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists merchants by id. 列出商户."""
    connection = Connection(server, token, ledger)
    found = ask(
        connection,
        connection.merchants,
        lambda client: first(client.list_merchants(), limit),
    )
    Console().print(merchants_table(found, f"Merchants 商户 of {ledger}"))


@merchant_app.command(name="show", epilog="Example: `timebank merchant show barber`")
def show_merchant(
    merchant: MerchantId, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Shows a merchant with its terms and accounts. 查询商户."""
    _show(Connection(server, token, ledger), lambda client: client.get_merchant(merchant))


@merchant_app.command(
    name="update",
    epilog="Examples: `timebank merchant update barber --fen-per-100-points 450`, "
    "`timebank merchant update barber --cut-off-minute 1320 --cut-off-from 2027-01-01`, "
    "`timebank merchant update barber --fen-per-100-points 0 --budget ''`",
)
def update_merchant(
    merchant: MerchantId,
    name: NewName = None,
    category: NewCategory = None,
    fen_per_hundred_points: NewRate = None,
    budget: NewBudget = None,
    cut_off_minute: NewCutOff = None,
    cut_off_from: CutOffFrom = None,
    debt_points_max: NewDebt = None,
    etag: Etag = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Changes the terms that are named and leaves the rest alone. 变更商户条款."""
    first_day = None if cut_off_from is None else date_of(cut_off_from, "--cut-off-from")
    _show(
        Connection(server, token, ledger),
        lambda client: client.update_merchant(
            merchant,
            display_name=name,
            category=None if category is None else category.category,
            fen_per_hundred_points=fen_per_hundred_points,
            budget=budget,
            cut_off_minute=cut_off_minute,
            cut_off_effective_date=first_day,
            debt_points_max=debt_points_max,
            etag=etag,
        ),
    )


@merchant_app.command(name="suspend", epilog="Example: `timebank merchant suspend barber`")
def suspend_merchant(
    merchant: MerchantId, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Suspends a merchant: no new redemptions until it is resumed. 暂停商户."""
    _show(Connection(server, token, ledger), lambda client: client.suspend_merchant(merchant))


@merchant_app.command(name="resume", epilog="Example: `timebank merchant resume barber`")
def resume_merchant(
    merchant: MerchantId, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Ends the suspension of a merchant. 恢复商户."""
    _show(Connection(server, token, ledger), lambda client: client.resume_merchant(merchant))


@merchant_app.command(name="leave", epilog="Example: `timebank merchant leave barber --yes`")
def leave_merchant(
    merchant: MerchantId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask back 不再询问.")] = False,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Begins the exit of a merchant: no new redemptions, its points are still settled. 商户退出."""
    if not yes:
        typer.confirm(f"Let {merchant} leave for ever? 商户退出，不可撤销？", abort=True)
    _show(Connection(server, token, ledger), lambda client: client.leave_merchant(merchant))


def _show(connection: Connection, question: _Question) -> None:
    """Asks, and shows the merchant that is the answer."""
    Console().print(merchant_table(ask(connection, connection.merchants, question)))
