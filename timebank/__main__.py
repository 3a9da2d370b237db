"""The `timebank` command: serving, migrating, and what each service adds for a terminal.

Owns: the commands of the runtime itself, and how a refusal looks: one line on stderr and exit code
1. Refuses: any service's commands; they are mounted from its own app.
Rules: what only a server needs is imported when one starts, so that other commands start fast.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger import audit_cli
from ledger import cli as ledger_cli
from merchant import audit_cli as merchant_audit_cli
from merchant import cli as merchant_cli
from timebank import keys_cli, protos_cli, verify_cli
from timebank.bench import cli as bench_cli
from timebank.config import Config, load_config, show_config
from timebank.errors import TimebankError
from timebank.settings import variable

if TYPE_CHECKING:
    from timebank.migrations import Version

FAILED = 1

app = typer.Typer(
    name="timebank",
    help="A time-bank ledger: hours, credits and points in a signed log. 时间银行",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(
    help="Look at the configuration. 配置", no_args_is_help=True, rich_markup_mode="markdown"
)
app.add_typer(config_app, name="config")
app.add_typer(keys_cli.app)
app.add_typer(verify_cli.app)
app.add_typer(protos_cli.app)
app.add_typer(ledger_cli.app)
app.add_typer(merchant_cli.app)
app.add_typer(bench_cli.app)
app.command(name="audit", epilog=audit_cli.EPILOG)(
    audit_cli.command(os.environ, others=(merchant_audit_cli.AUDIT,))
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"timebank {importlib.metadata.version('timebank')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """A time-bank ledger: hours, credits and points in a signed log. 时间银行."""


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="TIMEBANK_CONFIG",
        help="TOML file; without one, the embedded default: SQLite in data/, loopback. 配置文件",
    ),
]


@app.command(
    epilog="Examples: `timebank serve --config deploy/config/development.toml`, or with the "
    "environment `TIMEBANK_DATABASE__URL=postgresql://timebank@db/timebank timebank serve`"
)
def serve(
    config: ConfigFile = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port; PostgreSQL only. 进程数")
    ] = None,
    grpc_address: Annotated[
        str | None, typer.Option(help="Where callers connect, host:port. 服务地址")
    ] = None,
    http_address: Annotated[
        str | None, typer.Option(help="Where metrics and tiles are, host:port. 监控地址")
    ] = None,
) -> None:
    """Serves until SIGTERM or Ctrl-C, then ends the calls under way (启动服务)."""
    from timebank import server

    overrides = {
        "server.workers": workers,
        "server.grpc_address": grpc_address,
        "server.http_address": http_address,
    }
    loaded = load_config(config, os.environ, overrides)
    server.load_services(loaded.services)
    asyncio.run(_prepare(loaded))
    server.serve(loaded)


@app.command(
    name="migrate",
    epilog="Example: `timebank migrate --config deploy/config/production.toml`",
)
def migrate_database(
    config: ConfigFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 when serve would refuse.")
    ] = False,
) -> None:
    """Brings the tables of the database up to date, all steps or none (升级数据库)."""
    from timebank import server
    from timebank.migrations import refuse_unfit

    loaded = load_config(config, os.environ)
    server.load_services(loaded.services)
    before, after = asyncio.run(_migrate(loaded, check=check))
    table = Table("Service 服务", "Before 之前", "Now 现在", title_justify="left")
    for old, new in zip(before, after, strict=True):
        table.add_row(old.service, old.current or "none 无", new.current or "none 无")
    Console().print(table)
    refuse_unfit(after)


@config_app.command(name="show", epilog="Example: `timebank config show`")
def show(config: ConfigFile = None) -> None:
    """Shows every setting, its value, and where the value came from (查看配置)."""
    table = Table("Setting 设置", "Value 值", "From 来源", title_justify="left")
    for key, value, origin in show_config(config, os.environ):
        table.add_row(key, Text(value), Text(origin))
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"Environment variables are named like {variable('server.grpc_address')}.")


async def _prepare(config: Config) -> None:
    """Makes sure that the tables fit before anything listens."""
    from timebank.database import open_databases
    from timebank.migrations import prepare

    for service in config.services:
        database = config.database_of(service)
        databases = open_databases(database)
        try:
            await prepare(databases, [service], mode=database.migrate)
        finally:
            await databases.close()


async def _migrate(config: Config, *, check: bool) -> tuple[list[Version], list[Version]]:
    """Migrates unless told to check; gives the versions before and after."""
    from timebank.database import open_databases
    from timebank.migrations import migrate, read_versions

    before, after = [], []
    for service in config.services:
        databases = open_databases(config.database_of(service), exclusive=not check)
        try:
            old = await (read_versions if check else migrate)(databases, [service])
            before += old
            after += old if check else await read_versions(databases, [service])
        finally:
            await databases.close()
    return before, after


def main() -> None:
    """Runs the command line; a refusal is one line on stderr and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A terminal without Chinese shows question marks.
            stream.reconfigure(errors="replace")
    try:
        app()
    except TimebankError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
