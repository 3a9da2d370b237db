"""One audit from opening the database to the report.

Owns the order of the checks: rows of no ledger, the head, the log, what is rebuilt from it, the
kept checkpoint. The first difference ends it. Refuses writing: the database is opened for reading,
beside a server that runs.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from ledger.audit.invariants import check_invariants
from ledger.audit.logs import LogFacts, LogTask, check_log
from ledger.audit.processes import LogProcess
from ledger.audit.projections import compare_projections, refuse_rows_beyond
from ledger.audit.rebuild import Rebuilt, rebuild
from ledger.audit.stars import check_stars
from ledger.store.audit_reads import (
    committed_times,
    ledger_numbers,
    numbers_in,
    read_head,
    read_ledger,
)
from ledger.store.batches import Head
from ledger.store.hours_schema import SCHEMA_TABLES
from timebank.audits import (
    DifferenceFound,
    Report,
    Said,
    differs,
    row_missing,
    row_surplus,
)
from timebank.config import DatabaseConfig
from timebank.database.snapshots import Snapshot, reading_snapshot
from timebank.errors import Reason, TimebankError
from timebank.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from timebank.tlog.merkle import TREE_SIZE_MAX
from timebank.tlog.note import parse_note

PARALLEL_ENTRIES_MIN = 50_000
"""Below this the start of a second process costs more than it saves."""


class Kept(NamedTuple):
    """A checkpoint that somebody kept; without verifier keys the log's own facts are believed."""

    note: str
    vkeys: tuple[str, ...] = ()

    def claim(self) -> Checkpoint:
        """Reads what it says, unverified. Raises VALIDATION_FAILED when it is malformed."""
        return parse_checkpoint(parse_note(self.note).text)


class Watcher(Protocol):
    """Is told how far the two walks over a log are, in entries."""

    def start(self, ledger_id: str, size: int) -> None:
        """A ledger of `size` entries comes next."""
        ...

    def hashed(self, count: int) -> None:
        """So many more entries were hashed."""
        ...

    def folded(self, count: int) -> None:
        """So many more entries were folded."""
        ...


class Unwatched:
    """Shows nothing."""

    def start(self, ledger_id: str, size: int) -> None:
        """Shows nothing."""

    def hashed(self, count: int) -> None:
        """Shows nothing."""

    def folded(self, count: int) -> None:
        """Shows nothing."""


class _Target(NamedTuple):
    """A ledger to audit, and how."""

    database: DatabaseConfig
    snapshot: Snapshot
    ledger_no: int
    kept: Kept | None
    parallel_from: int


async def audit_database(
    database: DatabaseConfig,
    *,
    ledger_id: str | None = None,
    kept: Kept | None = None,
    watcher: Watcher | None = None,
    parallel_from: int = PARALLEL_ENTRIES_MIN,
) -> Report:
    """Audits a ledger, or all of them; with a kept checkpoint, that of its origin. Writes nothing.

    Raises DATABASE_UNAVAILABLE, LEDGER_NOT_FOUND, and VALIDATION_FAILED for a malformed checkpoint
    or verifier key.
    """
    report = Report()
    started_s = time.perf_counter()
    async with reading_snapshot(database) as (_, snapshot):
        try:
            numbers = await _find_ledgers(snapshot, ledger_id, kept)
            for number, name in numbers.items():
                target = _Target(database, snapshot, number, kept, parallel_from)
                await _audit_ledger(target, name, report, watcher or Unwatched())
        except DifferenceFound as found:
            report.differences.append(found.difference)
    report.seconds = time.perf_counter() - started_s
    return report


async def _find_ledgers(
    snapshot: Snapshot, ledger_id: str | None, kept: Kept | None
) -> dict[int, str]:
    """Lists the ledgers to audit by number, once every row is known to belong to one."""
    numbers = await ledger_numbers(snapshot)
    for table in SCHEMA_TABLES:
        for number in await numbers_in(snapshot, table):
            if number not in numbers:
                raise row_surplus(table.name, {"ledger_no": number})
    if ledger_id is not None:
        numbers = {number: name for number, name in numbers.items() if name == ledger_id}
    elif kept is not None and len(numbers) > 1:
        numbers = await _of_origin(snapshot, numbers, kept.claim().origin)
    if not numbers and (ledger_id is not None or kept is not None):
        wanted = ledger_id if ledger_id is not None else "with the origin of the checkpoint"
        raise TimebankError(
            Reason.LEDGER_NOT_FOUND, f"database: expected a ledger {wanted}, got none"
        )
    return numbers


