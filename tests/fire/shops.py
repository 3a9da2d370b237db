"""A shop whose tills sell while servers are killed, and what must hold afterwards.

Owns: the shop, its members, and the comparison of what tills were told with redemptions, ledger,
stock and budget. Nothing here sleeps.
"""

import asyncio
import pathlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import grpc.aio

from tests.fire.tills import PRICES, Till, own_id_of
from tests.support.commands import ISSUANCE, OPENING, POINTS, ZONE, new_id, post
from tests.support.crowds import BACKOFF_S, GIVE_UP_S, LEDGER, LEDGER_ID, calls, elapse
from tests.support.keys import ORIGIN
from tests.support.processes import ServerProcess
from timebank.client import LedgerClient
from timebank.client.merchant_views import MerchantCategory, RedemptionState
from timebank.client.merchants import MerchantClient
from timebank.client.till_recipes import TillResult, TillVerdict
from timebank.ledger.v1 import ledger_pb2, ledger_service_pb2
from timebank.merchant.v1 import (
    fund_service_pb2,
    merchant_service_pb2,
    redemption_pb2,
    redemption_service_pb2,
)
from timebank.merchant.v1.fund_service_pb2_grpc import FundServiceStub
from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceStub
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub

TILLS = 6
BUYERS = 5
"""Members of each till: a member has one payment code at a time."""
PURSE = 100_000
POOR = 1
"""Points of the first member of each till that has several: too few for anything."""
SHOP = f"{LEDGER}/merchants/shop"
BUDGET = f"{LEDGER}/budgets/b"
LIMIT_FEN = 10_000_000
STOCKS = {"coffee": 100_000, "cake": 60}
FEN_PER_HUNDRED_POINTS = 100
TRUTH_S = 10.0
IN_FLIGHT_MIN = 4
PAGE = 1_000
State = redemption_pb2.Redemption.State


