"""Callers that keep paying while servers are hurt, and what must hold afterwards.

Owns the retry recipe (the same request id until there is an answer), the record of what was asked
and acknowledged, and the comparison of both with the log. Refuses: any failure that the recipe
does not repeat; it is kept in `failures` and fails the comparison.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import grpc
import grpc.aio

from ledger.audit.run import Kept, audit_database
from tests.support.commands import (
    ISSUANCE,
    MEMBER,
    MERCHANT,
    OPENING,
    POINTS,
    REDEMPTION,
    ZONE,
    new_id,
    opening,
    post,
)
from tests.support.keys import ORIGIN
from timebank.client import CheckpointView, LedgerClient, verify_checkpoint, verify_consistency
from timebank.config import DatabaseConfig
from timebank.errors import Reason, from_rpc_error
from timebank.ledger.v1 import command_pb2, ledger_pb2, ledger_service_pb2
from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

LEDGER_ID = "weihai"
LEDGER = f"ledgers/{LEDGER_ID}"
PURSE = 10_000_000
CALL_TIMEOUT_S = 30.0
GIVE_UP_S = 180.0
BACKOFF_S = 0.05
HEADS_PROVEN_MAX = 40
REPEATED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}
"""What the recipe repeats: a server that is away, a call whose time was up, and a call that reached
a server in the moment of its stop, which gRPC itself cancels before any code of ours sees it.
"""


def calls(channel: grpc.aio.Channel) -> "LedgerServiceAsyncStub":
    """The rpcs of the ledger over a channel."""
    return cast("LedgerServiceAsyncStub", LedgerServiceStub(channel))


@dataclass
class Bank:
    """A ledger with purses and one shop, and what was asked of it and acknowledged."""

    verifier_key: str
    purses: list[str] = field(default_factory=list)
    shop: str = ""
    asked: dict[str, ledger_service_pb2.PostEntryRequest] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    replayed: set[str] = field(default_factory=set)
    reasons: Counter[Reason] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    heads: list[CheckpointView] = field(default_factory=list)
    in_flight: int = 0
    on_answer: Callable[[], None] | None = None

    async def create(self, channel: grpc.aio.Channel, *, purses: int = 8) -> None:
        """Creates the ledger, the shop and purses with an opening balance each."""
        stub = calls(channel)
        described = ledger_pb2.Ledger(display_name="威海", time_zone=ZONE, log_origin=ORIGIN)
        creation = ledger_service_pb2.CreateLedgerRequest(
            ledger_id=LEDGER_ID, ledger=described, request_id=new_id()
        )
        await stub.CreateLedger(creation, timeout=CALL_TIMEOUT_S)
        listing = ledger_service_pb2.ListAccountsRequest(parent=LEDGER)
        system = {(one.kind, one.unit): one for one in (await stub.ListAccounts(listing)).accounts}
        source = system[ISSUANCE, POINTS].name
        self.shop = await self._open(stub, "shop", MERCHANT)
        for number in range(purses):
            purse = await self._open(stub, f"m-{number}", MEMBER)
            await stub.PostEntry(self.payment(post(OPENING, source, purse, PURSE)))
            self.purses.append(purse)

    async def _open(self, stub: "LedgerServiceAsyncStub", holder: str, kind: int) -> str:
        request = ledger_service_pb2.CreateAccountRequest(
            parent=LEDGER, request_id=new_id(), open_account=opening(holder, kind=kind)
        )
        return (await stub.CreateAccount(request)).name

    def payment(
        self, movement: command_pb2.PostCommand | None = None
    ) -> ledger_service_pb2.PostEntryRequest:
        """A request of its own id; by default a purse pays the shop something."""
        made = movement or post(
            REDEMPTION, random.choice(self.purses), self.shop, random.randint(1, 50)
        )
        return ledger_service_pb2.PostEntryRequest(parent=LEDGER, request_id=new_id(), post=made)

    async def call(
        self, stub: "LedgerServiceAsyncStub", request: ledger_service_pb2.PostEntryRequest
    ) -> ledger_service_pb2.CommandResponse:
        """Asks once and notes the answer; AioRpcError without one."""
        self.asked[request.request_id] = request
        self.in_flight += 1
        try:
            answer = await stub.PostEntry(request, timeout=CALL_TIMEOUT_S, wait_for_ready=True)
        finally:
            self.in_flight -= 1
        self.acknowledged[request.request_id] = answer.result.index
        if answer.replayed:
            self.replayed.add(request.request_id)
        if not self.heads or answer.result.index >= self.heads[-1].size:
            self.heads.append(verify_checkpoint(answer.checkpoint, self.verifier_key))
        if self.on_answer is not None:
            self.on_answer()
        return answer

    async def insist(
        self, stub: "LedgerServiceAsyncStub", request: ledger_service_pb2.PostEntryRequest
    ) -> ledger_service_pb2.CommandResponse:
        """Asks with the same request id until there is an answer."""
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                try:
                    return await self.call(stub, request)
                except grpc.aio.AioRpcError as error:
                    refusal = from_rpc_error(error)
                    if error.code() not in REPEATED:
                        self.failures.append(f"{error.code()}: {error.details()}")
                        raise
                    self.broken.add(request.request_id)
                    self.codes[error.code().name] += 1
                    if "code" not in refusal.metadata:
                        self.reasons[refusal.reason] += 1
                    await elapse(BACKOFF_S)

    async def audited(self, url: str, *addresses: str) -> None:
        """Compares the log with what was asked and acknowledged, and audits the database."""
        assert not self.failures, self.failures[:5]
        entries = []
        async with LedgerClient.connect(addresses[0], ledger=LEDGER_ID) as client:
            async with aclosing(client.list_entries(oldest_first=True, page_size=1_000)) as listed:  # type: ignore[type-var]  # it is a generator
                async for entry in listed:
                    entries.append(entry)
            assert [entry.index for entry in entries] == list(range(len(entries)))
            times = [entry.recorded_time for entry in entries]
            assert all(one < other for one, other in pairwise(times))
            written = Counter(entry.request_id for entry in entries if entry.request_id)
            indexes = {entry.request_id: entry.index for entry in entries}
            doubled = [name for name, count in written.items() if count > 1]
            assert not doubled, doubled
            got = {name: indexes.get(name) for name in self.acknowledged}
            assert got == self.acknowledged
            paid = {name for name in self.asked if name in written}
            await self._sums_agree(client, (self.asked[name] for name in paid))
        for address in addresses:
            await self._heads_agree(address)
        kept = Kept(self.heads[-1].note, (self.verifier_key,))
        report = await audit_database(DatabaseConfig(url=url), kept=kept)
        assert report.difference is None, report.difference

    async def _sums_agree(
        self, client: LedgerClient, paid: Iterable[ledger_service_pb2.PostEntryRequest]
    ) -> None:
        sums = Counter(dict.fromkeys(self.purses, PURSE)) + Counter({self.shop: 0})
        for request in paid:
            for leg in request.post.postings:
                sums[leg.account] += leg.amount
        accounts = [*self.purses, self.shop]
        found = {account: (await client.get_balance(account)).posted for account in accounts}
        assert found == {account: sums[account] for account in accounts}

    async def _heads_agree(self, address: str) -> None:
        """Every checkpoint that anybody saw is the beginning of the log that is shown now."""
        async with LedgerClient.connect(address, ledger=LEDGER_ID) as client:
            now = verify_checkpoint((await client.checkpoint()).note, self.verifier_key)
            seen = {head.size: head for head in self.heads}
            for head in list(seen.values())[-HEADS_PROVEN_MAX:]:
                proof = await client.consistency_proof(head.size, second_size=now.size)
                verify_consistency(proof, first=head, second=now)


class Crowd:
    """Callers that pay without a pause until they are told to stop; leaving waits for the last."""

    def __init__(self, bank: Bank, channels: list[grpc.aio.Channel], *, callers: int) -> None:
        self._bank = bank
        self._channels = channels
        self._callers = callers
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Crowd":
        stubs = [calls(channel) for channel in self._channels]
        self._tasks = [
            asyncio.create_task(self._pay(stubs[number % len(stubs)]))
            for number in range(self._callers)
        ]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stopping = True
        if error[0] is not None:
            for task in self._tasks:
                task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        if error[0] is None:
            assert not [outcome for outcome in outcomes if outcome is not None], (
                outcomes,
                self._bank.failures,
            )

    async def _pay(self, stub: "LedgerServiceAsyncStub") -> None:
        while not self._stopping:
            await self._bank.insist(stub, self._bank.payment())

    async def answered(self, count: int) -> None:
        """Returns when so many more calls were answered, from whichever server."""
        enough = asyncio.Event()
        left = count

        def count_down() -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                enough.set()

        self._bank.on_answer = count_down
        await self._until(enough)
        self._bank.on_answer = None

    async def hurt(self, act: Callable[[], None], *, after: int) -> int:
        """Acts in the moment of the `after`-th answer and gives how many calls were in flight.

        The others of its batch are committed then, and their answers are on the way.
        """
        done = asyncio.Event()
        left, in_flight = after, 0

        def strike() -> None:
            nonlocal left, in_flight
            left -= 1
            if left <= 0 and not done.is_set():
                in_flight = self._bank.in_flight
                act()
                done.set()

        self._bank.on_answer = strike
        await self._until(done)
        self._bank.on_answer = None
        return in_flight

    async def _until(self, event: asyncio.Event) -> None:
        waiting = asyncio.create_task(event.wait())
        try:
            async with asyncio.timeout(GIVE_UP_S):
                await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            assert event.is_set(), f"a caller ended early: {self._bank.failures[:5]}"
        finally:
            waiting.cancel()


async def elapse(seconds: float) -> None:
    """The pause of the retry recipe, between a refusal and the next attempt."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)
