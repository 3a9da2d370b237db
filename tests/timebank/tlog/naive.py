"""The definitions of RFC 6962 section 2.1 as plain recursion, to compare the fast code with."""

from collections.abc import Sequence
from hashlib import sha256


def split(count: int) -> int:
    """The largest power of two strictly smaller than the count."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """MTH(D[n]) over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + tree_root(leaves[:k]) + tree_root(leaves[k:])).digest()


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*inclusion(index, leaves[:k]), tree_root(leaves[k:])]
    return [*inclusion(index - k, leaves[k:]), tree_root(leaves[:k])]


def consistency(first: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if first == len(leaves):
        return [] if whole else [tree_root(leaves)]
    k = split(len(leaves))
    if first <= k:
        return [*consistency(first, leaves[:k], whole=whole), tree_root(leaves[k:])]
    return [*consistency(first - k, leaves[k:], whole=False), tree_root(leaves[:k])]


def complete_node(leaves: Sequence[bytes], level: int, position: int) -> bytes:
    """The root of a complete subtree; an incomplete one is an error of the caller."""
    under = leaves[position << level : (position + 1) << level]
    assert len(under) == 1 << level, f"subtree ({level}, {position}) is not complete"
    return tree_root(under)