@dataclass
class Shop:
    """A shop with tills, and the members who buy there."""

    folder: pathlib.Path
    address: str
    channel: grpc.aio.Channel
    operator: MerchantClient
    ledger: LedgerClient
    size: int = TILLS
    buyers: int = BUYERS
    stocks: dict[str, int] = field(default_factory=lambda: dict(STOCKS))
    tills: list[Till] = field(default_factory=list)
    purses: dict[str, str] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    on_sale: Callable[[], None] | None = None
    """Is called when a till begins to wait for the first answer about a sale."""

    def __post_init__(self) -> None:
        self.redemptions: Any = RedemptionServiceStub(self.channel)
        self.merchants: Any = MerchantServiceStub(self.channel)
        self.fund: Any = FundServiceStub(self.channel)

    async def open(self) -> None:
        """Makes the shop, its goods and its tills; each till has members, and one who is poor."""
        await self.operator.set_budget("b", display_name="专项基金", limit_fen=LIMIT_FEN)
        await self.operator.create_merchant(
            "shop",
            display_name="小卖部",
            category=MerchantCategory.DISCOUNT,
            fen_per_hundred_points=FEN_PER_HUNDRED_POINTS,
            budget="b",
        )
        for offer, price in PRICES.items():
            await self.operator.create_offer(
                "shop", offer, title=offer, price=price, stock=self.stocks[offer]
            )
        numbers = range(self.size)
        self.tills = await asyncio.gather(*(self._till(number) for number in numbers))

    async def _till(self, number: int) -> Till:
        """Makes a till and enrols it."""
        made = await self.operator.create_terminal("shop", f"t{number}", display_name="收银台")
        till = Till(self, made.name)
        await till.client.enrol(made.enrolment_code)
        return till

    async def welcome(self, ledger_channel: grpc.aio.Channel) -> None:
        """Registers the members of all tills and gives them points."""
        points = {f"m-{number}": PURSE for number in range(self.size * self.buyers)}
        if self.buyers > 1:
            points.update({f"m-{self.buyers * number}": POOR for number in range(self.size)})
        await self.register(ledger_channel, points)

    async def register(self, ledger_channel: grpc.aio.Channel, points: dict[str, int]) -> None:
        """Registers members who have so many points each."""
        stub = calls(ledger_channel)
        listing = ledger_service_pb2.ListAccountsRequest(parent=LEDGER)
        system = {(one.kind, one.unit): one for one in (await stub.ListAccounts(listing)).accounts}
        source = system[ISSUANCE, POINTS].name

        async def one(member_id: str) -> None:
            member = await self.ledger.register_member(member_id, home_unit="huancui/12dong")
            account = member.points_account
            made = post(OPENING, source, account, points[member_id])
            await stub.PostEntry(
                ledger_service_pb2.PostEntryRequest(parent=LEDGER, request_id=new_id(), post=made)
            )
            self.purses[member_id], self.starts[member_id] = account, points[member_id]

        await asyncio.gather(*(one(member_id) for member_id in points))

    @property
    def told(self) -> dict[str, TillResult]:
        """What every sale's till was told last."""
        return {ref: result for till in self.tills for ref, result in till.told.items()}

    def count(self) -> int:
        """How many sales came to an end for their tills."""
        return sum(len(till.told) for till in self.tills)

    @property
    def in_flight(self) -> int:
        """How many tills wait for the first answer about a sale."""
        return sum(till.is_waiting for till in self.tills)

    async def sold(self, count: int) -> None:
        """Returns when so many more sales came to their end, and a sale begins while others are
        under way.
        """
        enough, met = self.count() + count, asyncio.Event()

        def look() -> None:
            if self.count() >= enough and self.in_flight >= IN_FLIGHT_MIN:
                met.set()

        self.on_sale = look
        meeting = asyncio.create_task(met.wait())
        tasks = [till.task for till in self.tills if till.task is not None]
        try:
            async with asyncio.timeout(GIVE_UP_S):
                await asyncio.wait([meeting, *tasks], return_when=asyncio.FIRST_COMPLETED)
            assert met.is_set(), f"a till ended early: {tasks}"
        finally:
            meeting.cancel()
            self.on_sale = None

    async def listed(self, state: int = 0) -> list[redemption_pb2.Redemption]:
        """Lists redemptions as they stand; this asks the ledger nothing."""
        found: list[redemption_pb2.Redemption] = []
        token = ""
        while True:
            page = await self.redemptions.ListRedemptions(
                redemption_service_pb2.ListRedemptionsRequest(
                    parent=SHOP, page_size=PAGE, page_token=token, state=State.ValueType(state)
                )
            )
            found += page.redemptions
            token = page.next_page_token
            if not token:
                return found

    async def unknown(self) -> set[str]:
        """Gives the references of the redemptions that stand at STATE_UNKNOWN."""
        return {one.merchant_ref for one in await self.listed(State.STATE_UNKNOWN)}

    async def truth_comes(self) -> int:
        """Returns when nothing that is UNKNOWN now is so any more; gives how many there were."""
        left = first = await self.unknown()
        async with asyncio.timeout(TRUTH_S):
            while left:
                await elapse(BACKOFF_S)
                left = first & await self.unknown()
        return len(first)

    async def agrees(self) -> None:
        """Compares what tills were told, redemptions, ledger, stock and budget."""
        found = await self.listed()
        sums: Counter[str] = Counter()
        pieces: Counter[str] = Counter()
        for one in found:
            assert one.state not in (State.STATE_UNKNOWN, State.STATE_AUTHORIZED), one
            sums[one.member.rpartition("/")[2]] += one.captured_amount - one.refunded_amount
            if one.state == State.STATE_CAPTURED:
                pieces[one.offer.rpartition("/")[2]] += one.quantity
        entries = [entry for one in found for entry in one.entries]
        assert len(entries) == len(set(entries))
        for member_id, account in self.purses.items():
            balance = await self.ledger.get_balance(account)
            left = self.starts[member_id] - sums[member_id]
            assert (balance.posted, balance.available) == (left, left), member_id
        merchant = await self.operator.get_merchant("shop")
        assert (await self.ledger.get_balance(merchant.points_account)).posted == sums.total()
        for offer_id, stock in self.stocks.items():
            request = merchant_service_pb2.GetOfferRequest(name=f"{SHOP}/offers/{offer_id}")
            offer = await self.merchants.GetOffer(request)
            assert offer.stock == stock - pieces[offer_id] >= 0, offer_id
        budget = await self.fund.GetBudget(fund_service_pb2.GetBudgetRequest(name=BUDGET))
        assert (budget.reserved_fen, budget.spent_fen) == (0, sums.total())
        self._tills_know({one.merchant_ref: one for one in found})

    def _tills_know(self, found: dict[str, redemption_pb2.Redemption]) -> None:
        """Who was told DONE finds the sale, who was told REFUSED paid nothing; and so the journals,
        of tills that died too.
        """
        for ref, result in self.told.items():
            one = found.get(ref)
            if result.verdict is TillVerdict.REFUSED:
                assert one is None or one.captured_amount == one.refunded_amount, (result, one)
                continue
            view = result.redemption
            assert result.verdict is TillVerdict.DONE, result
            assert view is not None
            assert one is not None, result
            amounts = (one.captured_amount, one.refunded_amount)
            assert amounts == (view.captured_amount, view.refunded_amount), (result, one)
            assert State.Name(one.state) == f"STATE_{view.state}", (result, one)
            if view.state is RedemptionState.CAPTURED:
                assert (
                    one.captured_amount == one.amount == PRICES[own_id_of(one.offer)] * one.quantity
                )
            else:
                assert amounts[0] == amounts[1], one
        sales = {sale.merchant_ref: sale for till in self.tills for sale in till.journal.sales()}
        assert found.keys() <= sales.keys()
        for ref, sale in sales.items():
            one = found.get(ref, redemption_pb2.Redemption())
            amounts = (one.captured_amount, one.refunded_amount)
            assert amounts == (sale.captured_amount, sale.refunded_amount), (sale, one)
            assert sale.refused or State.Name(one.state) == f"STATE_{sale.state}", (sale, one)

    def start(self) -> None:
        """Lets every till sell."""
        for till in self.tills:
            till.start()

    async def finish(self) -> None:
        """Lets every till finish its last sale."""
        async with asyncio.timeout(GIVE_UP_S):
            for till in self.tills:
                await till.stop()

    @asynccontextmanager
    async def selling(self) -> AsyncIterator[None]:
        """Lets every till sell until the block ends."""
        self.start()
        try:
            yield
            await self.finish()
        finally:
            await asyncio.gather(*(till.die() for till in self.tills))


