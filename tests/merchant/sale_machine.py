"""The simulation of a shop: anybody asks for anything in any order, and anything goes wrong.

Owns the order of a step: the weather of the step, the call, then everything that can be read is
checked against the ledger's log (sale_books.py), the sums over all redemptions, and what callers
were told. Hypothesis chooses the steps and finds the shortest history that goes wrong.
"""

import asyncio
import pathlib
import random
import tempfile
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

from argon2 import PasswordHasher
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ledger.audit.run import audit_database
from merchant.domain.documents import (
    Counter,
    Document,
    Merchant,
    Redemption,
    Wallet,
)
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.domain.transactions import Transaction
from merchant.usecases.programmes import carry_out
from merchant.usecases.redemptions import Redemptions
from merchant.usecases.sweeper import Sweeper
from merchant.usecases.vouchers import Vouchers
from merchant.usecases.wallets import Wallets
from tests.merchant.flaky_ledgers import (
    DyingSequencer,
    Fault,
    ProcessDied,
    Weather,
    programmes_beside,
)
from tests.merchant.sale_books import (
    GONE,
    SaleBooks,
    audit_shop,
    check_documents,
    last_write,
)
from tests.merchant.sale_calls import MEMBERS, Asked, Calls
from tests.merchant.sale_pins import RIGHT, Pins
from tests.merchant.sale_shops import (
    CONTROLS,
    DAY_PIECES,
    LIMIT_FEN,
    MEMBER_PIECES,
    MORE_FEN,
    furnish,
    shop_in,
)
from tests.merchant.shops import (
    SHOP,
    merchant_url_of,
)
from tests.support.commands import ISSUANCE, SETTLEMENT, post
from tests.support.commands import POINTS as UNIT_POINTS
from tests.support.processes import START_TIMEOUT_S, check_health
from timebank.config import DatabaseConfig
from timebank.errors import Reason, TimebankError

T = TypeVar("T")
R = RedemptionState
K = DocumentKind
KINDS = (
    *("sell",) * 10,
    *("capture", "capture", "capture", "refund", "again") * 3,
    *("void", "reverse", "retry") * 2,
    *("wait", "sweep", "deliver", "restart") * 2,
    *("confirm",) * 3,
    *("wrong_pin", "reset_pin", "reset_pin"),
    *(
        "early_reverse",
        "collect",
        "wrong_code",
        "settle",
        "together",
        "top_up",
        "collect",
        "settle",
    ),
)
DRAWN = ("any",) * 4 * len(KINDS) + KINDS
"""Most of the kinds are left to the seed, which spreads them better."""
FAULTS = (*set(Fault) - {Fault.KILLED}, Fault.DOWN, Fault.LOST)
KILLS = (Fault.KILLED,) * 5
HURRY = 0.3
"""How often a step is somebody's yes, as long as a redemption waits: it does so for a minute."""
WAITS_S = (0, 1, 3, 30, 61, 16 * 60, 16 * 60, 13 * 3_600, -2, -120, -20 * 60)
TERMINAL = {R.CAPTURED: {R.CAPTURED, R.REVERSED}} | {state: {state} for state in GONE}
"""Final states and what may still be seen after them."""
PAID_AHEAD = 485
"""Points that are paid out before they came in, so that a few refunds exhaust the debt of 500."""


