"""Budgets and batches: once a day is closed, what budgets have spent is what was paid."""

import functools
from collections import Counter as Tally

from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.budget_adjustments import BudgetShare, BudgetShares, debtor_of
from merchant.domain.documents import Batch, Budget, Document, Line, Merchant, Redemption
from merchant.domain.redemption_effects import fen_reserved_for, put_redemption
from merchant.domain.remainder_counts import fen_in_turn
from merchant.domain.settlement_rules import (
    BatchState,
    CloseBatch,
    TakeLines,
    close_batch,
    fix_batch,
    makes_batch,
    take_lines,
)
from merchant.domain.states import DocumentKind, MerchantState, OfferUnit, RedemptionState
from merchant.domain.transactions import Transaction
from tests.merchant.domain.transactions import Desk

K = DocumentKind
ZONE = "Asia/Shanghai"
DAY = "2025-10-09"
"""NOW_US of Desk lies in it."""
SHOP = Merchant(*("shop", "小卖部", 2, MerchantState.ACTIVE, 85, 0, "b", 500, "p", "t", "f", 0))


class Books:
    """Sales, refunds and closes at a shop, and what was paid."""

    def __init__(self) -> None:
        budgets = [Budget(name, "专项资金", 10**9) for name in "bc"]
        self.desk = Desk(SHOP, *budgets)
        self.sales: list[Redemption] = []
        self.batches: list[Batch] = []

    def put(self, before: Redemption | None, after: Redemption) -> Redemption:
        def rule(transaction: Transaction) -> Redemption:
            return put_redemption(transaction, before, after, ZONE)

        return self.desk.do(rule)

    def sell(self, points: int, rate: int, budget: str, unit: OfferUnit = OfferUnit.POINTS) -> None:
        redemption = Redemption(
            *(f"shop/r{len(self.sales)}", "ref", "sale", RedemptionState.CAPTURED, 1),
            unit=unit,
            amount=points,
            captured=points,
            budget=budget,
            fen_per_hundred_points=rate,
        )
        self.sales.append(self.put(None, redemption))

    def refund(self, place: int, points: int) -> None:
        if not self.sales:
            return
        place %= len(self.sales)
        before = self.sales[place]
        rest = before.captured - before.refunded
        after = before._replace(refunded=before.refunded + min(points, rest))
        self.sales[place] = self.put(before, after)

    def change_budget(self, budget: str) -> None:
        def rule(transaction: Transaction) -> Document:
            merchant = transaction.find(Merchant, "shop")
            assert merchant is not None
            transaction.put(merchant._replace(budget=budget))
            return merchant

        self.desk.do(rule)

    def unsettled(self) -> list[Line]:
        found = [item for item in self.desk.state.documents.values() if isinstance(item, Line)]
        return [line for line in found if not line.batch]

    def close(self) -> None:
        """Closes the day: a batch for each rate."""
        while rates := [line.rate for line in self.unsettled() if makes_batch(line, DAY)]:
            number = len(self.batches) + 1
            batch = Batch(f"shop/{DAY}-{number}", DAY, number, BatchState.OPEN, rates[0], 0)
            self.batches.append(self._close(batch))

    def _close(self, batch: Batch) -> Batch:
        def begin(transaction: Transaction) -> Batch:
            transaction.put(batch)
            return batch

        self.desk.do(begin)
        taking = TakeLines(batch.batch_id, tuple(line.line_id for line in self.unsettled()))
        before = self.unsettled()
        self.desk.do(functools.partial(take_lines, command=taking))
        left = self.unsettled()
        lines = [line for line in before if line not in left]
        fixed = self.desk.do(functools.partial(fix_batch, batch_id=batch.batch_id))
        shares = BudgetShares()
        values = fen_in_turn(
            [line.points for line in lines],
            fixed.remainders,
            net_points=fixed.net_points,
            fen_per_hundred_points=fixed.rate,
        )
        for line, fen in zip(lines, values, strict=True):
            shares.add(line, fen)
        command = CloseBatch(batch.batch_id, "ab" * 32, "jws", "", 0, shares.counted())
        rule = functools.partial(close_batch, command=command)
        closed = self.desk.do(rule)
        assert self.desk.do(rule) == closed, "it is booked once"
        return closed

    def spent(self) -> Tally[str]:
        found = [item for item in self.desk.state.documents.values() if isinstance(item, Budget)]
        for budget in found:
            kept = [
                fen_reserved_for(sale.captured - sale.refunded, sale.fen_per_hundred_points)
                for sale in self.sales
                if sale.budget == budget.budget_id and sale.unit is OfferUnit.POINTS
            ]
            assert budget.spent_fen - budget.adjusted_fen == sum(kept)
        return Tally({budget.budget_id: budget.spent_fen for budget in found})

    def paid_fen(self) -> int:
        return sum(max(batch.net_fen, 0) for batch in self.batches)


STEPS = st.one_of(
    st.tuples(
        st.just("sell"),
        st.integers(1, 40),
        st.sampled_from([85, 85, 130, 1, 0]),
        st.sampled_from("bbc"),
        st.sampled_from([OfferUnit.POINTS] * 4 + [OfferUnit.TIME]),
    ),
    st.tuples(st.just("refund"), st.integers(0, 50), st.integers(1, 40)),
    st.tuples(st.just("change_budget"), st.sampled_from("bc")),
    st.tuples(st.just("close")),
)


@given(st.lists(STEPS, max_size=30))
def test_after_a_close_budgets_have_spent_what_was_paid_to_the_last_fen(
    steps: list[tuple[str, ...]],
) -> None:
    books = Books()
    for name, *said in [*steps, ("close",)]:
        getattr(books, name)(*said)
        if name == "close":
            assert books.spent().total() == books.paid_fen()
        elif name == "refund":
            assert books.spent().total() <= books.paid_fen() + sum(
                max(line.spent_fen, 0) for line in books.unsettled()
            )


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.sampled_from([1, 85, 130]))
def test_each_budget_has_spent_the_shares_of_its_own_lines(amounts: list[int], rate: int) -> None:
    books = Books()
    for number, points in enumerate(amounts):
        books.sell(points, rate, "bc"[number % 2])
    books.close()
    (batch,) = books.batches
    spent = books.spent()
    assert spent.total() == batch.net_fen == sum(amounts) * rate // 100
    for place, budget in enumerate("bc"):
        exact = sum(amounts[place::2]) * rate / 100
        assert abs(spent[budget] - exact) <= len(amounts[place::2])
    assert batch.adjusted_fen == batch.net_fen - sum(
        fen_reserved_for(points, rate) for points in amounts
    )


def test_what_a_merchant_owes_is_spent_until_the_next_batch_nets_it() -> None:
    books = Books()
    books.sell(10, 85, "b")
    books.close()
    books.refund(0, 10)
    assert books.spent()["b"] == -1, "8 were paid for what may cost 9"
    books.close()
    assert (books.batches[-1].net_points, books.spent()["b"]) == (-10, 8)
    books.sell(20, 85, "b")
    books.close()
    assert (books.batches[-1].net_fen, books.spent()["b"]) == (8, 16)


def test_what_a_sponsor_owes_falls_to_a_budget_of_its_lines() -> None:
    shares = (BudgetShare("", 0), BudgetShare("b", 1))
    assert debtor_of(SHOP, ()) == "b"
    assert debtor_of(SHOP._replace(budget=""), shares) == "b"
    assert debtor_of(SHOP._replace(budget=""), ()) == ""
