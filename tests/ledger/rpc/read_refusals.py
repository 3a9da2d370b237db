"""The refusals of reads and proofs, in their documented order."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.ledger.rpc.scenes import MEMBER_CALLER, SHOP_CALLER, UNKNOWN_ID, Refusal, Scene
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason as R

V = R.VALIDATION_FAILED
OFFICER = Principal(PrincipalKind.OFFICER, "o")
TERMINAL = Principal(PrincipalKind.TERMINAL, "till-1")
PLATFORM = Principal(PrincipalKind.CREDIT_PLATFORM, "p")
ELSEWHERE = Principal(PrincipalKind.SERVICE, "merchant", ledgers=frozenset({"rongcheng"}))
HOLDER = Principal(PrincipalKind.MEMBER, "bob")
BAD_TOKENS = ("AAAA", "not base64 !", "A" * 2_000)


async def first_event(stream: Any) -> Any:
    """Asks for the first message of a stream."""
    async for message in stream:
        return message
    return None


def watched(scene: Scene, **fields: Any) -> Any:
    """Watches the log until the first message."""
    return first_event(scene.call("WatchEntries", **fields))


def _named(method: str, field: str, word: str) -> tuple[Refusal, ...]:
    """The refusals of a read of one account or hold, which hide what is not the caller's."""
    missing = R.HOLD_NOT_FOUND if word == "live" else R.ACCOUNT_NOT_FOUND
    kind = "holds" if word == "live" else "accounts"

    def name(scene: Scene) -> str:
        return scene.a_hold(word) if word == "live" else scene.account(word)

    def read(scene: Scene, value: str, caller: Principal | None = None) -> Any:
        return scene.call(method, caller=caller, **{field: value})

    return (
        Refusal(method, R.SCOPE_MISSING, "platform", lambda s: read(s, "x", PLATFORM)),
        Refusal(method, V, "no name", lambda s: read(s, "")),
        Refusal(method, V, "wrong collection", lambda s: read(s, "ledgers/weihai/x/a")),
        Refusal(method, V, "a slash more", lambda s: read(s, name(s) + "/a")),
        Refusal(method, V, "not an id", lambda s: read(s, f"{s.parent}/{kind}/A%27")),
        Refusal(
            method, R.LEDGER_NOT_FOUND, "unknown ledger", lambda s: read(s, f"ledgers/no/{kind}/a")
        ),
        Refusal(method, R.LEDGER_NOT_FOUND, "other ledgers", lambda s: read(s, name(s), ELSEWHERE)),
        Refusal(method, missing, "unknown", lambda s: read(s, f"{s.parent}/{kind}/{UNKNOWN_ID}")),
        Refusal(method, missing, "another's, to a member", lambda s: read(s, name(s), HOLDER)),
        Refusal(method, missing, "another's, to a shop", lambda s: read(s, name(s), SHOP_CALLER)),
        Refusal(method, missing, "another's, to a till", lambda s: read(s, name(s), TERMINAL)),
    )


def _paged(method: str, **fields: str) -> tuple[Refusal, ...]:
    """The refusals of pages."""

    def listed(scene: Scene, **values: Any) -> Any:
        named = {key: scene.account(word) for key, word in fields.items()}
        return scene.call(method, **(named | values))

    def tokened(token: str) -> Any:
        return lambda s: listed(s, page_token=token)

    return (
        Refusal(method, R.SCOPE_MISSING, "platform", lambda s: listed(s, caller=PLATFORM)),
        Refusal(method, V, "negative page", lambda s: listed(s, page_size=-1)),
        Refusal(method, V, "bad parent", lambda s: listed(s, parent="weihai")),
        *(
            Refusal(method, R.PAGE_TOKEN_MISMATCH, token[:9], tokened(token))
            for token in BAD_TOKENS
        ),
    )


def entries_of(scene: Scene, word: str, **fields: Any) -> Any:
    """Lists the entries of an account."""
    return scene.call("ListEntries", account=scene.account(word), **fields)


