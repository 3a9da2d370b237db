"""What an audit reads: heads, whole tables in the order of their keys, and rows that belong to
nobody.

Owns the queries, made from the schema's own columns, so that no column is forgotten. Refuses
judging what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table, Text

from ledger.store import schema
from ledger.store.batches import Head
from timebank.database.snapshots import Pages, Snapshot
from timebank.database.statements import Row

HOLD_KEYS_MAX = 500
"""Holds looked up by one statement; SQLite takes some thousands of parameters."""


def columns(table: Table) -> list[str]:
    """Names the columns of a table without the ledger, in their order."""
    return [column.name for column in table.columns if column.name != "ledger_no"]


def keys(table: Table) -> list[str]:
    """Names the key columns of a table without the ledger."""
    return [column.name for column in table.primary_key if column.name != "ledger_no"]


async def ledger_numbers(snapshot: Snapshot) -> dict[int, str]:
    """Reads the ids of all ledgers by number."""
    found = await snapshot.rows("SELECT ledger_no, ledger_id FROM ledgers ORDER BY ledger_no")
    return {row[0]: row[1] for row in found}


async def numbers_in(snapshot: Snapshot, table: Table) -> list[object]:
    """Lists the ledger numbers that occur in a table, by one look into its key each."""
    found: list[object] = []
    smallest = f"SELECT min(ledger_no) FROM {table.name}"
    [row] = await snapshot.rows(smallest)
    while row[0] is not None:
        found.append(row[0])
        [row] = await snapshot.rows(f"{smallest} WHERE ledger_no > ?1", row[0])
    return found


async def read_head(snapshot: Snapshot, ledger_no: int) -> Head | None:
    """Reads the committed end of a log."""
    found = await snapshot.rows(
        "SELECT size, root, frontier, recorded_us, batch_id FROM heads WHERE ledger_no = ?1",
        ledger_no,
    )
    return Head(*found[0]) if found else None


async def committed_times(snapshot: Snapshot, ledger_no: int, batch_id: bytes) -> list[object]:
    """Reads when a batch was committed; nothing for a batch that never was."""
    found = await snapshot.rows(
        "SELECT committed_us FROM commits WHERE ledger_no = ?1 AND batch_id = ?2",
        ledger_no,
        batch_id,
    )
    return [row[0] for row in found]


async def read_ledger(snapshot: Snapshot, ledger_no: int) -> Row | None:
    """Reads the row of a ledger without its number."""
    listed = ", ".join(columns(schema.ledgers))
    found = await snapshot.rows(f"SELECT {listed} FROM ledgers WHERE ledger_no = ?1", ledger_no)
    return found[0] if found else None


def read_table(snapshot: Snapshot, ledger_no: int, table: Table, order: Sequence[str]) -> Pages:
    """Reads a table of a ledger, sorted by columns; texts by their bytes."""
    order = [
        f"{name}{snapshot.byte_order}" if isinstance(table.columns[name].type, Text) else name
        for name in order
    ]
    sql = f"SELECT {', '.join(columns(table))} FROM {table.name} WHERE ledger_no = ?1"
    return snapshot.pages(f"{sql} ORDER BY {', '.join(order)}", ledger_no)


def read_postings(snapshot: Snapshot, ledger_no: int) -> Pages:
    """Reads postings as (log_index, account_no, amount, balance_after, effective_us), in the order
    of the log.
    """
    return snapshot.pages(
        "SELECT log_index, account_no, amount, balance_after, effective_us FROM postings"
        " WHERE ledger_no = ?1 ORDER BY log_index, account_no",
        ledger_no,
    )


def read_leaves(snapshot: Snapshot, ledger_no: int, size: int) -> Pages:
    """Reads the leaves of a log of `size` entries."""
    return snapshot.pages(
        "SELECT leaf FROM entries WHERE ledger_no = ?1 AND log_index < ?2 ORDER BY log_index",
        ledger_no,
        size,
    )


def read_leaves_of(snapshot: Snapshot, ledger_no: int, kinds: Sequence[int]) -> Pages:
    """Reads the leaves of the entries of some kinds, with their indexes."""
    listed = ", ".join(str(int(kind)) for kind in kinds)
    return snapshot.pages(
        f"SELECT log_index, leaf FROM entries WHERE ledger_no = ?1 AND kind IN ({listed})"
        " ORDER BY log_index",
        ledger_no,
    )


def read_entries(snapshot: Snapshot, ledger_no: int, size: int) -> Pages:
    """Reads the rows of a log of `size` entries."""
    listed = ", ".join(columns(schema.entries))
    return snapshot.pages(
        f"SELECT {listed} FROM entries WHERE ledger_no = ?1 AND log_index < ?2 ORDER BY log_index",
        ledger_no,
        size,
    )


async def read_tiles(
    snapshot: Snapshot, ledger_no: int, *, level: int, start: int, end: int
) -> list[Row]:
    """Reads the tiles of a level with indexes from `start` to before `end`."""
    listed = ", ".join(columns(schema.tiles))
    return await snapshot.rows(
        f"SELECT {listed} FROM tiles WHERE ledger_no = ?1 AND level = ?2 AND tile_index >= ?3"
        " AND tile_index < ?4 ORDER BY tile_index",
        ledger_no,
        level,
        start,
        end,
    )


async def read_texts(snapshot: Snapshot, ledger_no: int, *, start: int, end: int) -> list[Row]:
    """Reads the texts of the entries from `start` to before `end`."""
    listed = ", ".join(columns(schema.texts))
    return await snapshot.rows(
        f"SELECT {listed} FROM texts WHERE ledger_no = ?1 AND log_index >= ?2 AND log_index < ?3"
        f" ORDER BY log_index, field{snapshot.byte_order}",
        ledger_no,
        start,
        end,
    )


async def rows_beyond(snapshot: Snapshot, ledger_no: int, table: Table, size: int) -> list[Row]:
    """Reads the first key of a table that names an entry outside a log of `size` entries."""
    return await snapshot.rows(
        f"SELECT {', '.join(keys(table))} FROM {table.name} WHERE ledger_no = ?1"
        " AND (log_index >= ?2 OR log_index < 0) ORDER BY log_index LIMIT 1",
        ledger_no,
        size,
    )


async def tiles_beyond(snapshot: Snapshot, ledger_no: int, full: Sequence[int]) -> list[Row]:
    """Reads the first tile that is not among the first `full[level]` of its level."""
    inside = " OR ".join(
        f"(level = {level} AND tile_index >= 0 AND tile_index < {count})"
        for level, count in enumerate(full)
    )
    return await snapshot.rows(
        f"SELECT level, tile_index FROM tiles WHERE ledger_no = ?1 AND NOT ({inside or '1 = 0'})"
        " ORDER BY level, tile_index LIMIT 1",
        ledger_no,
    )


async def read_holds(snapshot: Snapshot, ledger_no: int, hold_ids: Sequence[str]) -> list[Row]:
    """Reads holds by id, at most `HOLD_KEYS_MAX`."""
    listed = ", ".join(columns(schema.holds))
    marks = ", ".join(f"?{number}" for number in range(2, len(hold_ids) + 2))
    return await snapshot.rows(
        f"SELECT {listed} FROM holds WHERE ledger_no = ?1 AND hold_id IN ({marks})",
        ledger_no,
        *hold_ids,
    )


async def count_rows(snapshot: Snapshot, ledger_no: int, table: Table) -> int:
    """Counts the rows of a ledger in a table."""
    [row] = await snapshot.rows(
        f"SELECT count(*) FROM {table.name} WHERE ledger_no = ?1", ledger_no
    )
    count: int = row[0]
    return count


async def read_leaf(snapshot: Snapshot, ledger_no: int, log_index: int) -> bytes | None:
    """Reads one leaf."""
    found = await snapshot.rows(
        "SELECT leaf FROM entries WHERE ledger_no = ?1 AND log_index = ?2", ledger_no, log_index
    )
    return found[0][0] if found else None
