"""The command `timebank bench`.

Owns: its options, and the order of databases and cases. Refuses: measuring; see
`timebank.bench.cases` and what registers there.
"""

import asyncio
import enum
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from timebank.bench import bulk, calls, growth, hours, merchants, posts, settlements
from timebank.bench.cases import CASES, EMPTY, Case, Figure, in_order
from timebank.bench.machine import Machine, this_machine
from timebank.bench.reports import as_json, show
from timebank.bench.stands import DATABASES, standing
from timebank.errors import Reason, TimebankError

SECONDS = 5.0
SECONDS_MIN = 0.1
SECONDS_MAX = 3_600.0
UNSOUND = 1
PAGE_CHARACTERS = 120
"""Width of the table when it does not go to a terminal."""
REGISTERED = (calls, posts, bulk, hours, merchants, settlements, growth)
"""Modules that register cases: importing them is what fills the registry."""

app = typer.Typer(rich_markup_mode="markdown")


class DatabaseChoice(enum.StrEnum):
    """Which databases to measure on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    BOTH = "both"


@app.command(
    epilog="Examples: `timebank bench`, "
    "`timebank bench --database sqlite --case post_unary --case post_batch_256 --seconds 10`, "
    "`timebank bench --json > figures.json`"
)
def bench(
    seconds: Annotated[
        float,
        typer.Option(
            min=SECONDS_MIN, max=SECONDS_MAX, help="How long each case is measured. 每项秒数"
        ),
    ] = SECONDS,
    database: Annotated[
        DatabaseChoice, typer.Option(help="Which database, started for the occasion. 数据库")
    ] = DatabaseChoice.BOTH,
    case: Annotated[
        list[str] | None,
        typer.Option(help="A case by name, repeatable; `empty` always runs first. 项目"),
    ] = None,
    as_one_object: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the table.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            exists=True,
            help="Where the data goes meanwhile: choose the disk you mean to use. 数据目录",
        ),
    ] = None,
    cases: Annotated[
        bool, typer.Option("--list", help="List the cases and measure nothing. 列出项目")
    ] = False,
) -> None:
    """Measures how fast this server is on this machine (性能测试).

    It starts its own servers and databases, in a folder that it removes afterwards, and touches no
    other. What counts are the ratios to `empty`, a call that does nothing. Exit code 1 when a call
    failed or a check did: the log must grow by exactly what was acknowledged.
    """
    if cases:
        show_cases()
        return
    chosen = choose(case or ())
    databases = DATABASES if database is DatabaseChoice.BOTH else (database.value,)
    machine = this_machine(directory or Path(tempfile.gettempdir()))
    figures = asyncio.run(_measure_all(databases, chosen, seconds, directory))
    if as_one_object:
        typer.echo(as_json(machine, seconds, figures))
    else:
        _print(machine, seconds, figures)
    if not all(figure.sound for figure in figures):
        raise typer.Exit(UNSOUND)


def choose(names: Sequence[str]) -> list[Case]:
    """Gives the cases to run, `empty` among them: it is what ratios are of.

    Raises VALIDATION_FAILED for an unknown name.
    """
    known = ", ".join(found.name for found in in_order())
    for name in names:
        if name not in CASES:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"--case: expected one of {known}, got {name!r}",
                field="case",
            )
    wanted = {*names, EMPTY} if names else {found.name for found in in_order() if found.by_default}
    return [found for found in in_order() if found.name in wanted]


def show_cases() -> None:
    """Prints the names of the cases and what each shows."""
    for found in in_order():
        extra = "" if found.by_default else " (only by name)"
        typer.echo(f"{found.name:16} {found.summary}{extra}")


async def _measure_all(
    databases: Sequence[str], cases: Sequence[Case], seconds: float, directory: Path | None
) -> list[Figure]:
    """Runs every case on every database, each database in a folder of its own."""
    figures: list[Figure] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
    with progress:
        task = progress.add_task("bench", total=len(databases) * len(cases))
        for database in databases:

            def tell(text: str, database: str = database) -> None:
                progress.update(task, description=f"{database}: {text}")

            with tempfile.TemporaryDirectory(prefix="timebank-bench-", dir=directory) as folder:
                async with standing(database, Path(folder), seconds=seconds, tell=tell) as stand:
                    for found in cases:
                        tell(found.name)
                        figures += await found.run(stand)
                        progress.advance(task)
    return figures


def _print(machine: Machine, seconds: float, figures: Sequence[Figure]) -> None:
    console = Console()
    show(
        console if console.is_terminal else Console(width=PAGE_CHARACTERS),
        machine,
        seconds,
        figures,
    )
