"""Tiles and entry bundles: the static form of a log (C2SP tlog-tiles, tiles of height 8).

Owns: coordinates and paths of tiles, widths for a tree size, which tile holds a node, and the bytes
of entry bundles. Refuses: serving and storing them.
Rules: tile n of level l holds up to 256 hashes; hash i is the root of the complete subtree (8 * l,
n * 256 + i) of proof.py. A tile with 256 hashes is full and never changes; a narrower one is
partial; an empty one is never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from timebank.tlog.merkle import HASH_BYTES, TREE_SIZE_MAX, root_of
from timebank.tlog.proof import NodeReader
from timebank.tlog.refusal import refuse

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
"""Hashes in a full tile and entries in a full bundle."""

TILE_LEVEL_MAX = 63
TILE_PATH_CHARACTERS_MAX = 64
ENTRY_BYTES_MAX = 65_535
"""Longest entry: its length is written as two bytes."""

BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)

_GROUP_DIGITS = 3


class Tile(NamedTuple):
    """Coordinates of a tile; `width` is how many hashes it holds, 1 to 256."""

    level: int
    n: int
    width: int = TILE_WIDTH


class Bundle(NamedTuple):
    """Coordinates of an entry bundle; `width` is how many entries it holds, 1 to 256."""

    n: int
    width: int = TILE_WIDTH


class NodePlace(NamedTuple):
    """Where a complete subtree lies: its root is the root over `width` hashes from `start` on."""

    level: int
    n: int
    start: int
    width: int


def tile_path(level: int, n: int, width: int = TILE_WIDTH) -> str:
    """Formats the path of a tile: level 0, tile 1000, 17 hashes give `tile/0/x001/000.p/17`.

    Raises: VALIDATION_FAILED when a coordinate is out of range.
    """
    if not 0 <= level <= TILE_LEVEL_MAX:
        refuse(f"tile level: expected 0 to {TILE_LEVEL_MAX}, got {level}")
    return f"tile/{level}/{_numbered(n, width)}"


def entries_path(n: int, width: int = TILE_WIDTH) -> str:
    """Formats the path of an entry bundle: bundle 273, 112 entries give `tile/entries/273.p/112`.

    Raises: VALIDATION_FAILED when a coordinate is out of range.
    """
    return f"tile/entries/{_numbered(n, width)}"


def parse_tile_path(path: str) -> Tile:
    """Parses the one right spelling of a tile's path.

    Raises: VALIDATION_FAILED for anything else.
    """
    level_text, rest = _split_path(path)
    if not level_text.isascii() or not level_text.isdigit() or len(level_text) > 2:
        refuse(f"tile path: expected a level from 0 to {TILE_LEVEL_MAX}, got {path!r}")
    n, width = _parse_numbered(rest, path)
    tile = Tile(int(level_text), n, width)
    if tile_path(*tile) != path:
        refuse(f"tile path: expected tile/<level>/<n>[.p/<width>], got {path!r}")
    return tile


def parse_entries_path(path: str) -> Bundle:
    """Parses the one right spelling of an entry bundle's path.

    Raises: VALIDATION_FAILED for anything else.
    """
    _, rest = _split_path(path)
    bundle = Bundle(*_parse_numbered(rest, path))
    if entries_path(*bundle) != path:
        refuse(f"bundle path: expected tile/entries/<n>[.p/<width>], got {path!r}")
    return bundle


def full_tiles(level: int, size: int) -> int:
    """Counts the full tiles of a level in a tree of `size` leaves, rounded down."""
    return size >> TILE_HEIGHT * (level + 1)


def partial_width(level: int, size: int) -> int:
    """Counts the hashes in the partial tile of a level in a tree of `size` leaves; 0 means there is
    none.
    """
    return (size >> TILE_HEIGHT * level) % TILE_WIDTH


def tiles_of(size: int) -> Iterator[Tile]:
    """Lists every tile of a tree of `size` leaves, level by level, a partial one last."""
    level = 0
    while size >> TILE_HEIGHT * level:
        count = full_tiles(level, size)
        for n in range(count):
            yield Tile(level, n)
        if width := partial_width(level, size):
            yield Tile(level, count, width)
        level += 1


def bundles_of(size: int) -> Iterator[Bundle]:
    """Lists every entry bundle of a log of `size` entries, the partial one last."""
    count = full_tiles(0, size)
    for n in range(count):
        yield Bundle(n)
    if width := partial_width(0, size):
        yield Bundle(count, width)


def node_place(level: int, position: int) -> NodePlace:
    """Finds the tile that holds the complete subtree (level, position) and the hashes of it that
    make its root.
    """
    tile_level, inside = divmod(level, TILE_HEIGHT)
    n, start = divmod(position << inside, TILE_WIDTH)
    return NodePlace(tile_level, n, start, 1 << inside)


def tiles_needed(nodes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Lists the (tile level, n) of every tile that holds one of the nodes, each once, in order."""
    places = (node_place(level, position) for level, position in nodes)
    return sorted({(place.level, place.n) for place in places})


