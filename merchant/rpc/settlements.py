"""SettlementService: business days, payouts, reconciliation and statements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from google.api import httpbody_pb2

from merchant.domain.documents import Merchant
from merchant.domain.settlement_rules import no_batch, no_merchant
from merchant.names import (
    ALL,
    batch_from_name,
    invalid,
    item_from_name,
    ledger_id_from_name,
    merchant_from_name,
)
from merchant.usecases.batch_files import BatchFiles
from merchant.usecases.callers import check_changes_merchant, sees_terms
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.reconciliations import Reconciliations
from merchant.usecases.settlement_lists import SettlementLists
from merchant.usecases.settlements import Settlements
from merchant.wire_settlements import (
    JOURNAL_DAYS_MAX,
    STATEMENT_DAYS_MAX,
    UNITS,
    advice_answer,
    batch_to_wire,
    batches_wanted,
    date_from_wire,
    days_from_wire,
    item_to_wire,
    items_wanted,
    journal_answer,
    payout_from_wire,
    resolution_from_wire,
    statement_to_wire,
)
from timebank.auth import PrincipalKind, current_actor, current_call, current_principal
from timebank.ids import uuid_bytes
from timebank.merchant.v1 import merchant_pb2, settlement_pb2, settlement_service_pb2
from timebank.merchant.v1.settlement_service_pb2_grpc import SettlementServiceServicer
from timebank.paging import page_number, page_size_of, page_token

Context = grpc.aio.ServicerContext[Any, Any]
PIECE_BYTES_MAX = 65_536
FILE_TYPE = "text/csv; charset=utf-8"


class SettlementRpcs(SettlementServiceServicer):
    """SettlementService."""

    def __init__(
        self,
        programmes: Programmes,
        settlements: Settlements,
        files: BatchFiles,
        reconciliations: Reconciliations,
        lists: SettlementLists,
    ) -> None:
        self._programmes = programmes
        self._settlements = settlements
        self._files = files
        self._reconciliations = reconciliations
        self._lists = lists

    async def CloseBatch(
        self, request: settlement_service_pb2.CloseBatchRequest, context: Context
    ) -> settlement_pb2.SettlementBatch:
        """Closes a business day."""
        ledger_id, merchant_id = merchant_from_name(request.parent, "parent")
        request_id = uuid_bytes(request.request_id)
        business_date = date_from_wire("business_date", request.business_date)
        programme = await self._programme(ledger_id)
        closed = await self._settlements.close(
            programme, merchant_id, business_date, request_id=request_id, call=current_call()
        )
        return batch_to_wire(ledger_id, closed.batch, replayed=closed.replayed)

    async def GetBatch(
        self, request: settlement_service_pb2.GetBatchRequest, context: Context
    ) -> settlement_pb2.SettlementBatch:
        """Reads a batch."""
        programme, batch_id = await self._batch(request.name)
        batch = await self._settlements.find(programme, batch_id)
        return batch_to_wire(programme.ledger_id, batch)

    async def ListBatches(
        self, request: settlement_service_pb2.ListBatchesRequest, context: Context
    ) -> settlement_service_pb2.ListBatchesResponse:
        """Lists batches, newest first."""
        size, wanted = page_size_of(request.page_size), batches_wanted(request)
        key = ("batches", request.parent, current_principal().name, *wanted)
        before = page_number(request.page_token, *key, first=-1)
        programme, merchant_ids = await self._merchants(request.parent)
        found = await self._lists.batches(programme, merchant_ids, wanted, before=before, size=size)
        return settlement_service_pb2.ListBatchesResponse(
            batches=[batch_to_wire(programme.ledger_id, batch) for _, batch in found[:size]],
            next_page_token=_next(found, size, key),
        )

    async def DownloadBatchFile(
        self, request: settlement_service_pb2.DownloadBatchFileRequest, context: Context
    ) -> AsyncIterator[settlement_service_pb2.DownloadBatchFileResponse]:
        """Streams the file of a closed batch."""
        async for piece in self._pieces(request.name):
            yield settlement_service_pb2.DownloadBatchFileResponse(data=piece)

    async def GetBatchFile(
        self, request: settlement_service_pb2.GetBatchFileRequest, context: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """Streams the file of a closed batch as the body of an answer over HTTP."""
        async for piece in self._pieces(request.name):
            yield httpbody_pb2.HttpBody(content_type=FILE_TYPE, data=piece)

    async def RecordPayout(
        self, request: settlement_service_pb2.RecordPayoutRequest, context: Context
    ) -> settlement_pb2.SettlementBatch:
        """Records that a batch was paid."""
        ledger_id, merchant_id, own_id = batch_from_name(request.name)
        request_id = uuid_bytes(request.request_id)
        command = payout_from_wire(f"{merchant_id}/{own_id}", request)
        programme = await self._programme(ledger_id)
        paid = await self._settlements.pay_out(
            programme, command, request_id=request_id, call=current_call()
        )
        return batch_to_wire(ledger_id, paid.batch, replayed=paid.replayed)

    async def SubmitMerchantJournal(
        self, request: settlement_service_pb2.SubmitMerchantJournalRequest, context: Context
    ) -> settlement_service_pb2.SubmitMerchantJournalResponse:
        """Compares a merchant's journal with the ledger."""
        ledger_id, merchant_id = merchant_from_name(request.parent, "parent")
        check_changes_merchant(current_principal(), merchant_id)
        request_id = uuid_bytes(request.request_id)
        days = days_from_wire(request.start_date, request.end_date, JOURNAL_DAYS_MAX)
        programme = await self._programme(ledger_id)
        compared = await self._reconciliations.submit_journal(
            programme,
            merchant_id,
            request.content,
            days,
            request_id=request_id,
            call=current_call(),
        )
        return journal_answer(compared.comparison, replayed=compared.replayed)

    async def SubmitPayoutAdvice(
        self, request: settlement_service_pb2.SubmitPayoutAdviceRequest, context: Context
    ) -> settlement_service_pb2.SubmitPayoutAdviceResponse:
        """Compares the bank's advice with the batches."""
        ledger_id, request_id = ledger_id_from_name(request.parent), uuid_bytes(request.request_id)
        programme = await self._programme(ledger_id)
        compared = await self._reconciliations.submit_advice(
            programme, request.content, request_id=request_id, call=current_call()
        )
        return advice_answer(compared.comparison, replayed=compared.replayed)

    async def ListReconciliationItems(
        self, request: settlement_service_pb2.ListReconciliationItemsRequest, context: Context
    ) -> settlement_service_pb2.ListReconciliationItemsResponse:
        """Lists work items, oldest first."""
        size, wanted = page_size_of(request.page_size), items_wanted(request)
        key = ("items", request.parent, current_principal().name, *wanted)
        after = page_number(request.page_token, *key, first=-1)
        programme, merchant_ids = await self._merchants(request.parent)
        found = await self._lists.items(programme, merchant_ids, wanted, after=after, size=size)
        return settlement_service_pb2.ListReconciliationItemsResponse(
            reconciliation_items=[
                item_to_wire(programme.ledger_id, row) for _, row in found[:size]
            ],
            next_page_token=_next(found, size, key),
        )

    async def ResolveReconciliationItem(
        self, request: settlement_service_pb2.ResolveReconciliationItemRequest, context: Context
    ) -> settlement_pb2.ReconciliationItem:
        """Gives an item to an owner, or closes it."""
        ledger_id, merchant_id, own_id = item_from_name(request.name)
        request_id = uuid_bytes(request.request_id)
        command = resolution_from_wire(f"{merchant_id}/{own_id}", request, current_actor())
        programme = await self._programme(ledger_id)
        item = await self._reconciliations.resolve(
            programme, command, request_id=request_id, call=current_call()
        )
        return item_to_wire(ledger_id, item)

    async def GetMerchantStatement(
        self, request: settlement_service_pb2.GetMerchantStatementRequest, context: Context
    ) -> settlement_pb2.MerchantStatement:
        """Reads a page of a merchant's statement."""
        ledger_id, merchant_id = merchant_from_name(request.name)
        size = page_size_of(request.page_size)
        days = days_from_wire(request.start_date, request.end_date, STATEMENT_DAYS_MAX)
        unit = request.unit or merchant_pb2.UNIT_POINTS
        if unit not in UNITS:
            raise invalid("unit", f"expected UNIT_POINTS or UNIT_TIME, got {unit}")
        key = ("statement", request.name, *days, int(unit))
        after_us = page_number(request.page_token, *key)
        programme, merchant = await self._merchant(ledger_id, merchant_id)
        in_points = unit == merchant_pb2.UNIT_POINTS
        account = merchant.points_account if in_points else merchant.time_account
        statement = await self._lists.statement(
            programme, merchant, account, dates=days, after_us=after_us, size=size
        )
        message = statement_to_wire(ledger_id, merchant, days, unit, statement)
        if statement.next_us:
            message.next_page_token = page_token(str(statement.next_us), *key)
        return message

    async def _programme(self, ledger_id: str) -> Programme:
        return await self._programmes.programme(ledger_id, current_principal())

    async def _pieces(self, name: str) -> AsyncIterator[bytes]:
        """Gives the file of a batch in pieces. Raises BATCH_NOT_FOUND, BATCH_STATE."""
        programme, batch_id = await self._batch(name)
        batch = await self._settlements.find_closed(programme, batch_id)
        async for chunk in self._files.chunks(programme, batch):
            for start in range(0, len(chunk), PIECE_BYTES_MAX):
                yield chunk[start : start + PIECE_BYTES_MAX]

    async def _batch(self, name: str) -> tuple[Programme, str]:
        """Reads the name of a batch that the caller may know of. Raises BATCH_NOT_FOUND."""
        ledger_id, merchant_id, own_id = batch_from_name(name)
        if not sees_terms(current_principal(), merchant_id):
            raise no_batch(f"{merchant_id}/{own_id}")
        return await self._programme(ledger_id), f"{merchant_id}/{own_id}"

    async def _merchant(self, ledger_id: str, merchant_id: str) -> tuple[Programme, Merchant]:
        """Finds a merchant whose money the caller may see. Raises MERCHANT_NOT_FOUND."""
        if not sees_terms(current_principal(), merchant_id):
            raise no_merchant(merchant_id)
        programme = await self._programme(ledger_id)
        return programme, await self._settlements.merchant(programme, merchant_id)

    async def _merchants(self, parent: str) -> tuple[Programme, list[str]]:
        """Names the merchants of a list: one, or all that the caller may see."""
        ledger_id, merchant_id = merchant_from_name(parent, "parent")
        principal = current_principal()
        if merchant_id == ALL and principal.kind is PrincipalKind.MERCHANT:
            merchant_id = principal.id
        if merchant_id != ALL:
            programme, merchant = await self._merchant(ledger_id, merchant_id)
            return programme, [merchant.merchant_id]
        programme = await self._programme(ledger_id)
        return programme, await self._reconciliations.merchant_ids(programme)


def _next(found: list[Any], size: int, key: tuple[object, ...]) -> str:
    """Writes the token of the page after the last row of this one; empty at the end."""
    return page_token(str(found[size - 1][0]), *key) if len(found) > size else ""
