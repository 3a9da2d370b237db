"""A ledger with one of everything that a call about members and records can meet, for the tables
of refusals.

Owns the members, records and certificates by the words of the tables, a call of every rpc that
would succeed, and the state that a refused call must leave as it was.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.commands import POOL, TIME, new_id
from tests.support.commands import hold as hold_command
from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    MATCHING,
    OFFICER,
    OPERATOR,
    SECOND,
    B,
    C,
    D,
    HoursWorld,
    State,
    policy,
)
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import record_pb2

ELSEWHERE = Principal(PrincipalKind.OPERATOR, "op", ledgers=frozenset({"rongcheng"}))
WANG = Principal(PrincipalKind.MEMBER, "wang")
ELDER = Principal(PrincipalKind.MEMBER, "li-elder")
MERCHANT = Principal(PrincipalKind.MERCHANT, "shop")
AUDITOR = Principal(PrincipalKind.AUDITOR, "a")
PLATFORM = Principal(PrincipalKind.CREDIT_PLATFORM, "p")
PAYER_US = BASE_US - 18 * DAY_US
"""1 February: the elder pays, and every back-entry is drawn for a spot check."""
REFUSE_US = BASE_US - 13 * DAY_US
"""6 February: services to relatives are refused."""
SHOWN_US = BASE_US - 9 * DAY_US
"""10 February: records are publicised for three working days."""
REPLAY_US = BASE_US - 40 * DAY_US
"""10 January: a version that may be replayed."""
DAY_ONLY_US = BASE_US + 3 * DAY_US
"""22 February: ten hours of which only the day is known."""
UNCOVERED_US = BASE_US - 80 * DAY_US
"""1 December 2025: before the first policy."""
WINDOWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("2026-02-01", "2026-02-04", {"time_payer": "BENEFICIARY", "spot_check_percent": 100}),
    ("2026-02-06", "2026-02-08", {"self_service": "REFUSE"}),
    ("2026-02-10", "2026-02-12", {"publicity_days": 3}),
)
TRANSFERS = ["RELATIVES"]


class Refusal(NamedTuple):
    """One row of a table: a call of a method that must be refused, and why."""

    method: str
    reason: Reason
    about: str
    call: Callable[["Scene"], Awaitable[Any]]


@dataclass
class Scene:
    """The ledger, with its members, records and certificates."""

    city: HoursWorld
    used_id: str = field(default_factory=new_id)
    certificates: dict[str, str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)

    def member(self, word: str) -> str:
        """A member; a word that nobody has is unknown."""
        return self.city.member_name(word)

    def a_record(self, word: str) -> str:
        """A record; likewise."""
        return self.city.record_name(word)

    def certificate(self, word: str) -> str:
        """A certificate; likewise."""
        return self.certificates.get(word) or f"{self.city.name}/certificates/zm-{word}"

    def a_policy(self, word: str) -> str:
        """A version of the policy; likewise."""
        return self.policies.get(word) or f"{self.city.name}/policies/{word}@99"

    def call(self, method: str, caller: Principal = OPERATOR, /, **fields: Any) -> Any:
        """Calls a method with what would succeed, but for these fields."""
        values = VALID[method](self)
        for name, value in fields.items():
            values[name] = value
        return self.city.call(method, caller, once=True, **values)

    def submit(
        self,
        caller: Principal = OPERATOR,
        volunteer: str = "wang",
        record_id: str = "r-new",
        request_id: str = "",
        **fields: Any,
    ) -> Any:
        """Submits a record."""
        return self.city.call(
            "SubmitRecord",
            caller,
            once=True,
            parent=self.city.name,
            record_id=record_id,
            record=self.record(volunteer, **fields),
            request_id=request_id or new_id(),
        )

    def record(
        self,
        volunteer: str = "wang",
        *,
        start_us: int = BASE_US + DAY_US,
        claimed: int = 0,
        **fields: Any,
    ) -> record_pb2.ServiceRecord:
        """A record of an hour on the second day, when nobody served yet."""
        found = self.city.record(volunteer, start_us=start_us, **fields)
        found.minutes = claimed
        return found

    async def standing(self) -> tuple[int, bytes]:
        """The size of the log, and what stands outside it."""
        person = await self.city.call("GetPersonalData", name=self.member("wang"))
        return await self.city.world.size(), person.SerializeToString(deterministic=True)


def _of(word: str = "wang", **fields: Any) -> Callable[[Scene], dict[str, Any]]:
    """Fields of a call that names a member."""
    return lambda scene: {"name": scene.member(word), **fields}


def _about(word: str, **fields: Any) -> Callable[[Scene], dict[str, Any]]:
    """Fields of a call that names a record."""
    return lambda scene: {"name": scene.a_record(word), **fields}


def _parent(scene: Scene) -> dict[str, Any]:
    return {"parent": scene.city.name}


def _submission(scene: Scene) -> dict[str, Any]:
    return {"parent": scene.city.name, "record_id": "r-new", "record": scene.record()}


def _batch(scene: Scene) -> dict[str, Any]:
    return {
        "parent": scene.city.name,
        "items": [{"record_id": "r-new", "record": scene.record()}],
    }


def wording(scene: Scene) -> dict[str, Any]:
    """Fields of a certificate."""
    return {
        "parent": scene.member("wang"),
        "issuer": "环翠区志愿服务联合会",
        "person_in_charge": "赵主任",
        "handler": "小李",
        "contact": "0631-5200000",
    }


VALID: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "RegisterMember": lambda s: {
        "parent": s.city.name,
        "member_id": "new-one",
        "member": {"home_unit": "huancui/12dong"},
    },
    "GetMember": _of(),
    "ListMembers": _parent,
    "UpdateMember": lambda s: {
        "member": {"name": s.member("wang"), "publish_name": True},
        "update_mask": {"paths": ["publish_name"]},
    },
    "SuspendMember": _of(),
    "ReinstateMember": _of("idle"),
    "RecordDeath": _of("chen"),
    "ExportMember": _of("chen", destination="济南"),
    "MergeMember": lambda s: {"name": s.member("chen"), "into": s.member("wang")},
    "UnmergeMember": _of("twin"),
    "LinkFamily": lambda s: {
        "name": s.member("wang"),
        "relative": s.member("li-elder"),
        "relation": "CHILD",
    },
    "ReportNoShow": _of(activity="义诊", day="2026-02-28"),
    "EvaluateMember": _of("wang", role="COMMUNITY", score=5),
    "TransferTime": lambda s: {"name": s.member("wang"), "to": s.member("chen"), "minutes": 1},
    "GrantTime": _of("li-elder", minutes=1),
    "PutPersonalData": _of("wang", personal_data={"display_name": "王小芳"}),
    "GetPersonalData": _of(),
    "ErasePersonalData": _of("nameless"),
    "ListExpiryNotices": _parent,
    "SubmitRecord": _submission,
    "BatchSubmitRecords": _batch,
    "GetRecord": _about("posted"),
    "ListRecords": _parent,
    "VerifyRecord": _about("claimed"),
    "DisputeRecord": _about("claimed"),
    "ResolveDispute": _about("disputed"),
    "VoidRecord": _about("claimed"),
    "ResolveSpotCheck": _about("drawn", passed=True),
    "AdoptPolicy": lambda s: {
        "parent": s.city.name,
        "document": policy(effective_from="2026-06-01"),
    },
    "GetPolicy": lambda s: {"name": s.a_policy("main")},
    "ListPolicies": _parent,
    "ReplayPolicy": lambda s: {"name": s.a_policy("replayed")},
    "GetStar": _of(),
    "ListStars": _parent,
    "CloseStarReview": _of(),
    "SelectStar": _of(),
    "IssueCertificate": wording,
    "GetCertificate": lambda s: {"name": s.certificate("issued")},
    "ListCertificates": lambda s: {"parent": s.member("wang")},
    "RevokeCertificate": lambda s: {"name": s.certificate("issued")},
    "CheckCertificate": lambda s: {"name": s.certificate("issued")},
}
"""Fields of a call of every rpc that an operator makes with success, but for the two of reviews and
selections: nobody here holds a star.
"""


async def build_scene(city: HoursWorld) -> Scene:
    """Makes the scene."""
    scene = Scene(city)
    await _adopt_policies(scene)
    await _register_members(scene)
    await _make_records(scene)
    await _replay(scene)
    await _change_members(scene)
    await _issue_certificates(scene)
    return scene


async def _adopt_policies(scene: Scene) -> None:
    main = policy(transfers=TRANSFERS, elder_issue_minutes=600, reserve_ratio="1/2")
    scene.policies["main"] = (await scene.city.adopt(main)).name
    for start, end, changes in WINDOWS:
        await scene.city.adopt(policy(effective_from=start, effective_to=end, **changes))
    await _adopt_replay(scene, "replayed")


async def _adopt_replay(scene: Scene, word: str) -> None:
    document = policy(effective_from="2026-01-10", effective_to="2026-01-12")
    scene.policies[word] = (await scene.city.adopt(document, replay=True)).name


async def _replay(scene: Scene) -> None:
    """Replays another version, which credits the record of 10 January again."""
    await _adopt_replay(scene, "replayed-again")
    name = scene.a_policy("replayed-again")
    answer = await scene.city.call("ReplayPolicy", name=name, request_id=scene.used_id)
    assert answer.corrected == 1


async def _register_members(scene: Scene) -> None:
    city = scene.city
    await city.register("wang", name="王阿姨")
    await city.register("li-elder", name="李大爷", key_elder=True)
    await city.register("erased", name="孙大姐")
    await city.register("stranger", home_unit="wendeng/1")
    plain = ("chen", "twin", "dead", "gone", "idle", "busy", "frozen", "shut", "nameless")
    for word in (*plain, "officer-member"):
        await city.register(word, officer="zhao" if word == "officer-member" else "")
    fields: dict[str, Any] = {"name": scene.member("wang"), "relative": scene.member("chen")}
    await city.call("LinkFamily", request_id=scene.used_id, relation="SPOUSE", **fields)
    for word in ("frozen", "shut"):
        fields["relative"] = scene.member(word)
        await city.call("LinkFamily", relation="CHILD", **fields)
    await city.call("ReportNoShow", name=scene.member("wang"), activity="送药", day="2026-02-20")
    resident: dict[str, Any] = {"role": "RESIDENT", "rater": "resident-1", "score": 4}
    await city.call("EvaluateMember", name=scene.member("wang"), **resident)
    peer: dict[str, Any] = {"name": scene.member("chen"), "role": "PEER", "score": 5}
    await city.call("EvaluateMember", WANG, **peer)
    await city.world.grant(city.world.system[POOL, TIME], 300, TIME)


async def _make_records(scene: Scene) -> None:
    city = scene.city
    elder = scene.member("li-elder")
    for word, volunteer, start_us in (
        ("posted", "wang", BASE_US),
        ("replayed", "wang", REPLAY_US),
        ("forgotten", "erased", BASE_US),
    ):
        posted = await scene.submit(MATCHING, volunteer, record_id=word, start_us=start_us)
        assert posted.state == State.STATE_POSTED
    await scene.submit(MATCHING, record_id="shown", start_us=SHOWN_US)
    dated: dict[str, Any] = {
        "evidence": D,
        "date_only": True,
        "external_ids": ["x-1"],
        "end_time": None,
    }
    record = scene.record("chen", start_us=DAY_ONLY_US, claimed=600, **dated)
    await city.submit(record, record_id="dated")
    hour = 1
    for word in ("claimed", "disputed", "voided"):
        hour += 1
        start_us = BASE_US + hour * HOUR_US
        await scene.submit(OFFICER, record_id=word, start_us=start_us, minutes=20, evidence=C)
    await scene.submit(OFFICER, "dead", record_id="too-late", minutes=20, evidence=C)
    await scene.submit(
        OFFICER, "dead", record_id="unattested", start_us=BASE_US, minutes=20, evidence=C
    )
    for word in ("disputed", "too-late"):
        await city.call("DisputeRecord", SECOND, name=scene.a_record(word))
    await city.call("VoidRecord", SECOND, name=scene.a_record("voided"))
    double = await scene.submit(MATCHING, record_id="double", start_us=BASE_US, organizer="other")
    assert double.state == State.STATE_DISPUTED
    drawn: dict[str, Any] = {"evidence": C, "minutes": 20, "beneficiary": elder}
    attested: dict[str, Any] = {"evidence": B, "beneficiary": elder}
    for hour, word in enumerate(("unpaid", "unpaid-disputed")):
        start_us = PAYER_US + hour * HOUR_US
        await scene.submit(MATCHING, record_id=word, start_us=start_us, **attested)
    await city.call("DisputeRecord", SECOND, name=scene.a_record("unpaid-disputed"))
    for hour, word in enumerate(("drawn", "unpaid-drawn"), 4):
        start_us = PAYER_US + hour * HOUR_US
        await scene.submit(OFFICER, record_id=word, start_us=start_us, **drawn)
    drawn.pop("beneficiary")
    await scene.submit(OFFICER, "dead", record_id="unchecked", start_us=PAYER_US, **drawn)
    for word in ("unpaid-drawn", "unchecked"):
        await city.call("VerifyRecord", SECOND, name=scene.a_record(word))


async def _change_members(scene: Scene) -> None:
    city, world = scene.city, scene.city.world
    busy = await city.call("GetMember", name=scene.member("busy"))
    await world.grant(busy.time_account, 60, TIME)
    await world.hold(hold_command(busy.time_account, 20, TIME))
    for word, change in (("frozen", world.freeze), ("shut", world.close)):
        await change((await city.call("GetMember", name=scene.member(word))).time_account)
    await city.call("MergeMember", name=scene.member("twin"), into=scene.member("chen"))
    await city.call("RecordDeath", name=scene.member("dead"))
    await city.call("ExportMember", name=scene.member("gone"), destination="济南")
    await city.call("SuspendMember", name=scene.member("idle"))


async def _issue_certificates(scene: Scene) -> None:
    for word, member in (("issued", "wang"), ("revoked", "wang"), ("erased", "erased")):
        fields = wording(scene) | {"parent": scene.member(member)}
        scene.certificates[word] = (await scene.city.call("IssueCertificate", **fields)).name
    await scene.city.call("ErasePersonalData", name=scene.member("erased"), once=True)
    await scene.city.call("RevokeCertificate", name=scene.certificates["revoked"])
