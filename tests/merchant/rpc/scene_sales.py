"""Building the scene: sales in every state, batches, money, and what waits for somebody."""

import pathlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from merchant.domain.payment_codes import ISSUES_MAX, WRONG_TRIES_MAX
from merchant.domain.redemption_moves import OPS_MAX
from tests.merchant.rpc.scene_shops import (
    VELOCITY_MAX,
    close_shops,
    open_shops,
    register_members,
)
from tests.merchant.rpc.scenes import (
    OFFICER,
    SECOND,
    USED_NONCE,
    Scene,
    member,
    merchant,
    offer,
    terminal,
)
from tests.merchant.rpc.valid_requests import VALID, income, spending
from tests.merchant.till_world import LEDGER, till_world
from tests.support.commands import ISSUANCE, POINTS, SETTLEMENT, post
from tests.support.ledgers import SERVICE_CALLER, refused
from timebank.errors import Reason
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2

DAY, TODAY = "2026-03-01", "2026-03-02"
DAY_S = 86_400
JOURNAL = "merchant_ref,business_date,state,captured_amount,refunded_amount\r\n"
ADVICE = "batch,paid_fen,paid_date\r\n"
FUND_FEN = 100
"""Pays for what the shop sold yesterday, but not for `costly`."""


@asynccontextmanager
async def scene_world(
    folder: pathlib.Path, database_url: str, *, with_limits: bool = True
) -> AsyncIterator[Scene]:
    """Serves the scene until the block ends; what takes many calls is left out if so wished."""
    # Nobody's day ends early here: tests of the tiers have their own shops.
    days = {f"day_points_{tier}": 1_000_000 for tier in "abcd"}
    async with till_world(folder, database_url, **days) as till:
        scene = Scene(till, folder / "merchant.db", valid=VALID)
        await open_shops(scene)
        await register_members(scene)
        await _sell_yesterday(scene)
        await _settle_yesterday(scene)
        await _sell_today(scene)
        await _ask_members(scene)
        await _issue_vouchers(scene)
        await _spend(scene)
        await close_shops(scene)
        if with_limits:
            await _reach_limits(scene)
        await _last(scene)
        yield scene


async def sell(
    scene: Scene, word: str, method: str = "RedeemPoints", payer: str = "wang", **fields: Any
) -> redemption_pb2.Redemption:
    """Sells something, a coffee for a payment code unless it says otherwise."""
    owner = fields.pop("owner", "shop")
    values: dict[str, Any] = {
        "parent": merchant(owner),
        "merchant_ref": f"ref-{word}",
        "terminal": terminal("t1", owner),
        "offer": offer("coffee", owner),
        "quantity": 1,
    }
    if not {"member_qr", "assisted", "card_number"} & set(fields):
        values["payment_code"] = await scene.till.code(payer)
    request = scene.request(method, {"payment_code": None})
    request = type(request)(request_id=request.request_id, **(values | fields))
    sold: redemption_pb2.Redemption = await scene.send(method, request)
    scene.names[word], scene.refs[word] = sold.name, sold.merchant_ref
    return sold


async def _do(scene: Scene, method: str, word: str, **fields: Any) -> None:
    request = scene.request(method, {"name": scene.names[word], **fields})
    if "op_ref" not in fields and "op_ref" in type(request).DESCRIPTOR.fields_by_name:
        request.op_ref = scene.till.ref()
    await scene.send(method, request)


async def _sell_yesterday(scene: Scene) -> None:
    await sell(scene, "settled")
    await sell(scene, "costly", owner="costly")
    await scene.till.call("LeaveMerchant", name=merchant("gone"))
    scene.till.world.clock.advance(seconds=DAY_S)


