"""Every rpc refuses what it says it refuses, for the reason it says, and nothing changes."""

import pytest

from tests.ledger.rpc.account_refusals import ACCOUNT_REFUSALS
from tests.ledger.rpc.hold_refusals import HOLD_REFUSALS
from tests.ledger.rpc.movement_refusals import MOVEMENT_REFUSALS
from tests.ledger.rpc.read_refusals import READ_REFUSALS
from tests.ledger.rpc.scenes import Refusal, Scene, build_scene
from tests.support.ledgers import LedgerWorld, refused
from timebank.errors import Reason

TABLES: dict[str, tuple[Refusal, ...]] = {
    "movements": MOVEMENT_REFUSALS,
    "holds": HOLD_REFUSALS,
    "accounts": ACCOUNT_REFUSALS,
    "reads": READ_REFUSALS,
}
POST_ZERO = next(row for row in MOVEMENT_REFUSALS if row.about == "zero")


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
async def test_a_refused_call_says_why_and_changes_nothing(world: LedgerWorld, table: str) -> None:
    broken = await broken_rows(await build_scene(world), TABLES[table])
    assert not broken, "\n".join(["", *broken])


async def test_a_row_that_expects_what_does_not_happen_is_found(world: LedgerWorld) -> None:
    scene = await build_scene(world)
    wrong = Refusal("PostEntry", Reason.UNBALANCED_ENTRY, "zero", POST_ZERO.call)
    lets_through = Refusal(
        "PostEntry",
        Reason.UNBALANCED_ENTRY,
        "fine",
        lambda s: s.call("PostEntry", post=s.redemption()),
    )
    assert await broken_rows(scene, (POST_ZERO,)) == []
    assert len(await broken_rows(scene, (wrong, lets_through, POST_ZERO))) == 2
