"""Cases about writing entries: redemptions of 1 point from a member to a merchant.

Owns: the shapes of write traffic, and the check that nothing acknowledged is missing from the log.
"""

import dataclasses
from collections.abc import Sequence

from timebank.bench.cases import Figure, Run, Stage, case, figure
from timebank.bench.city import City
from timebank.bench.commits import commits_of
from timebank.bench.plans import LoadPlan
from timebank.bench.stands import Stand

UNARY_CALLERS = 64
BATCH_CALLERS = 8
BATCH_SIZES = (1, 16, 256, 1_000, 8_000)


async def write(
    name: str,
    stand: Stand,
    *,
    workload: str,
    callers: int,
    batch_items: int = 1,
    members: Sequence[str] | None = None,
    merchants: Sequence[str] | None = None,
) -> Figure:
    """Measures a load that writes, and checks the log afterwards."""
    city = await stand.city()
    plan = LoadPlan(
        workload=workload,
        address=stand.server.address,
        callers=callers,
        seconds=stand.seconds,
        ledger=city.ledger,
        debit_accounts=tuple(members or city.members),
        credit_accounts=tuple(merchants or city.merchants),
        batch_items=batch_items,
    )
    return await written(name, stand, city, plan)


async def written(name: str, stand: Stand, city: City, plan: LoadPlan) -> Figure:
    """Runs a plan that writes; the row says whether the log grew exactly and the audit passed."""
    before = await stand.log_size(city.ledger)
    commits_before = await commits_of(stand.server, city.ledger)
    found = figure(name, stand, await stand.measure(plan))
    commits = (await commits_of(stand.server, city.ledger)).since(commits_before)
    grown = await stand.log_size(city.ledger) - before
    stand.tell(f"{name}: auditing the log")
    passed = await stand.audit(city.ledger)
    exact = grown == found.acknowledged
    return dataclasses.replace(
        found,
        batch_items_mean=commits.requests / commits.commits if commits.commits else None,
        log_grew_exactly=exact,
        audit_passed=passed,
        note="" if exact else f"log grew by {grown:,}, acknowledged {found.acknowledged:,}",
    )


@case("post_unary", "PostEntry, 64 callers, one entry a call", stage=Stage.POSTS)
async def post_unary(stand: Stand) -> list[Figure]:
    """Measures one entry a call, uniformly over 10,000 members."""
    return [await write("post_unary", stand, workload="post", callers=UNARY_CALLERS)]


@case("post_hot", "the same, all from one member to one merchant", stage=Stage.POSTS)
async def post_hot(stand: Stand) -> list[Figure]:
    """Measures how contention on one account costs; compare with post_unary."""
    city = await stand.city()
    return [
        await write(
            "post_hot",
            stand,
            workload="post",
            callers=UNARY_CALLERS,
            members=city.members[:1],
            merchants=city.merchants[:1],
        )
    ]


@case("post_sdk_64", "the client's post(), 64 callers: it batches by itself", stage=Stage.POSTS)
async def post_sdk(stand: Stand) -> list[Figure]:
    """Measures what a Python service sees that posts one entry at a time."""
    return [await write("post_sdk_64", stand, workload="sdk", callers=UNARY_CALLERS)]


def _batches(name: str, items: int) -> Run:
    async def run(stand: Stand) -> list[Figure]:
        return [
            await write(name, stand, workload="batch", callers=BATCH_CALLERS, batch_items=items)
        ]

    return run


for _items in BATCH_SIZES:
    _name = f"post_batch_{_items}"
    _summary = f"BatchExecute of {_items:,} items, {BATCH_CALLERS} callers"
    case(_name, _summary, stage=Stage.POSTS)(_batches(_name, _items))
