"""Cases about merchants: redeeming at a till.

Owns: `redeem`. Compare its rate and p99 with those of `empty` in the same run.
"""

import dataclasses
import time

from timebank.bench.cases import Figure, Stage, case, figure
from timebank.bench.plans import LoadPlan
from timebank.bench.servers import SHOP_ORIGIN
from timebank.bench.shops import LEDGER, Shop, build_shop, issue_codes
from timebank.bench.stands import Stand

CALLERS = 64
CODES_A_SECOND = 1_600
"""More payment codes than this machine's class can use up in the time, warm-up included."""


async def _shop(stand: Stand) -> Shop:
    if stand.shop is None:
        stand.shop = await build_shop(stand.server.address, SHOP_ORIGIN, stand.folder, stand.tell)
    return stand.shop


@case(
    "redeem",
    f"RedeemPoints, {CALLERS} callers: signature, code, stock, limits and budget checked",
    stage=Stage.BULK,
)
async def redeem(stand: Stand) -> list[Figure]:
    """Measures sales at a till, each with a payment code of another member."""
    shop = await _shop(stand)
    count = min(len(shop.members), int(CODES_A_SECOND * stand.seconds * 1.2))
    stand.tell(f"redeem: issuing {count:,} payment codes")
    codes = await issue_codes(stand.server.address, shop, shop.members[:count])
    before = await stand.log_size(LEDGER)
    plan = LoadPlan(
        workload="redeem",
        address=stand.server.address,
        callers=CALLERS,
        seconds=stand.seconds,
        ledger=LEDGER,
        debit_accounts=codes,
        credit_accounts=("shop", str(shop.key_file)),
        seed=int(time.time()),
    )
    measured = figure("redeem", stand, await stand.measure(plan))
    grown = await stand.log_size(LEDGER) - before
    return [
        dataclasses.replace(
            measured,
            log_grew_exactly=grown == measured.acknowledged,
            audit_passed=await stand.audit(LEDGER),
        )
    ]
