"""Requests of random messages: every rpc answers or refuses, and none fails inside."""

from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from hypothesis import strategies as st

from tests.ledger.hours.refusals import (
    AUDITOR,
    ELDER,
    MERCHANT,
    PLATFORM,
    VALID,
    WANG,
    Scene,
    build_scene,
)
from tests.ledger.hours.requests import request_class, request_of, send
from tests.support.commands import START_US
from tests.support.hours import MATCHING, OFFICER, OPERATOR, SECOND, STRANGER, HoursWorld
from tests.support.random_messages import RandomMessages, drawn, put_together

EXAMPLES = 600
CALLERS = (
    *(OPERATOR, OPERATOR, OPERATOR, OPERATOR, MATCHING, MATCHING, OFFICER, SECOND),
    *(STRANGER, WANG, WANG, ELDER, AUDITOR, PLATFORM, MERCHANT),
)
WORDS = (
    *("wang", "li-elder", "chen", "twin", "dead", "gone", "idle", "busy", "nameless", "stranger"),
    *("posted", "claimed", "disputed", "voided", "drawn", "shown", "dated", "r-new", "new-one"),
)
TEXTS = (
    *("", "x", "weihai", "ledgers/weihai", "ledgers/none", "2026-02-20", "SPOUSE", "PEER"),
    *(
        "COMMUNITY",
        "TIME",
        "POINTS",
        "huancui",
        "huancui/12dong",
        "zhao",
        "li",
        "送药",
        "\0",
        "a|b",
    ),
    *("TEAM_LEAD", "publish_name", "adult_time", "{}", '{"policy_id": "x"}', "😀", "\u202e"),
)
SECONDS = st.integers(START_US // 1_000_000 - 90 * 86_400, START_US // 1_000_000 + 86_400)


def names(ledger: str = "ledgers/weihai") -> tuple[str, ...]:
    """Names of what the scene has."""
    found = [f"{ledger}/{kind}/{word}" for kind in ("members", "records") for word in WORDS]
    return (*found, f"{ledger}/policies/test@1", f"{ledger}/policies/test@5", f"{ledger}/members/x")


TEXT = st.sampled_from((*TEXTS, *names(), *names(), *WORDS)) | st.text(max_size=12)
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "request_id": st.uuids(version=4).map(str),
    "parent": st.sampled_from(("ledgers/weihai", "ledgers/weihai", "ledgers/weihai/members/wang")),
    "name": st.sampled_from(names()) | TEXT,
    "record_id": st.sampled_from(WORDS) | TEXT,
    "volunteer": st.sampled_from(names()[: len(WORDS)]) | TEXT,
    "organizer": st.just("community") | TEXT,
    "evidence": st.integers(0, 6),
    "page_token": st.just("") | TEXT,
}
"""Fields whose plain values would hardly ever get past the first check."""


MESSAGES = RandomMessages(text=TEXT, seconds=SECONDS, by_name=BY_NAME)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any], bool]:
    """A method, fields of its request, and whether the rest of them are those of a good one."""
    method = draw(st.sampled_from(sorted(VALID)))
    return (
        method,
        draw(MESSAGES.few_of(request_class(method).DESCRIPTOR)),
        draw(st.integers(0, 3)) > 0,
    )


async def code_of(scene: Scene, method: str, request: Message, caller: Any) -> grpc.StatusCode:
    """Sends a request and gives the status of the answer."""
    try:
        await send(scene, method, request, caller)
    except grpc.aio.AioRpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


async def test_random_requests_are_answered_or_refused(bare: HoursWorld) -> None:
    scene, codes = await build_scene(bare), set()
    calls = drawn(st.tuples(requests(), st.sampled_from(CALLERS)), EXAMPLES)
    for (method, values, near), caller in calls:
        request = put_together(request_of(scene, method), values, near=near)
        code = await code_of(scene, method, request, caller)
        codes.add(code)
        assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (method, request)
    assert len(codes) >= 5
