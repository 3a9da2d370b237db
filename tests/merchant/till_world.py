"""The merchant service over gRPC: a shop, an enrolled till that signs, members with points."""

import base64
import pathlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import merchant.service
from merchant.domain.enrolment_codes import enrolment_text
from merchant.domain.terminal_signatures import TillCall, canonical_text
from tests.merchant.shops import merchant_url_of
from tests.support.ledgers import LedgerWorld, ledger_world
from timebank.auth import Principal, PrincipalKind
from timebank.ledger.v1 import member_pb2, member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.local_channels import LocalChannel
from timebank.merchant.v1 import (
    fund_pb2,
    fund_service_pb2,
    merchant_pb2,
    merchant_service_pb2,
    redemption_pb2,
    redemption_service_pb2,
    settlement_service_pb2,
)
from timebank.merchant.v1.fund_service_pb2_grpc import FundServiceStub
from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceStub
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub
from timebank.merchant.v1.settlement_service_pb2_grpc import SettlementServiceStub

OPERATOR = Principal(PrincipalKind.OPERATOR, "op")
LEDGER = "ledgers/weihai"
SHOP = f"{LEDGER}/merchants/shop"
TILL = f"{SHOP}/terminals/t1"
COFFEE = f"{SHOP}/offers/coffee"
_MODULES = (
    (merchant_service_pb2, MerchantServiceStub),
    (redemption_service_pb2, RedemptionServiceStub),
    (settlement_service_pb2, SettlementServiceStub),
    (fund_service_pb2, FundServiceStub),
)
SIGNED = frozenset(
    {
        *("AuthorizeRedemption", "ConfirmRedemption", "CaptureRedemption", "RedeemPoints"),
        *("VoidRedemption", "ReverseRedemption", "RefundRedemption", "CollectVoucher"),
    }
)


@dataclass
class TillWorld:
    """Calls of the contract by their names; those of a till are signed with its key."""

    world: LedgerWorld
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    refs: int = 0

    async def call(
        self, method: str, /, caller: Principal = OPERATOR, *, signed: bool = True, **fields: Any
    ) -> Any:
        """Calls a method as somebody, over the local channel."""
        module, stub_class = next(pair for pair in _MODULES if hasattr(pair[0], f"{method}Request"))
        request_class = getattr(module, f"{method}Request")
        if "request_id" in request_class.DESCRIPTOR.fields_by_name:
            fields.setdefault("request_id", str(uuid.uuid4()))
        request = request_class(**fields)
        channel = LocalChannel(self.world.process.runtime.interceptors, caller)
        metadata = self.signature(method, request) if signed and method in SIGNED else ()
        return await getattr(stub_class(channel), method)(request, metadata=metadata)

    def signature(self, method: str, request: Any, **changes: Any) -> tuple[tuple[str, str], ...]:
        """The metadata by which the till signs a call."""
        codes = [getattr(request, name, "") for name in ("payment_code", "card_number", "code")]
        now_s = self.world.clock.now_us() // 1_000_000
        call = TillCall(
            method,
            request.request_id,
            getattr(request, "merchant_ref", ""),
            getattr(request, "amount", 0),
            next((code for code in codes if code), ""),
            now_s,
            uuid.uuid4().hex,
        )._replace(**changes)
        signature = self.key.sign(canonical_text(call))
        return (
            ("timebank-terminal", TILL),
            ("timebank-timestamp", str(call.timestamp_s)),
            ("timebank-nonce", call.nonce),
            ("timebank-signature", base64.urlsafe_b64encode(signature).decode().rstrip("=")),
        )

    async def open_shop(self, **offer: Any) -> None:
        """Sets a budget, makes the shop, enrols its till, and offers coffee for ten points."""
        await self.call(
            "SetBudget",
            budget=fund_pb2.Budget(
                name=f"{LEDGER}/budgets/b", display_name="专项基金", limit_fen=1_000_000
            ),
        )
        await self.call(
            "CreateMerchant",
            parent=LEDGER,
            merchant_id="shop",
            merchant=merchant_pb2.Merchant(
                display_name="小卖部",
                category=merchant_pb2.Merchant.CATEGORY_DISCOUNT,
                fen_per_hundred_points=100,
                budget=f"{LEDGER}/budgets/b",
            ),
        )
        made = await self.call(
            "CreateTerminal",
            parent=SHOP,
            terminal_id="t1",
            terminal=merchant_pb2.Terminal(display_name="一号"),
        )
        public = self.key.public_key().public_bytes_raw()
        await self.call(
            "EnrollTerminal",
            name=TILL,
            enrolment_code=made.enrolment_code,
            public_key=public,
            proof=self.key.sign(enrolment_text(TILL, made.enrolment_code, public)),
        )
        values: dict[str, Any] = {"title": "咖啡", "unit": merchant_pb2.UNIT_POINTS, "price": 10}
        await self.call(
            "CreateOffer",
            parent=SHOP,
            offer_id="coffee",
            offer=merchant_pb2.Offer(**(values | offer)),
        )

    async def member(self, member_id: str, points: int) -> None:
        """Registers a member who has points."""
        channel = LocalChannel(self.world.process.runtime.interceptors, OPERATOR)
        stub: Any = MemberServiceStub(channel)
        member = await stub.RegisterMember(
            member_service_pb2.RegisterMemberRequest(
                parent=LEDGER,
                request_id=str(uuid.uuid4()),
                member_id=member_id,
                member=member_pb2.Member(home_unit="huancui/12dong"),
            )
        )
        if points:
            await self.world.grant(member.points_account, points)

    async def code(self, member_id: str) -> str:
        """Issues a payment code."""
        issued = await self.call(
            "IssuePaymentCode", name=f"{LEDGER}/members/{member_id}", device="phone"
        )
        code: str = issued.code
        return code

    def ref(self) -> str:
        """A new reference of the merchant's."""
        self.refs += 1
        return f"t1-{self.refs:06d}"

    async def redeem(self, member_id: str, **fields: Any) -> redemption_pb2.Redemption:
        """Sells a coffee."""
        values: dict[str, Any] = {
            "parent": SHOP,
            "merchant_ref": self.ref(),
            "terminal": TILL,
            "offer": COFFEE,
            "quantity": 1,
        }
        if "payment_code" not in fields:
            values["payment_code"] = await self.code(member_id)
        sold: redemption_pb2.Redemption = await self.call("RedeemPoints", **(values | fields))
        return sold


@asynccontextmanager
async def till_world(
    folder: pathlib.Path, database_url: str, **merchant_settings: object
) -> AsyncIterator[TillWorld]:
    """Serves ledger and merchant service in this event loop until the block ends."""
    url = merchant_url_of(database_url, folder)
    settings: dict[str, dict[str, object]] = {
        "merchant_database": {"url": url},
        "merchant": {"sweeper_seconds": 3_600, **merchant_settings},
    }
    async with ledger_world(
        folder, database_url, settings=settings, more_services=[merchant.service.register]
    ) as world:
        yield TillWorld(world)
