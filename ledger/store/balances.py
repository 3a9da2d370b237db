"""Balances with everything an answer about them needs, many accounts in one round trip."""

from typing import NamedTuple

from ledger.domain.account import NEVER_US, Account
from ledger.store.batches import ACCOUNT_COLUMNS, account_from_row
from timebank.database.statements import Plan, Read, Row

# BETWEEN and + 0 find holds by account: a database would go through all that are due instead.
_BALANCES = f"""SELECT {ACCOUNT_COLUMNS},
(SELECT min(l.expires_us) FROM lots l WHERE l.ledger_no = :ledger
AND l.account_no = a.account_no AND l.remaining > l.reserved),
(SELECT min(h.expires_us + 0) FROM holds h WHERE h.ledger_no = :ledger
AND h.account_no BETWEEN a.account_no AND a.account_no AND h.state = 1),
(SELECT sum(e.earned) FROM earnings e WHERE e.ledger_no = :ledger
AND e.account_no = a.account_no),
(SELECT e.earned FROM earnings e WHERE e.ledger_no = :ledger
AND e.account_no = a.account_no AND e.calendar_year = k.k1)
FROM k CROSS JOIN accounts a CROSS JOIN balances b
WHERE a.ledger_no = :ledger AND a.account_id = k.k0
AND b.ledger_no = :ledger AND b.account_no = a.account_no"""


class BalanceRow(NamedTuple):
    """An account without its lots and holds, and what an answer says of them.

    `due_us` is the earliest moment at which a lot or a hold of it expires; earned amounts are in
    the account's unit.
    """

    account: Account
    due_us: int
    earned: int
    earned_in_year: int


def load_balances(account_ids: list[str], calendar_year: int) -> Plan[dict[str, BalanceRow]]:
    """Loads balances by account id; unknown ids are missing."""
    keys = [(account_id, calendar_year) for account_id in account_ids]
    rows = yield Read(_BALANCES, ("text", "int16"), keys)
    return {row[1]: _balance_from_row(row) for row in rows}


def _balance_from_row(row: Row) -> BalanceRow:
    lot_due_us, hold_due_us, earned, earned_in_year = row[-4:]
    due_us = min(lot_due_us or NEVER_US, hold_due_us or NEVER_US)
    return BalanceRow(account_from_row(row), due_us, int(earned or 0), earned_in_year or 0)
