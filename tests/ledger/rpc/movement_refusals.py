"""The refusals of PostEntry, Execute and BatchExecute, in their documented order."""

from typing import Any

from tests.ledger.rpc.scenes import (
    MEMBER_CALLER,
    SHOP_CALLER,
    USED_KEY,
    Refusal,
    Scene,
)
from tests.support.commands import (
    HOURS,
    OPENING,
    PAYMENT,
    POINTS,
    REDEMPTION,
    TIME,
    TRANSFER,
    command,
    later,
    new_id,
    post,
)
from tests.support.ledgers import SERVICE_CALLER
from timebank.errors import Reason as R
from timebank.ledger.v1 import command_pb2, entry_pb2


def posted(scene: Scene, movement: Any, **fields: Any) -> Any:
    """Posts a movement."""
    return scene.call("PostEntry", post=movement, **fields)


def paid(scene: Scene, debited: str, credited: str, amount: int, kind: int = TRANSFER) -> Any:
    """Posts TIME from one account to another."""
    movement = post(kind, scene.account(debited), scene.account(credited), amount, TIME)
    return posted(scene, movement)


def executed(scene: Scene, *messages: Any, **fields: Any) -> Any:
    """Executes a chain."""
    return scene.call("Execute", commands=[command(message) for message in messages], **fields)


def many(scene: Scene, count: int) -> Any:
    """Executes a chain of so many redemptions."""
    return executed(scene, *[scene.redemption()] * count)


def batch(scene: Scene, items: int, legs: int = 1, **fields: Any) -> Any:
    """Executes a batch of so many items, each with `legs` postings of which half are debits."""
    postings = [scene.leg("shop", 1)] * legs
    made = [command(command_pb2.PostCommand(kind=REDEMPTION, postings=postings))]
    item = command_pb2.BatchItem(request_id=new_id(), commands=made)
    return scene.call("BatchExecute", items=[item] * items, **fields)


POST = "PostEntry"
V = R.VALIDATION_FAILED
OTHER_LEDGER = "ledgers/other/accounts/" + "a" * 26
FACT = entry_pb2.ENTRY_KIND_ACCOUNT_OPENED
RECORD = entry_pb2.ENTRY_KIND_RECORD_POSTED

