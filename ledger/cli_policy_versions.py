"""`timebank policy`: the versions of a ledger's policy 积分政策: adopting, listing, replaying.

Owns: the command line of these. Refuses: what a policy means; `timebank policy check` says every
fault before anything is sent.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from ledger.cli_hours_options import RequestId, say
from ledger.cli_hours_shown import policies_table
from ledger.cli_options import (
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    Connection,
    LedgerId,
    Limit,
    Server,
    Token,
    ask,
    first,
    zone_of,
)
from ledger.cli_policy import PolicyFile, policy_app, policy_document, read_policy
from timebank.client import LedgerClient, PolicyView, ReplayView

__all__ = ["policy_app"]

Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="Version, e.g. weihai@2 版本.", show_default=False)
]


@policy_app.command(
    epilog="Examples: `timebank policy adopt weihai`, "
    "`timebank policy adopt weihai.json --replay` then `timebank policy replay weihai@2`"
)
def adopt(
    file: PolicyFile,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="It applies to the past: `policy replay` corrects 追溯适用."),
    ] = False,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Adopts a policy: the next version of the ledger's. 启用政策."""
    read_policy(file)
    document = policy_document(file)

    async def put(client: LedgerClient) -> PolicyView:
        return await client.adopt_policy(document, replay=replay, request_id=request_id)

    _show(Connection(server, token, ledger), [ask(Connection(server, token, ledger), put)])


@policy_app.command(
    epilog="Examples: `timebank policy versions`, `timebank policy versions weihai@2 > weihai.json`"
)
def versions(
    version: Annotated[
        str, typer.Argument(help="Write the document of this one 版本.", show_default=False)
    ] = "",
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists the versions of the ledger's policy, or writes the document of one. 政策版本."""
    connection = Connection(server, token, ledger)

    async def read(client: LedgerClient) -> list[PolicyView]:
        if version:
            return [await client.get_policy(version)]
        return await first(client.list_policies(), limit)

    found = ask(connection, read)
    if version:
        typer.echo(found[0].document)
    else:
        _show(connection, found)


@policy_app.command(epilog="Example: `timebank policy replay weihai@2 --ledger weihai`")
def replay(
    version: Version, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Corrects what was credited by a version adopted with --replay. 追溯更正.

    It may be stopped and run again: what is corrected already stays as it is.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Replaying 追溯更正")

        def tell(so_far: ReplayView) -> None:
            progress.update(task, description=_sums(so_far))

        async def go(client: LedgerClient) -> ReplayView:
            return await client.replay_policy(version, progress=tell)

        done = ask(Connection(server, token, ledger), go)
    say(f"{version}: {_sums(done)}")


def _sums(done: ReplayView) -> str:
    return f"{done.records:,} records looked at 已查, {done.corrected:,} corrected 已更正"


def _show(connection: Connection, policies: list[PolicyView]) -> None:
    async def zone_name(client: LedgerClient) -> str:
        return (await client.get_ledger()).time_zone

    zone = ask(connection, zone_name)
    title = f"Policies 政策 of {connection.ledger}"
    Console().print(policies_table(policies, zone_of(zone), title))
