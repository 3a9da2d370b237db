"""The refusals of members, their life events and evaluations."""

from typing import Any

from tests.ledger.hours.gift_refusals import GIFTS, of
from tests.ledger.hours.refusals import (
    AUDITOR,
    ELSEWHERE,
    MERCHANT,
    PLATFORM,
    WANG,
    Refusal,
    Scene,
)
from tests.support.commands import START_US, at
from tests.support.hours import DAY_US, OFFICER, STRANGER
from timebank.errors import Reason as R

V, MISSING, NOT_ACTIVE = R.VALIDATION_FAILED, R.MEMBER_NOT_FOUND, R.MEMBER_NOT_ACTIVE
REGISTER, UPDATE = "RegisterMember", "UpdateMember"
WRITES = (
    *("SuspendMember", "ReinstateMember", "RecordDeath", "ExportMember", "MergeMember"),
    *("UnmergeMember", "LinkFamily", "ReportNoShow", "EvaluateMember", "TransferTime", "GrantTime"),
)
"""They write an entry about the member they name."""
PERSONAL = ("PutPersonalData", "GetPersonalData", "ErasePersonalData")
NOT_FOR_OFFICERS = {"ExportMember", "TransferTime", "ErasePersonalData"}
OTHERS = {"MergeMember": "into", "LinkFamily": "relative", "TransferTime": "to"}
"""The field in which a call names a second member, who must be of the same ledger."""


def registered(scene: Scene, caller: Any = None, **fields: Any) -> Any:
    """Registers a member."""
    arguments = () if caller is None else (caller,)
    return scene.call(REGISTER, *arguments, member=fields)


def updated(scene: Scene, word: str, caller: Any = None, **fields: Any) -> Any:
    """Changes the fields of a member that are named."""
    arguments = () if caller is None else (caller,)
    member = {"name": scene.member(word), **fields}
    return scene.call(UPDATE, *arguments, member=member, update_mask={"paths": list(fields)})


def _named(method: str) -> tuple[Refusal, ...]:
    """The refusals of every call that names a member."""
    elsewhere = {"name": "ledgers/none/members/wang"}
    if method in OTHERS:
        elsewhere[OTHERS[method]] = "ledgers/none/members/chen"

    def row(reason: R, about: str, word: str, caller: Any = None, **fields: Any) -> Refusal:
        return Refusal(method, reason, about, lambda s: of(s, method, word, caller, **fields))

    rows = [
        Refusal(method, V, "no name", lambda s: s.call(method, name="")),
        Refusal(method, V, "a name of records", lambda s: s.call(method, name=s.a_record("a"))),
        Refusal(
            method,
            R.LEDGER_NOT_FOUND,
            "unknown ledger",
            lambda s: s.call(method, **elsewhere),
        ),
        row(R.LEDGER_NOT_FOUND, "the caller's ledgers are others", "wang", ELSEWHERE),
        row(MISSING, "unknown", "nobody"),
        row(R.SCOPE_MISSING, "a merchant", "nobody", MERCHANT),
    ]
    if method not in NOT_FOR_OFFICERS:
        rows.append(row(MISSING, "of another unit", "wang", STRANGER))
    return tuple(rows)


def _written(method: str) -> tuple[Refusal, ...]:
    """The refusals of every call with a request id."""
    return (
        Refusal(method, V, "no request id", lambda s: s.call(method, request_id="")),
        Refusal(
            method,
            R.REQUEST_ID_REUSED,
            "of a family link",
            lambda s: s.call(method, request_id=s.used_id),
        ),
    )


NAMED: tuple[Refusal, ...] = tuple(
    row for method in ("GetMember", *WRITES, *PERSONAL) for row in _named(method)
)
WRITTEN: tuple[Refusal, ...] = tuple(
    row for method in (REGISTER, UPDATE, *WRITES) for row in _written(method)
)


def _inactive(method: str, *words: str) -> tuple[Refusal, ...]:
    def row(word: str) -> Refusal:
        return Refusal(method, NOT_ACTIVE, word, lambda s: of(s, method, word))

    return tuple(row(word) for word in words)


