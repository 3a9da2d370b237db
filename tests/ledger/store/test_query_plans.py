"""SQLite knows no numbers of rows: every look-up by key must take an index that narrows it down."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from ledger.store import balances, batches, facts
from ledger.store.hours_schema import facts as facts_table
from timebank.database.sqlite_sql import read
from timebank.database.statements import Read

READS = {
    f"{module.__name__}.{name}": sql
    for module in (balances, batches, facts)
    for name, sql in vars(module).items()
    if isinstance(sql, str) and "FROM k " in sql
}
OF_THE_LEDGER = "SEARCH h USING PRIMARY KEY (ledger_no=?)"
"""What looking up the one head of a ledger looks like."""


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    facts_table.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection


def test_knows_the_reads() -> None:
    assert {"ledger.store.balances._BALANCES", "ledger.store.facts._LISTS"} <= READS.keys()


@pytest.mark.parametrize("keys", [1, 1024])
@pytest.mark.parametrize("name", sorted(READS))
def test_looks_up_by_more_than_the_ledger(connection: sa.Connection, name: str, keys: int) -> None:
    width = max(number for number in range(9) if f"k{number}" in READS[name]) + 1
    statement = Read(READS[name], ("text",) * width, [(None,) * width] * keys)
    ((sql, parameters),) = read(statement, 1)
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(parameters))
    steps = [row[3] for row in plan]
    expected = {OF_THE_LEDGER} if "heads" in READS[name] else set()
    assert {step for step in steps if step.endswith("(ledger_no=?)")} == expected
    scans = [step for step in steps if step.startswith("SCAN") and "CONSTANT ROW" not in step]
    assert {step.split()[1] for step in scans} <= {"k"}
    assert any(step.startswith("SEARCH") for step in steps)
