"""Tills over gRPC: enrolling, changing keys, and what a signed call must be."""

import uuid
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from merchant.domain.terminal_rules import ROTATION_OVERLAP_US
from merchant.domain.terminal_signatures import NONCES_MAX
from merchant.usecases.till_signatures import KEYS_KEPT_US
from tests.merchant.rpc.offices import LEDGER, SHOP, TILL, Office, as_merchant, as_till
from tests.merchant.shops import reason_of
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.merchant.v1 import merchant_pb2

T = merchant_pb2.Terminal
REQUEST_ID = "11111111-1111-4111-8111-111111111111"
INVALID = Reason.TERMINAL_SIGNATURE_INVALID
SKEW_S = 300


async def test_a_till_enrols_by_its_code_and_is_active(office: Office) -> None:
    await office.create_merchant()
    made = await office.create_terminal()
    assert (made.state, len(made.enrolment_code)) == (T.STATE_PENDING, 8)
    assert made.HasField("enrolment_expire_time")
    read = await office.call("GetTerminal", name=TILL)
    assert (read.enrolment_code, read.etag) == ("", made.etag)
    enrolled = await office.enrol(made.enrolment_code)
    assert enrolled.state == T.STATE_ACTIVE
    assert [key.public_key for key in enrolled.keys] == [office.key.public_key().public_bytes_raw()]
    assert not enrolled.HasField("enrolment_expire_time")


async def test_a_repeated_request_gets_the_same_code_while_it_is_good(office: Office) -> None:
    await office.create_merchant()
    made = await office.create_terminal(request_id=REQUEST_ID)
    again = await office.create_terminal(request_id=REQUEST_ID)
    assert again.enrolment_code == made.enrolment_code
    other = await office.create_terminal()
    assert other.enrolment_code == ""
    renewed = await office.call("RenewEnrolment", name=TILL)
    assert renewed.enrolment_code not in ("", made.enrolment_code)
    void = await office.create_terminal(request_id=REQUEST_ID)
    assert void.enrolment_code == ""


async def test_a_repeated_enrolment_is_answered_alike(office: Office) -> None:
    await office.create_merchant()
    code = (await office.create_terminal()).enrolment_code
    typed = f"{code[:4]}-{code[4:].lower()} "
    first = await office.enrol(code, enrolment_code=typed, request_id=REQUEST_ID)
    assert await office.enrol(code, request_id=REQUEST_ID) == first
    assert await office.enrol(code) == first
    other = office.enrolment(code, Ed25519PrivateKey.generate())
    reason = await office.refused("EnrollTerminal", request_id=REQUEST_ID, **other)
    assert reason is Reason.ENROLMENT_CODE_INVALID


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"enrolment_code": "22222222"}, Reason.ENROLMENT_CODE_INVALID),
        ({"name": f"{SHOP}/terminals/none"}, Reason.ENROLMENT_CODE_INVALID),
        ({"name": f"{LEDGER}-2/merchants/shop/terminals/t1"}, Reason.ENROLMENT_CODE_INVALID),
        ({"enrolment_code": ""}, Reason.VALIDATION_FAILED),
        ({"enrolment_code": "2222"}, Reason.VALIDATION_FAILED),
        ({"public_key": b"k" * 31}, Reason.VALIDATION_FAILED),
        ({"public_key": b"k" * 32}, INVALID),
        ({"public_key": b"\xff" * 32}, INVALID),
        ({"proof": b"p" * 63}, Reason.VALIDATION_FAILED),
        ({"proof": b"p" * 64}, INVALID),
    ],
)
async def test_an_enrolment_that_is_wrong_is_refused(
    office: Office, changes: dict[str, Any], expected: Reason
) -> None:
    await office.create_merchant()
    fields = office.enrolment((await office.create_terminal()).enrolment_code)
    assert await office.refused("EnrollTerminal", **(fields | changes)) is expected


async def test_ten_wrong_codes_lock_a_tills_enrolment_for_a_minute(office: Office) -> None:
    await office.create_merchant()
    code = (await office.create_terminal()).enrolment_code
    wrong = office.enrolment("22222222")
    reasons = [await office.refused("EnrollTerminal", **wrong) for _ in range(10)]
    assert set(reasons) == {Reason.ENROLMENT_CODE_INVALID}
    assert await office.refused("EnrollTerminal", **office.enrolment(code)) is Reason.RATE_LIMITED
    office.shop.world.clock.advance(seconds=60)
    assert (await office.enrol(code)).state == T.STATE_ACTIVE


