"""Checking a log by itself: hashes, tree, tiles, times, and what stands beside each leaf.

Owns the rules of the LOG tables and of the texts that leaves commit to. Refuses folding effects
(see rebuild.py), so that both can be done at once by two processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from ledger.audit.rows import PAGE_ROWS, TableShape
from ledger.domain.outcomes import Text, commitment
from ledger.leaf_pages import UNREADABLE, BrokenLeaf, Cursor, columns_of, commitments_of
from ledger.store import schema
from ledger.store.audit_reads import columns, keys, read_entries, read_texts, read_tiles
from ledger.store.batches import Head, Tile
from ledger.tree import LogTree
from timebank.audits import DifferenceFound, Said, differs, row_missing, row_surplus
from timebank.database.snapshots import Snapshot
from timebank.database.statements import Row
from timebank.tlog.merkle import HASH_BYTES, Frontier
from timebank.tlog.tiles import TILE_WIDTH

ENTRIES = TableShape("entries", columns(schema.entries), 1)
TILES = TableShape("tiles", columns(schema.tiles), len(keys(schema.tiles)))
_LEAF = len(columns(schema.entries)) - 1

Advance = Callable[[int], None]
"""Told how many more entries are done."""


class LogTask(NamedTuple):
    """Which log to check; `cut` is the size of a kept checkpoint, at which the root is wanted
    too.
    """

    ledger_no: int
    head: Head
    cut: int | None = None


class LogFacts(NamedTuple):
    """What a log that agrees with itself says."""

    ledger_id: str
    cut_root: bytes | None
    entries: int
    tiles: int
    texts: int


async def check_log(snapshot: Snapshot, task: LogTask, advance: Advance) -> LogFacts:
    """Checks a log from its first entry to its head. Raises DifferenceFound."""
    return await _LogCheck(snapshot, task, advance).run()


class _LogCheck:
    def __init__(self, snapshot: Snapshot, task: LogTask, advance: Advance) -> None:
        self._snapshot = snapshot
        self._task = task
        self._advance = advance
        self._tree = LogTree(Frontier(), [])
        self._cursor = Cursor()
        self._cut_root = self._tree.root() if task.cut == 0 else None
        self._tiles = self._texts = 0
        self._doubt: tuple[DifferenceFound, DifferenceFound] | None = None
        """The first wrong tile: how it differs from the leaves, and how the leaves differ from
        it.
        """

    async def run(self) -> LogFacts:
        task = self._task
        pages = read_entries(self._snapshot, task.ledger_no, task.head.size)
        while self._cursor.next_index < task.head.size:
            rows = await pages.take(PAGE_ROWS)
            if not rows:
                raise row_missing("entries", {"log_index": self._cursor.next_index})
            await self._check_page(rows)
            self._advance(len(rows))
        self._check_head()
        size = self._cursor.next_index
        return LogFacts(self._cursor.ledger_id, self._cut_root, size, self._tiles, self._texts)

    async def _check_page(self, rows: Sequence[Row]) -> None:
        start = self._cursor.next_index
        _check_gapless(rows, start)
        leaves = [row[_LEAF] for row in rows]
        expected, self._cursor = self._columns(rows, leaves)
        found = ENTRIES.difference(expected, rows)
        if found is not None:
            raise found
        cut = self._task.cut
        if cut is not None and start < cut <= self._cursor.next_index:
            tiles = self._tree.append(leaves[: cut - start])
            self._cut_root = self._tree.root()
            tiles += self._tree.append(leaves[cut - start :])
        else:
            tiles = self._tree.append(leaves)
        for level, group in groupby(sorted(tiles), key=_level):
            await self._check_tiles(level, list(group))
        await self._check_texts(start, leaves)

    def _columns(
        self, rows: Sequence[Row], leaves: list[bytes]
    ) -> tuple[Sequence[Sequence[object]], Cursor]:
        """Reads what the rows must be; rows before a broken leaf are compared before it is told."""
        try:
            return columns_of(leaves, self._cursor)
        except BrokenLeaf as broken:
            good = broken.log_index - self._cursor.next_index
            expected, _ = columns_of(leaves[:good], self._cursor)
            found = ENTRIES.difference(expected, rows[:good])
            raise (found or broken_entry(broken)) from broken

    async def _check_tiles(self, level: int, tiles: Sequence[Tile]) -> None:
        """Compares tiles that became full; which of tile and leaves is wrong, the head will
        tell.
        """
        start = tiles[0].tile_index
        stored = await read_tiles(
            self._snapshot, self._task.ledger_no, level=level, start=start, end=start + len(tiles)
        )
        found = TILES.difference(tiles, stored)
        if found is not None and self._doubt is None:
            self._doubt = (found, _leaf_in_doubt(tiles, stored) or found)
        self._tiles += len(tiles)

    async def _check_texts(self, start: int, leaves: Sequence[bytes]) -> None:
        """Compares texts that were not erased with the commitments of their entries."""
        found = await read_texts(
            self._snapshot, self._task.ledger_no, start=start, end=start + len(leaves)
        )
        for log_index, field, salt, text in found:
            digest = commitments_of(leaves[log_index - start]).get(field)
            key = {"log_index": log_index, "field": field}
            if digest is None:
                raise row_surplus("texts", key)
            if not salt:
                continue
            if _commitment(self._cursor.ledger_id, Text(log_index, field, salt, text)) != digest:
                wanted = Said(f"a text with the commitment 0x{digest.hex()}")
                raise differs("texts", key, "text", expected=wanted, got=Said("another text"))
        self._texts += len(found)

    def _check_head(self) -> None:
        head, tree = self._task.head, self._tree
        key = {"ledger_no": self._task.ledger_no}
        recorded_us = max(self._cursor.recorded_us, 0)
        root, frontier = tree.root(), tree.frontier_bytes()
        if head.root != root and head.frontier != frontier:
            # Root and frontier of the head agree against the leaves, so that a leaf is wrong.
            if self._doubt is not None:
                raise self._doubt[1]
            changed = _range_in_doubt(head.size, head.frontier, frontier)
            raise changed or differs("heads", key, "root", expected=root, got=head.root)
        if head.root != root:
            raise differs("heads", key, "root", expected=root, got=head.root)
        if head.frontier != frontier:
            raise differs("heads", key, "frontier", expected=frontier, got=head.frontier)
        if self._doubt is not None:
            raise self._doubt[0]
        if head.recorded_us != recorded_us:
            raise differs("heads", key, "recorded_us", expected=recorded_us, got=head.recorded_us)


def broken_entry(broken: BrokenLeaf) -> DifferenceFound:
    """Tells of a leaf that cannot be what the ledger wrote."""
    key = {"log_index": broken.log_index}
    return differs("entries", key, "leaf", expected=Said(broken.expected), got=Said(broken.got))


def _check_gapless(rows: Sequence[Row], start: int) -> None:
    for offset, row in enumerate(rows):
        if row[0] != start + offset:
            if type(row[0]) is int and row[0] > start + offset:
                raise row_missing("entries", {"log_index": start + offset})
            raise row_surplus("entries", {"log_index": row[0]})


def _level(tile: Tile) -> int:
    return tile.level


def _leaf_in_doubt(tiles: Sequence[Tile], stored: Sequence[Row]) -> DifferenceFound | None:
    """Names the first leaf whose hash is not that in its tile of level 0."""
    by_index = {row[1]: row[2] for row in stored}
    for tile in tiles:
        hashes = by_index.get(tile.tile_index)
        if tile.level or not isinstance(hashes, bytes) or hashes == tile.hashes:
            continue
        for start in range(0, len(tile.hashes), HASH_BYTES):
            ours, theirs = (data[start : start + HASH_BYTES] for data in (tile.hashes, hashes))
            if ours != theirs:
                index = tile.tile_index * TILE_WIDTH + start // HASH_BYTES
                wanted = Said(f"the leaf with hash 0x{theirs.hex()}")
                got = Said(f"one with hash 0x{ours.hex()}")
                return differs("entries", {"log_index": index}, "leaf", expected=wanted, got=got)
    return None


def _range_in_doubt(size: int, stored: object, frontier: bytes) -> DifferenceFound | None:
    """Names the entries below the first subtree of the frontier that differs."""
    if not isinstance(stored, bytes) or len(stored) != len(frontier):
        return None
    start = 0
    widths = [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]
    for number, width in enumerate(widths):
        span = slice(number * HASH_BYTES, (number + 1) * HASH_BYTES)
        if stored[span] != frontier[span]:
            key = {"log_index": Said(f"one of {start} to {start + width - 1}")}
            wanted = Said(f"leaves with the root 0x{stored[span].hex()}")
            got = Said(f"leaves with the root 0x{frontier[span].hex()}")
            return differs("entries", key, "leaf", expected=wanted, got=got)
        start += width
    return None


def _commitment(ledger_id: str, text: Text) -> bytes | None:
    """Computes the commitment of a stored text; None when the row cannot hold one."""
    try:
        return commitment(ledger_id, text.log_index, text)
    except UNREADABLE:
        return None
