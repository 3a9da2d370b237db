"""What the caller may see and by which way its movements may come."""

from ledger.domain.account import Account, AccountKind
from ledger.domain.hours_view import Who
from ledger.domain.movements import Authority
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, TimebankError

OWNERS = {
    PrincipalKind.MEMBER: AccountKind.MEMBER,
    PrincipalKind.MERCHANT: AccountKind.MERCHANT,
    PrincipalKind.TERMINAL: AccountKind.MERCHANT,
}
"""Kinds of caller that see only the accounts they hold, and of which kind these are."""
_SEES_ALL = frozenset({PrincipalKind.SERVICE, PrincipalKind.AUDITOR, PrincipalKind.OPERATOR})
_POST = frozenset({Authority.POST})
_OPERATOR = frozenset({Authority.POST, Authority.OPENING})


def authorities_of(principal: Principal) -> frozenset[Authority]:
    """Gives the ways by which a principal's movements may come."""
    return _OPERATOR if principal.kind is PrincipalKind.OPERATOR else _POST


def who_is(principal: Principal) -> Who:
    """Says what limits a principal among members: its units, or itself."""
    if principal.kind is PrincipalKind.MEMBER:
        return Who(principal.name, None, principal.id)
    units = principal.units if principal.kind is PrincipalKind.OFFICER else None
    return Who(principal.name, units)


def may_see(principal: Principal, account: Account) -> bool:
    """Says whether a principal may see an account."""
    return may_see_those_of(principal, account.kind, account.holder)


def may_see_those_of(principal: Principal, kind: AccountKind, holder: str) -> bool:
    """Says whether a principal may see the accounts of a kind that a holder has."""
    owned = OWNERS.get(principal.kind)
    return owned is None or (kind is owned and holder == principal.id)


def sees_all_accounts(principal: Principal) -> bool:
    """Says whether a principal may read the log across accounts."""
    return principal.kind in _SEES_ALL


def check_sees_all_accounts(principal: Principal) -> None:
    """Refuses with SCOPE_MISSING whoever may not read the log across accounts."""
    if not sees_all_accounts(principal):
        raise TimebankError(
            Reason.SCOPE_MISSING,
            "entries across accounts are for auditors, services and operators: name an account",
            kind=principal.kind.value,
        )


def account_not_found(ledger_id: str, account_id: str) -> TimebankError:
    """Says that an account does not exist, or is none of the caller's business."""
    return TimebankError(
        Reason.ACCOUNT_NOT_FOUND,
        f"no account {account_id} in ledger {ledger_id}",
        account=account_id,
    )