class ShopSimulation(RuleBasedStateMachine):
    """One shop from its opening on. Subclasses say on which database."""

    runner: ClassVar[asyncio.Runner]
    new_database: ClassVar[Callable[[pathlib.Path], str]]
    reached: ClassVar[Tally[str]]
    round_number: ClassVar[int] = 0
    apart: ClassVar[bool] = False
    """The ledger is in a process of its own, which may be killed."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory(prefix="timebank-shop-")
        self.steps = 0
        self.opened = False

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize()
    def open(self) -> None:
        """A shop with two offers, three members, velocity controls and a budget that is short."""
        self._run(self._open())
        self.opened = True

    async def _open(self) -> None:
        folder = pathlib.Path(self.folder.name)
        self.url = type(self).new_database(folder)
        self.weather = Weather()
        opened = shop_in(self.weather, folder, self.url, apart=self.apart)
        self.shop = shop = await self.ends.enter_async_context(opened)
        self.merchant = await furnish(shop)
        self.books = SaleBooks(shop.world)
        self.seen: dict[str, Redemption] = {}
        self.standing: tuple[int, ...] = ()
        self.settled = 0
        self.limit_fen = LIMIT_FEN
        self.calls = Calls(shop)
        self.pins = self.calls.pins = Pins(shop, self.weather.boundary)
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        for name in MEMBERS:
            await self.pins.give(name, hasher.hash(RIGHT))
        await self._restart()
        await self._check()

    async def _restart(self) -> None:
        """Another process takes over; the one before it is gone."""
        shop = self.shop
        self.weather.boundaries_to_live = None
        await shop.programmes.close()
        await self.weather.settle_down()
        shop.programmes = programmes_beside(shop, self.weather)
        shop.programme = await shop.programmes.programme("weihai", None)
        real = shop.programme.sequencer
        shop.programme.sequencer = DyingSequencer(real, self.weather)
        random_bytes = shop.world.process.runtime.random_bytes
        shop.redemptions = Redemptions(shop.programmes)
        shop.wallets = Wallets(shop.programmes, key=b"k" * 32, random_bytes=random_bytes)
        self.calls.vouchers = Vouchers(shop.programmes, shop.redemptions, key=b"v" * 32)

    @rule(
        which=st.sampled_from(DRAWN),
        seed=st.integers(0, 2**32),
        rough=st.sampled_from((True, False)),
    )
    def step(self, which: str, seed: int, rough: bool) -> None:
        """One step of the kind; the seed says which, and what goes wrong.

        The first histories of a round are Hypothesis's simplest: they have rough weather too, and
        other steps in each round.
        """
        self.steps += 1
        chance = random.Random(f"{self.round_number}/{seed}/{self.steps}")
        kind = chance.choice(KINDS) if which == "any" else which
        hurries = which == "any" and chance.random() < HURRY
        if hurries and self.calls.waiting(list(self.seen.values())):
            kind = "confirm"
        if kind == "reset_pin" and not self.pins.worst(locked=True).pin_locked:
            kind = "wrong_pin"
        self._run(self._step(kind, chance, rough=rough))

    async def _step(self, which: str, chance: random.Random, *, rough: bool) -> None:
        self.calls.chance = self.weather.moments = chance
        if which == "wait":
            self.shop.world.clock.advance(seconds=chance.choice(WAITS_S))
        elif which == "restart":
            await self._restart()
        elif which == "deliver":
            if await self.weather.deliver():
                self.reached["delivered late"] += 1
                await self._settle_down()
        elif which == "settle":
            await self._settle()
        elif which == "top_up":
            await self._top_up()
        else:
            self._cloud_over(chance, rough=rough)
            await self._act(which, chance)
            self.weather.clear_up()
        await self._check()

    def _cloud_over(self, chance: random.Random, *, rough: bool) -> None:
        if not rough:
            return
        if chance.random() < 0.4:
            self.weather.boundaries_to_live = chance.randrange(7)
        else:
            faults = (*FAULTS, *KILLS) if self.apart else FAULTS
            self.weather.faults.extend(chance.choices(faults, k=chance.randrange(1, 3)))

    async def _act(self, which: str, chance: random.Random) -> None:
        if which == "sweep":
            sweeper = Sweeper(self.shop.programmes, self.shop.redemptions, interval_s=1)
            await self._goes_on(sweeper.sweep())
            return
        if which == "reset_pin":
            await self._goes_on(self.pins.reset_worst())
            return
        kinds = ("sell", "capture", "refund", "void", "reverse", "again", "retry", "confirm")
        several = [which] if which != "together" else chance.choices(kinds, k=3)
        if which == "wrong_pin":
            several *= chance.randint(1, 3)
        made = [asked for kind in several if (asked := await self._made(kind)) is not None]
        if len(made) == 1 and chance.random() < 0.15:
            made *= 2
        await self._goes_on(self._all(made))

    async def _made(self, kind: str) -> Asked | None:
        """Prepares a call; codes are issued in any weather."""
        faults, lives = list(self.weather.faults), self.weather.boundaries_to_live
        self.weather.clear_up()
        try:
            return await self.calls.make(kind, list(self.seen.values()))
        except TimebankError as error:
            if error.reason is not Reason.RATE_LIMITED:
                raise
            return None
        finally:
            self.weather.faults.extend(faults)
            self.weather.boundaries_to_live = lives

    async def _all(self, made: list[Asked]) -> None:
        results = await asyncio.gather(
            *(self.calls.ask(asked, self.reached) for asked in made), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _goes_on(self, call: Awaitable[object]) -> None:
        """Waits for a call until it is done, its process died, or something is late: then whoever
        called goes away.
        """
        task = asyncio.ensure_future(call)
        late = asyncio.ensure_future(self.weather.parking.wait())
        await asyncio.wait([task, late], return_when=asyncio.FIRST_COMPLETED)
        late.cancel()
        if not task.done():
            self.weather.parking.clear()
            task.cancel()
        try:
            await task
        except ProcessDied:
            self.reached["died"] += 1
            await self._restart()
        except asyncio.CancelledError:
            self.reached["went away"] += 1
            await self._settle_down()

    async def _settle_down(self) -> None:
        """Waits for what goes on without its caller: written requests, and their questions."""
        self.weather.boundaries_to_live = None

        def rule(transaction: Transaction) -> Document:
            found = transaction.find(Merchant, SHOP)
            assert found is not None
            return found

        await carry_out(self.shop.programme, rule)
        await self.weather.settle_down()

    async def _settle(self) -> None:
        """The merchant's points are paid out, so that refunds exhaust its debt."""
        world = self.shop.world
        account = self.merchant.points_account
        paid = (await world.balance(account)).posted + PAID_AHEAD
        if paid > 0:
            await world.post(post(SETTLEMENT, account, world.system[ISSUANCE, UNIT_POINTS], paid))
            self.settled += paid

    async def _top_up(self) -> None:
        budget = await self.shop.found(K.BUDGET, "b")
        self.limit_fen += MORE_FEN
        await self.shop.put(budget._replace(limit_fen=self.limit_fen))

    async def _listed(self, kind: DocumentKind, parent: str) -> list[Any]:
        programmes, programme = self.shop.programmes, self.shop.programme
        return [item for _, item in await programmes.listed(programme, kind, parent, limit=10_000)]

    async def _check(self) -> None:
        """Compares all that can be read, and reads it again when something was written."""
        await check_health(self.shop.world.channel, timeout_s=START_TIMEOUT_S)
        await self.books.read_on()
        standing = (*await last_write(self.shop), self.books.size)
        moved, self.standing = standing != self.standing, standing
        wallets = await self.pins.look(self.reached, moved=moved)
        redemptions = list(self.seen.values())
        if moved:
            redemptions = await self._listed(K.REDEMPTION, SHOP)
        for one in redemptions:
            self.books.check(one)
            self.calls.check(one)
            self._check_one(one, wallets)
        self.pins.end_step()
        assert len(self.seen) == len(redemptions), "a redemption is gone"
        if moved:
            await check_documents(self.shop)
            await self._check_limits()
            await self._check_balances(redemptions)

    def _check_one(self, one: Redemption, wallets: dict[str, Wallet]) -> None:
        before = self.seen.get(one.redemption_id)
        self.pins.check(one, before, wallets)
        if before is not None:
            may = TERMINAL.get(before.state, {*R})
            assert one.state in may, f"{before} became {one}"
            assert one.captured >= before.captured
            assert one.refunded >= before.refunded
        self.seen[one.redemption_id] = one
        self.reached[one.state.name] += 1

    async def _check_limits(self) -> None:
        """No limit was exceeded by what the counters count, nor the stock."""
        book = await self.shop.found(K.OFFER, f"{SHOP}/book")
        assert book.stock >= 0
        limits = {control.control_id: control for control in CONTROLS}
        counters: list[Counter] = await self._listed(K.COUNTER, "")
        for counter in counters:
            name = counter.counter_id
            limit = limits.get(name.partition("/")[0])
            if limit is not None:
                assert not limit.amount_max or counter.amount <= limit.amount_max
                assert not limit.count_max or counter.times <= limit.count_max
            if name.startswith("pieces/"):
                assert counter.times <= (DAY_PIECES if "//" in name else MEMBER_PIECES)

    async def _check_balances(self, redemptions: list[Redemption]) -> None:
        if any(one.pending is not None for one in redemptions):
            return
        taken: Tally[str] = Tally()
        for one in redemptions:
            taken[one.member_id] += one.captured - one.refunded
        for member, points in MEMBERS.items():
            assert await self.shop.points_of(member) == points - taken[member], member
        account = await self.shop.world.balance(self.merchant.points_account)
        assert account.posted == taken.total() - self.settled

    def teardown(self) -> None:
        try:
            if self.opened:
                self._run(self._calm_down())
        finally:
            if self.opened:
                self._run(self.ends.aclose())
            self.folder.cleanup()

    async def _calm_down(self) -> None:
        """The failures stop: what is late arrives, the sweeper works, and nothing stays open."""
        self.weather.clear_up()
        await self.weather.deliver()
        await self._check()
        sweeper = Sweeper(self.shop.programmes, self.shop.redemptions, interval_s=1)
        clock, moved_us = self.shop.world.clock, self.books.world.clock.now_us()
        moved_us = max([one.created_us for one in self.seen.values()] + [moved_us])
        clock.advance(us=moved_us - clock.now_us())
        for seconds in (3, 3, 40 * 60, 3, 3):
            clock.advance(seconds=seconds)
            await sweeper.sweep()
            await self._check()
        for one in self.seen.values():
            assert one.pending is None, one
            assert one.state in (R.CAPTURED, *GONE), one
        assert not any(self.books.held.values()), "something is still held"
        for asked in self.calls.unanswered():
            await self.calls.ask(asked, self.reached)
        await self._check()
        for end, times in self.weather.kills.items():
            self.reached[f"ledger killed {end}"] += times
        report = await audit_database(DatabaseConfig(url=self.url))
        assert report.difference is None, report.difference
        url = merchant_url_of(self.url, pathlib.Path(self.folder.name))
        await audit_shop(self.shop, url, self.url)
