"""The merchant's printed QR over gRPC: the till waits, the member scans, and types a PIN above the
tier.

A haircut costs 300 points and a wash 190: a payment without a PIN goes up to 200, and a day up to
500. A comb costs 20.
"""

import asyncio
import pathlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from merchant.domain.pins import TRIES_MAX
from tests.merchant.till_world import LEDGER, OPERATOR, SHOP, TILL, TillWorld, till_world
from tests.support.cheap_pins import hash_cheaply
from tests.support.ledgers import refusal, refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.local_channels import LocalChannel
from timebank.merchant.v1 import merchant_pb2, redemption_pb2

R = redemption_pb2.Redemption
WANG = Principal(PrincipalKind.MEMBER, "wang")
LI = Principal(PrincipalKind.MEMBER, "li")
PINS = {"wang": "258036", "li": "369147"}
PIN, WRONG_PIN = PINS["wang"], "147036"
PRICES = {"haircut": 300, "wash": 190, "comb": 20}
PRINTED = f"{SHOP}/redemptions/-"
"""What the printed QR stands for: whatever waits at its till."""
POINTS = 1_000


@asynccontextmanager
async def barber(folder: pathlib.Path, database_url: str) -> AsyncIterator[TillWorld]:
    """A barber, and 王阿姨 and 李叔叔 with points and a PIN each."""
    async with till_world(folder, database_url) as found:
        await found.open_shop()
        for own_id, price in PRICES.items():
            offer = merchant_pb2.Offer(title=own_id, unit=merchant_pb2.UNIT_POINTS, price=price)
            await found.call("CreateOffer", parent=SHOP, offer_id=own_id, offer=offer)
        for member, pin in PINS.items():
            await found.member(member, POINTS)
            await found.call("SetPin", name=f"{LEDGER}/members/{member}", pin=pin)
        yield found


@pytest.fixture(autouse=True)
def cheap_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """PINs cost little here."""
    hash_cheaply(monkeypatch)


@pytest.fixture
async def till(tmp_path: pathlib.Path, sqlite_url: str) -> AsyncIterator[TillWorld]:
    """The barber on SQLite."""
    async with barber(tmp_path, sqlite_url) as found:
        yield found


