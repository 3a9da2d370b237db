"""Cases that run a command of `timebank` over many rows: the audit and the import.

Owns: the rows that are imported. Rules: a version without the command has no figure, and says so.
"""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from timebank.bench.audits import AUDIT, command_exists, timed
from timebank.bench.cases import Figure, Stage, case
from timebank.bench.servers import IMPORT_ORIGIN
from timebank.bench.stands import Stand
from timebank.client import LedgerClient

IMPORT = ("import", "timeoverflow")
IMPORT_LEDGER = "bench-import"
IMPORT_ROWS = 100_000
IMPORT_ACCOUNTS = 1_000
MIN_BALANCE_MINUTES = -1_000_000_000
FIRST_MOVEMENT = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = (
    "source_id",
    "source_type",
    "destination_id",
    "destination_type",
    "amount",
    "created_at",
    "reason",
    "post_id",
)


@case(
    "audit",
    "`timebank audit` of the log that the other cases wrote: entries a second",
    stage=Stage.BULK,
)
async def audit_log(stand: Stand) -> list[Figure]:
    """Measures the audit."""
    if not command_exists(*AUDIT):
        return [_absent("audit", stand, AUDIT)]
    city = await stand.city()
    size = await stand.log_size(city.ledger)
    arguments = [*AUDIT, "--config", str(stand.server.config), "--ledger", city.ledger]
    passed, elapsed_s = await timed(arguments, stand.folder / "audit.log")
    return [
        Figure(
            case="audit",
            database=stand.database,
            rate_per_s=size / elapsed_s,
            acknowledged=size,
            audit_passed=passed,
        )
    ]


@case(
    "import",
    f"`timebank import timeoverflow` of {IMPORT_ROWS:,} rows: rows a second",
    stage=Stage.BULK,
)
async def import_rows(stand: Stand) -> list[Figure]:
    """Measures the import of another system's history into a ledger of its own."""
    if not command_exists(*IMPORT):
        return [_absent("import", stand, IMPORT)]
    file = stand.folder / "transfers.csv"
    write_transfers(file, rows=IMPORT_ROWS)
    async with LedgerClient.connect(stand.server.address, ledger=IMPORT_LEDGER) as client:
        await client.create_ledger(display_name="Import 导入", log_origin=IMPORT_ORIGIN)
        before = (await client.checkpoint()).size
    arguments = [
        *IMPORT,
        str(file),
        *("--server", stand.server.address),
        *("--ledger", IMPORT_LEDGER),
        *("--min-balance", str(MIN_BALANCE_MINUTES)),
    ]
    done, elapsed_s = await timed(arguments, stand.folder / "import.log")
    grown = await stand.log_size(IMPORT_LEDGER) - before
    expected = IMPORT_ROWS + IMPORT_ACCOUNTS
    return [
        Figure(
            case="import",
            database=stand.database,
            rate_per_s=IMPORT_ROWS / elapsed_s,
            acknowledged=IMPORT_ROWS,
            failures=None if done else {"the command failed": 1},
            log_grew_exactly=grown == expected,
            audit_passed=await stand.audit(IMPORT_LEDGER),
            note="" if grown == expected else f"log grew by {grown:,}, expected {expected:,}",
        )
    ]


def write_transfers(file: Path, *, rows: int, accounts: int = IMPORT_ACCOUNTS) -> None:
    """Writes movements of whole minutes between accounts, each of which occurs."""
    draw = random.Random(7)
    with open(file, "w", newline="", encoding="utf-8") as output:
        table = csv.writer(output)
        table.writerow(COLUMNS)
        for row in range(rows):
            source = row % accounts
            destination = (source + draw.randrange(1, accounts)) % accounts
            created = FIRST_MOVEMENT + timedelta(minutes=5 * row)
            seconds = 60 * draw.randrange(1, 240)
            table.writerow(
                (
                    *(source + 1, "Account", destination + 1, "Account"),
                    *(seconds, created.isoformat(), f"help {row}", row),
                )
            )


def _absent(name: str, stand: Stand, command: tuple[str, ...]) -> Figure:
    return Figure(
        case=name,
        database=stand.database,
        rate_per_s=0.0,
        note=f"this version has no `timebank {' '.join(command)}`",
    )
