"""Rebuilding the projections: every entry is folded once, and what is final is compared and
forgotten.

Memory grows with accounts, live holds and corrections, not with entries: postings are compared
while the log passes by, and a hold when it has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.audit.logs import Advance, broken_entry
from ledger.audit.rows import PAGE_ROWS, TableShape
from ledger.domain.fold import LedgerState, Projections
from ledger.domain.hold import Hold, HoldState
from ledger.leaf_pages import BrokenLeaf, PostingColumns, fold_page
from ledger.store import schema
from ledger.store.audit_reads import (
    HOLD_KEYS_MAX,
    columns,
    read_holds,
    read_leaves,
    read_postings,
)
from ledger.store.batches import hold_row
from timebank.audits import DifferenceFound, row_missing, row_surplus
from timebank.database.snapshots import Pages, Snapshot

POSTINGS = TableShape(
    "postings", ("log_index", "account_no", "amount", "balance_after", "effective_us"), 2
)
HOLDS = TableShape("holds", columns(schema.holds), 1)


class Rebuilt(NamedTuple):
    """What the log says, but for what was compared already; `ended_holds` counts those."""

    state: Projections
    postings: int
    ended_holds: int


async def rebuild(snapshot: Snapshot, ledger_no: int, size: int, advance: Advance) -> Rebuilt:
    """Folds a log of `size` entries, comparing postings and ended holds. Raises DifferenceFound."""
    state = Projections(LedgerState(""))
    pages = read_leaves(snapshot, ledger_no, size)
    stored = read_postings(snapshot, ledger_no)
    index = postings = ended_holds = 0
    while index < size:
        rows = await pages.take(PAGE_ROWS)
        if not rows:
            raise row_missing("entries", {"log_index": index})
        try:
            expected = fold_page(state, [row[0] for row in rows], index)
        except BrokenLeaf as broken:
            raise broken_entry(broken) from broken
        await _compare_postings(expected, stored)
        ended_holds += await _compare_ended_holds(snapshot, ledger_no, state)
        # Sums and the last word on each subject are those of the whole log: they alone stay.
        earned, fact_rows, tallies = state.earned, state.fact_rows, state.tally_changes
        state.clear_changes()
        state.earned, state.fact_rows, state.tally_changes = earned, fact_rows, tallies
        index += len(rows)
        postings += len(expected)
        advance(len(rows))
    surplus = await stored.take(1)
    if surplus:
        raise row_surplus("postings", POSTINGS.key_of(tuple(surplus[0])))
    return Rebuilt(state, postings, ended_holds)


async def _compare_postings(expected: list[PostingColumns], stored: Pages) -> None:
    if not expected:
        return
    expected.sort()
    rows = await stored.take(len(expected))
    if rows == expected:
        return
    found = POSTINGS.difference(expected, rows)
    if found is not None:
        raise found


async def _compare_ended_holds(snapshot: Snapshot, ledger_no: int, state: Projections) -> int:
    if not state.changed_holds:
        return 0
    ended = [hold for hold in state.changed_holds.values() if hold.state is not HoldState.ACTIVE]
    await compare_holds(snapshot, ledger_no, state, ended)
    for hold in ended:
        state.holds.pop(hold.hold_id, None)
    return len(ended)


async def compare_holds(
    snapshot: Snapshot, ledger_no: int, state: Projections, holds: Sequence[Hold]
) -> None:
    """Compares holds with their rows. Raises DifferenceFound."""
    for start in range(0, len(holds), HOLD_KEYS_MAX):
        part = holds[start : start + HOLD_KEYS_MAX]
        rows = await read_holds(snapshot, ledger_no, [hold.hold_id for hold in part])
        stored = {row[0]: row for row in rows}
        for hold in part:
            found = _hold_difference(hold, state, stored)
            if found is not None:
                raise found


def _hold_difference(
    hold: Hold, state: Projections, stored: dict[str, Sequence[object]]
) -> DifferenceFound | None:
    row = stored.get(hold.hold_id)
    if row is None:
        return row_missing("holds", {"hold_id": hold.hold_id})
    return HOLDS.difference([hold_row(hold, state.accounts[hold.account_id].no)], [row])
