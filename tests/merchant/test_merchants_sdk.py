"""Merchants through the client, against the real services: their terms, and where they stand."""

import inspect
import pathlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from merchant.wire_merchants import MERCHANT_CHANGES
from tests.merchant.till_world import SHOP, TillWorld, till_world
from timebank.client.merchant_views import MerchantCategory, MerchantState, MerchantView
from timebank.client.merchants import MerchantClient
from timebank.errors import Reason, TimebankError

NEW_TERMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"display_name": "大卖部"}, {"display_name": "大卖部"}),
    ({"category": MerchantCategory.CULTURE}, {"category": MerchantCategory.CULTURE}),
    ({"fen_per_hundred_points": 90}, {"fen_per_hundred_points": 90}),
    (
        {"fen_per_hundred_points": 0, "budget": ""},
        {"fen_per_hundred_points": 0, "budget": ""},
    ),
    ({"budget": "c"}, {"budget": "ledgers/weihai/budgets/c"}),
    ({"debt_points_max": 0}, {"debt_points_max": 0}),
    (
        {"cut_off_minute": 1_320},
        {"cut_off_minute": 1_320, "cut_off_effective_date": "2026-03-02"},
    ),
    (
        {"cut_off_minute": 1_320, "cut_off_effective_date": "2026-04-01"},
        {"cut_off_minute": 1_320, "cut_off_effective_date": "2026-04-01"},
    ),
]
REFUSALS: list[tuple[dict[str, Any], Reason]] = [
    ({}, Reason.VALIDATION_FAILED),
    ({"etag": "1"}, Reason.VALIDATION_FAILED),
    ({"display_name": ""}, Reason.VALIDATION_FAILED),
    ({"category": MerchantCategory.UNKNOWN}, Reason.VALIDATION_FAILED),
    ({"budget": ""}, Reason.VALIDATION_FAILED),
    ({"budget": "none"}, Reason.BUDGET_NOT_FOUND),
    (
        {"cut_off_minute": 60, "cut_off_effective_date": "2026-03-01"},
        Reason.VALIDATION_FAILED,
    ),
    ({"merchant": "none", "display_name": "大卖部"}, Reason.MERCHANT_NOT_FOUND),
]


@pytest.fixture
async def till(tmp_path: pathlib.Path, sqlite_url: str) -> AsyncIterator[TillWorld]:
    """A shop at 100 fen for 100 points, paid from the budget `b`."""
    async with till_world(tmp_path, sqlite_url) as found:
        await found.open_shop()
        yield found


@pytest.fixture
async def client(till: TillWorld) -> AsyncIterator[MerchantClient]:
    """An operator, who has set another budget."""
    address = f"127.0.0.1:{till.world.process.grpc_port}"
    async with MerchantClient.connect(address, ledger="weihai") as client:
        await client.set_budget("c", display_name="二号预算", limit_fen=1_000)
        yield client


def differences(before: MerchantView, after: MerchantView) -> dict[str, Any]:
    """What changed, but for the etag, which always does."""
    return {
        name: getattr(after, name)
        for name in before.__slots__
        if name != "etag" and getattr(after, name) != getattr(before, name)
    }


def test_every_term_that_the_contract_changes_has_a_keyword() -> None:
    parameters = inspect.signature(MerchantClient.update_merchant).parameters
    terms = {name for name, one in parameters.items() if one.default is None}
    assert terms == set(MERCHANT_CHANGES)


@pytest.mark.parametrize(("said", "expected"), NEW_TERMS, ids=lambda value: " ".join(value))
async def test_an_update_changes_what_is_given_and_nothing_else(
    client: MerchantClient, said: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = await client.get_merchant("shop")
    changed = await client.update_merchant("shop", **said)
    assert differences(before, changed) == expected
    assert changed.etag != before.etag
    assert await client.get_merchant(SHOP) == changed


async def test_a_date_alone_moves_a_cut_off_that_waits(client: MerchantClient) -> None:
    waiting = await client.update_merchant("shop", cut_off_minute=1_320)
    later = await client.update_merchant("shop", cut_off_effective_date="2026-05-01")
    assert differences(waiting, later) == {"cut_off_effective_date": "2026-05-01"}


@pytest.mark.parametrize(("said", "reason"), REFUSALS)
async def test_an_update_that_breaks_a_rule_changes_nothing(
    client: MerchantClient, said: dict[str, Any], reason: Reason
) -> None:
    before = await client.get_merchant("shop")
    with pytest.raises(TimebankError) as refused:
        await client.update_merchant(**({"merchant": "shop"} | said))
    assert refused.value.reason is reason
    assert await client.get_merchant("shop") == before


async def test_an_update_by_an_etag_is_refused_after_another_one(client: MerchantClient) -> None:
    read = await client.get_merchant("shop")
    changed = await client.update_merchant("shop", fen_per_hundred_points=90, etag=read.etag)
    with pytest.raises(TimebankError) as refused:
        await client.update_merchant("shop", fen_per_hundred_points=80, etag=read.etag)
    assert refused.value.reason is Reason.ETAG_MISMATCH
    assert await client.get_merchant("shop") == changed


async def test_a_repeated_update_is_not_made_again(client: MerchantClient) -> None:
    said: dict[str, Any] = {"fen_per_hundred_points": 90, "request_id": str(uuid.uuid4())}
    changed = await client.update_merchant("shop", **said)
    assert await client.update_merchant("shop", **said) == changed
    later = await client.update_merchant("shop", fen_per_hundred_points=80)
    await client.update_merchant("shop", **said)
    assert await client.get_merchant("shop") == later


async def test_a_merchant_is_suspended_resumed_and_leaves_for_ever(
    client: MerchantClient, till: TillWorld
) -> None:
    await till.member("wang", 100)
    assert (await client.suspend_merchant("shop")).state is MerchantState.SUSPENDED
    assert (await client.resume_merchant("shop")).state is MerchantState.ACTIVE
    await till.redeem("wang")
    assert (await client.leave_merchant("shop")).state is MerchantState.LEAVING
    with pytest.raises(TimebankError) as refused:
        await client.resume_merchant("shop")
    assert refused.value.reason is Reason.MERCHANT_NOT_ACTIVE
    kept = await client.update_merchant("shop", display_name="小卖部（退出中）")
    assert kept.state is MerchantState.LEAVING
