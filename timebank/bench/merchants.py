"""Cases about merchants: redeeming at a till.

Owns: `redeem`, with ledger and merchant service in one process, and `redeem_apart`, in two with a
database each. Compare rate and p99 with those of `empty` in the same run.
"""

import dataclasses
import time
from pathlib import Path

from timebank.bench.cases import Figure, Stage, case, figure
from timebank.bench.plans import WARM_UP, LoadPlan
from timebank.bench.servers import SHOP_ORIGIN
from timebank.bench.shops import LEDGER, MEMBERS_MAX, Shop, build_shop, issue_codes
from timebank.bench.sites import Pair
from timebank.bench.stands import Stand
from timebank.client import LedgerClient

CALLERS = 64
CODES_A_SECOND = 1_600
"""More payment codes than this machine's class can use up in the time, warm-up included."""
CHECKED = "signature, code, stock, limits and budget checked"


@case("redeem", f"RedeemPoints, {CALLERS} callers: {CHECKED}", stage=Stage.BULK)
async def redeem(stand: Stand) -> list[Figure]:
    """Measures sales at a till, each with a payment code of another member."""
    pair = Pair(stand.server, stand.server)
    if stand.shop is None:
        stand.shop = await _shop(stand, pair, stand.folder)
    return [await _redeemed("redeem", stand, pair, stand.shop)]


@case(
    "redeem_apart",
    "the same with ledger and merchant service in two processes, a database each",
    stage=Stage.BULK,
)
async def redeem_apart(stand: Stand) -> list[Figure]:
    """Measures sales when the merchant service asks a ledger in another process."""
    site = await stand.site("redeem_apart", apart=True)
    async with site.running() as pair:
        shop = await _shop(stand, pair, site.merchant_config.parent)
        return [await _redeemed("redeem_apart", stand, pair, shop)]


async def _shop(stand: Stand, pair: Pair, folder: Path) -> Shop:
    """Opens a shop with a member for each sale that may be made in the time."""
    count = min(MEMBERS_MAX, int(CODES_A_SECOND * stand.seconds * (1 + WARM_UP)))
    return await build_shop(pair, SHOP_ORIGIN, folder, stand.tell, members_count=count)


async def _redeemed(name: str, stand: Stand, pair: Pair, shop: Shop) -> Figure:
    """Issues payment codes, redeems with them, and checks the log."""
    stand.tell(f"{name}: issuing {len(shop.members):,} payment codes")
    codes = await issue_codes(pair.merchant.address, shop, shop.members)
    plan = LoadPlan(
        workload="redeem",
        address=pair.merchant.address,
        callers=CALLERS,
        seconds=stand.seconds,
        ledger=LEDGER,
        debit_accounts=codes,
        credit_accounts=("shop", str(shop.key_file)),
        seed=int(time.time()),
    )
    async with LedgerClient.connect(pair.ledger.address, ledger=LEDGER) as ledger:
        before = (await ledger.checkpoint()).size
        measured = figure(name, stand, await stand.measure(plan, servers=pair.servers))
        grown = (await ledger.checkpoint()).size - before
    return dataclasses.replace(
        measured,
        log_grew_exactly=grown == measured.acknowledged,
        audit_passed=await stand.audit(LEDGER, pair.servers),
    )
