"""Outcomes of requests, which need not be kept for ever: what they made is found by its own key."""

from __future__ import annotations

from merchant.store import schema
from timebank.database.statements import Plan, Read, Rows, Write

ROWS_MAX = 1_000
"""Requests that one transaction forgets."""
_OLD_REQUESTS = f"""SELECT r.request_key FROM k CROSS JOIN merchant_requests r
WHERE r.ledger_no = :ledger AND r.asked_us < k.k0 LIMIT {ROWS_MAX}"""


def forget_requests(before_us: int) -> Plan[int]:
    """Deletes requests from before a time, at most 1,000, and counts them."""
    requests = yield Read(_OLD_REQUESTS, ("int64",), [(before_us,)])
    yield Write(deleted=[Rows(schema.requests, [tuple(row) for row in requests])])
    return len(requests)
