"""A programme with as many merchants, sales, members and cards as a test wants, and its lists."""

import asyncio
import random
import uuid
from typing import Any

from merchant.domain.documents import Card, Merchant, Redemption
from merchant.domain.pins import PinTiers
from merchant.domain.states import DocumentKind, MerchantState, RedemptionState
from merchant.rpc.redemptions import RedemptionRpcs
from merchant.usecases.tills import Tills
from merchant.usecases.vouchers import Vouchers
from tests.merchant.counted_reads import Cost, counted_reads
from tests.merchant.shops import OPERATOR, ShopWorld
from timebank.auth import Principal
from timebank.ledger.v1 import member_pb2, member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.local_channels import LocalChannel
from timebank.merchant.v1 import redemption_service_pb2
from timebank.merchant.v1.redemption_service_pb2_grpc import (
    RedemptionServiceStub,
    add_RedemptionServiceServicer_to_server,
)

LEDGER = "ledgers/weihai"
ALL = f"{LEDGER}/merchants/-"
KEY = b"k" * 32


class Lists:
    """The lists of RedemptionService beside a ledger, as anybody may ask for them."""

    def __init__(self, shop: ShopWorld) -> None:
        rpcs = RedemptionRpcs(
            shop.programmes,
            shop.redemptions,
            shop.wallets,
            Vouchers(shop.programmes, shop.redemptions, key=KEY),
            Tills(shop.programmes, key=KEY),
            PinTiers(),
        )
        shop.world.process.runtime.add_service(
            "timebank.merchant.v1.RedemptionService",
            lambda to: add_RedemptionServiceServicer_to_server(rpcs, to),
        )
        self.shop = shop

    async def page(self, method: str, caller: Principal, /, **fields: Any) -> Any:
        """Asks for one page."""
        request = getattr(redemption_service_pb2, f"{method}Request")(**fields)
        channel = LocalChannel(self.shop.world.process.runtime.interceptors, caller)
        return await getattr(RedemptionServiceStub(channel), method)(request)

    async def cost(self, method: str, caller: Principal, /, **fields: Any) -> tuple[Any, Cost]:
        """Asks for one page, and tells what it cost."""
        with counted_reads() as cost:
            page = await self.page(method, caller, **fields)
        return page, cost

    async def redemptions(self, caller: Principal = OPERATOR, **fields: Any) -> list[str]:
        """The references of all redemptions, page by page."""
        found: list[str] = []
        token = ""
        while True:
            page = await self.page(
                "ListRedemptions", caller, **({"parent": ALL} | fields), page_token=token
            )
            found += [one.merchant_ref for one in page.redemptions]
            token = page.next_page_token
            if not token:
                return found

    async def cards(self, caller: Principal, *, size: int, **fields: Any) -> list[str]:
        """The ids of all cards, page by page; no page asks for more members than it has room for,
        and one.
        """
        found: list[str] = []
        token = ""
        while True:
            page, cost = await self.cost(
                "ListCards", caller, parent=LEDGER, page_size=size, page_token=token, **fields
            )
            assert len(page.cards) <= size
            assert cost.ledger_calls <= size + 1
            found += [card.name.rpartition("/")[2] for card in page.cards]
            token = page.next_page_token
            if not token:
                return found

    async def open_merchants(self, count: int, already: int = 0) -> list[str]:
        """Opens merchants with two sales each, all in a random order; gives the references."""
        merchants = [f"m{number:03}" for number in range(already, count)]
        await self.shop.put(*(merchant_of(merchant_id) for merchant_id in merchants))
        sold = [f"{merchant_id}-{number}" for merchant_id in merchants for number in (1, 2)]
        random.Random(count).shuffle(sold)
        await self.shop.put(*(redemption_of(reference) for reference in sold))
        return sold

    async def register(self, *members: tuple[str, str]) -> None:
        """Registers members by id and unit."""
        stub: Any = MemberServiceStub(self.shop.world.channel_of(OPERATOR))
        requests = [
            member_service_pb2.RegisterMemberRequest(
                parent=LEDGER,
                request_id=str(uuid.uuid4()),
                member_id=member_id,
                member=member_pb2.Member(home_unit=unit),
            )
            for member_id, unit in members
        ]
        await asyncio.gather(*(_one(stub.RegisterMember, request) for request in requests))

    async def issue(self, *holders: str, blocked: bool = False) -> None:
        """Writes a card of each member; its id is the member's and how many there were."""
        there = await self.shop.programmes.listed(
            self.shop.programme, DocumentKind.CARD, "", limit=1_000
        )
        ids = [f"{holder}-{number}" for number, holder in enumerate(holders, len(there))]
        cards = [
            Card(f"digest-{card_id}", card_id, holder, blocked, 1)
            for card_id, holder in zip(ids, holders, strict=True)
        ]
        await self.shop.put(*cards)


async def _one(method: Any, request: Any) -> Any:
    """Awaits a call as a coroutine, as gathering wants it."""
    return await method(request)


def merchant_of(merchant_id: str) -> Merchant:
    """A merchant without terms."""
    return Merchant(merchant_id, "店", 2, MerchantState.ACTIVE, 0, 0, "", 500, "", "", "", 1)


def redemption_of(reference: str) -> Redemption:
    """A sale of a merchant to 王阿姨."""
    redemption_id = f"{reference.partition('-')[0]}/{reference}"
    state = RedemptionState.CAPTURED
    return Redemption(redemption_id, reference, "aa", state, 1, member_id="wang", amount=5)