ACCOUNT_READS: tuple[Refusal, ...] = (
    *_named("GetAccount", "name", "alice"),
    *_named("GetBalance", "name", "alice"),
    *_named("GetHold", "name", "live"),
    *_named("ListLots", "parent", "alice"),
    *_paged("ListAccounts"),
    *_paged("ListLots", parent="alice"),
    *_paged("ListEntries"),
    Refusal(
        "ListAccounts",
        R.LEDGER_NOT_FOUND,
        "unknown",
        lambda s: s.call("ListAccounts", parent="ledgers/no"),
    ),
    Refusal(
        "GetBalance",
        V,
        "negative size",
        lambda s: s.call("GetBalance", name=s.account("alice"), as_of_log_size=-1),
    ),
    Refusal(
        "GetBalance",
        V,
        "before 1970",
        lambda s: s.call(
            "GetBalance", name=s.account("alice"), as_of_recorded_time=Timestamp(seconds=-1)
        ),
    ),
    Refusal(
        "GetBalance",
        V,
        "the epoch",
        lambda s: s.call("GetBalance", name=s.account("alice"), as_of_effective_time=Timestamp()),
    ),
    Refusal(
        "BatchGetAccounts",
        R.SCOPE_MISSING,
        "platform",
        lambda s: s.call("BatchGetAccounts", caller=PLATFORM),
    ),
    Refusal("BatchGetAccounts", V, "bad name", lambda s: s.call("BatchGetAccounts", names=["a"])),
    Refusal(
        "BatchGetAccounts",
        V,
        "another ledger's",
        lambda s: s.call("BatchGetAccounts", names=["ledgers/other/accounts/a"]),
    ),
    Refusal("BatchGetAccounts", R.BATCH_TOO_LARGE, "none", lambda s: s.call("BatchGetAccounts")),
    Refusal(
        "BatchGetAccounts",
        R.BATCH_TOO_LARGE,
        "1,001",
        lambda s: s.call("BatchGetAccounts", names=[s.account("alice")] * 1_001),
    ),
    Refusal(
        "BatchGetAccounts",
        R.ACCOUNT_NOT_FOUND,
        "one unknown",
        lambda s: s.call("BatchGetAccounts", names=[s.account("alice"), s.account("unknown")]),
    ),
    Refusal(
        "BatchGetAccounts",
        R.ACCOUNT_NOT_FOUND,
        "one of another",
        lambda s: s.call(
            "BatchGetAccounts", names=[s.account("alice"), s.account("bob")], caller=HOLDER
        ),
    ),
)
ENTRY_READS: tuple[Refusal, ...] = (
    Refusal("GetEntry", R.SCOPE_MISSING, "platform", lambda s: s.call("GetEntry", caller=PLATFORM)),
    Refusal("GetEntry", V, "no index", lambda s: s.call("GetEntry", name=f"{s.parent}/entries/a")),
    Refusal(
        "GetEntry", V, "a raised index", lambda s: s.call("GetEntry", name=f"{s.parent}/entries/¹")
    ),
    Refusal(
        "GetEntry",
        R.ENTRY_NOT_FOUND,
        "beyond the log",
        lambda s: s.call("GetEntry", name=s.an_entry("unknown")),
    ),
    Refusal(
        "GetEntry",
        R.ENTRY_NOT_FOUND,
        "of others",
        lambda s: s.call("GetEntry", name=s.an_entry("redemption"), caller=HOLDER),
    ),
    Refusal(
        "GetEntry",
        R.ENTRY_NOT_FOUND,
        "of nobody",
        lambda s: s.call("GetEntry", name=s.an_entry("fact"), caller=MEMBER_CALLER),
    ),
    Refusal(
        "ListEntries",
        V,
        "another ledger's account",
        lambda s: s.call("ListEntries", account="ledgers/other/accounts/a"),
    ),
    Refusal(
        "ListEntries",
        V,
        "before 1970",
        lambda s: s.call("ListEntries", start_time=Timestamp(seconds=-5)),
    ),
    Refusal(
        "ListEntries",
        R.LEDGER_NOT_FOUND,
        "unknown",
        lambda s: s.call("ListEntries", parent="ledgers/no"),
    ),
    Refusal("ListEntries", R.ACCOUNT_NOT_FOUND, "unknown", lambda s: entries_of(s, "unknown")),
    Refusal(
        "ListEntries",
        R.ACCOUNT_NOT_FOUND,
        "another's",
        lambda s: entries_of(s, "alice", caller=HOLDER),
    ),
    Refusal(
        "ListEntries",
        R.SCOPE_MISSING,
        "across accounts to a member",
        lambda s: s.call("ListEntries", caller=MEMBER_CALLER),
    ),
    Refusal(
        "ListEntries",
        R.SCOPE_MISSING,
        "across accounts to an officer",
        lambda s: s.call("ListEntries", caller=OFFICER),
    ),
    Refusal("WatchEntries", R.SCOPE_MISSING, "member", lambda s: watched(s, caller=MEMBER_CALLER)),
    Refusal("WatchEntries", R.SCOPE_MISSING, "officer", lambda s: watched(s, caller=OFFICER)),
    Refusal("WatchEntries", V, "negative index", lambda s: watched(s, start_index=-1)),
    Refusal(
        "WatchEntries",
        V,
        "short silence",
        lambda s: watched(s, heartbeat=Duration(nanos=999_999_999)),
    ),
    Refusal(
        "WatchEntries", V, "long silence", lambda s: watched(s, heartbeat=Duration(seconds=61))
    ),
    Refusal("WatchEntries", V, "bad parent", lambda s: watched(s, parent="x")),
    Refusal(
        "WatchEntries", R.LEDGER_NOT_FOUND, "unknown", lambda s: watched(s, parent="ledgers/no")
    ),
)
INCLUSION, CONSISTENCY = "GetInclusionProof", "GetConsistencyProof"
PROOFS: tuple[Refusal, ...] = (
    Refusal("GetCheckpoint", V, "bad parent", lambda s: s.call("GetCheckpoint", parent="x")),
    Refusal(
        "GetCheckpoint",
        R.LEDGER_NOT_FOUND,
        "unknown",
        lambda s: s.call("GetCheckpoint", parent="ledgers/no"),
    ),
    *(
        row
        for method, wrong in (
            (INCLUSION, ({"index": -1}, {"index": 9_999}, {"index": 5, "tree_size": 5})),
            (INCLUSION, ({"index": 0, "tree_size": 9_999}, {"index": 0, "tree_size": -1})),
            (CONSISTENCY, ({"first_size": 0}, {"first_size": -1}, {"first_size": 9_999})),
            (
                CONSISTENCY,
                ({"first_size": 5, "second_size": 4}, {"first_size": 1, "second_size": -1}),
            ),
        )
        for values in wrong
        for row in [
            Refusal(method, V, str(values), lambda s, m=method, v=values: s.call(m, **v)),  # type: ignore[misc]  # a lambda with defaults
        ]
    ),
    Refusal(
        INCLUSION, R.LEDGER_NOT_FOUND, "unknown", lambda s: s.call(INCLUSION, parent="ledgers/no")
    ),
    Refusal(
        CONSISTENCY,
        R.LEDGER_NOT_FOUND,
        "unknown",
        lambda s: s.call(CONSISTENCY, parent="ledgers/no", first_size=1),
    ),
    Refusal(
        "GetReceipt", R.SCOPE_MISSING, "platform", lambda s: s.call("GetReceipt", caller=PLATFORM)
    ),
    Refusal("GetReceipt", V, "bad name", lambda s: s.call("GetReceipt", name="entries/1")),
    Refusal(
        "GetReceipt",
        R.ENTRY_NOT_FOUND,
        "beyond the log",
        lambda s: s.call("GetReceipt", name=s.an_entry("unknown")),
    ),
    Refusal(
        "GetReceipt",
        R.ENTRY_NOT_FOUND,
        "of others",
        lambda s: s.call("GetReceipt", name=s.an_entry("redemption"), caller=HOLDER),
    ),
)
READ_REFUSALS = (*ACCOUNT_READS, *ENTRY_READS, *PROOFS)
