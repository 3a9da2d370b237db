"""The merchant's part of the `timebank` command: shops, tills, offers, budgets, payment codes.

Owns: the options of tills, offers and payment codes, and mounting merchants (`merchant`), money
(`budget`, `fund`), the till (`pos`) and settlement (`settle`, `reconcile`). Refuses: every rule,
which the server keeps, and showing errors, which the root command does in one line.
"""

from __future__ import annotations

import enum
from datetime import UTC
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from merchant.cli_fund import budget_app, fund_app
from merchant.cli_merchants import merchant_app
from merchant.cli_options import (
    FEN_MAX,
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    Bare,
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
