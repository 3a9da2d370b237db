"""A running ledger for tests: the whole server in this event loop, one ledger in it, a clock to
move.

Owns the words in which tests ask: `world.post(...)`, `refused(...)`. Calls of the operator go over
the network; those of other principals over the local channel, which shares all interceptors.
"""

import itertools
import pathlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
import pytest
import structlog
from google.protobuf.timestamp_pb2 import Timestamp

import ledger.service
from tests.support.builders_server import server_config
from tests.support.commands import (
    ISSUANCE,
    MEMBER,
    OPENING,
    POINTS,
    START_US,
    ZONE,
    command,
    new_id,
    opening,
    post,
    us,
)
from tests.support.keys import ORIGIN, make_key
from timebank.auth import Principal, PrincipalKind
from timebank.clock import ManualClock
from timebank.errors import Reason, TimebankError, from_rpc_error
from timebank.ledger.v1 import (
    account_pb2,
    command_pb2,
    entry_pb2,
    hold_pb2,
    ledger_pb2,
    ledger_service_pb2,
    log_service_pb2,
)
from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from timebank.ledger.v1.log_service_pb2_grpc import LogServiceStub
from timebank.local_channels import LocalChannel
from timebank.server import ServerProcess, open_server
from timebank.server.process import Register

if TYPE_CHECKING:
    from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from timebank.ledger.v1.log_service_pb2_grpc import LogServiceAsyncStub

SERVICE_CALLER = Principal(PrincipalKind.SERVICE, "merchant")
FAR_CLOCKS = {"clock_skew_seconds": 2**31, "sweeper_seconds": 2**31}
"""A test's clock is far from PostgreSQL's, and only the test says when expiries are entered."""


