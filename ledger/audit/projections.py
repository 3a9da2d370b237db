"""Comparing every table that the log determines with what the rebuild gives, row by row and column
by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.audit.logs import LogFacts
from ledger.audit.rebuild import Rebuilt, compare_holds
from ledger.audit.rows import PAGE_ROWS, TableShape
from ledger.domain.account import Account
from ledger.domain.entry import EntryKind
from ledger.domain.fold import LedgerState, Projections
from ledger.leaf import decode
from ledger.leaf_pages import UNREADABLE
from ledger.store import hours_schema, schema
from ledger.store.audit_reads import (
    columns,
    count_rows,
    keys,
    read_leaf,
    read_ledger,
    read_table,
    rows_beyond,
    tiles_beyond,
)
from ledger.store.batches import Head, account_row, balance_row, ledger_row
from timebank.audits import Report, row_missing, row_surplus
from timebank.database.snapshots import Snapshot, every_row
from timebank.tlog.tiles import TILE_LEVEL_MAX, full_tiles


async def compare_projections(
    snapshot: Snapshot, ledger_no: int, rebuilt: Rebuilt, facts: LogFacts, report: Report
) -> None:
    """Compares what a rebuild left in memory with its tables. Raises DifferenceFound."""
    state = rebuilt.state
    await _compare_ledger(snapshot, ledger_no, state.ledger, facts)
    report.count("ledgers", 1)
    accounts = sorted(state.accounts.values(), key=_number)
    expected: dict[str, Iterator[Sequence[object]]] = {
        "accounts": (account_row(account) for account in accounts),
        "balances": (balance_row(account) for account in accounts),
        "lots": _lot_rows(accounts),
        "corrections": _correction_rows(state),
    }
    for name, rows in expected.items():
        table = schema.metadata.tables[name]
        shape = TableShape(name, columns(table), len(keys(table)))
        stored = read_table(snapshot, ledger_no, table, keys(table))
        report.count(name, await shape.compare(rows, stored))
    report.count("facts", await _compare_facts(snapshot, ledger_no, state))
    for name, sums in (("earnings", state.earned), ("tallies", state.tally_changes)):
        report.count(name, await _compare_sums(snapshot, ledger_no, name, sums))
    report.count("holds", await _compare_holds(snapshot, ledger_no, rebuilt))
    report.count("postings", rebuilt.postings)


async def refuse_rows_beyond(snapshot: Snapshot, ledger_no: int, head: Head) -> None:
    """Finds rows of the log that the head does not cover. Raises DifferenceFound."""
    for table in (schema.entries, schema.texts):
        found = await rows_beyond(snapshot, ledger_no, table, head.size)
        if found:
            raise row_surplus(table.name, dict(zip(keys(table), found[0], strict=True)))
    full = [full_tiles(level, head.size) for level in range(TILE_LEVEL_MAX)]
    tiles = await tiles_beyond(snapshot, ledger_no, [count for count in full if count])
    if tiles:
        raise row_surplus("tiles", dict(zip(keys(schema.tiles), tiles[0], strict=True)))


async def _compare_ledger(
    snapshot: Snapshot, ledger_no: int, state: LedgerState, facts: LogFacts
) -> None:
    row = await read_ledger(snapshot, ledger_no)
    if row is None:
        raise row_missing("ledgers", {"ledger_no": ledger_no})
    shape = TableShape("ledgers", columns(schema.ledgers), 0)
    if facts.entries:
        state.ledger_id = facts.ledger_id
    else:
        # A ledger that was announced and not yet created: its log says nothing of it.
        state.ledger_id, state.log_origin = row[0], row[3]
    found = shape.difference([ledger_row(state)], [row])
    if found is not None:
        found.difference = found.difference.of_row({"ledger_no": str(ledger_no)})
        raise found


def _number(account: Account) -> int:
    return account.no


def _lot_rows(accounts: Sequence[Account]) -> Iterator[Sequence[object]]:
    for account in accounts:
        for lot in account.lots:
            yield account.no, lot.expires_us, lot.remaining, lot.reserved


def _correction_rows(state: Projections) -> Iterator[Sequence[object]]:
    for index in sorted(state.corrections):
        correction = state.corrections[index]
        yield index, correction.reversed_by, correction.refunded


async def _compare_facts(snapshot: Snapshot, ledger_no: int, state: Projections) -> int:
    table = hours_schema.facts
    shape = TableShape(table.name, columns(table), len(keys(table)))
    stored = read_table(snapshot, ledger_no, table, keys(table))
    return await shape.compare((row for _, row in sorted(state.fact_rows.items())), stored)


async def _compare_sums(
    snapshot: Snapshot, ledger_no: int, name: str, sums: Mapping[Any, int]
) -> int:
    """Compares running sums; what sums to 0 may have a row or none."""
    table = schema.metadata.tables[name]
    shape = TableShape(table.name, columns(table), len(keys(table)))
    stored = read_table(snapshot, ledger_no, table, keys(table))
    kept = []
    async for row in every_row(stored, PAGE_ROWS):
        found = tuple(row)
        if found[-1] != 0 or sums.get(found[:-1]) != 0:
            kept.append(found)
    rows = [(*key, amount) for key, amount in sorted(sums.items()) if amount]
    difference = shape.difference(rows, kept)
    if difference is not None:
        raise difference
    return len(rows)


async def _compare_holds(snapshot: Snapshot, ledger_no: int, rebuilt: Rebuilt) -> int:
    live = list(rebuilt.state.holds.values())
    await compare_holds(snapshot, ledger_no, rebuilt.state, live)
    expected = rebuilt.ended_holds + len(live)
    if await count_rows(snapshot, ledger_no, schema.holds) != expected:
        await _find_surplus_hold(snapshot, ledger_no)
    return expected


async def _find_surplus_hold(snapshot: Snapshot, ledger_no: int) -> None:
    """Names the hold that no entry created: the entry it points at does not say so."""
    listed = columns(schema.holds)
    created, hold_id = listed.index("created_index"), listed.index("hold_id")
    stored = read_table(snapshot, ledger_no, schema.holds, ["created_index"])
    seen: object = None
    async for row in every_row(stored, PAGE_ROWS):
        index = row[created]
        leaf = await read_leaf(snapshot, ledger_no, index) if type(index) is int else None
        if leaf is None or row[hold_id] != _created_hold(leaf) or seen == row[hold_id]:
            raise row_surplus("holds", {"hold_id": row[hold_id]})
        seen = row[hold_id]
    raise row_surplus("holds", {"hold_id": None})


def _created_hold(data: bytes) -> str | None:
    try:
        entry = decode(data)
    except UNREADABLE:
        return None
    return entry.hold_changes[0].hold_id if entry.kind is EntryKind.HOLD_CREATED else None
