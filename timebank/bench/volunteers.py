"""The volunteers whose hours the benchmark posts, and the loads about them.

Owns: the ledger, its policy and its members, made once; and services that never overlap: each
volunteer's follow one another, a minute apart, from the year 2000 on.
"""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import grpc.aio

from timebank.bench.workloads import TIMEOUT_S, Load, Step, workload
from timebank.channels import open_channel
from timebank.client import LedgerClient, raw_hours
from timebank.client.names import Names

LEDGER = "bench-hours"
VOLUNTEERS = 2_000
SERVICE_MINUTES = 60
Call: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
FIRST_SERVICE_S = 946_684_800
"""2000-01-01T00:00:00Z."""
POLICY = json.dumps(
    {
        "policy_id": "bench",
        "effective_from": "2000-01-01",
        "earn": {"reward": "BOTH", "expiry": {"points": {"months": 600}}},
        "publicity_days": 0,
    }
)


@dataclass(frozen=True, slots=True)
class Volunteers:
    """A ledger with members who have no hours yet."""

    ledger: str
    members: tuple[str, ...]


async def build_volunteers(
    address: str, origin: str, step: Callable[[int, int], None], *, count: int | None = None
) -> Volunteers:
    """Creates the ledger, adopts the policy and registers members."""
    count = VOLUNTEERS if count is None else count
    members = tuple(f"v-{number:05d}" for number in range(count))
    names = Names(LEDGER)
    async with LedgerClient.connect(address, ledger=LEDGER, timeout_s=TIMEOUT_S) as client:
        await client.create_ledger(display_name="Benchmark 服务时长", log_origin=origin)
    async with open_channel(address) as channel:
        adopt: Call = channel.unary_unary(raw_hours.ADOPT_POLICY)
        await adopt(raw_hours.adopt_request(names, POLICY, str(uuid.uuid4())), timeout=TIMEOUT_S)
        register: Call = channel.unary_unary(raw_hours.REGISTER_MEMBER)
        for done, member_id in enumerate(members):
            request = raw_hours.register_request(names, member_id, str(uuid.uuid4()))
            await register(request, timeout=TIMEOUT_S)
            if not done % 100:
                step(done, count)
    return Volunteers(LEDGER, members)


def services(members: tuple[str, ...], first: int) -> Iterator[raw_hours.Service]:
    """Gives services without end, that of number `first` first."""
    for number in itertools.count(first):
        slot, place = divmod(number, len(members))
        start_s = FIRST_SERVICE_S + slot * 60 * (SERVICE_MINUTES + 1)
        yield raw_hours.Service(f"b-{number}", members[place], start_s, SERVICE_MINUTES)


@workload("records")
async def prepare_records(load: Load) -> Step:
    """Posts `batch_items` attested records a call with BatchSubmitRecords.

    The seed of the plan is the number of the first record.
    """
    plan = load.plan
    ask = await load.method(raw_hours.BATCH_SUBMIT)
    names = Names(plan.ledger)
    coming = services(plan.debit_accounts, plan.seed)

    async def step() -> int:
        chosen = list(itertools.islice(coming, plan.batch_items))
        request = raw_hours.records_request(names, chosen, str(uuid.uuid4()))
        outcome = raw_hours.submitted(await ask(request))
        if outcome.refused:
            load.failures["refused record"] += outcome.refused
        return outcome.posted

    return step


@workload("star")
async def prepare_star(load: Load) -> Step:
    """Reads the star of one member a call."""
    ask = await load.method(raw_hours.GET_STAR)
    names = Names(load.plan.ledger)
    requests = [raw_hours.star_request(names, member) for member in load.plan.debit_accounts]
    draw = random.Random(load.plan.seed)

    async def step() -> int:
        await ask(draw.choice(requests))
        return 1

    return step
