"""Settlement and the special fund at a shop: use cases, and services over the local channel."""

import uuid
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from merchant.domain.documents import Batch, Line
from merchant.domain.fund_rules import RecordIncome
from merchant.domain.settlement_files import SettlementFile, read_settlement_file
from merchant.domain.states import DocumentKind
from merchant.money_client import Money
from merchant.rpc.fund import FundRpcs
from merchant.rpc.settlements import SettlementRpcs
from merchant.usecases.batch_files import BatchFiles, settlement_signer
from merchant.usecases.closer import Closer
from merchant.usecases.fund import Fund
from merchant.usecases.programmes import Programmes
from merchant.usecases.reconciliations import Reconciliations
from merchant.usecases.settlement_lists import SettlementLists
from merchant.usecases.settlements import Settlements
from tests.merchant.shops import CALL, SHOP, ShopWorld
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, from_rpc_error
from timebank.local_channels import LocalChannel
from timebank.merchant.v1 import fund_service_pb2, settlement_service_pb2
from timebank.merchant.v1.fund_service_pb2_grpc import (
    FundServiceStub,
    add_FundServiceServicer_to_server,
)
from timebank.merchant.v1.settlement_service_pb2_grpc import (
    SettlementServiceStub,
    add_SettlementServiceServicer_to_server,
)

SIGNER = settlement_signer(b"s" * 32)
OPERATOR = Principal(PrincipalKind.OPERATOR, "op")
SECOND = Principal(PrincipalKind.OPERATOR, "second")
LEDGER = "ledgers/weihai"
SHOP_NAME = f"{LEDGER}/merchants/{SHOP}"
DAY = "2026-03-01"
"""The business day at which the clock of tests stands: it is over in 16 hours."""
DAY_S = 86_400
FUND_FEN = 100_000
_SERVICES = (
    (settlement_service_pb2, SettlementServiceStub),
    (fund_service_pb2, FundServiceStub),
)


@dataclass
class Teller:
    """What tests do about settlement at a shop."""

    shop: ShopWorld
    money: Money
    settlements: Settlements
    files: BatchFiles
    fund: Fund
    reconciliations: Reconciliations
    lists: SettlementLists

    async def close(self, business_date: str = DAY) -> Batch:
        """Closes a business day."""
        request_id = uuid.uuid4().bytes
        closed = await self.settlements.close(
            self.shop.programme, SHOP, business_date, request_id=request_id, call=CALL
        )
        return closed.batch

    async def next_day(self, days: int = 1) -> None:
        """Lets days pass."""
        self.shop.world.clock.advance(seconds=days * DAY_S)

    async def income(self, fen: int = FUND_FEN, income_id: str = "i1") -> Any:
        """Records an income."""
        command = RecordIncome(income_id, 1, fen, "", f"bank-{income_id}")
        recorded = await self.fund.record_income(
            self.shop.programme, command, request_id=uuid.uuid4().bytes, call=CALL
        )
        return recorded.income

    async def file(self, batch: Batch) -> SettlementFile:
        """Reads a batch's file, checking all its rules."""
        chunks = [chunk async for chunk in self.files.chunks(self.shop.programme, batch)]
        return read_settlement_file(chunks, previous_sha256=batch.previous_file_sha256)

    async def balances(self) -> tuple[int, int, int]:
        """Posted POINTS and FUND of the shop, and FUND of the special fund."""
        merchant = await self.shop.found(DocumentKind.MERCHANT, SHOP)
        world = self.shop.world
        points = (await world.balance(merchant.points_account)).posted
        owed = (await world.balance(merchant.fund_account)).posted
        fund, _ = await self.money.fund_balance(self.shop.programme.ledger, None)
        return points, owed, fund

    async def late_line(self, number: int, points: int, date: str, rate: int = 100) -> None:
        """A line of an earlier day that comes late, and its points in the ledger."""
        merchant = await self.shop.found(DocumentKind.MERCHANT, SHOP)
        if points > 0:
            await self.shop.world.grant(merchant.points_account, points)
        redemption_id = f"{SHOP}/{number:032x}"
        kind = "REDEMPTION" if points > 0 else "REFUND"
        now_us = self.shop.world.clock.now_us()
        await self.shop.put(
            Line(
                *(f"{redemption_id}/1", redemption_id, f"late-{number}", kind, points, rate),
                *(now_us, date),
            )
        )

    async def call(self, method: str, caller: Principal = OPERATOR, /, **fields: Any) -> Any:
        """Calls a method as somebody; a request id is made unless one is given."""
        module, stub_class = next(
            pair for pair in _SERVICES if hasattr(pair[0], f"{method}Request")
        )
        request_class = getattr(module, f"{method}Request")
        if "request_id" in request_class.DESCRIPTOR.fields_by_name:
            fields.setdefault("request_id", str(uuid.uuid4()))
        channel = LocalChannel(self.shop.world.process.runtime.interceptors, caller)
        stub: Any = stub_class(channel)
        answer = getattr(stub, method)(request_class(**fields))
        if method.startswith("Download"):
            return b"".join([piece.data async for piece in answer])
        return await answer

    async def refused(self, method: str, caller: Principal = OPERATOR, /, **fields: Any) -> Reason:
        """Calls a method that must be refused and gives the reason."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.call(method, caller, **fields)
        error = from_rpc_error(refused.value)
        assert "code" not in error.metadata, f"not one of our refusals: {error}"
        return error.reason


def settlements_of(programmes: Programmes, money: Money) -> tuple[Settlements, BatchFiles]:
    """Settlements of one process."""
    files = BatchFiles(programmes, SIGNER)
    return Settlements(programmes, money, files), files


def closer_of(teller: Teller) -> Closer:
    """The closer of the shop's process; tests say when it looks."""
    programmes = teller.shop.programmes
    return Closer(programmes, teller.settlements, teller.fund, interval_s=3_600)


def teller_of(shop: ShopWorld) -> Teller:
    """Adds SettlementService and FundService to the server of a shop."""
    programmes, money = shop.programmes, Money()
    settlements, files = settlements_of(programmes, money)
    fund = Fund(programmes, money)
    reconciliations = Reconciliations(programmes)
    lists = SettlementLists(programmes, money)
    rpcs = SettlementRpcs(programmes, settlements, files, reconciliations, lists)
    runtime = shop.world.process.runtime
    runtime.add_service(
        "timebank.merchant.v1.SettlementService",
        lambda to: add_SettlementServiceServicer_to_server(rpcs, to),
    )
    fund_rpcs = FundRpcs(programmes, fund)
    runtime.add_service(
        "timebank.merchant.v1.FundService",
        lambda to: add_FundServiceServicer_to_server(fund_rpcs, to),
    )
    return Teller(shop, money, settlements, files, fund, reconciliations, lists)
