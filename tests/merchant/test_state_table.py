"""Every cell of the specification's state table, carried out by real calls against a real ledger.

The tables are written by hand from the specification: for each state and event the state that
follows or the reason of the refusal, the points the member is short of, and those that are held.
A sale is over 10 points; 4 of a partly captured one are paid; a further part is 2, a final one 3,
a refund 1.
"""

import itertools
import pathlib
import uuid
from typing import Any, NamedTuple

import pytest

from merchant.domain.documents import Redemption, Wallet
from merchant.domain.pins import PinTiers
from merchant.domain.redemption_moves import Confirm, Event, Move
from merchant.domain.states import DocumentKind, Method, RedemptionState
from merchant.usecases.redemptions import Outcome, redemption_id_of
from merchant.usecases.sweeper import Sweeper
from tests.merchant.flaky_ledgers import Fault, Weather, make_flaky
from tests.merchant.shops import CALL, MINUTE_US, SHOP, ShopWorld, shop_world
from timebank.errors import Reason, TimebankError

R = RedemptionState
ASKS_PIN = PinTiers(payment_points_without_pin=5)
PIN = "the hash of a PIN"
PART, FINAL, BACK = 2, 3, 1

Cell = tuple[str, int, int]
"""State or reason, points taken, points held."""
Row = dict[str, Cell]
EVENTS = ("authorize", "pin", "part", "rest", "final", "void", "reverse", "expiry", "refund")


def row(*cells: Cell) -> Row:
    """The cells of a state, in the order of EVENTS."""
    return dict(zip(EVENTS, cells, strict=True))


def released(state: str, authorize: str) -> Row:
    """The row of a state in which nothing is promised any more: never left."""
    return row(
        (authorize, 0, 0),
        ("REDEMPTION_STATE", 0, 0),
        *(("HOLD_RELEASED", 0, 0),) * 3,
        *((state, 0, 0),) * 3,
        ("REDEMPTION_STATE", 0, 0),
    )


NOT_FOUND = ("REDEMPTION_NOT_FOUND", 0, 0)
SILENCE = ("OUTCOME_UNKNOWN", 0, 0)
TABLE: dict[str, Row] = {
    "nothing": row(
        ("AUTHORIZED", 0, 10),
        *(NOT_FOUND,) * 5,
        ("REVERSED", 0, 0),
        *(NOT_FOUND,) * 2,
    ),
    "PENDING_MEMBER": row(
        ("PENDING_MEMBER", 0, 0),
        ("AUTHORIZED", 0, 10),
        *(("REDEMPTION_STATE", 0, 0),) * 3,
        ("VOIDED", 0, 0),
        ("REVERSED", 0, 0),
        ("EXPIRED", 0, 0),
        ("REDEMPTION_STATE", 0, 0),
    ),
    "AUTHORIZED": row(
        ("AUTHORIZED", 0, 10),
        ("AUTHORIZED", 0, 10),
        ("PARTIALLY_CAPTURED", 2, 8),
        ("CAPTURED", 10, 0),
        ("CAPTURED", 3, 0),
        ("VOIDED", 0, 0),
        ("REVERSED", 0, 0),
        ("EXPIRED", 0, 0),
        ("REDEMPTION_STATE", 0, 10),
    ),
    "PARTIALLY_CAPTURED": row(
        ("PARTIALLY_CAPTURED", 4, 6),
        ("PARTIALLY_CAPTURED", 4, 6),
        ("PARTIALLY_CAPTURED", 6, 4),
        ("CAPTURED", 10, 0),
        ("CAPTURED", 7, 0),
        ("CAPTURED", 4, 0),
        ("REVERSED", 0, 0),
        ("CAPTURED", 4, 0),
        ("PARTIALLY_CAPTURED", 3, 6),
    ),
    "CAPTURED": row(
        ("CAPTURED", 10, 0),
        ("CAPTURED", 10, 0),
        *(("ALREADY_CAPTURED", 10, 0),) * 4,
        ("REVERSED", 0, 0),
        ("CAPTURED", 10, 0),
        ("CAPTURED", 9, 0),
    ),
    "VOIDED": released("VOIDED", "VOIDED"),
    "REVERSED": released("REVERSED", "REVERSED"),
    "EXPIRED": released("EXPIRED", "EXPIRED"),
    "DECLINED": released("DECLINED", "INSUFFICIENT_BALANCE"),
    "tombstone": released("REVERSED", "REVERSED_BEFORE_AUTHORIZATION"),
    "UNKNOWN": row(*(SILENCE,) * 7, ("UNKNOWN", 0, 0), SILENCE),
}
ANSWERED_AGAIN = row(
    ("AUTHORIZED", 0, 10),
    ("OUTCOME_UNKNOWN", 0, 0),
    ("PARTIALLY_CAPTURED", 2, 8),
    ("CAPTURED", 10, 0),
    ("CAPTURED", 3, 0),
    ("VOIDED", 0, 0),
    ("REVERSED", 0, 0),
    ("DECLINED", 0, 0),
    ("REDEMPTION_STATE", 0, 10),
)
"""What an unknown one comes to once the ledger answers again; after its time it is declined."""
FOLLOWING = {
    None: {R.PENDING_MEMBER, R.UNKNOWN, R.AUTHORIZED, R.CAPTURED, R.DECLINED, R.REVERSED},
    R.UNKNOWN: {*R} - {R.PENDING_MEMBER},
    R.PENDING_MEMBER: {*R} - {R.PARTIALLY_CAPTURED},
    R.AUTHORIZED: {R.PARTIALLY_CAPTURED, R.CAPTURED, R.VOIDED, R.REVERSED, R.EXPIRED},
    R.PARTIALLY_CAPTURED: {R.CAPTURED, R.REVERSED},
    R.CAPTURED: {R.REVERSED},
}
"""What may follow a state, directly or by way of others; a terminal state has no successors."""


