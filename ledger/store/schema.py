"""Tables of the ledger. Every key starts with the ledger, so that a ledger is the unit of sharding.

Each table declares what it is in `info["role"]`: LOG (the truth), PROJECTION (rebuilt from the log
and compared by the audit, column by column) or OPERATIONAL (not derivable: outcomes, texts and
their salts, commit ids). `accounts.no` is the index of the entry that opened the account. Times are
microseconds since 1970 UTC; amounts are in the account's unit.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

LOG = "LOG"
PROJECTION = "PROJECTION"
OPERATIONAL = "OPERATIONAL"

metadata = MetaData()


def ledger_column() -> Column[int]:
    """Makes the column that every key begins with."""
    return Column("ledger_no", BigInteger, nullable=False, autoincrement=False)


ledgers = Table(
    "ledgers",
    metadata,
    ledger_column(),
    Column("ledger_id", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("log_origin", Text, nullable=False),
    Column("verifier_keys", Text, nullable=False),
    Column("opening_closed", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no"),
    # Finds a ledger by the id in its resource name.
    Index("ledgers_by_id", "ledger_id", unique=True),
    # Keeps two logs from signing under one name.
    Index("ledgers_by_origin", "log_origin", unique=True),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

heads = Table(
    "heads",
    metadata,
    ledger_column(),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("batch_id", LargeBinary, nullable=False),
    PrimaryKeyConstraint("ledger_no"),
    sqlite_with_rowid=False,
    info={"role": LOG},
)

entries = Table(
    "entries",
    metadata,
    ledger_column(),
    Column("log_index", BigInteger, nullable=False, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("request_key", LargeBinary),
    Column("natural_key", Text),
    Column("cause", Text),
    Column("leaf", LargeBinary, nullable=False),
    PrimaryKeyConstraint("ledger_no", "log_index"),
    sqlite_with_rowid=False,
    info={"role": LOG},
)
# Finds the entry of a repeated request.
Index(
    "entries_by_request",
    entries.c.ledger_no,
    entries.c.request_key,
    unique=True,
    postgresql_where=entries.c.request_key.is_not(None),
    sqlite_where=entries.c.request_key.is_not(None),
)
# Finds what the business has numbered already.
Index(
    "entries_by_natural_key",
    entries.c.ledger_no,
    entries.c.kind,
    entries.c.natural_key,
    unique=True,
    postgresql_where=entries.c.natural_key.is_not(None),
    sqlite_where=entries.c.natural_key.is_not(None),
)
# Lists the entries of one cause.
Index(
    "entries_by_cause",
    entries.c.ledger_no,
    entries.c.cause,
    entries.c.log_index,
    postgresql_where=entries.c.cause.is_not(None),
    sqlite_where=entries.c.cause.is_not(None),
)
# Finds the log index of a recorded time.
Index("entries_by_time", entries.c.ledger_no, entries.c.recorded_us)

tiles = Table(
    "tiles",
    metadata,
    ledger_column(),
    Column("level", SmallInteger, nullable=False),
    Column("tile_index", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    PrimaryKeyConstraint("ledger_no", "level", "tile_index"),
    sqlite_with_rowid=False,
    info={"role": LOG},
)

accounts = Table(
    "accounts",
    metadata,
    ledger_column(),
    Column("account_no", BigInteger, nullable=False, autoincrement=False),
    Column("account_id", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("unit", SmallInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("min_balance", BigInteger),
    Column("max_balance", BigInteger),
    Column("debt_limit", BigInteger, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "account_no"),
    # Finds an account by the id in its resource name.
    Index("accounts_by_id", "ledger_no", "account_id", unique=True),
    # Lists the accounts of a holder.
    Index("accounts_by_holder", "ledger_no", "holder", "account_no"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

balances = Table(
    "balances",
    metadata,
    ledger_column(),
    Column("account_no", BigInteger, nullable=False, autoincrement=False),
    Column("posted", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("debt", BigInteger, nullable=False),
    Column("changed_index", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "account_no"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

lots = Table(
    "lots",
    metadata,
    ledger_column(),
    Column("account_no", BigInteger, nullable=False, autoincrement=False),
    Column("expires_us", BigInteger, nullable=False, autoincrement=False),
    Column("remaining", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "account_no", "expires_us"),
    # Finds the lots that are due.
    Index("lots_by_expiry", "ledger_no", "expires_us"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

holds = Table(
    "holds",
    metadata,
    ledger_column(),
    Column("hold_id", Text, nullable=False),
    Column("account_no", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("released", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("created_index", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("lots", Text, nullable=False),
    PrimaryKeyConstraint("ledger_no", "hold_id"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)
# Finds the live holds of an account.
Index(
    "holds_by_account",
    holds.c.ledger_no,
    holds.c.account_no,
    postgresql_where=holds.c.state == 1,
    sqlite_where=holds.c.state == 1,
)
# Finds the live holds that are due.
Index(
    "holds_by_expiry",
    holds.c.ledger_no,
    holds.c.expires_us,
    postgresql_where=holds.c.state == 1,
    sqlite_where=holds.c.state == 1,
)

postings = Table(
    "postings",
    metadata,
    ledger_column(),
    Column("account_no", BigInteger, nullable=False, autoincrement=False),
    Column("log_index", BigInteger, nullable=False, autoincrement=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("effective_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "account_no", "log_index"),
    # Sums an account up to an effective time.
    Index("postings_by_effective_time", "ledger_no", "account_no", "effective_us"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

earnings = Table(
    "earnings",
    metadata,
    ledger_column(),
    Column("account_no", BigInteger, nullable=False, autoincrement=False),
    Column("calendar_year", SmallInteger, nullable=False, autoincrement=False),
    Column("earned", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "account_no", "calendar_year"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

corrections = Table(
    "corrections",
    metadata,
    ledger_column(),
    Column("original_index", BigInteger, nullable=False, autoincrement=False),
    Column("reversed_by", BigInteger),
    Column("refunded", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "original_index"),
    sqlite_with_rowid=False,
    info={"role": PROJECTION},
)

declines = Table(
    "declines",
    metadata,
    ledger_column(),
    Column("request_key", LargeBinary, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("error", LargeBinary, nullable=False),
    Column("declined_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "request_key"),
    # Finds the declines that are old enough to be forgotten.
    Index("declines_by_time", "ledger_no", "declined_us"),
    sqlite_with_rowid=False,
    info={"role": OPERATIONAL},
)

texts = Table(
    "texts",
    metadata,
    ledger_column(),
    Column("log_index", BigInteger, nullable=False, autoincrement=False),
    Column("field", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("ledger_no", "log_index", "field"),
    sqlite_with_rowid=False,
    info={"role": OPERATIONAL},
)

commits = Table(
    "commits",
    metadata,
    ledger_column(),
    Column("batch_id", LargeBinary, nullable=False),
    Column("committed_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("ledger_no", "batch_id"),
    # Finds the commit ids that are old enough to be forgotten.
    Index("commits_by_time", "ledger_no", "committed_us"),
    sqlite_with_rowid=False,
    info={"role": OPERATIONAL},
)

FIRST_TABLES = tuple(metadata.sorted_tables)
"""The tables of the first migration; `ledger.store.hours_schema` adds more."""
