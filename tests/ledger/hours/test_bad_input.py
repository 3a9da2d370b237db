"""Hostile requests about members and records: too long, malformed, out of range, of another ledger.
Each is refused for a documented reason, and nothing changes.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.ledger.hours.refusals import VALID, Scene, build_scene
from tests.ledger.hours.requests import damaged, request_class, send
from tests.support.hours import HoursWorld
from tests.support.ledgers import refused
from timebank.errors import Reason
from timebank.paging import page_token

INT32_MAX, INT64_MAX, INT64_MIN = 2**31 - 1, 2**63 - 1, -(2**63)
V = Reason.VALIDATION_FAILED
MEMO = 2_000
WITH_MEMO = (
    *("SuspendMember", "ReinstateMember", "RecordDeath", "MergeMember", "UnmergeMember"),
    *("TransferTime", "GrantTime", "DisputeRecord", "ResolveDispute", "VoidRecord"),
    *("ResolveSpotCheck", "CloseStarReview", "SelectStar", "RevokeCertificate"),
)
LINES: dict[str, dict[str, int]] = {
    "RegisterMember": {
        "member_id": 40,
        "member.home_unit": 100,
        "member.officer": 40,
        "personal_data.display_name": 60,
        "personal_data.id_type": 30,
        "personal_data.id_number": 40,
        "personal_data.phone": 30,
        "personal_data.national_number": 40,
    },
    "PutPersonalData": {"personal_data.display_name": 60, "personal_data.phone": 30},
    "UpdateMember": {"member.home_unit": 100, "member.officer": 40},
    "ExportMember": {"destination": 60},
    "ReportNoShow": {"activity": 100, "day": 10},
    "EvaluateMember": {"rater": 60, "role": 10},
    "LinkFamily": {"relation": 20},
    "SubmitRecord": {
        "record_id": 64,
        "record.activity": 100,
        "record.place": 60,
        "record.organizer": 40,
        "record.recorder": 40,
        "record.team_lead": 40,
        "record.need_type": 40,
        "record.skill": 40,
        "record.reward": 10,
    },
    "VerifyRecord": {"verifier": 40},
    "IssueCertificate": {
        "issuer": 60,
        "person_in_charge": 30,
        "handler": 30,
        "contact": 60,
        "note": 200,
    },
}
"""Texts of one line: so many characters at most, none of them a control character."""
MEMOS: dict[str, str] = {
    **dict.fromkeys(WITH_MEMO, "memo"),
    "EvaluateMember": "comment",
    "SubmitRecord": "record.content",
}
"""Texts of many lines, of 2,000 characters at most; only NUL is refused in them."""
NOT_TEXT = ("\0", "王\0芳", "a\x1b[31mb", "a\nb", "a\x7fb", "a\u202eb", "a\u2028b", "a\ufffeb")
MEMBERS_IN: dict[str, tuple[str, ...]] = {
    "RegisterMember": ("member.guardian",),
    "UpdateMember": ("member.guardian",),
    "RecordDeath": ("heir",),
    "MergeMember": ("into",),
    "LinkFamily": ("relative",),
    "TransferTime": ("to",),
    "SubmitRecord": ("record.volunteer", "record.beneficiary"),
    "ListRecords": ("volunteer",),
}
"""Fields that name a second member, of the same ledger."""
BAD_NAMES = (
    *("weihai", "ledgers", "ledgers/", "ledgers/weihai/", "LEDGERS/weihai", "/ledgers/weihai"),
    *("ledgers/weihai/x/y", "ledgers/weihai/members/", "ledgers/weihai/members/a/b"),
    *("ledgers/weihai/members/A", "ledgers/weihai/members/..", "ledgers//members/a"),
    *("ledgers/weihai/members/wang\n", "ledgers/weihai/members/wang\0", "ledgers/威海"),
    *("ledgers/weihai/members/王", "ledgers/weihai/members/-", "ledgers/" + "w" * 10_000),
    *("ledgers/weihai/members/a%20b", "ledgers/weihai/members/a' OR '1'='1", "\u202eiahiew"),
    *("ledgers/weihai/records/A", "ledgers/weihai/policies/a@b@" + "c" * 70, "😀"),
)
NUMBERS: dict[str, dict[str, tuple[int, ...]]] = {
    "TransferTime": {"minutes": (0, -1, INT64_MIN, 10_000_001, INT64_MAX)},
    "GrantTime": {"minutes": (0, -1, INT64_MIN, 10_000_001, INT64_MAX)},
    "EvaluateMember": {"score": (0, -1, 6, INT32_MAX, -INT32_MAX)},
    "ListStars": {"star_min": (-1, 6, INT32_MAX), "page_size": (-1, -INT32_MAX)},
    "ListMembers": {"page_size": (-1, -INT32_MAX)},
    "ListRecords": {"page_size": (-1,), "state": (8, 99, -1, INT32_MAX)},
    "ListExpiryNotices": {"page_size": (-1, -INT32_MAX), "after": (-1, INT64_MIN)},
    "ListPolicies": {"page_size": (-1, -INT32_MAX)},
    "ListCertificates": {"page_size": (-1, -INT32_MAX)},
    "SubmitRecord": {
        "record.break_minutes": (-1, 61, INT64_MAX, INT64_MIN),
        "record.planned_minutes": (-1, INT64_MAX, INT64_MIN),
        "record.minutes": (-1, 61, INT64_MAX, INT64_MIN),
        "record.quality_tenths": (-1, 9, 51, INT32_MAX),
        "record.evidence": (0, 6, 99, -1, INT32_MAX),
    },
}
TIMES: dict[str, tuple[str, ...]] = {
    "RegisterMember": ("member.adult_time",),
    "SubmitRecord": ("record.start_time", "record.end_time"),
    "IssueCertificate": ("start_time", "end_time"),
}
BAD_TIMES = (
    *(Timestamp(), Timestamp(seconds=-1), Timestamp(seconds=2**62), Timestamp(seconds=-(2**62))),
    *(Timestamp(nanos=-1), Timestamp(seconds=253_402_300_800)),
)
LISTS_IN_RECORDS: dict[str, tuple[list[str], ...]] = {
    "record.verifiers": (["a"] * 6, ["v" * 41], [""], ["a b"], ["王"], ["members/A"]),
    "record.external_ids": (["a"] * 6, ["x" * 65], ["a\0"], ["a\nb"]),
    "record.bonuses": (["TEAM"], [""], ["team_lead"]),
}
BAD_TOKENS = ("AAAA", "not base64 !", "A" * 2_000, "\0", "页", page_token("1", "entries", "weihai"))
BAD_IDS = ("", "1", "0" * 36, "00000000-0000-0000-0000-000000000000", "g" * 36, "a" * 10_000, "\0")
Bad = tuple[str, str, object]


def texts() -> Iterator[Bad]:
    """Texts that are too long or hold what is no text."""
    for method, limits in LINES.items():
        for path, limit in limits.items():
            yield method, path, "a" * (limit + 1)
            yield method, path, "😀" * (limit + 1)
            for text in NOT_TEXT:
                yield method, path, text
    for method, path in MEMOS.items():
        yield method, path, "王" * (MEMO + 1)
        yield method, path, "a\0b"
    yield "AdoptPolicy", "document", "{" + " " * 32_768
    yield "AdoptPolicy", "document", "\0"
    yield "AdoptPolicy", "document", "[" * 10_000
    for path, lists in LISTS_IN_RECORDS.items():
        for items in lists:
            yield "SubmitRecord", path, items


def names() -> Iterator[Bad]:
    """Names that are none, or of another ledger."""
    for method in VALID:
        fields = request_class(method).DESCRIPTOR.fields_by_name
        for path in ("name", "parent"):
            if path in fields:
                yield method, path, ""
                yield from ((method, path, name) for name in BAD_NAMES)
        if "request_id" in fields:
            yield from ((method, "request_id", text) for text in BAD_IDS)
    yield from (("UpdateMember", "member.name", name) for name in ("", *BAD_NAMES))
    for method, paths in MEMBERS_IN.items():
        for path in paths:
            yield from ((method, path, name) for name in BAD_NAMES)
            yield method, path, "ledgers/rongcheng/members/wang"
    for name in ("x", "ledgers/rongcheng/records/a", "ledgers/weihai/records/r-new", "\0"):
        yield "SubmitRecord", "record.supersedes", name
    for name in ("ledgers/rongcheng/members/wang", "ledgers/weihai/members/A", "a b", "王", "a|b"):
        if name not in ("王", "a b"):
            yield "EvaluateMember", "rater", name
        if name != "a|b":
            yield "VerifyRecord", "verifier", name


def numbers() -> Iterator[Bad]:
    """Numbers, enumeration members and times out of range."""
    for method, fields in NUMBERS.items():
        for path, values in fields.items():
            yield from ((method, path, value) for value in values)
    for method, paths in TIMES.items():
        for path in paths:
            yield from ((method, path, time) for time in BAD_TIMES)
    for day in (
        "",
        "yesterday",
        "2026-3-1",
        "2026-03-02",
        "9999-12-31",
        "2026-02-31",
        "0000-00-00",
        "２０２６-０２-０１",
        "2026-02-01\n",
    ):
        yield "ReportNoShow", "day", day


async def accepted(scene: Scene, table: Iterator[Bad], wanted: Reason) -> list[str]:
    """Sends damaged requests and tells which are not refused as they should be."""
    standing, wrong = await scene.standing(), []
    for method, path, value in table:
        request = damaged(scene, method, path, value)
        try:
            reason = str(await refused(send(scene, method, request)))
        except (AssertionError, pytest.fail.Exception) as error:
            reason = str(error).splitlines()[0]
        if reason != wanted:
            wrong.append(f"{method} {path} {str(value)[:60]!r}: {reason}")
    if await scene.standing() != standing:
        wrong.append("something changed")
    return wrong


@pytest.mark.parametrize("table", [texts, names, numbers], ids=lambda table: str(table.__name__))
async def test_a_field_that_breaks_its_rule_is_refused_and_changes_nothing(
    bare: HoursWorld, table: Any
) -> None:
    wrong = await accepted(await build_scene(bare), table(), V)
    assert not wrong, "\n".join(["", *wrong])


async def test_a_token_of_no_page_or_of_another_list_is_refused(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    lists = [
        method
        for method in VALID
        if "page_token" in request_class(method).DESCRIPTOR.fields_by_name
    ]
    assert len(lists) == 7
    table = ((method, "page_token", token) for method in lists for token in BAD_TOKENS)
    wrong = await accepted(scene, table, Reason.PAGE_TOKEN_MISMATCH)
    assert not wrong, "\n".join(["", *wrong])


async def test_a_token_goes_on_only_with_the_same_other_fields(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    page = await scene.call("ListMembers", page_size=1)
    rest = await scene.call("ListMembers", page_token=page.next_page_token)
    assert page.members[0].name < rest.members[0].name
    again = scene.call("ListMembers", page_token=page.next_page_token, home_unit="huancui")
    assert await refused(again) is Reason.PAGE_TOKEN_MISMATCH
    page = await scene.call("ListRecords", page_size=1)
    other = scene.call("ListRecords", page_token=page.next_page_token, alarm=True)
    assert await refused(other) is Reason.PAGE_TOKEN_MISMATCH


async def test_a_name_in_another_ledger_is_not_found(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    missing = []
    for method in VALID:
        fields = request_class(method).DESCRIPTOR.fields_by_name
        path = "name" if "name" in fields else "parent"
        if path not in fields or method in ("MergeMember", "LinkFamily", "TransferTime"):
            continue
        request: Any = damaged(scene, method, path, "")
        name = VALID[method](scene)[path].replace("ledgers/weihai", "ledgers/rongcheng")
        setattr(request, path, name)
        reason = await refused(send(scene, method, request))
        if reason is not Reason.LEDGER_NOT_FOUND:
            missing.append((method, reason))
    assert missing == []


async def test_texts_in_any_script_are_kept_as_they_are(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    for name in ("王" * 60, "e\u0301\u0301", "\u05d0\u0628\u0639", "👵🏽", "'; DROP TABLE"):
        await scene.call("PutPersonalData", personal_data={"display_name": name})
        kept = await scene.call("GetPersonalData")
        assert kept.display_name == name
    content = "第一行\n\t第二行 \u202e" + "王" * 1_900
    kept = await scene.submit(record_id="r-text", content=content)
    assert kept.content == content
    assert (await scene.call("GetRecord", name=scene.a_record("r-text"))).content == content
