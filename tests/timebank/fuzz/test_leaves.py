"""Hostile leaves: the decoder and the audit's pages accept or refuse them, and never fail
otherwise.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import leaf
from ledger.domain.entry import Entry
from ledger.domain.fold import LedgerState, Projections
from ledger.leaf_pages import BrokenLeaf, Cursor, columns_of, fold_page
from tests.simulation.pure import PureHistory
from tests.timebank.fuzz.mutations import damaged_bytes
from timebank.ledger.v1 import account_pb2, entry_pb2, ledger_pb2

STEPS = 60


def history() -> list[bytes]:
    made = PureHistory(11)
    for _ in range(STEPS):
        made.step()
    return made.ledger.leaves


LEAVES = history()


def decoded(data: bytes) -> Entry | None:
    try:
        return leaf.decode(data)
    except ValueError:
        return None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LEAVES).flatmap(damaged_bytes))
def test_hostile_leaves_are_only_ever_refused_or_read_back_the_same(data: bytes) -> None:
    entry = decoded(data)
    if entry is not None:
        assert leaf.decode(leaf.encode("weihai", entry)) == entry


def broken_at(page: list[bytes]) -> list[int]:
    """The index at which reading or folding a page stops, for each that stops."""
    stops = []
    for read in (
        lambda: columns_of(page, Cursor()),
        lambda: fold_page(Projections(LedgerState("")), page, 0),
    ):
        try:
            read()
        except BrokenLeaf as broken:
            stops.append(broken.log_index)
    return stops


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(LEAVES) - 1), st.data())
def test_a_page_with_a_hostile_leaf_folds_or_is_broken(at: int, data: st.DataObject) -> None:
    hostile = data.draw(damaged_bytes(LEAVES[at]))
    entry = decoded(hostile)
    # Folding believes the index that a leaf claims: reading the columns has checked it before.
    claimed = at if entry is None else entry.log_index
    places = {claimed, *range(at, len(LEAVES))}
    assert set(broken_at([*LEAVES[:at], hostile, *LEAVES[at + 1 :]])) <= places


@pytest.mark.parametrize("index", range(40))
def test_a_leaf_of_any_kind_folds_or_is_broken(index: int) -> None:
    message = entry_pb2.Entry.FromString(LEAVES[index])
    for kind in range(-2, 40):
        message.kind = kind  # type: ignore[assignment]  # numbers beyond the contract, too
        page = [*LEAVES[:index], message.SerializeToString()]
        assert set(broken_at(page)) <= {index}


@pytest.mark.parametrize("kind", range(1, 35))
def test_an_entry_of_any_kind_without_effects_folds_or_is_broken(kind: int) -> None:
    fact = entry_pb2.AccountFact(
        account_id="a",
        unit=ledger_pb2.UNIT_POINTS,
        kind=account_pb2.ACCOUNT_KIND_MEMBER,
        state=account_pb2.Account.STATE_ACTIVE,
    )
    message = entry_pb2.Entry(ledger_id="weihai", index=0, account=fact)
    message.kind = kind  # type: ignore[assignment]  # every number of the contract in turn
    assert set(broken_at([message.SerializeToString()])) <= {0}
