"""Balances with everything an answer about them needs, many accounts at a time."""

from typing import NamedTuple

from ledger.domain.account import Account
from ledger.store.batches import Wanted, load
from ledger.store.statements import Plan, Read

_EARNED = """SELECT e.account_no, e.calendar_year, e.earned FROM k CROSS JOIN earnings e
WHERE e.ledger_no = :ledger AND e.account_no = k.k0"""


class BalanceRow(NamedTuple):
    """An account with its lots and live holds, and what it earned in each calendar year."""

    account: Account
    earned: dict[int, int]


def load_balances(account_ids: list[str]) -> Plan[dict[str, BalanceRow]]:
    """Loads balances by account id; unknown ids are missing."""
    loaded = yield from load(Wanted(account_ids))
    keys = [(account.no,) for account in loaded.accounts if account.has_lots]
    earned: dict[int, dict[int, int]] = {}
    for account_no, year, amount in (yield Read(_EARNED, ("int64",), keys)):
        earned.setdefault(account_no, {})[year] = amount
    return {
        account.account_id: BalanceRow(account, earned.get(account.no, {}))
        for account in loaded.accounts
    }
