"""The special fund 专项基金: incomes, budgets, and spending that needs two people.

Owns: what is noted before the ledger is asked, and how its answer is taken in. Refuses: asking it.
Rules: an income's id and its reference are each used once for ever. A budget may be lowered below
what is reserved and spent: nothing new is reserved then, and what is reserved stays. A spending is
approved or rejected by another person than its proposer; one that the ledger declines waits on, and
the decline is final for the request that got it.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from merchant.domain.documents import Budget, Income, IncomeReference, Spending
from merchant.domain.merchant_rules import check_version
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError


class SpendingState(enum.IntEnum):
    """Where a spending stands; the numbers are the contract's."""

    PROPOSED = 1
    APPROVED = 2
    REJECTED = 3


class RecordIncome(NamedTuple):
    """Money that came in, in fen."""

    income_id: str
    source: int
    amount_fen: int
    earmark: str
    reference: str


class SetBudget(NamedTuple):
    """How a budget is to be; `version` 0: whatever it was before."""

    budget_id: str
    display_name: str
    limit_fen: int
    valid_from_us: int
    valid_until_us: int
    version: int


class ProposeSpending(NamedTuple):
    """Money to spend, in fen, and who proposes it."""

    spending_id: str
    kind: int
    amount_fen: int
    purpose: str
    proposer: str


class Decision(NamedTuple):
    """A second person's yes or no; `request` is the request id, in hex."""

    spending_id: str
    person: str
    request: str


class Paid(NamedTuple):
    """The ledger's answer to a spending: its entry and time, or why it declined."""

    spending_id: str
    request: str
    entry: str = ""
    recorded_us: int = 0
    reason: str = ""
    message: str = ""


def record_income(transaction: Transaction, command: RecordIncome) -> Income:
    """Notes an income; the same again is as it is.

    Raises INCOME_EXISTS for an id or a reference that stands for something else.
    """
    existing = transaction.find(Income, command.income_id)
    if existing is not None:
        if existing[: len(command)] != command:
            raise _income_exists("id", command.income_id, "other content")
        return existing
    used = transaction.find(IncomeReference, command.reference)
    if used is not None:
        raise _income_exists("reference", command.reference, f"income {used.income_id}")
    income = Income(*command, entry="", created_us=transaction.now_us)
    transaction.put(income)
    transaction.put(IncomeReference(command.reference, command.income_id))
    return income


def finish_income(transaction: Transaction, income_id: str, entry: str, recorded_us: int) -> Income:
    """Takes in that the ledger has entered an income; without an entry: that it declined."""
    income = transaction.find(Income, income_id)
    assert income is not None, "it was noted before the ledger was asked"
    if income.entry:
        return income
    attempts = income.attempts + (not entry)
    income = income._replace(entry=entry, recorded_us=recorded_us, attempts=attempts)
    transaction.put(income)
    return income


def set_budget(transaction: Transaction, command: SetBudget) -> Budget:
    """Creates or changes a budget. Raises ETAG_MISMATCH."""
    budget = transaction.find(Budget, command.budget_id)
    check_version(command.budget_id, budget.version if budget else 0, command.version)
    name, limit_fen = command.display_name, command.limit_fen
    if budget is None:
        budget = Budget(command.budget_id, name, limit_fen, version=0)
    changed = budget._replace(
        display_name=name,
        limit_fen=limit_fen,
        valid_from_us=command.valid_from_us,
        valid_until_us=command.valid_until_us,
        version=budget.version + 1,
    )
    transaction.put(changed)
    return changed


def propose_spending(transaction: Transaction, command: ProposeSpending) -> Spending:
    """Proposes a spending; the same again is as it is. Raises SPENDING_EXISTS."""
    existing = transaction.find(Spending, command.spending_id)
    if existing is not None:
        said = existing[:4]
        if said != command[:4] or existing.proposer != command.proposer:
            raise TimebankError(
                Reason.SPENDING_EXISTS,
                f"spending {command.spending_id} says something else: take another id",
                spending=command.spending_id,
            )
        return existing
    spending = Spending(
        *(command.spending_id, command.kind, command.amount_fen, command.purpose),
        SpendingState.PROPOSED,
        command.proposer,
        created_us=transaction.now_us,
    )
    transaction.put(spending)
    return spending


def approve_spending(transaction: Transaction, command: Decision) -> Spending:
    """Notes a second person's yes, before the ledger is asked to pay.

    Raises SPENDING_NOT_FOUND, FOUR_EYES_REQUIRED, SPENDING_STATE, OUTCOME_UNKNOWN while another yes
    is being paid.
    """
    spending = _to_decide(transaction, command)
    spending = spending._replace(
        approver=command.person, paying=command.request, decided_us=transaction.now_us
    )
    transaction.put(spending)
    return spending


def reject_spending(transaction: Transaction, command: Decision) -> Spending:
    """Takes a second person's no.

    Raises SPENDING_NOT_FOUND, FOUR_EYES_REQUIRED, SPENDING_STATE, OUTCOME_UNKNOWN while a yes is
    being paid.
    """
    spending = _to_decide(transaction, command)
    spending = spending._replace(
        state=SpendingState.REJECTED, approver=command.person, decided_us=transaction.now_us
    )
    transaction.put(spending)
    return spending


def finish_spending(transaction: Transaction, command: Paid) -> Spending:
    """Takes in the ledger's answer; a decline leaves the spending waiting for another yes."""
    spending = find_spending(transaction, command.spending_id)
    if spending.paying != command.request:
        return spending
    if command.reason:
        spending = spending._replace(
            approver="",
            decided_us=0,
            attempts=spending.attempts + 1,
            paying="",
            declined=command.request,
            reason=command.reason,
            message=command.message,
        )
    else:
        spending = spending._replace(
            state=SpendingState.APPROVED,
            paying="",
            entry=command.entry,
            recorded_us=command.recorded_us,
        )
    transaction.put(spending)
    return spending


def find_spending(transaction: Transaction, spending_id: str) -> Spending:
    """Finds a spending. Raises SPENDING_NOT_FOUND."""
    spending = transaction.find(Spending, spending_id)
    if spending is None:
        raise no_spending(spending_id)
    return spending


def no_spending(spending_id: str) -> TimebankError:
    """Says that a spending does not exist."""
    return TimebankError(
        Reason.SPENDING_NOT_FOUND, f"no spending {spending_id}", spending=spending_id
    )


def _to_decide(transaction: Transaction, command: Decision) -> Spending:
    """Finds a spending that this person may decide."""
    spending = find_spending(transaction, command.spending_id)
    if command.person == spending.proposer:
        raise TimebankError(
            Reason.FOUR_EYES_REQUIRED,
            f"{command.person} proposed spending {command.spending_id}: another person decides it",
            spending=command.spending_id,
        )
    if spending.state != SpendingState.PROPOSED:
        raise TimebankError(
            Reason.SPENDING_STATE,
            f"spending {command.spending_id} is {SpendingState(spending.state).name} already",
            spending=command.spending_id,
            state=SpendingState(spending.state).name,
        )
    if spending.paying:
        raise TimebankError(
            Reason.OUTCOME_UNKNOWN,
            f"the ledger has not paid spending {command.spending_id} yet: its approver repeats the"
            " call with the same request id",
            spending=command.spending_id,
        )
    return spending


def _income_exists(field: str, value: str, other: str) -> TimebankError:
    return TimebankError(
        Reason.INCOME_EXISTS,
        f"{field} {value} was used for {other}: give each income its own",
        field=f"income.{field}",
    )
