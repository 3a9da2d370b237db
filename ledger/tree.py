"""The right edge of a log's Merkle tree in memory: append leaves, take the tiles that became full.

Owns the frontier and the hashes of every tile that is not full yet. Only hashes of complete
subtrees leave it, and they never change. It is valid for exactly one committed head; after any
doubt it is built anew from the tables.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from ledger.store.batches import Tile
from timebank.tlog.merkle import Frontier
from timebank.tlog.tiles import TILE_WIDTH, tile_root


class LogTree:
    """Frontier and unfinished tiles of a log of `size` leaves."""

    def __init__(self, frontier: Frontier, unfinished: list[list[bytes]]) -> None:
        self._frontier = frontier
        self._unfinished = unfinished or [[]]

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._frontier.size

    def root(self) -> bytes:
        """Gives the Merkle root, 32 bytes."""
        return self._frontier.root()

    def frontier_bytes(self) -> bytes:
        """Gives the roots of perfect subtrees, to be stored with the head."""
        return self._frontier.to_bytes()

    def append(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Adds leaves by their bytes and gives the tiles that became full, lower levels first."""
        hashes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
        first = self._frontier.size
        self._frontier.extend(hashes.copy())
        tiles: list[Tile] = []
        self._fill(0, first // TILE_WIDTH, hashes, tiles)
        return tiles

    def _fill(self, level: int, tile_index: int, hashes: list[bytes], tiles: list[Tile]) -> None:
        if level == len(self._unfinished):
            self._unfinished.append([])
        pending = self._unfinished[level] + hashes
        roots = []
        first = tile_index
        for start in range(0, len(pending) - TILE_WIDTH + 1, TILE_WIDTH):
            full = pending[start : start + TILE_WIDTH]
            root = tile_root(full)
            tiles.append(Tile(level, tile_index, b"".join(full), root))
            roots.append(root)
            tile_index += 1
        self._unfinished[level] = pending[len(roots) * TILE_WIDTH :]
        if roots:
            self._fill(level + 1, first // TILE_WIDTH, roots, tiles)


def unfinished_tiles(size: int) -> tuple[range, list[tuple[int, int]]]:
    """Names what `restore` needs: indexes of leaves, and (level, index) of full tiles."""
    leaves = range(size - size % TILE_WIDTH, size)
    tiles: list[tuple[int, int]] = []
    level, full = 0, size // TILE_WIDTH
    while full:
        tiles.extend((level, index) for index in range(full - full % TILE_WIDTH, full))
        level, full = level + 1, full // TILE_WIDTH
    return leaves, tiles


def restore(
    size: int,
    frontier: bytes,
    leaves: Mapping[int, bytes],
    roots: Mapping[tuple[int, int], bytes],
) -> LogTree:
    """Builds the tree of a head from the leaves and tile roots that `unfinished_tiles` names.

    Raises KeyError when one is missing, VALIDATION_FAILED when the frontier does not fit the size.
    """
    wanted, tiles = unfinished_tiles(size)
    unfinished = [[sha256(b"\x00" + leaves[index]).digest() for index in wanted]]
    full = size // TILE_WIDTH
    while full:
        unfinished.append([])
        full //= TILE_WIDTH
    for level, index in tiles:
        unfinished[level + 1].append(roots[level, index])
    return LogTree(Frontier.from_bytes(size, frontier), unfinished)
