"""The audit log of tills: the cause of each refusal, and nothing that only the caller may know."""

import pathlib
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs
from structlog.typing import EventDict

from merchant.domain.payment_codes import PREFIX_DEFAULT, RANDOM_BYTES, make_code
from tests.merchant.till_world import COFFEE, LEDGER, SHOP, TILL, TillWorld, till_world
from tests.support.keys import make_key
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import member_pb2, member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.merchant.v1 import redemption_service_pb2
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub

OTHER = "ledgers/yantai"
SECOND = Principal(PrincipalKind.OPERATOR, "second")
PIN = "258036"
CAUSES = ("UNKNOWN", "EXPIRED", "USED", "REPLACED", "FOREIGN")


@pytest.fixture
async def till(tmp_path: pathlib.Path, sqlite_url: str) -> AsyncIterator[TillWorld]:
    """A shop with a till, and 王阿姨 with a hundred points."""
    async with till_world(tmp_path, sqlite_url) as found:
        await found.open_shop()
        await found.member("wang", 100)
        yield found


@pytest.fixture
def logged(till: TillWorld) -> Iterator[list[EventDict]]:
    """What is logged after the shop was opened."""
    with capture_logs() as events:
        yield events


def audited(events: list[EventDict]) -> list[EventDict]:
    return [event for event in events if event.get("logger") == "audit"]


def facts(event: EventDict, *names: str) -> tuple[Any, ...]:
    return tuple(event[name] for name in names)


async def code_that_is(till: TillWorld, cause: str, folder: pathlib.Path) -> str:
    """A payment code that does not pay for one cause."""
    if cause == "UNKNOWN":
        return make_code(PREFIX_DEFAULT, bytes(RANDOM_BYTES))
    if cause == "FOREIGN":
        return await foreign_code(till, folder)
    code = await till.code("wang")
    if cause == "USED":
        await till.redeem("wang", payment_code=code)
    if cause == "REPLACED":
        await till.code("wang")
    if cause == "EXPIRED":
        till.world.clock.advance(seconds=66)
    return code


async def foreign_code(till: TillWorld, folder: pathlib.Path) -> str:
    """A live code of a member of another city."""
    world, origin = till.world, "timebank.example/yantai"
    make_key(folder, origin)
    await world.stub.CreateLedger(world.creation("yantai", log_origin=origin))
    stub: Any = MemberServiceStub(world.channel)
    await stub.RegisterMember(
        member_service_pb2.RegisterMemberRequest(
            parent=OTHER,
            request_id=str(uuid.uuid4()),
            member_id="li",
            member=member_pb2.Member(home_unit="zhifu/3dong"),
        )
    )
    issued = await till.call("IssuePaymentCode", name=f"{OTHER}/members/li", device="phone")
    return str(issued.code)


async def answer_to(till: TillWorld, code: str, request_id: str) -> tuple[object, ...]:
    """Everything that a refused till is sent, over the network."""
    request = redemption_service_pb2.RedeemPointsRequest(
        parent=SHOP,
        request_id=request_id,
        merchant_ref="the-ref",
        terminal=TILL,
        offer=COFFEE,
        quantity=1,
        payment_code=code,
    )
    stub: Any = RedemptionServiceStub(till.world.channel)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.RedeemPoints(request, metadata=till.signature("RedeemPoints", request))
    sent = error.value
    return sent.code(), sent.details(), tuple(sent.initial_metadata()), tuple(_trailing(sent))


def _trailing(error: grpc.aio.AioRpcError) -> list[tuple[str, str | bytes]]:
    return [(key, value) for key, value in error.trailing_metadata() or ()]


async def test_every_code_that_does_not_pay_gets_the_same_bytes_and_a_cause_in_the_audit_log(
    till: TillWorld, tmp_path: pathlib.Path, logged: list[EventDict]
) -> None:
    answers, causes = set(), []
    for cause in CAUSES:
        code = await code_that_is(till, cause, tmp_path)
        logged.clear()
        request_id = str(uuid.uuid4())
        answers.add(await answer_to(till, code, request_id))
        # The stored refusal is read again, and is no new try.
        answers.add(await answer_to(till, code, request_id))
        [line] = audited(logged)
        causes.append(line["cause"])
        known = facts(line, "event", "merchant", "terminal", "merchant_ref", "request_id")
        assert known == ("code refused", "shop", TILL, "the-ref", request_id)
        assert line["payer"] == "payment code"
        digits = code[2:]
        assert digits not in repr(logged)
        assert not re.search("[0-9a-f]{64}", repr(logged)), "a digest of the code"
    assert len(answers) == 1
    assert causes == list(CAUSES)


async def test_a_till_that_guesses_is_locked_and_the_audit_log_says_so(
    till: TillWorld, logged: list[EventDict]
) -> None:
    code = make_code(PREFIX_DEFAULT, bytes(RANDOM_BYTES))
    for _ in range(10):
        assert await refused(till.redeem("", payment_code=code)) is Reason.PAYMENT_CODE_INVALID
    assert await refused(till.redeem("", payment_code=code)) is Reason.RATE_LIMITED
    assert [line["cause"] for line in audited(logged)] == ["UNKNOWN"] * 10 + ["LOCKED"]


