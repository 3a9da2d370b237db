"""Cases about a merchant's books: closing a business day, and reconciling it.

Owns: `settle` and `reconcile`, and `settle_apart` and `reconcile_apart` with ledger and merchant
service in two processes with a database each. Rules: what a case found is checked: the file of a
batch by the command that anybody checks it with, and both services by their audits; work items
against the differences that were made.
"""

from __future__ import annotations

import asyncio
import dataclasses
import urllib.request
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from timebank.bench.audits import timed
from timebank.bench.books import LEDGER, RATE, SHOP, Books, kept_books
from timebank.bench.cases import Figure, Stage, case
from timebank.bench.costs import Costs
from timebank.bench.servers import Server
from timebank.bench.stands import Stand
from timebank.bench.tables import (
    ADVICE_HEAD,
    JOURNAL_HEAD,
    Payment,
    Sale,
    Spoilt,
    days_before,
    payments_of,
    sales_of,
    spoil_advice,
    spoil_journal,
    table_of,
)
from timebank.client import LedgerClient
from timebank.client.names import Names
from timebank.client.settlement_views import BatchView, ReconciliationOutcome
from timebank.client.settlements import SettlementClient

DAYS = 5
SALES_A_DAY = 20_000
"""As many as one journal may have rows."""
MERCHANTS = 200
BATCH_DAYS = 500
"""Days of which each of the other merchants has one batch."""
NAMED_ONLY_DAYS = 100
"""They end so long ago that only an advice that names their batches asks for them."""
ADVICES = 5
PAGE_ITEMS = 1_000
CALL_TIMEOUT_S = 60.0
KEY_TIMEOUT_S = 10.0
ZONE = ZoneInfo("Asia/Shanghai")
LINES = DAYS * SALES_A_DAY


@case("settle", f"CloseBatch of {LINES:,} lines: lines a second", stage=Stage.BULK)
async def settle(stand: Stand) -> list[Figure]:
    """Measures closing a business day, and checks its file."""
    return [await _settled("settle", stand, apart=False)]


@case("settle_apart", "the same with the ledger in another process", stage=Stage.BULK)
async def settle_apart(stand: Stand) -> list[Figure]:
    """Measures closing a business day when the ledger is elsewhere."""
    return [await _settled("settle_apart", stand, apart=True)]


@case(
    "reconcile",
    f"{LINES:,} redemptions, rows of journals and rows of advices compared: rows a second",
    stage=Stage.BULK,
)
async def reconcile(stand: Stand) -> list[Figure]:
    """Measures the way from the first upload to the last work item."""
    return [await _reconciled("reconcile", stand, apart=False)]


@case("reconcile_apart", "the same with the ledger in another process", stage=Stage.BULK)
async def reconcile_apart(stand: Stand) -> list[Figure]:
    """Measures reconciliation when the ledger is elsewhere."""
    return [await _reconciled("reconcile_apart", stand, apart=True)]


async def _settled(name: str, stand: Stand, *, apart: bool) -> Figure:
    """Closes yesterday, which takes the sales of the days before too."""
    yesterday = _yesterday()
    sold = sales_of(days_before(yesterday, DAYS), SALES_A_DAY)
    rows = sum(map(len, sold))
    async with (
        kept_books(stand, name, apart=apart, sold=sold) as books,
        _ledger(books) as ledger,
        _settlements(books) as client,
    ):
        before = (await ledger.checkpoint()).size
        stand.tell(f"{name}: closing a day of {rows:,} lines")
        costs = Costs(stand, books.pair)
        batch = await client.close_batch(SHOP, yesterday.isoformat())
        measured = costs.figure(name, stand.database, rows)
        grown = (await ledger.checkpoint()).size - before
        points = sum(sale.points for part in sold for sale in part)
        wrong = await _wrong_in(batch, books, ledger, rows, points)
        stand.tell(f"{name}: checking the file")
        checked, elapsed_s = await _check_file(stand, books.pair.merchant, yesterday)
        wrong += [] if checked else ["file"]
        stand.tell(f"{name}: auditing")
        return dataclasses.replace(
            measured,
            failures={f"wrong {what}": 1 for what in wrong} or None,
            log_grew_exactly=grown == 1,
            audit_passed=await stand.audit(LEDGER, books.pair.servers),
            note=f"{measured.note}; file fetched and checked in {elapsed_s:.1f} s",
        )


