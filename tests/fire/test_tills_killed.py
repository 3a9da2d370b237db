"""kill -9 of a server while tills sell: what a till was told is true, once, and nothing is left
open.

Owns the shop, its tills and what they were told; test_till_apart.py sells in the same shop.
"""

import asyncio
import pathlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import pytest

from ledger.audit.run import audit_database
from tests.fire.conftest import Serve
from tests.merchant.shops import merchant_url_of
from tests.support.commands import ISSUANCE, OPENING, POINTS, ZONE, new_id, post
from tests.support.crowds import BACKOFF_S, GIVE_UP_S, LEDGER, LEDGER_ID, calls, elapse
from tests.support.keys import ORIGIN, make_key
from tests.support.processes import TOP, ServerProcess
from timebank.client import LedgerClient
from timebank.client.calls import Repetition
from timebank.client.merchant_views import MerchantCategory, RedemptionState
from timebank.client.merchants import MerchantClient
from timebank.client.till_calls import is_open
from timebank.client.till_journal import TillJournal
from timebank.client.till_recipes import TillResult, TillVerdict
from timebank.client.till_records import Sale
from timebank.client.tills import Purchase, TillClient
from timebank.config import DatabaseConfig
from timebank.errors import Reason, TimebankError
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
ANSWERS_BEFORE_KILL = (5, 25)
PATIENCE = Repetition(attempts_max=3, pause_s=0.05, pause_max_s=0.2)
TRUTH_S = 10.0
LOOK_S = 0.002
PAGE = 1_000
State = redemption_pb2.Redemption.State
EXPECTED_REFUSALS = {
    *("OUT_OF_STOCK", "INSUFFICIENT_BALANCE", "REVERSED_BEFORE_AUTHORIZATION"),
    *("PAYMENT_CODE_INVALID", "REVERSED"),
}


@dataclass
class Shop:
    """A shop with tills, and the members who buy there."""

    folder: pathlib.Path
    address: str
    channel: grpc.aio.Channel
    operator: MerchantClient
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
            await till.open()
            await till.client.enrol(made.enrolment_code)

    async def welcome(self, ledger: LedgerClient, ledger_channel: grpc.aio.Channel) -> None:
        """Registers the members and gives them points."""
        stub = calls(ledger_channel)
        listing = ledger_service_pb2.ListAccountsRequest(parent=LEDGER)
        system = {(one.kind, one.unit): one for one in (await stub.ListAccounts(listing)).accounts}
        source = system[ISSUANCE, POINTS].name
        for number in range(TILLS * BUYERS):
            member_id = f"m-{number}"
            member = await ledger.register_member(member_id, home_unit="huancui/12dong")
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

    async def sold(self, count: int) -> None:
        """Returns when so many more sales came to their end."""
        enough = self.count() + count
        async with asyncio.timeout(GIVE_UP_S):
            while self.count() < enough:
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

    async def agrees(self, ledger: LedgerClient) -> None:
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
            balance = await ledger.get_balance(account)
            left = self.starts[member_id] - sums[member_id]
            assert (balance.posted, balance.available) == (left, left), member_id
        merchant = await self.operator.get_merchant("shop")
        assert (await ledger.get_balance(merchant.points_account)).posted == sums.total()
        for offer_id, stock in STOCKS.items():
            request = merchant_service_pb2.GetOfferRequest(name=f"{SHOP}/offers/{offer_id}")
            offer = await self.merchants.GetOffer(request)
            assert offer.stock == stock - pieces[offer_id] >= 0, offer_id
        budget = await self.fund.GetBudget(fund_service_pb2.GetBudgetRequest(name=BUDGET))
        assert (budget.reserved_fen, budget.spent_fen) == (0, sums.total())
        self._was_told_the_truth({one.merchant_ref: one for one in found})

    def _was_told_the_truth(self, found: dict[str, redemption_pb2.Redemption]) -> None:
        """A till that was told DONE finds its sale, and one that was told REFUSED paid nothing."""
        told = self.told
        assert found.keys() <= told.keys(), found.keys() - told.keys()
        for ref, result in told.items():
            one = found.get(ref)
            if result.verdict is TillVerdict.REFUSED:
                assert one is None or one.captured_amount == one.refunded_amount, (ref, result, one)
                continue
            assert result.verdict is TillVerdict.DONE, result
            assert one is not None, (ref, "was told DONE and is not there")
            view = result.redemption
            assert view is not None
            amounts = (one.captured_amount, one.refunded_amount)
            assert amounts == (view.captured_amount, view.refunded_amount), (ref, result, one)
            assert State.Name(one.state) == f"STATE_{view.state.value}", (ref, result, one)
            if view.state is RedemptionState.CAPTURED:
                assert one.captured_amount == one.amount == PRICES[_id(one.offer)] * one.quantity
            else:
                assert (view.state, amounts[0]) == (RedemptionState.REVERSED, amounts[1]), result
        for till in self.tills:
            journal = till.client.journal
            assert not journal.to_send()
            assert not journal.to_ask()
            for sale in journal.sales():
                assert _taken(sale) == _net(found.get(sale.merchant_ref)), sale

    @asynccontextmanager
    async def selling(self) -> AsyncIterator[None]:
        """Lets every till sell until the block ends, and then finish its last sale."""
        for till in self.tills:
            till.start()
        try:
            yield
        except BaseException:
            for till in self.tills:
                await till.die()
            raise
        async with asyncio.timeout(GIVE_UP_S):
            for till in self.tills:
                await till.stop()


