"""Redemptions and their batches over the contract: which batch settled what, who may list it."""

import pathlib
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from tests.merchant.tellers import DAY_S
from tests.merchant.till_world import COFFEE, LEDGER, SHOP, TILL, TillWorld, till_world
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, from_rpc_error
from timebank.merchant.v1 import fund_pb2, merchant_pb2, redemption_pb2

DAY, NEXT_DAY = "2026-03-01", "2026-03-02"
FIRST, SECOND = f"{SHOP}/batches/{DAY}-1", f"{SHOP}/batches/{NEXT_DAY}-1"
WANG = Principal(PrincipalKind.MEMBER, "wang")
LI = Principal(PrincipalKind.MEMBER, "li")
SHOPKEEPER = Principal(PrincipalKind.MERCHANT, "shop")
TILL_ITSELF = Principal(PrincipalKind.TERMINAL, "shop/t1")
OTHER = Principal(PrincipalKind.MERCHANT, "other")
State = redemption_pb2.Redemption.State


@pytest.fixture
async def till(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[TillWorld]:
    """A shop with a till, two members with points, a fund with money, and another merchant."""
    async with till_world(tmp_path, database_url) as found:
        await found.open_shop()
        await found.member("wang", 200)
        await found.member("li", 200)
        source = fund_pb2.Income.SOURCE_DONATION
        income = fund_pb2.Income(source=source, amount_fen=10_000, reference="bank-1")
        await found.call("RecordIncome", parent=LEDGER, income_id="i1", income=income)
        sponsor = merchant_pb2.Merchant(
            display_name="赞助商", category=merchant_pb2.Merchant.CATEGORY_CULTURE
        )
        await found.call("CreateMerchant", parent=LEDGER, merchant_id="other", merchant=sponsor)
        yield found


async def close(till: TillWorld, date: str = DAY, parent: str = SHOP) -> Any:
    """Lets a day pass and closes the one before."""
    till.world.clock.advance(seconds=DAY_S)
    return await till.call("CloseBatch", parent=parent, business_date=date)


async def refund(till: TillWorld, sold: Any, amount: int) -> Any:
    """Gives a part back."""
    fields = {"name": sold.name, "op_ref": till.ref(), "amount": amount}
    return await till.call("RefundRedemption", **fields)


async def listed(
    till: TillWorld, /, caller: Principal = SHOPKEEPER, *, parent: str = SHOP, **fields: Any
) -> list[Any]:
    """All redemptions of a list, page by page; no page but the last is empty."""
    found: list[Any] = []
    token = ""
    while True:
        page = await till.call("ListRedemptions", caller, parent=parent, page_token=token, **fields)
        found += page.redemptions
        token = page.next_page_token
        if not token:
            return found
        assert len(page.redemptions) <= fields.get("page_size", 100)


async def refused(till: TillWorld, /, caller: Principal = SHOPKEEPER, **fields: Any) -> Reason:
    """Lists what must be refused and gives the reason."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await till.call("ListRedemptions", caller, **({"parent": SHOP} | fields))
    return from_rpc_error(error.value).reason


async def batches_of(till: TillWorld, sold: Any) -> set[str]:
    """The batch of a redemption as Get, Lookup and List tell it."""
    got = await till.call("GetRedemption", SHOPKEEPER, name=sold.name)
    looked_up = await till.call(
        "LookupRedemption", SHOPKEEPER, parent=SHOP, merchant_ref=sold.merchant_ref
    )
    rows = [one.batch for one in await listed(till) if one.name == sold.name]
    return {got.batch, looked_up.batch, *rows}


async def test_a_redemption_tells_the_batch_that_settled_it(till: TillWorld) -> None:
    sold = await till.redeem("wang")
    assert await batches_of(till, sold) == {""}
    assert (await close(till)).name == FIRST
    assert await batches_of(till, sold) == {FIRST}
    await refund(till, sold, 4)
    assert await batches_of(till, sold) == {FIRST}
    second = await close(till, NEXT_DAY)
    assert (second.name, second.net_points) == (SECOND, -4)
    assert await batches_of(till, sold) == {FIRST}, "the refund is netted in the next batch"
    for batch in (FIRST, SECOND):
        assert [one.name for one in await listed(till, batch=batch)] == [sold.name]


async def test_the_redemptions_of_a_batch_are_listed_once_each_in_pages(till: TillWorld) -> None:
    sold = [await till.redeem("wang" if number % 2 else "li") for number in range(7)]
    await refund(till, sold[1], 3)
    await refund(till, sold[1], 3)
    await refund(till, sold[5], 10)
    await close(till)
    late = await till.redeem("wang")
    order = [sold[number].name for number in (5, 1, 6, 4, 3, 2, 0)]
    for size in (1, 2, 100):
        found = await listed(till, batch=FIRST, page_size=size)
        assert [one.name for one in found] == order, size
        assert {one.batch for one in found} == {FIRST}
    assert (await listed(till))[0].name == late.name
    parts = await listed(till, batch=FIRST, business_date=DAY, terminal=TILL, page_size=3)
    assert len(parts) == 7
    assert await listed(till, batch=FIRST, business_date=NEXT_DAY) == []
    assert await listed(till, batch=FIRST, state=State.STATE_REVERSED, page_size=2) == []


async def test_who_lists_a_batch_sees_what_is_theirs(till: TillWorld) -> None:
    sold = [await till.redeem(member) for member in ("wang", "li", "wang")]
    await close(till)
    names = [one.name for one in reversed(sold)]
    for caller in (SHOPKEEPER, TILL_ITSELF):
        assert [one.name for one in await listed(till, caller, batch=FIRST)] == names
    own = await listed(till, LI, batch=FIRST)
    assert [(one.name, one.member) for one in own] == [(names[1], f"{LEDGER}/members/li")]
    operator = Principal(PrincipalKind.OPERATOR, "op")
    of_wang = await listed(till, operator, batch=FIRST, member=f"{LEDGER}/members/wang")
    assert [one.name for one in of_wang] == names[::2]


async def test_a_batch_that_is_none_of_the_callers_is_not_found(till: TillWorld) -> None:
    await till.redeem("wang")
    await close(till)
    other = f"{LEDGER}/merchants/other"
    foreign = (await close(till, parent=other)).name
    assert await refused(till, batch=foreign) is Reason.BATCH_NOT_FOUND
    assert await refused(till, OTHER, parent=other, batch=FIRST) is Reason.BATCH_NOT_FOUND
    assert await refused(till, OTHER, batch=foreign) is Reason.MERCHANT_NOT_FOUND
    assert await refused(till, batch=SECOND) is Reason.BATCH_NOT_FOUND
    elsewhere = FIRST.replace("weihai", "beijing")
    assert await refused(till, batch=elsewhere) is Reason.BATCH_NOT_FOUND
    assert await refused(till, batch="2026-03-01-1") is Reason.VALIDATION_FAILED
    assert await listed(till, OTHER, parent=other, batch=foreign) == []


async def test_a_list_is_refused(till: TillWorld) -> None:
    await till.redeem("wang")
    await till.redeem("wang")
    member = f"{LEDGER}/members/wang"
    for caller in (SHOPKEEPER, TILL_ITSELF, LI):
        assert await refused(till, caller, member=member) is Reason.SCOPE_MISSING
    for fields in ({"terminal": "t1"}, {"business_date": "today"}, {"state": 99}, {"member": "w"}):
        assert await refused(till, **fields) is Reason.VALIDATION_FAILED, fields
    nobody = f"{LEDGER}/merchants/nobody"
    operator = Principal(PrincipalKind.OPERATOR, "op")
    assert await refused(till, operator, parent=nobody) is Reason.MERCHANT_NOT_FOUND
    page = await till.call("ListRedemptions", SHOPKEEPER, parent=SHOP, page_size=1)
    token = page.next_page_token
    await close(till)
    assert await refused(till, page_token=token, batch=FIRST) is Reason.PAGE_TOKEN_MISMATCH


async def test_all_merchants_are_listed_together(till: TillWorld) -> None:
    other = f"{LEDGER}/merchants/other"
    offer = merchant_pb2.Offer(title="电影票", unit=merchant_pb2.UNIT_POINTS, price=5)
    await till.call("CreateOffer", parent=other, offer_id="film", offer=offer)
    buying: dict[str, Any] = {"parent": LEDGER, "member": f"{LEDGER}/members/wang", "quantity": 1}
    names: list[str] = []
    for sold in (COFFEE, f"{other}/offers/film", COFFEE):
        voucher = await till.call("IssueVoucher", **buying, offer=sold)
        names.insert(0, voucher.redemption)
    everybody = f"{LEDGER}/merchants/-"
    for size in (1, 2, 100):
        found = await listed(till, WANG, parent=everybody, page_size=size)
        assert [one.name for one in found] == names
    assert await listed(till, LI, parent=everybody) == []
    own = await listed(till, SHOPKEEPER, parent=everybody)
    assert [one.name for one in own] == names[::2]
