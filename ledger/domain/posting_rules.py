"""Rules of plain movements: who may move what, limits, and which lots a debit takes and a credit
makes.

Errors of one posting have this order: OPENING_CLOSED or MOVEMENT_NOT_ALLOWED by the way it came,
ACCOUNT_NOT_FOUND, MOVEMENT_NOT_ALLOWED by unit or route, ACCOUNT_CLOSED, ACCOUNT_FROZEN,
LIMIT_EXCEEDED or AMOUNT_OVERFLOW, INSUFFICIENT_BALANCE.
"""

from ledger.domain.account import (
    NEVER_US,
    Account,
    AccountState,
    LotChange,
    lapsed,
    spendable,
    take_unreserved,
)
from ledger.domain.calendar import day_end_us
from ledger.domain.commands import Post
from ledger.domain.decisions import (
    Decision,
    check_debitable,
    check_open,
    check_unit,
    find_account,
    insufficient,
)
from ledger.domain.entry import EntryKind, Posting
from ledger.domain.fold import Projections
from ledger.domain.movements import MOVEMENTS, Authority
from timebank.errors import Reason, TimebankError
from timebank.units import INT64_MAX, INT64_MIN


def decide_post(
    state: Projections, command: Post, now_us: int, authorities: frozenset[Authority]
) -> Decision:
    """Decides a movement. Raises the reasons named above in that order."""
    movement = MOVEMENTS.get(command.kind)
    if movement is None or movement.authority not in authorities:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"{command.kind.name} cannot be posted by this caller"
            + (f": {movement.authority.value}" if movement else ""),
            kind=command.kind.name,
        )
    if movement.authority is Authority.OPENING and state.ledger.opening_closed:
        raise TimebankError(
            Reason.OPENING_CLOSED,
            f"the opening of ledger {state.ledger.ledger_id} is closed: {command.kind.name}"
            " is refused",
            kind=command.kind.name,
        )
    _check_effective(command.effective_us, now_us)
    accounts = [find_account(state, draft.account_id) for draft in command.postings]
    all_active = True
    for account, (_, unit, amount, _) in zip(accounts, command.postings, strict=True):
        if account.unit is not unit:
            check_unit(account, unit)
        check_route(command.kind, account, amount)
        all_active = all_active and account.state is AccountState.ACTIVE
    if not all_active:
        _check_states(accounts, command)
    zone = state.ledger.time_zone
    postings = []
    for account, (account_id, unit, amount, expires_us) in zip(
        accounts, command.postings, strict=True
    ):
        if amount > 0:
            lots = credit_lots(account, amount, expires_us, now_us, zone)
        else:
            lots = debit_lots(account, -amount, now_us)
        earned = movement.earned and account.has_lots
        postings.append(Posting(account_id, unit, amount, lots, earned))
    return Decision(
        command.kind,
        postings,
        (),
        command.effective_us,
        command.natural_key,
        command.cause,
        command.policy_version,
        None,
        None,
        None,
        command.memo,
    )


def _check_states(accounts: list[Account], command: Post) -> None:
    for account, draft in zip(accounts, command.postings, strict=True):
        check_open(account)
        if draft.amount < 0:
            check_debitable(account)


def _check_effective(effective_us: int, now_us: int) -> None:
    if effective_us > now_us:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "effective_time lies after the ledger time: record it when it has happened",
            field="effective_time",
            ledger_time_us=now_us,
        )


def check_route(kind: EntryKind, account: Account, amount: int) -> None:
    """Looks the account up in the movement table. Raises MOVEMENT_NOT_ALLOWED."""
    route = MOVEMENTS[kind].routes.get(account.unit)
    allowed = route and (route.debits if amount < 0 else route.credits)
    if not allowed or account.kind not in allowed:
        side = "from" if amount < 0 else "to"
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"{kind.name} may not move {account.unit.name} {side} a {account.kind.name} account",
            account=account.account_id,
            kind=kind.name,
            unit=account.unit.name,
        )


def credit_lots(
    account: Account, amount: int, expires_us: int, now_us: int, zone: str
) -> list[LotChange] | tuple[LotChange, ...]:
    """Checks a credit and gives the lot it makes; debt is repaid first.

    Raises LIMIT_EXCEEDED above max_balance, AMOUNT_OVERFLOW, VALIDATION_FAILED for an expiry that
    cannot be.
    """
    after = account.posted + amount
    if account.max_balance is not None and after > account.max_balance:
        raise TimebankError(
            Reason.LIMIT_EXCEEDED,
            f"account {account.account_id} may hold at most {account.max_balance}"
            f" {account.unit.base},"
            f" would hold {after}",
            account=account.account_id,
            max_balance=account.max_balance,
        )
    check_overflow(account, after)
    if not account.has_lots:
        if expires_us != NEVER_US:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"account {account.account_id} keeps no lots: its credits cannot expire",
                field="expire_time",
                account=account.account_id,
            )
        return ()
    if expires_us != NEVER_US:
        if expires_us <= now_us:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                "expire_time must lie after the ledger time",
                field="expire_time",
                account=account.account_id,
            )
        expires_us = day_end_us(expires_us, zone)
    made = amount - min(account.debt, amount)
    return (LotChange(expires_us, made),) if made else ()


def debit_lots(
    account: Account, amount: int, now_us: int
) -> list[LotChange] | tuple[LotChange, ...]:
    """Checks a debit and gives the lots it takes, earliest expiry first.

    Raises INSUFFICIENT_BALANCE below min_balance, AMOUNT_OVERFLOW.
    """
    lots = spendable(account, now_us)
    minimum = account.min_balance
    if minimum is not None:
        available = account.posted - account.held
        if lots is not account.lots:
            available -= lapsed(account, now_us)
        if available - amount < minimum:
            raise insufficient(account, amount)
    check_overflow(account, account.posted - amount)
    return take_unreserved(lots, amount) if account.has_lots else ()


def check_overflow(account: Account, after: int) -> None:
    """Refuses a posted balance beyond 64 bits with AMOUNT_OVERFLOW."""
    if not INT64_MIN < after <= INT64_MAX:
        raise TimebankError(
            Reason.AMOUNT_OVERFLOW,
            f"the balance of account {account.account_id} would exceed 64 bits",
            account=account.account_id,
        )
