"""Which refusal comes first: calls with many faults, mended one at a time in their order."""

from typing import Any

from tests.ledger.rpc.scenes import MEMBER_CALLER, USED_KEY, build_scene
from tests.support.commands import (
    OPENING,
    POINTS,
    REDEMPTION,
    TIME,
    TRANSFER,
    capture,
    hold,
    leg,
    new_id,
    post,
)
from tests.support.ledgers import SERVICE_CALLER, LedgerWorld, refused
from timebank.errors import Reason as R
from timebank.errors import from_status
from timebank.ledger.v1 import command_pb2


def movement(payer: str, amount: int, payee: str, unit: int = POINTS, **f: Any) -> Any:
    """A redemption of two legs by their accounts."""
    legs = [leg(payer, -amount, unit), leg(payee, amount, unit)]
    return command_pb2.PostCommand(kind=REDEMPTION, postings=legs, **f)


async def test_a_posting_is_refused_for_its_first_fault(world: LedgerWorld) -> None:
    scene = await build_scene(world)
    name = scene.account
    shop, closed, unknown = name("shop"), name("closed-shop"), name("unknown")
    unbalanced = movement(name("alice"), 5, unknown)
    unbalanced.postings[0].amount = -4
    overflow = movement(name("alice"), 5, unknown)
    overflow.postings[0].amount = -(2**63)
    bad = movement(name("alice"), 5, unknown, cause="a" * 200)
    bad.postings[0].amount = -(2**63)
    keyed = movement(unknown, 10_000, closed, natural_key=USED_KEY)
    heard = []
    for caller, ledger, made, request_id in (
        (MEMBER_CALLER, "x", bad, "x"),
        (None, "ledgers/none", movement("x", 0, "y"), "x"),
        (None, "ledgers/weihai", bad, scene.used_id),
        (None, "ledgers/weihai", overflow, scene.used_id),
        (None, "ledgers/weihai", unbalanced, scene.used_id),
        (None, "ledgers/weihai", keyed, scene.used_id),
        (None, "ledgers/weihai", keyed, new_id()),
        (None, "ledgers/weihai", movement(unknown, 10_000, closed), new_id()),
        (None, "ledgers/weihai", movement(name("frozen"), 10_000, closed, TIME), new_id()),
        (None, "ledgers/weihai", movement(name("alice"), 10_000, closed), new_id()),
        (None, "ledgers/weihai", movement(name("frozen"), 10_000, shop), new_id()),
        (None, "ledgers/weihai", movement(name("alice"), 10_000, shop), new_id()),
    ):
        call = scene.call(
            "PostEntry", caller=caller, parent=ledger, post=made, request_id=request_id
        )
        heard.append(await refused(call))
    assert heard == [
        R.SCOPE_MISSING,
        R.VALIDATION_FAILED,
        R.VALIDATION_FAILED,
        R.AMOUNT_OVERFLOW,
        R.UNBALANCED_ENTRY,
        R.REQUEST_ID_REUSED,
        R.ENTRY_EXISTS,
        R.ACCOUNT_NOT_FOUND,
        R.MOVEMENT_NOT_ALLOWED,
        R.ACCOUNT_CLOSED,
        R.ACCOUNT_FROZEN,
        R.INSUFFICIENT_BALANCE,
    ]


async def test_a_bad_request_id_is_told_before_what_is_wrong_with_the_movement(
    world: LedgerWorld,
) -> None:
    scene = await build_scene(world)
    unbalanced = scene.redemption(5)
    unbalanced.postings[0].amount = -4
    commands = [command_pb2.Command(post=unbalanced)]
    item = command_pb2.BatchItem(request_id="x", commands=commands)
    call = scene.call("PostEntry", post=unbalanced, request_id="x")
    assert await refused(call) is R.VALIDATION_FAILED
    call = scene.call("Execute", commands=commands, request_id="x")
    assert await refused(call) is R.VALIDATION_FAILED
    [result] = (await scene.call("BatchExecute", items=[item])).results
    assert from_status(result.error).reason is R.VALIDATION_FAILED


