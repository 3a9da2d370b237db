"""Who may call what, and what each sees: members themselves, officers their units, platforms stars.

Of what is not the caller's business it hears what it would hear of what does not exist.
"""

from collections.abc import Iterable
from typing import Any

import grpc.aio
import pytest

from tests.ledger.hours.refusals import (
    AUDITOR,
    ELDER,
    MERCHANT,
    PLATFORM,
    VALID,
    WANG,
    Scene,
    build_scene,
)
from tests.ledger.hours.requests import SERVICE_OF, request_of, send
from tests.support.commands import START_US
from tests.support.hours import (
    DAY_US,
    MATCHING,
    OFFICER,
    OPERATOR,
    SECOND,
    STRANGER,
    B,
    C,
    E,
    HoursWorld,
)
from tests.support.ledgers import refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, from_rpc_error
from timebank.server.permissions import build_permissions

KINDS = {
    PrincipalKind.MEMBER: WANG,
    PrincipalKind.OFFICER: SECOND,
    PrincipalKind.MERCHANT: MERCHANT,
    PrincipalKind.TERMINAL: Principal(PrincipalKind.TERMINAL, "till"),
    PrincipalKind.CREDIT_PLATFORM: PLATFORM,
    PrincipalKind.SERVICE: MATCHING,
    PrincipalKind.AUDITOR: AUDITOR,
    PrincipalKind.OPERATOR: OPERATOR,
}
PERMISSIONS = {
    method: permission
    for service in set(SERVICE_OF.values())
    for method, permission in build_permissions(f"timebank.ledger.v1.{service}").items()
}
PUBLIC_READS = {"GetPolicy", "ListPolicies", "CheckCertificate"}
"""What tells nothing about a person: anybody with an identity may ask."""
DISCLOSING = {"ExportMember", "GetPersonalData", "IssueCertificate", "GetCertificate"}
READS = ("Get", "List", "Check")
CHEN = Principal(PrincipalKind.MEMBER, "chen")
NO_UNIT = Principal(PrincipalKind.OFFICER, "new")


def of_units(*units: str) -> Principal:
    """An officer of some units."""
    return Principal(PrincipalKind.OFFICER, "o", units=frozenset(units))


def allowed_to(kind: PrincipalKind) -> set[str]:
    """The methods that a kind of principal may call by the contract."""
    return {name for name, permission in PERMISSIONS.items() if kind in permission.allow}


def ids(found: Iterable[object]) -> list[str]:
    """The last parts of the names of resources."""
    return sorted(str(getattr(item, "name", "")).split("/")[3] for item in found)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.value))
async def test_a_method_is_open_to_the_kinds_of_its_permission_alone(
    bare: HoursWorld, kind: PrincipalKind
) -> None:
    scene, allowed = await build_scene(bare), set()
    standing = await scene.standing()
    for method in sorted(set(VALID) - allowed_to(kind)):
        call = send(scene, method, request_of(scene, method), KINDS[kind])
        assert await refused(call) is Reason.SCOPE_MISSING, method
    assert await scene.standing() == standing
    for method in VALID:
        request: Any = request_of(scene, method)
        if method == "EvaluateMember" and kind is PrincipalKind.MEMBER:
            request.role = "RESIDENT"
        try:
            await send(scene, method, request, KINDS[kind])
        except grpc.aio.AioRpcError as error:
            if from_rpc_error(error).reason is Reason.SCOPE_MISSING:
                continue
        allowed.add(method)
    assert allowed == allowed_to(kind)


def test_the_contract_says_of_every_method_who_may_call_it() -> None:
    assert set(PERMISSIONS) == set(VALID)
    assert not any(permission.public for permission in PERMISSIONS.values())
    assert {name for name, item in PERMISSIONS.items() if item.discloses} == DISCLOSING


def test_a_credit_platform_reads_stars_and_what_is_about_nobody() -> None:
    assert allowed_to(PrincipalKind.CREDIT_PLATFORM) == {"GetStar", "ListStars"} | PUBLIC_READS


def test_shops_and_tills_read_what_is_about_nobody() -> None:
    assert allowed_to(PrincipalKind.MERCHANT) == PUBLIC_READS
    assert allowed_to(PrincipalKind.TERMINAL) == PUBLIC_READS


def test_an_auditor_writes_nothing_and_reads_no_personal_data() -> None:
    allowed = allowed_to(PrincipalKind.AUDITOR)
    assert all(method.startswith(READS) for method in allowed)
    assert not allowed & DISCLOSING


