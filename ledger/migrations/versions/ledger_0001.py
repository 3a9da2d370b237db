"""The first tables: log, projections, outcomes.

Revision ID: ledger_0001
"""

from alembic import op

from ledger.store import schema

revision = "ledger_0001"
down_revision = None
branch_labels = ("ledger",)
depends_on = None

# Rows that change often leave room on their page, so that PostgreSQL updates them in place.
_FILL = {"balances": 50, "lots": 50, "heads": 10}


def upgrade() -> None:
    """Makes every table."""
    connection = op.get_bind()
    schema.metadata.create_all(connection, tables=schema.FIRST_TABLES, checkfirst=False)
    if connection.dialect.name == "postgresql":
        for table, percent in _FILL.items():
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")


def downgrade() -> None:
    """Drops every table, and with it the ledger."""
    schema.metadata.drop_all(op.get_bind(), tables=schema.FIRST_TABLES, checkfirst=False)
