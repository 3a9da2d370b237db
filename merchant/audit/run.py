"""One audit of the merchant service's database, from opening it to the report.

Owns the order of the checks: rows of nobody, every document by itself and what it says of others,
requests, batches and their files, what the ledger paid, and last the sums. Refuses writing: the
database is opened for reading, beside a server that runs. Rules: it goes on after a difference, up
to DIFFERENCES_MAX of them; memory holds a page of documents, and sums are kept on disk.
"""

from __future__ import annotations

import time

from merchant.audit.programmes import (
    DIFFERENCES_MAX,
    Enough,
    Head,
    ProgrammeAudit,
    Scope,
    tell,
)
from merchant.store.audit_reads import count_documents, read_programmes, read_strays
from timebank.audits import Report, Watcher, row_surplus
from timebank.config import DatabaseConfig
from timebank.database import Databases
from timebank.database.snapshots import Snapshot, reading_snapshot

TABLES = ("merchant_documents", "merchant_requests")


async def audit_database(
    database: DatabaseConfig, scope: Scope | None = None, *, watcher: Watcher | None = None
) -> Report:
    """Audits the programmes of a database. Writes nothing.

    Raises DATABASE_UNAVAILABLE.
    """
    report, scope = Report(), scope or Scope()
    started_s = time.perf_counter()
    async with reading_snapshot(database) as (databases, snapshot):
        try:
            await _audit(databases, snapshot, scope, report, watcher)
        except Enough:
            more = f"There are more: the first {DIFFERENCES_MAX} are shown. 未全部列出"
            report.notes.append(more)
    report.seconds = time.perf_counter() - started_s
    return report


async def _audit(
    databases: Databases,
    snapshot: Snapshot,
    scope: Scope,
    report: Report,
    watcher: Watcher | None,
) -> None:
    for table in TABLES:
        for row in await read_strays(snapshot, table):
            tell(report, row_surplus(table, {"ledger_no": row[0]}))
    for ledger_no, ledger_id, sequence, moved_us in await read_programmes(snapshot):
        if scope.ledger_id not in (None, ledger_id):
            continue
        if watcher is not None:
            watcher.start(ledger_id, await count_documents(snapshot, ledger_no))
        programme = ProgrammeAudit(databases, snapshot, (ledger_no, ledger_id), scope, report)
        try:
            await programme.run(Head(sequence, moved_us), watcher)
        finally:
            programme.sums.close()