@dataclass
class LedgerWorld:
    """A server with one ledger, and the accounts that every ledger has by kind and unit."""

    process: ServerProcess
    clock: ManualClock
    channel: grpc.aio.Channel
    verifier_key: str
    database_url: str
    name: str = "ledgers/weihai"

    def __post_init__(self) -> None:
        self.stub = cast("LedgerServiceAsyncStub", LedgerServiceStub(self.channel))
        self.log = cast("LogServiceAsyncStub", LogServiceStub(self.channel))
        self.system: dict[tuple[int, int], str] = {}
        self._holders = (f"m-{number}" for number in itertools.count(1))

    def calls_of(self, kind: PrincipalKind, name: str, **limits: Any) -> "LedgerServiceAsyncStub":
        """The rpcs as another principal calls them."""
        return self.calls_as(Principal(kind, name, **limits))

    def calls_as(self, principal: Principal) -> "LedgerServiceAsyncStub":
        """The rpcs as a principal calls them."""
        return cast("LedgerServiceAsyncStub", LedgerServiceStub(self.channel_of(principal)))

    def log_of(self, principal: Principal) -> "LogServiceAsyncStub":
        """The rpcs of the log as a principal calls them."""
        return cast("LogServiceAsyncStub", LogServiceStub(self.channel_of(principal)))

    def channel_of(self, principal: Principal) -> grpc.aio.Channel:
        """A channel on which a principal calls the ledger."""
        return LocalChannel(self.process.runtime.interceptors, principal)

    def creation(self, ledger_id: str = "weihai", **fields: Any) -> Any:
        """A valid request for a ledger."""
        values: dict[str, Any] = {
            "display_name": "威海时间银行",
            "time_zone": ZONE,
            "log_origin": ORIGIN,
        }
        ledger_ = ledger_pb2.Ledger(**(values | fields))
        return ledger_service_pb2.CreateLedgerRequest(
            ledger_id=ledger_id, ledger=ledger_, request_id=new_id()
        )

    async def create(self) -> None:
        """Creates the ledger and learns the names of its accounts."""
        await self.stub.CreateLedger(self.creation())
        request = ledger_service_pb2.ListAccountsRequest(parent=self.name)
        for account in (await self.stub.ListAccounts(request)).accounts:
            self.system[account.kind, account.unit] = account.name

    async def open(
        self,
        holder: str = "",
        unit: int = POINTS,
        kind: int = MEMBER,
        *,
        balance: int = 0,
        expires: Timestamp | None = None,
        **limits: Any,
    ) -> str:
        """Opens an account, with an opening balance when asked, and gives its name."""
        made = opening(holder or next(self._holders), unit, kind, **limits)
        account = await self.stub.CreateAccount(
            ledger_service_pb2.CreateAccountRequest(
                parent=self.name, request_id=new_id(), open_account=made
            )
        )
        if balance:
            await self.grant(account.name, balance, unit, expires=expires)
        return account.name

    async def grant(
        self, account: str, amount: int, unit: int = POINTS, *, expires: Timestamp | None = None
    ) -> ledger_service_pb2.CommandResponse:
        """Posts an opening balance."""
        source = self.system[ISSUANCE, unit]
        return await self.post(post(OPENING, source, account, amount, unit, expires=expires))

    async def post(
        self, movement: command_pb2.PostCommand, request_id: str = ""
    ) -> ledger_service_pb2.CommandResponse:
        """Posts a movement."""
        return await self.stub.PostEntry(self.post_request(movement, request_id))

    def post_request(
        self, movement: command_pb2.PostCommand, request_id: str = ""
    ) -> ledger_service_pb2.PostEntryRequest:
        """The request that posts a movement."""
        return ledger_service_pb2.PostEntryRequest(
            parent=self.name, request_id=request_id or new_id(), post=movement
        )

    async def hold(self, made: command_pb2.CreateHoldCommand) -> str:
        """Creates a hold and gives its name."""
        request = ledger_service_pb2.CreateHoldRequest(
            parent=self.name, request_id=new_id(), create_hold=made
        )
        return (await self.stub.CreateHold(request)).result.hold

    async def capture(
        self, made: command_pb2.CaptureHoldCommand
    ) -> ledger_service_pb2.CommandResponse:
        """Captures a hold."""
        request = ledger_service_pb2.CaptureHoldRequest(
            parent=self.name, request_id=new_id(), capture_hold=made
        )
        return await self.stub.CaptureHold(request)

    async def void(self, hold_name: str) -> ledger_service_pb2.CommandResponse:
        """Voids a hold."""
        made = command_pb2.VoidHoldCommand(hold=hold_name)
        request = ledger_service_pb2.VoidHoldRequest(
            parent=self.name, request_id=new_id(), void_hold=made
        )
        return await self.stub.VoidHold(request)

    async def reverse(self, entry: str, **fields: Any) -> ledger_service_pb2.CommandResponse:
        """Reverses an entry."""
        made = command_pb2.ReverseCommand(entry=entry, **fields)
        request = ledger_service_pb2.ReverseEntryRequest(
            parent=self.name, request_id=new_id(), reverse=made
        )
        return await self.stub.ReverseEntry(request)

    async def refund(
        self, entry: str, amount: int, **fields: Any
    ) -> ledger_service_pb2.CommandResponse:
        """Refunds part of an entry."""
        made = command_pb2.RefundCommand(entry=entry, amount=amount, **fields)
        request = ledger_service_pb2.RefundEntryRequest(
            parent=self.name, request_id=new_id(), refund=made
        )
        return await self.stub.RefundEntry(request)

    async def execute(
        self, *messages: Any, request_id: str = ""
    ) -> ledger_service_pb2.ExecuteResponse:
        """Carries out a chain."""
        request = ledger_service_pb2.ExecuteRequest(
            parent=self.name,
            request_id=request_id or new_id(),
            commands=[command(message) for message in messages],
        )
        return await self.stub.Execute(request)

    async def batch(
        self, chains: Sequence[Sequence[Any]]
    ) -> ledger_service_pb2.BatchExecuteResponse:
        """Carries out chains, each by itself."""
        items = [
            command_pb2.BatchItem(request_id=new_id(), commands=[command(one) for one in chain])
            for chain in chains
        ]
        request = ledger_service_pb2.BatchExecuteRequest(parent=self.name, items=items)
        return await self.stub.BatchExecute(request)

    async def freeze(self, account: str) -> account_pb2.Account:
        """Freezes an account."""
        request = ledger_service_pb2.FreezeAccountRequest(name=account, request_id=new_id())
        return await self.stub.FreezeAccount(request)

    async def unfreeze(self, account: str) -> account_pb2.Account:
        """Unfreezes an account."""
        request = ledger_service_pb2.UnfreezeAccountRequest(name=account, request_id=new_id())
        return await self.stub.UnfreezeAccount(request)

    async def close(self, account: str) -> account_pb2.Account:
        """Closes an account."""
        request = ledger_service_pb2.CloseAccountRequest(name=account, request_id=new_id())
        return await self.stub.CloseAccount(request)

    async def account(self, name: str) -> account_pb2.Account:
        """Reads an account."""
        return await self.stub.GetAccount(ledger_service_pb2.GetAccountRequest(name=name))

    async def balance(self, name: str, **as_of: Any) -> account_pb2.Balance:
        """Reads a balance."""
        return await self.stub.GetBalance(ledger_service_pb2.GetBalanceRequest(name=name, **as_of))

    async def lots(self, name: str) -> list[tuple[int, int, int]]:
        """Reads the lots of an account as (expiry or 0, remaining, reserved)."""
        found = await self.stub.ListLots(ledger_service_pb2.ListLotsRequest(parent=name))
        return [(us(lot.expire_time), lot.remaining, lot.reserved) for lot in found.lots]

    async def read_hold(self, name: str) -> hold_pb2.Hold:
        """Reads a hold."""
        return await self.stub.GetHold(ledger_service_pb2.GetHoldRequest(name=name))

    async def entry(self, index: int) -> entry_pb2.Entry:
        """Reads an entry."""
        request = ledger_service_pb2.GetEntryRequest(name=f"{self.name}/entries/{index}")
        return (await self.stub.GetEntry(request)).entry

    async def size(self) -> int:
        """Reads the size of the log."""
        request = log_service_pb2.GetCheckpointRequest(parent=self.name)
        return (await self.log.GetCheckpoint(request)).size


