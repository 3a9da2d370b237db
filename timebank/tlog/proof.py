"""Inclusion and consistency proofs of RFC 6962 section 2.1: verifying them, and building them from
stored nodes.

Owns: both verifiers, the list of nodes a proof needs, and putting the proof together. Refuses:
storage: the caller asks for the coordinates, loads all of them at once, and passes a reader.
Rules: only complete subtrees are ever read, as (level, position): level 0 is the leaf hashes, and
node i of level l covers the 2^l leaves from i * 2^l onwards; the ragged right edge is folded from
several of them. A size must come from a signed checkpoint, never from whoever gives the proof: a
proof can verify under a wrong size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from timebank.tlog.merkle import HASH_BYTES, TREE_SIZE_MAX, fold_roots, node_hash
from timebank.tlog.refusal import refuse

PROOF_HASHES_MAX = 64
"""Longest proof looked at: no tree of at most 2^63 leaves needs more hashes."""


class Node(NamedTuple):
    """Coordinates of a complete subtree: 2^level leaves from leaf position * 2^level onwards."""

    level: int
    position: int


NodeReader = Callable[[int, int], bytes]
"""Reads the 32-byte root of the complete subtree (level, position)."""


def verify_inclusion(
    *, index: int, size: int, leaf_hash: bytes, path: Sequence[bytes], root: bytes
) -> None:
    """Checks that the leaf stands at `index` (from 0) in the tree of `size` leaves with that root.

    Raises: VALIDATION_FAILED with what is wrong.
    """
    if not 0 <= index < size <= TREE_SIZE_MAX:
        refuse(f"inclusion proof: expected 0 <= index < size, got index {index}, size {size}")
    _check_hashes("inclusion proof", path, leaf_hash, root)
    first, last, computed = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            refuse(f"inclusion proof: {len(path)} hashes are too many for size {size}")
        if first & 1 or first == last:
            computed = node_hash(sibling, computed)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        first, last = first >> 1, last >> 1
    if last:
        refuse(f"inclusion proof: {len(path)} hashes are too few for size {size}")
    if computed != root:
        refuse(f"inclusion proof: entry {index} does not lead to the root of size {size}")


def verify_consistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Checks that the tree of `first` leaves is the beginning of the tree of `second` leaves.

    A first size of 0 is refused: every tree begins with the empty one, so there is nothing to
    prove.

    Raises: VALIDATION_FAILED with what is wrong.
    """
    if not 0 < first <= second <= TREE_SIZE_MAX:
        refuse(f"consistency proof: expected 0 < first <= second, got {first} and {second}")
    _check_hashes("consistency proof", proof, first_root, second_root)
    if first == second:
        if proof:
            refuse(f"consistency proof: expected no hashes for equal sizes, got {len(proof)}")
        if first_root != second_root:
            refuse(f"consistency proof: two different roots for one size, {first}")
        return
    if not proof:
        refuse(f"consistency proof: no hashes, expected some for sizes {first} and {second}")
    hashes = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    first_computed, second_computed = _fold_consistency(first, second, hashes)
    if first_computed != first_root:
        refuse(f"consistency proof: does not lead to the root of the first size, {first}")
    if second_computed != second_root:
        refuse(f"consistency proof: does not lead to the root of the second size, {second}")


def _fold_consistency(first: int, second: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Computes both roots from a proof that begins with a subtree common to both trees (RFC 9162
    2.1.4.2).
    """
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first_root = second_root = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            refuse(f"consistency proof: too many hashes for sizes {first} and {second}")
        if at & 1 or at == last:
            first_root = node_hash(sibling, first_root)
            second_root = node_hash(sibling, second_root)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second_root = node_hash(second_root, sibling)
        at, last = at >> 1, last >> 1
    if last:
        refuse(f"consistency proof: too few hashes for sizes {first} and {second}")
    return first_root, second_root


def inclusion_nodes(index: int, size: int) -> list[Node]:
    """Lists every complete subtree that `inclusion_path` will read, each once.

    Raises: VALIDATION_FAILED when the index is not in the tree.
    """
    return [node for span in _inclusion_spans(index, size) for node in span]


def inclusion_path(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Builds the proof that entry `index` is in the tree of `size` leaves: sibling hashes, leaf to
    root.

    Raises: VALIDATION_FAILED when the index is not in the tree.
    """
    return [_span_root(span, node) for span in _inclusion_spans(index, size)]


def consistency_nodes(first: int, second: int) -> list[Node]:
    """Lists every complete subtree that `consistency_path` will read, each once.

    Raises: VALIDATION_FAILED unless 0 < first <= second.
    """
    return [node for span in _consistency_spans(first, second) for node in span]


def consistency_path(first: int, second: int, node: NodeReader) -> list[bytes]:
    """Builds the proof that the tree of `first` leaves is the beginning of the tree of `second`
    leaves.

    Raises: VALIDATION_FAILED unless 0 < first <= second.
    """
    return [_span_root(span, node) for span in _consistency_spans(first, second)]


def root_nodes(size: int) -> list[Node]:
    """Lists the complete subtrees, big to small, that fold into the root of a tree of `size` leaves
    (1 or more).
    """
    return _span(0, size)


def _inclusion_spans(index: int, size: int) -> list[list[Node]]:
    """Walks from the root down to the leaf and returns the sibling of each step, leaf to root:
    PATH(m, D[n]).
    """
    if not 0 <= index < size <= TREE_SIZE_MAX:
        refuse(f"inclusion proof: expected 0 <= index < size, got index {index}, size {size}")
    spans: list[list[Node]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append(_span(middle, end))
            end = middle
        else:
            spans.append(_span(start, middle))
            start = middle
    spans.reverse()
    return spans


def _consistency_spans(first: int, second: int) -> list[list[Node]]:
    """Walks down to the subtree that ends at `first`, returns it and the siblings: SUBPROOF(m,
    D[n], true).
    """
    if not 0 < first <= second <= TREE_SIZE_MAX:
        refuse(f"consistency proof: expected 0 < first <= second, got {first} and {second}")
    spans: list[list[Node]] = []
    start, end = 0, second
    while end != first:
        middle = start + _split(end - start)
        if first <= middle:
            spans.append(_span(middle, end))
            end = middle
        else:
            spans.append(_span(start, middle))
            start = middle
    if start:  # never gone right: the subtree is the whole first tree, whose root the verifier has
        spans.append(_span(start, end))
    spans.reverse()
    return spans


def _split(count: int) -> int:
    """Returns the largest power of two strictly smaller than `count` (2 or more)."""
    return 1 << (count - 1).bit_length() - 1


def _span(start: int, end: int) -> list[Node]:
    """Cuts the leaves from `start` to before `end` into complete subtrees, big to small.

    `start` must be a multiple of a power of two that is at least the length, as every subtree of
    RFC 6962 is.
    """
    nodes: list[Node] = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def _span_root(span: Sequence[Node], node: NodeReader) -> bytes:
    return fold_roots([node(level, position) for level, position in span])


def _check_hashes(what: str, proof: Sequence[bytes], *others: bytes) -> None:
    if len(proof) > PROOF_HASHES_MAX:
        refuse(f"{what}: expected at most {PROOF_HASHES_MAX} hashes, got {len(proof)}")
    for value in (*proof, *others):
        if len(value) != HASH_BYTES:
            refuse(f"{what}: expected hashes of {HASH_BYTES} bytes, got {len(value)}")