class Till:
    """A till whose cashier follows the recipe, and what it was told."""

    def __init__(self, shop: Shop, name: str) -> None:
        self._shop = shop
        self._name = name
        self._id = _id(name)
        number = int(self._id[1:])
        self._buyers = [f"m-{number * BUYERS + at}" for at in range(BUYERS)]
        self._stopping = False
        self.client: TillClient
        self.task: asyncio.Task[None] | None = None
        self.told: dict[str, TillResult] = {}
        self.doubts: Counter[str] = Counter()

    async def open(self) -> None:
        """Opens the journal and connects."""
        folder = self._shop.folder / self._id
        self.client = TillClient.connect(
            self._shop.address,
            terminal=self._name,
            key_file=folder / "till.pem",
            journal=TillJournal.open(folder / "journal.jsonl", self._name),
            repetition=PATIENCE,
        )

    async def close(self) -> None:
        """Disconnects and closes the journal."""
        self.client.journal.close()
        async with self.client:
            pass

    def start(self) -> None:
        """Sells until `stop`."""
        self._stopping = False
        self.task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Finishes the sale under way."""
        self._stopping = True
        if self.task is not None:
            await self.task

    async def die(self) -> None:
        """Ends in the middle of whatever it does."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        await self.close()

    async def recover(self) -> None:
        """Starts as a till that lost power does: what the journal leaves open is found out; what
        the server has not got is reversed, for the payment code is forgotten.
        """
        await self.open()
        journal = self.client.journal
        while journal.to_send() or journal.to_ask():
            for result in await self.client.catch_up():
                ref = result.merchant_ref
                if result.verdict is TillVerdict.UNKNOWN:
                    self.doubts["lost"] += 1
                    result = await self._reversed(ref)
                self.told[ref] = result
            await elapse(BACKOFF_S)
        for sale in journal.sales():
            if sale.merchant_ref not in self.told:
                self.told[sale.merchant_ref] = await self._looked_up(sale.merchant_ref)

    async def _work(self) -> None:
        while not self._stopping:
            await self.sell()

    async def sell(self, *, gives_up: bool | None = None) -> TillResult:
        """Sells something, and keeps asking until it is known how that ended."""
        purchase = Purchase(
            offer=random.choice(list(PRICES)),
            quantity=random.randint(1, 2),
            payment_code=await self._code(),
        )
        gives_up = random.random() < 0.3 if gives_up is None else gives_up
        result = await self.client.redeem_for_sure(purchase)
        ref = result.merchant_ref
        while result.verdict is TillVerdict.UNKNOWN:
            self.doubts["sale"] += 1
            if gives_up:
                result = await self._reversed(ref)
            else:
                result = await self.client.redeem_for_sure(purchase, merchant_ref=ref)
        if result.verdict is TillVerdict.REFUSED:
            error, view = result.error, result.redemption
            why = error.reason.value if error is not None else view.state.value if view else ""
            assert why in EXPECTED_REFUSALS, result
        elif result.redemption is not None and result.redemption.captured_amount > 1:
            result = await self._refunded(result) if random.random() < 0.2 else result
        self.told[ref] = result
        return result

    async def _reversed(self, ref: str) -> TillResult:
        while True:
            result = await self.client.reverse_for_sure(ref)
            if result.verdict is not TillVerdict.UNKNOWN:
                return result
            self.doubts["reversal"] += 1

    async def _refunded(self, sold: TillResult) -> TillResult:
        """Gives a point back; without an answer it waits in the journal and is sent again."""
        ref = sold.merchant_ref
        result = await self.client.refund_for_sure(ref, 1)
        while result.verdict is TillVerdict.UNKNOWN:
            self.doubts["refund"] += 1
            result = next(iter(await self.client.catch_up()), result)
        if result.verdict is TillVerdict.DONE:
            return result
        # The sale was reversed by nobody and has enough left: there is no other reason.
        raise AssertionError(result)

    async def _looked_up(self, ref: str) -> TillResult:
        """Gives what is known of a sale whose last answer this process never saw."""
        try:
            return await self.client.look_up(ref)
        except TimebankError as error:
            assert error.reason is Reason.REDEMPTION_NOT_FOUND, error
            sale = self.client.journal.sale(ref)
            assert sale is not None
            assert sale.refused
            return TillResult(
                action=_action(self.client, ref),
                merchant_ref=ref,
                verdict=TillVerdict.REFUSED,
                error=error,
            )

    async def _code(self) -> str:
        buyer = random.choice(self._buyers)
        while True:
            try:
                return (await self._shop.operator.issue_payment_code(buyer, device=self._id)).code
            except TimebankError as error:
                if not is_open(error):
                    raise
                await elapse(BACKOFF_S)
