"""Outcomes that need not be kept for ever: declines, and the ids of commits."""

from ledger.store import schema
from timebank.database.statements import Plan, Read, Rows, Write

ROWS_MAX = 10_000
"""Rows of a table that one transaction forgets."""

_OLD_DECLINES = f"""SELECT d.request_key FROM k CROSS JOIN declines d
WHERE d.ledger_no = :ledger AND d.declined_us < k.k0 LIMIT {ROWS_MAX}"""
_OLD_COMMITS = f"""SELECT c.batch_id FROM k CROSS JOIN commits c CROSS JOIN heads h
WHERE c.ledger_no = :ledger AND c.committed_us < k.k0
AND h.ledger_no = :ledger AND h.batch_id <> c.batch_id LIMIT {ROWS_MAX}"""


def forget_outcomes(before_us: int) -> Plan[int]:
    """Deletes declines and commit ids from before a time, and counts them; the commit that wrote
    the head stays. What reached the log is found by its entry for ever.
    """
    declines = yield Read(_OLD_DECLINES, ("int64",), [(before_us,)])
    commits = yield Read(_OLD_COMMITS, ("int64",), [(before_us,)])
    rows = [
        Rows(schema.declines, [tuple(row) for row in declines]),
        Rows(schema.commits, [tuple(row) for row in commits]),
    ]
    yield Write(deleted=rows)
    return len(declines) + len(commits)
