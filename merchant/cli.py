"""The merchant's part of the `timebank` command: shops, tills, offers, budgets, payment codes.

Owns: the options of these commands, and mounting the till (`pos`) and settlement (`settle`,
`reconcile`). Refuses: every rule, which the server keeps, and showing errors, which the root
command does in one line.
"""

from __future__ import annotations

import enum
from datetime import UTC
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from merchant.cli_fund import budget_app, fund_app
from merchant.cli_options import (
    FEN_MAX,
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    Bare,
    CategoryName,
    Connection,
    LedgerId,
    Limit,
    MerchantId,
    NameOf,
    Server,
    Token,
    ask,
    first,
)
from merchant.cli_pos import app as pos_app
from merchant.cli_settle import app as settle_app
from merchant.cli_shown import (
    code_text,
    merchant_table,
    merchants_table,
    offers_table,
    qr_text,
    terminal_table,
)
from timebank.client.merchant_views import TerminalView
from timebank.client.merchants import MerchantClient
from timebank.units import Unit

DEVICE = "terminal"
POINTS_MAX = 1_000_000

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
merchant_app = typer.Typer(
    help="Register and show merchants 商户.", no_args_is_help=True, rich_markup_mode="markdown"
)
terminal_app = typer.Typer(
    help="Register and suspend tills 收银终端.", no_args_is_help=True, rich_markup_mode="markdown"
)
offer_app = typer.Typer(
    help="What merchants give for points 兑换项目.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(merchant_app, name="merchant")
app.add_typer(terminal_app, name="terminal")
app.add_typer(offer_app, name="offer")
app.add_typer(budget_app, name="budget")
app.add_typer(fund_app, name="fund")
app.add_typer(pos_app)
app.add_typer(settle_app)

TerminalId = Annotated[
    str, typer.Argument(metavar="TERMINAL", help="Id of the till 终端.", show_default=False)
]


class PriceUnit(enum.StrEnum):
    """The units of a price, for options."""

    POINTS = "POINTS"
    TIME = "TIME"

    @property
    def unit(self) -> Unit:
        """Gives the unit."""
        return Unit[self.value]


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
            "--fen-per-100-points", min=0, max=1_000_000, help="0: a sponsor 每百积分结算（分）."
        ),
    ] = 0,
    budget: Annotated[
        str, typer.Option("--budget", help="Budget that pays it; none for a sponsor 预算.")
    ] = "",
    cut_off_minute: Annotated[
        int, typer.Option("--cut-off-minute", min=0, max=1439, help="End of its day 日切（分钟）.")
    ] = 0,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Registers a merchant and opens its accounts. 新建商户."""
    connection = Connection(server, token, ledger)
    made = ask(
        connection,
        connection.merchants,
        lambda client: client.create_merchant(
            merchant,
            display_name=name,
            category=category.category,
            fen_per_hundred_points=fen_per_hundred_points,
            budget=budget,
            cut_off_minute=cut_off_minute,
        ),
    )
    Console().print(merchant_table(made))


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
    connection = Connection(server, token, ledger)
    found = ask(connection, connection.merchants, lambda client: client.get_merchant(merchant))
    Console().print(merchant_table(found))


@terminal_app.command(
    name="create", epilog="Example: `timebank terminal create barber till-1 --name 1号收银台`"
)
def create_terminal(
    merchant: MerchantId,
    terminal: TerminalId,
    name: NameOf,
    location: Annotated[str, typer.Option("--location", help="Where it stands 位置.")] = "",
    points_max: Annotated[
        int,
        typer.Option(
            "--points-max", min=0, max=POINTS_MAX, help="Most points at once; 0: any 单笔上限."
        ),
    ] = 0,
    bare: Bare = False,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Registers a till and shows the code with which it enrols. 新建终端."""
    connection = Connection(server, token, ledger)
    made = ask(
        connection,
        connection.merchants,
        lambda client: client.create_terminal(
            merchant,
            terminal,
            display_name=name,
            location=location,
            points_per_transaction_max=points_max,
        ),
    )
    _show_enrolment(made, bare=bare)


def _show_enrolment(made: TerminalView, *, bare: bool) -> None:
    if bare:
        typer.echo(made.enrolment_code)
        return
    console = Console(soft_wrap=True)
    console.print(terminal_table(made))
    commands = f"timebank pos --terminal {made.name} --once 'enrol {made.enrolment_code}'"
    console.print(Text(f"At the till 在收银台: {commands}"))


