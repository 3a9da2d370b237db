"""Building the scene: merchants, tills, offers and members, and what members pay with."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from merchant.domain.enrolment_codes import enrolment_text
from merchant.domain.pins import TRIES_MAX
from tests.merchant.rpc.scenes import (
    OTHER_PIN,
    PIN,
    Scene,
    budget,
    member,
    merchant,
    offer,
    terminal,
)
from tests.merchant.till_world import LEDGER
from tests.support.commands import TIME
from tests.support.ledgers import refused
from timebank.errors import Reason as R
from timebank.ledger.v1 import member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.merchant.v1 import fund_pb2, merchant_pb2

M, Control = merchant_pb2.Merchant, merchant_pb2.VelocityControl
BUDGETS = {"tiny": 1, "dear": 1_000_000}
MERCHANTS: dict[str, dict[str, Any]] = {
    "barber": {"category": M.CATEGORY_SERVICE},
    "poor": {"budget": budget("tiny")},
    "costly": {"fen_per_hundred_points": 10_000, "budget": budget("dear")},
    "drained": {"debt_points_max": 0},
    **{word: {} for word in ("resting", "leaving", "gone", "spare", "spare-two", "asleep")},
}
TILLS = (
    *("t2", "small", "lost", "stolen", "tried"),
    *("guess-quote", "guess-autho", "guess-redee", "guess-colle"),
)
OFFERS: dict[str, dict[str, Any]] = {
    "free": {"price": 0},
    "dear": {"price": 300},
    "none-left": {"stock": 0},
    "paused": {},
    "over": {"valid_until_time": Timestamp(seconds=1)},
    "capped": {"per_member_daily_max": 1},
    "spare": {},
}
POINTS_OF = {
    "wang": 5_000,
    "zhao": 5_000,
    "nopin": 2_000,
    "locked": 2_000,
    "thin": 5,
    "frozen": 500,
    "shut": 0,
    "chen": 100,
    "typo": 2_000,
    "slip": 2_000,
}
WITH_PIN = ("wang", "zhao", "locked", "thin", "frozen", "shut", "typo", "slip")
WITH_CARD = ("wang", "nopin", "thin", "frozen", "shut", "locked", "typo")
VELOCITY_MAX = 2_500


async def open_shops(scene: Scene) -> None:
    """Opens all merchants; `gone` has left before the scene begins, see scene_sales.py."""
    till = scene.till
    await till.open_shop()
    for word, fen in BUDGETS.items():
        made = fund_pb2.Budget(name=budget(word), display_name=word, limit_fen=fen)
        await till.call("SetBudget", budget=made)
    for word, terms in MERCHANTS.items():
        values: dict[str, Any] = {
            "display_name": word,
            "category": M.CATEGORY_DISCOUNT,
            "fen_per_hundred_points": 100,
            "budget": budget("b"),
        }
        made_of = M(**(values | terms))
        await till.call("CreateMerchant", parent=LEDGER, merchant_id=word, merchant=made_of)
    for owner in ("barber", "poor", "costly", "resting", "gone", "drained"):
        await enrol(scene, "t1", owner)
        await add_offer(scene, "coffee", owner)
    for word in TILLS:
        await enrol(scene, word)
    for word, content in OFFERS.items():
        await add_offer(scene, word, **content)
    await add_offer(scene, "haircut", "barber", unit=merchant_pb2.UNIT_TIME, price=30)
    control = Control(
        name=f"{LEDGER}/velocityControls/pair",
        scope=Control.SCOPE_MERCHANT_MEMBER_PAIR,
        window=Control.WINDOW_TRANSACTION,
        amount_max=VELOCITY_MAX,
    )
    await till.call("SetVelocityControl", velocity_control=control)


async def enrol(scene: Scene, word: str, owner: str = "shop") -> None:
    """Registers a till, and gives it the key that all tills of the scene have but `fresh`."""
    made = await scene.till.call(
        "CreateTerminal",
        parent=merchant(owner),
        terminal_id=word,
        terminal=merchant_pb2.Terminal(
            display_name=word, points_per_transaction_max=5 if word == "small" else 0
        ),
    )
    if word == "fresh":
        scene.codes["fresh"] = made.enrolment_code
        return
    fields = enrolment(scene, word, made.enrolment_code, owner)
    await scene.till.call("EnrollTerminal", request_id=scene.used_id, **fields)


def enrolment(scene: Scene, word: str, code: str, owner: str = "shop") -> dict[str, Any]:
    """The fields by which a till enrols."""
    name, key = terminal(word, owner), scene.till.key
    public = key.public_key().public_bytes_raw()
    proof = key.sign(enrolment_text(name, code, public))
    return {"name": name, "enrolment_code": code, "public_key": public, "proof": proof}


async def add_offer(scene: Scene, word: str, owner: str = "shop", **content: Any) -> None:
    """Adds an offer for ten points, unless it says otherwise."""
    values: dict[str, Any] = {"title": word, "unit": merchant_pb2.UNIT_POINTS, "price": 10}
    made = merchant_pb2.Offer(**(values | content))
    await scene.till.call("CreateOffer", parent=merchant(owner), offer_id=word, offer=made)


async def register_members(scene: Scene) -> None:
    """Registers the members; accounts of `frozen` and `shut` are so later, see end_accounts."""
    till = scene.till
    for word, points in POINTS_OF.items():
        await till.member(word, points)
    await till.world.grant(await account_of(scene, "wang", "time_account"), 600, TIME)
    for word in WITH_PIN:
        await till.call("SetPin", name=member(word), pin=PIN)
    for _ in range(TRIES_MAX):
        request = scene.request("SetPin", {"name": member("locked"), "present_pin": OTHER_PIN})
        assert await refused(scene.send("SetPin", request)) in (R.PIN_INVALID, R.PIN_LOCKED)
    for word in ("chen", *WITH_CARD):
        card = await till.call("IssueCard", parent=LEDGER, member=member(word))
        scene.names[f"card of {word}"], scene.codes[f"card of {word}"] = card.name, card.number
    await till.call("BlockCard", name=scene.names["card of nopin"])


async def account_of(scene: Scene, word: str, field: str = "points_account") -> str:
    """Names an account of a member."""
    stub: Any = MemberServiceStub(scene.till.world.channel)
    found = await stub.GetMember(member_service_pb2.GetMemberRequest(name=member(word)))
    name: str = getattr(found, field)
    return name


async def close_shops(scene: Scene) -> None:
    """Suspends and pauses what the tables find so, once nothing is sold there any more."""
    till = scene.till
    await enrol(scene, "fresh")
    renewed = await till.call("RenewEnrolment", name=terminal("t2"))
    scene.codes["till t2"] = renewed.enrolment_code
    for word in ("resting", "asleep"):
        await till.call("SuspendMerchant", name=merchant(word))
    await till.call("LeaveMerchant", name=merchant("leaving"))
    await till.call("PauseOffer", name=offer("paused"))
    for word in ("lost", "stolen"):
        await till.call("SuspendTerminal", name=terminal(word))
    frozen = await account_of(scene, "frozen")
    await till.world.freeze(frozen)
    await till.world.close(await account_of(scene, "shut"))
