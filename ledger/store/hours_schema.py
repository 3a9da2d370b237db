"""Tables of members, records and policies, beside those of `ledger.store.schema`.

`facts` says where in the log the latest fact of each subject stands, and what it is found by;
`tallies` are running sums. Both are projections. Personal data and documents are OPERATIONAL:
encrypted under a key of each person, and gone with it.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from ledger.store.schema import OPERATIONAL, PROJECTION, ledger_column, metadata

FIRST_US = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z, the first time there is."""

facts = Table(
    "facts",
    metadata,
    ledger_column(),
    Column("kind", SmallInteger, nullable=False, autoincrement=False),
    Column("fact_id", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("due_us", BigInteger),
    Column("log_index", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "kind", "fact_id"),
    # None of these begins with the kind: a planner that believes a kind to be rare must not prefer
    # one of them to the primary key. Whoever looks up by something else writes `kind + 0`, and what
    # a fact is listed under begins with its kind.
    # Finds the records of a volunteer at a time, duplicates of a member, certificates of a member.
    Index("facts_by_parent", "ledger_no", "parent", "from_us"),
    # Lists records and stars that stand so, newest first.
    Index("facts_by_state", "ledger_no", "state", "kind", "log_index"),
    # Lists records, newest first.
    Index("facts_by_entry", "ledger_no", "log_index"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)
# Finds records whose publicity has ended and minors who have come of age.
Index(
    "facts_by_due",
    facts.c.ledger_no,
    facts.c.due_us,
    postgresql_where=facts.c.due_us.is_not(None),
    sqlite_where=facts.c.due_us.is_not(None),
)

tallies = Table(
    "tallies",
    metadata,
    ledger_column(),
    Column("subject", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "subject", "name", "period"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

person_keys = Table(
    "person_keys",
    metadata,
    ledger_column(),
    Column("member_id", Text, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    PrimaryKeyConstraint("ledger_no", "member_id"),
    sqlite_with_rowid=False,
    info={"role": OPERATIONAL},
)

person_data = Table(
    "person_data",
    metadata,
    ledger_column(),
    Column("member_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("ledger_no", "member_id", "name"),
    sqlite_with_rowid=False,
    info={"role": OPERATIONAL},
)

expiry_notices = Table(
    "expiry_notices",
    metadata,
    ledger_column(),
    Column("notice_no", BigInteger, nullable=False, autoincrement=False),
    Column("account_no", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("days", SmallInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "notice_no"),
    # Keeps a lot from being announced twice.
    Index("expiry_notices_once", "ledger_no", "account_no", "expires_us", "days", unique=True),
    sqlite_with_rowid=False,
    info={"role": OPERATIONAL},
)

HOURS_TABLES = (facts, tallies, person_keys, person_data, expiry_notices)
SCHEMA_TABLES = tuple(metadata.sorted_tables)
"""Every table of the ledger."""
