"""Proofs of every tree up to 70 leaves against RFC 6962, and that no changed proof is accepted."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.tlog import naive
from timebank.errors import Reason, TimebankError
from timebank.tlog.merkle import leaf_hash
from timebank.tlog.proof import (
    PROOF_HASHES_MAX,
    Node,
    consistency_nodes,
    consistency_path,
    inclusion_nodes,
    inclusion_path,
    root_nodes,
    verify_consistency,
    verify_inclusion,
)

SIZE_MAX = 70
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(SIZE_MAX)]
ROOTS = [naive.tree_root(LEAVES[:size]) for size in range(SIZE_MAX + 1)]
NODES = {
    Node(level, position): naive.complete_node(LEAVES, level, position)
    for level in range(SIZE_MAX.bit_length())
    for position in range(SIZE_MAX >> level)
}


def changed(proof: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Every proof with a flipped bit, a hash dropped, doubled or added, or neighbours swapped."""
    hashes = list(proof)
    for at, value in enumerate(hashes):
        flipped = bytes([value[0] ^ 1]) + value[1:]
        yield [*hashes[:at], flipped, *hashes[at + 1 :]]
        yield [*hashes[:at], value[:-1] + bytes([value[-1] ^ 0x80]), *hashes[at + 1 :]]
        yield hashes[:at] + hashes[at + 1 :]
        yield [*hashes[: at + 1], *hashes[at:]]
        if at:
            yield [*hashes[: at - 1], value, hashes[at - 1], *hashes[at + 1 :]]
    yield [*hashes, LEAVES[0]]
    yield [LEAVES[0], *hashes]


def includes(index: int, size: int, path: Sequence[bytes], *, leaf: bytes, root: bytes) -> bool:
    try:
        verify_inclusion(index=index, size=size, leaf_hash=leaf, path=path, root=root)
    except TimebankError as error:
        return error.reason is not Reason.VALIDATION_FAILED
    return True


def extends(first: int, second: int, proof: Sequence[bytes], *, roots: tuple[bytes, bytes]) -> bool:
    try:
        verify_consistency(
            first=first, second=second, first_root=roots[0], second_root=roots[1], proof=proof
        )
    except TimebankError as error:
        return error.reason is not Reason.VALIDATION_FAILED
    return True


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_every_inclusion_path_is_that_of_the_definition_and_verifies(size: int) -> None:
    for index in range(size):
        path = inclusion_path(index, size, lambda level, at: NODES[Node(level, at)])

        assert path == naive.inclusion(index, LEAVES[:size])
        assert includes(index, size, path, leaf=LEAVES[index], root=ROOTS[size])


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_an_inclusion_path_has_the_length_that_index_and_size_say(size: int) -> None:
    for index in range(size):
        inner = (index ^ (size - 1)).bit_length()

        assert len(naive.inclusion(index, LEAVES[:size])) == inner + (index >> inner).bit_count()


@pytest.mark.parametrize("second", range(1, SIZE_MAX + 1))
def test_every_consistency_path_is_that_of_the_definition_and_verifies(second: int) -> None:
    for first in range(1, second + 1):
        proof = consistency_path(first, second, lambda level, at: NODES[Node(level, at)])

        assert proof == naive.consistency(first, LEAVES[:second])
        assert extends(first, second, proof, roots=(ROOTS[first], ROOTS[second]))


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_the_nodes_of_a_proof_are_named_once_and_no_other_is_read(size: int) -> None:
    for other in range(size):
        asked: list[tuple[int, int]] = []

        def read(level: int, position: int, asked: list[tuple[int, int]] = asked) -> bytes:
            asked.append((level, position))
            return NODES[Node(level, position)]

        inclusion_path(other, size, read)
        assert asked == inclusion_nodes(other, size)
        assert len(set(asked)) == len(asked)
        asked.clear()
        consistency_path(other + 1, size, read)
        assert asked == consistency_nodes(other + 1, size)
        assert len(set(asked)) == len(asked)


def test_the_nodes_of_a_root_are_its_perfect_subtrees_big_to_small() -> None:
    assert root_nodes(70) == [Node(6, 0), Node(2, 16), Node(1, 34)]


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_no_changed_inclusion_path_is_accepted(size: int) -> None:
    for index in range(size):
        leaf, path = LEAVES[index], naive.inclusion(index, LEAVES[:size])
        for mutated in changed(path):
            assert not includes(index, size, mutated, leaf=leaf, root=ROOTS[size])


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_an_inclusion_path_proves_no_other_index_leaf_or_root(size: int) -> None:
    for index in range(size):
        leaf, path = LEAVES[index], naive.inclusion(index, LEAVES[:size])
        for other in range(-1, SIZE_MAX + 1):
            if other != index:
                assert not includes(other, size, path, leaf=leaf, root=ROOTS[size])
        assert not includes(index, size, path, leaf=b"x" * 32, root=ROOTS[size])
        assert not includes(index, size, path, leaf=leaf, root=ROOTS[size - 1])


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_an_inclusion_path_proves_no_size_of_another_shape(size: int) -> None:
    for index in range(size):
        leaf, path = LEAVES[index], naive.inclusion(index, LEAVES[:size])
        for other in range(SIZE_MAX + 1):
            if other != size and not same_shape(index, size, other):
                assert not includes(index, other, path, leaf=leaf, root=ROOTS[size])


