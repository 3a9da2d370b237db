"""Merchants: their contract, and where they stand.

Errors, first match wins: MERCHANT_EXISTS or MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE, ETAG_MISMATCH,
VALIDATION_FAILED (the date of a cut-off), LIMIT_EXCEEDED (its changes), VALIDATION_FAILED (fields
that do not go together), BUDGET_NOT_FOUND. What changes nothing writes nothing, so that its etag
stays.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Any, NamedTuple

from merchant.domain.calendars import DATE_FIELD, with_cut_off
from merchant.domain.documents import Budget, Merchant
from merchant.domain.states import MerchantState
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError

DEBT_POINTS_DEFAULT = 500
Changes = tuple[tuple[str, Any], ...]
"""Fields of a document with their new values."""
ALIVE = frozenset({MerchantState.ACTIVE, MerchantState.SUSPENDED, MerchantState.LEAVING})


class Terms(NamedTuple):
    """What is agreed with a merchant; `budget` is the budget's id."""

    display_name: str
    category: int
    fen_per_hundred_points: int
    cut_off_minute: int
    budget: str
    debt_points_max: int


class CreateMerchant(NamedTuple):
    """A new merchant with the accounts that the ledger opened for it."""

    merchant_id: str
    terms: Terms
    points_account: str
    time_account: str
    fund_account: str


class ChangeMerchant(NamedTuple):
    """New values of some terms; `version` 0: whatever they were before."""

    merchant_id: str
    changes: Changes
    version: int


class MerchantMove(enum.Enum):
    """What moves a merchant: the states it begins in, and the one it leads to."""

    SUSPEND = (frozenset({MerchantState.ACTIVE}), MerchantState.SUSPENDED)
    RESUME = (frozenset({MerchantState.SUSPENDED}), MerchantState.ACTIVE)
    LEAVE = (frozenset({MerchantState.ACTIVE, MerchantState.SUSPENDED}), MerchantState.LEAVING)


def terms_of(merchant: Merchant) -> Terms:
    """Gives the terms of a merchant."""
    return Terms(*(getattr(merchant, name) for name in Terms._fields))


def create_merchant(transaction: Transaction, command: CreateMerchant) -> Merchant:
    """Registers a merchant; one that is there and says the same is given as it is.

    Raises MERCHANT_EXISTS, VALIDATION_FAILED, BUDGET_NOT_FOUND.
    """
    merchant = draft_merchant(transaction, command)
    transaction.put(merchant)
    return merchant


def draft_merchant(transaction: Transaction, command: CreateMerchant) -> Merchant:
    """Gives what `create_merchant` would write, and raises what it would, before accounts are
    opened that nobody would close.
    """
    existing = transaction.find(Merchant, command.merchant_id)
    if existing is not None:
        return _check_says_the_same(existing, command.terms)
    _check_terms(transaction, command.terms)
    return Merchant(
        command.merchant_id,
        state=MerchantState.ACTIVE,
        points_account=command.points_account,
        time_account=command.time_account,
        fund_account=command.fund_account,
        created_us=transaction.now_us,
        **command.terms._asdict(),
    )


def _check_says_the_same(existing: Merchant, terms: Terms) -> Merchant:
    """Gives a merchant that stands already. Raises MERCHANT_EXISTS when it has other terms."""
    if terms_of(existing) != terms:
        raise TimebankError(
            Reason.MERCHANT_EXISTS,
            f"merchant {existing.merchant_id} exists with other terms: change it, or take another"
            " id",
            merchant=existing.merchant_id,
        )
    return existing


def change_merchant(transaction: Transaction, command: ChangeMerchant, zone: str) -> Merchant:
    """Changes terms of a merchant that has not left; a cut-off from a business date in `zone` on.

    Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE, ETAG_MISMATCH, VALIDATION_FAILED,
    LIMIT_EXCEEDED, BUDGET_NOT_FOUND.
    """
    merchant = merchant_in(transaction, command.merchant_id, ALIVE)
    check_version(command.merchant_id, merchant.version, command.version)
    terms = dict(command.changes)
    changed = with_cut_off(
        merchant,
        minute=terms.pop("cut_off_minute", merchant.cut_off_minute),
        effective_date=terms.pop(DATE_FIELD, ""),
        zone=zone,
        now_us=transaction.now_us,
    )
    changed = changed._replace(**terms)
    if changed == merchant:
        return merchant
    _check_terms(transaction, terms_of(changed))
    changed = changed._replace(version=merchant.version + 1)
    transaction.put(changed)
    return changed


def move_merchant(transaction: Transaction, merchant_id: str, way: MerchantMove) -> Merchant:
    """Suspends or resumes a merchant, or begins its exit; one that stands there already stays.

    Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
    """
    before, after = way.value
    merchant = merchant_in(transaction, merchant_id, before | {after})
    if merchant.state is after:
        return merchant
    moved = merchant._replace(state=after, version=merchant.version + 1)
    transaction.put(moved)
    return moved


def active_merchant(transaction: Transaction, merchant_id: str) -> Merchant:
    """Finds a merchant that may get tills and offers: a suspended one waits until it is resumed.

    Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
    """
    return merchant_in(transaction, merchant_id, (MerchantState.ACTIVE,))


def merchant_in(
    transaction: Transaction, merchant_id: str, states: Collection[MerchantState]
) -> Merchant:
    """Finds a merchant that stands in one of these states.

    Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
    """
    merchant = transaction.find(Merchant, merchant_id)
    if merchant is None:
        raise TimebankError(
            Reason.MERCHANT_NOT_FOUND, f"no merchant {merchant_id}", merchant=merchant_id
        )
    if merchant.state not in states:
        expected = ", ".join(sorted(state.name for state in states))
        raise TimebankError(
            Reason.MERCHANT_NOT_ACTIVE,
            f"merchant {merchant_id}: expected it {expected}, it is {merchant.state.name}",
            merchant=merchant_id,
            state=merchant.state.name,
        )
    return merchant


def check_version(document_id: str, version: int, wanted: int) -> None:
    """Refuses a change of what changed meanwhile, with ETAG_MISMATCH; 0 is any version."""
    if wanted and wanted != version:
        raise TimebankError(
            Reason.ETAG_MISMATCH,
            f"{document_id} changed meanwhile: read it again, then change it",
            etag=version,
        )


def _check_terms(transaction: Transaction, terms: Terms) -> None:
    """Checks that what is paid for is paid from a budget which is there."""
    if terms.fen_per_hundred_points and not terms.budget:
        text = "expected a budget, for only a sponsor with the rate 0 goes without"
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"merchant.budget: {text}",
            violations=[("merchant.budget", text)],
            field="merchant.budget",
        )
    if terms.budget and transaction.find(Budget, terms.budget) is None:
        raise TimebankError(
            Reason.BUDGET_NOT_FOUND,
            f"no budget {terms.budget}: set it first",
            budget=terms.budget,
        )
