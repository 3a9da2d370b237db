"""Tables of the merchant service. Every key starts with the ledger, as in the ledger's own tables.

`documents` hold all that the service knows; what they are found by stands in columns, the rest in
the body. `sequence` is the place of a document in its list, given when it is first written.
`requests` are what was asked, kept for 31 days. Times are microseconds since 1970 UTC.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    literal_column,
)

from merchant.domain.states import DocumentKind

metadata = MetaData()


def ledger_column() -> Column[int]:
    """Makes the column that every key begins with."""
    return Column("ledger_no", BigInteger, nullable=False, autoincrement=False)


programmes = Table(
    "merchant_programmes",
    metadata,
    ledger_column(),
    Column("ledger_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("moved_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no"),
    # Finds a programme by the id of its ledger.
    Index("merchant_programmes_by_ledger", "ledger_id", unique=True),
    sqlite_with_rowid=False,
)

documents = Table(
    "merchant_documents",
    metadata,
    ledger_column(),
    Column("kind", SmallInteger, nullable=False, autoincrement=False),
    Column("document_id", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("due_us", BigInteger),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("ledger_no", "kind", "document_id"),
    # Lists the documents below a parent in the order in which they came.
    Index("merchant_documents_by_parent", "ledger_no", "parent", "sequence"),
    sqlite_with_rowid=False,
)
# Finds what is due.
Index(
    "merchant_documents_by_due",
    documents.c.ledger_no,
    documents.c.due_us,
    postgresql_where=documents.c.due_us.is_not(None),
    sqlite_where=documents.c.due_us.is_not(None),
)
IS_REDEMPTION = documents.c.kind == literal_column(str(int(DocumentKind.REDEMPTION)))
"""Says that a document is a redemption. The number is written out, not bound: the index below
serves only a query that says the same by itself.
"""
# Lists the redemptions of all merchants in the order in which they came.
redemptions_by_sequence = Index(
    "merchant_redemptions_by_sequence",
    documents.c.ledger_no,
    documents.c.sequence,
    postgresql_where=IS_REDEMPTION,
    sqlite_where=IS_REDEMPTION,
)

requests = Table(
    "merchant_requests",
    metadata,
    ledger_column(),
    Column("request_key", LargeBinary, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("error", LargeBinary),
    Column("asked_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "request_key"),
    sqlite_with_rowid=False,
)
# Finds the requests that are old enough to be forgotten.
requests_by_time = Index("merchant_requests_by_time", requests.c.ledger_no, requests.c.asked_us)