def same_shape(index: int, size: int, other: int) -> bool:
    """Whether the path to an index turns the same way at every step in trees of two sizes."""
    return index < other and turns(index, size) == turns(index, other)


def turns(index: int, size: int) -> list[bool]:
    result: list[bool] = []
    while size > 1:
        k = naive.split(size)
        result.append(index < k)
        index, size = (index, k) if index < k else (index - k, size - k)
    return result


def test_a_path_can_verify_under_a_wrong_size_so_the_size_must_be_signed() -> None:
    path = naive.inclusion(0, LEAVES[:3])

    assert includes(0, 4, path, leaf=LEAVES[0], root=ROOTS[3])


@pytest.mark.parametrize("second", range(1, SIZE_MAX + 1))
def test_no_changed_consistency_proof_is_accepted(second: int) -> None:
    for first in range(1, second + 1):
        roots = ROOTS[first], ROOTS[second]
        for mutated in changed(naive.consistency(first, LEAVES[:second])):
            assert not extends(first, second, mutated, roots=roots)


@pytest.mark.parametrize("second", range(2, SIZE_MAX + 1))
def test_a_consistency_proof_proves_no_other_roots(second: int) -> None:
    for first in range(1, second):
        proof = naive.consistency(first, LEAVES[:second])
        assert not extends(first, second, proof, roots=(b"x" * 32, ROOTS[second]))
        assert not extends(first, second, proof, roots=(ROOTS[first], b"x" * 32))
        assert not extends(first, second, proof, roots=(ROOTS[second], ROOTS[first]))
        assert not extends(first, second, [], roots=(ROOTS[first], ROOTS[second]))


@pytest.mark.parametrize("second", range(2, SIZE_MAX + 1))
def test_a_consistency_proof_proves_no_other_first_size(second: int) -> None:
    for first in range(1, second):
        proof = naive.consistency(first, LEAVES[:second])
        for other in range(-1, second + 2):
            if other != first:
                assert not extends(other, second, proof, roots=(ROOTS[first], ROOTS[second]))


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (0, 5), (-1, 5), (6, 5), (1, 2**63), (2**63, 2**63)]
)
def test_sizes_that_prove_nothing_are_refused(first: int, second: int) -> None:
    assert not extends(first, second, [], roots=(ROOTS[1], ROOTS[1]))
    for build in (consistency_nodes, consistency_path_of_nothing):
        with pytest.raises(TimebankError):
            build(first, second)


def consistency_path_of_nothing(first: int, second: int) -> list[bytes]:
    return consistency_path(first, second, lambda level, at: NODES[Node(level, at)])


def test_equal_sizes_need_equal_roots_and_no_hashes() -> None:
    assert extends(5, 5, [], roots=(ROOTS[5], ROOTS[5]))
    assert not extends(5, 5, [], roots=(ROOTS[5], ROOTS[6]))
    assert not extends(5, 5, [ROOTS[5]], roots=(ROOTS[5], ROOTS[5]))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (0, 2**63)])
def test_an_index_outside_the_tree_has_no_path(index: int, size: int) -> None:
    with pytest.raises(TimebankError):
        inclusion_nodes(index, size)
    with pytest.raises(TimebankError):
        inclusion_path(index, size, lambda level, at: NODES[Node(level, at)])


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_of_another_length_are_refused_wherever_they_stand(length: int) -> None:
    odd, path = b"x" * length, naive.inclusion(3, LEAVES[:7])
    assert not includes(3, 7, [odd, *path[1:]], leaf=LEAVES[3], root=ROOTS[7])
    assert not includes(3, 7, path, leaf=odd, root=ROOTS[7])
    assert not includes(3, 7, path, leaf=LEAVES[3], root=odd)
    proof = naive.consistency(3, LEAVES[:7])
    assert not extends(3, 7, [odd, *proof[1:]], roots=(ROOTS[3], ROOTS[7]))
    assert not extends(3, 7, proof, roots=(odd, ROOTS[7]))
    assert not extends(3, 7, proof, roots=(ROOTS[3], odd))


def test_a_path_into_a_larger_tree_proves_nothing_about_a_smaller_one() -> None:
    assert includes(1, 2, [LEAVES[0]], leaf=LEAVES[1], root=ROOTS[2])
    assert not includes(0, 1, [LEAVES[0]], leaf=LEAVES[1], root=ROOTS[2])


def test_a_proof_longer_than_any_tree_needs_is_not_even_hashed() -> None:
    with pytest.raises(TimebankError, match=f"at most {PROOF_HASHES_MAX}"):
        verify_inclusion(index=0, size=2, leaf_hash=LEAVES[0], path=LEAVES[:65], root=ROOTS[2])


@given(size=st.integers(1, 2**63 - 1), data=st.data())
def test_no_proof_of_any_tree_needs_more_hashes_than_the_limit(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))

    def read(level: int, position: int) -> bytes:
        assert (position + 1) << level <= size, "only complete subtrees may be read"
        return bytes(32)

    assert len(inclusion_path(index, size, read)) <= PROOF_HASHES_MAX
    assert len(consistency_path(index + 1, size, read)) <= PROOF_HASHES_MAX
