"""The refusals of service records, from claim to spot check."""

from typing import Any

from tests.ledger.hours.refusals import (
    AUDITOR,
    DAY_ONLY_US,
    ELSEWHERE,
    MERCHANT,
    PAYER_US,
    REFUSE_US,
    UNCOVERED_US,
    WANG,
    Refusal,
    Scene,
)
from tests.support.commands import START_US, at
from tests.support.hours import (
    BASE_US,
    HOUR_US,
    OFFICER,
    SECOND,
    STRANGER,
    C,
    D,
    E,
)
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason as R

V, MISSING, STATE = R.VALIDATION_FAILED, R.RECORD_NOT_FOUND, R.RECORD_STATE
WEAK, FOUR_EYES = R.EVIDENCE_TOO_WEAK, R.FOUR_EYES_REQUIRED
SUBMIT, BATCH, VERIFY = "SubmitRecord", "BatchSubmitRecords", "VerifyRecord"
DISPUTE, RESOLVE, VOID, CHECK = "DisputeRecord", "ResolveDispute", "VoidRecord", "ResolveSpotCheck"
MOVES = (VERIFY, DISPUTE, RESOLVE, VOID, CHECK)
OTHER_MEMBER = Principal(PrincipalKind.MEMBER, "chen")


def submitted(reason: R, about: str, *who: Any, **fields: Any) -> Refusal:
    """A submission that is refused; texts of the form `@word` are names of members or records."""
    return Refusal(SUBMIT, reason, about, lambda s: s.submit(*who, **_named_in(s, fields)))


def _named_in(scene: Scene, fields: dict[str, Any]) -> dict[str, Any]:
    named = dict(fields)
    for field, value in fields.items():
        if isinstance(value, str) and value.startswith("@"):
            record = field == "supersedes"
            named[field] = (scene.a_record if record else scene.member)(value[1:])
    return named


def moved(method: str, reason: R, about: str, word: str, *who: Any, **fields: Any) -> Refusal:
    """A call about a record that is refused."""
    return Refusal(
        method,
        reason,
        about,
        lambda s: s.call(method, *who, name=s.a_record(word), **_named_in(s, fields)),
    )


def _any_move(method: str) -> tuple[Refusal, ...]:
    """What every call about a record refuses."""
    return (
        Refusal(method, R.SCOPE_MISSING, "an auditor", lambda s: s.call(method, AUDITOR)),
        Refusal(method, V, "no name", lambda s: s.call(method, name="")),
        Refusal(method, V, "a member's name", lambda s: s.call(method, name=s.member("wang"))),
        Refusal(method, V, "no request id", lambda s: s.call(method, request_id="1")),
        Refusal(method, V, "a long memo", lambda s: s.call(method, **_long(method))),
        Refusal(
            method,
            R.LEDGER_NOT_FOUND,
            "unknown ledger",
            lambda s: s.call(method, name="ledgers/none/records/posted"),
        ),
        Refusal(method, R.LEDGER_NOT_FOUND, "others", lambda s: s.call(method, ELSEWHERE)),
        Refusal(
            method,
            R.REQUEST_ID_REUSED,
            "of a family link",
            lambda s: s.call(method, request_id=s.used_id),
        ),
        moved(method, MISSING, "unknown", "never"),
        moved(method, MISSING, "of another unit", "claimed", STRANGER),
    )


def _long(method: str) -> dict[str, str]:
    return {"verifier": "v" * 41} if method == VERIFY else {"memo": "m" * 2_001}


