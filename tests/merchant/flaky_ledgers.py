"""A ledger that is away, whose answers get lost or come late, and processes that die on the way.

Owns what goes wrong between the merchant service and the ledger, and that a question which is asked
again gets the answer it got before. What goes wrong stands in a `Weather` that outlives a process.
"""

import asyncio
import enum
import random
from collections import Counter as Tally
from collections import deque
from dataclasses import dataclass, field

from merchant.domain.documents import Redemption
from merchant.ledger_client import Accounts, Ledger, LedgerUnavailable, Said
from merchant.sequencer import Answer, Request, Sequencer
from merchant.usecases.programmes import Programmes
from merchant.usecases.redemptions import Redemptions
from tests.merchant.shops import SERVICE, ShopWorld
from tests.support.ledgers_apart import LedgerProcess

KILL_WITHIN_S = 0.006
"""A question takes some milliseconds: a kill comes before it is carried out, after, or between."""


class Fault(enum.Enum):
    """What becomes of one question."""

    NONE = "it is answered"
    DOWN = "it never arrives"
    LOST = "it is carried out and the answer is lost"
    LATE = "it arrives when the test says so; whoever asked has gone away"
    LATE_ANSWER = "it is carried out, its answer arrives when the test says so"
    KILLED = "the ledger's process is killed after it was asked, and starts again"


class ProcessDied(Exception):
    """The process ended at this point: whatever would follow is not done."""


@dataclass
class Weather:
    """What goes wrong next."""

    faults: deque[Fault] = field(default_factory=deque)
    always: Fault = Fault.NONE
    boundaries_to_live: int | None = None
    """Steps between transactions and questions after which the process dies; None: it lives."""
    said: dict[str, Said] = field(default_factory=dict)
    """What the ledger said to each question that arrived."""
    parked: list[tuple[asyncio.Event, "asyncio.Task[object]"]] = field(default_factory=list)
    parking: asyncio.Event = field(default_factory=asyncio.Event)
    ledger: LedgerProcess | None = None
    """The process to kill, where the ledger has one of its own."""
    moments: random.Random = field(default_factory=lambda: random.Random(0))
    kills: Tally[str] = field(default_factory=Tally)
    """How many questions were answered although the ledger was killed, and how many were not."""

    def clear_up(self) -> None:
        """From now on nothing goes wrong."""
        self.faults.clear()
        self.always = Fault.NONE
        self.boundaries_to_live = None

    def boundary(self) -> None:
        """Passes a point at which a process may die."""
        if self.boundaries_to_live is None:
            return
        self.boundaries_to_live -= 1
        if self.boundaries_to_live < 0:
            raise ProcessDied

    def next_fault(self) -> Fault:
        """Takes the fault of the next question."""
        return self.faults.popleft() if self.faults else self.always

    async def park(self) -> None:
        """Waits until the test delivers what is late."""
        task = asyncio.current_task()
        assert task is not None
        released = asyncio.Event()
        self.parked.append((released, task))
        self.parking.set()
        await released.wait()

    async def kill(self, question: "asyncio.Task[Said]") -> None:
        """Kills the ledger while it is asked, and starts it again."""
        assert self.ledger is not None, "faults of a ledger in a process of its own"
        await asyncio.wait([question], timeout=self.moments.uniform(0, KILL_WITHIN_S))
        self.ledger.kill()
        self.ledger.start()
        await asyncio.wait([question])
        self.kills["unanswered" if question.exception() else "answered"] += 1

    async def settle_down(self) -> None:
        """Waits until everybody who asks, also for callers who have gone away, has ended, or waits
        for what is late.
        """
        while True:
            late = {task for _, task in self.parked}
            busy = {task for task in asyncio.all_tasks() if _asks(task) and task not in late}
            if not busy:
                return
            self.parking.clear()
            parked = asyncio.ensure_future(self.parking.wait())
            await asyncio.wait({parked, *busy}, return_when=asyncio.FIRST_COMPLETED)
            parked.cancel()

    async def deliver(self) -> int:
        """Lets everything that is late arrive and waits for what it leads to; gives how much."""
        late, self.parked = self.parked, []
        self.parking.clear()
        for released, _ in late:
            released.set()
        tasks = [task for _, task in late if not task.done()]
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()
        return len(late)


def _asks(task: "asyncio.Task[object]") -> bool:
    return getattr(task.get_coro(), "__qualname__", "") == Redemptions._settle.__qualname__


class FlakyLedger(Ledger):
    """The real client, in a weather."""

    def __init__(self, real: Ledger, weather: Weather) -> None:
        self.client, self.ledger_id = real.client, real.ledger_id
        self.weather = weather

    async def ask(self, redemption: Redemption, merchant: Accounts) -> Said:
        """Asks, unless something goes wrong; the same question always gets the same answer."""
        weather = self.weather
        weather.boundary()
        fault = weather.next_fault()
        if fault is Fault.DOWN:
            raise LedgerUnavailable("down")
        if fault is Fault.LATE:
            await weather.park()
        question = asyncio.ensure_future(super().ask(redemption, merchant))
        if fault is Fault.KILLED:
            await weather.kill(question)
        said = await question
        pending = redemption.pending
        assert pending is not None
        first = weather.said.setdefault(pending.request_id, said)
        assert first == said, f"{pending} was answered {first} and then {said}"
        if fault is Fault.LATE_ANSWER:
            await weather.park()
        weather.boundary()
        if fault is Fault.LOST:
            raise LedgerUnavailable("the answer is lost")
        return said


class DyingSequencer(Sequencer):
    """The real writer of a process that may die as soon as something is written."""

    def __init__(self, real: Sequencer, weather: Weather) -> None:
        self.real = real
        self.weather = weather

    async def submit(self, request: Request) -> Answer:
        """Has a request carried out; the process may not live to see the answer."""
        answer = await self.real.submit(request)
        self.weather.boundary()
        return answer

    async def close(self) -> None:
        """Ends the real writer."""
        await self.real.close()


def programmes_beside(shop: ShopWorld, weather: Weather) -> Programmes:
    """Another process of the merchant service on the same database, in a weather."""
    runtime = shop.world.process.runtime
    channel = shop.world.channel_of(SERVICE)
    return Programmes(
        shop.programmes.databases,
        clock=shop.world.clock,
        random_bytes=runtime.random_bytes,
        ledger_of=lambda ledger_id: FlakyLedger(Ledger(ledger_id, channel, None), weather),
        spawn=runtime.spawn,
    )


def make_flaky(shop: ShopWorld) -> Weather:
    """Puts the shop's own process into a weather, which is fine until the test changes it."""
    weather = Weather()
    shop.programme.ledger = FlakyLedger(shop.programme.ledger, weather)
    return weather
