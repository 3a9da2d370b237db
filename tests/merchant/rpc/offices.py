"""The office of a programme: MerchantService over the local channel, as anybody who may call."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from merchant.domain.documents import Budget
from merchant.domain.enrolment_codes import enrolment_text, rotation_text
from merchant.domain.terminal_signatures import TillCall, canonical_text
from merchant.ledger_client import Ledger
from merchant.rpc.merchants import MerchantRpcs
from merchant.usecases.merchants import Merchants
from merchant.usecases.tills import Tills
from tests.merchant.shops import ShopWorld
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, from_rpc_error
from timebank.local_channels import LocalChannel
from timebank.merchant.v1 import merchant_pb2, merchant_service_pb2
from timebank.merchant.v1.merchant_service_pb2_grpc import (
    MerchantServiceStub,
    add_MerchantServiceServicer_to_server,
)

SERVICE = "timebank.merchant.v1.MerchantService"
OPERATOR = Principal(PrincipalKind.OPERATOR, "op")
LEDGER = "ledgers/weihai"
SHOP = f"{LEDGER}/merchants/shop"
TILL = f"{SHOP}/terminals/t1"
COFFEE = f"{SHOP}/offers/coffee"
M = merchant_pb2.Merchant


@dataclass
class Office:
    """Calls of MerchantService, and a till with its key."""

    shop: ShopWorld
    tills: Tills
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    async def call(self, method: str, caller: Principal = OPERATOR, /, **fields: Any) -> Any:
        """Calls a method as somebody; a request id is made unless one is given."""
        request_class = getattr(merchant_service_pb2, f"{method}Request")
        if "request_id" in request_class.DESCRIPTOR.fields_by_name:
            fields.setdefault("request_id", str(uuid.uuid4()))
        stub: Any = MerchantServiceStub(self.channel(caller))
        return await getattr(stub, method)(request_class(**fields))

    def channel(self, caller: Principal) -> LocalChannel:
        """A channel on which somebody calls."""
        return LocalChannel(self.shop.world.process.runtime.interceptors, caller)

    def ledger_as(self, caller: Principal) -> Ledger:
        """The ledger as somebody asks it."""
        return Ledger("weihai", self.channel(caller), None)

    async def refused(self, method: str, caller: Principal = OPERATOR, /, **fields: Any) -> Reason:
        """Calls a method that must be refused and gives the reason."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.call(method, caller, **fields)
        error = from_rpc_error(refused.value)
        fault = error.metadata.get("code") in ("INTERNAL", "UNKNOWN")
        assert not fault, f"not one of our refusals: {error}"
        return error.reason

    async def create_merchant(self, merchant_id: str = "shop", **changes: Any) -> Any:
        """Registers a merchant."""
        return await self.call(
            "CreateMerchant",
            parent=LEDGER,
            merchant_id=merchant_id,
            merchant=merchant_of(**changes),
        )

    async def create_terminal(self, own_id: str = "t1", parent: str = SHOP, **more: Any) -> Any:
        """Registers a till."""
        terminal = merchant_pb2.Terminal(display_name="1号收银台")
        fields = {"parent": parent, "terminal_id": own_id, "terminal": terminal} | more
        return await self.call("CreateTerminal", **fields)

    async def create_offer(
        self, own_id: str = "coffee", parent: str = SHOP, caller: Principal = OPERATOR, **more: Any
    ) -> Any:
        """Adds an offer."""
        offer = offer_of(**more)
        return await self.call("CreateOffer", caller, parent=parent, offer_id=own_id, offer=offer)

    async def enrol(self, code: str, key: Ed25519PrivateKey | None = None, **fields: Any) -> Any:
        """Enrols the till."""
        return await self.call("EnrollTerminal", **(self.enrolment(code, key) | fields))

    def enrolment(self, code: str, key: Ed25519PrivateKey | None = None) -> dict[str, Any]:
        """The fields by which the till enrols."""
        private = key or self.key
        public = private.public_key().public_bytes_raw()
        proof = private.sign(enrolment_text(TILL, code, public))
        return {"name": TILL, "enrolment_code": code, "public_key": public, "proof": proof}

    def rotation(self, new: Ed25519PrivateKey, old_key_id: str) -> dict[str, Any]:
        """The fields by which the till changes its key."""
        public = new.public_key().public_bytes_raw()
        text = rotation_text(TILL, old_key_id, public)
        return {
            "name": TILL,
            "old_key_id": old_key_id,
            "public_key": public,
            "old_proof": self.key.sign(text),
            "proof": new.sign(text),
        }

    async def open_till(self) -> str:
        """Makes a shop with an enrolled till and gives the id of its key."""
        await self.create_merchant()
        made = await self.create_terminal()
        key_id: str = (await self.enrol(made.enrolment_code)).keys[0].key_id
        return key_id

    def till_call(self, **changes: Any) -> TillCall:
        """A call as the till makes it now."""
        now_s = self.shop.world.clock.now_us() // 1_000_000
        reference = str(uuid.uuid4())
        call = TillCall("RedeemPoints", reference, "t1-1", 10, "", now_s, uuid.uuid4().hex)
        return call._replace(**changes)

    async def check(self, call: TillCall, key: Ed25519PrivateKey | None = None) -> str:
        """Has a signed call checked and gives the id of the key."""
        signature = (key or self.key).sign(canonical_text(call))
        return await self.tills.check(self.shop.programme, "shop/t1", call, signature)


def merchant_of(**changes: Any) -> merchant_pb2.Merchant:
    """A valid merchant to create."""
    values: dict[str, Any] = {
        "display_name": "小卖部",
        "category": M.CATEGORY_DISCOUNT,
        "fen_per_hundred_points": 100,
        "budget": f"{LEDGER}/budgets/b",
    }
    return merchant_pb2.Merchant(**(values | changes))


def offer_of(**changes: Any) -> merchant_pb2.Offer:
    """A valid offer to create."""
    values: dict[str, Any] = {"title": "咖啡", "unit": merchant_pb2.UNIT_POINTS, "price": 10}
    return merchant_pb2.Offer(**(values | changes))


def as_merchant(merchant_id: str) -> Principal:
    """The principal of a merchant."""
    return Principal(PrincipalKind.MERCHANT, merchant_id)


def as_till(terminal_id: str) -> Principal:
    """The principal of a till."""
    return Principal(PrincipalKind.TERMINAL, terminal_id)


async def office_of(shop: ShopWorld) -> Office:
    """Adds MerchantService to the server of a shop and sets a budget."""
    tills = Tills(shop.programmes, key=b"k" * 32)
    rpcs = MerchantRpcs(merchants=Merchants(shop.programmes), tills=tills)
    shop.world.process.runtime.add_service(
        SERVICE, lambda to: add_MerchantServiceServicer_to_server(rpcs, to)
    )
    await shop.put(Budget("b", "专项基金", 1_000_000))
    return Office(shop, tills)
