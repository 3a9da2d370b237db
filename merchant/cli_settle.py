"""`timebank settle` and `timebank reconcile`: a merchant's day is closed, checked and compared.

Owns: the command line of these, and checking a settlement file against its batch. Refuses: the form
of the file (see merchant.domain.settlement_files). Rules: a file that does not check is not given
its name: it stays beside it as `.part`.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from merchant.cli_options import (
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    ZONE,
    Connection,
    LedgerId,
    Limit,
    MerchantId,
    Server,
    Token,
    Zone,
    ask,
    date_of,
    read_input,
    refusal,
    yesterday,
    zone_of,
)
from merchant.cli_shown import batch_table, items_table, outcomes_table
from merchant.domain.detached_signatures import parse_detached_jws
from merchant.domain.settlement_files import CHUNK_BYTES, SettlementFile, read_settlement_file
from timebank.client.settlement_views import (
    BatchState,
    BatchView,
    ReconciliationItemView,
    SubmissionView,
)
from timebank.client.settlements import SettlementClient
from timebank.errors import Reason, TimebankError
from timebank.signing import Verifier

KEYS_MAX = 100
PART = ".part"
HAS_FILE = (BatchState.CLOSED, BatchState.PAID)
ITEMS_MAX = 100_000

app = typer.Typer(rich_markup_mode="markdown")


@app.command(
    epilog="Examples: `timebank settle barber`, "
    "`timebank settle barber --date 2026-11-30 --file barber.csv --vkey weihai.vkey`"
)
def settle(
    merchant: MerchantId,
    date: Annotated[
        str, typer.Option("--date", help="Business day, by default yesterday 营业日.")
    ] = "",
    file: Annotated[
        Path | None, typer.Option("--file", help="Where its file goes 结算文件.")
    ] = None,
    vkey: Annotated[
        str, typer.Option("--vkey", help="Verifier key that signed it, or a file of some 公钥.")
    ] = "",
    zone: Zone = ZONE,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Closes a business day, shows what is owed, and checks the file. 结算."""
    day = date_of(date, "--date") if date else yesterday(zone_of(zone))
    verifiers = _verifiers(vkey)
    connection = Connection(server, token, ledger)
    console = Console()

    async def close(client: SettlementClient) -> BatchView:
        return await client.close_batch(merchant, day)

    batch = ask(connection, connection.settlements, close)
    console.print(batch_table(batch))
    if batch.state not in HAS_FILE:
        console.print(Text(f"No file yet 尚无文件: the batch is {batch.state}"))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = file if file is not None else Path(folder) / "settlement.csv"
        part = path.with_name(path.name + PART)

        with open(part, "wb") as out:

            async def download(client: SettlementClient) -> None:
                async for piece in client.download(batch.name):
                    out.write(piece)

            ask(connection, connection.settlements, download)
        for line in check_file(part, batch, verifiers):
            console.print(Text(line))
        if file is not None:
            os.replace(part, file)
            console.print(Text(f"File 文件: {file}"))


@app.command(
    epilog="Examples: `timebank reconcile till-1.csv --merchant barber`, "
    "`timebank reconcile till-1.csv --merchant barber --advice bank.csv --start 2026-11-01 "
    "--end 2026-11-30`"
)
def reconcile(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The merchant's journal, CSV 商户流水.")
    ],
    merchant: Annotated[
        str, typer.Option("--merchant", help="Id of the merchant 商户.", show_default=False)
    ],
    advice: Annotated[
        Path | None, typer.Option("--advice", help="The bank's advice of payments, CSV 付款回单.")
    ] = None,
    start: Annotated[
        str, typer.Option("--start", help="First complete day; else the file's first 起始日.")
    ] = "",
    end: Annotated[
        str, typer.Option("--end", help="Last complete day; else the file's last 截止日.")
    ] = "",
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Compares a merchant's journal, the ledger and what was paid. 对账."""
    content = read_input(file, "FILE")
    paid = None if advice is None else read_input(advice, "--advice")
    first_day, last_day = period_of(content, start, end)
    connection = Connection(server, token, ledger)
    console = Console()
    steps = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )

    async def compare(
        client: SettlementClient,
    ) -> tuple[SubmissionView, SubmissionView | None, list[ReconciliationItemView]]:
        with steps:
            step = steps.add_task("Journal 流水", total=2 if paid is None else 3)
            journal = await client.submit_journal(
                merchant, content, start_date=first_day, end_date=last_day
            )
            steps.advance(step)
            answered = None
            if paid is not None:
                steps.update(step, description="Advice 回单")
                answered = await client.submit_advice(paid)
                steps.advance(step)
            steps.update(step, description="Differences 差异")
            found = client.list_items(merchant, start_date=first_day, end_date=last_day)
            items: list[ReconciliationItemView] = []
            async for item in found:
                items.append(item)
                if len(items) == ITEMS_MAX:
                    break
            steps.advance(step)
        return journal, answered, items

    journal, answered, items = ask(connection, connection.settlements, compare)
    _show_submission(console, "Journal 流水", journal)
    if answered is not None:
        _show_submission(console, "Advice 回单", answered)
    if items:
        console.print(items_table(items[:limit]))
        if len(items) > limit:
            console.print(Text(f"... and {len(items) - limit:,} more; --limit shows them"))
    matched = journal.matched_count + (0 if answered is None else answered.matched_count)
    console.print(outcomes_table(items, matched))