WRONG_BY_THEMSELVES: tuple[Refusal, ...] = (
    Refusal(POST, R.SCOPE_MISSING, "member", lambda s: posted(s, None, caller=MEMBER_CALLER)),
    Refusal(POST, R.SCOPE_MISSING, "merchant", lambda s: posted(s, None, caller=SHOP_CALLER)),
    Refusal(POST, V, "no parent", lambda s: posted(s, s.redemption(), parent="")),
    Refusal(POST, V, "bad parent", lambda s: posted(s, s.redemption(), parent="ledgers/W!")),
    Refusal(POST, V, "no movement", lambda s: posted(s, None)),
    Refusal(POST, V, "a fact", lambda s: posted(s, post(FACT, "", "", 1))),
    Refusal(POST, V, "unknown kind", lambda s: posted(s, post(99, "", "", 1))),
    Refusal(POST, V, "bad uuid", lambda s: posted(s, s.redemption(), request_id="1")),
    Refusal(POST, V, "no uuid", lambda s: posted(s, s.redemption(), request_id="")),
    Refusal(POST, V, "no postings", lambda s: posted(s, s.legs())),
    Refusal(POST, V, "one posting", lambda s: posted(s, s.legs(s.leg("shop", 1)))),
    Refusal(POST, V, "65 postings", lambda s: posted(s, s.legs(*[s.leg("shop", 1)] * 65))),
    Refusal(POST, V, "zero", lambda s: posted(s, s.redemption(0))),
    Refusal(POST, V, "to itself", lambda s: posted(s, s.legs(s.leg("bob", -1), s.leg("bob", 1)))),
    Refusal(POST, V, "no unit", lambda s: posted(s, s.redemption(unit=0))),
    Refusal(POST, V, "unknown unit", lambda s: posted(s, s.redemption(unit=9))),
    Refusal(POST, V, "bad account", lambda s: posted(s, post(REDEMPTION, "accounts/a", "b", 1))),
    Refusal(
        POST,
        V,
        "an account of another ledger",
        lambda s: posted(s, post(REDEMPTION, s.account("alice"), OTHER_LEDGER, 1)),
    ),
    Refusal(POST, V, "long key", lambda s: posted(s, s.redemption(natural_key="k" * 129))),
    Refusal(POST, V, "long cause", lambda s: posted(s, s.redemption(cause="k" * 129))),
    Refusal(POST, V, "control character", lambda s: posted(s, s.redemption(cause="a\nb"))),
    Refusal(POST, V, "long version", lambda s: posted(s, s.redemption(policy_version="v" * 65))),
    Refusal(POST, V, "long memo", lambda s: posted(s, s.redemption(memo="m" * 2001))),
    Refusal(POST, V, "NUL in memo", lambda s: posted(s, s.redemption(memo="a\0"))),
    Refusal(
        POST,
        V,
        "a debit that expires",
        lambda s: posted(s, s.legs(s.leg("alice", -1, POINTS, later(days=9)), s.leg("shop", 1))),
    ),
    Refusal(POST, V, "a credit without lots", lambda s: posted(s, s.redemption(expires=later()))),
    Refusal(
        POST, V, "in the future", lambda s: posted(s, s.redemption(effective_time=later(days=9)))
    ),
    Refusal(
        POST,
        R.AMOUNT_OVERFLOW,
        "the lowest of 64 bits",
        lambda s: posted(s, s.legs(s.leg("alice", -(2**63)), s.leg("shop", 1))),
    ),
    Refusal(
        POST,
        R.UNBALANCED_ENTRY,
        "one short",
        lambda s: posted(s, s.legs(s.leg("alice", -2), s.leg("shop", 1))),
    ),
    Refusal(
        POST,
        R.UNBALANCED_ENTRY,
        "balanced only across units",
        lambda s: posted(s, s.legs(s.leg("alice", -1), s.leg("bob-time", 1, TIME))),
    ),
)
DECLINED: tuple[Refusal, ...] = (
    Refusal(
        POST,
        R.LEDGER_NOT_FOUND,
        "unknown ledger",
        lambda s: posted(
            s,
            post(REDEMPTION, OTHER_LEDGER, "ledgers/other/accounts/b", 1),
            parent="ledgers/other",
        ),
    ),
    Refusal(
        POST,
        R.REQUEST_ID_REUSED,
        "other content",
        lambda s: posted(s, s.redemption(3), request_id=s.used_id),
    ),
    Refusal(
        POST, R.ENTRY_EXISTS, "key", lambda s: posted(s, s.redemption(4, natural_key=USED_KEY))
    ),
    Refusal(
        POST,
        R.OPENING_CLOSED,
        "an opening balance",
        lambda s: posted(s, post(OPENING, s.account("issuance"), s.account("bob"), 1)),
    ),
    Refusal(
        POST,
        R.MOVEMENT_NOT_ALLOWED,
        "an opening balance by a service",
        lambda s: posted(
            s,
            post(OPENING, s.account("issuance"), s.account("bob"), 1),
            caller=SERVICE_CALLER,
        ),
    ),
    Refusal(
        POST,
        R.MOVEMENT_NOT_ALLOWED,
        "a record",
        lambda s: posted(s, post(RECORD, s.account("issuance"), s.account("bob"), 1)),
    ),
    Refusal(
        POST,
        R.ACCOUNT_NOT_FOUND,
        "unknown payer",
        lambda s: posted(s, post(REDEMPTION, s.account("unknown"), s.account("shop"), 1)),
    ),
    Refusal(
        POST,
        R.ACCOUNT_NOT_FOUND,
        "unknown payee",
        lambda s: posted(s, post(REDEMPTION, s.account("alice"), s.account("unknown"), 1)),
    ),
    Refusal(
        POST, R.MOVEMENT_NOT_ALLOWED, "wrong unit", lambda s: posted(s, s.redemption(1, unit=TIME))
    ),
    Refusal(
        POST, R.MOVEMENT_NOT_ALLOWED, "HOURS", lambda s: posted(s, s.redemption(1, unit=HOURS))
    ),
    Refusal(
        POST,
        R.MOVEMENT_NOT_ALLOWED,
        "POINTS between members",
        lambda s: posted(s, post(TRANSFER, s.account("alice"), s.account("bob"), 1)),
    ),
    Refusal(
        POST,
        R.ACCOUNT_CLOSED,
        "closed payee",
        lambda s: posted(s, post(REDEMPTION, s.account("alice"), s.account("closed-shop"), 1)),
    ),
    Refusal(
        POST,
        R.ACCOUNT_CLOSED,
        "closed payer",
        lambda s: posted(s, post(REDEMPTION, s.account("closed"), s.account("shop"), 1)),
    ),
    Refusal(
        POST,
        R.ACCOUNT_FROZEN,
        "frozen payer",
        lambda s: posted(s, post(REDEMPTION, s.account("frozen"), s.account("shop"), 1)),
    ),
    Refusal(POST, R.LIMIT_EXCEEDED, "one too many", lambda s: paid(s, "alice-time", "capped", 6)),
    Refusal(POST, R.AMOUNT_OVERFLOW, "64 bits", lambda s: paid(s, "debtor", "full", 1_000)),
    Refusal(POST, R.INSUFFICIENT_BALANCE, "nothing", lambda s: paid(s, "bob-time", "capped", 1)),
    Refusal(
        POST,
        R.INSUFFICIENT_BALANCE,
        "what is held cannot be spent",
        lambda s: paid(s, "alice-time", "bob-time", 581, PAYMENT),
    ),
)
CHAINS: tuple[Refusal, ...] = (
    Refusal("Execute", R.SCOPE_MISSING, "member", lambda s: executed(s, caller=MEMBER_CALLER)),
    Refusal("Execute", V, "no commands", lambda s: executed(s)),
    Refusal(
        "Execute", V, "empty command", lambda s: s.call("Execute", commands=[command_pb2.Command()])
    ),
    Refusal("Execute", V, "bad uuid", lambda s: executed(s, s.redemption(), request_id="x")),
    Refusal("Execute", V, "bad parent", lambda s: executed(s, s.redemption(), parent="weihai")),
    Refusal("Execute", R.BATCH_TOO_LARGE, "65 commands", lambda s: many(s, 65)),
    Refusal(
        "Execute",
        R.LINKED_ITEM_FAILED,
        "the second fails",
        lambda s: executed(s, s.redemption(), s.redemption(10_000)),
    ),
    Refusal(
        "Execute",
        R.LINKED_ITEM_FAILED,
        "one key twice",
        lambda s: executed(s, *[s.redemption(1, natural_key="twice")] * 2),
    ),
    Refusal(
        "Execute",
        R.REQUEST_ID_REUSED,
        "other content",
        lambda s: executed(s, s.redemption(), s.redemption(), request_id=s.used_id),
    ),
    Refusal(
        "Execute",
        R.ENTRY_EXISTS,
        "key",
        lambda s: executed(s, s.redemption(), s.redemption(4, natural_key=USED_KEY)),
    ),
    Refusal("BatchExecute", R.SCOPE_MISSING, "member", lambda s: batch(s, 0, caller=MEMBER_CALLER)),
    Refusal("BatchExecute", V, "bad parent", lambda s: batch(s, 1, parent="x")),
    Refusal("BatchExecute", R.BATCH_TOO_LARGE, "no items", lambda s: batch(s, 0)),
    Refusal("BatchExecute", R.BATCH_TOO_LARGE, "8,001 items", lambda s: batch(s, 8_001)),
    Refusal(
        "BatchExecute", R.LEDGER_NOT_FOUND, "unknown", lambda s: batch(s, 1, parent="ledgers/none")
    ),
)
MOVEMENT_REFUSALS = (*WRONG_BY_THEMSELVES, *DECLINED, *CHAINS)
