"""A shop whose tills sell while servers are killed, and what must hold afterwards.

Owns: the shop, its members, the recipe that its cashiers follow, and the comparison of what tills
were told with redemptions, ledger, stock and budget. Nothing here sleeps but the recipe's pauses.
"""

import asyncio
import pathlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from tests.support.commands import ISSUANCE, OPENING, POINTS, ZONE, new_id, post
from tests.support.crowds import BACKOFF_S, GIVE_UP_S, LEDGER, LEDGER_ID, calls, elapse
from tests.support.keys import ORIGIN
from tests.support.processes import ServerProcess
from timebank.client import LedgerClient
from timebank.client.calls import Repetition
from timebank.client.merchant_views import MerchantCategory, RedemptionState
from timebank.client.merchants import MerchantClient
from timebank.client.till_calls import is_open
from timebank.client.till_journal import TillJournal
from timebank.client.till_recipes import TillResult, TillVerdict
from timebank.client.till_requests import Purchase
from timebank.client.tills import TillClient
from timebank.errors import TimebankError
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
SHOP = f"{LEDGER}/merchants/shop"
BUDGET = f"{LEDGER}/budgets/b"
LIMIT_FEN = 10_000_000
PRICES = {"coffee": 3, "cake": 2}
STOCKS = {"coffee": 100_000, "cake": 60}
FEN_PER_HUNDRED_POINTS = 100
GIVES_UP = 0.3
REFUNDS = 0.2
PATIENCE = Repetition(attempts_max=3, pause_s=0.1, pause_max_s=0.4)
TRUTH_S = 10.0
LOOK_S = 0.002
IN_FLIGHT_MIN = 4
AGAIN_S = 0.2
"""How long a cashier waits before the same is asked for again."""
PAGE = 1_000
State = redemption_pb2.Redemption.State
REFUSALS = {"OUT_OF_STOCK", "INSUFFICIENT_BALANCE", "PAYMENT_CODE_INVALID"}
"""A code runs out while the till keeps asking for a sale that the server never got."""


@dataclass
class Shop:
    """A shop with tills, and the members who buy there."""

    folder: pathlib.Path
    address: str
    channel: grpc.aio.Channel
    operator: MerchantClient
    ledger: LedgerClient
    tills: list["Till"] = field(default_factory=list)
    purses: dict[str, str] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)

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
                "shop", offer, title=offer, price=price, stock=STOCKS[offer]
            )
        for number in range(TILLS):
            made = await self.operator.create_terminal("shop", f"t{number}", display_name="收银台")
            till = Till(self, made.name)
            self.tills.append(till)
            await till.client.enrol(made.enrolment_code)

    async def welcome(self, ledger_channel: grpc.aio.Channel) -> None:
        """Registers the members and gives them points."""
        stub = calls(ledger_channel)
        listing = ledger_service_pb2.ListAccountsRequest(parent=LEDGER)
        system = {(one.kind, one.unit): one for one in (await stub.ListAccounts(listing)).accounts}
        source = system[ISSUANCE, POINTS].name
        for number in range(TILLS * BUYERS):
            member_id = f"m-{number}"
            member = await self.ledger.register_member(member_id, home_unit="huancui/12dong")
            self.purses[member_id] = member.points_account
            self.starts[member_id] = PURSE if number % BUYERS else 1
            made = post(OPENING, source, member.points_account, self.starts[member_id])
            await stub.PostEntry(
                ledger_service_pb2.PostEntryRequest(parent=LEDGER, request_id=new_id(), post=made)
            )

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
        """Returns when so many more sales came to their end, and others are under way."""
        enough = self.count() + count
        async with asyncio.timeout(GIVE_UP_S):
            while self.count() < enough or self.in_flight < IN_FLIGHT_MIN:
                for till in self.tills:
                    assert not till.task or not till.task.done(), till.task
                await elapse(LOOK_S)

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
        for offer_id, stock in STOCKS.items():
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
                assert one.captured_amount == one.amount == PRICES[_id(one.offer)] * one.quantity
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


