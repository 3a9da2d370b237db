"""Under which other sizes a consistency proof verifies: only those whose trees turn alike."""

import pytest

from tests.timebank.tlog import naive
from timebank.errors import Reason, TimebankError
from timebank.tlog.merkle import leaf_hash
from timebank.tlog.proof import verify_consistency

SIZE_MAX = 70
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(SIZE_MAX)]
ROOTS = [naive.tree_root(LEAVES[:size]) for size in range(SIZE_MAX + 1)]


def verifies(first: int, second: int, proof: list[bytes], roots: tuple[bytes, bytes]) -> bool:
    try:
        verify_consistency(
            first=first, second=second, first_root=roots[0], second_root=roots[1], proof=proof
        )
    except TimebankError as error:
        return error.reason is not Reason.VALIDATION_FAILED
    return True


def turns(first: int, second: int) -> list[bool]:
    """Which way SUBPROOF of RFC 6962 2.1.2 goes at every step from the root."""
    result: list[bool] = []
    while first != second:
        half = naive.split(second)
        result.append(first <= half)
        if first <= half:
            second = half
        else:
            first, second = first - half, second - half
    return result


@pytest.mark.parametrize("second", range(2, SIZE_MAX + 1))
def test_a_consistency_proof_proves_no_second_size_of_another_shape(second: int) -> None:
    for first in range(1, second):
        proof = naive.consistency(first, LEAVES[:second])
        for other in range(first, SIZE_MAX + 1):
            if turns(first, other) != turns(first, second):
                roots = ROOTS[first], ROOTS[second]
                assert not verifies(first, other, proof, roots), (first, other)


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_no_tree_of_other_entries_continues_another(size: int) -> None:
    others = [leaf_hash(b"other"), *LEAVES[1:size]]
    for first in range(1, size):
        proof = naive.consistency(first, others)
        assert not verifies(first, size, proof, (ROOTS[first], naive.tree_root(others)))
