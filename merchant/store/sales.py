"""Redemptions as a comparison reads them: very many of them, and little of each."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from merchant.domain.states import DocumentKind, RedemptionState
from merchant.store import schema
from merchant.store.bodies import fields_from_body
from merchant.store.documents import listed_under
from timebank.database import reading

_KIND = DocumentKind.REDEMPTION
_STATES = {state.value: state for state in RedemptionState}


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


async def list_sales(
    reader: AsyncEngine, ledger_no: int, merchant_id: str, *, after: int, limit: int
) -> list[Sale]:
    """Lists a merchant's redemptions after a sequence, oldest first."""
    table = schema.documents
    query = (
        select(table.c.sequence, table.c.body)
        .where(
            table.c.ledger_no == ledger_no,
            table.c.parent == listed_under(_KIND, merchant_id),
            table.c.sequence > after,
        )
        .order_by(table.c.sequence)
        .limit(limit)
    )
    async with reading(reader) as connection:
        rows = (await connection.execute(query)).all()
    return [_sale(*row) for row in rows]


async def last_sale_sequence(reader: AsyncEngine, ledger_no: int, merchant_id: str) -> int:
    """Gives the sequence of a merchant's newest redemption, -1 when there is none."""
    table = schema.documents
    query = select(func.max(table.c.sequence)).where(
        table.c.ledger_no == ledger_no, table.c.parent == listed_under(_KIND, merchant_id)
    )
    async with reading(reader) as connection:
        newest: int | None = (await connection.execute(query)).scalar_one_or_none()
    return -1 if newest is None else newest


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
