"""The ledger's part of the `timebank` command: post, balance, entries, accounts, and its groups.

Owns: the options of these commands. Refuses: every rule of the ledger, which the server keeps, and
showing errors, which the root command does in one line.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_certificates import app as certificates_app
from ledger.cli_demo import app as demo_app
from ledger.cli_export import app as export_app
from ledger.cli_import import app as import_app
from ledger.cli_ledgers import app as ledgers_app
from ledger.cli_members import app as members_app
from ledger.cli_options import (
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    AccountKindName,
    Connection,
    LedgerId,
    Limit,
    Server,
    Token,
    UnitName,
    ask,
    first,
    moment,
    zone_of,
)
from ledger.cli_policy_versions import policy_app
from ledger.cli_post import app as post_app
from ledger.cli_records import app as records_app
from ledger.cli_shown import accounts_table, balances_table, entries_table
from ledger.cli_stars import app as stars_app
from timebank.client import LedgerClient
from timebank.client.views import AccountView, Balance, EntryView
from timebank.errors import Reason, TimebankError

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(post_app)
app.add_typer(ledgers_app)
app.add_typer(import_app)
app.add_typer(export_app)
app.add_typer(policy_app)
app.add_typer(demo_app)
app.add_typer(members_app)
app.add_typer(records_app)
app.add_typer(stars_app)
app.add_typer(certificates_app)


@app.command(
    epilog="Examples: `timebank balance ACCOUNT --as-of-index 1000`, "
    "`timebank balance --holder member-17`"
)
def balance(
    account: Annotated[
        str | None, typer.Argument(help="Id or name of the account 账户.", show_default=False)
    ] = None,
    holder: Annotated[
        str | None, typer.Option("--holder", help="All accounts of this holder 持有人.")
    ] = None,
    as_of_index: Annotated[
        int | None,
        typer.Option("--as-of-index", min=0, help="As it was after this log entry 截至记录."),
    ] = None,
    as_of_time: Annotated[
        str | None,
        typer.Option("--as-of-time", help="As it was recorded by this moment 截至时间."),
    ] = None,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Shows the balance of an account, or of all accounts of a holder. 查询余额."""
    if (account is None) == (holder is None):
        raise _refusal("expected an ACCOUNT or --holder, one of the two", "account")
    if as_of_index is not None and as_of_time is not None:
        raise _refusal("expected --as-of-index or --as-of-time, not both", "as_of_index")

    async def collect(client: LedgerClient) -> list[Balance]:
        time = None
        if as_of_time is not None:
            zone = zone_of((await client.get_ledger()).time_zone)
            time = moment(as_of_time, "--as-of-time", zone, day_end=True)
        names = [account] if account is not None else []
        if holder is not None:
            names = [found.name async for found in client.list_accounts(holder=holder)]
            if not names:
                raise TimebankError(
                    Reason.ACCOUNT_NOT_FOUND,
                    f"no account of holder {holder} in ledger {ledger} that you may see; "
                    "`timebank accounts` lists those you may",
                    holder=holder,
                )
        size = None if as_of_index is None else as_of_index + 1
        return [
            await client.get_balance(name, as_of_log_size=size, as_of_recorded_time=time)
            for name in names
        ]

    balances = ask(Connection(server, token, ledger), collect)
    Console().print(balances_table(balances, f"Balances 余额 {holder or ''}".strip()))


@app.command(epilog="Example: `timebank entries --account ACCOUNT --limit 20`")
def entries(
    account: Annotated[str, typer.Option("--account", help="Only entries that move it 账户.")] = "",
    cause: Annotated[str, typer.Option("--cause", help="Only entries with this cause 原因.")] = "",
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="Oldest first; else newest first 从旧到新.")
    ] = False,
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists entries of the log. 查询记录."""

    async def collect(client: LedgerClient) -> tuple[list[EntryView], str]:
        found = client.list_entries(account=account, cause=cause, oldest_first=oldest_first)
        return await first(found, limit), (await client.get_ledger()).time_zone

    rows, zone = ask(Connection(server, token, ledger), collect)
    Console().print(entries_table(rows, zone_of(zone)))


@app.command(epilog="Example: `timebank accounts --holder member-17`")
def accounts(
    holder: Annotated[
        str, typer.Option("--holder", help="Only accounts of this holder 持有人.")
    ] = "",
    unit: Annotated[
        UnitName | None, typer.Option("--unit", help="Only accounts of this unit 单位.")
    ] = None,
    kind: Annotated[
        AccountKindName | None, typer.Option("--kind", help="Only accounts of this kind 类型.")
    ] = None,
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists accounts with their balances, in the order of their opening. 查询账户."""

    async def collect(client: LedgerClient) -> list[AccountView]:
        found = client.list_accounts(
            holder=holder,
            unit=None if unit is None else unit.unit,
            kind=None if kind is None else kind.kind,
        )
        return await first(found, limit)

    rows = ask(Connection(server, token, ledger), collect)
    Console().print(accounts_table(rows, f"Accounts 账户 of {ledger}"))


def _refusal(message: str, field: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message, field=field)
