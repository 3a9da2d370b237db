"""The city that the benchmark posts in: members with points in lots that expire, and merchants.

Owns: opening the accounts and their balances, through the same BatchExecute as everybody.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from timebank.client import (
    AccountKind,
    Chain,
    ChainResult,
    Command,
    EntryKind,
    LedgerClient,
    OpenAccount,
    Post,
    Unit,
    move,
)
from timebank.errors import TimebankError

LEDGER = "bench"
MEMBERS = 10_000
MERCHANTS = 16
OPENING_POINTS = 1_000_000_000
LOT_YEARS = (1, 2, 3)
"""Members' lots expire after so many years: each member has one of them."""
CHUNK_ITEMS = 2_000
CALL_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class City:
    """A ledger and the names of its accounts of POINTS."""

    ledger: str
    members: tuple[str, ...]
    merchants: tuple[str, ...]


async def build_city(
    address: str,
    origin: str,
    step: Callable[[int, int], None],
    *,
    ledger: str = LEDGER,
    members_count: int | None = None,
) -> City:
    """Creates the ledger with its accounts and balances; `step` hears (done, of all) on the way.

    Raises TimebankError: whatever the server refuses.
    """
    members_count = MEMBERS if members_count is None else members_count
    counts = ((AccountKind.MEMBER, members_count), (AccountKind.MERCHANT, MERCHANTS))
    async with LedgerClient.connect(address, ledger=ledger, timeout_s=CALL_TIMEOUT_S) as client:
        await client.create_ledger(display_name="Benchmark 基准测试", log_origin=origin)
        openings: list[Command] = [
            OpenAccount(
                holder=f"{kind.lower()}-{number}",
                unit=Unit.POINTS,
                kind=kind,
            )
            for kind, count in counts
            for number in range(count)
        ]
        total = len(openings) + members_count
        names: list[str] = []
        async for results in in_chunks(client, openings):
            names += [result.results[0].account or "" for result in results]
            step(len(names), total)
        members, merchants = tuple(names[:members_count]), tuple(names[members_count:])
        done = len(names)
        async for results in in_chunks(client, await _balances(client, members)):
            done += len(results)
            step(done, total)
    return City(ledger, members, merchants)


async def _balances(client: LedgerClient, members: Sequence[str]) -> list[Command]:
    issuances = client.list_accounts(kind=AccountKind.ISSUANCE, unit=Unit.POINTS)
    issuance = await anext(issuances)
    now = datetime.now(UTC)
    expiries = [now + timedelta(days=366 * years) for years in LOT_YEARS]
    return [
        Post(
            kind=EntryKind.OPENING_BALANCE,
            postings=move(
                debit=issuance.name,
                credit=member,
                unit=Unit.POINTS,
                amount=OPENING_POINTS,
                expire_time=expiries[number % len(expiries)],
            ),
        )
        for number, member in enumerate(members)
    ]


async def in_chunks(
    client: LedgerClient, commands: Sequence[Command]
) -> AsyncIterator[list[ChainResult]]:
    """Carries out commands, a chunk a call; the first refusal is raised."""
    for start in range(0, len(commands), CHUNK_ITEMS):
        chunk = commands[start : start + CHUNK_ITEMS]
        outcomes = await client.batch_execute([Chain(commands=[command]) for command in chunk])
        results = []
        for outcome in outcomes:
            if isinstance(outcome, TimebankError):
                raise outcome
            results.append(outcome)
        yield results
