"""The methods that write: movements, holds, corrections, chains and batches.

Owns: which of them travel together (see `timebank.client.batches`) and which alone.
Rules: a request without `receipt=True` joins the batch of its neighbours; one with it travels
alone, because only the unary methods make receipts. `request_id` is made when it is not given; give
the same one again to learn the outcome of a request whose answer was lost.
"""

from collections.abc import Sequence
from datetime import datetime

from timebank.client.alone import send_alone
from timebank.client.answers import (
    chain_from_wire,
    command_response_from_wire,
    item_from_wire,
)
from timebank.client.commands import (
    CaptureHold,
    Chain,
    Command,
    CreateHold,
    Leg,
    Post,
    Refund,
    Reverse,
    VoidHold,
)
from timebank.client.kinds import EntryKind, HoldKind
from timebank.client.requests import item_to_wire
from timebank.client.session import Session
from timebank.client.views import ChainResult, PostResult
from timebank.errors import TimebankError
from timebank.ledger.v1 import ledger_service_pb2 as service_pb2
from timebank.units import Unit


class Movements(Session):
    """Writing to the ledger."""

    async def post(
        self,
        *,
        kind: EntryKind,
        postings: Sequence[Leg],
        effective_time: datetime | None = None,
        natural_key: str = "",
        cause: str = "",
        policy_version: str = "",
        memo: str = "",
        request_id: str = "",
        receipt: bool = False,
    ) -> PostResult:
        """Posts one movement; `move()` makes the postings of the usual one.

        Raises TimebankError: see PostEntry in the contract for the reasons and their order.
        """
        command = Post(
            kind=kind,
            postings=postings,
            effective_time=effective_time,
            natural_key=natural_key,
            cause=cause,
            policy_version=policy_version,
            memo=memo,
        )

        return await self._command(command, request_id, receipt=receipt)

    async def reverse(
        self, entry: str | int, *, memo: str = "", request_id: str = "", receipt: bool = False
    ) -> PostResult:
        """Undoes an entry, given by index or name, once.

        Raises TimebankError: see ReverseEntry in the contract.
        """
        command = Reverse(entry=entry, memo=memo)
        return await self._command(command, request_id, receipt=receipt)

    async def refund(
        self,
        entry: str | int,
        *,
        amount: int,
        natural_key: str = "",
        memo: str = "",
        request_id: str = "",
        receipt: bool = False,
    ) -> PostResult:
        """Gives part or all of an entry, given by index or name, back into its lots.

        Raises TimebankError: see RefundEntry in the contract.
        """
        command = Refund(entry=entry, amount=amount, natural_key=natural_key, memo=memo)
        return await self._command(command, request_id, receipt=receipt)

    async def create_hold(
        self,
        *,
        account: str,
        kind: HoldKind,
        unit: Unit,
        amount: int,
        expire_time: datetime,
        service_time: datetime | None = None,
        cause: str = "",
        natural_key: str = "",
        request_id: str = "",
        receipt: bool = False,
    ) -> PostResult:
        """Reserves an amount on an account; the result names the hold.

        Raises TimebankError: see CreateHold in the contract.
        """
        command = CreateHold(
            account=account,
            kind=kind,
            unit=unit,
            amount=amount,
            expire_time=expire_time,
            service_time=service_time,
            cause=cause,
            natural_key=natural_key,
        )

        return await self._command(command, request_id, receipt=receipt)

    async def capture_hold(
        self,
        hold: str,
        *,
        to_account: str,
        amount: int,
        entry_kind: EntryKind,
        final: bool = False,
        expire_time: datetime | None = None,
        cause: str = "",
        natural_key: str = "",
        request_id: str = "",
        receipt: bool = False,
    ) -> PostResult:
        """Pays part or all of a hold to an account; `final` releases the rest.

        Raises TimebankError: see CaptureHold in the contract.
        """
        command = CaptureHold(
            hold=hold,
            to_account=to_account,
            amount=amount,
            entry_kind=entry_kind,
            final=final,
            expire_time=expire_time,
            cause=cause,
            natural_key=natural_key,
        )

        return await self._command(command, request_id, receipt=receipt)

    async def void_hold(
        self, hold: str, *, request_id: str = "", receipt: bool = False
    ) -> PostResult:
        """Releases what a hold still reserves.

        Raises TimebankError: see VoidHold in the contract.
        """
        return await self._command(VoidHold(hold=hold), request_id, receipt=receipt)

    async def execute(
        self, commands: Sequence[Command], *, request_id: str = "", receipt: bool = False
    ) -> ChainResult:
        """Carries out a chain of 1 to 64 commands: all succeed or none.

        Raises TimebankError: that of the first command that fails, or LINKED_ITEM_FAILED.
        """
        item = item_to_wire(commands, self._names, request_id)
        if not receipt:
            return await self._batches().execute(item)
        request = service_pb2.ExecuteRequest(
            parent=self.ledger, request_id=item.request_id, commands=item.commands, receipt=True
        )
        response = await self._call(self._ledger_stub.Execute, request)
        return chain_from_wire(
            response.chain, checkpoint=response.checkpoint, receipts=tuple(response.receipts)
        )

    async def batch_execute(
        self, items: Sequence[Chain]
    ) -> tuple[ChainResult | TimebankError, ...]:
        """Carries out up to 8,000 chains in order in one call; each succeeds or fails by itself.

        Returns what each wrote or why it was refused. Raises TimebankError when the whole call is
        refused or fails; repeat it with the same request ids.
        """
        request = service_pb2.BatchExecuteRequest(
            parent=self.ledger,
            items=[item_to_wire(item.commands, self._names, item.request_id) for item in items],
        )
        response = await self._call(self._ledger_stub.BatchExecute, request)
        return tuple(
            item_from_wire(result, checkpoint=response.checkpoint) for result in response.results
        )

    async def _command(
        self, command: Command, request_id: str, *, receipt: bool = False
    ) -> PostResult:
        """Carries out one command: with its neighbours, or alone when it wants a receipt."""
        if receipt:
            item = item_to_wire([command], self._names, request_id)
            return command_response_from_wire(
                await send_alone(self._call, self._ledger_stub, self.ledger, item)
            )
        chain = await self.execute([command], request_id=request_id)
        only = chain.results[0]
        return PostResult(
            entry=only.entry,
            index=only.index,
            recorded_time=only.recorded_time,
            hold=only.hold,
            account=only.account,
            replayed=chain.replayed,
            checkpoint=chain.checkpoint,
            receipt=None,
        )
