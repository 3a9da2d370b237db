"""Looking up facts, lists, sums and earnings for a batch, in a constant number of statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from ledger.domain.facts import FactKey, FactKind, TallyKey, listed_under
from ledger.domain.fold import Projections
from ledger.domain.register import (
    DAY_US,
    RATERS,
    RATING_COUNT,
    RATING_ROLES,
    RATING_SUM,
    RECORD_DAYS_MAX,
    Known,
    ListKey,
    SpanKey,
    Wants,
)
from ledger.store.batches import Loaded, Wanted, load
from ledger.store.hours_schema import FIRST_US
from timebank.database.statements import Plan, Read, Row

K = TypeVar("K")
_FACTS = """SELECT f.kind, f.fact_id, e.leaf FROM k CROSS JOIN facts f CROSS JOIN entries e
WHERE f.ledger_no = :ledger AND f.kind = k.k0 AND f.fact_id = k.k1
AND e.ledger_no = :ledger AND e.log_index = f.log_index"""
# From the first time on, so all: SQLite, which knows no numbers of rows, takes the index then.
_LISTS = f"""SELECT k.k0, f.kind, f.fact_id, e.leaf
FROM k CROSS JOIN facts f CROSS JOIN entries e
WHERE f.ledger_no = :ledger AND f.parent = k.k0 AND f.from_us >= {FIRST_US}
AND e.ledger_no = :ledger AND e.log_index = f.log_index"""
_SPANS = """SELECT k.k0, k.k3, k.k2, f.kind, f.fact_id, e.leaf
FROM k CROSS JOIN facts f CROSS JOIN entries e
WHERE f.ledger_no = :ledger AND f.parent = k.k0
AND f.from_us >= k.k1 AND f.from_us < k.k2 AND f.until_us > k.k3
AND e.ledger_no = :ledger AND e.log_index = f.log_index"""
_RATINGS = f"""SELECT t.subject, t.name, t.period, t.amount FROM k CROSS JOIN tallies t
WHERE t.ledger_no = :ledger AND t.subject = k.k0
AND t.name IN ('{RATING_COUNT}', '{RATING_SUM}', '{RATERS}')"""
_TALLIES = """SELECT t.subject, t.name, t.period, t.amount FROM k CROSS JOIN tallies t
WHERE t.ledger_no = :ledger AND t.subject = k.k0 AND t.name = k.k1 AND t.period = k.k2"""
_EARNED = """SELECT a.account_id, n.calendar_year, n.earned
FROM k CROSS JOIN accounts a CROSS JOIN earnings n
WHERE a.ledger_no = :ledger AND a.account_id = k.k0
AND n.ledger_no = :ledger AND n.account_no = a.account_no"""


_BATCH = """SELECT h.batch_id FROM k CROSS JOIN heads h
WHERE h.ledger_no = :ledger AND h.ledger_no = k.k0"""


def read_batch_id(ledger_no: int) -> Plan[bytes]:
    """Reads the id of the batch that was committed last: while it stands, nothing has changed."""
    rows = yield Read(_BATCH, ("int64",), [(ledger_no,)])
    found: bytes = rows[0][0]
    return found


class Found(NamedTuple):
    """What was looked up for some wants; `facts` are (kind, id, leaf)."""

    facts: list[tuple[int, str, bytes]]
    lists: dict[ListKey, list[str]]
    spans: dict[SpanKey, list[str]]
    tallies: dict[TallyKey, int]
    earned: dict[str, dict[int, int]]
    accounts: Loaded


def look_up(wants: Wants) -> Plan[Found]:
    """Looks everything up that is wanted."""
    facts = yield Read(_FACTS, ("int16", "text"), [(int(kind), name) for kind, name in wants.facts])
    lists = {listed_under(int(kind), parent): (kind, parent) for kind, parent in wants.lists}
    listed = yield Read(_LISTS, ("text",), [(under,) for under in lists])
    reach_us = RECORD_DAYS_MAX * DAY_US
    volunteers = {listed_under(FactKind.RECORD, name): name for name, _, _ in wants.spans}
    spans = [
        (listed_under(FactKind.RECORD, name), start - reach_us, end, start)
        for name, start, end in wants.spans
    ]
    in_spans = yield Read(_SPANS, ("text", "int64", "int64", "int64"), spans)
    tallies = yield Read(_TALLIES, ("text", "text", "text"), list(wants.tallies))
    ratings = yield Read(_RATINGS, ("text",), [(name,) for name in wants.ratings])
    earned = yield Read(_EARNED, ("text",), [(name,) for name in wants.earned])
    accounts = yield from load(Wanted(list(wants.accounts)))
    return Found(
        [
            *((row[0], row[1], row[2]) for row in facts),
            *((row[1], row[2], row[3]) for row in listed),
            *((row[3], row[4], row[5]) for row in in_spans),
        ],
        _grouped((lists[row[0]], row[2]) for row in listed),
        _grouped(((volunteers[row[0]], row[1], row[2]), row[4]) for row in in_spans),
        {(row[0], row[1], row[2]): row[3] for row in (*tallies, *ratings)},
        _years(earned),
        accounts,
    )


def _grouped(pairs: Iterable[tuple[K, str]]) -> dict[K, list[str]]:
    groups: dict[K, list[str]] = {}
    for key, name in pairs:
        groups.setdefault(key, []).append(name)
    return groups


def _years(rows: Iterable[Row]) -> dict[str, dict[int, int]]:
    years: dict[str, dict[int, int]] = {}
    for account_id, year, amount in rows:
        years.setdefault(account_id, {})[year] = amount
    return years


def take_found(
    state: Projections,
    wants: Wants,
    found: Found,
    read: Callable[[bytes, FactKey], Iterable[Known]],
) -> None:
    """Takes what was looked up into the register; what this batch changed counts on top."""
    register = state.register
    known: list[Known] = []
    for kind, fact_id, leaf in found.facts:
        known.extend(read(leaf, (FactKind(kind), fact_id)))
    register.take_facts(wants.facts, known)
    register.take_lists(wants.lists, found.lists)
    for span in wants.spans:
        register.spans[span] = found.spans.get(span, [])
    rated = [
        (name, what, role)
        for name in wants.ratings
        for what in (RATING_COUNT, RATING_SUM)
        for role in RATING_ROLES
    ]
    rated += [(name, RATERS, "") for name in wants.ratings]
    changes = state.tally_changes
    for key in (*wants.tallies, *rated):
        register.tallies.setdefault(key, found.tallies.get(key, 0) + changes.get(key, 0))
    for account_id in wants.earned:
        if account_id not in register.earned:
            register.earned[account_id] = dict(found.earned.get(account_id, {}))
            _add_earned(state, account_id)
    for account in found.accounts.accounts:
        state.accounts.setdefault(account.account_id, account)
    for hold in found.accounts.holds:
        state.holds.setdefault(hold.hold_id, hold)


def _add_earned(state: Projections, account_id: str) -> None:
    account = state.accounts.get(account_id)
    if account is None:
        return
    for (account_no, year), amount in state.earned.items():
        if account_no == account.no:
            state.register.earn(account_id, year, amount)
