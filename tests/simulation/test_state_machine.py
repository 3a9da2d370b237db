"""The pure state machine: what the model says, deterministic, and folded alike by both readers."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import leaf
from ledger.domain.fold import LedgerState, Projections
from ledger.leaf_pages import fold_page
from tests.simulation.pure import Given, PureHistory, PureLedger
from tests.support.commands import START_US

HISTORIES = 20
"""Raise it for a long run by hand."""
STEPS = 120
SEEDS = st.integers(0, 2**32)
REACHED = (
    *(f"{kind} accepted" for kind in ("Post", "Hold", "Capture", "Void", "Refund", "Reverse")),
    *("Change accepted", "Limits accepted", "CloseOpening accepted", "Chain accepted"),
    *("Chain LINKED_ITEM_FAILED", "Chain replayed", "Post replayed", "Post REQUEST_ID_REUSED"),
    *("Refund REFUND_EXCEEDS_CAPTURE", "Refund ALREADY_REVERSED", "Reverse ALREADY_REVERSED"),
    *("Post OPENING_CLOSED", "Post LIMIT_EXCEEDED", "Post ACCOUNT_FROZEN", "Post ACCOUNT_CLOSED"),
    *("Capture AMOUNT_EXCEEDS_HOLD", "Capture HOLD_EXPIRED", "Hold ENTRY_EXISTS"),
    *(f"entry of kind {kind}" for kind in (5, 6, 7, 8, 9, 10, 11, *range(20, 35))),
    "steps in debt",
)
"""What a few histories must meet, or the tellers ask for too little."""


def history(seed: int, steps: int = STEPS) -> PureHistory:
    """A history of a seed."""
    made = PureHistory(seed)
    for _ in range(steps):
        made.step()
    return made


@settings(max_examples=HISTORIES, derandomize=True, database=None, deadline=None)
@given(seed=SEEDS)
def test_the_state_machine_does_what_the_model_says(seed: int) -> None:
    history(seed)


def test_histories_meet_every_kind_of_entry_and_refusal() -> None:
    reached: Counter[str] = Counter()
    for seed in range(30):
        reached.update(history(seed).steps.reached)
    assert [what for what in REACHED if not reached[what]] == []


@pytest.mark.parametrize("seed", range(8))
def test_the_same_requests_times_and_random_bytes_give_the_same_leaves(seed: int) -> None:
    first = history(seed).ledger
    again = PureLedger(seed)
    for batch in first.given:
        again.carry_out(batch)
    assert again.leaves == first.leaves


@pytest.mark.parametrize("seed", range(8))
def test_where_batches_end_changes_no_leaf(seed: int) -> None:
    first = history(seed).ledger
    alone = PureLedger(seed)
    for batch in first.given:
        for request in batch.requests:
            alone.carry_out(Given(batch.clock_us, (request,)))
    assert alone.leaves == first.leaves


@pytest.mark.parametrize(("seed", "page"), [(1, 1), (2, 7), (3, 64), (4, 1_000), (5, 13), (6, 2)])
def test_the_audit_folds_leaves_to_what_the_writer_folded(seed: int, page: int) -> None:
    ledger = history(seed).ledger
    written, read = Projections(LedgerState("")), Projections(LedgerState(""))
    for data in ledger.leaves:
        written.fold(leaf.decode(data))
    rows = []
    for start in range(0, len(ledger.leaves), page):
        rows.extend(fold_page(read, ledger.leaves[start : start + page], start))
    assert rows == [(row[1], row[0], *row[2:]) for row in written.posting_rows]
    assert read.accounts == written.accounts
    assert (read.holds, read.corrections) == (written.holds, written.corrections)
    assert (read.ledger, read.earned) == (written.ledger, written.earned)
    assert ledger.earned == Counter(read.earned)
    assert read.expired_accounts == written.expired_accounts
    assert {name: account.lots for name, account in ledger.state.accounts.items()} == {
        name: account.lots for name, account in read.accounts.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_leaves_are_read_back_as_the_entries_that_were_written(seed: int) -> None:
    ledger = history(seed).ledger
    assert ledger.entries[0].recorded_us == START_US
    for entry, data in zip(ledger.entries, ledger.leaves, strict=True):
        assert leaf.encode("weihai", leaf.decode(data)) == data
        assert leaf.decode(data).kind is entry.kind