async def _of_origin(snapshot: Snapshot, numbers: dict[int, str], origin: str) -> dict[int, str]:
    found = {}
    for number, name in numbers.items():
        row = await read_ledger(snapshot, number)
        if row is not None and row[3] == origin:
            found[number] = name
    return found


async def _audit_ledger(target: _Target, name: str, report: Report, watcher: Watcher) -> None:
    snapshot, ledger_no = target.snapshot, target.ledger_no
    head = await _read_head(snapshot, ledger_no)
    claim = target.kept.claim() if target.kept is not None else None
    if claim is not None:
        _check_kept_size(claim, head)
    watcher.start(name, head.size)
    facts, rebuilt = await _walk(target, head, claim, watcher)
    await refuse_rows_beyond(snapshot, ledger_no, head)
    await _check_commit(snapshot, ledger_no, head)
    report.entries += facts.entries
    report.count("entries", facts.entries)
    report.count("tiles", facts.tiles)
    report.count("texts", facts.texts)
    report.count("heads", 1)
    report.count("invariants", check_invariants(rebuilt.state))
    report.count("stars", check_stars(rebuilt.state))
    await compare_projections(snapshot, ledger_no, rebuilt, facts, report)
    if target.kept is not None and claim is not None:
        _check_kept(target.kept, claim, facts, rebuilt, report)


async def _read_head(snapshot: Snapshot, ledger_no: int) -> Head:
    head = await read_head(snapshot, ledger_no)
    key = {"ledger_no": ledger_no}
    if head is None:
        raise row_missing("heads", key)
    if type(head.size) is not int or not 0 <= head.size <= TREE_SIZE_MAX:
        raise differs("heads", key, "size", expected=Said("a number of entries"), got=head.size)
    return head


async def _walk(
    target: _Target, head: Head, claim: Checkpoint | None, watcher: Watcher
) -> tuple[LogFacts, Rebuilt]:
    """Walks the log twice, at once when it is long; what is wrong with the log itself comes
    first.
    """
    snapshot, ledger_no = target.snapshot, target.ledger_no
    task = LogTask(ledger_no, head, None if claim is None else claim.size)
    if head.size < target.parallel_from:
        facts = await check_log(snapshot, task, watcher.hashed)
        return facts, await rebuild(snapshot, ledger_no, head.size, watcher.folded)
    process = LogProcess(target.database, snapshot.name, task)

    def folded(count: int) -> None:
        watcher.folded(count)
        process.poll(watcher.hashed)

    try:
        try:
            rebuilt = await rebuild(snapshot, ledger_no, head.size, folded)
        except DifferenceFound:
            process.result(watcher.hashed)
            raise
        return process.result(watcher.hashed), rebuilt
    finally:
        process.close()


async def _check_commit(snapshot: Snapshot, ledger_no: int, head: Head) -> None:
    """Checks that the head was written by a batch that was committed, for leaves do not name it."""
    key = {"ledger_no": ledger_no}
    if not head.size and not head.batch_id:
        return
    times = await committed_times(snapshot, ledger_no, head.batch_id)
    if times != [head.recorded_us]:
        wanted = Said(f"the id of a batch committed at {head.recorded_us} us")
        raise differs("heads", key, "batch_id", expected=wanted, got=head.batch_id)


def _check_kept_size(claim: Checkpoint, head: Head) -> None:
    if claim.size > head.size:
        wanted = Said(f"at least the {claim.size} of the checkpoint")
        raise differs("heads", {"origin": claim.origin}, "size", expected=wanted, got=head.size)


def _check_kept(
    kept: Kept, claim: Checkpoint, facts: LogFacts, rebuilt: Rebuilt, report: Report
) -> None:
    """Checks the kept checkpoint: its origin, its signature, and its root at its size."""
    ledger = rebuilt.state.ledger
    key = {"origin": claim.origin, "size": claim.size}
    if claim.origin != ledger.log_origin:
        raise differs("checkpoint", key, "origin", expected=ledger.log_origin, got=claim.origin)
    try:
        open_checkpoint(kept.note, kept.vkeys or ledger.verifier_keys)
    except TimebankError as error:
        wanted = Said("a signature by a key of the log")
        raise differs(
            "checkpoint", key, "signature", expected=wanted, got=Said(error.message)
        ) from error
    if claim.root != facts.cut_root:
        raise differs("checkpoint", key, "root", expected=claim.root, got=facts.cut_root)
    report.count("checkpoint", 1)
    if not kept.vkeys:
        report.notes.append(
            "The checkpoint was verified with the keys that the log itself names: give --vkey with"
            " one kept elsewhere, for who rewrites a log can name another key. 建议使用另存的公钥"
        )
