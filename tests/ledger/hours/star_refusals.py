"""The refusals of policies, stars and certificates."""

import json
from typing import Any

from tests.ledger.hours.refusals import (
    AUDITOR,
    ELSEWHERE,
    MERCHANT,
    WANG,
    Refusal,
    Scene,
)
from tests.support.commands import START_US, at
from tests.support.hours import MATCHING, OFFICER, STRANGER
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason as R

V, MISSING = R.VALIDATION_FAILED, R.MEMBER_NOT_FOUND
ADOPT, REPLAY = "AdoptPolicy", "ReplayPolicy"
CLOSE, SELECT = "CloseStarReview", "SelectStar"
ISSUE, REVOKE, CHECK = "IssueCertificate", "RevokeCertificate", "CheckCertificate"
OTHER_MEMBER = Principal(PrincipalKind.MEMBER, "chen")


def refused(method: str, reason: R, about: str, *who: Any, **fields: Any) -> Refusal:
    """A call that is refused; a field may be a function of the scene."""
    return Refusal(method, reason, about, lambda s: s.call(method, *who, **_filled(s, fields)))


def _filled(scene: Scene, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value(scene) if callable(value) else value for name, value in fields.items()}


def member(word: str) -> Any:
    """The name of a member."""
    return lambda scene: scene.member(word)


def certificate(word: str) -> Any:
    """The name of a certificate."""
    return lambda scene: scene.certificate(word)


def version(word: str) -> Any:
    """The name of a version of the policy."""
    return lambda scene: scene.a_policy(word)


def _list(method: str, parent: str = "ledgers/none") -> tuple[Refusal, ...]:
    """What every list refuses."""
    return (
        refused(method, V, "bad parent", parent="weihai"),
        refused(method, V, "negative page", page_size=-1),
        refused(method, R.PAGE_TOKEN_MISMATCH, "no token", page_token="AAAA"),
        refused(method, R.LEDGER_NOT_FOUND, "unknown ledger", parent=parent),
        refused(method, R.LEDGER_NOT_FOUND, "others", ELSEWHERE),
    )


def _write(
    method: str, field: str = "name", name: str = "", used: str = "a family link"
) -> tuple[Refusal, ...]:
    """What every write refuses; `used` says what the request id was used for, if it was."""
    reused = refused(method, R.REQUEST_ID_REUSED, f"of {used}", request_id=lambda s: s.used_id)
    return (
        refused(method, R.SCOPE_MISSING, "an auditor", AUDITOR),
        refused(method, V, "bad name", **{field: "weihai"}),
        refused(method, V, "no request id", request_id="1"),
        refused(method, R.LEDGER_NOT_FOUND, "unknown ledger", **{field: name}),
        refused(method, R.LEDGER_NOT_FOUND, "others", ELSEWHERE),
        *((reused,) if used else ()),
    )


