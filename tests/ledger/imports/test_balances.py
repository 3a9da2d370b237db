"""Balances computed from a file: who runs out, which batches may overtake, which rows repeat."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.imports.balances import Headroom, RepeatedRows, RunningBalances
from ledger.imports.movements import POOL, Movement, digest_of


def movement(source: str, destination: str, minutes: int, number: int = 2) -> Movement:
    digest = digest_of(source, destination, minutes)
    return Movement(number, source, destination, minutes, None, "", "", digest)


def test_a_giver_may_reach_the_lowest_balance_and_not_pass_it() -> None:
    balances = RunningBalances(min_balance=-60)
    assert balances.take(movement("a", "b", 60)) is None
    refused = balances.take(movement("a", "b", 1, number=9))
    assert refused is not None
    assert refused.number == 9
    assert "--min-balance" in refused.advice
    assert balances.minutes == {"a": -60, "b": 60}


def test_what_was_received_may_be_given() -> None:
    balances = RunningBalances(min_balance=0)
    assert balances.take(movement(POOL, "a", 60)) is None
    assert balances.take(movement("a", "b", 60)) is None


def test_the_lowest_balance_of_a_file_is_remembered_with_its_row() -> None:
    balances = RunningBalances()
    for number, minutes in ((2, 10), (3, 50), (4, 5)):
        balances.take(movement("a" if minutes > 5 else "b", "c", minutes, number))
    assert balances.lowest == -60
    assert balances.lowest_at is not None
    assert balances.lowest_at.number == 3


def test_batches_may_overtake_while_no_order_runs_anybody_short() -> None:
    headroom = Headroom(min_balance=-100)
    assert headroom.start([movement("a", "b", 60)])
    assert not headroom.start([movement("b", "c", 60), movement("a", "c", 60)])


def test_credit_counts_only_once_it_is_booked() -> None:
    headroom = Headroom(min_balance=0, available={POOL: 60})
    earned = movement(POOL, "a", 60)
    assert headroom.start([earned])
    spent = movement("a", "b", 60)
    assert not headroom.start([spent])
    headroom.settle(spent, booked=False)
    headroom.settle(earned, booked=True)
    assert headroom.start([spent])


def test_debt_is_not_for_the_pool() -> None:
    assert not Headroom(min_balance=-100).start([movement(POOL, "a", 1)])


@given(st.lists(st.integers(0, 20)))
def test_exactly_the_digests_that_occur_twice_are_repeated(values: list[int]) -> None:
    rows = RepeatedRows()
    for value in values:
        rows.add(digest_of(value))
    expected = {digest_of(value)[:8] for value in values if values.count(value) > 1}
    assert rows.repeated() == expected
