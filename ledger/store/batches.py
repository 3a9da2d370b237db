"""What a batch reads and writes, as plans: the head, earlier answers, the rows it needs, and all
its changes.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ledger.domain.account import Account, AccountKind, AccountState, Lot
from ledger.domain.entry import EntryKind
from ledger.domain.fold import Correction, LedgerState, Projections
from ledger.domain.hold import Hold, HoldKind, HoldState
from ledger.domain.outcomes import Decline, Text
from ledger.store import hours_schema, schema
from timebank.database.statements import Lock, Plan, Read, Row, Rows, Write
from timebank.units import Unit


class Head(NamedTuple):
    """The committed end of a log; `clock_us` is the clock of a database that has its own."""

    size: int
    root: bytes
    frontier: bytes
    recorded_us: int
    batch_id: bytes
    clock_us: int | None = None


_HEAD_COLUMNS = len(Head._fields)


def lock_head(lookup: Read | None = None) -> Lock:
    """Takes the head of the ledger: who has it is the only writer."""
    return Lock("heads", Head._fields[:-1], lookup)


class Opened(NamedTuple):
    """What the lock gave: the head, and what earlier requests of the same keys got."""

    head: Head
    entries_by_request: dict[bytes, bytes]
    declines: dict[bytes, tuple[bytes, bytes]]
    entries_by_natural: dict[tuple[EntryKind, str], bytes]


class Wanted(NamedTuple):
    """Ids of what a batch needs and does not have in memory."""

    account_ids: Sequence[str] = ()
    hold_ids: Sequence[str] = ()
    entry_indexes: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.account_ids or self.hold_ids or self.entry_indexes)


class Loaded(NamedTuple):
    """Rows of what was wanted; unknown ids are missing."""

    accounts: list[Account]
    holds: list[Hold]
    leaves: dict[int, bytes]
    corrections: list[Correction]


class WrittenEntry(NamedTuple):
    """One row of the log."""

    log_index: int
    kind: int
    recorded_us: int
    request_key: bytes | None
    natural_key: str | None
    cause: str | None
    leaf: bytes


class Tile(NamedTuple):
    """A full tile: 256 hashes, and the root above them."""

    level: int
    tile_index: int
    hashes: bytes
    root: bytes


_BY_REQUEST = """SELECT e.request_key, e.leaf, CAST(NULL AS BYTEA) FROM k CROSS JOIN entries e
WHERE e.ledger_no = :ledger AND e.request_key = k.k0
UNION ALL SELECT d.request_key, d.fingerprint, d.error FROM k CROSS JOIN declines d
WHERE d.ledger_no = :ledger AND d.request_key = k.k0"""
_BY_NATURAL = """SELECT e.kind, e.natural_key, e.leaf FROM k CROSS JOIN entries e
WHERE e.ledger_no = :ledger AND e.kind = k.k0 AND e.natural_key = k.k1"""
_BY_INDEX = """SELECT e.log_index, e.leaf FROM k CROSS JOIN entries e
WHERE e.ledger_no = :ledger AND e.log_index = k.k0"""
_CORRECTIONS = """SELECT c.original_index, c.reversed_by, c.refunded FROM k CROSS JOIN corrections c
WHERE c.ledger_no = :ledger AND c.original_index = k.k0"""
ACCOUNT_COLUMNS = """a.account_no, a.account_id, a.holder, a.unit, a.kind, a.opened_us, a.state,
a.min_balance, a.max_balance, a.debt_limit, b.posted, b.held, b.debt, b.changed_index"""
"""Columns of accounts `a` and balances `b` in the order of `account_from_row`."""
_ACCOUNTS = f"""SELECT {ACCOUNT_COLUMNS} FROM k CROSS JOIN accounts a CROSS JOIN balances b
WHERE a.ledger_no = :ledger AND a.account_id = k.k0
AND b.ledger_no = :ledger AND b.account_no = a.account_no"""
_ACCOUNTS_BY_NO = f"""SELECT {ACCOUNT_COLUMNS} FROM k CROSS JOIN accounts a CROSS JOIN balances b
WHERE a.ledger_no = :ledger AND a.account_no = k.k0
AND b.ledger_no = :ledger AND b.account_no = a.account_no"""
_LOTS = """SELECT l.account_no, l.expires_us, l.remaining, l.reserved FROM k CROSS JOIN lots l
WHERE l.ledger_no = :ledger AND l.account_no = k.k0 ORDER BY l.account_no, l.expires_us"""
_HOLD_COLUMNS = """h.hold_id, h.account_no, h.kind, h.state, h.amount, h.captured, h.released,
h.expires_us, h.created_index, h.created_us, h.lots"""
_HOLDS = f"""SELECT {_HOLD_COLUMNS} FROM k CROSS JOIN holds h
WHERE h.ledger_no = :ledger AND h.hold_id = k.k0"""
# BETWEEN and not `=`: SQLite, which knows no numbers of rows, would go through all holds.
_LIVE_HOLDS = f"""SELECT {_HOLD_COLUMNS} FROM k CROSS JOIN holds h
WHERE h.ledger_no = :ledger AND h.account_no BETWEEN k.k0 AND k.k0 AND h.state = 1"""
_COMMIT = """SELECT c.batch_id FROM k CROSS JOIN commits c
WHERE c.ledger_no = :ledger AND c.batch_id = k.k0"""


def open_batch(
    request_keys: Iterable[bytes],
    natural_names: Iterable[tuple[EntryKind, str]],
    *,
    known: Head | None,
) -> Plan[Opened]:
    """Locks the head and looks up the keys of the batch; under the lock the answer is
    authoritative.

    `known` is the head that this process wrote last: while it stands, what was looked up together
    with the lock is as good as what is looked up after it.
    """
    lookup = Read(_BY_REQUEST, ("bytes",), [(key,) for key in request_keys])
    rows = yield lock_head(lookup if lookup.keys else None)
    head = Head(*rows[0][:_HEAD_COLUMNS])
    beside: list[Row] = [tuple(row)[_HEAD_COLUMNS:] for row in rows]
    by_request = [row for row in beside if row and row[0] is not None]
    if known is None or head.batch_id != known.batch_id:
        by_request = yield lookup
    names = [(int(kind), name) for kind, name in natural_names]
    by_natural = yield Read(_BY_NATURAL, ("int16", "text"), names)
    return Opened(
        head,
        {key: leaf for key, leaf, error in by_request if error is None},
        {key: (said, error) for key, said, error in by_request if error is not None},
        {(EntryKind(kind), name): leaf for kind, name, leaf in by_natural},
    )


def find_commit(batch_id: bytes) -> Plan[tuple[Head, bool]]:
    """Locks the head, which waits for a lost transaction, and says whether the batch was
    committed.
    """
    head = yield lock_head()
    found = yield Read(_COMMIT, ("bytes",), [(batch_id,)])
    return Head(*head[0]), bool(found)


def load(wanted: Wanted) -> Plan[Loaded]:
    """Loads what is wanted, and with each account its lots and live holds."""
    hold_rows = yield Read(_HOLDS, ("text",), [(name,) for name in wanted.hold_ids])
    indexes = [(index,) for index in wanted.entry_indexes]
    leaves = yield Read(_BY_INDEX, ("int64",), indexes)
    corrections = yield Read(_CORRECTIONS, ("int64",), indexes)
    accounts = yield Read(_ACCOUNTS, ("text",), [(name,) for name in wanted.account_ids])
    known = {row[0] for row in accounts}
    numbers = sorted({row[1] for row in hold_rows} - known)
    accounts = accounts + (yield Read(_ACCOUNTS_BY_NO, ("int64",), [(no,) for no in numbers]))
    built = [account_from_row(row) for row in accounts]
    lot_keys = [(account.no,) for account in built if account.has_lots]
    lots = yield Read(_LOTS, ("int64",), lot_keys)
    held_keys = [(account.no,) for account in built if account.held]
    live = yield Read(_LIVE_HOLDS, ("int64",), held_keys)
    holds = _attach(built, lots, [*hold_rows, *live])
    return Loaded(
        built,
        holds,
        {row[0]: row[1] for row in leaves},
        [Correction(*row) for row in corrections],
    )


def account_from_row(row: Row) -> Account:
    """Builds an account from its row, without lots and holds."""
    return Account(
        no=row[0],
        account_id=row[1],
        holder=row[2],
        unit=Unit(row[3]),
        kind=AccountKind(row[4]),
        opened_us=row[5],
        state=AccountState(row[6]),
        min_balance=row[7],
        max_balance=row[8],
        debt_limit=row[9],
        posted=row[10],
        held=row[11],
        debt=row[12],
        changed_index=row[13],
    )


def _attach(accounts: list[Account], lots: Iterable[Row], holds: Iterable[Row]) -> list[Hold]:
    by_no = {account.no: account for account in accounts}
    for account_no, expires_us, remaining, reserved in lots:
        by_no[account_no].lots.append(Lot(expires_us, remaining, reserved))
    built: dict[str, Hold] = {}
    for row in holds:
        if row[0] in built:
            continue
        account = by_no[row[1]]
        hold = hold_from_row(row, account.account_id)
        built[hold.hold_id] = hold
        if hold.state is HoldState.ACTIVE:
            account.holds[hold.hold_id] = hold
    return list(built.values())


def hold_from_row(row: Row, account_id: str) -> Hold:
    """Builds a hold from its row in the order of `hold_row`."""
    return Hold(
        hold_id=row[0],
        account_id=account_id,
        kind=HoldKind(row[2]),
        state=HoldState(row[3]),
        amount=row[4],
        captured=row[5],
        released=row[6],
        expires_us=row[7],
        created_index=row[8],
        created_us=row[9],
        lots={int(expires_us): reserved for expires_us, reserved in json.loads(row[10])},
    )


def hold_row(hold: Hold, account_no: int) -> tuple[Any, ...]:
    """Gives the row of a hold, without the ledger."""
    return (
        hold.hold_id,
        account_no,
        int(hold.kind),
        int(hold.state),
        hold.amount,
        hold.captured,
        hold.released,
        hold.expires_us,
        hold.created_index,
        hold.created_us,
        json.dumps(sorted(hold.lots.items()), separators=(",", ":")),
    )


def account_row(account: Account) -> tuple[Any, ...]:
    """Gives the row of an account's facts, without the ledger."""
    return (
        account.no,
        account.account_id,
        account.holder,
        int(account.unit),
        int(account.kind),
        int(account.state),
        account.min_balance,
        account.max_balance,
        account.debt_limit,
        account.opened_us,
    )