async def test_a_zero_is_told_before_an_overflow_whichever_posting_comes_first(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(), await world.open()
    for amounts in ((-(2**63), 0), (0, -(2**63))):
        legs = [leg(name, amount) for name, amount in zip((alice, shop), amounts, strict=True)]
        made = command_pb2.PostCommand(kind=REDEMPTION, postings=legs)
        assert await refused(world.post(made)) is R.VALIDATION_FAILED


async def test_of_two_accounts_that_refuse_the_first_posting_decides(world: LedgerWorld) -> None:
    scene = await build_scene(world)
    for kind, unit, (payer, first), (payee, second) in (
        (
            TRANSFER,
            TIME,
            ("bob-time", R.INSUFFICIENT_BALANCE),
            ("capped", R.LIMIT_EXCEEDED),
        ),
        (
            REDEMPTION,
            POINTS,
            ("frozen", R.ACCOUNT_FROZEN),
            ("closed-shop", R.ACCOUNT_CLOSED),
        ),
    ):
        legs = [scene.leg(payer, -6, unit), scene.leg(payee, 6, unit)]
        for order, reason in ((legs, first), (legs[::-1], second)):
            made = command_pb2.PostCommand(kind=kind, postings=order)
            assert await refused(scene.call("PostEntry", post=made)) is reason


async def test_a_kind_that_is_not_the_callers_to_post_is_told_before_what_it_names(
    world: LedgerWorld,
) -> None:
    scene = await build_scene(world)
    made = post(OPENING, scene.account("unknown"), scene.account("closed"), 1)
    service = scene.call("PostEntry", post=made, caller=SERVICE_CALLER)
    assert await refused(service) is R.MOVEMENT_NOT_ALLOWED
    assert await refused(scene.call("PostEntry", post=made)) is R.OPENING_CLOSED


async def test_a_hold_is_refused_for_its_first_fault(world: LedgerWorld) -> None:
    scene = await build_scene(world)
    long = {"seconds": 40 * 3_600}
    heard = [
        await refused(scene.call("CreateHold", create_hold=made, **fields))
        for made, fields in (
            (hold(scene.account("unknown"), 0, TIME, **long), {"caller": MEMBER_CALLER}),
            (hold(scene.account("unknown"), 0, TIME, **long), {"request_id": scene.used_id}),
            (hold(scene.account("unknown"), 9_999, **long), {"request_id": scene.used_id}),
            (hold(scene.account("unknown"), 9_999, TIME, **long), {}),
            (hold(scene.account("closed"), 9_999, TIME, **long), {}),
            (hold(scene.account("closed"), 9_999, **long), {}),
            (hold(scene.account("frozen"), 9_999, **long), {}),
            (hold(scene.account("alice"), 9_999, **long), {}),
            (hold(scene.account("alice"), 9_999), {}),
        )
    ]
    assert heard == [
        R.SCOPE_MISSING,
        R.VALIDATION_FAILED,
        R.REQUEST_ID_REUSED,
        R.ACCOUNT_NOT_FOUND,
        R.MOVEMENT_NOT_ALLOWED,
        R.ACCOUNT_CLOSED,
        R.ACCOUNT_FROZEN,
        R.LIMIT_EXCEEDED,
        R.INSUFFICIENT_BALANCE,
    ]


async def test_a_capture_is_refused_for_its_first_fault(world: LedgerWorld) -> None:
    scene = await build_scene(world)
    heard = [
        await refused(
            scene.call(
                "CaptureHold",
                capture_hold=capture(scene.a_hold(word), scene.account(to), amount),
                request_id=request_id or new_id(),
            )
        )
        for word, to, amount, request_id in (
            ("unknown", "unknown", 0, scene.used_id),
            ("unknown", "unknown", 99, scene.used_id),
            ("unknown", "unknown", 99, ""),
            ("captured", "unknown", 99, ""),
            ("voided", "unknown", 99, ""),
            ("expired", "unknown", 99, ""),
            ("live", "unknown", 99, ""),
            ("live", "unknown", 9, ""),
            ("live", "closed", 9, ""),
            ("live", "closed-shop", 9, ""),
        )
    ]
    assert heard == [
        R.VALIDATION_FAILED,
        R.REQUEST_ID_REUSED,
        R.HOLD_NOT_FOUND,
        R.ALREADY_CAPTURED,
        R.HOLD_RELEASED,
        R.HOLD_EXPIRED,
        R.AMOUNT_EXCEEDS_HOLD,
        R.ACCOUNT_NOT_FOUND,
        R.MOVEMENT_NOT_ALLOWED,
        R.ACCOUNT_CLOSED,
    ]
