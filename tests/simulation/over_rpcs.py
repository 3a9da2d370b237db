"""A simulated ledger behind its rpcs: a real server on a database, which may be restarted.

Owns the translation of what is asked into messages and of answers into replies.
"""

import asyncio
import pathlib
from collections.abc import Sequence
from typing import Any, cast

import grpc.aio
import structlog

import ledger.service
from ledger.usecases.ledgers import Ledgers
from ledger.usecases.sweeper import Sweeper
from tests.simulation import asked as q
from tests.simulation import moves as rules
from tests.simulation.reference import Reference
from tests.support.builders_server import server_config
from tests.support.commands import START_US, at, us
from tests.support.keys import ORIGIN, make_key
from tests.support.ledgers import FAR_CLOCKS, LedgerWorld
from timebank.clock import ManualClock
from timebank.errors import from_rpc_error, from_status
from timebank.ledger.v1 import account_pb2, command_pb2, ledger_service_pb2
from timebank.server import ServerProcess, open_server


class HandSweeper(Sweeper):
    """The product's sweeper, whose rounds the test asks for; the last one made is `latest`."""

    latest: "HandSweeper"

    def __init__(self, ledgers: Ledgers, *, interval_s: float) -> None:
        super().__init__(ledgers, interval_s=interval_s)
        HandSweeper.latest = self

    async def run(self) -> None:
        """Waits to be stopped."""
        await asyncio.Event().wait()


class RpcLedger:
    """A ledger served in this event loop; `world` has its rpcs."""

    def __init__(self, folder: pathlib.Path, url: str, *, accounts_cached_max: int) -> None:
        self.clock = ManualClock(START_US)
        self._folder, self._url = folder, url
        self._settings = FAR_CLOCKS | {"accounts_cached_max": accounts_cached_max}
        self.world: LedgerWorld
        self._process: ServerProcess
        self._channel: grpc.aio.Channel
        self._vkey = make_key(folder, ORIGIN)

    async def create(self) -> list[tuple[str, int, int]]:
        """Serves a new ledger and gives (name, kind, unit) of the accounts it has at once."""
        await self._serve()
        await self.world.stub.CreateLedger(self.world.creation())
        request = ledger_service_pb2.ListAccountsRequest(parent=self.world.name)
        found = (await self.world.stub.ListAccounts(request)).accounts
        return [(account.name, account.kind, account.unit) for account in found]

    async def _serve(self) -> None:
        values: dict[str, Any] = {"database": {"url": self._url}, "ledger": self._settings}
        self._process = await open_server(
            server_config(self._folder, values),
            [ledger.service.register],
            clock=self.clock,
            logger=structlog.get_logger("test"),
            http=False,
        )
        address = f"127.0.0.1:{self._process.grpc_port}"
        self._channel = grpc.aio.insecure_channel(address)
        self.world = LedgerWorld(self._process, self.clock, self._channel, self._vkey, self._url)

    async def stop(self) -> None:
        """Ends the server."""
        await self._channel.close()
        await self._process.stop(0)

    async def restart(self) -> None:
        """Ends the server and serves the same database anew: nothing stays in memory."""
        await self.stop()
        await self._serve()

    async def sweep(self) -> int:
        """Has the sweeper enter what is due and gives the number of accounts it touched."""
        return await HandSweeper.latest.sweep()

    async def carry_out(self, request: q.Request, model: Reference) -> q.Reply:
        """Asks by the rpc that is made for the command, or by Execute for a chain."""
        try:
            return await self._asked(request, model)
        except grpc.aio.AioRpcError as refused:
            error = from_rpc_error(refused)
            assert "code" not in error.metadata, f"not one of our refusals: {error}"
            return q.Reply(error.reason.value)

    async def carry_out_together(
        self, requests: Sequence[q.Request], model: Reference
    ) -> list[q.Reply]:
        """Asks by BatchExecute, in one batch."""
        items = [
            command_pb2.BatchItem(
                request_id=request.request_id,
                commands=[command_message(item, model) for item in request.commands],
            )
            for request in requests
        ]
        message = ledger_service_pb2.BatchExecuteRequest(parent=self.world.name, items=items)
        answer = await self.world.stub.BatchExecute(message)
        return [
            q.Reply(from_status(result.error).reason.value)
            if result.HasField("error")
            else _chain_reply(result.ok)
            for result in answer.results
        ]

    async def _asked(self, request: q.Request, model: Reference) -> q.Reply:
        command = request.commands[0]
        stub = self.world.stub
        if isinstance(command, q.Change | q.Limits):
            account = await self._change(request.request_id, command, model)
            return q.Reply(results=(q.Result(account=account.name),))
        if isinstance(command, q.CloseOpening):
            close = ledger_service_pb2.CloseOpeningRequest(
                name=self.world.name, request_id=request.request_id
            )
            await stub.CloseOpening(close)
            return q.Reply(results=(q.Result(),))
        if len(request.commands) > 1 or request.request_id.endswith("e"):
            message = ledger_service_pb2.ExecuteRequest(
                parent=self.world.name,
                request_id=request.request_id,
                commands=[command_message(item, model) for item in request.commands],
            )
            return _chain_reply((await stub.Execute(message)).chain)
        name, field, method = _METHODS[type(command)]
        made = getattr(ledger_service_pb2, name)(
            parent=self.world.name,
            request_id=request.request_id,
            **{field: getattr(command_message(command, model), field)},
        )
        answer = await getattr(stub, method)(made)
        if isinstance(answer, account_pb2.Account):
            return q.Reply(results=(q.Result(account=answer.name),))
        return q.Reply(results=(_result(answer.result),), replayed=answer.replayed)

    async def _change(
        self, request_id: str, command: q.Change | q.Limits, model: Reference
    ) -> account_pb2.Account:
        name = account_name(command.account, model)
        etag = "" if command.etag < 0 else str(command.etag)
        if isinstance(command, q.Limits):
            limits = ledger_service_pb2.SetAccountLimitsRequest(
                name=name,
                request_id=request_id,
                etag=etag,
                min_balance=command.minimum,
                max_balance=command.maximum,
                debt_limit=command.debt_limit,
            )
            return await self.world.stub.SetAccountLimits(limits)
        verb = {rules.FROZEN: "Freeze", rules.UNFROZEN: "Unfreeze", rules.CLOSED: "Close"}
        method = f"{verb[command.kind]}Account"
        made = getattr(ledger_service_pb2, f"{method}Request")(
            name=name, request_id=request_id, etag=etag
        )
        return cast(account_pb2.Account, await getattr(self.world.stub, method)(made))


