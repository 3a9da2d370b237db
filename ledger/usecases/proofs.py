"""Checkpoints, proofs, receipts and static tiles, from the tables alone."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ledger.store import reads
from ledger.store.batches import Head
from ledger.store.ledgers import LedgerRow
from ledger.usecases.ledgers import Ledgers
from timebank.auth import Principal
from timebank.errors import Reason, TimebankError
from timebank.tlog.merkle import leaf_hash
from timebank.tlog.proof import (
    Node,
    consistency_nodes,
    consistency_path,
    inclusion_nodes,
    inclusion_path,
)
from timebank.tlog.receipt import Receipt, format_receipt
from timebank.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, node_reader, tiles_needed


class SignedHead(NamedTuple):
    """A committed head and its checkpoint."""

    head: Head
    note: str


class Inclusion(NamedTuple):
    """An inclusion proof."""

    log_index: int
    size: int
    leaf_hash: bytes
    path: list[bytes]


class Proofs:
    """Answers anybody who wants to check a log."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._reader = ledgers.world.databases.reader

    async def checkpoint(self, ledger_id: str) -> SignedHead:
        """Signs the present head. Raises LEDGER_NOT_FOUND, SIGNER_UNAVAILABLE."""
        row = await self._ledgers.row(ledger_id, None)
        return SignedHead(row.head, self._ledgers.sign(row.state, row.head))

    async def inclusion(
        self, ledger_id: str, log_index: int, size: int, principal: Principal | None
    ) -> Inclusion:
        """Proves that an entry is in the tree of a size (0: the present one). Raises
        VALIDATION_FAILED.
        """
        row = await self._ledgers.row(ledger_id, principal)
        size = size or row.head.size
        if not 0 <= log_index < size <= row.head.size:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"expected 0 <= index < tree_size <= {row.head.size}, got {log_index} and {size}",
                field="index",
            )
        [(_, data)] = await reads.find_leaves(self._reader, row.ledger_no, log_index, log_index + 1)
        path = await self._path(row, log_index, size)
        return Inclusion(log_index, size, leaf_hash(data), path)

    async def _path(self, row: LedgerRow, log_index: int, size: int) -> list[bytes]:
        read = await self._nodes(row, inclusion_nodes(log_index, size))
        return inclusion_path(log_index, size, read)

    async def consistency(
        self, ledger_id: str, first: int, second: int, principal: Principal | None
    ) -> tuple[int, list[bytes]]:
        """Proves that a tree is the beginning of a larger one (0: the present one). Raises
        VALIDATION_FAILED.
        """
        row = await self._ledgers.row(ledger_id, principal)
        second = second or row.head.size
        if not 0 < first <= second <= row.head.size:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"expected 0 < first_size <= second_size <= {row.head.size}, got {first}, {second}",
                field="first_size",
            )
        read = await self._nodes(row, consistency_nodes(first, second))
        return second, consistency_path(first, second, read)

    async def receipt(self, ledger_id: str, log_index: int, data: bytes | None = None) -> str:
        """Makes the receipt of an entry against the present head.

        Whoever calls has checked that the caller may read the entry. Raises ENTRY_NOT_FOUND,
        SIGNER_UNAVAILABLE.
        """
        row = await self._ledgers.row(ledger_id, None)
        if data is None:
            found = await reads.find_leaves(self._reader, row.ledger_no, log_index, log_index + 1)
            if not found:
                raise TimebankError(
                    Reason.ENTRY_NOT_FOUND, f"no entry {log_index}", entry=log_index
                )
            data = found[0][1]
        path = await self._path(row, log_index, row.head.size)
        note = self._ledgers.sign(row.state, row.head)
        return format_receipt(
            Receipt(index=log_index, path=tuple(path), checkpoint=note, entry=data)
        )

    async def _nodes(self, row: LedgerRow, nodes: Iterable[Node]) -> Callable[[int, int], bytes]:
        needed = tiles_needed(nodes)
        stored = await reads.tile_rows(self._reader, row.ledger_no, needed) if needed else {}
        tiles = {}
        for level, index in needed:
            found = stored.get((level, index))
            if found is None:
                found = (b"".join(await self._partial(row, level, index)), b"")
            tiles[level, index] = found[0]
        return node_reader(tiles)

    async def _partial(self, row: LedgerRow, level: int, index: int) -> list[bytes]:
        start = index * TILE_WIDTH
        end = min(start + TILE_WIDTH, row.head.size >> (TILE_HEIGHT * level))
        if level:
            return await reads.tile_roots(self._reader, row.ledger_no, level - 1, start, end)
        leaves = await reads.find_leaves(self._reader, row.ledger_no, start, end)
        return [leaf_hash(data) for _, data in leaves]

    async def tile(self, ledger_id: str, level: int, index: int, width: int) -> bytes | None:
        """Gives the hashes of a tile of a width, None when the log is not that long."""
        row = await self._ledgers.row(ledger_id, None)
        if index * TILE_WIDTH + width > row.head.size >> (TILE_HEIGHT * level):
            return None
        found = await reads.tile_rows(self._reader, row.ledger_no, [(level, index)])
        if (level, index) in found:
            return found[level, index][0][: 32 * width]
        return b"".join((await self._partial(row, level, index))[:width])

    async def bundle(self, ledger_id: str, index: int, width: int) -> list[bytes] | None:
        """Gives the entries of a bundle of a width, None when the log is not that long."""
        row = await self._ledgers.row(ledger_id, None)
        start = index * TILE_WIDTH
        if start + width > row.head.size:
            return None
        rows = await reads.find_leaves(self._reader, row.ledger_no, start, start + width)
        return [data for _, data in rows]
