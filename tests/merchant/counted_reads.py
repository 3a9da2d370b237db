"""What calls cost: how many statements they send to the merchant's tables, how many questions to
the ledger. Numbers of both are the same on every machine, as times are not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, event

from timebank.database.sessions import PostgresqlSession, SqliteSession
from timebank.database.statements import Plan, Read
from timebank.local_channels import LocalCall


@dataclass
class Cost:
    """Statements and questions since the count began."""

    statements: int = 0
    ledger_calls: int = 0


@contextmanager
def counted_reads() -> Iterator[Cost]:
    """Counts what this process asks until the block ends."""
    cost = Cost()

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        cost.statements += " merchant_" in statement

    with pytest.MonkeyPatch.context() as patched:
        for session in (SqliteSession, PostgresqlSession):
            patched.setattr(session, "run", _counting_run(session.run, cost))
        patched.setattr(LocalCall, "__init__", _counting_call(LocalCall.__init__, cost))
        event.listen(Engine, "before_cursor_execute", count)
        try:
            yield cost
        finally:
            event.remove(Engine, "before_cursor_execute", count)


def _counting_run(run: Any, cost: Cost) -> Any:
    """Counts the look-ups of plans, which go past the engine to the driver."""

    def counted(self: object, ledger_no: int, plan: Plan[Any], **how: bool) -> Any:
        return run(self, ledger_no, _counted_plan(plan, cost), **how)

    return counted


def _counted_plan(plan: Plan[Any], cost: Cost) -> Plan[Any]:
    try:
        statement = next(plan)
        while True:
            cost.statements += isinstance(statement, Read) and " merchant_" in statement.sql
            statement = plan.send((yield statement))
    except StopIteration as stop:
        return stop.value


def _counting_call(begin: Any, cost: Cost) -> Any:
    def counted(
        self: object, interceptors: object, caller: object, path: str, *rest: Any, **how: Any
    ) -> None:
        cost.ledger_calls += path.startswith("/timebank.ledger.")
        begin(self, interceptors, caller, path, *rest, **how)

    return counted