_METHODS = {
    q.Post: ("PostEntryRequest", "post", "PostEntry"),
    q.Open: ("CreateAccountRequest", "open_account", "CreateAccount"),
    q.Hold: ("CreateHoldRequest", "create_hold", "CreateHold"),
    q.Capture: ("CaptureHoldRequest", "capture_hold", "CaptureHold"),
    q.Void: ("VoidHoldRequest", "void_hold", "VoidHold"),
    q.Reverse: ("ReverseEntryRequest", "reverse", "ReverseEntry"),
    q.Refund: ("RefundEntryRequest", "refund", "RefundEntry"),
}


def account_name(number: int, model: Reference) -> str:
    """The resource name of an account by its number."""
    account = model.books.accounts.get(number)
    return account.name if account is not None else f"ledgers/weihai/accounts/nobody{number}"


def _hold_name(number: int, model: Reference) -> str:
    hold = model.books.holds.get(number)
    if hold is not None:
        return hold.name
    return f"ledgers/weihai/holds/{'-' if number == q.LAST_HOLD else 'nothing'}"


def _result(message: command_pb2.CommandResult) -> q.Result:
    return q.Result(message.index, us(message.recorded_time), message.hold, message.account)


def _chain_reply(chain: command_pb2.ChainResult) -> q.Reply:
    return q.Reply(results=tuple(_result(item) for item in chain.results), replayed=chain.replayed)


def _time(time_us: int) -> Any:
    return at(time_us) if time_us else None


def command_message(command: q.Command, model: Reference) -> command_pb2.Command:
    """Writes a command with the names that the server gave."""
    fields: dict[str, Any] = {}
    match command:
        case q.Post():
            legs = [
                command_pb2.PostingDraft(
                    account=account_name(leg.account, model),
                    unit=cast(Any, leg.unit),
                    amount=leg.amount,
                    expire_time=_time(leg.expires_us),
                )
                for leg in command.legs
            ]
            fields["post"] = command_pb2.PostCommand(
                kind=cast(Any, command.kind),
                postings=legs,
                effective_time=_time(command.effective_us),
                natural_key=command.natural_key,
                memo=command.memo,
            )
        case q.Open():
            account = account_pb2.Account(
                holder="somebody",
                unit=cast(Any, command.unit),
                kind=cast(Any, command.kind),
                min_balance=command.minimum,
                max_balance=command.maximum,
                debt_limit=command.debt_limit,
            )
            fields["open_account"] = command_pb2.OpenAccountCommand(
                account=account, natural_key=command.natural_key
            )
        case _:
            fields |= _other_command(command, model)
    return command_pb2.Command(**fields)


def _other_command(command: q.Command, model: Reference) -> dict[str, Any]:
    match command:
        case q.Hold():
            made = command_pb2.CreateHoldCommand(
                account=account_name(command.account, model),
                kind=cast(Any, command.kind),
                unit=cast(Any, command.unit),
                amount=command.amount,
                expire_time=_time(command.expires_us),
                service_time=_time(command.service_us),
                natural_key=command.natural_key,
            )
            return {"create_hold": made}
        case q.Capture():
            capture = command_pb2.CaptureHoldCommand(
                hold=_hold_name(command.hold, model),
                to_account=account_name(command.to_account, model),
                amount=command.amount,
                final=command.final,
                entry_kind=cast(Any, command.kind),
                expire_time=_time(command.expires_us),
                natural_key=command.natural_key,
            )
            return {"capture_hold": capture}
        case q.Void():
            return {"void_hold": command_pb2.VoidHoldCommand(hold=_hold_name(command.hold, model))}
        case q.Reverse():
            entry = f"ledgers/weihai/entries/{command.entry}"
            return {"reverse": command_pb2.ReverseCommand(entry=entry, memo=command.memo)}
        case q.Refund():
            refund = command_pb2.RefundCommand(
                entry=f"ledgers/weihai/entries/{command.entry}",
                amount=command.amount,
                natural_key=command.natural_key,
                memo=command.memo,
            )
            return {"refund": refund}
        case _:
            raise TypeError(f"no message for {command}")