POLICIES: tuple[Refusal, ...] = (
    *_write(ADOPT, "parent", "ledgers/none"),
    refused(ADOPT, R.SCOPE_MISSING, "a service", MATCHING),
    refused(ADOPT, V, "nothing", document=""),
    refused(ADOPT, V, "no JSON", document="{"),
    refused(ADOPT, V, "a list", document="[]"),
    refused(ADOPT, V, "too long", document=" " * 32_769),
    refused(ADOPT, V, "an unknown key", document=json.dumps({"polcy_id": "a"})),
    refused(ADOPT, V, "a replay of nothing past", replay=True),
    *_write(REPLAY, "name", "ledgers/none/policies/test@1", used="another version"),
    refused(REPLAY, V, "no replay", name=version("main")),
    refused(REPLAY, R.POLICY_NOT_FOUND, "unknown", name=version("never")),
    refused(REPLAY, R.PAGE_TOKEN_MISMATCH, "no token", page_token="AAAA"),
    refused("GetPolicy", V, "no name", name=""),
    refused("GetPolicy", V, "capitals", name="ledgers/weihai/policies/TEST@1"),
    refused("GetPolicy", R.POLICY_NOT_FOUND, "unknown", name=version("never")),
    refused("GetPolicy", R.LEDGER_NOT_FOUND, "others", ELSEWHERE),
    *_list("ListPolicies"),
)
STARS: tuple[Refusal, ...] = (
    refused("GetStar", V, "no name", name=""),
    refused("GetStar", MISSING, "unknown", name=member("nobody")),
    refused("GetStar", MISSING, "of another unit", STRANGER),
    refused("GetStar", MISSING, "another member's", OTHER_MEMBER),
    refused("GetStar", R.SCOPE_MISSING, "a merchant", MERCHANT),
    refused("GetStar", R.LEDGER_NOT_FOUND, "others", ELSEWHERE),
    *_list("ListStars"),
    refused("ListStars", V, "six stars", star_min=6),
    refused("ListStars", V, "minus one", star_min=-1),
    refused("ListStars", R.SCOPE_MISSING, "a merchant", MERCHANT),
    *(
        row
        for method in (CLOSE, SELECT)
        for row in (
            *_write(method, "name", "ledgers/none/members/wang"),
            refused(method, V, "a long memo", memo="m" * 2_001),
            refused(method, MISSING, "unknown", name=member("nobody")),
            refused(method, R.SCOPE_MISSING, "an officer", OFFICER),
        )
    ),
    refused(CLOSE, R.STAR_STATE, "no review is open"),
    refused(SELECT, R.STAR_STATE, "no star is held"),
)
CERTIFICATES: tuple[Refusal, ...] = (
    *_write(ISSUE, "parent", "ledgers/none/members/wang"),
    *(
        refused(ISSUE, V, f"no {name}", **{name: " "})
        for name in ("issuer", "person_in_charge", "handler", "contact")
    ),
    refused(ISSUE, V, "a long note", note="n" * 201),
    refused(ISSUE, V, "ends before it starts", start_time=at(START_US), end_time=at(START_US - 1)),
    refused(ISSUE, R.SCOPE_MISSING, "a service", MATCHING),
    refused(ISSUE, MISSING, "unknown", parent=member("nobody")),
    refused(ISSUE, MISSING, "of another unit", STRANGER),
    refused(ISSUE, MISSING, "another member's", OTHER_MEMBER),
    refused(ISSUE, R.PERSONAL_DATA_ERASED, "none is kept", parent=member("nameless")),
    refused(ISSUE, R.CERTIFICATE_EMPTY, "nothing posted", parent=member("li-elder")),
    refused(ISSUE, R.CERTIFICATE_EMPTY, "nothing since", start_time=at(START_US)),
    refused("GetCertificate", V, "no name", name=""),
    refused("GetCertificate", R.CERTIFICATE_NOT_FOUND, "unknown", name=certificate("x")),
    refused("GetCertificate", R.CERTIFICATE_NOT_FOUND, "of another unit", STRANGER),
    refused("GetCertificate", R.CERTIFICATE_NOT_FOUND, "another member's", OTHER_MEMBER),
    refused("GetCertificate", R.PERSONAL_DATA_ERASED, "erased", name=certificate("erased")),
    refused("GetCertificate", R.SCOPE_MISSING, "a merchant", MERCHANT),
    refused("GetCertificate", R.LEDGER_NOT_FOUND, "others", ELSEWHERE),
    *_list("ListCertificates", "ledgers/none/members/wang"),
    refused("ListCertificates", MISSING, "unknown", parent=member("nobody")),
    refused("ListCertificates", MISSING, "of another unit", STRANGER),
    refused("ListCertificates", MISSING, "another member's", OTHER_MEMBER),
    *_write(REVOKE, "name", "ledgers/none/certificates/zm-1"),
    refused(REVOKE, V, "a long memo", memo="m" * 2_001),
    refused(REVOKE, R.CERTIFICATE_NOT_FOUND, "unknown", name=certificate("x")),
    refused(REVOKE, R.CERTIFICATE_NOT_FOUND, "of another unit", STRANGER),
    refused(REVOKE, R.CERTIFICATE_STATE, "twice", name=certificate("revoked")),
    refused(REVOKE, R.SCOPE_MISSING, "a member", WANG),
    refused(CHECK, V, "no name", name=""),
    refused(CHECK, R.CERTIFICATE_NOT_FOUND, "unknown", name=certificate("x")),
    refused(CHECK, R.LEDGER_NOT_FOUND, "others", ELSEWHERE),
)
STAR_TABLES: dict[str, tuple[Refusal, ...]] = {
    "policies": POLICIES,
    "stars": STARS,
    "certificates": CERTIFICATES,
}
