"""What an entry costs in a log of a million, compared with one of ten thousand.

Owns: the case `growth`, which takes minutes and runs only when asked for by name.
"""

import dataclasses

from timebank.bench.cases import Figure, Stage, case
from timebank.bench.plans import LoadPlan
from timebank.bench.posts import BATCH_CALLERS, written
from timebank.bench.stands import Stand

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
    city = await stand.city()
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
    small = _with_memory(await written("growth_small", stand, city, plan))
    missing = LARGE_ENTRIES - await stand.log_size(city.ledger)
    if missing > 0:
        stand.tell(f"growth: writing {missing:,} entries")
        filling = dataclasses.replace(
            plan,
            seconds=FILLING_SECONDS_MAX,
            warm_up=False,
            requests_max=-(-missing // BATCH_ITEMS),  # rounded up
        )
        await stand.measure(filling)
    large = _with_memory(await written("growth_large", stand, city, plan))
    cost = small.rate_per_s / large.rate_per_s if large.rate_per_s else 0.0
    note = f"an entry costs {cost:.2f} times what it did; {large.note}"
    return [small, dataclasses.replace(large, note=note)]


def _with_memory(found: Figure) -> Figure:
    if found.server_memory_bytes is None:
        return found
    memory = f"server memory {found.server_memory_bytes / MIB:.0f} MiB"
    return dataclasses.replace(found, note=f"{memory} {found.note}".strip())