def check_file(path: Path, batch: BatchView, verifiers: list[Verifier]) -> list[str]:
    """Checks a downloaded file against its batch, and says in lines what was checked.

    Raises VALIDATION_FAILED for the first thing that is wrong.
    """
    found = read_settlement_file(_chunks(path), previous_sha256=batch.previous_file_sha256)
    _check_totals(found, batch)
    lines = [
        f"File checked 文件已核对: {found.totals.line_count:,} lines, "
        f"{found.totals.points:,} points, {found.totals.fen:,} fen; SHA-256 and chain agree"
    ]
    if not batch.file_signature:
        return [*lines, "Signature 签名: none 无"]
    signed = parse_detached_jws(batch.file_signature)
    message = signed.signing_input(found.sha256)
    if not verifiers:
        Verifier.from_text(signed.kid).verify(message, signed.signature)
        return [
            *lines,
            f"Signature 签名: valid for the key that it names, {signed.kid}",
            "Whose key that is, only the published one tells 未核对发布者: give it with --vkey",
        ]
    for verifier in verifiers:
        if _has_signed(verifier, message, signed.signature):
            return [*lines, f"Signature verified 签名有效: {verifier.key.name}"]
    raise TimebankError(
        Reason.VALIDATION_FAILED,
        f"signature of {batch.name}: expected one by a key of --vkey, got one by {signed.kid}",
    )


def period_of(content: bytes, start: str, end: str) -> tuple[str, str]:
    """Gives the first and the last day of a journal: what was said, else what stands in it.

    Raises VALIDATION_FAILED when a date is none, or nothing says it.
    """
    first_day = date_of(start, "--start") if start else ""
    last_day = date_of(end, "--end") if end else ""
    if first_day and last_day:
        return first_day, last_day
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        days = sorted({row["business_date"] for row in rows if row.get("business_date")})
    except (UnicodeDecodeError, csv.Error) as error:
        raise refusal("FILE: expected CSV in UTF-8; or say --start and --end", "start") from error
    if not days:
        raise refusal("FILE: expected rows with a business_date; or say --start and --end", "start")
    return (
        first_day or date_of(days[0], "business_date"),
        last_day or date_of(days[-1], "business_date"),
    )


def _has_signed(verifier: Verifier, message: bytes, signature: bytes) -> bool:
    try:
        verifier.verify(message, signature)
    except TimebankError:
        return False
    return True


def _check_totals(found: SettlementFile, batch: BatchView) -> None:
    pairs: list[tuple[str, object, object]] = [
        ("file_sha256", batch.file_sha256, found.sha256),
        ("business_date", batch.business_date, found.header.business_date),
        ("sequence", batch.sequence, found.header.sequence),
        ("line_count", batch.line_count, found.totals.line_count),
        ("net_points", batch.net_points, found.totals.points),
        ("net_minutes", batch.net_minutes, found.totals.minutes),
        ("net_fen", batch.net_fen, found.totals.fen),
    ]
    for field, expected, got in pairs:
        if expected != got:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"file of {batch.name}: {field}: expected {expected} as the batch says, got {got}",
                field=field,
            )


def _show_submission(console: Console, title: str, view: SubmissionView) -> None:
    console.print(
        Text(
            f"{title}: {view.row_count:,} rows, {view.accepted_count:,} counted 计入, "
            f"{view.rejected_count:,} refused 拒收"
        )
    )
    for row, message in view.errors:
        console.print(Text(f"  row {row}: {message}"))


def _chunks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _verifiers(vkey: str) -> list[Verifier]:
    """Reads verifier keys: one as text, or a file with one a line. Raises VALIDATION_FAILED."""
    if not vkey:
        return []
    path = Path(vkey)
    texts = [vkey]
    if path.is_file():
        texts = path.read_text(encoding="utf-8").split()
    if not 1 <= len(texts) <= KEYS_MAX:
        raise refusal(f"--vkey: expected 1 to {KEYS_MAX} verifier keys, got {len(texts)}", "vkey")
    return [Verifier.from_text(text) for text in texts]
