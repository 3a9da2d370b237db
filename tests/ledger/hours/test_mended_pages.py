"""Page tokens that no list gave: whoever reads how they are made can make one, so that every list
must take any position. Each test ends with an audit.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import pytest

from tests.ledger.hours.refusals import VALID, Scene, build_scene
from tests.ledger.hours.requests import request_class
from tests.support.hours import BASE_US, DAY_US, HoursWorld
from timebank.errors import STATUS_DETAILS_KEY, Reason, from_rpc_error
from timebank.ledger.v1 import ledger_service_pb2
from timebank.paging import page_token

POSITIONS = (
    *("\0", "a\0b", "5|\0"),
    *("abc", "-5", "-1", "9" * 18, "9" * 19, "9" * 30, "٣", "²", "1.5", "1e3", " 1", "1\n"),
    *("5|x", "5|", "|", "|x", "9|x", "x|x", "٣|x", "012345|x", "5|x|y"),
    *("王", "\u202e", "a' OR '1'='1", "%", "z" * 500),
)
Key = Callable[[Scene], tuple[object, ...]]
LISTS: dict[str, Key] = {
    "ListMembers": lambda s: ("members", "weihai", ""),
    "ListExpiryNotices": lambda s: ("notices", "weihai", 0),
    "ListRecords": lambda s: ("records", "weihai", "", 0, False),
    "ListPolicies": lambda s: ("policies", "weihai"),
    "ReplayPolicy": lambda s: ("replay", "weihai", s.a_policy("replayed").rsplit("/", 1)[1]),
    "ListStars": lambda s: ("stars", "weihai", 1),
    "ListCertificates": lambda s: ("certificates", "weihai", "wang"),
}
"""Lists of members and records, and what their tokens are tied to."""


async def outcome(call: Awaitable[Any]) -> str:
    """The reason of a refusal, `ok`, or the words of a call that failed otherwise."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if all(key != STATUS_DETAILS_KEY for key, _ in error.trailing_metadata() or ()):
            return f"{error.code()}: {error.details()}"
        return str(from_rpc_error(error).reason)
    return "ok"


async def unexpected(
    positions: tuple[str, ...], call: Callable[[str], Awaitable[Any]], arguments: tuple[object, ...]
) -> list[str]:
    """Calls a list with forged tokens and says which are answered otherwise than by a page or by
    PAGE_TOKEN_MISMATCH.
    """
    wrong = []
    for position in positions:
        said = await outcome(call(page_token(position, *arguments)))
        if said not in ("ok", Reason.PAGE_TOKEN_MISMATCH):
            wrong.append(f"{position[:20]!r}: {said}")
    return wrong


def test_every_list_of_members_and_records_is_tried() -> None:
    wanted = {m for m in VALID if "page_token" in request_class(m).DESCRIPTOR.fields_by_name}
    assert set(LISTS) == wanted


@pytest.mark.parametrize("method", LISTS)
async def test_a_forged_token_of_a_list_gives_a_page_or_is_no_token(
    bare: HoursWorld, method: str
) -> None:
    scene = await build_scene(bare)
    arguments, standing = LISTS[method](scene), await scene.standing()

    def call(token: str) -> Awaitable[Any]:
        found: Awaitable[Any] = scene.call(method, page_token=token)
        return found

    assert await unexpected(POSITIONS, call, arguments) == []
    assert await scene.standing() == standing


@pytest.mark.parametrize("method", LISTS)
async def test_the_table_ties_its_tokens_as_the_list_does(bare: HoursWorld, method: str) -> None:
    """A token tied otherwise would be refused for that, whatever its position."""
    scene = await build_scene(bare)
    good = {"ListStars": "1|wang", "ListMembers": "chen", "ReplayPolicy": "r"}.get(method, "1")
    token = page_token(good, *LISTS[method](scene))
    assert await outcome(scene.call(method, page_token=token)) == "ok"


async def test_a_forged_token_of_a_list_of_the_ledger_gives_a_page_or_is_no_token(
    city: HoursWorld,
) -> None:
    await city.submit(city.record("wang", start_us=BASE_US + DAY_US))
    member = await city.call("GetMember", name=city.member_name("wang"))
    stub, name = city.world.stub, city.name
    pb = ledger_service_pb2
    for list_, request, arguments in (
        (stub.ListLedgers, pb.ListLedgersRequest(), ("ledgers",)),
        (stub.ListAccounts, pb.ListAccountsRequest(parent=name), ("accounts", name, "", 0, 0)),
        (
            stub.ListLots,
            pb.ListLotsRequest(parent=member.points_account),
            ("lots", member.points_account),
        ),
    ):

        def call(token: str, list_: Any = list_, request: Any = request) -> Awaitable[Any]:
            request.page_token = token
            answer: Awaitable[Any] = list_(request)
            return answer

        assert await unexpected(POSITIONS, call, arguments) == []
        assert await outcome(call(page_token("1", *arguments))) == "ok", arguments
