"""What a client process of a race does: its tills get ready, wait for all others, and act at once.

Owns the start of a race across processes, and the words in which a sale's end is told: the state,
or the reason of the refusal. Each till keeps its journal, as at a counter.
"""

import asyncio
import pathlib
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing.synchronize import Barrier
from typing import Any, NamedTuple

import grpc.aio

from tests.support.commands import new_id
from tests.support.forked_servers import FORKS
from timebank.client.till_journal import TillJournal
from timebank.client.till_recipes import TillResult, TillVerdict
from timebank.client.till_requests import Purchase
from timebank.client.tills import TillClient
from timebank.errors import from_rpc_error
from timebank.merchant.v1.redemption_service_pb2 import ConfirmByMemberRequest
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub

START_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 30.0
_BARRIERS: list[Barrier] = []
"""The barrier of this process, once it was given one."""


class Order(NamedTuple):
    """What one till sells, and to whom: who shows a code, or the member who scans the till's QR and
    says yes at another server.
    """

    address: str
    folder: pathlib.Path
    terminal: str
    offer: str
    payment_code: str = ""
    member: str = ""
    confirm_address: str = ""


def client_processes(count: int) -> ProcessPoolExecutor:
    """Makes so many client processes, which start each race together."""
    return ProcessPoolExecutor(
        count, mp_context=FORKS, initializer=_take_barrier, initargs=(FORKS.Barrier(count),)
    )


def _take_barrier(barrier: Barrier) -> None:
    _BARRIERS.append(barrier)


def sell_at_once(orders: list[Order]) -> list[str]:
    """Carries out orders in this process, all at once when every process is ready."""
    return asyncio.run(_sell(orders))


async def _sell(orders: list[Order]) -> list[str]:
    async with AsyncExitStack() as ends:
        tills = [await ends.enter_async_context(_opened(order)) for order in orders]
        waiting = await asyncio.gather(
            *(_get_ready(till, order) for till, order in zip(tills, orders, strict=True))
        )
        [barrier] = _BARRIERS
        await asyncio.to_thread(barrier.wait, START_TIMEOUT_S)
        return await asyncio.gather(
            *(
                _confirmed(till, order, ref) if ref else _redeemed(till, order)
                for till, order, ref in zip(tills, orders, waiting, strict=True)
            )
        )


@asynccontextmanager
async def _opened(order: Order) -> AsyncIterator[TillClient]:
    key_file, path = order.folder / "till.pem", order.folder / "journal.jsonl"
    with TillJournal.open(path, order.terminal) as journal:
        async with TillClient.connect(
            order.address, terminal=order.terminal, key_file=key_file, journal=journal
        ) as till:
            yield till


async def _get_ready(till: TillClient, order: Order) -> str:
    """Connects; gives the reference of the sale that waits for its member, if one is to scan."""
    await till.offer(order.offer)
    if not order.member:
        return ""
    return (await till.redeem_for_sure(Purchase(offer=order.offer, member_qr=True))).merchant_ref


async def _redeemed(till: TillClient, order: Order) -> str:
    purchase = Purchase(offer=order.offer, payment_code=order.payment_code)
    result = await till.redeem_for_sure(purchase)
    while result.verdict is TillVerdict.UNKNOWN:
        result = await till.redeem_for_sure(purchase, merchant_ref=result.merchant_ref)
    return _word_of(result)


async def _confirmed(till: TillClient, order: Order, merchant_ref: str) -> str:
    """The member says yes at another server, then the till looks how its sale ended."""
    view = till.journal.sale(merchant_ref)
    assert view is not None, "it waits"
    request = ConfirmByMemberRequest(name=view.name, request_id=new_id(), member=order.member)
    async with grpc.aio.insecure_channel(order.confirm_address) as channel:
        stub: Any = RedemptionServiceStub(channel)
        try:
            await stub.ConfirmByMember(request, timeout=CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            told = from_rpc_error(error).reason.name
        else:
            told = "CAPTURED"
    seen = _word_of(await till.look_up(merchant_ref))
    return told if told == seen else f"told {told}, and then {seen}"


def _word_of(result: TillResult) -> str:
    if result.error is not None:
        return result.error.reason.name
    if result.redemption is None:
        raise AssertionError(f"neither a redemption nor an error: {result}")
    return result.redemption.decline_reason or result.redemption.state.name
