"""A small ledger in which every table has rows, written by the product's own batches.

Owns the history: holds in all states, lots, debt, refunds, a reversal, posted records, a rotated
key, texts, and more than 256 entries so that a tile is full. Randomness comes from a seed and time
from a clock that the history moves.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from ledger import leaf
from ledger.batch import Batch, BatchLimits
from ledger.domain import commands as c
from ledger.domain.account import AccountKind
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.fold import LedgerState
from ledger.domain.hold import HoldKind
from ledger.domain.movements import Authority
from ledger.domain.outcomes import Outcome
from ledger.holidays import load_holidays
from ledger.memory import Memory
from ledger.store.ledgers import add_ledger
from tests.ledger.audited_members import first_commands, next_commands
from timebank.clock import ManualClock
from timebank.config import DatabaseConfig
from timebank.database import Databases, open_databases
from timebank.database.sessions import WriterSession, open_session
from timebank.migrations import prepare
from timebank.signing import Ed25519Signer
from timebank.tlog.checkpoint import Checkpoint, sign_checkpoint
from timebank.units import Unit

LEDGER = "weihai"
LEDGER_NO = 1
ORIGIN = "timebank.example/weihai"
START_US = int(datetime(2026, 3, 1, 4, tzinfo=UTC).timestamp()) * 1_000_000
DAY_S = 86_400
DAY_US = DAY_S * 1_000_000
TRANSFERS = 230
LIMITS = BatchLimits(
    queue_items_max=64_000,
    batch_items_max=8_000,
    batch_postings_max=32_000,
    # The history plays in a year of its own, whatever the database's clock says.
    clock_skew_seconds=10**9,
    accounts_cached_max=1_000,
    holidays=load_holidays(),
)
POINTS, TIME = Unit.POINTS, Unit.TIME


def signer(seed: int = 1) -> Ed25519Signer:
    """Gives one of the ledger's keys."""
    return Ed25519Signer.from_seed(ORIGIN, bytes([seed]) * 32)


class Writer:
    """Writes batches to one ledger; `seed` makes two histories different."""

    def __init__(self, databases: Databases, session: WriterSession, seed: int) -> None:
        self._databases = databases
        self._session = session
        self._random = random.Random(seed)
        self.clock = ManualClock(START_US)
        self.memory: Memory | None = None

    @classmethod
    async def open(cls, url: str, *, seed: int = 7) -> "Writer":
        """Opens a database, making its tables."""
        databases = open_databases(DatabaseConfig(url=url))
        await prepare(databases, ["ledger"], mode="auto")
        return cls(databases, open_session(databases), seed)

    async def close(self) -> None:
        await self._session.close()
        await self._databases.close()

    async def create(self, ledger_id: str = LEDGER, number: int = LEDGER_NO) -> None:
        """Creates a ledger with its own accounts."""
        state = LedgerState(ledger_id, log_origin=ORIGIN)
        await self._session.run(number, add_ledger(state), begin=True, commit=True)
        await self.write(c.CreateLedger("威海时间银行", "Asia/Shanghai", ORIGIN, signer().vkey))

    async def write(self, *commands: c.Command, number: int = LEDGER_NO) -> list[Entry]:
        """Writes each command as a request of its own, in one batch; none may be declined."""
        return await self.requests([[command] for command in commands], number)

    async def requests(self, chains: Sequence[list[c.Command]], number: int) -> list[Entry]:
        """Writes chains in one batch."""
        outcomes = await self.outcomes(chains, number)
        for outcome in outcomes:
            assert outcome.error is None, outcome.error
        return [entry for outcome in outcomes for entry in outcome.entries]

    async def outcomes(
        self, chains: Sequence[list[c.Command]], number: int = LEDGER_NO
    ) -> list[Outcome]:
        batch = Batch(
            number,
            [
                c.make_request(
                    tuple(chain),
                    caller="service/matching",
                    request_id=self._random.randbytes(16),
                    actor="person/wang",
                    authorities=frozenset(Authority),
                )
                for chain in chains
            ],
            batch_id=self._random.randbytes(16),
            clock=self.clock,
            random_bytes=self._random.randbytes,
            encode=leaf.encode,
            limits=LIMITS,
        )
        self.memory = await batch.carry_out(self._session, self.memory)
        self.clock.advance(seconds=60)
        return batch.outcomes

    async def open_account(self, holder: str, unit: Unit, kind: AccountKind) -> str:
        [entry] = await self.write(
            c.OpenAccount(
                holder, unit, kind, max_balance=10**6, debt_limit=1_000, natural_key=holder
            )
        )
        assert entry.account is not None
        return entry.account.account_id

    def system_account(self, kind: AccountKind, unit: Unit) -> str:
        assert self.memory is not None
        accounts = self.memory.state.accounts.values()
        return next(item.account_id for item in accounts if (item.kind, item.unit) == (kind, unit))

    def checkpoint(self, seed: int = 1) -> str:
        """Signs the head as it is now."""
        assert self.memory is not None
        head = self.memory.head
        return sign_checkpoint(Checkpoint(ORIGIN, head.size, head.root), signer(seed))


def move(
    kind: EntryKind,
    unit: Unit,
    debit: str,
    credit: str,
    amount: int,
    expires_us: int = 0,
    **more: str,
) -> c.Post:
    """Moves an amount between two accounts."""
    credited = c.PostingDraft(credit, unit, amount)
    if expires_us:
        credited = credited._replace(expires_us=expires_us)
    return c.Post(kind, (c.PostingDraft(debit, unit, -amount), credited), **more)  # type: ignore[arg-type]  # texts only


