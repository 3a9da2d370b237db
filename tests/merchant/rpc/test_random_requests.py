"""Requests of random messages: every rpc of the merchant service answers or refuses, none fails
inside, and a refusal changes nothing.
"""

import pathlib
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from hypothesis import strategies as st

from merchant.domain.states import DocumentKind as K
from tests.merchant.rpc.requests import METHODS, request_class
from tests.merchant.rpc.sale_refusals import RELEASED
from tests.merchant.rpc.scene_sales import scene_world
from tests.merchant.rpc.scenes import (
    FIRST_TILL,
    OFFICER,
    OTHER_PIN,
    PIN,
    SECOND,
    SHOPKEEPER,
    WANG,
    Scene,
    budget,
    member,
    merchant,
    offer,
    terminal,
)
from tests.merchant.rpc.test_refusals import FAULTS, changed
from tests.merchant.till_world import LEDGER, OPERATOR
from tests.support.cheap_pins import hash_cheaply
from tests.support.commands import START_US
from tests.support.random_messages import RandomMessages, drawn, put_together
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason as R
from timebank.errors import from_rpc_error

EXAMPLES = 500
CODES_SEEN_MIN = 6
GATEWAY = Principal(PrincipalKind.SERVICE, "gateway")
AUDITOR = Principal(PrincipalKind.AUDITOR, "a")
CALLERS = (
    *(OPERATOR,) * 8,
    *(SECOND, GATEWAY, GATEWAY, SHOPKEEPER, SHOPKEEPER, FIRST_TILL, WANG, OFFICER, AUDITOR),
)
OWN = ("shop", "t1", "coffee", "b", "wang", "new", "none", "2026-03-01-1", "-")
TEXTS = (
    *(
        "",
        "x",
        LEDGER,
        "ledgers/none",
        "2026-03-01",
        "2026-03-02",
        "9999-12-31",
        "op-1",
        "\0",
        "😀",
    ),
    *(merchant("shop"), merchant("barber"), merchant("-"), terminal("t1"), terminal("lost")),
    *(offer("coffee"), offer("free"), offer("dear"), offer("none-left"), budget("b"), "\u202e"),
    *(
        member("wang"),
        member("chen"),
        member("thin"),
        member("locked"),
        PIN,
        OTHER_PIN,
        "officer/li",
    ),
)
SECONDS = st.integers(START_US // 1_000_000 - 90 * 86_400, START_US // 1_000_000 + 90 * 86_400)
SMALL = st.sampled_from((0, 1, 1, 2, 3, 10, 10, 11, 300, 1_000_000, -1, 2**31 - 1))
TRIES = frozenset({K.TRIES, K.WALLET})
LEAVES: dict[R, frozenset[K]] = {
    **dict.fromkeys((R.PAYMENT_CODE_INVALID, R.VOUCHER_NOT_FOUND), TRIES),
    **dict.fromkeys((R.PIN_INVALID, R.PIN_LOCKED), TRIES),
    **dict.fromkeys(
        (R.INSUFFICIENT_BALANCE, R.ACCOUNT_FROZEN, R.ACCOUNT_CLOSED),
        RELEASED | {K.VOUCHER, K.SPENDING},
    ),
    R.FUND_EXHAUSTED: frozenset({K.BATCH}),
}
"""What refusals may write: a wrong try, or that the ledger declined."""


def messages(scene: Scene) -> RandomMessages:
    """Messages about what the scene has."""
    known = (*scene.names.values(), *scene.codes.values(), *scene.refs.values())
    text = st.sampled_from((*TEXTS, *OWN, *known)) | st.text(max_size=12)
    return RandomMessages(
        text=text,
        seconds=SECONDS,
        by_name={
            "request_id": st.just("") | st.just("") | st.uuids(version=4).map(str),
            "parent": st.sampled_from((LEDGER, merchant("shop"), merchant("shop"))),
            "name": st.sampled_from((*scene.names.values(), *TEXTS)) | text,
            "terminal": st.just(terminal("t1")) | text,
            "page_token": st.just("") | text,
            "quantity": SMALL,
            "amount": SMALL,
            "price_version": st.sampled_from((0, 1, 2)),
        },
    )


@st.composite
def requests(draw: st.DrawFn, drawn: RandomMessages) -> tuple[str, dict[str, Any], bool]:
    """A method, fields of its request, and whether the rest of them are those of a good one."""
    method = draw(st.sampled_from(sorted(METHODS)))
    values = draw(drawn.few_of(request_class(method).DESCRIPTOR))
    return method, values, draw(st.integers(0, 3)) > 0


async def refusal_of(
    scene: Scene, method: str, request: Message, caller: Principal
) -> tuple[grpc.StatusCode, R | None]:
    """Sends a request and gives the status of the answer, and the reason of a refusal."""
    try:
        await scene.send(method, request, caller)
    except grpc.aio.AioRpcError as error:
        return error.code(), from_rpc_error(error).reason
    return grpc.StatusCode.OK, None


async def test_random_requests_are_answered_or_refused(
    tmp_path: pathlib.Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_cheaply(monkeypatch)
    async with scene_world(tmp_path, sqlite_url, with_limits=False) as scene:
        calls = drawn(st.tuples(requests(messages(scene)), st.sampled_from(CALLERS)), EXAMPLES)
        codes, standing = set(), await scene.standing()
        for (method, values, near), caller in calls:
            request = put_together(scene.request(method), values, near=near)
            code, reason = await refusal_of(scene, method, request, caller)
            codes.add(code)
            assert code not in FAULTS, (method, request)
            after = await scene.standing()
            if reason is not None:
                leaves = LEAVES.get(reason, frozenset())
                assert not changed(standing, after, leaves), (method, reason, request)
            standing = after
    assert len(codes) >= CODES_SEEN_MIN
