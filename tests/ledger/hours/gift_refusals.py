"""The refusals of TIME given away, and of personal data."""

from typing import Any

from tests.ledger.hours.refusals import AUDITOR, WANG, Refusal, Scene
from tests.support.hours import MATCHING, OFFICER
from timebank.errors import Reason as R

V, MISSING = R.VALIDATION_FAILED, R.MEMBER_NOT_FOUND


def of(scene: Scene, method: str, word: str, caller: Any = None, **fields: Any) -> Any:
    """Calls a method about a member."""
    arguments = () if caller is None else (caller,)
    return scene.call(method, *arguments, name=scene.member(word), **fields)


GIFTS: tuple[Refusal, ...] = (
    Refusal("TransferTime", V, "nothing", lambda s: s.call("TransferTime", minutes=0)),
    Refusal("TransferTime", V, "to itself", lambda s: s.call("TransferTime", to=s.member("wang"))),
    Refusal(
        "TransferTime", MISSING, "to nobody", lambda s: s.call("TransferTime", to=s.member("x"))
    ),
    Refusal(
        "TransferTime",
        R.MOVEMENT_NOT_ALLOWED,
        "to the pool, against the policy",
        lambda s: s.call("TransferTime", to=""),
    ),
    Refusal(
        "TransferTime",
        R.FAMILY_LINK_MISSING,
        "to a friend, against the policy",
        lambda s: s.call("TransferTime", to=s.member("busy")),
    ),
    Refusal(
        "TransferTime",
        R.INSUFFICIENT_BALANCE,
        "more than there is",
        lambda s: s.call("TransferTime", minutes=10_000),
    ),
    Refusal(
        "TransferTime",
        R.ACCOUNT_FROZEN,
        "a frozen account",
        lambda s: of(s, "TransferTime", "frozen", to=s.member("wang")),
    ),
    Refusal(
        "TransferTime",
        R.ACCOUNT_CLOSED,
        "to a closed account",
        lambda s: s.call("TransferTime", to=s.member("shut")),
    ),
    Refusal("TransferTime", R.SCOPE_MISSING, "officer", lambda s: s.call("TransferTime", OFFICER)),
    Refusal("GrantTime", V, "nothing", lambda s: s.call("GrantTime", minutes=0)),
    Refusal(
        "GrantTime", R.MOVEMENT_NOT_ALLOWED, "no key elder", lambda s: of(s, "GrantTime", "wang")
    ),
    Refusal(
        "GrantTime",
        R.LIMIT_EXCEEDED,
        "more than a year's issue",
        lambda s: s.call("GrantTime", minutes=601),
    ),
    Refusal(
        "GrantTime",
        R.LIMIT_EXCEEDED,
        "what the pool must keep",
        lambda s: s.call("GrantTime", minutes=151),
    ),
    Refusal(
        "GrantTime",
        R.INSUFFICIENT_BALANCE,
        "more than the pool has",
        lambda s: s.call("GrantTime", minutes=301),
    ),
    Refusal("GrantTime", R.SCOPE_MISSING, "service", lambda s: s.call("GrantTime", MATCHING)),
    Refusal("PutPersonalData", V, "no data", lambda s: s.call("PutPersonalData", personal_data={})),
    Refusal(
        "PutPersonalData", V, "no request id", lambda s: s.call("PutPersonalData", request_id="")
    ),
    Refusal(
        "PutPersonalData", R.SCOPE_MISSING, "member", lambda s: s.call("PutPersonalData", WANG)
    ),
    Refusal(
        "GetPersonalData",
        R.PERSONAL_DATA_ERASED,
        "none is kept",
        lambda s: of(s, "GetPersonalData", "nameless"),
    ),
    Refusal(
        "GetPersonalData", MISSING, "another's", lambda s: of(s, "GetPersonalData", "chen", WANG)
    ),
    Refusal(
        "GetPersonalData", R.SCOPE_MISSING, "auditor", lambda s: s.call("GetPersonalData", AUDITOR)
    ),
    Refusal("GetMember", MISSING, "another's", lambda s: of(s, "GetMember", "chen", WANG)),
)
