"""`timebank import`: histories of other systems into the ledger.

Owns: the options and the last line. Refuses: everything else (see ledger/imports).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_import_records import app as records_app
from ledger.cli_options import LEDGER, SERVER, Connection, LedgerId, Server, Token, run, zone_of
from ledger.imports.mapped import MappedRows, parse_mapping
from ledger.imports.runs import MakeReader, RunOptions, run_import
from ledger.imports.timeoverflow import TimeOverflowRows
from timebank.errors import Reason, TimebankError

SALT_BYTES = 8
COLLECTION_OBJECTS = 200_000
SOURCE_CHARACTERS_MAX = 40
CONTINUE = (
    "Nothing is lost: run the same command again to continue where it stopped. 再次运行即可继续"
)

app = typer.Typer(
    name="import",
    help="Bring the history of another system into a ledger. 导入历史数据",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(records_app)

File = Annotated[Path, typer.Argument(help="The file to import 文件.", show_default=False)]
MinBalance = Annotated[
    int,
    typer.Option(
        "--min-balance",
        help="Lowest balance in minutes that holders may have: 0 allows no debt, -600 ten hours "
        "of it. 允许的最低余额（分钟）",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Check everything, write nothing; needs no server. 试运行"),
]
Errors = Annotated[
    Path | None,
    typer.Option("--errors", help="Write every row not imported to this CSV. 错误明细文件"),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of the file; by itself UTF-8 or GB18030. 编码"),
]
RetryDeclined = Annotated[
    bool,
    typer.Option(
        "--retry-declined",
        help="Ask again for rows that the ledger declined in an earlier run, e.g. because an "
        "account was frozen. 重试被拒绝的行",
    ),
]


@app.command(
    epilog="Example: `timebank import timeoverflow transfers.csv --ledger weihai "
    "--min-balance -600 --errors refused.csv`"
)
def timeoverflow(
    file: File,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
    min_balance: MinBalance = 0,
    dry_run: DryRun = False,
    errors: Errors = None,
    encoding: Encoding = None,
    retry_declined: RetryDeclined = False,
) -> None:
    """Imports TimeOverflow's transfers as TIME. 导入 TimeOverflow 转账记录.

    Columns: source_id, source_type, destination_id, destination_type, amount (seconds),
    created_at, reason, post_id. Every (type, id) gets a TIME account 时间币账户; nothing touches
    HOURS 服务时长, which only verified service earns.

    Rows are booked in the order of the file. Rows that move 0 seconds are skipped and counted. A
    fraction of a minute, a negative amount or too low a balance makes a row an error; the other
    rows are still imported, and the command ends with exit code 1.

    The same file can be imported again: a row is known by its content and by how many equal rows
    stand above it, so two equal rows in one file both count, and none counts twice.
    """
    now = datetime.now(UTC)
    options = RunOptions(
        path=file,
        ledger=ledger,
        min_balance=min_balance,
        dry_run=dry_run,
        errors=errors,
        encoding=encoding,
        salt=_salt(retry_declined),
    )
    _import(
        options,
        lambda first: TimeOverflowRows(first, now=now),
        Connection(server, token, ledger),
    )


@app.command(
    name="csv",
    epilog="Example: `timebank import csv 服务记录.csv --dry-run "
    '--map "志愿者=to,时长=amount_minutes"`',
)
def mapped(
    file: File,
    mapping: Annotated[
        str,
        typer.Option(
            "--map",
            help="What columns mean: `HEADING=MEANING,...` with from, to, amount_minutes, "
            "amount_hours, amount_seconds, time, reason, reference. 列的含义",
        ),
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="Name of the other system; references are unique within it. 来源系统",
        ),
    ] = "csv",
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone of times without one. 时区")
    ] = "Asia/Shanghai",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
    min_balance: MinBalance = 0,
    dry_run: DryRun = False,
    errors: Errors = None,
    encoding: Encoding = None,
    retry_declined: RetryDeclined = False,
) -> None:
    """Imports any CSV of TIME movements. 导入 CSV.

    Usual headings are understood by themselves, in English and Chinese: 转出, 转入, 志愿者,
    时长(分钟), 时长(小时), 日期, 备注, 编号 ... Where there is no giver, or no receiver, the public
    time pool 公共时间池 is it, and it must hold what it gives. A holder's existing TIME account is
    used when there is one; ids that could name a person are replaced by a hash.

    A row with a reference 编号 is booked once for each reference; a row without one is known by its
    content and by how many equal rows stand above it. Importing a file again books nothing twice.
    """
    now = datetime.now(UTC)
    columns, times_in = parse_mapping(mapping), zone_of(zone)
    name = _source(source)
    options = RunOptions(
        path=file,
        ledger=ledger,
        min_balance=min_balance,
        dry_run=dry_run,
        errors=errors,
        encoding=encoding,
        adopt=True,
        salt=_salt(retry_declined),
    )
    _import(
        options,
        lambda first: MappedRows(first, mapping=columns, source=name, zone=times_in, now=now),
        Connection(server, token, ledger),
    )


def _import(options: RunOptions, make_reader: MakeReader, connection: Connection) -> None:
    """Runs an import; exit code 1 when a row was not imported."""
    work = run_import(
        options,
        make_reader,
        connection.open,
        shown=Console(),
        progress_shown=Console(stderr=True),
    )
    try:
        with _few_collections():
            result = run(work, interrupted=f"interrupted. {CONTINUE}")
    except TimebankError as error:
        if error.reason in (Reason.DATABASE_UNAVAILABLE, Reason.DEADLINE_PASSED):
            typer.echo(CONTINUE, err=True)
        raise
    if result.errors:
        raise typer.Exit(1)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collects cyclic garbage rarely: rows make none, and looking for it takes a fifth of the
    time.
    """
    before = gc.get_threshold()
    gc.set_threshold(COLLECTION_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _source(name: str) -> str:
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not (plain.isascii() and plain.isalnum() and len(name) <= SOURCE_CHARACTERS_MAX):
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"--source: expected 1 to {SOURCE_CHARACTERS_MAX} letters, digits, '-', '_' or '.', "
            f"got {name[:60]!r}",
            field="source",
        )
    return name


def _salt(fresh: bool) -> str:
    return os.urandom(SALT_BYTES).hex() if fresh else ""
