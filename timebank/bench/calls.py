"""Cases about the cost of a call that changes nothing.

Owns: `empty`, which every ratio is of, its yardstick `bare`, and `get_balance`.
"""

from timebank.bench.cases import EMPTY, Figure, Stage, case, figure
from timebank.bench.plans import LoadPlan
from timebank.bench.servers import running_bare
from timebank.bench.stands import Stand

CALLERS = 64


@case(EMPTY, "an empty call through the whole server (health Check), 64 callers", stage=Stage.CALLS)
async def empty(stand: Stand) -> list[Figure]:
    """Measures what a call costs before it does anything."""
    plan = LoadPlan(
        workload="empty", address=stand.server.address, callers=CALLERS, seconds=stand.seconds
    )
    return [figure(EMPTY, stand, await stand.measure(plan))]


@case("bare", "the same call to a server without anything around its handler", stage=Stage.CALLS)
async def bare(stand: Stand) -> list[Figure]:
    """Measures what gRPC itself costs."""
    async with running_bare(stand.folder) as server:
        plan = LoadPlan(
            workload="empty", address=server.address, callers=CALLERS, seconds=stand.seconds
        )
        return [
            figure("bare", stand, await stand.measure(plan, servers=[server], uses_database=False))
        ]


@case("get_balance", "GetBalance of one of 10,000 accounts, 64 callers", stage=Stage.CALLS)
async def get_balance(stand: Stand) -> list[Figure]:
    """Measures reading a balance."""
    city = await stand.city()
    plan = LoadPlan(
        workload="balance",
        address=stand.server.address,
        callers=CALLERS,
        seconds=stand.seconds,
        ledger=city.ledger,
        debit_accounts=city.members,
    )
    return [figure("get_balance", stand, await stand.measure(plan))]
