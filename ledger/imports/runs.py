"""One run of an import from file to sums, with its progress shown.

Owns: the order of the steps and what is shown while they go on. Refuses: options of the command
line (see ledger/cli_import.py).
Rules: the whole file is checked before anything is written; a dry run writes nothing and needs no
server; a run that ends early says that running it again continues.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ledger.imports.balances import RunningBalances
from ledger.imports.booking import Booker, BookingCount
from ledger.imports.history import ErrorSink, History, RowReader, Survey, open_table
from ledger.imports.openings import ImportLedger, Openings
from ledger.imports.reports import ErrorLog, advice, summary
from timebank.client.views import LedgerView
from timebank.errors import Reason, TimebankError

MakeReader = Callable[[list[str]], RowReader]
"""Makes the reader of a file from its first row."""


class RunLedger(ImportLedger, Protocol):
    """What a run needs of the ledger's client."""

    async def get_ledger(self) -> LedgerView:
        """Gets the ledger."""


Connect = Callable[[], AbstractAsyncContextManager[RunLedger]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is told. `min_balance` in minutes, 0 or negative; `adopt`: use accounts that the
    holders have already; `salt` makes declined rows new requests.
    """

    path: Path
    ledger: str
    min_balance: int = 0
    dry_run: bool = False
    errors: Path | None = None
    encoding: str | None = None
    adopt: bool = False
    salt: str = ""

    @property
    def seed(self) -> str:
        """Gives what request ids are made from beside natural keys."""
        return "\0".join((self.ledger, str(self.min_balance), self.salt, ""))

    def __post_init__(self) -> None:
        if self.min_balance > 0:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"--min-balance: expected minutes, 0 or negative, got {self.min_balance}",
                field="min_balance",
            )


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did; `errors` rows were not imported."""

    survey: Survey
    count: BookingCount
    errors: int


async def run_import(
    options: RunOptions,
    make_reader: MakeReader,
    connect: Connect,
    *,
    shown: Console,
    progress_shown: Console,
) -> RunResult:
    """Imports a file and shows its errors and sums.

    Raises VALIDATION_FAILED for a file that is no table of movements, OPENING_CLOSED when the
    ledger takes no imports any more, and what else the ledger refuses as a whole.
    """
    table, first = open_table(options.path, options.encoding)
    history = History(options.path, table, make_reader(first))
    with ErrorLog(options.errors) as log:
        with _progress(progress_shown) as progress:
            checking = progress.add_task("Checking 检查", total=table.size_bytes)
            survey = history.survey(log.add, lambda at: progress.update(checking, completed=at))
            progress.update(checking, completed=table.size_bytes)
            if options.dry_run:
                count = rehearse(history, survey, options.min_balance, log.add)
            else:
                count = await _book(options, history, survey, log.add, connect, progress)
        if log.count:
            shown.print(log.table())
        shown.print(summary(survey, count, errors=log.count, dry_run=options.dry_run))
        for line in advice(survey, options.min_balance, dry_run=options.dry_run):
            shown.print(line, soft_wrap=True, markup=False, highlight=False)
        return RunResult(survey, count, log.count)


def rehearse(history: History, survey: Survey, min_balance: int, report: ErrorSink) -> BookingCount:
    """Carries the movements out on balances of its own that start at 0; writes nothing."""
    count = BookingCount()
    balances = RunningBalances(min_balance=min_balance)
    for booking in history.bookings(survey, report):
        if booking is None:
            count.repeated += 1
        elif error := balances.take(booking.movement):
            count.declined += 1
            report(error)
        else:
            count.booked += 1
    return count


async def _book(
    options: RunOptions,
    history: History,
    survey: Survey,
    report: ErrorSink,
    connect: Connect,
    progress: Progress,
) -> BookingCount:
    async with connect() as client:
        ledger = await client.get_ledger()
        if ledger.opening_closed:
            raise TimebankError(
                Reason.OPENING_CLOSED,
                f"{ledger.name} takes no imports since its opening was closed",
                ledger=ledger.name,
            )
        holders = list(survey.holders)
        opening = progress.add_task("Accounts 账户", total=len(holders))
        openings = Openings(client, seed=options.seed, min_balance=options.min_balance)
        await openings.open(
            holders, adopt=options.adopt, advance=lambda more: progress.advance(opening, more)
        )
        progress.update(opening, completed=len(holders))
        booking = progress.add_task("Booking 导入", total=survey.movements)
        booker = Booker(
            client,
            openings.accounts,
            available=openings.available,
            seed=options.seed,
            min_balance=options.min_balance,
        )
        return await booker.book(
            history.bookings(survey, report),
            report,
            advance=lambda more: progress.advance(booking, more),
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=False,
    )
