"""Codes that do not pay look alike, also with a PIN: the same bytes come back, after the same work.

And the lock of a till that guesses: ten wrong codes within a minute, for that till alone; genuine
codes that came too late are no guesses.
"""

import asyncio
import functools
import pathlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc.aio
import pytest
from argon2 import PasswordHasher

from merchant.domain import payment_codes
from merchant.domain.enrolment_codes import enrolment_text
from merchant.domain.payment_codes import PREFIX_DEFAULT, RANDOM_BYTES, WRONG_TRIES_MAX, make_code
from merchant.domain.pins import TRIES_MAX
from merchant.usecases.pin_hashing import LANES
from merchant.usecases.wallets import PIN_OF_NOBODY as COSTLY_PIN_OF_NOBODY
from tests.merchant.test_audit_trail import CAUSES, code_that_is
from tests.merchant.till_world import COFFEE, LEDGER, SHOP, TILL, TillWorld, till_world
from tests.support.cheap_pins import hash_cheaply
from tests.support.ledgers import refusal, refused
from timebank.database.sessions import PostgresqlSession, SqliteSession
from timebank.errors import Reason
from timebank.merchant.v1 import merchant_pb2, redemption_pb2, redemption_service_pb2
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub

PIN, WRONG_PIN, NO_PIN = "258036", "147036", "12"
SHAPES = ("000000000000000000", "7012", "abc", "62" + "0" * 16)
"""What is no code of ours: another scheme's, too short, no digits."""
NEVER_ISSUED = make_code(PREFIX_DEFAULT, bytes(RANDOM_BYTES))


@pytest.fixture(autouse=True)
def cheap_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PIN is a matter of microseconds here; how often one is compared is counted."""
    hash_cheaply(monkeypatch)


@asynccontextmanager
async def opened(folder: pathlib.Path, url: str) -> AsyncIterator[TillWorld]:
    """A shop with a till, and 王阿姨 with points and a PIN."""
    async with till_world(folder, url) as found:
        await found.open_shop()
        await found.member("wang", 1_000)
        await found.call("SetPin", name=f"{LEDGER}/members/wang", pin=PIN)
        yield found


@pytest.fixture
async def till(tmp_path: pathlib.Path, sqlite_url: str) -> AsyncIterator[TillWorld]:
    """The shop on SQLite."""
    async with opened(tmp_path, sqlite_url) as found:
        yield found


@pytest.fixture
async def either_till(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[TillWorld]:
    """The shop on each database."""
    async with opened(tmp_path, database_url) as found:
        yield found


async def sent_for(till: TillWorld, method: str, code: str, **fields: Any) -> tuple[object, ...]:
    """Everything that a refused till is sent, over the network."""
    values: dict[str, Any] = {"parent": SHOP, "terminal": TILL, "offer": COFFEE, "quantity": 1}
    values |= {"request_id": str(uuid.uuid4()), "payment_code": code, **fields}
    request = getattr(redemption_service_pb2, f"{method}Request")(**values)
    call = getattr(RedemptionServiceStub(till.world.channel), method)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(request, metadata=till.signature(method, request))
    sent = error.value
    return (
        *(sent.code(), sent.details()),
        *(tuple(sent.initial_metadata()), tuple(sent.trailing_metadata())),
    )


async def test_with_any_pin_every_code_that_does_not_pay_gets_the_same_bytes(
    till: TillWorld, tmp_path: pathlib.Path
) -> None:
    found: dict[tuple[str, str], set[tuple[object, ...]]] = {
        ("AuthorizeRedemption", PIN): set(),
        **{("RedeemPoints", pin): set() for pin in (PIN, WRONG_PIN, NO_PIN)},
    }
    for cause in CAUSES:
        code = await code_that_is(till, cause, tmp_path)
        for (method, pin), answers in found.items():
            answers.add(await sent_for(till, method, code, pin=pin, merchant_ref=till.ref()))
        till.world.clock.advance(seconds=61)
    assert {call: len(answers) for call, answers in found.items()} == dict.fromkeys(found, 1)
    assert found["RedeemPoints", PIN] == found["RedeemPoints", WRONG_PIN]
    # None of it was a try of the PIN.
    member = f"{LEDGER}/members/wang"
    tried = await refusal(till.call("SetPin", name=member, pin=WRONG_PIN, present_pin=WRONG_PIN))
    assert tried.metadata["tries_left"] == str(TRIES_MAX - 1)


async def test_a_quote_too_answers_every_code_that_does_not_pay_alike(
    till: TillWorld, tmp_path: pathlib.Path
) -> None:
    codes = [await code_that_is(till, cause, tmp_path) for cause in CAUSES]
    answers = {await sent_for(till, "QuoteRedemption", code) for code in (*codes, *SHAPES)}
    assert len(answers) == 1


class Work(NamedTuple):
    """What answering a till costs: keyed digests of numbers, PINs compared, trips to a database."""

    digests: int
    pins: int
    trips: int


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the work from here on."""
    done: Counter[str] = Counter()

    def counting(owner: Any, name: str, kind: str) -> None:
        real = getattr(owner, name)

        @functools.wraps(real)
        def counted(*arguments: Any, **named: Any) -> Any:
            done[kind] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)

    counting(payment_codes, "keyed_digest", "digests")
    counting(PasswordHasher, "verify", "pins")
    for session in (SqliteSession, PostgresqlSession):
        counting(session, "run", "trips")
    return done