def balance_row(account: Account) -> tuple[int, ...]:
    """Gives the row of an account's balance, without the ledger."""
    return account.no, account.posted, account.held, account.debt, account.changed_index


def ledger_row(state: LedgerState) -> tuple[Any, ...]:
    """Gives the row of a ledger, without its number."""
    return (
        state.ledger_id,
        state.display_name,
        state.time_zone,
        state.log_origin,
        "\n".join(state.verifier_keys),
        state.opening_closed,
        state.created_us,
    )


def ledger_from_row(row: Row) -> LedgerState:
    """Builds a ledger's state from its row in the order of `ledger_row`."""
    return LedgerState(
        ledger_id=row[0],
        display_name=row[1],
        time_zone=row[2],
        log_origin=row[3],
        verifier_keys=row[4].split("\n") if row[4] else [],
        opening_closed=bool(row[5]),
        created_us=row[6],
    )


class Changes(NamedTuple):
    """Everything a batch writes beside its projections; `written_us` is its ledger time."""

    head: Head
    written_us: int
    entries: Sequence[WrittenEntry]
    tiles: Sequence[Tile]
    declines: Sequence[Decline]
    decline_errors: Sequence[bytes]
    texts: Sequence[Text]


def write_batch(changes: Changes, state: Projections) -> Plan[None]:
    """Writes a batch: log, projections and outcomes in one statement."""
    lots, gone = _lot_rows(state)
    changed = state.changed_accounts.values()
    head = changes.head
    inserted = [
        Rows(schema.entries, changes.entries),
        Rows(schema.postings, state.posting_rows),
        Rows(schema.tiles, changes.tiles),
        Rows(schema.texts, changes.texts),
        Rows(schema.commits, [(head.batch_id, head.recorded_us)]),
        Rows(
            schema.declines,
            [
                (decline.key, decline.fingerprint, error, changes.written_us)
                for decline, error in zip(changes.declines, changes.decline_errors, strict=True)
            ],
        ),
    ]
    upserted = [
        Rows(schema.accounts, [account_row(item) for item in state.changed_facts.values()]),
        Rows(schema.balances, [balance_row(item) for item in changed]),
        Rows(schema.lots, lots),
        Rows(schema.holds, _hold_rows(state)),
        Rows(
            schema.corrections,
            [
                (item.original_index, item.reversed_by, item.refunded)
                for item in state.changed_corrections.values()
            ],
        ),
        Rows(schema.ledgers, [ledger_row(state.ledger)] if state.ledger_changed else []),
        Rows(hours_schema.facts, list(state.fact_rows.values())),
        Rows(schema.heads, [head[:5]]),
    ]
    earned = [(*key, amount) for key, amount in state.earned.items() if amount]
    sums = [(*key, amount) for key, amount in state.tally_changes.items() if amount]
    added = [Rows(schema.earnings, earned), Rows(hours_schema.tallies, sums)]
    yield Write(inserted, upserted, added, [Rows(schema.lots, gone)])


def _lot_rows(state: Projections) -> tuple[list[tuple[int, ...]], list[tuple[int, int]]]:
    kept: list[tuple[int, ...]] = []
    gone: list[tuple[int, int]] = []
    for account_id, expires_us in state.changed_lots:
        account = state.accounts.get(account_id)
        if account is None:
            continue
        lot = account.lot_at(expires_us)
        if lot is None:
            gone.append((account.no, expires_us))
        else:
            kept.append((account.no, expires_us, lot.remaining, lot.reserved))
    return kept, gone


def _hold_rows(state: Projections) -> list[tuple[Any, ...]]:
    return [
        hold_row(hold, state.accounts[hold.account_id].no) for hold in state.changed_holds.values()
    ]
