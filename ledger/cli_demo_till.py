"""The part of the story at the till: 王阿姨 pays a haircut with points, and her star stays.

Owns: these steps. Refuses: pretending: every figure is the server's answer. The till of the demo
has its key and its journal in the data directory; each run enrols it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ledger.cli_options import TLS, Connection
from ledger.sample.city import LEDGER
from ledger.sample.people import WANG
from timebank.channels import TlsFiles
from timebank.client.merchant_views import BudgetView
from timebank.client.merchants import MerchantClient
from timebank.client.till_journal import TillJournal
from timebank.client.till_recipes import TillResult, TillVerdict
from timebank.client.till_requests import Purchase
from timebank.client.tills import TillClient
from timebank.errors import Reason, TimebankError

SHOP, OFFER, TILL = "barber", "haircut", "demo"
BACK_POINTS = 5
WAIT_S, WAITS_MAX = 0.5, 20
"""How long the demo waits for the shop to open."""
Say = Callable[[str], None]


async def tell_till(connection: Connection, directory: Path, say: Say) -> bool:
    """Tells how points are spent; gives False when the server has no merchant service."""
    tls = TlsFiles() if connection.server.startswith(TLS) else None
    address = connection.server.removeprefix(TLS)
    merchants = MerchantClient.connect(address, ledger=LEDGER, token=connection.token, tls=tls)
    async with merchants:
        if not await _is_open(merchants):
            return False
        place = directory / "demo" / "till"
        terminal = f"{merchants.merchant(SHOP)}/terminals/{TILL}"
        code = await _enrolment_code(merchants, terminal)
        place.mkdir(parents=True, exist_ok=True)
        journal = TillJournal.open(place / "journal.jsonl", terminal)
        till = TillClient.connect(
            address,
            terminal=terminal,
            key_file=place / "till.pem",
            journal=journal,
            token=connection.token,
            tls=tls,
        )
        async with till:
            await till.enrol(code)
            await _sell(merchants, till, say)
        await _tell_budget(merchants, say)
    return True


async def _is_open(merchants: MerchantClient) -> bool:
    """Waits for the shop, which opens after the city is loaded; False: there will be none."""
    for _ in range(WAITS_MAX):
        try:
            await merchants.get_merchant(SHOP)
        except TimebankError as error:
            if error.metadata.get("code") == "UNIMPLEMENTED":
                return False
            if error.reason is not Reason.MERCHANT_NOT_FOUND:
                raise
            await asyncio.sleep(WAIT_S)
        else:
            return True
    return False


async def _enrolment_code(merchants: MerchantClient, terminal: str) -> str:
    try:
        made = await merchants.create_terminal(SHOP, TILL, display_name="演示收银台")
    except TimebankError as error:
        if error.reason is not Reason.TERMINAL_EXISTS:
            raise
        made = await merchants.renew_enrolment(terminal)
    return made.enrolment_code or (await merchants.renew_enrolment(terminal)).enrolment_code


async def _sell(merchants: MerchantClient, till: TillClient, say: Say) -> None:
    shown = await merchants.issue_payment_code(WANG, device="demo")
    say(f"王阿姨 shows a payment code 付款码: {shown.code[:4]} ...; it pays once, within a minute.")
    sold = await till.redeem_for_sure(Purchase(offer=OFFER, payment_code=shown.code))
    say(f"  {_told(sold)}")
    again = await till.redeem_for_sure(Purchase(offer=OFFER, payment_code=shown.code))
    say(f"The same code once more 同一付款码再用一次: {_told(again)}")
    if sold.verdict is TillVerdict.DONE:
        back = await till.refund_for_sure(sold.merchant_ref, BACK_POINTS)
        say(f"{BACK_POINTS} points go back 退款: {_told(back)}")


def _told(result: TillResult) -> str:
    found = result.redemption
    if result.error is not None:
        return f"{result.verdict} {result.error}"
    if found is None:
        return f"{result.verdict}"
    kept = found.captured_amount - found.refunded_amount
    return f"{result.verdict} {result.merchant_ref}: {found.state.value}, {kept} points 积分"


async def _tell_budget(merchants: MerchantClient, say: Say) -> None:
    budgets: list[BudgetView] = [budget async for budget in merchants.list_budgets()]
    for budget in budgets:
        say(
            f"Budget 预算 {budget.display_name}: ¥{budget.spent_fen / 100:.2f} spent 已用,"
            f" ¥{budget.available_fen / 100:.2f} left 剩余"
        )
    say(
        f"When its day is over, `timebank settle {SHOP} --ledger {LEDGER}` closes it and pays. 结算"
    )
