"""Rules of accounts and of the ledger itself: open, freeze, close, limits, opening and keys."""

from ledger.domain.account import Account, AccountKind, AccountState, bears_lots
from ledger.domain.commands import (
    ChangeAccount,
    CreateLedger,
    OpenAccount,
    RotateKey,
    SetLimits,
)
from ledger.domain.decisions import Decision, check_open, find_account
from ledger.domain.entry import AccountFact, EntryKind, LedgerFact
from ledger.domain.fold import Projections
from ledger.domain.movements import SYSTEM_ACCOUNTS
from timebank.errors import Reason, TimebankError
from timebank.units import Unit


def decide_ledger(command: CreateLedger, *, exists: bool) -> Decision:
    """Makes entry 0. Raises LEDGER_EXISTS when the log has entries."""
    if exists:
        raise TimebankError(
            Reason.LEDGER_EXISTS, "a ledger of this id exists already: choose another id"
        )
    fact = LedgerFact(
        display_name=command.display_name,
        time_zone=command.time_zone,
        log_origin=command.log_origin,
        verifier_key=command.verifier_key,
    )
    return Decision(EntryKind.LEDGER_CREATED, ledger=fact)


def system_account(kind: AccountKind, unit: Unit, new_id: str) -> Decision:
    """Opens one of the accounts that every ledger has; what it issues or clears has no lower
    bound.
    """
    unbounded = kind in (AccountKind.ISSUANCE, AccountKind.CLEARING)
    fact = AccountFact(
        new_id,
        f"ledger-{kind.name.lower()}",
        unit,
        kind,
        AccountState.ACTIVE,
        None if unbounded else 0,
        None,
        0,
    )
    return Decision(EntryKind.ACCOUNT_OPENED, account=fact)


def decide_open(command: OpenAccount, new_id: str) -> Decision:
    """Opens an account. Raises VALIDATION_FAILED for limits that the account could not keep."""
    if (command.kind, command.unit) in SYSTEM_ACCOUNTS and command.kind is not AccountKind.POOL:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"every ledger has one {command.kind.name} account of {command.unit.name}: use"
            " that one",
            field="account.kind",
        )
    if command.kind not in (AccountKind.MEMBER, AccountKind.MERCHANT, AccountKind.POOL):
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "only MEMBER, MERCHANT and POOL accounts are opened by request, not"
            f" {command.kind.name}",
            field="account.kind",
        )
    check_limits(command.kind, command.unit, command.min_balance, command.max_balance)
    fact = AccountFact(
        new_id,
        command.holder,
        command.unit,
        command.kind,
        AccountState.ACTIVE,
        command.min_balance,
        command.max_balance,
        command.debt_limit,
    )
    return Decision(EntryKind.ACCOUNT_OPENED, account=fact, natural_key=command.natural_key)


def check_limits(
    kind: AccountKind, unit: Unit, min_balance: int | None, max_balance: int | None
) -> None:
    """Refuses limits that contradict the account, with VALIDATION_FAILED."""
    wrong = ""
    if kind is AccountKind.MEMBER and min_balance is None:
        wrong = "a member's account needs a min_balance"
    elif min_balance is not None and min_balance > 0:
        wrong = f"expected 0 or less, got {min_balance}"
    elif bears_lots(kind, unit) and min_balance != 0:
        wrong = "an account with lots cannot go below 0"
    elif unit is Unit.HOURS and min_balance != 0:
        wrong = "HOURS cannot go below 0"
    if wrong:
        raise TimebankError(
            Reason.VALIDATION_FAILED, f"min_balance: {wrong}", field="account.min_balance"
        )
    if max_balance is not None and max_balance < 0:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"max_balance: expected 0 or more, got {max_balance}",
            field="account.max_balance",
        )


def decide_change(state: Projections, command: ChangeAccount) -> Decision:
    """Freezes, unfreezes or closes.

    Raises ACCOUNT_NOT_FOUND, ETAG_MISMATCH, ACCOUNT_CLOSED, then ACCOUNT_FROZEN,
    ACCOUNT_NOT_FROZEN, or VALIDATION_FAILED (an account of the ledger itself), ACCOUNT_NOT_EMPTY.
    """
    account = find_account(state, command.account_id)
    _check_etag(account, command.etag)
    check_open(account)
    frozen = account.state is AccountState.FROZEN
    if command.kind is EntryKind.ACCOUNT_FROZEN:
        if frozen:
            raise TimebankError(
                Reason.ACCOUNT_FROZEN,
                f"account {account.account_id} is frozen already",
                account=account.account_id,
            )
        return Decision(command.kind, account=account_fact(account, AccountState.FROZEN))
    if command.kind is EntryKind.ACCOUNT_UNFROZEN:
        if not frozen:
            raise TimebankError(
                Reason.ACCOUNT_NOT_FROZEN,
                f"account {account.account_id} is {account.state.name}, not frozen",
                account=account.account_id,
            )
        return Decision(command.kind, account=account_fact(account, AccountState.ACTIVE))
    if account.no <= len(SYSTEM_ACCOUNTS):
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"account {account.account_id} belongs to the ledger itself and stays open",
            field="name",
        )
    if account.held or account.debt or (account.posted and account.unit is not Unit.HOURS):
        raise TimebankError(
            Reason.ACCOUNT_NOT_EMPTY,
            f"account {account.account_id} has posted {account.posted}, held {account.held}:"
            " bring both to 0 before closing",
            account=account.account_id,
            posted=account.posted,
            held=account.held,
        )
    return Decision(EntryKind.ACCOUNT_CLOSED, account=account_fact(account, AccountState.CLOSED))


def decide_limits(state: Projections, command: SetLimits) -> Decision:
    """Replaces limits.

    Raises ACCOUNT_NOT_FOUND, ETAG_MISMATCH, ACCOUNT_CLOSED, VALIDATION_FAILED.
    """
    account = find_account(state, command.account_id)
    _check_etag(account, command.etag)
    check_open(account)
    check_limits(account.kind, account.unit, command.min_balance, command.max_balance)
    fact = account_fact(account, account.state)._replace(
        min_balance=command.min_balance,
        max_balance=command.max_balance,
        debt_limit=command.debt_limit,
    )
    return Decision(EntryKind.ACCOUNT_LIMITS_CHANGED, account=fact)


def decide_close_opening(state: Projections) -> Decision:
    """Ends the opening. Raises OPENING_CLOSED when it ended before."""
    if state.ledger.opening_closed:
        raise TimebankError(
            Reason.OPENING_CLOSED, f"the opening of {state.ledger.ledger_id} is closed already"
        )
    return Decision(EntryKind.OPENING_CLOSED)


def decide_rotation(state: Projections, command: RotateKey) -> Decision:
    """Lets another key sign. Raises VALIDATION_FAILED for a key that signed before."""
    if command.verifier_key in state.ledger.verifier_keys:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "verifier_key: this key signs or signed the log already; make a new one",
            field="verifier_key",
        )
    return Decision(EntryKind.KEY_ROTATED, ledger=LedgerFact(verifier_key=command.verifier_key))


def account_fact(account: Account, state: AccountState) -> AccountFact:
    """States an account as it is, in a state."""
    return AccountFact(
        account.account_id,
        account.holder,
        account.unit,
        account.kind,
        state,
        account.min_balance,
        account.max_balance,
        account.debt_limit,
    )


def _check_etag(account: Account, etag: int) -> None:
    if etag and etag != account.changed_index:
        raise TimebankError(
            Reason.ETAG_MISMATCH,
            f"account {account.account_id} changed meanwhile: read it again",
            account=account.account_id,
        )
