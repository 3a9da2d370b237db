"""The Merkle tree of RFC 6962 section 2.1: hashes of leaves and nodes, and roots.

Owns: hashing and the streaming form of the tree (`Frontier`). Refuses: storage and proofs (see
proof.py).
Rules: SHA-256, 32 bytes; a leaf is prefixed with 0x00 and a node with 0x01; no padding, no doubled
last leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import NoReturn

from timebank.tlog.refusal import refuse

HASH_BYTES = 32
TREE_SIZE_MAX = 2**63 - 1
"""Largest tree anybody may claim: sizes and indexes travel as signed 64-bit integers."""

EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves."""

_EXTEND_LEAVES_MAX = 65_536
"""Leaves merged at once by `Frontier.extend`; bounds its working memory to a few megabytes."""


def leaf_hash(data: bytes) -> bytes:
    """Hashes the bytes of one entry as a leaf (32 bytes)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hashes two 32-byte subtree roots into the root above them (32 bytes)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Computes the root of the tree whose leaf hashes are given; without any it is `EMPTY_ROOT`.

    Raises: VALIDATION_FAILED when a hash is not 32 bytes.
    """
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.root()


def fold_roots(roots: Sequence[bytes]) -> bytes:
    """Folds the roots of adjacent perfect subtrees, big to small, at least one, into one root."""
    remaining = reversed(roots)
    root = next(remaining)
    for left in remaining:
        root = sha256(b"\x01" + left + root).digest()
    return root


class Frontier:
    """The right edge of a tree: enough to append leaves and to know the root.

    It holds one root per set bit of `size`: perfect subtrees, big to small. Appending costs one
    hash per leaf on average. Nothing is checked twice: what `append` and `extend` accepted is
    trusted.
    """

    __slots__ = ("_roots", "size")

    size: int
    """Number of leaves."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def append(self, leaf_hash: bytes) -> None:
        """Adds one leaf by its 32-byte hash.

        Raises: VALIDATION_FAILED when the hash is not 32 bytes.
        """
        if len(leaf_hash) != HASH_BYTES:
            _refuse_hash(leaf_hash)
        roots = self._roots
        size = self.size
        self.size = size + 1
        while size & 1:
            leaf_hash = sha256(b"\x01" + roots.pop() + leaf_hash).digest()
            size >>= 1
        roots.append(leaf_hash)

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Adds leaves in order by their 32-byte hashes: the same as `append` for each, but faster.

        Raises: VALIDATION_FAILED when a hash is not 32 bytes; earlier groups of 65,536 leaves stay
        added.
        """
        for leaves in _groups(leaf_hashes):
            if set(map(len, leaves)) != {HASH_BYTES}:
                _refuse_hash(next(leaf for leaf in leaves if len(leaf) != HASH_BYTES))
            added = len(leaves)
            self._merge(leaves)
            self.size += added

    def _merge(self, pending: list[bytes]) -> None:
        """Merges leaf hashes level by level; what has no partner at a level stays there."""
        sha, roots, size = sha256, self._roots, self.size
        odd: list[bytes] = []
        while pending:
            if size & 1:
                pending.insert(0, roots.pop())
            if len(pending) & 1:
                odd.append(pending.pop())
            pairs = iter(pending)
            pending = [
                sha(b"\x01" + left + right).digest()
                for left, right in zip(pairs, pairs, strict=True)
            ]
            size >>= 1
        roots.extend(reversed(odd))

    def root(self) -> bytes:
        """Returns the root of all leaves so far (32 bytes); `EMPTY_ROOT` without leaves."""
        return fold_roots(self._roots) if self._roots else EMPTY_ROOT

    def to_bytes(self) -> bytes:
        """Returns the perfect subtree roots, big to small, 32 bytes each; keep `size` as well."""
        return b"".join(self._roots)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Restores a frontier from its size in leaves and what `to_bytes` gave.

        Raises: VALIDATION_FAILED when the size is out of range or the bytes do not fit it.
        """
        if not 0 <= size <= TREE_SIZE_MAX:
            refuse(f"frontier size: expected 0 to {TREE_SIZE_MAX}, got {size}")
        expected = HASH_BYTES * size.bit_count()
        if len(data) != expected:
            refuse(f"frontier of size {size}: expected {expected} bytes, got {len(data)}")
        frontier = cls()
        frontier.size = size
        frontier._roots = [
            data[start : start + HASH_BYTES] for start in range(0, expected, HASH_BYTES)
        ]
        return frontier

    def copy(self) -> Frontier:
        """Returns an independent frontier with the same leaves."""
        twin = Frontier()
        twin.size = self.size
        twin._roots = self._roots.copy()
        return twin


def _groups(hashes: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cuts the hashes into lists of at most `_EXTEND_LEAVES_MAX`, none empty."""
    remaining = iter(hashes)
    while group := list(islice(remaining, _EXTEND_LEAVES_MAX)):
        yield group


def _refuse_hash(value: bytes) -> NoReturn:
    refuse(f"hash: expected {HASH_BYTES} bytes, got {len(value)}")