CLAIMS: tuple[Refusal, ...] = (
    submitted(R.SCOPE_MISSING, "an auditor", AUDITOR),
    submitted(V, "a member claims class A", WANG),
    submitted(V, "an officer gives verifiers", OFFICER, evidence=C, verifiers=["zhao"]),
    submitted(V, "an officer records as another", OFFICER, evidence=C, recorder="zhao"),
    submitted(V, "a member says it was publicised", WANG, evidence=E, publicised=True),
    Refusal(SUBMIT, V, "no record", lambda s: s.call(SUBMIT, record={})),
    Refusal(SUBMIT, V, "no request id", lambda s: s.submit(request_id="1")),
    Refusal(
        SUBMIT,
        R.LEDGER_NOT_FOUND,
        "unknown ledger",
        lambda s: s.call(
            SUBMIT,
            parent="ledgers/none",
            record={
                "volunteer": "ledgers/none/members/wang",
                "activity": "送药",
                "organizer": "o",
                "start_time": at(BASE_US),
                "end_time": at(BASE_US + HOUR_US),
                "evidence": E,
            },
        ),
    ),
    Refusal(
        SUBMIT,
        R.REQUEST_ID_REUSED,
        "of a family link",
        lambda s: s.submit(request_id=s.used_id),
    ),
    submitted(R.MEMBER_NOT_FOUND, "of another unit", STRANGER, evidence=C),
    submitted(R.MEMBER_NOT_FOUND, "another member's", WANG, volunteer="chen", evidence=E),
    submitted(
        FOUR_EYES,
        "an officer who is the volunteer",
        SECOND,
        volunteer="officer-member",
        evidence=C,
    ),
    submitted(R.LIMIT_EXCEEDED, "the 481st minute", OFFICER, evidence=C, minutes=481),
)
SUBMISSIONS: tuple[Refusal, ...] = (
    submitted(V, "no number", record_id=""),
    submitted(V, "capitals in the number", record_id="R-1"),
    submitted(V, "no activity", activity=" "),
    submitted(V, "long activity", activity="a" * 101),
    submitted(V, "no organizer", organizer=""),
    submitted(V, "no class", evidence=0),
    submitted(V, "ends before it starts", end_time=at(BASE_US)),
    submitted(V, "three days", minutes=3 * 1_440),
    submitted(V, "only a day, but class A", date_only=True),
    submitted(V, "not over yet", start_us=START_US, minutes=1),
    submitted(R.RECORD_EXISTS, "another of the same number", record_id="posted"),
    submitted(R.MEMBER_NOT_FOUND, "unknown", volunteer="nobody"),
    submitted(R.MEMBER_NOT_FOUND, "unknown beneficiary", beneficiary="@nobody"),
    submitted(R.MEMBER_NOT_ACTIVE, "dead", volunteer="dead"),
    submitted(R.MEMBER_NOT_ACTIVE, "moved away", volunteer="gone"),
    submitted(R.MEMBER_NOT_ACTIVE, "suspended", volunteer="idle"),
    submitted(R.POLICY_NOT_FOUND, "before the first policy", start_us=UNCOVERED_US),
    submitted(MISSING, "corrects what is not there", supersedes="@never"),
    submitted(STATE, "corrects a claim", supersedes="@claimed"),
    submitted(STATE, "corrects a void one", supersedes="@voided"),
    submitted(V, "corrects another volunteer's", volunteer="chen", supersedes="@posted"),
    submitted(WEAK, "class E, attested", evidence=E, verifiers=["zhao"]),
    submitted(WEAK, "class C without a recorder", evidence=C, verifiers=["zhao"]),
    submitted(WEAK, "class D without the other's number", evidence=D),
    submitted(WEAK, "a relative's", start_us=REFUSE_US, beneficiary="@chen"),
    submitted(WEAK, "one's own", start_us=REFUSE_US, beneficiary="@wang"),
    submitted(FOUR_EYES, "recorder attests", evidence=C, recorder="zhao", verifiers=["zhao"]),
    submitted(
        R.LIMIT_EXCEEDED,
        "the 721st minute of a day without times",
        volunteer="chen",
        evidence=D,
        date_only=True,
        external_ids=["x-2"],
        claimed=121,
        start_us=DAY_ONLY_US,
        end_time=None,
    ),
    submitted(R.RECORD_OVERLAPS, "the same hour", start_us=BASE_US + 1),
    submitted(R.ACCOUNT_CLOSED, "the account is closed", volunteer="shut"),
    submitted(
        R.INSUFFICIENT_BALANCE,
        "the elder has no TIME",
        start_us=PAYER_US + 8 * HOUR_US,
        beneficiary="@li-elder",
    ),
)
"""What a service or operator is refused, for one record and in a batch alike."""
BATCHES: tuple[Refusal, ...] = (
    Refusal(BATCH, R.SCOPE_MISSING, "an officer", lambda s: s.call(BATCH, OFFICER)),
    Refusal(BATCH, V, "bad parent", lambda s: s.call(BATCH, parent="weihai")),
    Refusal(BATCH, V, "no request id", lambda s: s.call(BATCH, request_id="1")),
    Refusal(BATCH, R.BATCH_TOO_LARGE, "nothing", lambda s: s.call(BATCH, items=[])),
    Refusal(
        BATCH,
        R.BATCH_TOO_LARGE,
        "8,001",
        lambda s: s.call(BATCH, items=[{"record_id": "r"}] * 8_001),
    ),
    Refusal(
        BATCH,
        R.LEDGER_NOT_FOUND,
        "unknown ledger",
        lambda s: s.call(BATCH, parent="ledgers/none"),
    ),
    Refusal(BATCH, R.LEDGER_NOT_FOUND, "others", lambda s: s.call(BATCH, ELSEWHERE)),
)
READS: tuple[Refusal, ...] = (
    Refusal("GetRecord", R.SCOPE_MISSING, "merchant", lambda s: s.call("GetRecord", MERCHANT)),
    Refusal("GetRecord", V, "no name", lambda s: s.call("GetRecord", name="")),
    Refusal("GetRecord", V, "capitals", lambda s: s.call("GetRecord", name=s.a_record("R"))),
    moved("GetRecord", MISSING, "unknown", "never"),
    moved("GetRecord", MISSING, "of another unit", "posted", STRANGER),
    moved("GetRecord", MISSING, "another member's", "posted", OTHER_MEMBER),
    Refusal("ListRecords", R.SCOPE_MISSING, "merchant", lambda s: s.call("ListRecords", MERCHANT)),
    Refusal("ListRecords", V, "bad parent", lambda s: s.call("ListRecords", parent="x")),
    Refusal("ListRecords", V, "negative page", lambda s: s.call("ListRecords", page_size=-1)),
    Refusal("ListRecords", V, "unknown state", lambda s: s.call("ListRecords", state=99)),
    Refusal("ListRecords", V, "bad volunteer", lambda s: s.call("ListRecords", volunteer="wang")),
    Refusal(
        "ListRecords",
        R.PAGE_TOKEN_MISMATCH,
        "no token",
        lambda s: s.call("ListRecords", page_token="AAAA"),
    ),
    Refusal(
        "ListRecords",
        R.LEDGER_NOT_FOUND,
        "unknown ledger",
        lambda s: s.call("ListRecords", parent="ledgers/none"),
    ),
    Refusal(
        "ListRecords",
        R.MEMBER_NOT_FOUND,
        "of nobody",
        lambda s: s.call("ListRecords", volunteer=s.member("nobody")),
    ),
)
STEPS: tuple[Refusal, ...] = (
    *(row for method in MOVES for row in _any_move(method)),
    moved(VERIFY, R.SCOPE_MISSING, "as somebody else", "claimed", SECOND, verifier="sun"),
    moved(VERIFY, STATE, "posted", "posted"),
    moved(VERIFY, STATE, "void", "voided"),
    moved(VERIFY, STATE, "disputed", "disputed"),
    moved(VERIFY, FOUR_EYES, "by its recorder", "claimed", OFFICER),
    moved(VERIFY, FOUR_EYES, "by its volunteer", "claimed", WANG),
    moved(VERIFY, FOUR_EYES, "by a member who was not served", "claimed", verifier="@chen"),
    moved(VERIFY, R.MEMBER_NOT_ACTIVE, "the volunteer has died", "unattested", SECOND),
    moved(VERIFY, R.INSUFFICIENT_BALANCE, "the elder has no TIME", "unpaid", SECOND),
    moved(DISPUTE, STATE, "posted", "posted"),
    moved(DISPUTE, STATE, "disputed already", "disputed"),
    moved(DISPUTE, STATE, "void", "voided"),
    moved(RESOLVE, STATE, "claimed", "claimed"),
    moved(RESOLVE, STATE, "posted", "posted"),
    moved(RESOLVE, FOUR_EYES, "by its recorder", "disputed", OFFICER),
    moved(RESOLVE, FOUR_EYES, "by who disputed it", "disputed", SECOND),
    moved(RESOLVE, R.MEMBER_NOT_ACTIVE, "the volunteer has died", "too-late"),
    moved(RESOLVE, R.RECORD_OVERLAPS, "the same hour twice", "double"),
    moved(RESOLVE, R.INSUFFICIENT_BALANCE, "the elder has no TIME", "unpaid-disputed"),
    moved(VOID, STATE, "void already", "voided"),
    moved(VOID, FOUR_EYES, "by its recorder", "claimed", OFFICER),
    moved(CHECK, STATE, "posted", "posted"),
    moved(CHECK, STATE, "not drawn", "claimed"),
    moved(CHECK, FOUR_EYES, "by its recorder", "drawn", OFFICER),
    moved(CHECK, FOUR_EYES, "by who attested", "unpaid-drawn", SECOND),
    moved(CHECK, R.MEMBER_NOT_ACTIVE, "the volunteer has died", "unchecked", passed=True),
    moved(CHECK, R.INSUFFICIENT_BALANCE, "the elder has no TIME", "unpaid-drawn", passed=True),
)
RECORD_TABLES: dict[str, tuple[Refusal, ...]] = {
    "claims": CLAIMS,
    "submissions": SUBMISSIONS,
    "batches": BATCHES,
    "reads of records": READS,
    "steps of records": STEPS,
}
