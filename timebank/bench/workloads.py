"""What one caller does once: the registry of workloads for the load generator.

Owns: how the requests of each workload are made. Rules: everything but the request id is made
before the clock starts; accounts are drawn from a seeded generator, so that two runs ask the same;
request ids are random, as those of real callers are, because ids in order would flatter an index.
"""

import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc.aio

from timebank.bench.plans import LoadPlan
from timebank.channels import open_channel
from timebank.client import EntryKind, LedgerClient, Post, Unit, move, raw
from timebank.client.names import Names
from timebank.errors import TimebankError

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
TIMEOUT_S = 60.0
TEMPLATES_MAX = 20_000
Step = Callable[[], Awaitable[int]]
"""Makes one request; gives how many entries or answers were acknowledged."""
Prepare = Callable[["Load"], Awaitable[Step]]
WORKLOADS: dict[str, Prepare] = {}


@dataclass(slots=True)
class Load:
    """What workloads share: the plan, a channel, and where refusals are counted."""

    plan: LoadPlan
    resources: AsyncExitStack
    failures: Counter[str] = field(default_factory=Counter)

    async def method(self, path: str) -> Callable[[bytes], Awaitable[bytes]]:
        """Opens the channel for a unary method that takes and gives bytes."""
        channel: grpc.aio.Channel = open_channel(self.plan.address)
        self.resources.push_async_callback(channel.close)
        # Without serialisers: bytes in, bytes out.
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)

        async def ask(request: bytes) -> bytes:
            return await call(request, timeout=TIMEOUT_S)

        return ask

    def posts(self) -> list[Post]:
        """Makes redemptions of 1 point between accounts of the plan, each debit account once."""
        draw = random.Random(self.plan.seed)
        credit = self.plan.credit_accounts
        debits = self.plan.debit_accounts[:TEMPLATES_MAX]
        return [
            Post(
                kind=EntryKind.REDEMPTION,
                postings=move(debit=debit, credit=draw.choice(credit), unit=Unit.POINTS, amount=1),
            )
            for debit in draw.sample(debits, len(debits))
        ]


def workload(name: str) -> Callable[[Prepare], Prepare]:
    """Registers what prepares a workload."""

    def register(prepare: Prepare) -> Prepare:
        assert name not in WORKLOADS, f"expected one workload {name!r}, got a second"
        WORKLOADS[name] = prepare
        return prepare

    return register


@workload("empty")
async def prepare_empty(load: Load) -> Step:
    """Asks the health service, which does nothing."""
    ask = await load.method(HEALTH_CHECK)

    async def step() -> int:
        await ask(b"")
        return 1

    return step


@workload("post")
async def prepare_post(load: Load) -> Step:
    """Posts one redemption a call with PostEntry."""
    ask = await load.method(raw.POST_ENTRY)
    names = Names(load.plan.ledger)
    templates = [raw.post_template(post, names) for post in load.posts()]
    draw = random.Random(load.plan.seed)

    async def step() -> int:
        await ask(raw.fill(draw.choice(templates), str(uuid.uuid4())))
        return 1

    return step


@workload("batch")
async def prepare_batch(load: Load) -> Step:
    """Posts `batch_items` redemptions a call with BatchExecute."""
    ask = await load.method(raw.BATCH_EXECUTE)
    names = Names(load.plan.ledger)
    templates = [raw.item_template([post], names) for post in load.posts()]
    draw = random.Random(load.plan.seed)
    items = load.plan.batch_items

    async def step() -> int:
        chosen = draw.choices(templates, k=items)
        filled = (raw.fill(template, str(uuid.uuid4())) for template in chosen)
        outcomes = raw.batch_outcomes(await ask(raw.batch_request(names, filled)))
        if outcomes.refused:
            load.failures["refused item"] += outcomes.refused
        return outcomes.written

    return step


@workload("sdk")
async def prepare_sdk(load: Load) -> Step:
    """Posts one redemption a call of the client, which sends concurrent ones together."""
    client = LedgerClient.connect(load.plan.address, ledger=load.plan.ledger, timeout_s=TIMEOUT_S)
    await load.resources.enter_async_context(client)
    posts = load.posts()
    draw = random.Random(load.plan.seed)

    async def step() -> int:
        post = draw.choice(posts)
        try:
            await client.post(kind=post.kind, postings=post.postings)
        except TimebankError as error:
            load.failures[error.reason] += 1
            return 0
        return 1

    return step


@workload("balance")
async def prepare_balance(load: Load) -> Step:
    """Reads the balance of one account a call."""
    ask = await load.method(raw.GET_BALANCE)
    names = Names(load.plan.ledger)
    requests = [raw.balance_request(account, names) for account in load.plan.debit_accounts]
    draw = random.Random(load.plan.seed)

    async def step() -> int:
        await ask(draw.choice(requests))
        return 1

    return step