async def test_a_code_is_good_for_fifteen_minutes(office: Office) -> None:
    await office.create_merchant()
    fields = office.enrolment((await office.create_terminal()).enrolment_code)
    office.shop.world.clock.advance(seconds=15 * 60, us=1_000)
    reason = await office.refused("EnrollTerminal", **fields)
    assert reason is Reason.ENROLMENT_CODE_INVALID


async def test_after_a_rotation_both_keys_sign_for_a_day(office: Office) -> None:
    old_id = await office.open_till()
    new = Ed25519PrivateKey.generate()
    fields = office.rotation(new, old_id)
    rotated = await office.call("RotateTerminalKey", as_till("shop/t1"), **fields)
    new_id = rotated.keys[1].key_id
    assert [key.HasField("expire_time") for key in rotated.keys] == [True, False]
    assert await office.check(office.till_call()) == old_id
    assert await office.check(office.till_call(), new) == new_id
    office.shop.world.clock.advance(us=ROTATION_OVERLAP_US + 1_000)
    assert await reason_of(office.check(office.till_call())) is INVALID
    assert await office.check(office.till_call(), new) == new_id
    assert len((await office.call("GetTerminal", name=TILL)).keys) == 1


async def test_a_rotation_needs_both_keys_and_the_right_caller(office: Office) -> None:
    old_id = await office.open_till()
    fields = office.rotation(Ed25519PrivateKey.generate(), old_id)
    for changes in ({"old_proof": b"p" * 64}, {"proof": b"p" * 64}, {"old_key_id": "0" * 16}):
        reason = await office.refused("RotateTerminalKey", **(fields | changes))
        assert reason is INVALID
    reason = await office.refused("RotateTerminalKey", **(fields | {"old_key_id": "x"}))
    assert reason is Reason.VALIDATION_FAILED
    for caller in (as_till("shop/t2"), as_till("other/t1"), as_merchant("other")):
        reason = await office.refused("RotateTerminalKey", caller, **fields)
        assert reason is Reason.SCOPE_MISSING
    await office.call("SuspendTerminal", name=TILL)
    reason = await office.refused("RotateTerminalKey", **fields)
    assert reason is Reason.TERMINAL_SUSPENDED


async def test_tills_are_seen_by_their_merchant_and_by_themselves(office: Office) -> None:
    await office.create_merchant()
    await office.create_terminal("t2")
    await office.create_terminal("t1")
    own = await office.call("ListTerminals", as_merchant("shop"), parent=SHOP)
    assert [terminal.name[-2:] for terminal in own.terminals] == ["t1", "t2"]
    itself = await office.call("ListTerminals", as_till("shop/t1"), parent=SHOP)
    assert [terminal.name for terminal in itself.terminals] == [TILL]
    assert (await office.call("GetTerminal", as_till("shop/t1"), name=TILL)).name == TILL
    for caller in (as_till("shop/t2"), as_till("other/t1"), as_merchant("other")):
        assert await office.refused("GetTerminal", caller, name=TILL) is Reason.TERMINAL_NOT_FOUND
    for caller in (as_till("other/t1"), as_merchant("other")):
        reason = await office.refused("ListTerminals", caller, parent=SHOP)
        assert reason is Reason.MERCHANT_NOT_FOUND
    page = await office.call("ListTerminals", parent=SHOP, page_size=1)
    token = page.next_page_token
    rest = await office.call("ListTerminals", parent=SHOP, page_size=1, page_token=token)
    assert [terminal.name[-2:] for terminal in rest.terminals] == ["t2"]
    active = await office.call("ListTerminals", parent=SHOP, state=T.STATE_ACTIVE)
    assert not active.terminals


