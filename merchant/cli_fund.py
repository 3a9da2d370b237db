"""`timebank budget` and `timebank fund`: what merchants may be promised, and what came in.

Owns: the command line of these. Refuses: spending, which needs two people, and every rule, which
the server keeps.
"""

from __future__ import annotations

import enum
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from merchant.cli_options import (
    FEN_MAX,
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    Connection,
    LedgerId,
    Limit,
    NameOf,
    Server,
    Token,
    ask,
    first,
)
from merchant.cli_shown import budgets_table, yuan
from timebank.client.merchant_views import IncomeSource

budget_app = typer.Typer(
    help="What of the special fund merchants may be promised 预算.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
fund_app = typer.Typer(
    help="The special fund 专项基金.", no_args_is_help=True, rich_markup_mode="markdown"
)


class SourceName(enum.StrEnum):
    """The sources of income by name, for options."""

    GOVERNMENT = "GOVERNMENT"
    DONATION = "DONATION"
    SPONSORSHIP = "SPONSORSHIP"

    @property
    def source(self) -> IncomeSource:
        """Gives the source."""
        return IncomeSource[self.value]


@budget_app.command(
    name="set",
    epilog="Example: `timebank budget set 2026 --name 2026年兑换预算 --limit-fen 5000000`",
)
def set_budget(
    budget: Annotated[str, typer.Argument(metavar="BUDGET", help="Id 编号.", show_default=False)],
    name: NameOf,
    limit_fen: Annotated[
        int,
        typer.Option(
            "--limit-fen", min=0, max=FEN_MAX, help="Most, in fen 额度（分）.", show_default=False
        ),
    ],
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Creates a budget, or changes its name and limit. 设置预算."""
    connection = Connection(server, token, ledger)
    made = ask(
        connection,
        connection.merchants,
        lambda client: client.set_budget(budget, display_name=name, limit_fen=limit_fen),
    )
    Console().print(budgets_table([made], f"Budget 预算 of {ledger}"))


@budget_app.command(name="list", epilog="Example: `timebank budget list`")
def list_budgets(
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists budgets by id. 列出预算."""
    connection = Connection(server, token, ledger)
    found = ask(
        connection, connection.merchants, lambda client: first(client.list_budgets(), limit)
    )
    Console().print(budgets_table(found, f"Budgets 预算 of {ledger}"))


@fund_app.command(
    name="income",
    epilog="Example: `timebank fund income 2026-01 --source GOVERNMENT --amount-fen 5000000 "
    "--reference BOC-20261130-17`",
)
def record_income(
    income: Annotated[str, typer.Argument(metavar="INCOME", help="Id 编号.", show_default=False)],
    source: Annotated[
        SourceName, typer.Option("--source", help="Where it comes from 来源.", show_default=False)
    ],
    amount_fen: Annotated[
        int,
        typer.Option(
            "--amount-fen", min=1, max=FEN_MAX, help="In fen 金额（分）.", show_default=False
        ),
    ],
    reference: Annotated[
        str,
        typer.Option("--reference", help="The bank's or donor's 凭证号.", show_default=False),
    ],
    earmark: Annotated[
        str, typer.Option("--earmark", help="What it may be used for 专款用途.")
    ] = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Records money that came into the special fund. 基金收入."""
    connection = Connection(server, token, ledger)
    made = ask(
        connection,
        connection.merchants,
        lambda client: client.record_income(
            income,
            source=source.source,
            amount_fen=amount_fen,
            reference=reference,
            earmark=earmark,
        ),
    )
    text = f"{made.name}: {yuan(made.amount_fen)} from {made.source}, entry 记录 {made.entry}"
    Console(soft_wrap=True).print(Text(text))