class Till:
    """A till whose cashier follows the recipe, and what it was told."""

    def __init__(self, shop: Shop, name: str) -> None:
        self._shop = shop
        self._name = name
        self._id = _id(name)
        first = int(self._id[1:]) * BUYERS
        self._buyers = [f"m-{number}" for number in range(first, first + BUYERS)]
        self._stopping = False
        self.is_waiting = False
        self.client = self._connected()
        self.task: asyncio.Task[None] | None = None
        self.told: dict[str, TillResult] = {}
        self.doubts: Counter[str] = Counter()

    def _connected(self) -> TillClient:
        folder = self._shop.folder / self._id
        return TillClient.connect(
            self._shop.address,
            terminal=self._name,
            key_file=folder / "till.pem",
            journal=TillJournal.open(folder / "journal.jsonl", self._name),
            repetition=PATIENCE,
        )

    @property
    def journal(self) -> TillJournal:
        """What the till wrote down."""
        return self.client.journal

    def start(self) -> None:
        """Sells until `stop`."""
        self._stopping = False
        self.task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while not self._stopping:
            await self.sell()

    async def stop(self) -> None:
        """Finishes the sale under way."""
        self._stopping = True
        if self.task is not None:
            await self.task

    async def die(self) -> None:
        """Ends in the middle of whatever it does."""
        self.is_waiting = False
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.journal.close()
        async with self.client:
            pass

    async def recover(self) -> None:
        """Starts as a till that lost power does: what the journal leaves open is found out, and
        what the server has not got is reversed, for its payment code is forgotten.
        """
        self.client = self._connected()
        while self.journal.to_send() or self.journal.to_ask():
            for result in await self.client.catch_up():
                if result.verdict is TillVerdict.UNKNOWN:
                    self.doubts["lost"] += 1
                    await self._reversed(result.merchant_ref)
            await elapse(BACKOFF_S)

    async def sell(self) -> None:
        """Sells something, and keeps asking, or reverses, until it is known how that ended."""
        purchase = Purchase(
            offer=random.choice(list(PRICES)),
            quantity=random.randint(1, 2),
            payment_code=await self._code(),
        )
        self.is_waiting = True
        result = await self.client.redeem_for_sure(purchase)
        self.is_waiting = False
        ref, gives_up = result.merchant_ref, random.random() < GIVES_UP
        while result.verdict is TillVerdict.UNKNOWN:
            self.doubts["sale"] += 1
            await elapse(AGAIN_S)
            if gives_up:
                result = await self._reversed(ref)
            else:
                result = await self.client.redeem_for_sure(purchase, merchant_ref=ref)
        error, view = result.error, result.redemption
        if result.verdict is TillVerdict.REFUSED:
            why = error.reason.value if error is not None else view.decline_reason if view else ""
            assert why in REFUSALS, result
        elif view is not None and view.state is RedemptionState.CAPTURED:
            result = await self._refunded(result) if random.random() < REFUNDS else result
        self.told[ref] = result

    async def _reversed(self, ref: str) -> TillResult:
        while True:
            result = await self.client.reverse_for_sure(ref)
            if result.verdict is not TillVerdict.UNKNOWN:
                return result
            self.doubts["reversal"] += 1
            await elapse(AGAIN_S)

    async def _refunded(self, sold: TillResult) -> TillResult:
        """Gives a point back; without an answer it waits in the journal and is sent again."""
        result = await self.client.refund_for_sure(sold.merchant_ref, 1)
        while result.verdict is TillVerdict.UNKNOWN:
            self.doubts["refund"] += 1
            await elapse(AGAIN_S)
            result = next(iter(await self.client.catch_up()), result)
        assert result.verdict is TillVerdict.DONE, result
        return result

    async def _code(self) -> str:
        buyer = random.choice(self._buyers)
        while True:
            try:
                return (await self._shop.operator.issue_payment_code(buyer, device=self._id)).code
            except TimebankError as error:
                if not is_open(error):
                    raise
                await elapse(BACKOFF_S)


@asynccontextmanager
async def opened_shop(
    folder: pathlib.Path, ledger: ServerProcess, merchant: ServerProcess
) -> AsyncIterator[Shop]:
    """Makes the ledger and the shop, on two servers or on one."""
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
        shop = Shop(folder, merchant.grpc_address, channel, operator, ledger_client)
        await shop.welcome(ledger_channel)
        await shop.open()
        yield shop


def _id(name: str) -> str:
    return name.rpartition("/")[2]
