"""Redemptions as a comparison reads them: very many of them, and little of each."""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.states import DocumentKind, RedemptionState
from merchant.store.bodies import fields_from_body
from merchant.store.documents import listed_under
from timebank.database.statements import Plan, Read

_KIND = DocumentKind.REDEMPTION
_AFTER = """SELECT d.sequence, d.body FROM k CROSS JOIN merchant_documents d
WHERE d.ledger_no = :ledger AND d.parent = k.k0 AND d.sequence > k.k1
ORDER BY d.sequence LIMIT {limit}"""
_LAST = """SELECT d.sequence FROM k CROSS JOIN merchant_documents d
WHERE d.ledger_no = :ledger AND d.parent = k.k0 ORDER BY d.sequence DESC LIMIT 1"""
_STATES = {state.value: state for state in RedemptionState}
_DATE_MARK = b'"business_date":"'
"""What a business date stands behind in a body; in text of a body its quotes would be escaped."""
_DATE_BYTES = 10


class Sale(NamedTuple):
    """A redemption, with its place in the list of its merchant; amounts are points or minutes."""

    sequence: int
    merchant_ref: str
    state: RedemptionState
    created_us: int
    captured: int
    refunded: int
    captured_us: int
    business_date: str


class SalesPage(NamedTuple):
    """Redemptions, and the sequence that the next page begins after; None: there are no more."""

    sales: list[Sale]
    last_sequence: int | None


def sales_after(
    merchant_id: str, after: int, *, limit: int, first_date: str = ""
) -> Plan[SalesPage]:
    """Gives a merchant's redemptions after a sequence, oldest first, but those that were captured
    before a business date: these are not even read.
    """
    keys = [(listed_under(_KIND, merchant_id), after)]
    rows = yield Read(_AFTER.format(limit=limit), ("text", "int64"), keys)
    first = first_date.encode()
    sales = [_sale(sequence, body) for sequence, body in rows if not _is_before(body, first)]
    return SalesPage(sales, rows[-1][0] if rows else None)


def last_sale_sequence(merchant_id: str) -> Plan[int]:
    """Gives the sequence of a merchant's newest redemption, -1 when there is none."""
    rows = yield Read(_LAST, ("text",), [(listed_under(_KIND, merchant_id),)])
    return rows[0][0] if rows else -1


def _is_before(body: bytes, first_date: bytes) -> bool:
    """Says whether a redemption has a business date before one."""
    at = body.find(_DATE_MARK) + len(_DATE_MARK)
    return at >= len(_DATE_MARK) and body[at : at + _DATE_BYTES] < first_date


def _sale(sequence: int, body: bytes) -> Sale:
    said = fields_from_body(body)
    return Sale(
        sequence,
        said["merchant_ref"],
        _STATES[said["state"]],
        said["created_us"],
        said.get("captured", 0),
        said.get("refunded", 0),
        said.get("captured_us", 0),
        said.get("business_date", ""),
    )
