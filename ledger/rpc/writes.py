"""RPCs that change the ledger, each a chain of commands for its sequencer."""

from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from ledger.domain import commands as c
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.outcomes import Outcome
from ledger.names import child_from_name, invalid, ledger_id_from_name
from ledger.usecases.accounts import Accounts
from ledger.usecases.proofs import Proofs
from ledger.usecases.writes import Chain, Writes, Written
from ledger.wire import (
    CommandReader,
    account_to_wire,
    debt_limit_from_wire,
    etag_from_wire,
    result_to_wire,
)
from timebank.auth import current_call, current_principal
from timebank.errors import Reason, TimebankError, status_proto
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import account_pb2, command_pb2, ledger_service_pb2
from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceServicer

ITEMS_MAX = 8_000
POSTINGS_MAX = 32_000
Context = grpc.aio.ServicerContext[Any, Any]


class WriteRpcs(LedgerServiceServicer):
    """The mutations of LedgerService."""

    writes: Writes
    proofs: Proofs
    accounts: Accounts

    async def _command(
        self, reader: CommandReader, request_id: str, command: c.Command, receipt: bool
    ) -> ledger_service_pb2.CommandResponse:
        ledger_id = reader.ledger_id
        written = await self._written(ledger_id, request_id, (command,))
        response = ledger_service_pb2.CommandResponse(
            result=result_to_wire(ledger_id, written.entries[0]),
            replayed=written.replayed,
            checkpoint=written.answer.checkpoint,
        )
        if receipt:
            response.receipt = await self.proofs.receipt(ledger_id, written.entries[0].log_index)
        return response

    async def _written(
        self, ledger_id: str, request_id: str, commands: tuple[c.Command, ...]
    ) -> Written:
        chain = Chain(uuid_bytes(request_id), commands)
        return await self.writes.one(ledger_id, chain, current_call())

    async def PostEntry(
        self, request: ledger_service_pb2.PostEntryRequest, context: Context
    ) -> ledger_service_pb2.CommandResponse:
        """Posts one movement."""
        reader = _reader(request.parent)
        uuid_bytes(request.request_id)  # a bad id is told before an unbalanced movement
        command = reader.post_from_wire(request.post)
        return await self._command(reader, request.request_id, command, request.receipt)

    async def ReverseEntry(
        self, request: ledger_service_pb2.ReverseEntryRequest, context: Context
    ) -> ledger_service_pb2.CommandResponse:
        """Undoes an entry."""
        reader = _reader(request.parent)
        command = reader.reverse_from_wire(request.reverse)
        return await self._command(reader, request.request_id, command, request.receipt)

    async def RefundEntry(
        self, request: ledger_service_pb2.RefundEntryRequest, context: Context
    ) -> ledger_service_pb2.CommandResponse:
        """Gives part or all of an entry back."""
        reader = _reader(request.parent)
        command = reader.refund_from_wire(request.refund)
        return await self._command(reader, request.request_id, command, request.receipt)

    async def CreateHold(
        self, request: ledger_service_pb2.CreateHoldRequest, context: Context
    ) -> ledger_service_pb2.CommandResponse:
        """Reserves an amount."""
        reader = _reader(request.parent)
        command = reader.create_hold_from_wire(request.create_hold)
        return await self._command(reader, request.request_id, command, request.receipt)

    async def CaptureHold(
        self, request: ledger_service_pb2.CaptureHoldRequest, context: Context
    ) -> ledger_service_pb2.CommandResponse:
        """Pays out of a hold."""
        reader = _reader(request.parent)
        command = reader.capture_hold_from_wire(request.capture_hold)
        return await self._command(reader, request.request_id, command, request.receipt)

    async def VoidHold(
        self, request: ledger_service_pb2.VoidHoldRequest, context: Context
    ) -> ledger_service_pb2.CommandResponse:
        """Releases a hold."""
        reader = _reader(request.parent)
        command = reader.void_hold_from_wire(request.void_hold)
        return await self._command(reader, request.request_id, command, request.receipt)

    async def Execute(
        self, request: ledger_service_pb2.ExecuteRequest, context: Context
    ) -> ledger_service_pb2.ExecuteResponse:
        """Carries out a chain."""
        reader = _reader(request.parent)
        uuid_bytes(request.request_id)  # a bad id is told before an unbalanced movement
        commands = reader.commands_from_wire(request.commands)
        ledger_id = ledger_id_from_name(request.parent)
        written = await self._written(ledger_id, request.request_id, commands)
        chain = _chain_to_wire(ledger_id, written.entries, written.replayed)
        response = ledger_service_pb2.ExecuteResponse(
            chain=chain, checkpoint=written.answer.checkpoint
        )
        if request.receipt:
            for entry in written.entries:
                response.receipts.append(await self.proofs.receipt(ledger_id, entry.log_index))
        return response

    async def BatchExecute(
        self, request: ledger_service_pb2.BatchExecuteRequest, context: Context
    ) -> ledger_service_pb2.BatchExecuteResponse:
        """Carries out many chains, each by itself."""
        ledger_id = ledger_id_from_name(request.parent)
        items = request.items
        if not 1 <= len(items) <= ITEMS_MAX:
            raise TimebankError(
                Reason.BATCH_TOO_LARGE,
                f"items: expected 1 to {ITEMS_MAX}, got {len(items)}; send several batches",
                field="items",
            )
        results: list[command_pb2.BatchItemResult | None] = [None] * len(items)
        chains, positions = _chains_from_wire(CommandReader(ledger_id), items, results)
        answer = await self.writes.many(ledger_id, chains, current_call())
        for place, (position, outcome) in enumerate(zip(positions, answer.outcomes, strict=True)):
            results[position] = (
                _fault_to_wire() if place in answer.faults else _outcome_to_wire(ledger_id, outcome)
            )
        return ledger_service_pb2.BatchExecuteResponse(
            results=results,  # type: ignore[arg-type]  # every place was filled
            checkpoint=answer.checkpoint,
        )

    async def CreateAccount(
        self, request: ledger_service_pb2.CreateAccountRequest, context: Context
    ) -> account_pb2.Account:
        """Opens an account."""
        command = _reader(request.parent).open_account_from_wire(request.open_account)
        ledger_id = ledger_id_from_name(request.parent)
        written = await self._written(ledger_id, request.request_id, (command,))
        fact = written.entries[0].account
        assert fact is not None, "an opening states its account"
        return await self._account(ledger_id, fact.account_id)

    async def _account(self, ledger_id: str, account_id: str) -> account_pb2.Account:
        account = await self.accounts.get(ledger_id, account_id, current_principal())
        return account_to_wire(ledger_id, account)

    async def _change(
        self, name: str, request_id: str, kind: EntryKind, etag: str
    ) -> account_pb2.Account:
        ledger_id, account_id = child_from_name(name, "accounts")
        command = c.ChangeAccount(kind, account_id, etag_from_wire(etag))
        await self._written(ledger_id, request_id, (command,))
        return await self._account(ledger_id, account_id)

    async def FreezeAccount(
        self, request: ledger_service_pb2.FreezeAccountRequest, context: Context
    ) -> account_pb2.Account:
        """Freezes an account."""
        kind = EntryKind.ACCOUNT_FROZEN
        return await self._change(request.name, request.request_id, kind, request.etag)

    async def UnfreezeAccount(
        self, request: ledger_service_pb2.UnfreezeAccountRequest, context: Context
    ) -> account_pb2.Account:
        """Unfreezes an account."""
        kind = EntryKind.ACCOUNT_UNFROZEN
        return await self._change(request.name, request.request_id, kind, request.etag)

    async def CloseAccount(
        self, request: ledger_service_pb2.CloseAccountRequest, context: Context
    ) -> account_pb2.Account:
        """Closes an account."""
        kind = EntryKind.ACCOUNT_CLOSED
        return await self._change(request.name, request.request_id, kind, request.etag)

    async def SetAccountLimits(
        self, request: ledger_service_pb2.SetAccountLimitsRequest, context: Context
    ) -> account_pb2.Account:
        """Replaces the limits of an account."""
        ledger_id, account_id = child_from_name(request.name, "accounts")
        command = c.SetLimits(
            account_id,
            request.min_balance if request.HasField("min_balance") else None,
            request.max_balance if request.HasField("max_balance") else None,
            debt_limit_from_wire(request.debt_limit),
            etag_from_wire(request.etag),
        )
        await self._written(ledger_id, request.request_id, (command,))
        return await self._account(ledger_id, account_id)


