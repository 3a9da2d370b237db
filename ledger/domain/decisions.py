"""What a rule decides about one command: the part of an entry that the command determines."""

from typing import NamedTuple

from ledger.domain.account import Account, AccountState
from ledger.domain.entry import AccountFact, EntryKind, HoldChange, LedgerFact, Posting
from ledger.domain.facts import Fact, TallyKey
from ledger.domain.fold import Projections
from timebank.errors import Reason, TimebankError
from timebank.units import Unit


class Decision(NamedTuple):
    """What the entry says; the book adds who, when and where. `effective_us` 0: when it is
    recorded.
    """

    kind: EntryKind
    postings: list[Posting] | tuple[Posting, ...] = ()
    hold_changes: tuple[HoldChange, ...] = ()
    effective_us: int = 0
    natural_key: str = ""
    cause: str = ""
    policy_version: str = ""
    original_index: int | None = None
    account: AccountFact | None = None
    ledger: LedgerFact | None = None
    memo: str = ""
    facts: tuple[Fact, ...] = ()
    tallies: tuple[tuple[TallyKey, int], ...] = ()


def find_account(state: Projections, account_id: str) -> Account:
    """Finds an account of the ledger. Raises ACCOUNT_NOT_FOUND."""
    account = state.accounts.get(account_id)
    if account is None:
        raise TimebankError(
            Reason.ACCOUNT_NOT_FOUND,
            f"no account {account_id} in ledger {state.ledger.ledger_id}",
            account=account_id,
        )
    return account


def check_unit(account: Account, unit: Unit) -> None:
    """Refuses a unit that the account does not hold, with MOVEMENT_NOT_ALLOWED."""
    if account.unit is not unit:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"account {account.account_id} holds {account.unit.name}, not {unit.name}",
            account=account.account_id,
            expected=account.unit.name,
            got=unit.name,
        )


def check_open(account: Account) -> None:
    """Refuses a closed account with ACCOUNT_CLOSED."""
    if account.state is AccountState.CLOSED:
        raise TimebankError(
            Reason.ACCOUNT_CLOSED,
            f"account {account.account_id} is closed",
            account=account.account_id,
        )


def check_debitable(account: Account) -> None:
    """Refuses a frozen account with ACCOUNT_FROZEN."""
    if account.state is AccountState.FROZEN:
        raise TimebankError(
            Reason.ACCOUNT_FROZEN,
            f"account {account.account_id} is frozen: it takes no debits and no holds until"
            " unfrozen",
            account=account.account_id,
        )


def insufficient(account: Account, amount: int) -> TimebankError:
    """Says that an account has not enough available for an amount."""
    available = account.posted - account.held
    return TimebankError(
        Reason.INSUFFICIENT_BALANCE,
        f"account {account.account_id} has {available} {account.unit.base} available,"
        f" needs {amount} above its minimum of {account.min_balance}",
        account=account.account_id,
        available=available,
        required=amount,
        min_balance=account.min_balance,
    )
