"""The shops of the sample city: what its operator would enter, told to the merchant service.

Owns: a barber, a supermarket and a cinema, their offers and the budget that pays them. Refuses:
anything outside the development identity. Whatever was entered before is left as it is.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, NamedTuple

from timebank.auth import Principal, PrincipalKind
from timebank.client import LedgerClient
from timebank.client.calls import Caller
from timebank.errors import Reason, TimebankError
from timebank.local_channels import LocalChannel
from timebank.merchant.v1 import (
    fund_pb2,
    fund_service_pb2,
    merchant_pb2,
    merchant_service_pb2,
)
from timebank.merchant.v1.fund_service_pb2_grpc import FundServiceStub
from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceStub
from timebank.runtime import Runtime

LEDGER = "huancui"
BUDGET = "special-fund"
BUDGET_FEN = 5_000_000
TERMINAL = "till-1"
POLL_SECONDS = 1.0
POLLS_MAX = 600
_NAMESPACE = uuid.UUID("5b1f6f6e-6f0e-4c1c-9a55-1d0c5b1d7a11")


class Shop(NamedTuple):
    """A shop with its goods: (id, title, points, cash in fen)."""

    merchant_id: str
    name: str
    category: int
    fen_per_hundred_points: int
    goods: tuple[tuple[str, str, int, int], ...]


SHOPS = (
    Shop("barber", "顺城理发店", 1, 100, (("haircut", "理发", 20, 0), ("shave", "修面", 10, 0))),
    Shop(
        "supermarket",
        "海晏超市",
        2,
        100,
        (("rice", "大米 5 公斤", 60, 0), ("oil", "花生油 1 升", 30, 500), ("soap", "香皂", 5, 0)),
    ),
    Shop("cinema", "环翠电影院", 3, 80, (("ticket", "电影票", 40, 1_000),)),
)


async def load_in_background(runtime: Runtime) -> None:
    """Waits for the city and opens its shops; what fails is told in the log and ends nothing."""
    try:
        if await _city_is_there(runtime):
            await load_shops(runtime)
            runtime.logger.info("sample city", loading="shops", done=len(SHOPS), total=len(SHOPS))
    except TimebankError as error:
        runtime.logger.warning("sample shops", reason=error.reason.value, text=error.message)


async def _city_is_there(runtime: Runtime) -> bool:
    channel = LocalChannel(runtime.interceptors, Principal(PrincipalKind.OPERATOR, "sample"))
    ledger = LedgerClient.on_channel(channel, ledger=LEDGER)
    for _ in range(POLLS_MAX):
        try:
            if (await ledger.get_ledger()).opening_closed:
                return True
        except TimebankError as error:
            if error.reason is not Reason.LEDGER_NOT_FOUND:
                raise
        await asyncio.sleep(POLL_SECONDS)
    return False


async def load_shops(runtime: Runtime) -> None:
    """Sets the budget and opens every shop with its till and goods."""
    channel = LocalChannel(runtime.interceptors, Principal(PrincipalKind.OPERATOR, "sample"))
    call = Caller(timeout_s=30)
    fund: Any = FundServiceStub(channel)
    merchants: Any = MerchantServiceStub(channel)
    budget = fund_pb2.Budget(
        name=f"ledgers/{LEDGER}/budgets/{BUDGET}",
        display_name="专项基金兑换预算",
        limit_fen=BUDGET_FEN,
    )
    await call(
        fund.SetBudget,
        fund_service_pb2.SetBudgetRequest(budget=budget, request_id=_request_id("budget")),
    )
    for shop in SHOPS:
        await _open(merchants, call, shop)


async def _open(merchants: Any, call: Caller, shop: Shop) -> None:
    parent = f"ledgers/{LEDGER}"
    name = f"{parent}/merchants/{shop.merchant_id}"
    await call(
        merchants.CreateMerchant,
        merchant_service_pb2.CreateMerchantRequest(
            parent=parent,
            request_id=_request_id(name),
            merchant_id=shop.merchant_id,
            merchant=merchant_pb2.Merchant(
                display_name=shop.name,
                category=shop.category,  # type: ignore[arg-type]  # numbers of the contract
                fen_per_hundred_points=shop.fen_per_hundred_points,
                budget=f"{parent}/budgets/{BUDGET}",
            ),
        ),
    )
    await call(
        merchants.CreateTerminal,
        merchant_service_pb2.CreateTerminalRequest(
            parent=name,
            request_id=_request_id(f"{name}/{TERMINAL}"),
            terminal_id=TERMINAL,
            terminal=merchant_pb2.Terminal(display_name="一号收银台", location=shop.name),
        ),
    )
    for offer_id, title, price, cash_fen in shop.goods:
        await call(
            merchants.CreateOffer,
            merchant_service_pb2.CreateOfferRequest(
                parent=name,
                request_id=_request_id(f"{name}/{offer_id}"),
                offer_id=offer_id,
                offer=merchant_pb2.Offer(
                    title=title,
                    unit=merchant_pb2.UNIT_POINTS,
                    price=price,
                    cash_fen=cash_fen,
                ),
            ),
        )


def _request_id(what: str) -> str:
    """Gives the id of a request by what it asks for, so that another start repeats it."""
    return str(uuid.uuid5(_NAMESPACE, what))
