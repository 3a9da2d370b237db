"""What budgets have spent is what was paid: the adjustment that the close of a batch books.

Owns: how far what the lines of a batch made budgets spend, rounded up by redemption, is from the
fen that they share by the largest remainder. Refuses: what a batch comes to.
Rules: after the close of a batch, what its lines have spent of all budgets together is what the
ledger was told to pay for them, to the last fen. A batch by which the merchant owes pays nothing:
until the next one nets what is owed, it is spent of the budget that the merchant has now. So a
budget has spent what was paid for its closed lines, and what its unsettled ones may cost.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.documents import Batch, Budget, Line, Merchant
from merchant.domain.transactions import Transaction


class BudgetShare(NamedTuple):
    """By how many fen the shares of a batch's lines differ from what they made a budget spend; no
    budget: lines of a sponsor.
    """

    budget: str
    difference_fen: int


class BudgetShares:
    """Counts the lines of one batch while its file is written."""

    def __init__(self) -> None:
        self._differences: dict[str, int] = {}

    def add(self, line: Line, share_fen: int) -> None:
        """Counts a line that has so many fen of its batch."""
        before = self._differences.get(line.budget, 0)
        self._differences[line.budget] = before + share_fen - line.spent_fen

    def counted(self) -> tuple[BudgetShare, ...]:
        """Gives what was counted, by the id of the budget."""
        return tuple(BudgetShare(*item) for item in sorted(self._differences.items()))


def adjust_budgets(
    transaction: Transaction, batch: Batch, shares: tuple[BudgetShare, ...], debtor: str
) -> int:
    """Books the difference of each budget; gives the fen of all. What the merchant owes after the
    batch is spent of the `debtor`.
    """
    differences = dict(shares)
    if batch.net_points < 0:
        differences[debtor] = differences.get(debtor, 0) - batch.net_fen
    booked = 0
    for budget_id, fen in sorted(differences.items()):
        if not budget_id or not fen:
            continue
        budget = transaction.find(Budget, budget_id)
        assert budget is not None, "budgets stay"
        transaction.put(
            budget._replace(
                spent_fen=budget.spent_fen + fen, adjusted_fen=budget.adjusted_fen + fen
            )
        )
        booked += fen
    return booked


def debtor_of(merchant: Merchant, shares: tuple[BudgetShare, ...]) -> str:
    """Names the budget of what a merchant owes: its own; of a sponsor, the last of the lines."""
    return merchant.budget or max((share.budget for share in shares), default="")
