"""What an entry costs in a log of a million, compared with one of ten thousand.

Owns: the case `growth`, which takes minutes and runs only when asked for by name, on a ledger of
its own, so that the small log is small whatever ran before.
"""

import dataclasses

from timebank.bench.cases import Figure, Stage, case
from timebank.bench.city import City, build_city
from timebank.bench.plans import LoadPlan
from timebank.bench.posts import BATCH_CALLERS, written
from timebank.bench.servers import GROWTH_ORIGIN
from timebank.bench.stands import Stand
from timebank.errors import Reason, TimebankError

LEDGER = "bench-growth"
MEMBERS = 4_000
SMALL_ENTRIES = 10_000
LARGE_ENTRIES = 1_000_000
BATCH_ITEMS = 1_000
FILLING_SECONDS_MAX = 3_600.0
MIB = 1024 * 1024


@case(
    "growth",
    f"cost of an entry and server memory at {LARGE_ENTRIES:,} entries versus {SMALL_ENTRIES:,}",
    stage=Stage.GROWTH,
    by_default=False,
)
async def growth(stand: Stand) -> list[Figure]:
    """Measures the same load on a small log and on a large one."""
    city = await build_city(
        stand.server.address,
        GROWTH_ORIGIN,
        lambda done, total: stand.tell(f"growth: building the city: {done:,} of {total:,}"),
        ledger=LEDGER,
        members_count=MEMBERS,
    )
    plan = LoadPlan(
        workload="batch",
        address=stand.server.address,
        callers=BATCH_CALLERS,
        seconds=stand.seconds,
        ledger=city.ledger,
        debit_accounts=city.members,
        credit_accounts=city.merchants,
        batch_items=BATCH_ITEMS,
    )
    small = await _at(SMALL_ENTRIES, "growth_small", stand, city, plan)
    large = await _at(LARGE_ENTRIES, "growth_large", stand, city, plan)
    cost = small.rate_per_s / large.rate_per_s if large.rate_per_s else 0.0
    note = f"an entry costs {cost:.2f} times what it did; {large.note}"
    return [small, dataclasses.replace(large, note=note)]


async def _at(entries: int, name: str, stand: Stand, city: City, plan: LoadPlan) -> Figure:
    """Fills the log up to `entries`, then measures the plan on it."""
    missing = entries - await stand.log_size(city.ledger)
    if missing > 0:
        stand.tell(f"growth: writing {missing:,} entries")
        filling = dataclasses.replace(
            plan,
            seconds=FILLING_SECONDS_MAX,
            warm_up=False,
            requests_max=-(-missing // BATCH_ITEMS),  # rounded up
        )
        filled = await stand.measure(filling)
        if filled.load.failures:
            text = f"bench: filling the log failed: {filled.load.failures}"
            raise TimebankError(Reason.DATABASE_UNAVAILABLE, text)
    size = await stand.log_size(city.ledger)
    found = await written(name, stand, city, plan)
    memory = found.server_memory_bytes
    told = "" if memory is None else f", server memory {memory / MIB:.0f} MiB after it"
    return dataclasses.replace(found, note=f"from {size:,} entries on{told} {found.note}".strip())
