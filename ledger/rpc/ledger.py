"""LedgerService: ledgers themselves, on top of the reads and writes."""

from typing import Any

import grpc.aio

from ledger.domain import commands as c
from ledger.names import ledger_id_from_name
from ledger.rpc.reads import ReadRpcs
from ledger.rpc.writes import WriteRpcs
from ledger.usecases.ledgers import Ledgers
from ledger.wire import ledger_from_wire, ledger_to_wire
from timebank.auth import current_principal
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import ledger_pb2, ledger_service_pb2
from timebank.paging import page_position, page_size_of, page_token
from timebank.tlog.vkey import parse_vkey

Context = grpc.aio.ServicerContext[Any, Any]


class LedgerRpcs(ReadRpcs, WriteRpcs):
    """LedgerService."""

    ledgers: Ledgers

    async def CreateLedger(
        self, request: ledger_service_pb2.CreateLedgerRequest, context: Context
    ) -> ledger_pb2.Ledger:
        """Creates a ledger."""
        command = ledger_from_wire(request.ledger_id, request.ledger)
        request_id = uuid_bytes(request.request_id)
        principal = current_principal()
        state = await self.ledgers.create(request.ledger_id, command, principal, request_id)
        return ledger_to_wire(state)

    async def GetLedger(
        self, request: ledger_service_pb2.GetLedgerRequest, context: Context
    ) -> ledger_pb2.Ledger:
        """Reads a ledger."""
        return await self._ledger(ledger_id_from_name(request.name, "name"))

    async def _ledger(self, ledger_id: str) -> ledger_pb2.Ledger:
        row = await self.ledgers.row(ledger_id, current_principal())
        return ledger_to_wire(row.state)

    async def ListLedgers(
        self, request: ledger_service_pb2.ListLedgersRequest, context: Context
    ) -> ledger_service_pb2.ListLedgersResponse:
        """Lists ledgers."""
        size = page_size_of(request.page_size)
        after = page_position(request.page_token, "ledgers")
        rows = await self.ledgers.page(current_principal(), after=after, limit=size + 1)
        last = rows[size - 1].state.ledger_id if len(rows) > size else ""
        return ledger_service_pb2.ListLedgersResponse(
            ledgers=[ledger_to_wire(row.state) for row in rows[:size]],
            next_page_token=page_token(last, "ledgers") if last else "",
        )

    async def CloseOpening(
        self, request: ledger_service_pb2.CloseOpeningRequest, context: Context
    ) -> ledger_pb2.Ledger:
        """Ends the opening of a ledger."""
        ledger_id = ledger_id_from_name(request.name, "name")
        await self._written(ledger_id, request.request_id, (c.CloseOpening(),))
        return await self._ledger(ledger_id)

    async def RotateSigningKey(
        self, request: ledger_service_pb2.RotateSigningKeyRequest, context: Context
    ) -> ledger_pb2.Ledger:
        """Lets another key sign the log."""
        ledger_id = ledger_id_from_name(request.name, "name")
        row = await self.ledgers.row(ledger_id, current_principal())
        parse_vkey(request.verifier_key)
        self.ledgers.check_key(row.state.log_origin, request.verifier_key)
        await self._written(ledger_id, request.request_id, (c.RotateKey(request.verifier_key),))
        return await self._ledger(ledger_id)
