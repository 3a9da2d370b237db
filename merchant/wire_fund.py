"""Incomes, budgets, spendings and the fund's statement: messages to domain values and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from google.protobuf.timestamp_pb2 import Timestamp

from merchant.domain.documents import Budget, Income, Spending
from merchant.domain.fund_rules import ProposeSpending, RecordIncome, SetBudget
from merchant.domain.fund_statements import FundStatement, Quarter
from merchant.names import (
    budget_name,
    etag_of,
    income_name,
    invalid,
    invalid_fields,
    spending_name,
    text_of,
    us_from_wire,
    us_to_wire,
    version_from_etag,
)
from timebank.errors import TimebankError
from timebank.merchant.v1 import fund_pb2

FEN_MAX = 10**15
"""Most fen of one amount: sums of them stay far below 64 bits."""
EARMARK_CHARACTERS_MAX = 200
PURPOSE_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 100
_ID = re.compile(r"[a-z0-9-]{1,64}")
_BUDGET_ID = re.compile(r"[a-z0-9-]{1,40}")
_REFERENCE = re.compile(r"[\x21-\x7e]{1,64}")


def income_from_wire(income_id: str, message: fund_pb2.Income) -> RecordIncome:
    """Reads an income. Raises VALIDATION_FAILED."""
    return RecordIncome(
        *_each(
            lambda: _id("income_id", income_id),
            lambda: _value("income.source", message.source, fund_pb2.Income.Source.values()),
            lambda: _fen("income.amount_fen", message.amount_fen, 1),
            lambda: text_of(
                "income.earmark", message.earmark, EARMARK_CHARACTERS_MAX, characters_min=0
            ),
            lambda: _reference(message.reference),
        )
    )


def budget_from_wire(budget_id: str, message: fund_pb2.Budget) -> SetBudget:
    """Reads a budget. Raises VALIDATION_FAILED."""
    read = _each(
        lambda: _matching(
            "budget.name", budget_id, _BUDGET_ID, "1 to 40 characters of a-z, 0-9, -"
        ),
        lambda: text_of("budget.display_name", message.display_name, NAME_CHARACTERS_MAX),
        lambda: _fen("budget.limit_fen", message.limit_fen, 0),
        lambda: _time("budget.valid_from_time", message, "valid_from_time"),
        lambda: _time("budget.valid_until_time", message, "valid_until_time"),
    )
    _, name, limit_fen, from_us, until_us = read
    if until_us and until_us <= from_us:
        raise invalid("budget.valid_until_time", "expected a time after valid_from_time")
    version = version_from_etag(message.etag)
    return SetBudget(budget_id, name, limit_fen, from_us, until_us, version)


def spending_from_wire(
    spending_id: str, message: fund_pb2.Spending, proposer: str
) -> ProposeSpending:
    """Reads a spending. Raises VALIDATION_FAILED."""
    read = _each(
        lambda: _id("spending_id", spending_id),
        lambda: _value("spending.kind", message.kind, fund_pb2.Spending.Kind.values()),
        lambda: _fen("spending.amount_fen", message.amount_fen, 1),
        lambda: text_of("spending.purpose", message.purpose, PURPOSE_CHARACTERS_MAX),
        lambda: proposer,
    )
    return ProposeSpending(*read)


def any_value(field: str, number: int, values: Sequence[int]) -> int:
    """Reads a value of an enum by which a list is filtered; 0: any. Raises VALIDATION_FAILED."""
    return _value(field, number, values) if number else 0


def income_to_wire(ledger_id: str, income: Income, *, replayed: bool) -> fund_pb2.Income:
    """Writes an income."""
    return fund_pb2.Income(
        name=income_name(ledger_id, income.income_id),
        source=income.source,  # type: ignore[arg-type]  # the document has the contract's numbers
        amount_fen=income.amount_fen,
        earmark=income.earmark,
        reference=income.reference,
        create_time=us_to_wire(income.created_us),
        entry=income.entry,
        replayed=replayed,
    )


def budget_to_wire(ledger_id: str, budget: Budget) -> fund_pb2.Budget:
    """Writes a budget."""
    from_us, until_us = budget.valid_from_us, budget.valid_until_us
    return fund_pb2.Budget(
        name=budget_name(ledger_id, budget.budget_id),
        display_name=budget.display_name,
        limit_fen=budget.limit_fen,
        reserved_fen=budget.reserved_fen,
        spent_fen=budget.spent_fen,
        available_fen=budget.limit_fen - budget.reserved_fen - budget.spent_fen,
        valid_from_time=us_to_wire(from_us) if from_us else None,
        valid_until_time=us_to_wire(until_us) if until_us else None,
        etag=etag_of(budget.version),
        adjusted_fen=budget.adjusted_fen,
    )


def spending_to_wire(
    ledger_id: str, spending: Spending, *, replayed: bool = False
) -> fund_pb2.Spending:
    """Writes a spending; one that the ledger has not paid yet is still proposed."""
    decided_us = 0 if spending.paying else spending.decided_us
    return fund_pb2.Spending(
        name=spending_name(ledger_id, spending.spending_id),
        kind=spending.kind,  # type: ignore[arg-type]  # the document has the contract's numbers
        amount_fen=spending.amount_fen,
        purpose=spending.purpose,
        state=int(spending.state),  # type: ignore[arg-type]  # likewise
        proposer=spending.proposer,
        approver="" if spending.paying else spending.approver,
        entry=spending.entry,
        create_time=us_to_wire(spending.created_us),
        decide_time=us_to_wire(decided_us) if decided_us else None,
        replayed=replayed,
    )


def statement_to_wire(quarter: Quarter, statement: FundStatement) -> fund_pb2.FundStatement:
    """Writes the statement of a quarter."""
    message = fund_pb2.FundStatement(
        year=quarter.year,
        quarter=quarter.quarter,
        opening_fen=statement.opening_fen,
        settlement_fen=statement.settlement_fen,
        closing_fen=statement.closing_fen,
        log_size=statement.log_size,
    )
    for source, amount_fen, times in statement.incomes:
        message.incomes.add(source=source, amount_fen=amount_fen, income_count=times)
    for kind, amount_fen, times in statement.spendings:
        message.spendings.add(kind=kind, amount_fen=amount_fen, spending_count=times)
    return message


def _each(*reads: Callable[[], Any]) -> list[Any]:
    """Reads several fields; all that break their rule are named at once."""
    found = []
    violations: list[tuple[str, str]] = []
    for read in reads:
        try:
            found.append(read())
        except TimebankError as error:
            violations.extend(error.violations)
    if violations:
        raise invalid_fields(violations)
    return found


def _id(field: str, text: str) -> str:
    return _matching(field, text, _ID, "1 to 64 characters of a-z, 0-9 and -")


def _reference(text: str) -> str:
    return _matching("income.reference", text, _REFERENCE, "1 to 64 visible ASCII characters")


def _matching(field: str, text: str, pattern: re.Pattern[str], expected: str) -> str:
    if not pattern.fullmatch(text):
        raise invalid(field, f"expected {expected}, got {text[:80]!r}")
    return text


def _value(field: str, number: int, values: Sequence[int]) -> int:
    if not number or number not in values:
        known = ", ".join(str(value) for value in sorted(values) if value)
        raise invalid(field, f"expected one of the contract's values {known}, got {number}")
    return number


def _fen(field: str, fen: int, lowest: int) -> int:
    if not lowest <= fen <= FEN_MAX:
        raise invalid(field, f"expected {lowest} to {FEN_MAX} fen, got {fen}")
    return fen


def _time(
    path: str, message: fund_pb2.Budget, field: Literal["valid_from_time", "valid_until_time"]
) -> int:
    time: Timestamp = getattr(message, field)
    return us_from_wire(time, path) if message.HasField(field) else 0