@asynccontextmanager
async def opened_shop(
    folder: pathlib.Path,
    ledger: ServerProcess,
    merchant: ServerProcess,
    *,
    size: int = TILLS,
    buyers: int = BUYERS,
    stocks: Mapping[str, int] = MappingProxyType({}),
) -> AsyncIterator[Shop]:
    """Makes the ledger and the shop, on two servers or on one, with so many tills and members of
    each; `stocks` win over STOCKS.
    """
    async with (
        ledger.channel() as ledger_channel,
        LedgerClient.connect(ledger.grpc_address, ledger=LEDGER_ID) as ledger_client,
        merchant.channel() as channel,
        MerchantClient.connect(merchant.grpc_address, ledger=LEDGER_ID) as operator,
    ):
        described = ledger_pb2.Ledger(display_name="威海", time_zone=ZONE, log_origin=ORIGIN)
        await calls(ledger_channel).CreateLedger(
            ledger_service_pb2.CreateLedgerRequest(
                ledger_id=LEDGER_ID, ledger=described, request_id=new_id()
            )
        )
        shop = Shop(folder, merchant.grpc_address, channel, operator, ledger_client, size, buyers)
        shop.stocks.update(stocks)
        await shop.welcome(ledger_channel)
        await shop.open()
        yield shop
