"""Copies a log in its static form (C2SP tlog-tiles) into a folder, and checks the copy.

Owns: what to fetch, what is there already, and the check of every byte against the checkpoint.
Refuses: whose key signed the checkpoint is the caller's question (see cli_export.py).
Rules: a file is written whole or not at all; what an earlier run left is checked like the rest and
fetched again when it is wrong; the checkpoint is written last, so that a folder with a checkpoint
is complete for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ledger.cli_http import TileSource
from timebank.errors import Reason, TimebankError
from timebank.tlog.checkpoint import Checkpoint
from timebank.tlog.merkle import HASH_BYTES, Frontier, leaf_hash
from timebank.tlog.tiles import (
    BUNDLE_BYTES_MAX,
    TILE_WIDTH,
    Bundle,
    Tile,
    bundles_of,
    decode_bundle,
    encode_bundle,
    entries_path,
    split_hashes,
    tile_path,
    tile_root,
    tiles_of,
)

CHECKPOINT = "checkpoint"
FETCHES_IN_FLIGHT = 4
CHECKPOINT_BYTES_MAX = 65_536

Advance = Callable[[int], None]
"""Told how many more files are there."""


class TileFile(NamedTuple):
    """One file of the copy: its path, its full form in case the partial one is gone, its width."""

    path: str
    full_path: str
    width: int
    is_bundle: bool


class TileCopy:
    """A folder that holds a log up to a checkpoint."""

    def __init__(self, folder: Path, source: TileSource) -> None:
        self._folder = folder
        self._source = source

    def fetch_checkpoint(self) -> str:
        """Fetches the signed head. Raises LEDGER_NOT_FOUND and what the source refuses."""
        note = self._source.fetch(CHECKPOINT, CHECKPOINT_BYTES_MAX)
        if note is None:
            raise TimebankError(
                Reason.LEDGER_NOT_FOUND, "the server has no log of this name; check --ledger"
            )
        try:
            return note.decode()
        except UnicodeDecodeError as error:
            raise _wrong(CHECKPOINT, "is not UTF-8") from error

    def files(self, size: int, *, entries: bool) -> list[TileFile]:
        """Lists the files of a log of `size` entries."""
        tiles = [_tile_file(tile) for tile in tiles_of(size)]
        bundles = [_bundle_file(bundle) for bundle in bundles_of(size)] if entries else []
        return tiles + bundles

    def download(self, files: Sequence[TileFile], advance: Advance) -> int:
        """Fetches the files that are not there yet, several at a time; gives how many it fetched.

        Raises what the source refuses, VALIDATION_FAILED for a file of another length or that
        cannot be written.
        """
        missing = [file for file in files if not (self._folder / file.path).is_file()]
        advance(len(files) - len(missing))
        with ThreadPoolExecutor(FETCHES_IN_FLIGHT) as threads:
            for part in _parts(missing, FETCHES_IN_FLIGHT * 16):
                for _ in threads.map(self._fetch, part):
                    advance(1)
        return len(missing)

    def verify(self, checkpoint: Checkpoint, *, entries: bool, advance: Advance) -> None:
        """Recomputes the tree from the files: entries, hash tiles of every level, and the root.

        Raises VALIDATION_FAILED naming the first file that is wrong; it is removed with those it
        contradicts, so that the next run fetches them again.
        """
        frontier = Frontier()
        below: list[bytes] = []
        roots: list[bytes] = []
        for tile in tiles_of(checkpoint.size):
            hashes = self._hashes(tile)
            if tile.level == 0:
                frontier.extend(hashes)
                if entries:
                    self._check_bundle(tile, hashes)
            elif tile.n == 0:
                below, roots = roots, []
            if tile.level:
                self._check_level(tile, hashes, below)
            if tile.width == TILE_WIDTH:
                roots.append(tile_root(hashes))
            advance(1)
        if frontier.root() != checkpoint.root:
            edge = (
                tile_path(*tile) for tile in tiles_of(checkpoint.size) if tile.width < TILE_WIDTH
            )
            raise self._spoilt([CHECKPOINT, *edge], "has another root than the tiles")

    def finish(self, note: str) -> None:
        """Writes the checkpoint. Raises VALIDATION_FAILED when it cannot be written."""
        self._write(CHECKPOINT, note.encode())

    def _fetch(self, file: TileFile) -> None:
        per_item = BUNDLE_BYTES_MAX if file.is_bundle else TILE_WIDTH * HASH_BYTES
        data = self._source.fetch(file.path, per_item)
        if data is None and file.full_path != file.path:
            data = self._source.fetch(file.full_path, per_item)
        if data is None:
            raise _wrong(file.path, "is not on the server although its checkpoint covers it")
        self._write(file.path, _cut(file, data))

    def _hashes(self, tile: Tile) -> list[bytes]:
        path = tile_path(*tile)
        data = self._read(path)
        if len(data) != tile.width * HASH_BYTES:
            problem = f"has {len(data)} bytes, expected {tile.width * HASH_BYTES}"
            raise self._spoilt([path], problem)
        return split_hashes(data)

    def _check_bundle(self, tile: Tile, hashes: Sequence[bytes]) -> None:
        path, hash_path = entries_path(tile.n, tile.width), tile_path(*tile)
        try:
            leaves = [leaf_hash(entry) for entry in decode_bundle(self._read(path))]
        except TimebankError as error:
            raise self._spoilt([path], error.message) from error
        if leaves != list(hashes):
            problem = f"does not hold the entries of {hash_path}"
            raise self._spoilt([path, hash_path], problem)

    def _check_level(self, tile: Tile, hashes: Sequence[bytes], below: Sequence[bytes]) -> None:
        start = tile.n * TILE_WIDTH
        for position, hash_ in enumerate(hashes, start):
            if below[position] != hash_:
                path, under = tile_path(*tile), tile_path(tile.level - 1, position)
                raise self._spoilt([path, under], f"does not follow from {under}")

    def _read(self, path: str) -> bytes:
        try:
            return (self._folder / path).read_bytes()
        except OSError as error:
            raise _wrong(path, error.strerror or "cannot be read") from error

    def _write(self, path: str, data: bytes) -> None:
        target = self._folder / path
        fresh = target.with_name(f"{target.name}.new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(data)
            os.replace(fresh, target)
        except OSError as error:
            raise _wrong(str(target), error.strerror or "cannot be written") from error

    def _spoilt(self, paths: Sequence[str], problem: str) -> TimebankError:
        """Removes files that cannot all be right, and says so of the first."""
        for path in paths:
            (self._folder / path).unlink(missing_ok=True)
        return _wrong(paths[0], f"{problem}; removed, so that another run fetches it again")


def _tile_file(tile: Tile) -> TileFile:
    full = tile_path(tile.level, tile.n)
    return TileFile(tile_path(*tile), full, tile.width, is_bundle=False)


def _bundle_file(bundle: Bundle) -> TileFile:
    return TileFile(entries_path(*bundle), entries_path(bundle.n), bundle.width, is_bundle=True)


def _cut(file: TileFile, data: bytes) -> bytes:
    """Cuts a full tile or bundle down to the width asked for; refuses one that is too short."""
    if file.is_bundle:
        entries = decode_bundle(data)
        if len(entries) < file.width:
            raise _wrong(file.path, f"has {len(entries)} entries, expected {file.width}")
        return encode_bundle(entries[: file.width])
    if len(data) < file.width * HASH_BYTES:
        raise _wrong(file.path, f"has {len(data)} bytes, expected {file.width * HASH_BYTES}")
    return data[: file.width * HASH_BYTES]


def _parts(items: Iterable[TileFile], count: int) -> Iterator[list[TileFile]]:
    remaining = iter(items)
    while part := list(islice(remaining, count)):
        yield part


def _wrong(path: str, problem: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, f"{path}: {problem}", file=path)