async def refusal(call: Awaitable[Any]) -> TimebankError:
    """Awaits a call that must be refused and gives the refusal."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc_error(refused.value)


async def refused(call: Awaitable[Any]) -> Reason:
    """Awaits a call that must be refused and gives the reason."""
    error = await refusal(call)
    assert "code" not in error.metadata, f"not one of our refusals: {error}"
    return error.reason


@asynccontextmanager
async def ledger_world(
    folder: pathlib.Path,
    database_url: str,
    *,
    settings: Mapping[str, Mapping[str, object]] | None = None,
    more_services: Sequence[Register] = (),
) -> AsyncIterator[LedgerWorld]:
    """Serves a ledger in this event loop until the block ends; `settings` win."""
    values: dict[str, Any] = {"database": {"url": database_url}, "ledger": dict(FAR_CLOCKS)}
    for section, rows in (settings or {}).items():
        values[section] = values.get(section, {}) | dict(rows)
    vkey = make_key(folder, ORIGIN)
    clock = ManualClock(START_US)
    process = await open_server(
        server_config(folder, values),
        [ledger.service.register, *more_services],
        clock=clock,
        logger=structlog.get_logger("test"),
        http=False,
    )
    try:
        address = f"127.0.0.1:{process.grpc_port}"
        async with grpc.aio.insecure_channel(address) as channel:
            world = LedgerWorld(process, clock, channel, vkey, database_url)
            await world.create()
            yield world
    finally:
        await process.stop(0)
