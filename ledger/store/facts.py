"""Looking up facts, lists, sums and earnings for a batch, in a constant number of statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from ledger.domain.facts import KINDS, FactKind, TallyKey
from ledger.domain.fold import Projections
from ledger.domain.register import DAY_US, RECORD_DAYS_MAX, DayKey, Known, ListKey, Wants
from ledger.store.batches import Loaded, Wanted, load
from ledger.store.statements import Plan, Read, Row

K = TypeVar("K")
_FACTS = """SELECT f.kind, f.fact_id, e.leaf FROM k CROSS JOIN facts f CROSS JOIN entries e
WHERE f.ledger_no = :ledger AND f.kind = k.k0 AND f.fact_id = k.k1
AND e.ledger_no = :ledger AND e.log_index = f.log_index"""
_LISTS = """SELECT f.kind, f.parent, f.fact_id FROM k CROSS JOIN facts f
WHERE f.ledger_no = :ledger AND f.kind = k.k0 AND f.parent = k.k1"""
_DAYS = f"""SELECT k.k0, k.k1, f.fact_id FROM k CROSS JOIN facts f
WHERE f.ledger_no = :ledger AND f.kind = {FactKind.RECORD:d} AND f.parent = k.k0
AND f.from_us >= k.k2 AND f.from_us < k.k4 AND f.until_us > k.k3"""
_TALLIES = """SELECT t.subject, t.name, t.period, t.amount FROM k CROSS JOIN tallies t
WHERE t.ledger_no = :ledger AND t.subject = k.k0 AND t.name = k.k1 AND t.period = k.k2"""
_EARNED = """SELECT a.account_id, n.calendar_year, n.earned
FROM k CROSS JOIN accounts a CROSS JOIN earnings n
WHERE a.ledger_no = :ledger AND a.account_id = k.k0
AND n.ledger_no = :ledger AND n.account_no = a.account_no"""


class Found(NamedTuple):
    """What was looked up for some wants."""

    facts: list[tuple[int, str, bytes]]
    lists: dict[ListKey, list[str]]
    days: dict[DayKey, list[str]]
    tallies: dict[TallyKey, int]
    earned: dict[str, dict[int, int]]
    accounts: Loaded


def look_up(wants: Wants) -> Plan[Found]:
    """Looks everything up that is wanted."""
    facts = yield Read(_FACTS, ("int16", "text"), [(int(kind), name) for kind, name in wants.facts])
    listed = yield Read(
        _LISTS, ("int16", "text"), [(int(kind), name) for kind, name in wants.lists]
    )
    day_keys = [_day_key(volunteer, day) for volunteer, day in wants.days]
    on_days = yield Read(_DAYS, ("text", "int64", "int64", "int64", "int64"), day_keys)
    tallies = yield Read(_TALLIES, ("text", "text", "text"), list(wants.tallies))
    earned = yield Read(_EARNED, ("text",), [(name,) for name in wants.earned])
    accounts = yield from load(Wanted(list(wants.accounts)))
    return Found(
        [(row[0], row[1], row[2]) for row in facts],
        _grouped(((row[0], row[1]), row[2]) for row in listed),
        _grouped(((row[0], row[1]), row[2]) for row in on_days),
        {(row[0], row[1], row[2]): row[3] for row in tallies},
        _years(earned),
        accounts,
    )


def _day_key(volunteer: str, day: int) -> tuple[str, int, int, int, int]:
    start_us = day * DAY_US
    return volunteer, day, start_us - RECORD_DAYS_MAX * DAY_US, start_us, start_us + DAY_US


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
    state: Projections, wants: Wants, found: Found, read: Callable[[bytes], Iterable[Known]]
) -> None:
    """Takes what was looked up into the register; what this batch changed counts on top."""
    register = state.register
    known: list[Known] = []
    for kind, fact_id, leaf in found.facts:
        known.extend(item for item in read(leaf) if _is(item, kind, fact_id))
    register.take_facts(wants.facts, known)
    for list_key in wants.lists:
        register.take_list(list_key, found.lists.get((int(list_key[0]), list_key[1]), ()))
    for day_key in wants.days:
        register.take_day(day_key, found.days.get(day_key, ()))
    for tally_key in wants.tallies:
        changed = state.tally_changes.get(tally_key, 0)
        register.tallies.setdefault(tally_key, found.tallies.get(tally_key, 0) + changed)
    for account_id in wants.earned:
        if account_id not in register.earned:
            register.earned[account_id] = dict(found.earned.get(account_id, {}))
            _add_earned(state, account_id)
    for account in found.accounts.accounts:
        state.accounts.setdefault(account.account_id, account)
    for hold in found.accounts.holds:
        state.holds.setdefault(hold.hold_id, hold)


def _is(known: Known, kind: int, fact_id: str) -> bool:
    return known.fact[0] == fact_id and kind == KINDS[type(known.fact)]


def _add_earned(state: Projections, account_id: str) -> None:
    account = state.accounts.get(account_id)
    if account is None:
        return
    for (account_no, year), amount in state.earned.items():
        if account_no == account.no:
            state.register.earn(account_id, year, amount)