def _reader(parent: str) -> CommandReader:
    return CommandReader(ledger_id_from_name(parent))


def _chains_from_wire(
    reader: CommandReader,
    items: Sequence[command_pb2.BatchItem],
    results: list[command_pb2.BatchItemResult | None],
) -> tuple[list[Chain], list[int]]:
    """Reads the items; those that break a rule get their result at once and travel no further."""
    chains: list[Chain] = []
    positions: list[int] = []
    count = postings = 0
    for position, item in enumerate(items):
        try:
            request_id = uuid_bytes(item.request_id)
            commands = reader.commands_from_wire(item.commands)
            chains.append(Chain(request_id, commands))
            positions.append(position)
        except TimebankError as error:
            results[position] = command_pb2.BatchItemResult(error=status_proto(error))
            continue
        count += len(commands)
        for command in commands:
            if type(command) is c.Post:
                postings += len(command.postings)
    if count > ITEMS_MAX:
        raise TimebankError(
            Reason.BATCH_TOO_LARGE,
            f"items: expected at most {ITEMS_MAX} commands in all, got {count};"
            " send several batches",
            field="items",
        )
    if postings > POSTINGS_MAX:
        raise invalid("items", f"expected at most {POSTINGS_MAX} postings in all, got {postings}")
    return chains, positions


def _chain_to_wire(
    ledger_id: str, entries: tuple[Entry, ...], replayed: bool
) -> command_pb2.ChainResult:
    results = [result_to_wire(ledger_id, entry) for entry in entries]
    return command_pb2.ChainResult(results=results, replayed=replayed)


def _fault_to_wire() -> command_pb2.BatchItemResult:
    """Says that an item failed by a fault of the server's, which its log tells."""
    result = command_pb2.BatchItemResult()
    result.error.code = grpc.StatusCode.INTERNAL.value[0]
    result.error.message = "internal error: this item was not carried out"
    return result


def _outcome_to_wire(ledger_id: str, outcome: Outcome) -> command_pb2.BatchItemResult:
    if outcome.error is not None:
        return command_pb2.BatchItemResult(error=status_proto(outcome.error))
    return command_pb2.BatchItemResult(
        ok=_chain_to_wire(ledger_id, outcome.entries, outcome.replayed)
    )
