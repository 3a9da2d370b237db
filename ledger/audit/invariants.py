"""Rules between balances, lots and holds that hold after every entry, checked on what the log adds
up to.
"""

from __future__ import annotations

from ledger.domain.account import Account
from ledger.domain.fold import Projections
from timebank.audits import Said, differs


def check_invariants(state: Projections) -> int:
    """Checks every account and the sum of every unit; gives the number of accounts.

    Raises DifferenceFound: balances of a unit do not sum to 0, held is not the sum of live holds,
    lots and debt do not make up what is posted, or more is held than the lots have.
    """
    sums: dict[str, int] = {}
    for account in state.accounts.values():
        sums[account.unit.name] = sums.get(account.unit.name, 0) + account.posted
        _check_holds(account)
        if account.has_lots:
            _check_lots(account)
    for unit, total in sums.items():
        if total:
            raise differs("balances", {"unit": Said(unit)}, "posted", expected=0, got=total)
    return len(state.accounts)


def _check_holds(account: Account) -> None:
    rest = sum(hold.rest for hold in account.holds.values())
    if account.held != rest or any(hold.rest < 0 for hold in account.holds.values()):
        wanted = Said(f"{rest}, the sum of live holds")
        raise differs(
            "balances", {"account_no": account.no}, "held", expected=wanted, got=account.held
        )


def _check_lots(account: Account) -> None:
    key = {"account_no": account.no}
    remaining = sum(lot.remaining for lot in account.lots)
    if account.posted != remaining - account.debt or account.debt < 0:
        wanted = Said(f"{remaining - account.debt}, the sum of lots without a debt of 0 or more")
        raise differs("balances", key, "posted", expected=wanted, got=account.posted)
    if account.held > remaining:
        wanted = Said(f"at most {remaining}, the sum of lots")
        raise differs("balances", key, "held", expected=wanted, got=account.held)
    reserved: dict[int, int] = {}
    for hold in account.holds.values():
        for expires_us, amount in hold.lots.items():
            reserved[expires_us] = reserved.get(expires_us, 0) + amount
    for lot in account.lots:
        if not 0 <= lot.reserved <= lot.remaining or lot.reserved != reserved.pop(
            lot.expires_us, 0
        ):
            wanted = Said(f"what live holds reserve, at most {lot.remaining}")
            lot_key = {**key, "expires_us": lot.expires_us}
            raise differs("lots", lot_key, "reserved", expected=wanted, got=lot.reserved)
    if reserved:
        lot_key = {**key, "expires_us": min(reserved)}
        raise differs("lots", lot_key, "reserved", expected=min(reserved.values()), got=0)
