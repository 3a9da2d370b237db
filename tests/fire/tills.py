"""A till whose cashier follows the recipe, and what it was told.

Nothing here sleeps but the recipe's pauses.
"""

import asyncio
import pathlib
import random
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from tests.support.crowds import BACKOFF_S, elapse
from timebank.client.calls import Repetition
from timebank.client.merchant_views import RedemptionState
from timebank.client.merchants import MerchantClient
from timebank.client.till_calls import is_open
from timebank.client.till_journal import TillJournal
from timebank.client.till_recipes import TillResult, TillVerdict
from timebank.client.till_requests import Purchase
from timebank.client.tills import TillClient
from timebank.errors import TimebankError

PRICES = {"coffee": 3, "cake": 2}
GIVES_UP = 0.3
REFUNDS = 0.2
PATIENCE = Repetition(attempts_max=3, pause_s=0.1, pause_max_s=0.4)
AGAIN_S = 0.2
"""How long a cashier waits before the same is asked for again."""
REFUSALS = {"OUT_OF_STOCK", "INSUFFICIENT_BALANCE", "PAYMENT_CODE_INVALID"}
"""A code runs out while the till keeps asking for a sale that the server never got."""


class Place(Protocol):
    """What a till needs of its shop."""

    folder: pathlib.Path
    address: str
    operator: MerchantClient
    buyers: int
    on_sale: Callable[[], None] | None


class Till:
    """A till whose cashier follows the recipe, and what it was told."""

    def __init__(self, shop: Place, name: str) -> None:
        self._shop = shop
        self._name = name
        self._id = own_id_of(name)
        first = int(self._id[1:]) * shop.buyers
        self._buyers = [f"m-{number}" for number in range(first, first + shop.buyers)]
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
        if self._shop.on_sale is not None:
            self._shop.on_sale()
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


def own_id_of(name: str) -> str:
    """Gives the last part of a resource name."""
    return name.rpartition("/")[2]
