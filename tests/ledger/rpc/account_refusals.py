"""The refusals of ledgers and accounts, in their documented order."""

from typing import Any

from tests.ledger.rpc.scenes import MEMBER_CALLER, USED_KEY, Refusal, Scene
from tests.support.commands import (
    CLEARING,
    FUND,
    HOURS,
    ISSUANCE,
    POINTS,
    TIME,
    opening,
)
from tests.support.ledgers import SERVICE_CALLER
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason as R
from timebank.ledger.v1 import ledger_pb2

V = R.VALIDATION_FAILED
ELSEWHERE = Principal(PrincipalKind.OPERATOR, "op", ledgers=frozenset({"rongcheng"}))
CREATE, OPEN, LIMITS = "CreateLedger", "CreateAccount", "SetAccountLimits"
ROTATE, CLOSE_OPENING = "RotateSigningKey", "CloseOpening"


def created(scene: Scene, ledger_id: str = "other", **fields: Any) -> Any:
    """Creates a ledger."""
    values = {"display_name": "a", "time_zone": "UTC", "log_origin": "timebank.example/none"}
    return scene.call(CREATE, ledger_id=ledger_id, ledger=ledger_pb2.Ledger(**(values | fields)))


def opened(scene: Scene, holder: str = "new", unit: int = POINTS, **fields: Any) -> Any:
    """Opens an account."""
    return scene.call(OPEN, open_account=opening(holder, unit, **fields))


def changed(scene: Scene, method: str, word: str, **fields: Any) -> Any:
    """Changes an account."""
    return scene.call(method, **({"name": scene.account(word)} | fields))


LEDGER_REFUSALS: tuple[Refusal, ...] = (
    Refusal(CREATE, R.SCOPE_MISSING, "service", lambda s: s.call(CREATE, caller=SERVICE_CALLER)),
    Refusal(CREATE, V, "short id", lambda s: created(s, "a")),
    Refusal(CREATE, V, "long id", lambda s: created(s, "a" * 41)),
    Refusal(CREATE, V, "capital", lambda s: created(s, "Weihai")),
    Refusal(CREATE, V, "no name", lambda s: created(s, display_name="")),
    Refusal(CREATE, V, "long name", lambda s: created(s, display_name="a" * 201)),
    Refusal(CREATE, V, "no such zone", lambda s: created(s, time_zone="Asia/Weihai")),
    Refusal(CREATE, V, "a file as zone", lambda s: created(s, time_zone="../../etc/passwd")),
    Refusal(CREATE, V, "a plus in the origin", lambda s: created(s, log_origin="a+b")),
    Refusal(CREATE, V, "no origin", lambda s: created(s, log_origin="")),
    Refusal(CREATE, R.LEDGER_EXISTS, "the same id", lambda s: created(s, "weihai")),
    Refusal(CREATE, R.SIGNING_KEY_MISSING, "no key", lambda s: created(s)),
    Refusal(
        CREATE,
        R.REQUEST_ID_REUSED,
        "a request id of a posting",
        lambda s: s.call(
            CREATE,
            request_id=s.used_id,
            ledger_id="weihai",
            ledger=ledger_pb2.Ledger(display_name="a", time_zone="UTC", log_origin="o"),
        ),
    ),
    Refusal(
        "GetLedger", R.LEDGER_NOT_FOUND, "unknown", lambda s: s.call("GetLedger", name="ledgers/no")
    ),
    Refusal(
        "GetLedger",
        R.LEDGER_NOT_FOUND,
        "of others",
        lambda s: s.call("GetLedger", name=s.parent, caller=ELSEWHERE),
    ),
    Refusal("GetLedger", V, "bad name", lambda s: s.call("GetLedger", name="weihai")),
    Refusal("ListLedgers", V, "negative page", lambda s: s.call("ListLedgers", page_size=-1)),
    Refusal(
        "ListLedgers",
        R.PAGE_TOKEN_MISMATCH,
        "no token",
        lambda s: s.call("ListLedgers", page_token="AAAA"),
    ),
    Refusal(
        CLOSE_OPENING,
        R.SCOPE_MISSING,
        "service",
        lambda s: s.call(CLOSE_OPENING, name=s.parent, caller=SERVICE_CALLER),
    ),
    Refusal(CLOSE_OPENING, V, "bad name", lambda s: s.call(CLOSE_OPENING, name="x")),
    Refusal(
        CLOSE_OPENING,
        R.LEDGER_NOT_FOUND,
        "of others",
        lambda s: s.call(CLOSE_OPENING, name=s.parent, caller=ELSEWHERE),
    ),
    Refusal(
        CLOSE_OPENING,
        R.REQUEST_ID_REUSED,
        "of a posting",
        lambda s: s.call(CLOSE_OPENING, name=s.parent, request_id=s.used_id),
    ),
    Refusal(
        CLOSE_OPENING, R.OPENING_CLOSED, "twice", lambda s: s.call(CLOSE_OPENING, name=s.parent)
    ),
    Refusal(ROTATE, R.SCOPE_MISSING, "service", lambda s: s.call(ROTATE, caller=SERVICE_CALLER)),
    Refusal(ROTATE, R.LEDGER_NOT_FOUND, "unknown", lambda s: s.call(ROTATE, name="ledgers/no")),
    Refusal(ROTATE, V, "no key", lambda s: s.call(ROTATE, name=s.parent)),
    Refusal(
        ROTATE,
        V,
        "the key that signs now",
        lambda s: s.call(ROTATE, name=s.parent, verifier_key=s.world.verifier_key),
    ),
    Refusal(
        ROTATE,
        R.SIGNING_KEY_MISSING,
        "the key of another log",
        lambda s: s.call(ROTATE, name=s.parent, verifier_key=FOREIGN_KEY),
    ),
    Refusal(
        ROTATE,
        R.REQUEST_ID_REUSED,
        "of a posting",
        lambda s: s.call(
            ROTATE, name=s.parent, verifier_key=s.world.verifier_key, request_id=s.used_id
        ),
    ),
)
FOREIGN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
"""The example key of Go's sumdb/note."""

