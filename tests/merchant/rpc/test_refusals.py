"""Every rpc refuses what it says it refuses, for the reason it says, and nothing changes."""

import pathlib
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from merchant.domain.states import DocumentKind
from tests.merchant.rpc.bad_fields import BAD_FIELDS
from tests.merchant.rpc.callers_refusals import (
    CALLER_REFUSALS,
    FOREIGN_REFUSALS,
    PAGE_REFUSALS,
    REPEATED_REFUSALS,
)
from tests.merchant.rpc.money_refusals import BATCH_REFUSALS, FUND_REFUSALS
from tests.merchant.rpc.move_refusals import CONSENT_REFUSALS, MOVE_REFUSALS, READ_REFUSALS
from tests.merchant.rpc.requests import METHODS
from tests.merchant.rpc.sale_refusals import SALE_REFUSALS
from tests.merchant.rpc.scene_sales import scene_world
from tests.merchant.rpc.scenes import Refusal, Scene, Standing, budget
from tests.merchant.rpc.shop_refusals import MERCHANT_REFUSALS, OFFER_REFUSALS, TERMINAL_REFUSALS
from tests.merchant.rpc.signature_refusals import fixed
from tests.merchant.rpc.valid_requests import VALID
from tests.merchant.rpc.wallet_refusals import VOUCHER_REFUSALS, WALLET_REFUSALS
from tests.support.cheap_pins import hash_cheaply
from timebank.errors import Reason, from_rpc_error

TABLES: dict[str, tuple[Refusal, ...]] = {
    "callers": (*CALLER_REFUSALS, *FOREIGN_REFUSALS, *REPEATED_REFUSALS, *PAGE_REFUSALS),
    "merchants": (*MERCHANT_REFUSALS, *TERMINAL_REFUSALS, *OFFER_REFUSALS),
    "sales": SALE_REFUSALS,
    "moves": (*MOVE_REFUSALS, *CONSENT_REFUSALS, *READ_REFUSALS),
    "wallets": (*WALLET_REFUSALS, *VOUCHER_REFUSALS),
    "money": (*BATCH_REFUSALS, *FUND_REFUSALS),
    "fields": BAD_FIELDS,
}


FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


async def reason_of(row: Refusal, scene: Scene) -> str:
    """Makes the call of a row and gives the reason, or what happened instead."""
    request = scene.request(row.method, row.changes(scene))
    metadata = row.metadata(scene, row.method, request) if row.metadata else None
    try:
        await scene.send(row.method, request, row.caller, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        refusal = from_rpc_error(error)
        fault = error.code() in FAULTS
        return f"{error.code().name}: {error.details()}" if fault else str(refusal.reason)
    return "success"


def changed(before: Standing, after: Standing, leaves: frozenset[DocumentKind]) -> str:
    """Says what a refusal changed that it must not change."""
    if before == after:
        return ""
    kept = [
        {key: body for key, body in standing.documents.items() if key[0] not in leaves}
        for standing in (before, after)
    ]
    wrong = [str(key) for key in kept[0] | kept[1] if kept[0].get(key) != kept[1].get(key)]
    wrong += ["the ledger"] if before.log_size != after.log_size else []
    wrong += ["the sequence"] if not leaves and before.sequence != after.sequence else []
    return f" and changed {', '.join(wrong)}" if wrong else ""


async def broken_rows(scene: Scene, table: tuple[Refusal, ...]) -> list[str]:
    """Makes the call of each row and says which are answered otherwise or change something."""
    broken = []
    standing = await scene.standing()
    for row in table:
        reason, after = await reason_of(row, scene), await scene.standing()
        difference = changed(standing, after, row.leaves)
        if reason != row.reason or difference:
            wanted = f"{row.method} ({row.about}): expected {row.reason}"
            broken.append(f"{wanted}, got {reason}{difference}")
        standing = after
    return broken


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """One scene for all tables: what they leave does not meet."""
    folder = tmp_path_factory.mktemp("scene")
    with pytest.MonkeyPatch.context() as patch:
        hash_cheaply(patch)
        async with scene_world(folder, f"sqlite:///{folder / 'ledger.db'}") as found:
            yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("table", TABLES)
async def test_a_refused_call_says_why_and_changes_nothing(scene: Scene, table: str) -> None:
    broken = await broken_rows(scene, TABLES[table])
    assert not broken, "\n".join(["", *broken])


async def test_every_request_of_the_scene_succeeds(
    tmp_path: pathlib.Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_cheaply(monkeypatch)
    assert set(VALID) == set(METHODS)
    async with scene_world(tmp_path, sqlite_url, with_limits=False) as scene:
        for method in VALID:
            await scene.send(method, scene.request(method))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_row_that_expects_what_does_not_happen_is_found(scene: Scene) -> None:
    right = next(row for row in FUND_REFUSALS if row.reason is Reason.BUDGET_NOT_FOUND)
    wrong = right._replace(reason=Reason.SPENDING_NOT_FOUND)
    lets_through = Refusal("GetBudget", Reason.BUDGET_NOT_FOUND, "fine")
    changes = lets_through._replace(
        method="SetBudget", changes=fixed(**{"budget.name": budget("proof")})
    )
    assert await broken_rows(scene, (right,)) == []
    broken = await broken_rows(scene, (wrong, right, lets_through, changes))
    assert [text.rpartition(" got ")[2] for text in broken] == [
        "BUDGET_NOT_FOUND",
        "success",
        f"success and changed {(int(DocumentKind.BUDGET), 'proof')}, the sequence",
    ]
