"""Every rpc of members, records, policies, stars and certificates refuses what it says it refuses,
for the reason it says, and nothing changes.
"""

from typing import Any

import grpc.aio
import pytest

from tests.ledger.hours.member_refusals import MEMBER_TABLES
from tests.ledger.hours.record_refusals import RECORD_TABLES, SUBMISSIONS
from tests.ledger.hours.refusals import Refusal, Scene, build_scene
from tests.ledger.hours.star_refusals import STAR_TABLES
from tests.support.hours import BASE_US, DAY_US, MATCHING, OPERATOR, HoursWorld, policy
from tests.support.ledgers import refused
from timebank.auth import Principal
from timebank.errors import STATUS_DETAILS_KEY, Reason, from_status

TABLES: dict[str, tuple[Refusal, ...]] = {**MEMBER_TABLES, **RECORD_TABLES, **STAR_TABLES}


def _without_policy(method: str) -> Refusal:
    return Refusal(method, Reason.POLICY_NOT_FOUND, "no policy", lambda s: s.call(method))


NO_POLICY = tuple(
    _without_policy(method) for method in ("RecordDeath", "TransferTime", "GrantTime", "SelectStar")
)
ENDED_POLICY = (_without_policy("CloseStarReview"), _without_policy("SelectStar"))
FIRST_STAR_HOURS = 100


async def reason_of(row: Refusal, scene: Scene) -> str:
    """Makes the call of a row and gives the reason, or what happened instead."""
    try:
        return str(await refused(row.call(scene)))
    except (AssertionError, pytest.fail.Exception) as error:
        return str(error).splitlines()[0]


async def broken_rows(scene: Scene, table: tuple[Refusal, ...]) -> list[str]:
    """Makes the call of each row and says which are answered otherwise or change something."""
    broken = []
    standing = await scene.standing()
    for row in table:
        reason, after = await reason_of(row, scene), await scene.standing()
        if reason != row.reason or after != standing:
            changed = "" if after == standing else " and something changed"
            wanted = f"{row.method} ({row.about}): expected {row.reason}"
            broken.append(f"{wanted}, got {reason}{changed}")
        standing = after
    return broken


@pytest.mark.parametrize("table", TABLES)
async def test_a_refused_call_says_why_and_changes_nothing(bare: HoursWorld, table: str) -> None:
    broken = await broken_rows(await build_scene(bare), TABLES[table])
    assert not broken, "\n".join(["", *broken])


async def test_what_a_policy_decides_is_refused_where_none_is_in_force(bare: HoursWorld) -> None:
    for word in ("wang", "chen", "li-elder"):
        await bare.register(word, name="王阿姨", key_elder=word == "li-elder")
    broken = await broken_rows(Scene(bare), NO_POLICY)
    assert not broken, "\n".join(["", *broken])


async def test_a_review_stays_open_while_no_policy_is_in_force(bare: HoursWorld) -> None:
    await bare.adopt(policy(effective_to="2026-03-10"))
    await bare.register("wang", name="王阿姨")
    await bare.serve("wang", FIRST_STAR_HOURS)
    await bare.call("VoidRecord", name=bare.record_name("r-1"))
    assert (await bare.star("wang")).under_review
    bare.world.clock.advance(us=30 * DAY_US)
    broken = await broken_rows(Scene(bare), ENDED_POLICY)
    assert not broken, "\n".join(["", *broken])


class ByBatch(Scene):
    """A scene in which a record goes by BatchSubmitRecords, whose item is refused."""

    async def submit(
        self,
        caller: Principal = OPERATOR,
        volunteer: str = "wang",
        record_id: str = "r-new",
        request_id: str = "",
        **fields: Any,
    ) -> Any:
        """Submits a record between two that are there already, and raises what its item says."""
        record = self.record(volunteer, **fields)
        there = {"record_id": "posted", "record": self.record(start_us=BASE_US)}
        items = [there, {"record_id": record_id, "record": record}, there]
        answer = await self.call("BatchSubmitRecords", MATCHING, items=items)
        first, result, last = answer.results
        assert first.replayed
        assert last.replayed
        if result.HasField("error"):
            details = (STATUS_DETAILS_KEY, result.error.SerializeToString())
            code = from_status(result.error).code
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(details))


async def test_a_record_is_refused_alike_alone_and_in_a_batch(bare: HoursWorld) -> None:
    made = await build_scene(bare)
    scene = ByBatch(bare, made.used_id, made.certificates, made.policies)
    broken = await broken_rows(scene, SUBMISSIONS)
    assert not broken, "\n".join(["", *broken])


async def test_a_row_that_expects_what_does_not_happen_is_found(bare: HoursWorld) -> None:
    scene = await build_scene(bare)
    right = next(row for row in SUBMISSIONS if row.reason is Reason.RECORD_OVERLAPS)
    wrong = right._replace(reason=Reason.RECORD_EXISTS)
    lets_through = Refusal("SubmitRecord", Reason.RECORD_EXISTS, "fine", lambda s: s.submit())
    assert await broken_rows(scene, (right,)) == []
    assert len(await broken_rows(scene, (wrong, right, lets_through))) == 2