async def _wrong_in(
    batch: BatchView, books: Books, ledger: LedgerClient, rows: int, points: int
) -> list[str]:
    """Names what a closed batch, and the shop's accounts after it, should say and do not."""
    left = await ledger.get_balance(books.shop.points_account)
    owed = await ledger.get_balance(books.shop.fund_account)
    expected = {
        "line count": (batch.line_count, rows),
        "points": (batch.net_points, points),
        "fen": (batch.net_fen, points * RATE // 100),
        "points left": (left.posted, 0),
        "fen owed": (owed.posted, batch.net_fen),
    }
    return [what for what, (got, wanted) in expected.items() if got != wanted]


async def _check_file(stand: Stand, server: Server, day: date) -> tuple[bool, float]:
    """Has `timebank settle` download and check the file of a closed day, with its signature."""
    # The address is that of a server which the benchmark started itself.
    url = f"http://{server.http_address}/settlement.vkey"
    key = await asyncio.to_thread(_read, url)
    arguments = ["settle", SHOP, "--date", day.isoformat(), "--vkey", key.strip()]
    options = ["--server", server.address, "--ledger", LEDGER]
    return await timed([*arguments, *options], stand.folder / "settle.log")


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=KEY_TIMEOUT_S) as answer:
        data: bytes = answer.read()
    return data.decode()


async def _reconciled(name: str, stand: Stand, *, apart: bool) -> Figure:
    """Sends journals and advices in, one after the other, and reads what is to be done."""
    yesterday = _yesterday()
    sold = sales_of(days_before(yesterday, DAYS), SALES_A_DAY)
    names = [f"{Names(LEDGER).ledger}/merchants/m-{number:03d}" for number in range(MERCHANTS)]
    old = days_before(yesterday - timedelta(days=NAMED_ONLY_DAYS), BATCH_DAYS)
    paid = payments_of(names, old, ADVICES)
    journals, advices = [spoil_journal(day) for day in sold], [spoil_advice(part) for part in paid]
    tables: list[Spoilt[Sale] | Spoilt[Payment]] = [*journals, *advices]
    rows = sum(map(len, sold)) + sum(len(table.rows) for table in tables)
    async with (
        kept_books(stand, name, apart=apart, sold=sold, paid=paid) as books,
        _settlements(books) as client,
    ):
        stand.tell(f"{name}: comparing {rows:,} rows")
        costs = Costs(stand, books.pair)
        matched, found = await _compare(client, journals, advices)
        measured = costs.figure(name, stand.database, rows)
        wrong = wrong_in(tables, matched, found)
        return dataclasses.replace(
            measured, failures={f"wrong {what}": 1 for what in wrong} or None
        )


def wrong_in(
    tables: Sequence[Spoilt[Sale] | Spoilt[Payment]],
    matched: int,
    found: Counter[ReconciliationOutcome],
) -> list[str]:
    """Says how a count of rows that agree, and work items, differ from what tables must come to."""
    expected = sum((table.outcomes for table in tables), Counter[ReconciliationOutcome]())
    agree = sum(table.matched_count for table in tables)
    wrong = [] if found == expected else [f"items {dict(found)}"]
    return wrong + ([] if matched == agree else [f"matched count {matched}, not {agree}"])


async def _compare(
    client: SettlementClient, journals: Sequence[Spoilt[Sale]], advices: Sequence[Spoilt[Payment]]
) -> tuple[int, Counter[ReconciliationOutcome]]:
    """Gives how many rows the service says agree, and its work items by outcome."""
    matched = 0
    for journal in journals:
        day = journal.rows[0].business_date
        content = table_of(JOURNAL_HEAD, journal.rows)
        said = await client.submit_journal(SHOP, content, start_date=day, end_date=day)
        matched += said.matched_count
    for advice in advices:
        said = await client.submit_advice(table_of(ADVICE_HEAD, advice.rows))
        matched += said.matched_count
    found = Counter[ReconciliationOutcome]()
    async for item in client.list_items("-", page_size=PAGE_ITEMS):
        found[item.outcome] += 1
    return matched, found


def _yesterday() -> date:
    return datetime.now(ZONE).date() - timedelta(days=1)


def _ledger(books: Books) -> LedgerClient:
    return LedgerClient.connect(books.pair.ledger.address, ledger=LEDGER)


def _settlements(books: Books) -> SettlementClient:
    address = books.pair.merchant.address
    return SettlementClient.connect(address, ledger=LEDGER, timeout_s=CALL_TIMEOUT_S)