async def write_history(writer: Writer) -> None:
    """Writes a history after which every table has rows."""
    await writer.create()
    alice = await writer.open_account("alice", POINTS, AccountKind.MEMBER)
    bob = await writer.open_account("bob", POINTS, AccountKind.MEMBER)
    shop = await writer.open_account("shop", POINTS, AccountKind.MERCHANT)
    carol = await writer.open_account("carol", TIME, AccountKind.MEMBER)
    dave = await writer.open_account("dave", TIME, AccountKind.MEMBER)
    await _issue(writer, alice, bob, shop, carol)
    await _hold_and_capture(writer, alice, shop, carol, dave)
    await _correct(writer, alice, bob, shop)
    await writer.write(*first_commands())
    await writer.write(*next_commands(writer.clock.now_us()))
    await _govern(writer)
    transfers = [
        move(
            EntryKind.TRANSFER, TIME, *((carol, dave) if number % 2 else (dave, carol)), 1
        )._replace(cause=f"visits/{number}")
        for number in range(1, TRANSFERS)
    ]
    await writer.write(*transfers)
    refused = await writer.outcomes([[move(EntryKind.TRANSFER, TIME, carol, dave, 10**5)]])
    assert refused[0].error is not None
    await writer.write(move(EntryKind.TRANSFER, TIME, carol, dave, 2, memo="谢谢"))


async def _issue(writer: Writer, alice: str, bob: str, shop: str, carol: str) -> None:
    points = writer.system_account(AccountKind.ISSUANCE, POINTS)
    hours = writer.system_account(AccountKind.ISSUANCE, TIME)
    soon, later = START_US + 2 * DAY_US, START_US + 400 * DAY_US
    opening = EntryKind.OPENING_BALANCE
    await writer.write(
        move(opening, POINTS, points, alice, 500, soon, natural_key="opening-1", memo="旧积分"),
        move(opening, POINTS, points, alice, 700, later, natural_key="opening-2"),
        move(opening, POINTS, points, bob, 40, later),
        move(opening, TIME, hours, carol, 6_000),
    )
    record = EntryKind.RECORD_POSTED
    mixed = (
        c.PostingDraft(points, POINTS, -30),
        c.PostingDraft(bob, POINTS, 30, later),
        c.PostingDraft(hours, TIME, -120),
        c.PostingDraft(carol, TIME, 120),
    )
    await writer.write(
        move(record, POINTS, points, alice, 60, later, cause="records/1"),
        c.Post(record, mixed, effective_us=START_US - 90 * DAY_US, cause="records/2"),
        move(EntryKind.RECORD_CORRECTED, POINTS, bob, points, 5, cause="records/2"),
    )


async def _hold_and_capture(writer: Writer, alice: str, shop: str, carol: str, dave: str) -> None:
    expires_us = writer.clock.now_us() + DAY_US

    def till(amount: int) -> c.CreateHold:
        return c.CreateHold(alice, HoldKind.TILL, POINTS, amount, expires_us, cause="tills/3")

    def capture(hold_id: str, amount: int, *, final: bool) -> c.CaptureHold:
        return c.CaptureHold(hold_id, shop, amount, final, EntryKind.REDEMPTION)

    held = await writer.write(till(50), till(60), till(70), till(80))
    whole, part, voided, expired = (entry.hold_changes[0].hold_id for entry in held)
    await writer.write(
        capture(whole, 50, final=True), capture(part, 20, final=False), c.VoidHold(voided)
    )
    await writer.write(capture(part, 10, final=True))
    await writer.requests([[till(15), capture("-", 15, final=True)]], LEDGER_NO)
    # Three days later the last hold and the first lot are over.
    writer.clock.advance(seconds=3 * DAY_S)
    await writer.outcomes([[c.ExpireDue((alice,))]])
    assert writer.memory is not None
    assert expired not in writer.memory.state.holds
    service_us = writer.clock.now_us()
    await writer.write(
        c.CreateHold(carol, HoldKind.SERVICE, TIME, 90, service_us + DAY_US, service_us=service_us),
        c.CreateHold(alice, HoldKind.TILL, POINTS, 25, service_us + DAY_US),
        move(EntryKind.SERVICE_PAYMENT, TIME, carol, dave, 900),
    )


async def _correct(writer: Writer, alice: str, bob: str, shop: str) -> None:
    points = writer.system_account(AccountKind.ISSUANCE, POINTS)
    redeemed = await writer.write(
        move(EntryKind.REDEMPTION, POINTS, alice, shop, 33),
        move(EntryKind.REDEMPTION, POINTS, alice, shop, 44),
        move(EntryKind.OPENING_BALANCE, POINTS, points, bob, 100),
    )
    refunded, reversed_, issued = (entry.log_index for entry in redeemed)
    await writer.write(
        c.Refund(refunded, 11, memo="少一件"), c.Refund(refunded, 7), c.Reverse(reversed_)
    )
    # What was issued by mistake is spent already: taking it back leaves a debt.
    await writer.write(move(EntryKind.REDEMPTION, POINTS, bob, shop, 120))
    await writer.write(c.Reverse(issued, memo="重复录入"))


async def _govern(writer: Writer) -> None:
    erin = await writer.open_account("erin", TIME, AccountKind.MEMBER)
    frank = await writer.open_account("frank", TIME, AccountKind.MEMBER)
    await writer.write(
        c.ChangeAccount(EntryKind.ACCOUNT_FROZEN, erin),
        c.ChangeAccount(EntryKind.ACCOUNT_CLOSED, frank),
        c.RotateKey(signer(2).vkey),
        c.CloseOpening(),
    )
    await writer.write(c.SetLimits(erin, 0, 5_000, 60))