INACTIVE: tuple[Refusal, ...] = (
    Refusal(UPDATE, NOT_ACTIVE, "dead", lambda s: updated(s, "dead", key_elder=True)),
    Refusal(UPDATE, NOT_ACTIVE, "merged", lambda s: updated(s, "twin", key_elder=True)),
    *_inactive("SuspendMember", "idle", "dead", "gone", "twin"),
    *_inactive("ReinstateMember", "wang", "dead", "gone", "twin"),
    *_inactive("RecordDeath", "dead", "gone", "twin"),
    *_inactive("ExportMember", "dead", "gone", "twin"),
    *_inactive("MergeMember", "dead", "gone", "twin"),
    *_inactive("UnmergeMember", "wang", "dead", "idle"),
    *_inactive("TransferTime", "dead", "gone", "twin"),
    *_inactive("GrantTime", "idle", "dead", "gone"),
    Refusal(
        "MergeMember",
        NOT_ACTIVE,
        "into a dead one",
        lambda s: of(s, "MergeMember", "wang", into=s.member("dead")),
    ),
    Refusal(
        "RecordDeath",
        NOT_ACTIVE,
        "an heir who has died",
        lambda s: of(s, "RecordDeath", "wang", heir=s.member("dead")),
    ),
    Refusal(
        "TransferTime",
        NOT_ACTIVE,
        "to one who left",
        lambda s: of(s, "TransferTime", "wang", to=s.member("gone")),
    ),
)
REGISTRATIONS: tuple[Refusal, ...] = (
    Refusal(REGISTER, V, "bad parent", lambda s: s.call(REGISTER, parent="weihai")),
    Refusal(REGISTER, V, "capitals", lambda s: s.call(REGISTER, member_id="Wang")),
    Refusal(
        REGISTER,
        V,
        "an identity number",
        lambda s: s.call(REGISTER, member_id="371002199001011234"),
    ),
    Refusal(REGISTER, V, "long unit", lambda s: registered(s, home_unit="a" * 101)),
    Refusal(
        REGISTER, V, "a minor alone", lambda s: registered(s, adult_time=at(START_US + DAY_US))
    ),
    Refusal(
        REGISTER, V, "no name", lambda s: s.call(REGISTER, personal_data={"display_name": " "})
    ),
    Refusal(
        REGISTER,
        R.LEDGER_NOT_FOUND,
        "unknown ledger",
        lambda s: s.call(REGISTER, parent="ledgers/none"),
    ),
    Refusal(REGISTER, R.MEMBER_EXISTS, "again", lambda s: s.call(REGISTER, member_id="wang")),
    Refusal(
        REGISTER, MISSING, "no such guardian", lambda s: registered(s, guardian=s.member("nobody"))
    ),
    Refusal(REGISTER, R.SCOPE_MISSING, "no unit", lambda s: registered(s, OFFICER, home_unit="")),
    Refusal(
        REGISTER,
        R.SCOPE_MISSING,
        "a unit that begins alike",
        lambda s: registered(s, OFFICER, home_unit="huancui2/1"),
    ),
    Refusal(REGISTER, R.SCOPE_MISSING, "a member", lambda s: s.call(REGISTER, WANG)),
    Refusal(UPDATE, V, "no member", lambda s: s.call(UPDATE, member={})),
    Refusal(
        UPDATE,
        V,
        "the state in the mask",
        lambda s: s.call(UPDATE, update_mask={"paths": ["state"]}),
    ),
    Refusal(UPDATE, V, "its own guardian", lambda s: updated(s, "wang", guardian=s.member("wang"))),
    Refusal(
        UPDATE,
        R.LEDGER_NOT_FOUND,
        "unknown ledger",
        lambda s: s.call(UPDATE, member={"name": "ledgers/none/members/wang"}),
    ),
    Refusal(UPDATE, MISSING, "unknown", lambda s: updated(s, "nobody", key_elder=True)),
    Refusal(
        UPDATE, MISSING, "of another unit", lambda s: updated(s, "wang", STRANGER, key_elder=True)
    ),
    Refusal(
        UPDATE, MISSING, "no such guardian", lambda s: updated(s, "wang", guardian=s.member("x"))
    ),
    Refusal(
        UPDATE,
        R.SCOPE_MISSING,
        "moved to another unit",
        lambda s: updated(s, "wang", OFFICER, home_unit="wendeng/1"),
    ),
    Refusal(UPDATE, R.SCOPE_MISSING, "an auditor", lambda s: s.call(UPDATE, AUDITOR)),
)


