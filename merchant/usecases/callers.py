"""What callers may see and change of merchants and tills.

A merchant's id is that of its principal; a till's principal has the till's own id,
`merchant/terminal`. What anybody may know of a merchant are its name, category and state.
"""

from __future__ import annotations

from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, TimebankError

_SEES_ALL = frozenset({PrincipalKind.SERVICE, PrincipalKind.AUDITOR, PrincipalKind.OPERATOR})


def sees_terms(principal: Principal, merchant_id: str) -> bool:
    """Says whether a caller may see what was agreed with a merchant; its tills may not."""
    own = principal.kind is PrincipalKind.MERCHANT and principal.id == merchant_id
    return own or principal.kind in _SEES_ALL


def sees_terminals(principal: Principal, merchant_id: str) -> bool:
    """Says whether a caller may know of tills of a merchant."""
    own = principal.kind is PrincipalKind.TERMINAL and owner_of(principal) == merchant_id
    return own or sees_terms(principal, merchant_id)


def sees_terminal(principal: Principal, terminal_id: str) -> bool:
    """Says whether a caller may see a till; a till sees itself."""
    if principal.kind is PrincipalKind.TERMINAL:
        return principal.id == terminal_id
    return sees_terms(principal, terminal_id.partition("/")[0])


def is_own(principal: Principal, merchant_id: str) -> bool:
    """Says whether a merchant is the caller's own; whoever is no merchant or till has all."""
    limited = principal.kind in (PrincipalKind.MERCHANT, PrincipalKind.TERMINAL)
    return not limited or owner_of(principal) == merchant_id


def check_changes_merchant(principal: Principal, merchant_id: str) -> None:
    """Refuses the change of another merchant's tills and offers, with SCOPE_MISSING."""
    if not is_own(principal, merchant_id):
        raise TimebankError(
            Reason.SCOPE_MISSING,
            f"you administer merchant {owner_of(principal)}, not {merchant_id}",
            merchant=merchant_id,
        )


def check_changes_terminal(principal: Principal, terminal_id: str) -> None:
    """Refuses the change of another merchant's till, and of another till, with SCOPE_MISSING."""
    check_changes_merchant(principal, terminal_id.partition("/")[0])
    if principal.kind is PrincipalKind.TERMINAL and principal.id != terminal_id:
        raise TimebankError(
            Reason.SCOPE_MISSING,
            f"you are terminal {principal.id}, not {terminal_id}",
            terminal=terminal_id,
        )


def serves_unit(principal: Principal, home_unit: str) -> bool:
    """Says whether a unit is one of an officer's, or lies below one."""
    return any(home_unit == unit or home_unit.startswith(f"{unit}/") for unit in principal.units)


def owner_of(principal: Principal) -> str:
    """Gives the merchant that a merchant's or a till's principal belongs to."""
    return principal.id.partition("/")[0]
