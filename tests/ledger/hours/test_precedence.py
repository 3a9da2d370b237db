"""Which refusal comes first: calls with many faults, mended one at a time in their order."""

from typing import Any

from tests.ledger.hours.refusals import (
    AUDITOR,
    PAYER_US,
    REFUSE_US,
    UNCOVERED_US,
    Scene,
    build_scene,
)
from tests.support.commands import START_US
from tests.support.hours import HOUR_US, OFFICER, OPERATOR, SECOND, STRANGER, C, HoursWorld
from tests.support.ledgers import refused
from timebank.auth import Principal
from timebank.errors import Reason as R

Step = tuple[Principal, dict[str, Any], R]


async def heard(scene: Scene, method: str, steps: list[Step]) -> list[R]:
    """Makes the calls and gives why each was refused."""
    return [await refused(scene.call(method, who, **fields)) for who, fields, _ in steps]


async def test_a_submission_is_refused_for_its_first_fault(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    wrong: dict[str, Any] = {"evidence": C, "recorder": "zhao", "verifiers": ["zhao"]}
    wrong |= {"beneficiary": scene.member("chen"), "supersedes": scene.a_record("never")}
    wrong |= {"start_us": UNCOVERED_US, "minutes": 600}
    unclear = {"activity": "", **wrong}
    no_match = {"supersedes": scene.a_record("claimed")}
    at_drawn = {"start_us": PAYER_US + 4 * HOUR_US, "supersedes": ""}
    elder = {"beneficiary": scene.member("li-elder")}
    later = {"start_us": PAYER_US + 8 * HOUR_US}
    attested: dict[str, Any] = {"evidence": 1, "recorder": "", "verifiers": [], "minutes": 60}
    rows: list[tuple[Principal, dict[str, Any], str, dict[str, Any], R]] = [
        (AUDITOR, {"request_id": "1", "record_id": "posted"}, "nobody", unclear, R.SCOPE_MISSING),
        (
            OPERATOR,
            {"request_id": "1", "record_id": "posted"},
            "nobody",
            wrong,
            R.VALIDATION_FAILED,
        ),
        (OPERATOR, {"request_id": scene.used_id}, "nobody", unclear, R.VALIDATION_FAILED),
        (OPERATOR, {"request_id": scene.used_id}, "nobody", wrong, R.REQUEST_ID_REUSED),
        (OPERATOR, {"record_id": "posted"}, "nobody", wrong, R.RECORD_EXISTS),
        (OPERATOR, {}, "nobody", wrong, R.MEMBER_NOT_FOUND),
        (OPERATOR, {}, "dead", wrong, R.MEMBER_NOT_ACTIVE),
        (OPERATOR, {}, "wang", wrong, R.POLICY_NOT_FOUND),
    ]
    mended: list[tuple[dict[str, Any], R]] = [
        ({"start_us": REFUSE_US}, R.RECORD_NOT_FOUND),
        (no_match, R.RECORD_STATE),
        ({"supersedes": ""}, R.EVIDENCE_TOO_WEAK),
        (at_drawn, R.FOUR_EYES_REQUIRED),
        ({"verifiers": ["sun"]}, R.LIMIT_EXCEEDED),
        (attested | elder, R.RECORD_OVERLAPS),
        (later, R.INSUFFICIENT_BALANCE),
    ]
    faults = dict(wrong)
    for changes, reason in mended:
        faults |= changes
        rows.append((OPERATOR, {}, "wang", dict(faults), reason))
    got = [
        await refused(scene.submit(who, volunteer, **outer, **fields))
        for who, outer, volunteer, fields, _ in rows
    ]
    assert got == [row[-1] for row in rows]


async def test_a_step_of_a_record_is_refused_for_its_first_fault(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    never, posted = scene.a_record("never"), scene.a_record("posted")
    for method, word in (
        ("VerifyRecord", "claimed"),
        ("ResolveDispute", "disputed"),
        ("ResolveSpotCheck", "drawn"),
    ):
        steps: list[Step] = [
            (AUDITOR, {"name": "x", "request_id": "1"}, R.SCOPE_MISSING),
            (STRANGER, {"name": "x", "request_id": scene.used_id}, R.VALIDATION_FAILED),
            (STRANGER, {"name": "ledgers/none/records/x"}, R.LEDGER_NOT_FOUND),
            (OPERATOR, {"name": never, "request_id": scene.used_id}, R.REQUEST_ID_REUSED),
            (STRANGER, {"name": posted}, R.RECORD_NOT_FOUND),
            (OFFICER, {"name": posted}, R.RECORD_STATE),
            (OFFICER, {"name": scene.a_record(word)}, R.FOUR_EYES_REQUIRED),
        ]
        assert await heard(scene, method, steps) == [step[2] for step in steps], method


async def test_a_change_of_a_member_is_refused_for_its_first_fault(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    nobody, dead, wang = scene.member("nobody"), scene.member("dead"), scene.member("wang")
    busy, used = scene.member("busy"), scene.used_id
    death: list[Step] = [
        (AUDITOR, {"name": "x"}, R.SCOPE_MISSING),
        (OPERATOR, {"name": "x", "request_id": used}, R.VALIDATION_FAILED),
        (OPERATOR, {"name": "ledgers/none/members/x", "request_id": used}, R.LEDGER_NOT_FOUND),
        (OPERATOR, {"name": nobody, "request_id": used}, R.REQUEST_ID_REUSED),
        (OPERATOR, {"name": nobody, "heir": dead}, R.MEMBER_NOT_FOUND),
        (OPERATOR, {"name": dead, "heir": nobody}, R.MEMBER_NOT_ACTIVE),
        (OPERATOR, {"name": busy, "heir": nobody}, R.MEMBER_NOT_FOUND),
        (OPERATOR, {"name": busy, "heir": dead}, R.MEMBER_NOT_ACTIVE),
        (OPERATOR, {"name": busy, "heir": wang}, R.FAMILY_LINK_MISSING),
        (OPERATOR, {"name": busy, "heir": ""}, R.HOLDS_REMAIN),
    ]
    assert await heard(scene, "RecordDeath", death) == [step[2] for step in death]
    gift: list[Step] = [
        (SECOND, {"minutes": 0}, R.SCOPE_MISSING),
        (OPERATOR, {"name": nobody, "minutes": 0, "request_id": used}, R.VALIDATION_FAILED),
        (OPERATOR, {"name": nobody, "to": nobody, "request_id": used}, R.REQUEST_ID_REUSED),
        (OPERATOR, {"name": nobody, "to": dead}, R.MEMBER_NOT_FOUND),
        (OPERATOR, {"name": dead, "to": nobody}, R.MEMBER_NOT_ACTIVE),
        (OPERATOR, {"name": wang, "to": nobody, "minutes": 9_999}, R.MEMBER_NOT_FOUND),
        (OPERATOR, {"name": wang, "to": dead, "minutes": 9_999}, R.MEMBER_NOT_ACTIVE),
        (OPERATOR, {"name": wang, "to": busy, "minutes": 9_999}, R.FAMILY_LINK_MISSING),
        (OPERATOR, {"name": wang, "minutes": 9_999}, R.INSUFFICIENT_BALANCE),
    ]
    assert await heard(scene, "TransferTime", gift) == [step[2] for step in gift]
    grant: list[Step] = [
        (OPERATOR, {"name": nobody, "minutes": 0}, R.VALIDATION_FAILED),
        (OPERATOR, {"name": nobody, "minutes": 9_999}, R.MEMBER_NOT_FOUND),
        (OPERATOR, {"name": dead, "minutes": 9_999}, R.MEMBER_NOT_ACTIVE),
        (OPERATOR, {"name": wang, "minutes": 9_999}, R.MOVEMENT_NOT_ALLOWED),
        (OPERATOR, {"minutes": 9_999}, R.LIMIT_EXCEEDED),
        (OPERATOR, {"minutes": 301}, R.INSUFFICIENT_BALANCE),
    ]
    assert await heard(scene, "GrantTime", grant) == [step[2] for step in grant]


async def test_a_certificate_is_refused_for_its_first_fault(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    nobody, nameless = scene.member("nobody"), scene.member("nameless")
    none_since = {"start_time": {"seconds": START_US // 1_000_000}}
    steps: list[Step] = [
        (AUDITOR, {"parent": "x", "issuer": ""}, R.SCOPE_MISSING),
        (OPERATOR, {"parent": nobody, "issuer": ""}, R.VALIDATION_FAILED),
        (OPERATOR, {"parent": "ledgers/none/members/x"}, R.LEDGER_NOT_FOUND),
        (OPERATOR, {"parent": nobody}, R.MEMBER_NOT_FOUND),
        (OPERATOR, {"parent": nameless}, R.PERSONAL_DATA_ERASED),
        (OPERATOR, none_since, R.CERTIFICATE_EMPTY),
    ]
    assert await heard(scene, "IssueCertificate", steps) == [step[2] for step in steps]
