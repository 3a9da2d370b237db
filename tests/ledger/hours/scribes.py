"""Writers of villages: the product's own batches on a SQLite file, without a server around them.

Owns time, randomness and what is remembered from one batch to the next. The same seed and the same
requests give the same log, byte for byte.
"""

import pathlib
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ledger import leaf
from ledger.batch import Batch
from ledger.domain import commands as c
from ledger.domain import hours_commands as h
from ledger.domain.book import EXPIRY_CALLER
from ledger.domain.entry import Entry
from ledger.domain.facts import FactKind
from ledger.domain.fold import LedgerState
from ledger.domain.movements import Authority
from ledger.domain.outcomes import Outcome
from ledger.holidays import load_holidays
from ledger.memory import Memory
from ledger.store import reads
from ledger.store.hours_reads import due_facts
from ledger.store.ledgers import add_ledger
from tests.ledger.audited import LIMITS
from tests.ledger.tampering import Hand
from tests.support.commands import START_US, ZONE
from tests.support.keys import ORIGIN
from timebank.clock import ManualClock
from timebank.config import DatabaseConfig
from timebank.database import Databases, open_databases
from timebank.database.sessions import WriterSession, open_session
from timebank.migrations import prepare

LEDGER_NO = 1
DUE_MAX = 1_000
LEAVES = "SELECT log_index, leaf FROM entries ORDER BY log_index"
BALANCES = """SELECT a.account_id, b.posted, b.held, b.debt
FROM accounts a JOIN balances b ON b.ledger_no = a.ledger_no AND b.account_no = a.account_no
ORDER BY a.account_id"""
TALLIES = "SELECT subject, name, period, amount FROM tallies WHERE amount <> 0"


class Scribe:
    """Writes one village; `forgets` its memory before every batch, or keeps it."""

    def __init__(
        self, databases: Databases, session: WriterSession, seed: int, *, forgets: bool
    ) -> None:
        self.clock = ManualClock(START_US)
        self.databases = databases
        self._session = session
        self._random = random.Random(seed)
        self._batch_ids = random.Random(seed)
        self._limits = LIMITS._replace(holidays=load_holidays())
        self._memory: Memory | None = None
        self._forgets = forgets

    async def create(self) -> None:
        """Creates the ledger."""
        state = LedgerState("weihai", time_zone=ZONE, log_origin=ORIGIN)
        await self._session.run(LEDGER_NO, add_ledger(state), begin=True, commit=True)
        created = c.CreateLedger("威海时间银行", ZONE, ORIGIN, "key")
        await self.write([c.make_request((created,), caller="operator/op", request_id=b"1" * 16)])

    async def write(self, requests: Sequence[c.Request]) -> list[Outcome]:
        """Carries a batch out."""
        batch = Batch(
            LEDGER_NO,
            requests,
            batch_id=self._batch_ids.randbytes(16),
            clock=self.clock,
            random_bytes=self._random.randbytes,
            encode=leaf.encode,
            limits=self._limits,
        )
        memory = await batch.carry_out(self._session, None if self._forgets else self._memory)
        self._memory = memory
        return batch.outcomes

    async def due(self) -> list[c.Request]:
        """What the sweeper would ask for now."""
        reader, now_us = self.databases.reader, self.clock.now_us()
        accounts = sorted(
            name for name, _ in await reads.due_accounts(reader, LEDGER_NO, now_us, DUE_MAX)
        )
        commands: list[c.Command] = [c.ExpireDue(tuple(accounts))] if accounts else []
        for kind, made in ((FactKind.RECORD, h.PostDue), (FactKind.MEMBER, h.ComeOfAge)):
            found = await due_facts(reader, LEDGER_NO, kind, now_us, after=(0, ""), limit=DUE_MAX)
            commands.extend(made(fact_id) for _, fact_id in found)
        return [
            c.make_request((command,), caller=EXPIRY_CALLER, request_id=b"") for command in commands
        ]


class Place:
    """A folder with an empty database to copy."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.empty = folder / "empty.db"

    async def make(self) -> None:
        """Makes the tables."""
        databases = open_databases(DatabaseConfig(url=f"sqlite:///{self.empty}"))
        await prepare(databases, ["ledger"], mode="auto")
        await databases.close()

    def url(self, name: str) -> str:
        """A copy of the empty database."""
        path = self.folder / f"{name}.db"
        shutil.copy(self.empty, path)
        return f"sqlite:///{path}"


@asynccontextmanager
async def scribe_at(url: str, seed: int, *, forgets: bool) -> AsyncIterator[Scribe]:
    """A writer of a new ledger."""
    databases = open_databases(DatabaseConfig(url=url))
    session = open_session(databases)
    try:
        scribe = Scribe(databases, session, seed, forgets=forgets)
        await scribe.create()
        yield scribe
    finally:
        await session.close()
        await databases.close()


def asked(command: c.Command, request_id: bytes = b"") -> c.Request:
    """A request of the operator."""
    authorities = frozenset({Authority.POST, Authority.OPENING})
    return c.make_request(
        (command,), caller="operator/op", request_id=request_id, authorities=authorities
    )


async def entries_of(url: str) -> list[Entry]:
    """Reads the log."""
    return [leaf.decode(bytes(data)) for _, data in await Hand(url).run(LEAVES)]


async def audited(url: str) -> None:
    """Audits the database: everything must agree with the log."""
    report = await Hand(url).audit()
    assert report.ok, report.difference
