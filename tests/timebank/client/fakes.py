"""A ledger server in a few lines: it implements the real contract over a real socket.

It writes what it is asked into a list, and answers, waits or fails as a test tells it to.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from timebank.client import Repetition
from timebank.errors import Reason, TimebankError, status_proto
from timebank.ledger.v1 import account_pb2, command_pb2, ledger_pb2, log_service_pb2
from timebank.ledger.v1 import ledger_service_pb2 as service_pb2
from timebank.ledger.v1.ledger_service_pb2_grpc import (
    LedgerServiceServicer,
    add_LedgerServiceServicer_to_server,
)
from timebank.ledger.v1.log_service_pb2_grpc import (
    LogServiceServicer,
    add_LogServiceServicer_to_server,
)

LEDGER = "weihai"
PARENT = f"ledgers/{LEDGER}"
RECORDED_S = 1_764_000_000
Context = grpc.aio.ServicerContext[Any, Any]
Failure = grpc.StatusCode | TimebankError


class FakeLedger(LedgerServiceServicer, LogServiceServicer):
    """Answers every item with the next entry; `declines` maps request ids to refusals."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.failures: list[Failure] = []
        self.declines: dict[str, TimebankError] = {}
        self.poison: set[str] = set()
        self.answered: dict[str, int] = {}
        self.open_gate = asyncio.Event()
        self.open_gate.set()
        self.arrived = asyncio.Semaphore(0)
        self.under_way = 0
        self.under_way_max = 0
        self.streams: list[list[service_pb2.WatchEntriesResponse | Failure]] = []
        self.accounts: list[account_pb2.Account] = []
        self.entries: list[service_pb2.LoggedEntry] = []
        self.checkpoint = log_service_pb2.Checkpoint()
        self.receipt_text = "receipt"

    async def _receive(self, request: Any, context: Context) -> None:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata() or ()))
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        self.arrived.release()
        try:
            await self.open_gate.wait()
        finally:
            self.under_way -= 1
        if self.failures:
            await fail(context, self.failures.pop(0))

    def _chain(self, item: command_pb2.BatchItem) -> command_pb2.BatchItemResult:
        if item.request_id in self.declines:
            return command_pb2.BatchItemResult(error=status_proto(self.declines[item.request_id]))
        replayed = item.request_id in self.answered
        index = self.answered.setdefault(item.request_id, len(self.answered))
        results = [self._result(index + at) for at in range(len(item.commands))]
        return command_pb2.BatchItemResult(
            ok=command_pb2.ChainResult(results=results, replayed=replayed)
        )

    @staticmethod
    def _result(index: int) -> command_pb2.CommandResult:
        result = command_pb2.CommandResult(entry=f"{PARENT}/entries/{index}", index=index)
        result.recorded_time.seconds = RECORDED_S
        return result

    async def BatchExecute(  # the contract's name
        self, request: service_pb2.BatchExecuteRequest, context: Context
    ) -> service_pb2.BatchExecuteResponse:
        await self._receive(request, context)
        if any(item.request_id in self.poison for item in request.items):
            await fail(context, TimebankError(Reason.VALIDATION_FAILED, "an item is malformed"))
        return service_pb2.BatchExecuteResponse(
            results=[self._chain(item) for item in request.items], checkpoint="note"
        )

    async def PostEntry(
        self, request: service_pb2.PostEntryRequest, context: Context
    ) -> service_pb2.CommandResponse:
        await self._receive(request, context)
        return service_pb2.CommandResponse(
            result=self._result(7), checkpoint="note", receipt=self.receipt_text
        )

    async def Execute(
        self, request: service_pb2.ExecuteRequest, context: Context
    ) -> service_pb2.ExecuteResponse:
        await self._receive(request, context)
        results = [self._result(index) for index in range(len(request.commands))]
        return service_pb2.ExecuteResponse(
            chain=command_pb2.ChainResult(results=results),
            receipts=[self.receipt_text for _ in results],
        )

    async def GetLedger(
        self, request: service_pb2.GetLedgerRequest, context: Context
    ) -> ledger_pb2.Ledger:
        await self._receive(request, context)
        return ledger_pb2.Ledger(name=request.name, display_name="威海时间银行")

    async def CreateAccount(
        self, request: service_pb2.CreateAccountRequest, context: Context
    ) -> account_pb2.Account:
        await self._receive(request, context)
        account = account_pb2.Account()
        account.CopyFrom(request.open_account.account)
        account.name = f"{PARENT}/accounts/a"
        return account

    async def GetBalance(
        self, request: service_pb2.GetBalanceRequest, context: Context
    ) -> account_pb2.Balance:
        await self._receive(request, context)
        return account_pb2.Balance(account=request.name, unit=ledger_pb2.UNIT_POINTS, posted=5)

    async def ListAccounts(
        self, request: service_pb2.ListAccountsRequest, context: Context
    ) -> service_pb2.ListAccountsResponse:
        await self._receive(request, context)
        start = int(request.page_token or 0)
        end = start + request.page_size
        return service_pb2.ListAccountsResponse(
            accounts=self.accounts[start:end],
            next_page_token=str(end) if end < len(self.accounts) else "",
        )

    async def WatchEntries(
        self, request: service_pb2.WatchEntriesRequest, context: Context
    ) -> AsyncIterator[service_pb2.WatchEntriesResponse]:
        stream = self.streams.pop(0)
        await self._receive(request, context)
        for message in stream:
            if isinstance(message, service_pb2.WatchEntriesResponse):
                yield message
            else:
                await fail(context, message)

    async def GetCheckpoint(
        self, request: log_service_pb2.GetCheckpointRequest, context: Context
    ) -> log_service_pb2.Checkpoint:
        await self._receive(request, context)
        return self.checkpoint

    async def GetReceipt(
        self, request: log_service_pb2.GetReceiptRequest, context: Context
    ) -> log_service_pb2.Receipt:
        await self._receive(request, context)
        return log_service_pb2.Receipt(proof=self.receipt_text)


async def fail(context: Context, failure: Failure) -> None:
    """Ends a call: with our details, or with a bare status as a proxy would."""
    if isinstance(failure, grpc.StatusCode):
        await context.abort(failure, "as the test says")
    assert isinstance(failure, TimebankError)
    details = status_proto(failure).SerializeToString()
    await context.abort(failure.code, failure.message, (("grpc-status-details-bin", details),))


class Pauses:
    """Stands in for sleeping: pauses are noted, take no time, and `then` happens during each."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.then: Callable[[], None] | None = None

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if self.then is not None:
            self.then()


@asynccontextmanager
async def served(fake: FakeLedger) -> AsyncIterator[str]:
    """Serves the fake on a loopback port and gives its address."""
    server = grpc.aio.server()
    add_LedgerServiceServicer_to_server(fake, server)
    add_LogServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def patient(pauses: Pauses, *, attempts_max: int = 5) -> Repetition:
    """Gives a repetition whose pauses take no time."""
    return Repetition(attempts_max=attempts_max, sleep=pauses)
