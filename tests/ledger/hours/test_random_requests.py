"""Requests of random messages: every rpc answers or refuses, and none fails inside."""

from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
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

EXAMPLES = 600
FIELDS_MAX = 3
ITEMS_MAX = 3
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
NUMBERS = (0, 1, -1, 2, 5, 6, 10, 60, 99, 720, 1_440, 10**7, 2**31 - 1, -(2**31))
LARGE = (2**63 - 1, -(2**63), 2**53)
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


def value_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """A value of one field, near what it should be or far from it."""
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            seconds = SECONDS | st.sampled_from((0, -1, 1, 2**40, -(2**62)))
            return st.fixed_dictionaries({"seconds": seconds})
        return few_of(field.message_type)
    if field.name in BY_NAME:
        return BY_NAME[field.name]
    if field.type == FieldDescriptor.TYPE_STRING:
        return TEXT
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=8)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    large = LARGE if field.type == FieldDescriptor.TYPE_INT64 else ()
    return st.sampled_from((*NUMBERS, *large))


def few_of(message: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    """A few fields of a message, filled at random."""
    return st.lists(
        st.sampled_from(list(message.fields)), max_size=FIELDS_MAX, unique_by=_name_of
    ).flatmap(_filled)


def _name_of(field: FieldDescriptor) -> str:
    return str(field.name)


def _filled(fields: list[FieldDescriptor]) -> st.SearchStrategy[dict[str, Any]]:
    chosen = {}
    for field in fields:
        one = value_of(field)
        chosen[field.name] = st.lists(one, max_size=ITEMS_MAX) if field.is_repeated else one
    return st.fixed_dictionaries(chosen)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any], bool]:
    """A method, fields of its request, and whether the rest of them are those of a good one."""
    method = draw(st.sampled_from(sorted(VALID)))
    return method, draw(few_of(request_class(method).DESCRIPTOR)), draw(st.integers(0, 3)) > 0


def put_together(scene: Scene, method: str, values: dict[str, Any], *, near: bool) -> Message:
    """Makes a request; one that is near a good one has its other fields."""
    request: Message = request_class(method)(**values)
    if not near:
        return request
    good = request_of(scene, method)
    for field in request.DESCRIPTOR.fields:
        if field.is_repeated and field.name in values:
            good.ClearField(field.name)
    good.MergeFrom(request)
    return good


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
    calls = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(), st.sampled_from(CALLERS))
    def collect(found: tuple[str, dict[str, Any], bool], caller: Any) -> None:
        calls.append((found, caller))

    collect()
    for (method, values, near), caller in calls:
        request = put_together(scene, method, values, near=near)
        code = await code_of(scene, method, request, caller)
        codes.add(code)
        assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (method, request)
    assert len(codes) >= 5