OPEN_REFUSALS: tuple[Refusal, ...] = (
    Refusal(OPEN, R.SCOPE_MISSING, "member", lambda s: s.call(OPEN, caller=MEMBER_CALLER)),
    Refusal(OPEN, V, "nothing", lambda s: s.call(OPEN)),
    Refusal(OPEN, V, "no holder", lambda s: opened(s, "")),
    Refusal(OPEN, V, "long holder", lambda s: opened(s, "h" * 65)),
    Refusal(OPEN, V, "a name as holder", lambda s: opened(s, "王芳")),
    Refusal(OPEN, V, "no unit", lambda s: opened(s, unit=0)),
    Refusal(OPEN, V, "no kind", lambda s: opened(s, kind=0)),
    Refusal(OPEN, V, "another issuance", lambda s: opened(s, kind=ISSUANCE)),
    Refusal(OPEN, V, "another clearing", lambda s: opened(s, unit=FUND, kind=CLEARING)),
    Refusal(OPEN, V, "a clearing of TIME", lambda s: opened(s, unit=TIME, kind=CLEARING)),
    Refusal(OPEN, V, "a minimum above 0", lambda s: opened(s, unit=TIME, min_balance=1)),
    Refusal(OPEN, V, "POINTS below 0", lambda s: opened(s, min_balance=-1)),
    Refusal(OPEN, V, "HOURS below 0", lambda s: opened(s, unit=HOURS, min_balance=-1)),
    Refusal(OPEN, V, "a maximum below 0", lambda s: opened(s, max_balance=-1)),
    Refusal(OPEN, V, "a debt below 0", lambda s: opened(s, debt_limit=-1)),
    Refusal(OPEN, V, "long key", lambda s: opened(s, natural_key="k" * 129)),
    Refusal(
        OPEN,
        R.LEDGER_NOT_FOUND,
        "unknown",
        lambda s: s.call(OPEN, parent="ledgers/no", open_account=opening("new")),
    ),
    Refusal(
        OPEN,
        R.REQUEST_ID_REUSED,
        "of a posting",
        lambda s: s.call(OPEN, request_id=s.used_id, open_account=opening("new")),
    ),
    Refusal(OPEN, R.ACCOUNT_EXISTS, "key", lambda s: opened(s, "other", natural_key=USED_KEY)),
)


def _changes(method: str) -> tuple[Refusal, ...]:
    """The refusals that every change of an account has."""
    return (
        Refusal(method, R.SCOPE_MISSING, "caller", lambda s: s.call(method, caller=MEMBER_CALLER)),
        Refusal(method, V, "bad name", lambda s: s.call(method, name="accounts/a")),
        Refusal(method, V, "bad etag", lambda s: changed(s, method, "bob", etag="x")),
        Refusal(method, V, "long etag", lambda s: changed(s, method, "bob", etag="9" * 19)),
        Refusal(method, V, "bad uuid", lambda s: changed(s, method, "bob", request_id="x")),
        Refusal(
            method,
            R.REQUEST_ID_REUSED,
            "of a posting",
            lambda s: changed(s, method, "unknown", request_id=s.used_id),
        ),
        Refusal(method, R.ACCOUNT_NOT_FOUND, "unknown", lambda s: changed(s, method, "unknown")),
        Refusal(
            method, R.ETAG_MISMATCH, "stale", lambda s: changed(s, method, "bob", etag=s.stale_etag)
        ),
        Refusal(
            method,
            R.ETAG_MISMATCH,
            "stale and closed",
            lambda s: changed(s, method, "closed", etag="1"),
        ),
        Refusal(method, R.ACCOUNT_CLOSED, "closed", lambda s: changed(s, method, "closed")),
    )


CHANGE_REFUSALS: tuple[Refusal, ...] = (
    *_changes("FreezeAccount"),
    *_changes("UnfreezeAccount"),
    *_changes("CloseAccount"),
    *_changes(LIMITS),
    Refusal(
        "FreezeAccount", R.ACCOUNT_FROZEN, "twice", lambda s: changed(s, "FreezeAccount", "frozen")
    ),
    Refusal(
        "UnfreezeAccount",
        R.ACCOUNT_NOT_FROZEN,
        "active",
        lambda s: changed(s, "UnfreezeAccount", "alice"),
    ),
    Refusal(
        "CloseAccount",
        R.ACCOUNT_NOT_EMPTY,
        "a balance",
        lambda s: changed(s, "CloseAccount", "bob"),
    ),
    Refusal(LIMITS, V, "a member without minimum", lambda s: changed(s, LIMITS, "alice-time")),
    Refusal(LIMITS, V, "POINTS below 0", lambda s: changed(s, LIMITS, "alice", min_balance=-1)),
    Refusal(
        LIMITS, V, "a minimum above 0", lambda s: changed(s, LIMITS, "alice-time", min_balance=1)
    ),
    Refusal(LIMITS, V, "a maximum below 0", lambda s: changed(s, LIMITS, "shop", max_balance=-1)),
    Refusal(LIMITS, V, "a debt below 0", lambda s: changed(s, LIMITS, "shop", debt_limit=-1)),
)
ACCOUNT_REFUSALS = (*LEDGER_REFUSALS, *OPEN_REFUSALS, *CHANGE_REFUSALS)