@pytest.fixture
async def either_till(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[TillWorld]:
    """The barber on each database."""
    async with barber(tmp_path, database_url) as found:
        yield found


async def waiting(till: TillWorld, offer: str = "haircut") -> Any:
    """A sale that waits for whoever scans."""
    sold = await till.redeem("", payment_code=None, member_qr=True, offer=f"{SHOP}/offers/{offer}")
    assert (sold.state, sold.member, sold.amount) == (R.STATE_PENDING_MEMBER, "", PRICES[offer])
    return sold


async def confirm(till: TillWorld, name: str, who: Principal = WANG, **fields: Any) -> Any:
    """A member says yes in the app."""
    return await till.call("ConfirmByMember", who, name=name, **fields)


async def reason_for(till: TillWorld, name: str, who: Principal = WANG, **fields: Any) -> Reason:
    """A member says yes, which is refused, and is told why."""
    return await refused(confirm(till, name, who, **fields))


async def points_left(till: TillWorld, member: str = "wang") -> tuple[int, int]:
    """Points of a member by the ledger's books: posted, and free to spend."""
    stub: Any = MemberServiceStub(LocalChannel(till.world.process.runtime.interceptors, OPERATOR))
    request = member_service_pb2.GetMemberRequest(name=f"{LEDGER}/members/{member}")
    account = (await stub.GetMember(request)).points_account
    balance = await till.world.balance(account)
    return balance.posted, balance.available


async def tries_left(till: TillWorld) -> int:
    """Wrong PINs that 王阿姨 had left, by trying one."""
    member = f"{LEDGER}/members/wang"
    tried = await refusal(till.call("SetPin", name=member, pin=PIN, present_pin=WRONG_PIN))
    return int(tried.metadata.get("tries_left", -1)) + 1


async def state_of(till: TillWorld, sold: Any) -> int:
    """How the till finds a sale by its own reference."""
    found = await till.call("LookupRedemption", parent=SHOP, merchant_ref=sold.merchant_ref)
    return int(found.state)


async def test_above_the_tier_the_member_types_a_pin_and_pays_once(either_till: TillWorld) -> None:
    sold = await waiting(either_till)
    assert await reason_for(either_till, sold.name) is Reason.PIN_REQUIRED
    wrong = await refusal(confirm(either_till, sold.name, pin=WRONG_PIN))
    assert (wrong.reason, wrong.metadata["tries_left"]) == (Reason.PIN_INVALID, "4")
    assert await state_of(either_till, sold) == R.STATE_PENDING_MEMBER
    assert await points_left(either_till) == (POINTS, POINTS)
    request_id = str(uuid.uuid4())
    paid = await confirm(either_till, sold.name, pin=PIN, request_id=request_id)
    again = await confirm(either_till, sold.name, pin=PIN, request_id=request_id)
    other = await confirm(either_till, sold.name, pin=PIN)
    assert (paid.state, paid.member) == (R.STATE_CAPTURED, f"{LEDGER}/members/wang")
    assert [again.captured_amount, other.captured_amount] == [300, 300]
    assert (paid.replayed, again.replayed) == (False, True)
    assert await state_of(either_till, sold) == R.STATE_CAPTURED
    assert await points_left(either_till) == (POINTS - 300, POINTS - 300)


async def test_a_right_pin_forgets_the_wrong_ones(till: TillWorld) -> None:
    sold = await waiting(till)
    for _ in range(TRIES_MAX - 1):
        assert await reason_for(till, sold.name, pin=WRONG_PIN) is Reason.PIN_INVALID
    await confirm(till, sold.name, pin=PIN)
    assert await tries_left(till) == TRIES_MAX


async def test_above_the_day_of_a_printed_code_no_pin_helps(till: TillWorld) -> None:
    await confirm(till, (await waiting(till, "wash")).name)
    await confirm(till, (await waiting(till)).name, pin=PIN)
    sold = await waiting(till, "comb")  # 490 points were paid today, 500 may be
    assert await reason_for(till, sold.name) is Reason.LIMIT_EXCEEDED
    assert await reason_for(till, sold.name, pin=PIN) is Reason.LIMIT_EXCEEDED
    assert await points_left(till) == (POINTS - 490, POINTS - 490)


async def test_the_printed_code_finds_what_waits_at_its_till(till: TillWorld) -> None:
    scanned: dict[str, Any] = {"terminal": TILL, "amount": 300}
    assert await reason_for(till, PRINTED, pin=PIN, **scanned) is Reason.REDEMPTION_NOT_FOUND
    sold = await waiting(till)
    dearer = reason_for(till, PRINTED, terminal=TILL, amount=299, pin=PIN)
    assert await dearer is Reason.REDEMPTION_NOT_FOUND
    assert await reason_for(till, PRINTED, **scanned) is Reason.PIN_REQUIRED
    paid = await confirm(till, PRINTED, pin=PIN, **scanned)
    assert (paid.name, paid.state) == (sold.name, R.STATE_CAPTURED)
    assert await reason_for(till, PRINTED, pin=PIN, **scanned) is Reason.REDEMPTION_NOT_FOUND


async def test_of_two_sales_that_wait_the_printed_code_guesses_none(till: TillWorld) -> None:
    sold = [await waiting(till), await waiting(till)]
    found = reason_for(till, PRINTED, terminal=TILL, amount=300, pin=PIN)
    assert await found is Reason.REDEMPTION_NOT_FOUND
    assert [await state_of(till, one) for one in sold] == [R.STATE_PENDING_MEMBER] * 2


async def test_five_wrong_pins_lock_it_until_an_officer_resets_it(till: TillWorld) -> None:
    sold = await waiting(till)
    reasons = [await reason_for(till, sold.name, pin=WRONG_PIN) for _ in range(TRIES_MAX)]
    assert reasons == [*[Reason.PIN_INVALID] * (TRIES_MAX - 1), Reason.PIN_LOCKED]
    assert await reason_for(till, sold.name, pin=PIN) is Reason.PIN_LOCKED
    assert await points_left(till) == (POINTS, POINTS)
    officer = Principal(PrincipalKind.OFFICER, "sun", units=frozenset({"huancui"}))
    await till.call("ResetPin", officer, name=f"{LEDGER}/members/wang", pin="963258")
    assert (await confirm(till, sold.name, pin="963258")).state == R.STATE_CAPTURED


async def test_a_wrong_pin_that_is_sent_again_counts_once(till: TillWorld) -> None:
    sold, request_id = await waiting(till), str(uuid.uuid4())
    for _ in range(TRIES_MAX + 1):
        again = reason_for(till, sold.name, pin=WRONG_PIN, request_id=request_id)
        assert await again is Reason.PIN_INVALID
    assert await tries_left(till) == TRIES_MAX - 1


async def test_wrong_pins_at_once_are_five_at_most(either_till: TillWorld) -> None:
    sold = await waiting(either_till)
    tries = [reason_for(either_till, sold.name, pin=WRONG_PIN) for _ in range(TRIES_MAX + 3)]
    reasons = Counter(await asyncio.gather(*tries))
    assert reasons == {Reason.PIN_INVALID: TRIES_MAX - 1, Reason.PIN_LOCKED: 4}
    assert await reason_for(either_till, sold.name, pin=PIN) is Reason.PIN_LOCKED


async def test_a_minute_later_nobody_can_confirm(till: TillWorld) -> None:
    sold = await waiting(till)
    till.world.clock.advance(seconds=61)
    assert await reason_for(till, sold.name, pin=PIN) is Reason.REDEMPTION_STATE
    printed = reason_for(till, PRINTED, terminal=TILL, amount=300, pin=PIN)
    assert await printed is Reason.REDEMPTION_NOT_FOUND
    in_time = await waiting(till)
    till.world.clock.advance(seconds=59)
    assert (await confirm(till, in_time.name, pin=PIN)).state == R.STATE_CAPTURED
    assert await points_left(till) == (POINTS - 300, POINTS - 300)


@pytest.mark.parametrize("ending", ["VoidRedemption", "ReverseRedemption"])
async def test_what_the_till_took_back_is_not_confirmed_and_no_pin_is_tried(
    till: TillWorld, ending: str
) -> None:
    sold = await waiting(till)
    named = {"name": sold.name} if ending == "VoidRedemption" else {"parent": SHOP}
    ended = await till.call(ending, merchant_ref=sold.merchant_ref, **named)
    for pin in (PIN, WRONG_PIN):
        assert await reason_for(till, sold.name, pin=pin) is Reason.REDEMPTION_STATE
    assert await state_of(till, sold) == ended.state
    assert await points_left(till) == (POINTS, POINTS)
    assert await tries_left(till) == TRIES_MAX


async def test_who_confirms_pays_and_nobody_confirms_for_another(till: TillWorld) -> None:
    sold = await waiting(till)
    assert await reason_for(till, sold.name, LI, pin=PIN) is Reason.PIN_INVALID
    for_wang = reason_for(till, sold.name, LI, member=f"{LEDGER}/members/wang", pin=PINS["li"])
    assert await for_wang is Reason.SCOPE_MISSING
    paid = await confirm(till, sold.name, LI, member=f"{LEDGER}/members/li", pin=PINS["li"])
    assert paid.member == f"{LEDGER}/members/li"
    assert await points_left(till, "wang") == (POINTS, POINTS)
    assert await points_left(till, "li") == (POINTS - 300, POINTS - 300)
    assert await reason_for(till, sold.name, pin=PIN) is Reason.REDEMPTION_NOT_FOUND


async def test_of_two_members_who_scan_at_once_one_pays(either_till: TillWorld) -> None:
    sold = await waiting(either_till)
    results = await asyncio.gather(
        confirm(either_till, sold.name, WANG, pin=PINS["wang"]),
        confirm(either_till, sold.name, LI, pin=PINS["li"]),
        return_exceptions=True,
    )
    assert sum(isinstance(result, R) for result in results) == 1
    left = sorted([await points_left(either_till, "wang"), await points_left(either_till, "li")])
    assert left == [(POINTS - 300, POINTS - 300), (POINTS, POINTS)]


async def test_a_till_says_no_yes_of_its_own(till: TillWorld) -> None:
    sold = await waiting(till)
    itself = Principal(PrincipalKind.TERMINAL, "shop/t1")
    assert await reason_for(till, sold.name, itself, pin=PIN) is Reason.SCOPE_MISSING
    typed = {"name": sold.name, "merchant_ref": sold.merchant_ref, "pin": PIN}
    assert await refused(till.call("ConfirmRedemption", **typed)) is Reason.REDEMPTION_STATE
    assert await points_left(till) == (POINTS, POINTS)
