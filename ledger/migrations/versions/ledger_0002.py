"""Members, service records, policies, stars: facts, running sums, and personal data apart.

Revision ID: ledger_0002
"""

from alembic import op

from ledger.store.hours_schema import HOURS_TABLES
from ledger.store.schema import metadata

revision = "ledger_0002"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the new tables."""
    connection = op.get_bind()
    metadata.create_all(connection, tables=HOURS_TABLES, checkfirst=False)
    if connection.dialect.name == "postgresql":
        op.execute("ALTER TABLE tallies SET (fillfactor = 50)")


def downgrade() -> None:
    """Drops them."""
    metadata.drop_all(op.get_bind(), tables=HOURS_TABLES, checkfirst=False)
