"""The books of the benchmark: a shop's sales that no batch has taken, and batches not paid yet.

Owns: a site with a ledger and a merchant service that know them. Rules: the ledger's side of sales
is entered first, an entry for each, so that both audits pass; then the merchant service's side is
written by its own writer, in bulk and while no server runs. Batches are made up: no ledger has
entries of them, and so nobody audits them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from timebank.bench.city import in_chunks
from timebank.bench.processes import run_to_end
from timebank.bench.servers import BOOKS_ORIGIN
from timebank.bench.shops import each
from timebank.bench.sites import Pair, Site
from timebank.bench.stands import Stand
from timebank.bench.tables import (
    ADVICE_HEAD,
    JOURNAL_HEAD,
    Payment,
    Sale,
    write_tables,
)
from timebank.bench.workloads import TIMEOUT_S
from timebank.client import AccountKind, EntryKind, LedgerClient, OpenAccount, Post, Unit, move
from timebank.client.merchant_views import IncomeSource, MerchantCategory, MerchantView
from timebank.client.merchants import MerchantClient
from timebank.errors import Reason, TimebankError

LEDGER = "bench-books"
SHOP = "shop"
BUDGET = "bench"
RATE = 85
"""Fen for a hundred points: most lines leave a remainder."""
LIMIT_FEN = 10**12
PAYERS = 100
FILL = "merchant.cli_rehearsal"
FILL_HEAD = f"{JOURNAL_HEAD},entry"


class Books(NamedTuple):
    """The servers of the books, and the shop's accounts."""

    pair: Pair
    shop: MerchantView


@asynccontextmanager
async def kept_books(
    stand: Stand,
    name: str,
    *,
    apart: bool,
    sold: Sequence[Sequence[Sale]],
    paid: Sequence[Sequence[Payment]] = (),
) -> AsyncIterator[Books]:
    """Makes a site whose shop sold so much, by day, and whose other merchants have closed batches
    that come to what is paid for them; runs it until the block ends. Sales are entered in the
    ledger unless there are such batches.
    """
    site = await stand.site(name, apart=apart)
    merchant_ids = sorted({_merchant_of(payment) for part in paid for payment in part})
    stand.tell(f"{name}: opening {len(merchant_ids) + 1:,} merchants")
    async with site.running() as pair, _merchants(pair) as merchants:
        await _open(pair, merchants, merchant_ids)
        shop = await merchants.get_merchant(SHOP)
        entries = [""] * sum(map(len, sold))
        if not paid:
            stand.tell(f"{name}: entering {len(entries):,} sales")
            entries = await _enter(pair, merchants, shop, [sale for day in sold for sale in day])
    stand.tell(f"{name}: filling the books")
    await _fill(site, sold, entries, paid)
    async with site.running() as pair:
        yield Books(pair, shop)


async def _open(pair: Pair, merchants: MerchantClient, merchant_ids: Sequence[str]) -> None:
    """Creates the ledger, the shop with its budget, and the other merchants."""
    async with LedgerClient.connect(pair.ledger.address, ledger=LEDGER) as ledger:
        await ledger.create_ledger(display_name="Benchmark 账册", log_origin=BOOKS_ORIGIN)
    await merchants.set_budget(BUDGET, display_name="Benchmark", limit_fen=LIMIT_FEN)

    async def open_one(merchant_id: str) -> None:
        await merchants.create_merchant(
            merchant_id,
            display_name="Benchmark 商户",
            category=MerchantCategory.DISCOUNT,
            fen_per_hundred_points=RATE,
            budget=BUDGET,
        )

    await each([SHOP, *merchant_ids], open_one)


async def _enter(
    pair: Pair, merchants: MerchantClient, shop: MerchantView, sales: Sequence[Sale]
) -> list[str]:
    """Enters what was paid for each sale, and the money to settle it with; gives the entries'
    names.
    """
    points = sum(sale.points for sale in sales)
    await merchants.record_income(
        "bench", source=IncomeSource.GOVERNMENT, amount_fen=points * RATE, reference="bench"
    )
    address = pair.ledger.address
    async with LedgerClient.connect(address, ledger=LEDGER, timeout_s=TIMEOUT_S) as ledger:
        payers = await _open_payers(ledger, points)
        paid = [
            Post(
                kind=EntryKind.REDEMPTION,
                postings=move(
                    debit=payers[number % PAYERS],
                    credit=shop.points_account,
                    unit=Unit.POINTS,
                    amount=sale.points,
                ),
                cause=f"redemptions/{SHOP}/{_digest(sale.merchant_ref)}",
            )
            for number, sale in enumerate(sales)
        ]
        names: list[str] = []
        async for results in in_chunks(ledger, paid):
            names += [result.entry for chain in results for result in chain.results]
    return names


async def _open_payers(ledger: LedgerClient, points: int) -> list[str]:
    """Opens accounts of members who have so many points each; gives their names."""
    openings = [
        OpenAccount(holder=f"payer-{number}", unit=Unit.POINTS, kind=AccountKind.MEMBER)
        for number in range(PAYERS)
    ]
    payers: list[str] = []
    async for results in in_chunks(ledger, openings):
        payers += [result.results[0].account or "" for result in results]
    issuance = await anext(ledger.list_accounts(kind=AccountKind.ISSUANCE, unit=Unit.POINTS))
    grants = [
        Post(
            kind=EntryKind.OPENING_BALANCE,
            postings=move(debit=issuance.name, credit=payer, unit=Unit.POINTS, amount=points),
        )
        for payer in payers
    ]
    async for _ in in_chunks(ledger, grants):
        pass
    return payers


def _digest(merchant_ref: str) -> str:
    """Gives the own id of the redemption of a merchant's reference."""
    return hashlib.sha256(merchant_ref.encode()).hexdigest()[:32]


async def _fill(
    site: Site,
    sold: Sequence[Sequence[Sale]],
    entries: Sequence[str],
    paid: Sequence[Sequence[Payment]],
) -> None:
    """Writes what the merchant service knows. Raises DATABASE_UNAVAILABLE when that fails."""
    config = site.merchant_config
    folder = config.parent
    of_ledger = ["--config", str(config), "--ledger", LEDGER]
    names = iter(entries)
    entered = [[(*sale, next(names)) for sale in day] for day in sold]
    journals = write_tables(folder, "journal", FILL_HEAD, entered)
    await _run("sales", journals, [*of_ledger, "--merchant", SHOP], folder)
    if paid:
        await _run("batches", write_tables(folder, "advice", ADVICE_HEAD, paid), of_ledger, folder)


async def _run(command: str, files: Sequence[Path], options: Sequence[str], folder: Path) -> None:
    log = folder / "fill.log"
    arguments = [command, *map(str, files), *options]
    code, _ = await asyncio.to_thread(run_to_end, FILL, arguments, log)
    if code:
        text = f"bench: {FILL} {command} failed: {log.read_text(encoding='utf-8').strip()}"
        raise TimebankError(Reason.DATABASE_UNAVAILABLE, text)


def _merchants(pair: Pair) -> MerchantClient:
    return MerchantClient.connect(pair.merchant.address, ledger=LEDGER, timeout_s=TIMEOUT_S)


def _merchant_of(payment: Payment) -> str:
    """Takes the merchant's id out of the name of a payment's batch."""
    return payment.batch.split("/")[3]
