"""The first tables: programmes, documents, requests.

Revision ID: merchant_0001
"""

from alembic import op

from merchant.store import schema

revision = "merchant_0001"
down_revision = None
branch_labels = ("merchant",)
depends_on = None


def upgrade() -> None:
    """Makes every table."""
    connection = op.get_bind()
    schema.metadata.create_all(connection, checkfirst=False)
    if connection.dialect.name == "postgresql":
        # Documents change often: room on their page lets PostgreSQL update them in place.
        op.execute("ALTER TABLE merchant_documents SET (fillfactor = 70)")
        op.execute("ALTER TABLE merchant_programmes SET (fillfactor = 10)")


def downgrade() -> None:
    """Drops every table, and with it all redemptions."""
    schema.metadata.drop_all(op.get_bind(), checkfirst=False)
