"""Real races: many tills at once, in one process and in several on one database; exact sums.

Several processes are several `Programmes`, each with a writer and a session of its own, on one
PostgreSQL database.
"""

import asyncio
import pathlib
import uuid
from collections import Counter as Tally
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest

from merchant.domain.documents import Redemption
from merchant.domain.payers import Payer
from merchant.domain.redemption_begin import Begin
from merchant.domain.redemption_moves import Confirm, Event, Move
from merchant.domain.states import DocumentKind, Method
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.redemptions import Outcome, Redemptions
from tests.merchant.flaky_ledgers import Weather, programmes_beside
from tests.merchant.sale_books import SaleBooks, check_documents
from tests.merchant.shops import CALL, GOODS, MINUTE_US, SHOP, TILL, ShopWorld, shop_world
from timebank.errors import TimebankError

K = DocumentKind
RACERS = 32
PROCESSES = 4


class Process(NamedTuple):
    """One process of the merchant service."""

    programmes: Programmes
    programme: Programme
    redemptions: Redemptions


class Race:
    """A shop, and the processes that serve its tills."""

    def __init__(self, shop: ShopWorld, processes: list[Process]) -> None:
        self.shop = shop
        self.processes = processes

    def process(self, number: int) -> Process:
        """The process that a till talks to."""
        return self.processes[number % len(self.processes)]

    async def begin(self, number: int, command: Begin, request_id: bytes = b"") -> Outcome:
        """A till begins a redemption."""
        process = self.process(number)
        return await process.redemptions.begin(
            process.programme, command, request_id=request_id or uuid.uuid4().bytes, call=CALL
        )

    async def confirm(self, number: int, redemption: Redemption, member: str) -> Outcome:
        """A member confirms at the merchant's QR."""
        process = self.process(number)
        accounts = await process.programmes.member_accounts(process.programme, member)
        command = Confirm(
            *(redemption.redemption_id, process.programme.zone, Method.MERCHANT_QR),
            member_id=member,
            account=accounts.points,
            life_us=15 * MINUTE_US,
        )
        return await process.redemptions.confirm(
            process.programme, command, request_id=uuid.uuid4().bytes, call=CALL
        )

    async def move(self, number: int, redemption: Redemption, event: Event, amount: int) -> Outcome:
        """A till captures, refunds or voids."""
        process = self.process(number)
        op_ref = "" if event is Event.VOID else f"op-{number}"
        command = Move(redemption.redemption_id, event, process.programme.zone, op_ref, amount)
        return await process.redemptions.move(
            process.programme, command, request_id=uuid.uuid4().bytes, call=CALL
        )

    async def reverse(self, number: int, merchant_ref: str) -> Outcome:
        """A till reverses."""
        process = self.process(number)
        return await process.redemptions.reverse(
            process.programme, SHOP, merchant_ref, request_id=uuid.uuid4().bytes, call=CALL
        )

    async def codes(self, count: int, points: int) -> list[str]:
        """Payment codes of as many new members with so many points each."""
        for number in range(count):
            await self.shop.member(f"racer-{number}", points)
        return [await self.shop.code(f"racer-{number}") for number in range(count)]

    async def check(self) -> list[Redemption]:
        """Everything is answered, and the sums are those of the ledger's log."""
        listed = await self.shop.programmes.listed(
            self.shop.programme, K.REDEMPTION, SHOP, limit=1_000
        )
        redemptions: list[Any] = [document for _, document in listed]
        books = SaleBooks(self.shop.world)
        await books.read_on()
        for one in redemptions:
            assert one.pending is None
            books.check(one)
        await check_documents(self.shop)
        return redemptions


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
async def race(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> AsyncIterator[Race]:
    """A shop in one process on SQLite, in several on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    async with shop_world(tmp_path, url) as shop, AsyncExitStack() as ends:
        await shop.open_shop()
        processes = [Process(shop.programmes, shop.programme, shop.redemptions)]
        for _ in range(PROCESSES - 1 if request.param == "postgresql" else 0):
            programmes = programmes_beside(shop, Weather())
            ends.push_async_callback(programmes.close)
            programme = await programmes.programme("weihai", None)
            processes.append(Process(programmes, programme, Redemptions(programmes)))
        yield Race(shop, processes)


async def together(calls: list[Awaitable[Outcome]]) -> tuple[list[Redemption], Tally[str]]:
    """Runs calls at once; gives what succeeded, and how often each refusal came."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    done, refused = [], Tally[str]()
    for result in results:
        if isinstance(result, TimebankError):
            refused[result.reason.name] += 1
        elif isinstance(result, BaseException):
            raise result
        else:
            done.append(result.redemption)
    return done, refused


async def test_one_balance_is_never_overspent_by_tills_at_once(race: Race) -> None:
    await race.shop.member("wang", 75)
    waiting = []
    for number in range(RACERS):
        command = race.shop.sale("", payer=Payer(Method.MERCHANT_QR), redeems=number % 2 == 0)
        waiting.append((await race.begin(number, command)).redemption)
    done, refused = await together(
        [race.confirm(number, one, "wang") for number, one in enumerate(waiting)]
    )
    assert (len(done), refused) == (7, {"INSUFFICIENT_BALANCE": RACERS - 7})
    await race.check()
    accounts = await race.shop.programmes.member_accounts(race.shop.programme, "wang")
    balance = await race.shop.world.balance(accounts.points)
    assert balance.available == 5
    assert balance.posted == 75 - 10 * sum(one.redeems for one in done)


async def test_stock_sells_exactly_what_there_is(race: Race) -> None:
    offer = await race.shop.found(K.OFFER, GOODS)
    await race.shop.put(offer._replace(stock=7))
    codes = await race.codes(RACERS, 100)
    done, refused = await together(
        [race.begin(number, race.shop.sale(code)) for number, code in enumerate(codes)]
    )
    assert (len(done), refused) == (7, {"OUT_OF_STOCK": RACERS - 7})
    assert (await race.shop.found(K.OFFER, GOODS)).stock == 0
    await race.check()


async def test_a_budget_pays_exactly_what_it_has(race: Race) -> None:
    budget = await race.shop.found(K.BUDGET, "b")
    await race.shop.put(budget._replace(limit_fen=59))
    codes = await race.codes(RACERS, 100)
    done, refused = await together(
        [
            race.begin(number, race.shop.sale(code, redeems=number % 2 == 0))
            for number, code in enumerate(codes)
        ]
    )
    assert (len(done), refused) == (5, {"FUND_EXHAUSTED": RACERS - 5})
    await race.check()


async def test_a_cap_of_the_day_holds_for_tills_at_once(race: Race) -> None:
    offer = await race.shop.found(K.OFFER, GOODS)
    await race.shop.put(offer._replace(daily_max=6))
    codes = await race.codes(RACERS, 100)
    done, refused = await together(
        [race.begin(number, race.shop.sale(code)) for number, code in enumerate(codes)]
    )
    assert (len(done), refused) == (6, {"LIMIT_EXCEEDED": RACERS - 6})
    await race.check()


async def test_one_code_at_many_tills_sells_once(race: Race) -> None:
    await race.shop.member("wang", 1_000)
    till = await race.shop.found(K.TERMINAL, TILL)
    tills = [till._replace(terminal_id=f"{SHOP}/r{number}") for number in range(RACERS)]
    await race.shop.put(*tills)
    code = await race.shop.code("wang")
    done, refused = await together(
        [
            race.begin(number, race.shop.sale(code, terminal=till.terminal_id))
            for number, till in enumerate(tills)
        ]
    )
    assert (len(done), refused) == (1, {"PAYMENT_CODE_INVALID": RACERS - 1})
    assert await race.shop.points_of("wang") == 990
    assert len(await race.check()) == 1


async def test_one_request_id_many_times_sells_once(race: Race) -> None:
    await race.shop.member("wang", 1_000)
    command = race.shop.sale(await race.shop.code("wang"))
    done, refused = await together(
        [race.begin(number, command, b"r" * 16) for number in range(RACERS)]
    )
    assert not refused
    assert {one.redemption_id for one in done} == {command.redemption_id}
    assert {(one.state.name, one.captured) for one in done} == {("CAPTURED", 10)}
    assert await race.shop.points_of("wang") == 990
    assert len(await race.check()) == 1


async def test_one_reference_many_times_sells_once(race: Race) -> None:
    await race.shop.member("wang", 1_000)
    command = race.shop.sale(await race.shop.code("wang"))
    done, refused = await together([race.begin(number, command) for number in range(RACERS)])
    assert not refused
    assert len(done) == RACERS
    assert await race.shop.points_of("wang") == 990
    assert len(await race.check()) == 1


@pytest.mark.parametrize("event", [Event.CAPTURE, Event.REFUND])
async def test_parts_at_once_never_sum_to_more_than_the_whole(race: Race, event: Event) -> None:
    await race.shop.member("wang", 1_000)
    sold = await race.shop.sell("wang", redeems=event is Event.REFUND)
    done, refused = await together([race.move(number, sold, event, 1) for number in range(RACERS)])
    busy = refused.pop("OUTCOME_UNKNOWN", 0)
    assert set(refused) <= {"ALREADY_CAPTURED", "AMOUNT_EXCEEDS_HOLD", "REFUND_EXCEEDS_CAPTURE"}
    assert len(done) + refused.total() + busy == RACERS
    [after] = await race.check()
    moved = after.captured if event is Event.CAPTURE else after.refunded
    assert moved == len([item for item in after.done if not item.reason]) >= len(done)
    taken = 1_000 - await race.shop.points_of("wang")
    assert taken == after.captured - after.refunded


async def test_captures_voids_and_reversals_at_once_leave_one_truth(race: Race) -> None:
    await race.shop.member("wang", 1_000)
    held = await race.shop.sell("wang", redeems=False)
    calls: list[Awaitable[Outcome]] = []
    for number in range(RACERS):
        if number % 3 == 0:
            calls.append(race.move(number, held, Event.CAPTURE, 3))
        elif number % 3 == 1:
            calls.append(race.move(number, held, Event.VOID, 0))
        else:
            calls.append(race.reverse(number, held.merchant_ref))
    await together(calls)
    final = await race.reverse(0, held.merchant_ref)
    assert final.redemption.state.name in ("REVERSED", "VOIDED")
    assert await race.shop.points_of("wang") == 1_000
    await race.check()