@terminal_app.command(name="renew", epilog="Example: `timebank terminal renew barber till-1`")
def renew_terminal(
    merchant: MerchantId,
    terminal: TerminalId,
    bare: Bare = False,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Makes another enrolment code, for a till that is new or lost its key. 重发登记码."""
    connection = Connection(server, token, ledger)

    async def renew(client: MerchantClient) -> None:
        name = f"{client.merchant(merchant)}/terminals/{terminal}"
        _show_enrolment(await client.renew_enrolment(name), bare=bare)

    ask(connection, connection.merchants, renew)


@terminal_app.command(name="suspend", epilog="Example: `timebank terminal suspend barber till-1`")
def suspend_terminal(
    merchant: MerchantId,
    terminal: TerminalId,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Suspends a till that is lost or out of use. 停用终端."""
    connection = Connection(server, token, ledger)

    async def suspend(client: MerchantClient) -> None:
        name = f"{client.merchant(merchant)}/terminals/{terminal}"
        Console().print(terminal_table(await client.suspend_terminal(name)))

    ask(connection, connection.merchants, suspend)


@offer_app.command(
    name="create",
    epilog="Example: `timebank offer create barber haircut --title 理发 --price 20 --stock 50`",
)
def create_offer(
    merchant: MerchantId,
    offer: Annotated[str, typer.Argument(metavar="OFFER", help="Id 编号.", show_default=False)],
    title: Annotated[str, typer.Option("--title", help="Title 名称.", show_default=False)],
    price: Annotated[
        int,
        typer.Option(
            "--price", min=0, max=POINTS_MAX, help="Points or minutes; 0: said at the till 价格."
        ),
    ] = 0,
    unit: Annotated[
        PriceUnit, typer.Option("--unit", help="POINTS, or TIME for services 单位.")
    ] = PriceUnit.POINTS,
    cash_fen: Annotated[
        int,
        typer.Option("--cash-fen", min=0, max=FEN_MAX, help="Cash beside it, in fen 现金（分）."),
    ] = 0,
    stock: Annotated[
        int | None, typer.Option("--stock", min=0, help="Pieces; none: unlimited 库存.")
    ] = None,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Adds an offer to a merchant's catalogue. 新建商品."""
    connection = Connection(server, token, ledger)
    made = ask(
        connection,
        connection.merchants,
        lambda client: client.create_offer(
            merchant,
            offer,
            title=title,
            unit=unit.unit,
            price=price,
            cash_fen=cash_fen,
            stock=stock,
        ),
    )
    Console().print(offers_table([made], f"Offer 商品 of {merchant}"))


@offer_app.command(name="list", epilog="Examples: `timebank offer list barber`, `... list --now`")
def list_offers(
    merchant: Annotated[
        str, typer.Argument(metavar="MERCHANT", help="Only of this merchant 商户.")
    ] = "-",
    now: Annotated[
        bool, typer.Option("--now", help="Only what may be redeemed now 仅可兑换.")
    ] = False,
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists offers by merchant and id. 列出商品."""
    connection = Connection(server, token, ledger)
    found = ask(
        connection,
        connection.merchants,
        lambda client: first(client.list_offers(merchant, redeemable=now), limit),
    )
    of = ledger if merchant == "-" else merchant
    table = offers_table(found, f"Offers 商品 of {of}", with_merchant=merchant == "-")
    Console().print(table)


@app.command(epilog="Example: `timebank paycode wang-01`")
def paycode(
    member: Annotated[
        str,
        typer.Argument(metavar="MEMBER", help="Volunteer number 志愿者编号.", show_default=False),
    ],
    device: Annotated[str, typer.Option("--device", help="Device that shows it 设备.")] = DEVICE,
    qr: Annotated[bool, typer.Option("--qr/--no-qr", help="Draw it too 显示二维码.")] = True,
    bare: Bare = False,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Issues a payment code for a member; the one before it is void. 付款码."""
    connection = Connection(server, token, ledger)
    made = ask(
        connection,
        connection.merchants,
        lambda client: client.issue_payment_code(member, device=device),
    )
    if bare:
        typer.echo(made.code)
        return
    if qr:
        typer.echo(qr_text(made.code))
    expires = made.expire_time
    until = "" if expires is None else f", good until 有效至 {expires.astimezone(UTC):%H:%M:%S} UTC"
    typer.echo(f"Payment code 付款码: {code_text(made.code)}{until}")