async def test_a_blocked_card_has_a_line_when_it_is_blocked_and_when_it_is_shown(
    till: TillWorld, logged: list[EventDict]
) -> None:
    card = await till.call("IssueCard", parent=LEDGER, member=f"{LEDGER}/members/wang")
    await till.call("BlockCard", SECOND, name=card.name)
    paying = till.redeem("", payment_code="", card_number=card.number, pin=PIN)
    assert await refused(paying) is Reason.PAYMENT_CODE_INVALID
    blocked, shown = audited(logged)
    assert facts(blocked, "event", "resource") == ("card blocked", card.name)
    assert blocked["principal"] == SECOND.name
    assert facts(shown, "event", "cause", "payer") == ("code refused", "BLOCKED", "card")
    assert card.number not in repr(logged)


async def test_wrong_pins_and_the_lock_have_lines_that_name_nobody(
    till: TillWorld, logged: list[EventDict]
) -> None:
    await till.call("SetPin", name=f"{LEDGER}/members/wang", pin=PIN)
    card = await till.call("IssueCard", parent=LEDGER, member=f"{LEDGER}/members/wang")
    for _ in range(6):
        await refused(till.redeem("", payment_code="", card_number=card.number, pin="907143"))
    member = Principal(PrincipalKind.MEMBER, "wang")
    setting = till.call(
        "SetPin", member, name=f"{LEDGER}/members/wang", pin=PIN, present_pin="907143"
    )
    assert await refused(setting) is Reason.PIN_LOCKED
    lines = audited(logged)
    assert {line["event"] for line in lines} == {"PIN refused"}
    assert [line["cause"] for line in lines] == [*["WRONG"] * 4, *["LOCKED"] * 3]
    assert facts(lines[-1], "resource", "principal", "actor") == (LEDGER, "", "")
    assert not any(secret in repr(lines) for secret in ("wang", "907143", PIN, card.number))


async def test_a_suspended_till_has_a_line_when_it_is_suspended_and_when_it_sells(
    till: TillWorld, logged: list[EventDict]
) -> None:
    code = await till.code("wang")
    await till.call("SuspendTerminal", name=TILL)
    assert await refused(till.redeem("", payment_code=code)) is Reason.TERMINAL_SUSPENDED
    await till.call("ResumeTerminal", name=TILL)
    lines = audited(logged)
    assert [line["event"] for line in lines] == [
        *("terminal suspended", "terminal refused", "terminal resumed")
    ]
    assert facts(lines[1], "terminal", "cause") == (TILL, "SUSPENDED")
    assert code not in repr(logged)


async def test_a_signature_by_another_key_has_a_line(
    till: TillWorld, logged: list[EventDict]
) -> None:
    code = await till.code("wang")
    till.key = Ed25519PrivateKey.generate()
    assert await refused(till.redeem("", payment_code=code)) is Reason.TERMINAL_SIGNATURE_INVALID
    [line] = audited(logged)
    assert facts(line, "event", "terminal", "merchant_ref") == (
        *("signature refused", TILL, f"t1-{till.refs:06d}"),
    )


async def test_an_assisted_redemption_has_a_line_for_the_second_person_and_for_a_lone_one(
    till: TillWorld, logged: list[EventDict]
) -> None:
    assisted = {"member": f"{LEDGER}/members/wang", "officer": "officers/chen"}
    waiting = await till.redeem("", payment_code="", assisted=assisted)
    alone = till.call("ApproveAssistedRedemption", name=waiting.name, officer="officers/chen")
    assert await refused(alone) is Reason.FOUR_EYES_REQUIRED
    await till.call("ApproveAssistedRedemption", name=waiting.name, officer="officers/sun")
    lines = audited(logged)
    assert [facts(line, "event", "resource", "actor") for line in lines] == [
        ("approval refused", waiting.name, "officers/chen"),
        ("assisted redemption approved", waiting.name, "officers/sun"),
    ]


async def test_guessed_vouchers_have_lines_and_the_till_is_locked(
    till: TillWorld, logged: list[EventDict]
) -> None:
    code = make_code("78", bytes(RANDOM_BYTES))
    reasons = [
        await refused(till.call("CollectVoucher", parent=SHOP, terminal=TILL, code=code))
        for _ in range(11)
    ]
    assert reasons == [Reason.VOUCHER_NOT_FOUND] * 10 + [Reason.RATE_LIMITED]
    lines = audited(logged)
    assert [line["event"] for line in lines] == ["voucher refused"] * 10 + ["code refused"]
    assert facts(lines[-1], "cause", "payer") == ("LOCKED", "voucher")
    assert code not in repr(logged)


async def test_what_a_stranger_sends_is_cut_before_it_is_written(
    till: TillWorld, logged: list[EventDict]
) -> None:
    fields = {"name": f"{SHOP}/redemptions/r", "merchant_ref": "x" * 100_000}
    till_caller = Principal(PrincipalKind.TERMINAL, "shop/t1")
    voiding = till.call("VoidRedemption", till_caller, signed=False, **fields)
    assert await refused(voiding) is Reason.TERMINAL_SIGNATURE_INVALID
    [line] = audited(logged)
    assert len(line["merchant_ref"]) == 200