def node_reader(tiles: Mapping[tuple[int, int], bytes]) -> NodeReader:
    """Makes the reader that builds proofs from loaded tiles, by (tile level, n), hashes
    concatenated.

    The reader raises VALIDATION_FAILED when a tile is missing or too narrow for a node.
    """

    def read(level: int, position: int) -> bytes:
        place = node_place(level, position)
        data = tiles.get((place.level, place.n))
        end = (place.start + place.width) * HASH_BYTES
        if data is None or len(data) < end:
            refuse(
                f"tile {tile_path(place.level, place.n)}: expected at least "
                f"{place.start + place.width} hashes, got {len(data or b'') // HASH_BYTES}"
            )
        return tile_root(split_hashes(data[place.start * HASH_BYTES : end]))

    return read


def tile_root(hashes: Sequence[bytes]) -> bytes:
    """Computes the root over 1 to 256 hashes of a tile; over a full one it is the hash one tile
    level up.

    Raises: VALIDATION_FAILED when there are none, too many, or one is not 32 bytes.
    """
    if not 1 <= len(hashes) <= TILE_WIDTH:
        refuse(f"tile: expected 1 to {TILE_WIDTH} hashes, got {len(hashes)}")
    return root_of(hashes)


def split_hashes(data: bytes) -> list[bytes]:
    """Cuts the bytes of a tile into its 1 to 256 hashes.

    Raises: VALIDATION_FAILED when they are not so many times 32 bytes.
    """
    count, rest = divmod(len(data), HASH_BYTES)
    if rest or not 1 <= count <= TILE_WIDTH:
        refuse(f"tile: expected 1 to {TILE_WIDTH} times {HASH_BYTES} bytes, got {len(data)}")
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Encodes 1 to 256 entries as a bundle: each with its length before it, two bytes, big-endian.

    Raises: VALIDATION_FAILED when there are none, too many, or one is longer than 65,535 bytes.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        refuse(f"bundle: expected 1 to {TILE_WIDTH} entries, got {len(entries)}")
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            refuse(f"bundle: expected entries of at most {ENTRY_BYTES_MAX} bytes, got {len(entry)}")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """Decodes a bundle into its 1 to 256 entries.

    Raises: VALIDATION_FAILED when it is empty, cut short, or holds too many.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + 2
        position = start + int.from_bytes(data[start - 2 : start], "big")
        if position > len(data):
            refuse(f"bundle: entry {len(entries)} is cut short at {len(data)} bytes")
        if len(entries) == TILE_WIDTH:
            refuse(f"bundle: expected at most {TILE_WIDTH} entries, got more")
        entries.append(data[start:position])
    if not entries:
        refuse("bundle: expected at least one entry, got no bytes")
    return entries


def _numbered(n: int, width: int) -> str:
    """Formats a number in groups of 3 digits, all but the last with an x before it, and a partial
    width.
    """
    if not 0 <= n <= TREE_SIZE_MAX >> TILE_HEIGHT:
        refuse(f"tile number: expected 0 to {TREE_SIZE_MAX >> TILE_HEIGHT}, got {n}")
    if not 1 <= width <= TILE_WIDTH:
        refuse(f"tile width: expected 1 to {TILE_WIDTH}, got {width}")
    groups = f"{n:,}".split(",")
    groups[0] = groups[0].zfill(_GROUP_DIGITS)
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return name if width == TILE_WIDTH else f"{name}.p/{width}"


def _split_path(path: str) -> tuple[str, str]:
    """Cuts what follows the first part of a path into the second part and the rest."""
    parts = path.split("/", 2) if len(path) <= TILE_PATH_CHARACTERS_MAX else []
    if len(parts) != 3:
        refuse(f"tile path: expected tile/<level>/<n>, got {path[:TILE_PATH_CHARACTERS_MAX]!r}")
    return parts[1], parts[2]


def _parse_numbered(text: str, path: str) -> tuple[int, int]:
    """Reads n and width loosely; the caller formats them again and compares."""
    name, partial, width = text.partition(".p/")
    digits = name.replace("/", "").replace("x", "")
    numbers = [digits, width] if partial else [digits]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        refuse(f"tile path: expected digits in groups of {_GROUP_DIGITS}, got {path!r}")
    return int(digits), int(width) if partial else TILE_WIDTH
