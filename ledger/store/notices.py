"""Notices of POINTS that will expire: given once for each lot and distance, numbered in order."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.store import schema
from ledger.store.batches import lock_head
from ledger.store.hours_schema import expiry_notices
from timebank.database import reading
from timebank.database.statements import Plan, Read, Rows, Write
from timebank.units import Unit

ROWS_MAX = 1_000
_DUE = f"""SELECT l.account_no, l.expires_us, l.remaining FROM k CROSS JOIN lots l
CROSS JOIN accounts a
WHERE l.ledger_no = :ledger AND l.expires_us > k.k0 AND l.expires_us <= k.k1
AND a.ledger_no = :ledger AND a.account_no = l.account_no AND a.unit = {Unit.POINTS:d}
AND NOT EXISTS (SELECT 1 FROM expiry_notices n WHERE n.ledger_no = :ledger
AND n.account_no = l.account_no AND n.expires_us = l.expires_us AND n.days = k.k2)
ORDER BY l.expires_us, l.account_no LIMIT {ROWS_MAX}"""
_LAST = """SELECT max(n.notice_no) FROM k CROSS JOIN expiry_notices n
WHERE n.ledger_no = :ledger AND n.notice_no >= k.k0"""


def give_notices(now_us: int, until_us: int, days: int) -> Plan[int]:
    """Gives notice of lots that expire between two times, at most ROWS_MAX; gives how many."""
    yield lock_head()
    due = yield Read(_DUE, ("int64", "int64", "int16"), [(now_us, until_us, days)])
    if not due:
        return 0
    last = yield Read(_LAST, ("int64",), [(0,)])
    first = (last[0][0] or 0) + 1
    rows = [(first + place, row[0], row[1], days, row[2]) for place, row in enumerate(due)]
    yield Write(inserted=[Rows(expiry_notices, rows)])
    return len(rows)


class Notice(NamedTuple):
    """A notice as it is read."""

    notice_no: int
    account_id: str
    holder: str
    points: int
    expires_us: int
    days: int


async def list_notices(
    reader: AsyncEngine, ledger_no: int, *, after: int, limit: int
) -> list[Notice]:
    """Lists notices after a number."""
    n, a = expiry_notices.c, schema.accounts.c
    same = sa.and_(n.ledger_no == a.ledger_no, n.account_no == a.account_no)
    query = (
        sa.select(n.notice_no, a.account_id, a.holder, n.points, n.expires_us, n.days)
        .select_from(expiry_notices.join(schema.accounts, same))
        .where(n.ledger_no == ledger_no, n.notice_no > after)
        .order_by(n.notice_no)
        .limit(limit)
    )
    async with reading(reader) as connection:
        return [Notice(*row) for row in (await connection.execute(query)).all()]