def test_a_service_reads_no_personal_data() -> None:
    assert not allowed_to(PrincipalKind.SERVICE) & DISCLOSING


async def test_a_member_sees_itself_alone(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    assert (await scene.call("GetMember", WANG)).name == scene.member("wang")
    assert (await scene.call("GetPersonalData", WANG)).display_name == "王阿姨"
    assert (await scene.call("GetStar", WANG)).name.endswith("/wang/star")
    assert len((await scene.call("ListCertificates", WANG)).certificates) == 2
    assert (await scene.call("GetCertificate", WANG)).member == scene.member("wang")
    for method in ("GetMember", "GetPersonalData", "GetStar"):
        for word in ("chen", "nobody"):
            call = scene.call(method, WANG, name=scene.member(word))
            assert await refused(call) is Reason.MEMBER_NOT_FOUND, (method, word)
    others = scene.call("ListCertificates", WANG, parent=scene.member("chen"))
    assert await refused(others) is Reason.MEMBER_NOT_FOUND
    assert await refused(scene.call("GetCertificate", CHEN)) is Reason.CERTIFICATE_NOT_FOUND


async def test_a_member_sees_its_own_records_and_the_services_it_received(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    own = await scene.call("ListRecords", WANG)
    assert own.records
    assert {record.volunteer for record in own.records} == {scene.member("wang")}
    named = await scene.call("ListRecords", WANG, volunteer=scene.member("wang"))
    assert named == own
    others = scene.call("ListRecords", WANG, volunteer=scene.member("chen"))
    assert await refused(others) is Reason.MEMBER_NOT_FOUND
    received = await scene.call("GetRecord", ELDER, name=scene.a_record("unpaid"))
    assert received.beneficiary == scene.member("li-elder")
    for caller, word in ((ELDER, "posted"), (CHEN, "posted"), (CHEN, "unpaid"), (WANG, "dated")):
        call = scene.call("GetRecord", caller, name=scene.a_record(word))
        assert await refused(call) is Reason.RECORD_NOT_FOUND, (caller, word)


async def test_a_member_submits_only_for_itself(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    elder = scene.member("li-elder")
    mine = await scene.submit(WANG, record_id="mine", evidence=B, beneficiary=elder)
    assert (mine.volunteer, mine.recorder) == (scene.member("wang"), "")
    for volunteer in ("chen", "li-elder", "nobody"):
        call = scene.submit(WANG, volunteer, record_id=f"for-{volunteer}", evidence=E)
        assert await refused(call) is Reason.MEMBER_NOT_FOUND, volunteer
    posing = await scene.submit(
        WANG, record_id="posing", evidence=E, start_us=START_US - DAY_US, recorder="li"
    )
    assert posing.recorder == ""


async def test_a_member_gives_evaluates_and_attests_as_itself(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    given = scene.call("TransferTime", CHEN, name=scene.member("wang"), to=scene.member("chen"))
    assert await refused(given) is Reason.MEMBER_NOT_FOUND
    rated = scene.call("EvaluateMember", ELDER, role="RESIDENT", rater=scene.member("chen"))
    assert await refused(rated) is Reason.SCOPE_MISSING
    attested = scene.call(
        "VerifyRecord", ELDER, name=scene.a_record("unpaid"), verifier=scene.member("chen")
    )
    assert await refused(attested) is Reason.SCOPE_MISSING
    for method in ("VerifyRecord", "DisputeRecord"):
        call = scene.call(method, CHEN, name=scene.a_record("claimed"))
        assert await refused(call) is Reason.RECORD_NOT_FOUND, method


async def test_officers_see_their_units_and_what_lies_below(bare: HoursWorld) -> None:
    scene = Scene(bare)
    units = {
        "top": "huancui",
        "below": "huancui/shuncheng/12",
        "alike": "huancui2/1",
        "longer": "huancui-east",
        "other": "wendeng/1",
        "none": "",
    }
    for word, unit in units.items():
        await bare.register(word, home_unit=unit)
    for officer, wanted in (
        (of_units("huancui"), ["below", "top"]),
        (of_units("huancui/shuncheng"), ["below"]),
        (of_units("huancui2"), ["alike"]),
        (of_units("wendeng", "huancui/shuncheng/12"), ["below", "other"]),
        (of_units("huancu"), []),
        (NO_UNIT, []),
    ):
        page = await scene.call("ListMembers", officer)
        assert ids(page.members) == wanted, officer.units
        for word in units:
            call = scene.call("GetMember", officer, name=scene.member(word))
            if word in wanted:
                assert (await call).home_unit == units[word]
            else:
                assert await refused(call) is Reason.MEMBER_NOT_FOUND, (officer.units, word)
    narrowed = await scene.call("ListMembers", of_units("huancui"), home_unit="wendeng")
    assert ids(narrowed.members) == []
    assert ids((await scene.call("ListMembers", home_unit="huancui")).members) == ["below", "top"]


async def test_a_page_of_an_officer_is_full_whoever_stands_between(bare: HoursWorld) -> None:
    scene = Scene(bare)
    for number in range(12):
        unit = "huancui/1" if number % 4 == 0 else "wendeng/1"
        await bare.register(f"m-{number:02}", home_unit=unit)
    first = await scene.call("ListMembers", OFFICER, page_size=2)
    assert ids(first.members) == ["m-00", "m-04"]
    second = await scene.call("ListMembers", OFFICER, page_size=2, page_token=first.next_page_token)
    assert ids(second.members) == ["m-08"]
    assert second.next_page_token == ""


async def test_officers_see_the_records_of_their_units(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    afar: dict[str, Any] = {
        "record_id": "far-away",
        "start_us": START_US - 2 * DAY_US,
        "evidence": C,
    }
    await scene.submit(STRANGER, "stranger", minutes=30, **afar)
    assert ids((await scene.call("ListRecords", STRANGER)).records) == ["far-away"]
    seen = ids((await scene.call("ListRecords", OFFICER)).records)
    assert "posted" in seen
    assert "far-away" not in seen
    for caller, word in ((OFFICER, "far-away"), (STRANGER, "posted"), (NO_UNIT, "posted")):
        call = scene.call("GetRecord", caller, name=scene.a_record(word))
        assert await refused(call) is Reason.RECORD_NOT_FOUND, (caller, word)
    for method in ("VerifyRecord", "DisputeRecord", "VoidRecord"):
        call = scene.call(method, OFFICER, name=scene.a_record("far-away"))
        assert await refused(call) is Reason.RECORD_NOT_FOUND, method


async def test_an_officer_without_units_sees_and_does_nothing(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    standing = await scene.standing()
    assert not (await scene.call("ListMembers", NO_UNIT)).members
    assert not (await scene.call("ListRecords", NO_UNIT)).records
    for method in sorted(allowed_to(PrincipalKind.OFFICER) - PUBLIC_READS):
        if method in ("ListMembers", "ListRecords", "ListStars"):
            continue
        reason = await refused(send(scene, method, request_of(scene, method), NO_UNIT))
        assert reason.endswith("NOT_FOUND") or reason is Reason.SCOPE_MISSING, method
    assert await scene.standing() == standing


async def test_personal_data_is_for_its_member_its_officers_and_operators(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    for caller in (WANG, OFFICER, of_units("huancui/12dong"), OPERATOR):
        found = await scene.call("GetPersonalData", caller)
        assert (found.display_name, found.id_number) == ("王阿姨", "371002199001011234")
    for caller in (CHEN, STRANGER, NO_UNIT, of_units("huancui2"), of_units("huancui/12")):
        assert await refused(scene.call("GetPersonalData", caller)) is Reason.MEMBER_NOT_FOUND
        put = scene.call("PutPersonalData", caller)
        hidden = (Reason.MEMBER_NOT_FOUND, Reason.SCOPE_MISSING)
        assert await refused(put) in hidden
    for caller in (MATCHING, AUDITOR, PLATFORM, MERCHANT):
        assert await refused(scene.call("GetPersonalData", caller)) is Reason.SCOPE_MISSING


async def test_a_platform_reads_any_star_and_nothing_else_about_a_member(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    star = await scene.call("GetStar", PLATFORM)
    assert star.name == f"{scene.member('wang')}/star"
    assert star.display_name == ""
    for method in ("GetMember", "ListMembers", "GetRecord", "ListRecords", "ListCertificates"):
        assert await refused(scene.call(method, PLATFORM)) is Reason.SCOPE_MISSING, method


async def test_what_a_certificate_says_is_told_to_nobody_who_only_has_its_number(
    bare: HoursWorld,
) -> None:
    scene = await build_scene(bare)
    for caller in (CHEN, MERCHANT, PLATFORM, STRANGER):
        answer = await scene.call("CheckCertificate", caller)
        assert {field.name for field, _ in answer.ListFields()} == {"state", "document_sha256"}
        reason = await refused(scene.call("GetCertificate", caller))
        assert reason in (Reason.CERTIFICATE_NOT_FOUND, Reason.SCOPE_MISSING)