class Sale(NamedTuple):
    """One sale of one member, and how to ask about it."""

    shop: ShopWorld
    weather: Weather
    member: str
    points: int
    merchant_ref: str
    rest: int

    @property
    def redemption_id(self) -> str:
        return redemption_id_of(SHOP, self.merchant_ref)

    async def found(self) -> Redemption | None:
        """The redemption as it stands, None when there is none."""
        found: Any = await self.shop.programmes.find(
            self.shop.programme, DocumentKind.REDEMPTION, self.redemption_id
        )
        redemption: Redemption | None = found
        return redemption

    async def money(self) -> tuple[int, int]:
        """Points that the member is short of, and those held, by the ledger's own books."""
        accounts = await self.shop.programmes.member_accounts(self.shop.programme, self.member)
        balance = await self.shop.world.balance(accounts.points)
        return self.points - balance.posted, balance.held

    async def authorize(self, request_id: bytes, **changes: Any) -> Outcome:
        """Asks for the sale; another request shows a fresh code, a repeated one the same."""
        known = self.shop.codes
        if request_id.hex() not in known:
            known[request_id.hex()] = await self.shop.code(self.member)
        code = known[request_id.hex()]
        command = self.shop.sale(code, merchant_ref=self.merchant_ref, redeems=False)
        return await self.shop.begin(command._replace(**changes), request_id)

    async def act(self, event: str, request_id: bytes) -> Outcome:
        """Does what an event of the table says."""
        shop, programme = self.shop, self.shop.programme
        with_id: Any = {"request_id": request_id, "call": CALL}
        if event == "authorize":
            return await self.authorize(request_id)
        if event == "pin":
            confirm = Confirm(
                *(self.redemption_id, programme.zone, Method.PAYMENT_CODE, PIN),
                life_us=15 * MINUTE_US,
            )
            return await shop.redemptions.confirm(programme, confirm, **with_id)
        if event == "reverse":
            return await shop.redemptions.reverse(programme, SHOP, self.merchant_ref, **with_id)
        if event == "expiry":
            shop.world.clock.advance(seconds=16 * 60)
            await Sweeper(shop.programmes, shop.redemptions, interval_s=1).sweep()
            found = await self.found()
            if found is None:
                raise TimebankError(Reason.REDEMPTION_NOT_FOUND, "none")
            return Outcome(found)
        amounts = {"part": PART, "rest": self.rest, "final": FINAL, "refund": BACK, "void": 0}
        kind = Event.CAPTURE if event in ("part", "rest", "final") else Event(event)
        op_ref = "" if event == "void" else f"op-{request_id.hex()}"
        move = Move(self.redemption_id, kind, programme.zone, op_ref, amounts[event])
        return await shop.redemptions.move(
            programme, move._replace(final=event == "final"), **with_id
        )


async def said(sale: Sale, event: str, request_id: bytes) -> str:
    """Does what an event says and gives the state or the reason."""
    try:
        return (await sale.act(event, request_id)).redemption.state.name
    except TimebankError as error:
        return error.reason.name


async def reach(sale: Sale, state: str) -> None:
    """Brings a sale into a state by real calls."""
    new_id = uuid.uuid4().bytes
    if state == "tombstone":
        await sale.act("reverse", new_id)
    elif state == "PENDING_MEMBER":
        await sale.authorize(new_id, tiers=ASKS_PIN)
    elif state == "UNKNOWN":
        sale.weather.always = Fault.DOWN
        assert await said(sale, "authorize", new_id) == "OUTCOME_UNKNOWN"
    elif state == "DECLINED":
        assert await said(sale, "authorize", new_id) == "INSUFFICIENT_BALANCE"
    elif state == "CAPTURED":
        await sale.authorize(new_id, redeems=True)
    elif state != "nothing":
        await sale.authorize(new_id)
    ways = {"VOIDED": "void", "REVERSED": "reverse", "EXPIRED": "expiry"}
    if state in ways:
        await sale.act(ways[state], uuid.uuid4().bytes)
    if state == "PARTIALLY_CAPTURED":
        held = await sale.found()
        assert held is not None
        await sale.shop.do(held, Event.CAPTURE, 4)
    found = await sale.found()
    assert (found.state.name if found else "nothing") in (state, "REVERSED")


