"""The redemptions of all merchants are found in their order; resolved items have their own lists.

Revision ID: merchant_0003
"""

import sqlalchemy as sa
from alembic import op

from merchant.domain.places import place_of
from merchant.domain.states import DocumentKind
from merchant.store import schema
from merchant.store.bodies import document_from_body
from merchant.store.documents import listed_under

revision = "merchant_0003"
down_revision = "merchant_0002"
branch_labels = None
depends_on = None

PAGE_ROWS = 1_000
_TABLE = schema.documents
_ITEM = int(DocumentKind.ITEM)


def upgrade() -> None:
    """Adds the index, unless the tables were made with it, and moves items that are resolved."""
    connection = op.get_bind()
    schema.redemptions_by_sequence.create(connection, checkfirst=True)
    after: tuple[int, str] = (-1, "")
    while rows := _items_after(connection, after):
        for ledger_no, item_id, body in rows:
            place = place_of(document_from_body(DocumentKind.ITEM, body))
            _move(connection, ledger_no, item_id, listed_under(DocumentKind.ITEM, place.parent))
        after = rows[-1][:2]


def _items_after(connection: sa.Connection, after: tuple[int, str]) -> list[tuple[int, str, bytes]]:
    place = sa.tuple_(_TABLE.c.ledger_no, _TABLE.c.document_id)
    query = (
        sa.select(_TABLE.c.ledger_no, _TABLE.c.document_id, _TABLE.c.body)
        .where(_TABLE.c.kind == _ITEM, place > sa.tuple_(*after))
        .order_by(_TABLE.c.ledger_no, _TABLE.c.document_id)
        .limit(PAGE_ROWS)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def _move(connection: sa.Connection, ledger_no: int, item_id: str, parent: str) -> None:
    is_item = (_TABLE.c.ledger_no == ledger_no) & (_TABLE.c.kind == _ITEM)
    moved = _TABLE.update().where(is_item, _TABLE.c.document_id == item_id).values(parent=parent)
    connection.execute(moved.where(_TABLE.c.parent != parent))


def downgrade() -> None:
    """Drops the index, and lists resolved items with the open ones of their merchants again."""
    connection = op.get_bind()
    schema.redemptions_by_sequence.drop(connection, checkfirst=True)
    after: tuple[int, str] = (-1, "")
    while rows := _items_after(connection, after):
        for ledger_no, item_id, _ in rows:
            merchant_id = item_id.partition("/")[0]
            _move(connection, ledger_no, item_id, listed_under(DocumentKind.ITEM, merchant_id))
        after = rows[-1][:2]