def _list(method: str) -> tuple[Refusal, ...]:
    """What every list of a ledger refuses."""
    return (
        Refusal(method, V, "bad parent", lambda s: s.call(method, parent="x")),
        Refusal(method, V, "negative page", lambda s: s.call(method, page_size=-1)),
        Refusal(
            method, R.PAGE_TOKEN_MISMATCH, "no token", lambda s: s.call(method, page_token="AAAA")
        ),
        Refusal(
            method,
            R.LEDGER_NOT_FOUND,
            "unknown ledger",
            lambda s: s.call(method, parent="ledgers/none"),
        ),
        Refusal(method, R.LEDGER_NOT_FOUND, "others", lambda s: s.call(method, ELSEWHERE)),
        Refusal(method, R.SCOPE_MISSING, "platform", lambda s: s.call(method, PLATFORM)),
    )


LIFE: tuple[Refusal, ...] = (
    Refusal(
        "RecordDeath",
        R.HOLDS_REMAIN,
        "a hold on TIME",
        lambda s: of(s, "RecordDeath", "busy"),
    ),
    Refusal("ExportMember", R.HOLDS_REMAIN, "the same", lambda s: of(s, "ExportMember", "busy")),
    Refusal(
        "RecordDeath",
        R.FAMILY_LINK_MISSING,
        "an heir who is no family",
        lambda s: of(s, "RecordDeath", "busy", heir=s.member("wang")),
    ),
    Refusal(
        "RecordDeath",
        MISSING,
        "no heir",
        lambda s: of(s, "RecordDeath", "busy", heir=s.member("x")),
    ),
    Refusal(
        "RecordDeath",
        R.ACCOUNT_CLOSED,
        "the heir's account is closed",
        lambda s: of(s, "RecordDeath", "wang", heir=s.member("shut")),
    ),
    Refusal("ExportMember", V, "nowhere", lambda s: of(s, "ExportMember", "busy", destination="")),
    Refusal(
        "MergeMember", V, "itself", lambda s: of(s, "MergeMember", "wang", into=s.member("wang"))
    ),
    Refusal(
        "MergeMember", MISSING, "into nobody", lambda s: s.call("MergeMember", into=s.member("x"))
    ),
    Refusal(
        "MergeMember",
        MISSING,
        "into another unit's",
        lambda s: s.call("MergeMember", OFFICER, into=s.member("stranger")),
    ),
    Refusal("LinkFamily", V, "no relation", lambda s: s.call("LinkFamily", relation="COUSIN")),
    Refusal("LinkFamily", V, "itself", lambda s: s.call("LinkFamily", relative=s.member("wang"))),
    Refusal(
        "LinkFamily", MISSING, "nobody", lambda s: s.call("LinkFamily", relative=s.member("x"))
    ),
    Refusal("ReportNoShow", V, "tomorrow", lambda s: s.call("ReportNoShow", day="2026-03-02")),
    Refusal(
        "ReportNoShow",
        R.NO_SHOW_EXISTS,
        "again",
        lambda s: s.call("ReportNoShow", activity="送药", day="2026-02-20"),
    ),
    Refusal("EvaluateMember", V, "no role", lambda s: s.call("EvaluateMember", role="")),
    Refusal("EvaluateMember", V, "six", lambda s: s.call("EvaluateMember", score=6)),
    Refusal(
        "EvaluateMember",
        R.SCOPE_MISSING,
        "as somebody else",
        lambda s: s.call("EvaluateMember", OFFICER, rater="zhao"),
    ),
    Refusal(
        "EvaluateMember",
        R.EVALUATION_REFUSED,
        "oneself",
        lambda s: s.call("EvaluateMember", WANG, role="PEER"),
    ),
    Refusal(
        "EvaluateMember",
        R.EVALUATION_REFUSED,
        "in return",
        lambda s: s.call("EvaluateMember", role="PEER", rater=s.member("chen")),
    ),
    Refusal(
        "EvaluateMember",
        R.EVALUATION_EXISTS,
        "twice a quarter",
        lambda s: s.call("EvaluateMember", role="RESIDENT", rater="resident-1"),
    ),
    Refusal(
        "EvaluateMember",
        MISSING,
        "by nobody",
        lambda s: s.call("EvaluateMember", rater=s.member("nobody")),
    ),
)
MEMBER_TABLES: dict[str, tuple[Refusal, ...]] = {
    "names of members": NAMED,
    "request ids of members": WRITTEN,
    "states of members": INACTIVE,
    "registrations": REGISTRATIONS,
    "lists of members": (*_list("ListMembers"), *_list("ListExpiryNotices")),
    "lives": LIFE,
    "gifts and personal data": GIFTS,
}