async def _settle_yesterday(scene: Scene) -> None:
    till = scene.till
    await till.call("RecordIncome", **income(amount_fen=FUND_FEN))
    await till.call("CloseBatch", parent=merchant("gone"), business_date=DAY)
    for word in ("shop", "barber"):
        await till.call("CloseBatch", parent=merchant(word), business_date=DAY)
    costly = till.call("CloseBatch", parent=merchant("costly"), business_date=DAY)
    assert await refused(costly) is Reason.FUND_EXHAUSTED
    paid_time = Timestamp(seconds=till.world.clock.now_us() // 1_000_000)
    name = f"{merchant('barber')}/batches/{DAY}-1"
    await till.call("RecordPayout", name=name, paid_fen=0, paid_time=paid_time)
    content = (JOURNAL + f"ghost,{DAY},CAPTURED,5,0\r\nother,{DAY},CAPTURED,6,0\r\n").encode()
    days: dict[str, Any] = {"start_date": DAY, "end_date": DAY}
    await till.call("SubmitMerchantJournal", parent=merchant("shop"), content=content, **days)
    page = await till.call("ListReconciliationItems", parent=merchant("shop"))
    words = {"ghost": "item", "other": "resolved item"}
    for item in page.reconciliation_items:
        if item.merchant_ref in words:
            scene.names[words[item.merchant_ref]] = item.name
    await till.call(
        "ResolveReconciliationItem", name=scene.names["resolved item"], resolution="退款"
    )


async def _sell_today(scene: Scene) -> None:
    for word in ("captured", "captured two", "reversible"):
        await sell(scene, word)
    for word in ("held", "held two", "partly", "voided"):
        await sell(scene, word, "AuthorizeRedemption")
    await sell(scene, "capped", offer=offer("capped"))
    await sell(scene, "capped too", payer="zhao", offer=offer("capped"))
    await sell(scene, "refunded")
    await _do(scene, "CaptureRedemption", "partly", amount=4, op_ref="op-1")
    await _do(scene, "VoidRedemption", "voided")
    await _do(scene, "RefundRedemption", "refunded", amount=10, op_ref="op-2")
    await sell(scene, "drained", owner="drained")
    await _drain(scene)
    scene.refs["reversed"] = "never-came"
    request = scene.request("ReverseRedemption", {"merchant_ref": "never-came"})
    signed = scene.signature("ReverseRedemption", request, nonce=USED_NONCE)
    await scene.send("ReverseRedemption", request, metadata=signed)


async def _drain(scene: Scene) -> None:
    """Takes what `drained` earned out of its account, which may not go below zero."""
    world = scene.till.world
    shop = await scene.till.call("GetMerchant", name=merchant("drained"))
    burnt = post(SETTLEMENT, shop.points_account, world.system[ISSUANCE, POINTS], 10)
    await world.calls_as(SERVICE_CALLER).PostEntry(world.post_request(burnt))


async def _ask_members(scene: Scene) -> None:
    """Makes what waits for a PIN, for a member at the till's QR code, and for a second person."""
    dear = {"offer": offer("dear")}
    for word in ("wang", "nopin", "locked", "thin", "frozen", "shut", "typo"):
        await sell(scene, f"pin of {word}", payer=word, **dear)
    for word in ("wang", "thin", "frozen", "shut", "any"):
        await sell(scene, f"qr of {word}", member_qr=True)
    await sell(scene, "dear qr", member_qr=True, **dear)
    await sell(scene, "capped qr", member_qr=True, offer=offer("capped"))
    free: dict[str, Any] = {"offer": offer("free"), "amount": VELOCITY_MAX + 1}
    await sell(scene, "large qr", member_qr=True, **free)
    await sell(scene, "qr at t2", member_qr=True, terminal=terminal("t2"))
    for word in ("wang", "thin", "frozen", "shut"):
        assisted = redemption_service_pb2.AssistedPayer(member=member(word), officer="li")
        await sell(scene, f"assisted {word}", assisted=assisted)


async def _issue_vouchers(scene: Scene) -> None:
    till = scene.till
    for word in ("voucher", "collected", "barber voucher"):
        fields: dict[str, Any] = {"parent": LEDGER, "member": member("wang"), "quantity": 1}
        owner = "barber" if word.startswith("barber") else "shop"
        made = await till.call("IssueVoucher", offer=offer("coffee", owner), **fields)
        scene.names[word], scene.codes[word] = made.name, made.code
    request = scene.request("CollectVoucher", {"code": scene.codes["collected"]})
    await scene.send("CollectVoucher", request)


async def _spend(scene: Scene) -> None:
    till = scene.till
    for word in ("proposed", "proposed-two", "approved", "rejected", "huge"):
        fen = 10**9 if word == "huge" else 1
        await till.call("ProposeSpending", OFFICER, **spending(spending_id=word, amount_fen=fen))
    await till.call("ProposeSpending", **spending(spending_id="own"))
    for method, word in (("ApproveSpending", "approved"), ("RejectSpending", "rejected")):
        await till.call(method, SECOND, name=f"{LEDGER}/spendings/{word}")


async def _reach_limits(scene: Scene) -> None:
    """Does as often as it may be done: payment codes of `chen`, captures, wrong codes of tills."""
    for _ in range(ISSUES_MAX):
        await scene.till.code("chen")
    many: dict[str, Any] = {"offer": offer("free"), "amount": OPS_MAX + 1}
    await sell(scene, "many", "AuthorizeRedemption", **many)
    for number in range(OPS_MAX):
        await _do(scene, "CaptureRedemption", "many", amount=1, op_ref=f"many-{number}")
    for _ in range(WRONG_TRIES_MAX):
        payment = {"payment_code": "7" * 18, "terminal": terminal("tried")}
        selling = scene.send("RedeemPoints", scene.request("RedeemPoints", payment))
        assert await refused(selling) is Reason.PAYMENT_CODE_INVALID
        fields = {"name": terminal("guessed"), "enrolment_code": "22222222"}
        enrolling = scene.send("EnrollTerminal", scene.request("EnrollTerminal", fields))
        assert await refused(enrolling) is Reason.ENROLMENT_CODE_INVALID


async def _last(scene: Scene) -> None:
    """Issues the codes that pay while the clock stands, and uses the request id up."""
    for word in ("wang", "zhao", "locked", "thin", "frozen", "shut"):
        scene.codes[word] = await scene.till.code(word)
    await scene.till.call("PauseOffer", name=offer("spare"), request_id=scene.used_id)
    await scene.till.call("PauseOffer", SECOND, name=offer("spare"), request_id=scene.used_id)
