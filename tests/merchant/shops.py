"""A shop with a till, goods and members who have points: the merchant service beside a ledger in
one event loop.
"""

import pathlib
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from merchant.domain.documents import Budget, Document, Merchant, Offer, Redemption, Terminal
from merchant.domain.payers import Payer
from merchant.domain.redemption_begin import Begin
from merchant.domain.redemption_moves import Event, Move
from merchant.domain.states import (
    DocumentKind,
    MerchantState,
    Method,
    OfferState,
    OfferUnit,
    TerminalState,
)
from merchant.domain.transactions import Transaction
from merchant.ledger_client import Ledger
from merchant.usecases.programmes import Programme, Programmes, carry_out
from merchant.usecases.redemptions import Outcome, Redemptions, redemption_id_of
from merchant.usecases.wallets import Wallets
from tests.support.ledgers import LedgerWorld, ledger_world
from timebank.auth import Call, Principal, PrincipalKind
from timebank.config import DatabaseConfig
from timebank.database import open_databases
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import member_pb2, member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.migrations import prepare

OPERATOR = Principal(PrincipalKind.OPERATOR, "op")
SERVICE = Principal(PrincipalKind.SERVICE, "merchant")
CALL = Call(OPERATOR, "operator/op", None)
RATE = 100
"""Fen for 100 points: a point is a fen."""
LIMIT_FEN = 1_000_000
SHOP, TILL, GOODS = "shop", "shop/t1", "shop/coffee"
MINUTE_US = 60_000_000


@dataclass
class ShopWorld:
    """What tests do at a shop."""

    world: LedgerWorld
    programmes: Programmes
    redemptions: Redemptions
    wallets: Wallets
    programme: Programme
    refs: int = 0
    codes: dict[str, str] = field(default_factory=dict)

    async def put(self, *documents: Document) -> None:
        """Writes documents as they are."""

        def rule(transaction: Transaction) -> Document:
            for document in documents:
                transaction.put(document)
            return documents[0]

        await carry_out(self.programme, rule)

    async def found(self, kind: DocumentKind, name: str) -> Any:
        """Reads a document that is there."""
        document = await self.programmes.find(self.programme, kind, name)
        assert document is not None, name
        return document

    async def open_shop(self, *, price: int = 10, stock: int | None = None) -> None:
        """A merchant with one till and one offer, and money to pay for it."""
        accounts = await self.programme.ledger.open_merchant(SHOP, 500)
        now_us = self.world.clock.now_us()
        await self.put(
            Budget("b", "专项资金", LIMIT_FEN),
            Merchant(
                *(SHOP, "小卖部", 2, MerchantState.ACTIVE, RATE, 0, "b", 500),
                *(accounts.points, accounts.time, accounts.fund, now_us),
            ),
            Terminal(TILL, "一号", "", TerminalState.ACTIVE, 0, now_us),
            Offer(
                *(GOODS, "咖啡", "", OfferUnit.POINTS, price, 0, 1, OfferState.ACTIVE, stock),
                *(0, 0, 0, 0, now_us),
            ),
        )

    async def member(self, member_id: str, points: int) -> None:
        """A member who has points."""
        stub: Any = MemberServiceStub(self.world.channel_of(OPERATOR))
        member = await stub.RegisterMember(
            member_service_pb2.RegisterMemberRequest(
                parent=self.world.name,
                request_id=str(uuid.uuid4()),
                member_id=member_id,
                member=member_pb2.Member(home_unit="huancui/12dong"),
            )
        )
        if points:
            await self.world.grant(member.points_account, points)

    async def points_of(self, member_id: str) -> int:
        """Posted POINTS of a member."""
        accounts = await self.programmes.member_accounts(self.programme, member_id)
        return (await self.world.balance(accounts.points)).posted

    async def code(self, member_id: str) -> str:
        """A fresh payment code."""
        return (await self.wallets.issue_code(self.programme, member_id, "phone")).code

    def ref(self) -> str:
        """A new reference of the merchant's."""
        self.refs += 1
        return f"t1-{self.refs:06d}"

    def sale(self, code: str, **changes: Any) -> Begin:
        """A redemption of one piece, paid with a code."""
        merchant_ref = changes.pop("merchant_ref", "") or self.ref()
        digest = self.wallets.code_digest(self.programme, code)
        command = Begin(
            *(redemption_id_of(SHOP, merchant_ref), merchant_ref, "sale", TILL, GOODS, 1, 0, 0),
            Payer(Method.PAYMENT_CODE, digest),
            redeems=True,
            life_us=15 * MINUTE_US,
            zone=self.programme.zone,
        )
        return command._replace(**changes)

    async def begin(self, command: Begin, request_id: bytes = b"") -> Outcome:
        """Begins a redemption."""
        return await self.redemptions.begin(
            self.programme, command, request_id=request_id or uuid.uuid4().bytes, call=CALL
        )

    async def sell(self, member_id: str, **changes: Any) -> Redemption:
        """Sells one piece to a member."""
        command = self.sale(await self.code(member_id), **changes)
        return (await self.begin(command)).redemption

    async def do(
        self, redemption: Redemption, event: Event, amount: int = 0, **more: Any
    ) -> Redemption:
        """Captures, voids or refunds."""
        op_ref = "" if event is Event.VOID else more.pop("op_ref", "") or self.ref()
        command = Move(redemption.redemption_id, event, self.programme.zone, op_ref, amount, **more)
        outcome = await self.redemptions.move(
            self.programme, command, request_id=uuid.uuid4().bytes, call=CALL
        )
        return outcome.redemption

    async def reverse(self, merchant_ref: str) -> Redemption:
        """Reverses by reference."""
        outcome = await self.redemptions.reverse(
            self.programme, SHOP, merchant_ref, request_id=uuid.uuid4().bytes, call=CALL
        )
        return outcome.redemption


async def reason_of(call: Awaitable[object]) -> Reason:
    """Awaits what must be refused and gives the reason."""
    with pytest.raises(TimebankError) as refused:
        await call
    return refused.value.reason


def merchant_url_of(database_url: str, folder: pathlib.Path) -> str:
    """The merchant's database: a file of its own, or the same PostgreSQL database."""
    return database_url if "postgres" in database_url else f"sqlite:///{folder / 'merchant.db'}"


@asynccontextmanager
async def shop_world(folder: pathlib.Path, database_url: str) -> AsyncIterator[ShopWorld]:
    """Serves a ledger and runs the merchant's use cases beside it until the block ends."""
    async with ledger_world(folder, database_url) as world, shop_beside(world, folder) as shop:
        yield shop


@asynccontextmanager
async def shop_beside(world: LedgerWorld, folder: pathlib.Path) -> AsyncIterator[ShopWorld]:
    """Runs the merchant's use cases in this process, beside a ledger wherever it is."""
    runtime = world.process.runtime
    url = merchant_url_of(world.database_url, folder)
    databases = open_databases(DatabaseConfig(url=url))
    await prepare(databases, ["merchant"], mode="auto")
    programmes = Programmes(
        databases,
        clock=world.clock,
        random_bytes=runtime.random_bytes,
        ledger_of=lambda ledger_id: Ledger(ledger_id, world.channel_of(SERVICE), None),
        spawn=runtime.spawn,
    )
    try:
        programme = await programmes.programme("weihai", None)
        yield ShopWorld(
            world,
            programmes,
            Redemptions(programmes),
            Wallets(programmes, key=b"k" * 32, random_bytes=runtime.random_bytes),
            programme,
        )
    finally:
        await programmes.close()
        await databases.close()
