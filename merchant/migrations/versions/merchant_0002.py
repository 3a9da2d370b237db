"""Requests and counters can be forgotten: both are found by their time.

Revision ID: merchant_0002
"""

import sqlalchemy as sa
from alembic import op

from merchant.domain.counter_windows import kept_until_us
from merchant.domain.states import DocumentKind
from merchant.store import schema

revision = "merchant_0002"
down_revision = "merchant_0001"
branch_labels = None
depends_on = None

PAGE_ROWS = 1_000


def upgrade() -> None:
    """Adds the index, unless the tables were made with it, and says when counters are over."""
    connection = op.get_bind()
    schema.requests_by_time.create(connection, checkfirst=True)
    table = schema.documents
    is_counter = table.c.kind == int(DocumentKind.COUNTER)
    after: tuple[int, str] = (-1, "")
    while rows := _counters_after(connection, after):
        for ledger_no, counter_id in rows:
            connection.execute(
                table.update()
                .where(table.c.ledger_no == ledger_no, is_counter)
                .where(table.c.document_id == counter_id)
                .values(due_us=kept_until_us(counter_id))
            )
        after = rows[-1]


def _counters_after(connection: sa.Connection, after: tuple[int, str]) -> list[tuple[int, str]]:
    table = schema.documents
    place = sa.tuple_(table.c.ledger_no, table.c.document_id)
    query = (
        sa.select(table.c.ledger_no, table.c.document_id)
        .where(table.c.kind == int(DocumentKind.COUNTER), place > sa.tuple_(*after))
        .order_by(table.c.ledger_no, table.c.document_id)
        .limit(PAGE_ROWS)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def downgrade() -> None:
    """Drops the index; counters stay as they are, and nothing forgets them."""
    connection = op.get_bind()
    schema.requests_by_time.drop(connection, checkfirst=True)
    table = schema.documents
    is_counter = table.c.kind == int(DocumentKind.COUNTER)
    connection.execute(table.update().where(is_counter).values(due_us=None))