async def test_a_merchant_administers_its_own_tills_only(office: Office) -> None:
    await office.create_merchant()
    await office.create_terminal()
    update = {"terminal": T(name=TILL, display_name="二号", points_per_transaction_max=50)}
    calls: dict[str, dict[str, Any]] = {
        "UpdateTerminal": update,
        "RenewEnrolment": {"name": TILL},
        "SuspendTerminal": {"name": TILL},
        "ResumeTerminal": {"name": TILL},
    }
    for method, fields in calls.items():
        assert await office.refused(method, as_merchant("other"), **fields) is Reason.SCOPE_MISSING
        member = Principal(PrincipalKind.MEMBER, "wang")
        assert await office.refused(method, member, **fields) is Reason.SCOPE_MISSING
    changed = await office.call("UpdateTerminal", as_merchant("shop"), **update)
    assert (changed.display_name, changed.points_per_transaction_max) == ("二号", 50)
    stopped = await office.call("SuspendTerminal", as_merchant("shop"), name=TILL)
    assert stopped.state == T.STATE_SUSPENDED
    resumed = await office.call("ResumeTerminal", as_merchant("shop"), name=TILL)
    assert resumed.state == T.STATE_PENDING


async def test_a_suspended_till_still_signs(office: Office) -> None:
    key_id = await office.open_till()
    await office.call("SuspendTerminal", name=TILL)
    assert await office.check(office.till_call()) == key_id


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-SKEW_S, True), (SKEW_S, True), (-SKEW_S - 1, False), (999, False)]
)
async def test_a_call_is_signed_within_five_minutes(
    office: Office, seconds: int, expected: bool
) -> None:
    await office.open_till()
    now_s = office.shop.world.clock.now_us() // 1_000_000
    office.shop.world.clock.advance(us=now_s * 1_000_000 - office.shop.world.clock.now_us())
    checked = office.check(office.till_call(timestamp_s=now_s + seconds))
    assert (await checked != "") if expected else (await reason_of(checked) is INVALID)


async def test_a_call_that_was_changed_or_signed_by_another_is_refused(office: Office) -> None:
    await office.open_till()
    call = office.till_call()
    signature = office.key.sign(b"something else")
    checked = office.tills.check(office.shop.programme, "shop/t1", call, signature)
    assert await reason_of(checked) is INVALID
    short = office.tills.check(office.shop.programme, "shop/t1", call, b"short")
    assert await reason_of(short) is INVALID
    assert await reason_of(office.check(call, Ed25519PrivateKey.generate())) is INVALID
    unknown = office.tills.check(office.shop.programme, "shop/t9", call, signature)
    assert await reason_of(unknown) is Reason.TERMINAL_NOT_FOUND


async def test_the_same_call_again_passes_and_its_nonce_in_another_does_not(
    office: Office,
) -> None:
    key_id = await office.open_till()
    call = office.till_call()
    assert await office.check(call) == await office.check(call) == key_id
    other = call._replace(request_id=str(uuid.uuid4()))
    assert await reason_of(office.check(other)) is INVALID
    office.shop.world.clock.advance(seconds=601)
    late = office.till_call(nonce=call.nonce)
    assert await office.check(late) == key_id


async def test_a_till_that_calls_too_often_waits(office: Office) -> None:
    await office.open_till()
    for _ in range(NONCES_MAX):
        await office.check(office.till_call())
    assert await reason_of(office.check(office.till_call())) is Reason.RATE_LIMITED
    office.shop.world.clock.advance(seconds=601)
    assert await office.check(office.till_call())


async def test_another_process_takes_a_new_key_at_once_and_an_ended_one_for_five_seconds(
    office: Office,
) -> None:
    await office.open_till()
    other = type(office.tills)(office.shop.programmes, key=b"k" * 32)
    there = Office(office.shop, other, office.key)
    await there.check(there.till_call())
    renewed = await office.call("RenewEnrolment", name=TILL)
    new = Ed25519PrivateKey.generate()
    await office.enrol(renewed.enrolment_code, new)
    office.shop.world.clock.advance(us=1_000_001)
    assert await there.check(there.till_call())
    assert await there.check(there.till_call(), new)
    assert await reason_of(office.check(office.till_call())) is INVALID
    assert await reason_of(there.check(there.till_call())) is INVALID
    office.shop.world.clock.advance(us=KEYS_KEPT_US + 1)
    assert await there.check(there.till_call(), new)
