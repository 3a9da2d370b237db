"""Tiles: paths, widths, which tile holds a node, and bundles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.tlog.refusals import assert_refuses, damaged, only_refusals
from timebank.tlog.merkle import Frontier, leaf_hash, root_of
from timebank.tlog.proof import (
    consistency_nodes,
    consistency_path,
    inclusion_nodes,
    inclusion_path,
    root_nodes,
    verify_consistency,
    verify_inclusion,
)
from timebank.tlog.tiles import (
    ENTRY_BYTES_MAX,
    Bundle,
    Tile,
    bundles_of,
    decode_bundle,
    encode_bundle,
    entries_path,
    full_tiles,
    node_place,
    node_reader,
    parse_entries_path,
    parse_tile_path,
    partial_width,
    split_hashes,
    tile_path,
    tile_root,
    tiles_needed,
    tiles_of,
)

SIZE = 70_000
N_MAX = (2**63 - 1) >> 8


def build_tiles(leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
    """Every tile of a log, each level hashed from the full tiles of the one below."""
    tiles: dict[tuple[int, int], bytes] = {}
    hashes, level = leaves, 0
    while hashes:
        rows = [hashes[start : start + 256] for start in range(0, len(hashes), 256)]
        tiles |= {(level, n): b"".join(row) for n, row in enumerate(rows)}
        hashes = [tile_root(row) for row in rows if len(row) == 256]
        level += 1
    return tiles


LEAVES = [leaf_hash(b"%d" % number) for number in range(SIZE)]
TILES = build_tiles(LEAVES)
READ = node_reader(TILES)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Tile(0, 1000, 17), "tile/0/x001/000.p/17"),
        (Tile(2, 1_234_067), "tile/2/x001/x234/067"),
        (Tile(63, 5, 1), "tile/63/005.p/1"),
        (Tile(10, 10, 255), "tile/10/010.p/255"),
    ],
)
def test_a_tile_has_one_path(tile: Tile, path: str) -> None:
    assert tile_path(*tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    ("bundle", "path"),
    [
        (Bundle(0), "tile/entries/000"),
        (Bundle(273, 112), "tile/entries/273.p/112"),
        (Bundle(1_234_067), "tile/entries/x001/x234/067"),
    ],
)
def test_a_bundle_has_one_path(bundle: Bundle, path: str) -> None:
    assert entries_path(*bundle) == path
    assert parse_entries_path(path) == bundle


@given(level=st.integers(0, 63), n=st.integers(0, N_MAX), width=st.integers(1, 256))
def test_every_path_reads_back_as_it_was_written(level: int, n: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, n, width)) == (level, n, width)
    assert parse_entries_path(entries_path(n, width)) == (n, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tiles/0/000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/a/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x000",
        "tile/0/001/000",
        "tile/0/1000",
        "tile/0/x1/000",
        "tile/0/X001/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/٠٠٠",
        "tile/0/../000",
        "tile/0/000\n",
        "tile/0/" + "x001/" * 30 + "000",
        f"tile/0/{'x999/' * 6}999",
    ],
)
def test_another_spelling_of_a_path_is_refused(path: str) -> None:
    assert_refuses(lambda: parse_tile_path(path), "tile")
    assert_refuses(lambda: parse_entries_path(path.replace("tile/0/", "tile/entries/")))


@given(path=st.one_of(st.text(), damaged("tile/0/x001/000.p/17")))
def test_hostile_paths_are_only_ever_refused_or_read_back_the_same(path: str) -> None:
    only_refusals(lambda: parse_entries_path(path))
    found: list[Tile] = []
    only_refusals(lambda: found.append(parse_tile_path(path)))
    assert [tile_path(*tile) for tile in found] in ([], [path])


@pytest.mark.parametrize(
    ("level", "n", "width"),
    [(-1, 0, 256), (64, 0, 256), (0, -1, 256), (0, N_MAX + 1, 256), (0, 0, 0), (0, 0, 257)],
)
def test_a_tile_out_of_range_has_no_path(level: int, n: int, width: int) -> None:
    assert_refuses(lambda: tile_path(level, n, width), "tile")


def test_the_tiles_of_the_specified_size_are_right() -> None:
    assert [full_tiles(level, SIZE) for level in range(4)] == [273, 1, 0, 0]
    assert [partial_width(level, SIZE) for level in range(4)] == [112, 17, 1, 0]
    tiles = list(tiles_of(SIZE))
    assert len(tiles) == 274 + 2 + 1
    assert tiles[273:] == [Tile(0, 273, 112), Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(bundles_of(SIZE)) == [*(Bundle(n) for n in range(273)), Bundle(273, 112)]


def test_an_empty_log_has_no_tiles_and_a_full_tile_no_partial_one() -> None:
    assert list(tiles_of(0)) == []
    assert list(bundles_of(0)) == []
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(bundles_of(256)) == [Bundle(0)]


def test_the_listed_tiles_are_those_that_the_leaves_make() -> None:
    assert {(tile.level, tile.n): tile.width * 32 for tile in tiles_of(SIZE)} == {
        place: len(data) for place, data in TILES.items()
    }


@pytest.mark.parametrize(
    ("node", "place"),
    [
        ((0, 0), (0, 0, 0, 1)),
        ((0, 300), (0, 1, 44, 1)),
        ((3, 33), (0, 1, 8, 8)),
        ((7, 1), (0, 0, 128, 128)),
        ((8, 0), (1, 0, 0, 1)),
        ((8, 256), (1, 1, 0, 1)),
        ((9, 3), (1, 0, 6, 2)),
        ((16, 0), (2, 0, 0, 1)),
    ],
)
def test_a_node_lies_in_one_tile(node: tuple[int, int], place: tuple[int, int, int, int]) -> None:
    assert node_place(*node) == place


@pytest.mark.parametrize("level", range(17))
def test_a_node_read_from_tiles_is_the_root_over_its_leaves(level: int) -> None:
    for position in {0, (SIZE >> level) // 2, (SIZE >> level) - 1}:
        under = LEAVES[position << level : (position + 1) << level]
        assert READ(level, position) == root_of(under)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999])
def test_proofs_of_a_large_log_need_few_tiles_and_verify(index: int) -> None:
    root = root_of(LEAVES)
    needed = tiles_needed(inclusion_nodes(index, SIZE))
    path = inclusion_path(index, SIZE, node_reader({tile: TILES[tile] for tile in needed}))

    assert len(needed) <= 6
    verify_inclusion(index=index, size=SIZE, leaf_hash=LEAVES[index], path=path, root=root)

    needed = tiles_needed(consistency_nodes(index + 1, SIZE))
    proof = consistency_path(index + 1, SIZE, node_reader({tile: TILES[tile] for tile in needed}))
    assert len(needed) <= 6
    verify_consistency(
        first=index + 1,
        second=SIZE,
        first_root=root_of(LEAVES[: index + 1]),
        second_root=root,
        proof=proof,
    )


def test_a_frontier_is_restored_from_the_nodes_of_the_root() -> None:
    data = b"".join(READ(level, position) for level, position in root_nodes(SIZE))

    assert Frontier.from_bytes(SIZE, data).root() == root_of(LEAVES)


def test_each_tile_is_asked_for_once_and_in_order() -> None:
    assert tiles_needed([(0, 300), (1, 150), (8, 0), (0, 1)]) == [(0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("tiles", [{}, {(0, 0): LEAVES[0] * 255}, {(0, 1): LEAVES[0] * 256}])
def test_a_missing_or_narrow_tile_is_refused(tiles: dict[tuple[int, int], bytes]) -> None:
    assert_refuses(lambda: node_reader(tiles)(0, 255), "tile/0/000")


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33), bytes(257 * 32)])
def test_bytes_that_are_no_tile_are_refused(data: bytes) -> None:
    assert_refuses(lambda: split_hashes(data), "tile")


def test_a_tile_root_needs_1_to_256_hashes() -> None:
    assert_refuses(lambda: tile_root([]), "1 to 256")
    assert_refuses(lambda: tile_root(LEAVES[:257]), "1 to 256")
    assert tile_root(LEAVES[:1]) == LEAVES[0]


@given(entries=st.lists(st.binary(max_size=50), min_size=1, max_size=256))
def test_a_bundle_reads_back_as_it_was_written(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_a_bundle_is_written_to_the_byte() -> None:
    assert encode_bundle([b"one", b"", b"x" * 258]) == b"\0\3one\0\0\1\2" + b"x" * 258


def test_the_longest_entry_fits_a_bundle_and_one_byte_more_does_not() -> None:
    longest = b"x" * ENTRY_BYTES_MAX

    assert decode_bundle(encode_bundle([longest])) == [longest]
    assert_refuses(lambda: encode_bundle([longest + b"x"]), "65535")


def test_a_bundle_has_1_to_256_entries() -> None:
    assert len(decode_bundle(encode_bundle([b""] * 256))) == 256
    assert_refuses(lambda: encode_bundle([]), "1 to 256")
    assert_refuses(lambda: encode_bundle([b""] * 257), "1 to 256")
    assert_refuses(lambda: decode_bundle(bytes(2 * 257)), "at most 256")
    assert_refuses(lambda: decode_bundle(b""), "at least one")


@pytest.mark.parametrize("data", [b"\0", b"\0\1", b"\0\3on", b"\0\3one\0", b"\xff\xff"])
def test_a_bundle_cut_short_is_refused(data: bytes) -> None:
    assert_refuses(lambda: decode_bundle(data), "cut short")


@given(data=st.binary(max_size=200))
def test_hostile_bundles_are_only_ever_refused_or_read_back_the_same(data: bytes) -> None:
    found: list[list[bytes]] = []
    only_refusals(lambda: found.append(decode_bundle(data)))
    assert [encode_bundle(entries) for entries in found] in ([], [data])


@given(size=st.integers(-5, 2**62), data=st.binary(max_size=200))
def test_hostile_frontiers_are_only_ever_refused(size: int, data: bytes) -> None:
    only_refusals(lambda: Frontier.from_bytes(size, data).root())