async def test_every_code_that_does_not_pay_costs_the_same_work(
    either_till: TillWorld, tmp_path: pathlib.Path, work: Counter[str]
) -> None:
    foreign = await code_that_is(either_till, "FOREIGN", tmp_path)
    # The first of all looks more up than those that follow.
    await sent_for(either_till, "RedeemPoints", foreign, merchant_ref=either_till.ref())
    costs: dict[str, Work] = {}
    for cause in CAUSES:
        code = foreign if cause == "FOREIGN" else await code_that_is(either_till, cause, tmp_path)
        work.clear()
        await sent_for(either_till, "RedeemPoints", code, pin=PIN, merchant_ref=either_till.ref())
        costs[cause] = Work(work["digests"], work["pins"], work["trips"])
    assert set(costs.values()) == {costs["USED"]}, costs
    assert costs["USED"].digests > 0
    assert costs["USED"].pins == 1


def test_a_pin_of_nobody_is_as_costly_to_compare_as_a_members() -> None:
    hasher = PasswordHasher(parallelism=LANES)
    assert not hasher.check_needs_rehash(COSTLY_PIN_OF_NOBODY)


async def reason_for(till: TillWorld, code: str) -> Reason:
    """Shows a code at a till and gives why it does not pay."""
    return await refused(till.redeem("wang", payment_code=code))


async def another_till(till: TillWorld, merchant: str, own_id: str) -> "OtherTill":
    """Enrols another till at a merchant, which is made when there is none."""
    name = f"{merchant}/terminals/{own_id}"
    if merchant != SHOP:
        sponsor = merchant_pb2.Merchant(
            display_name="面馆", category=merchant_pb2.Merchant.CATEGORY_DISCOUNT
        )
        merchant_id = merchant.rpartition("/")[2]
        await till.call("CreateMerchant", parent=LEDGER, merchant_id=merchant_id, merchant=sponsor)
        offer = merchant_pb2.Offer(title="面", unit=merchant_pb2.UNIT_POINTS, price=10)
        await till.call("CreateOffer", parent=merchant, offer_id="coffee", offer=offer)
    made = await till.call(
        "CreateTerminal",
        parent=merchant,
        terminal_id=own_id,
        terminal=merchant_pb2.Terminal(display_name="二号"),
    )
    other = OtherTill(till.world, name=name)
    await other.enrol(made.enrolment_code)
    return other


@dataclass
class OtherTill(TillWorld):
    """A till with another name."""

    name: str = ""

    async def enrol(self, code: str) -> None:
        """Proves that the till has its key."""
        public = self.key.public_key().public_bytes_raw()
        proof = self.key.sign(enrolment_text(self.name, code, public))
        await self.call(
            "EnrollTerminal", name=self.name, enrolment_code=code, public_key=public, proof=proof
        )

    def signature(self, method: str, request: Any, **changes: Any) -> tuple[tuple[str, str], ...]:
        """The metadata by which this till signs a call."""
        _, *signed = super().signature(method, request, **changes)
        return (("timebank-terminal", self.name), *signed)

    async def sell(self) -> redemption_pb2.Redemption:
        """Sells one piece to 王阿姨."""
        merchant = self.name.partition("/terminals/")[0]
        offer = f"{merchant}/offers/coffee"
        return await self.redeem("wang", parent=merchant, terminal=self.name, offer=offer)


async def test_ten_wrong_codes_within_a_minute_lock_their_till_and_no_other(
    till: TillWorld,
) -> None:
    second = await another_till(till, SHOP, "t2")
    namesake = await another_till(till, f"{LEDGER}/merchants/noodles", "t1")
    for number in range(WRONG_TRIES_MAX):
        wrong = NEVER_ISSUED if number % 2 else SHAPES[number % len(SHAPES)]
        assert await reason_for(till, wrong) is Reason.PAYMENT_CODE_INVALID
    assert await reason_for(till, await till.code("wang")) is Reason.RATE_LIMITED
    assert await reason_for(till, NEVER_ISSUED) is Reason.RATE_LIMITED
    for other in (second, namesake):
        assert (await other.sell()).state == redemption_pb2.Redemption.STATE_CAPTURED
    till.world.clock.advance(seconds=61)
    assert (await till.redeem("wang")).state == redemption_pb2.Redemption.STATE_CAPTURED


async def test_wrong_codes_of_several_minutes_do_not_lock(till: TillWorld) -> None:
    for _ in range(2):
        for _ in range(WRONG_TRIES_MAX - 1):
            assert await reason_for(till, NEVER_ISSUED) is Reason.PAYMENT_CODE_INVALID
        till.world.clock.advance(seconds=61)
    assert (await till.redeem("wang")).captured_amount == 10


async def test_genuine_codes_that_came_too_late_do_not_lock_and_used_ones_do(
    till: TillWorld, tmp_path: pathlib.Path
) -> None:
    expired = await code_that_is(till, "EXPIRED", tmp_path)
    replaced = await code_that_is(till, "REPLACED", tmp_path)
    for _ in range(WRONG_TRIES_MAX + 1):
        for code in (expired, replaced):
            assert await reason_for(till, code) is Reason.PAYMENT_CODE_INVALID
    used = await code_that_is(till, "USED", tmp_path)
    for _ in range(WRONG_TRIES_MAX):
        assert await reason_for(till, used) is Reason.PAYMENT_CODE_INVALID
    assert await reason_for(till, await till.code("wang")) is Reason.RATE_LIMITED


async def test_tries_at_once_are_counted_one_by_one(either_till: TillWorld) -> None:
    shown = [reason_for(either_till, NEVER_ISSUED) for _ in range(3 * WRONG_TRIES_MAX)]
    reasons = Counter(await asyncio.gather(*shown))
    assert reasons == {
        Reason.PAYMENT_CODE_INVALID: WRONG_TRIES_MAX,
        Reason.RATE_LIMITED: 2 * WRONG_TRIES_MAX,
    }
