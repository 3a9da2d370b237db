"""`python -m merchant.cli_rehearsal`: fills a programme with a history that was never lived.

For measuring and rehearsing settlement and reconciliation with very many rows; it is no command of
`timebank`. Owns: making the redemptions and lines that a journal speaks of, and the closed batches
that an advice of payments speaks of. Refuses: the ledger's side, which the caller enters himself.
Rules: everything is written by the programme's own writer, a page of rows in one transaction, and
budgets agree with redemptions afterwards. A SQLite file must have no server on it.
"""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import functools
import hashlib
import itertools
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import typer

from merchant.domain.business_days import DAY_US, to_us
from merchant.domain.documents import Batch, Capture, Merchant, Redemption
from merchant.domain.redemption_effects import put_redemption
from merchant.domain.settlement_rules import BatchState, find_merchant
from merchant.domain.states import RedemptionState
from merchant.domain.transactions import Transaction
from merchant.names import batch_from_name
from merchant.sequencer import Request, Rule, Sequencer
from merchant.store.programmes import find_programme
from merchant.usecases.redemptions import redemption_id_of
from timebank.clock import SystemClock
from timebank.config import MerchantDatabaseConfig, load_config
from timebank.database import open_databases
from timebank.database.sessions import open_session
from timebank.errors import Reason, TimebankError

PAGE_ROWS = 5_000
"""Rows of one transaction."""
ZONE = "Asia/Shanghai"
"""Of programmes that are filled; their merchants' days end at midnight."""
STEP_US = 1_000_000
"""Sales of one day follow each other by so much, so a day has room for 86,400."""
_Item = TypeVar("_Item")

app = typer.Typer(no_args_is_help=True)
Files = Annotated[list[Path], typer.Argument(help="CSV files, in the order of their days.")]
ConfigFile = Annotated[Path, typer.Option("--config", help="TOML file of the server.")]
LedgerId = Annotated[str, typer.Option("--ledger", help="Id of the ledger.")]


class Sale(NamedTuple):
    """One row of a journal, the entry of the ledger that paid it, and how many of its day came
    before it.
    """

    merchant_ref: str
    business_date: str
    points: int
    entry: str
    place: int


@app.command()
def sales(
    files: Files,
    config: ConfigFile,
    ledger: LedgerId,
    merchant: Annotated[str, typer.Option("--merchant", help="Id of the merchant.")],
) -> None:
    """Makes a captured redemption, not settled yet, of each row of journals that have a column
    more: the entry of the ledger.
    """
    pages = _pages(_sales(_rows(files)))
    rules = (functools.partial(sell, merchant_id=merchant, sold=page) for page in pages)
    _fill(config, ledger, rules)


@app.command()
def batches(files: Files, config: ConfigFile, ledger: LedgerId) -> None:
    """Makes a closed batch, not paid yet, of each row of advices; one point is one fen in it."""
    pages = _pages(_rows(files))
    _fill(config, ledger, (functools.partial(settle, paid=page) for page in pages))


def sell(transaction: Transaction, *, merchant_id: str, sold: list[Sale]) -> Merchant:
    """Writes redemptions that were captured, each as of its own time, with all that it does."""
    merchant = find_merchant(transaction, merchant_id)
    for sale in sold:
        start_us = _midnight_us(sale.business_date)
        past = dataclasses.replace(transaction, now_us=start_us + sale.place * STEP_US)
        put_redemption(past, None, redemption_of(merchant, sale, past.now_us), ZONE)
    return merchant


def redemption_of(merchant: Merchant, sale: Sale, now_us: int) -> Redemption:
    """Makes a redemption as a till leaves it that was paid at once."""
    redemption_id = redemption_id_of(merchant.merchant_id, sale.merchant_ref)
    digest = hashlib.sha256(redemption_id.encode()).hexdigest()
    return Redemption(
        *(redemption_id, sale.merchant_ref, digest, RedemptionState.CAPTURED, now_us),
        terminal=f"{merchant.merchant_id}/t1",
        offer=f"{merchant.merchant_id}/goods",
        quantity=1,
        price_version=1,
        member_id=f"m-{digest[:5]}",
        payer_account=digest[:26],
        amount=sale.points,
        captured=sale.points,
        redeems=True,
        budget=merchant.budget,
        fen_per_hundred_points=merchant.fen_per_hundred_points,
        captures=(Capture(sale.entry, sale.points),),
    )


def settle(transaction: Transaction, *, paid: list[dict[str, str]]) -> Batch:
    """Writes batches that are closed and wait for the bank."""
    for row in paid:
        _, merchant_id, own_id = batch_from_name(row["batch"])
        batch = batch_of(merchant_id, own_id, int(row["paid_fen"]))
        transaction.put(batch)
    return batch


def batch_of(merchant_id: str, own_id: str, fen: int) -> Batch:
    """Makes a batch of one line that was closed at the end of its business day."""
    date, _, sequence = own_id.rpartition("-")
    closed_us = _midnight_us(date) + DAY_US
    digest = hashlib.sha256(f"{merchant_id}/{own_id}".encode()).hexdigest()
    return Batch(
        *(f"{merchant_id}/{own_id}", date, int(sequence), BatchState.CLOSED, 100, closed_us),
        line_count=1,
        redeemed_points=fen,
        net_points=fen,
        net_fen=fen,
        file_sha256=digest,
        entry=digest[:26],
        closed_us=closed_us,
        settled_us=closed_us,
    )


def _midnight_us(business_date: str) -> int:
    """Gives the start of a business date that ends at midnight."""
    return to_us(datetime.fromisoformat(business_date).replace(tzinfo=ZoneInfo(ZONE)))


def _rows(files: Iterable[Path]) -> Iterator[dict[str, str]]:
    for file in files:
        with open(file, newline="", encoding="utf-8") as source:
            yield from csv.DictReader(source)


def _sales(rows: Iterable[dict[str, str]]) -> Iterator[Sale]:
    for date, sold in itertools.groupby(rows, key=lambda row: row["business_date"]):
        for place, row in enumerate(sold):
            points = int(row["captured_amount"])
            yield Sale(row["merchant_ref"], date, points, row["entry"], place)


def _pages(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    left = iter(items)
    while page := list(itertools.islice(left, PAGE_ROWS)):
        yield page


def _fill(config: Path, ledger_id: str, rules: Iterable[Rule]) -> None:
    database = load_config(config, {}).merchant_database
    asyncio.run(_carry_out(database, ledger_id, rules))


async def _carry_out(
    database: MerchantDatabaseConfig, ledger_id: str, rules: Iterable[Rule]
) -> None:
    """Has the programme's writer carry out rules. Raises LEDGER_NOT_FOUND without a programme."""
    databases = open_databases(database)
    try:
        number = await find_programme(databases.reader, ledger_id)
        if number is None:
            raise TimebankError(Reason.LEDGER_NOT_FOUND, f"no programme of ledger {ledger_id}")
        writer = Sequencer(
            number,
            ledger_id,
            session=open_session(databases),
            clock=SystemClock(),
            random_bytes=secrets.token_bytes,
        )
        running = asyncio.create_task(writer.run())
        try:
            for rule in rules:
                await writer.submit(Request(rule))
        finally:
            await writer.close()
            await running
    finally:
        await databases.close()


if __name__ == "__main__":
    app()