class Shops:
    """Sales in one shop, each of a member of its own."""

    def __init__(self, shop: ShopWorld) -> None:
        self.shop = shop
        self.weather = make_flaky(shop)
        self.made = 0

    async def sale(self, state: str) -> Sale:
        """A sale in a state."""
        self.weather.clear_up()
        self.made += 1
        member = f"m-{self.made}"
        points = 3 if state == "DECLINED" else 100
        rest = 6 if state == "PARTIALLY_CAPTURED" else 10
        await self.shop.member(member, points)
        await self.shop.put(Wallet(member, pin_hash=PIN))
        sale = Sale(self.shop, self.weather, member, points, self.shop.ref(), rest)
        await reach(sale, state)
        return sale


async def outcomes(shops: Shops, state: str, *, answers_again: bool = False) -> Row:
    """Does every event in a state, each twice with one request id, and gives what came of it."""
    found = {}
    for event in EVENTS:
        sale = await shops.sale(state)
        before = await sale.found()
        if answers_again:
            shops.weather.clear_up()
        request_id = uuid.uuid4().bytes
        word = await said(sale, event, request_id)
        after = await sale.found()
        money = await sale.money()
        if word not in RedemptionState.__members__ and not answers_again:
            assert after == before, f"{event} was refused and changed something"
        assert await said(sale, event, request_id) == word, f"{event} repeated"
        assert (await sale.found(), await sale.money()) == (after, money), f"{event} repeated"
        if after is not None and word in RedemptionState.__members__:
            assert after.state.name == word
        found[event] = (word, *money)
    return found


@pytest.mark.parametrize("state", TABLE)
async def test_every_event_in_a_state_does_what_the_table_says(
    tmp_path: pathlib.Path, sqlite_url: str, state: str
) -> None:
    async with shop_world(tmp_path, sqlite_url) as shop:
        await shop.open_shop()
        assert await outcomes(Shops(shop), state) == TABLE[state]


@pytest.mark.postgresql
async def test_every_event_in_every_state_does_what_the_table_says_on_postgresql(
    tmp_path: pathlib.Path, postgresql_url: str
) -> None:
    async with shop_world(tmp_path, postgresql_url) as shop:
        await shop.open_shop()
        shops = Shops(shop)
        assert {state: await outcomes(shops, state) for state in TABLE} == TABLE


async def test_an_unknown_one_takes_every_event_once_the_ledger_answers_again(
    shop: ShopWorld,
) -> None:
    found = await outcomes(Shops(shop), "UNKNOWN", answers_again=True)
    assert found == ANSWERED_AGAIN


@pytest.mark.parametrize("state", ["PENDING_MEMBER", "AUTHORIZED", "PARTIALLY_CAPTURED"])
async def test_no_pair_of_events_moves_a_state_back(
    tmp_path: pathlib.Path, sqlite_url: str, state: str
) -> None:
    async with shop_world(tmp_path, sqlite_url) as shop:
        await shop.open_shop()
        await check_pairs(Shops(shop), state)


async def check_pairs(shops: Shops, state: str) -> None:
    """Lets every pair of events follow a state."""
    for pair in itertools.permutations(EVENTS, 2):
        sale = await shops.sale(state)
        before = RedemptionState.__members__[state]
        for event in pair:
            await said(sale, event, uuid.uuid4().bytes)
            found = await sale.found()
            assert found is not None
            following = FOLLOWING.get(before, set())
            assert found.state is before or found.state in following, (pair, before, found.state)
            before = found.state
            taken, held = await sale.money()
            live = before in (R.AUTHORIZED, R.PARTIALLY_CAPTURED)
            assert taken == found.captured - found.refunded, pair
            assert held == (found.amount - found.captured if live else 0), pair
            assert 0 <= found.refunded <= found.captured <= found.amount, pair


async def test_a_captured_sale_is_reversed_until_the_cut_off_only(shop: ShopWorld) -> None:
    sale = await Shops(shop).sale("CAPTURED")
    shop.world.clock.advance(seconds=16 * 3_600)
    assert await said(sale, "reverse", uuid.uuid4().bytes) not in RedemptionState.__members__
    assert await sale.money() == (10, 0)
