"""Hashes, roots and the frontier against the definitions of RFC 6962."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.tlog import naive
from timebank.errors import Reason, TimebankError
from timebank.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash, root_of

LEAVES = [leaf_hash(b"entry %d" % number) for number in range(600)]


def test_a_leaf_is_hashed_with_a_zero_byte_before_it() -> None:
    assert leaf_hash(b"one") == sha256(b"\x00one").digest()


def test_a_node_is_hashed_with_a_one_byte_before_its_children() -> None:
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Frontier().root() == root_of([]) == EMPTY_ROOT


@pytest.mark.parametrize("size", range(71))
def test_the_root_is_that_of_the_recursive_definition(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)

    assert frontier.size == size
    assert frontier.root() == root_of(LEAVES[:size]) == naive.tree_root(LEAVES[:size])


@given(sizes=st.lists(st.integers(0, 70), max_size=8))
def test_extending_in_pieces_equals_appending_one_by_one(sizes: list[int]) -> None:
    appended, extended = Frontier(), Frontier()
    start = 0
    for size in sizes:
        piece = LEAVES[start : start + size]
        extended.extend(iter(piece))
        for leaf in piece:
            appended.append(leaf)
        start += size

    assert extended.size == appended.size
    assert extended.to_bytes() == appended.to_bytes()


def test_extending_leaves_the_callers_list_alone() -> None:
    leaves = LEAVES[:7]

    Frontier().extend(leaves)

    assert leaves == LEAVES[:7]


def test_extending_across_a_group_boundary_equals_appending() -> None:
    leaves = [number.to_bytes(32, "big") for number in range(65_536 + 3)]
    appended, extended = Frontier(), Frontier()
    for leaf in leaves:
        appended.append(leaf)

    extended.extend(leaves)

    assert (extended.size, extended.root()) == (appended.size, appended.root())


@given(size=st.integers(0, 600), more=st.integers(0, 20))
def test_a_restored_frontier_goes_on_like_the_original(size: int, more: int) -> None:
    original = Frontier()
    original.extend(LEAVES[:size])

    restored = Frontier.from_bytes(original.size, original.to_bytes())

    for frontier in (original, restored):
        frontier.extend(LEAVES[:more])
    assert restored.to_bytes() == original.to_bytes()
    assert restored.root() == original.root()


def test_the_bytes_of_a_frontier_are_its_perfect_roots_big_to_small() -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:7])

    assert frontier.to_bytes() == b"".join(
        naive.tree_root(LEAVES[start:end]) for start, end in ((0, 4), (4, 6), (6, 7))
    )


def test_a_copy_grows_alone() -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:3])
    before = frontier.to_bytes()

    frontier.copy().append(LEAVES[3])

    assert (frontier.size, frontier.to_bytes()) == (3, before)


@pytest.mark.parametrize(
    ("size", "data"),
    [(0, b"x" * 32), (3, b"x" * 32), (3, b"x" * 65), (4, b""), (-1, b""), (2**63, b"x" * 32)],
)
def test_a_frontier_is_not_restored_from_bytes_that_do_not_fit(size: int, data: bytes) -> None:
    with pytest.raises(TimebankError) as caught:
        Frontier.from_bytes(size, data)

    assert caught.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_hash_of_another_length_is_refused_and_nothing_is_added(length: int) -> None:
    frontier = Frontier()
    with pytest.raises(TimebankError, match=f"got {length}"):
        frontier.append(b"x" * length)
    with pytest.raises(TimebankError, match=f"got {length}"):
        frontier.extend([LEAVES[0], b"x" * length])

    assert (frontier.size, frontier.root()) == (0, EMPTY_ROOT)
