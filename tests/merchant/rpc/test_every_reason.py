"""Every rpc of the merchant service stands in the tables of refusals, every reason that the
contract documents for it is reached, and every reason that is reached is documented.

What needs a ledger that does not answer, or another limit, is reached in this module.
"""

import pathlib
from typing import Any, NoReturn

import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from merchant.domain import calendars
from merchant.usecases import pin_hashing
from tests.ledger.rpc.test_every_reason import documented_in
from tests.merchant.rpc.requests import METHODS, is_public
from tests.merchant.rpc.scene_sales import scene_world
from tests.merchant.rpc.scenes import PIN, merchant
from tests.merchant.rpc.test_refusals import TABLES
from tests.merchant.till_world import SHOP, till_world
from tests.support.cheap_pins import hash_cheaply
from tests.support.contracts import PROTOS
from tests.support.ledgers import refused
from timebank.client.calls import Caller
from timebank.errors import Reason as R
from timebank.errors import TimebankError, from_rpc_error
from timebank.merchant.v1 import merchant_pb2

FOLDER = PROTOS / "timebank/merchant/v1"
SERVICES = (
    *("merchant_service.proto", "redemption_service.proto"),
    *("settlement_service.proto", "fund_service.proto"),
)
OF_ANY_CALL = {R.VALIDATION_FAILED, R.LEDGER_NOT_FOUND, R.SCOPE_MISSING}
"""Any call that names a ledger may be refused so, also where the comment leaves it out."""
MUST_BE_FOUND = 45
"""Far fewer reasons than this would mean that the comments were not read."""
ALONE: dict[str, dict[str, Any]] = {
    "CreateMerchant": {},
    "UpdateMerchant": {
        "update_mask.paths": ["debt_points_max"],
        "merchant.debt_points_max": 7,
    },
    "QuoteRedemption": {},
    "AuthorizeRedemption": {},
    "RedeemPoints": {},
    "ConfirmRedemption": {},
    "CaptureRedemption": {},
    "VoidRedemption": {},
    "ReverseRedemption": {},
    "RefundRedemption": {},
    "ApproveAssistedRedemption": {},
    "ConfirmByMember": {},
    "IssueVoucher": {},
    "CloseBatch": {"parent": merchant("costly")},
    "RecordPayout": {},
    "RecordIncome": {},
    "ApproveSpending": {},
}
"""Calls that ask the ledger: what differs from a request that would succeed."""
TAKE_PINS: dict[str, dict[str, Any]] = {
    "SetPin": {},
    "ResetPin": {},
    "AuthorizeRedemption": {"pin": PIN},
    "RedeemPoints": {"pin": PIN},
    "ConfirmRedemption": {},
    "ConfirmByMember": {"pin": PIN},
    "IssueVoucher": {"pin": PIN},
}
"""Calls that set a PIN or compare one: what differs from a request that would succeed."""
MASK = FieldMask(paths=["cut_off_minute"])


def documented() -> dict[str, set[R]]:
    """Reads the reasons of every rpc out of the comments of the contract."""
    return documented_in(FOLDER / name for name in SERVICES)


def reached() -> dict[str, set[R]]:
    """Gives the reasons that the tests reach, by method."""
    found: dict[str, set[R]] = {method: {R.OUTCOME_UNKNOWN} for method in ALONE}
    found["UpdateMerchant"].add(R.LIMIT_EXCEEDED)
    for method in TAKE_PINS:
        found.setdefault(method, set()).add(R.RATE_LIMITED)
    for table in TABLES.values():
        for row in table:
            found.setdefault(row.method, set()).add(row.reason)
    return found


async def _away(*_: object, **__: object) -> NoReturn:
    raise TimebankError(R.DATABASE_UNAVAILABLE, "the ledger does not answer")


async def test_without_an_answer_of_the_ledger_nobody_knows_and_nothing_is_entered(
    tmp_path: pathlib.Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_cheaply(monkeypatch)
    reasons = {}
    async with scene_world(tmp_path, sqlite_url, with_limits=False) as scene:
        size = await scene.till.world.size()
        monkeypatch.setattr(Caller, "__call__", _away)
        for method, changes in ALONE.items():
            with pytest.raises(grpc.aio.AioRpcError) as unanswered:
                await scene.send(method, scene.request(method, changes))
            reasons[method] = from_rpc_error(unanswered.value).reason
        assert await scene.till.world.size() == size
    assert reasons == dict.fromkeys(ALONE, R.OUTCOME_UNKNOWN)


async def test_more_pins_at_once_than_a_caller_may_have_change_nothing(
    tmp_path: pathlib.Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_cheaply(monkeypatch)
    reasons = {}
    async with scene_world(tmp_path, sqlite_url, with_limits=False) as scene:
        standing = await scene.standing()
        monkeypatch.setattr(pin_hashing, "HASHES_OF_CALLER_MAX", 0)
        for method, changes in TAKE_PINS.items():
            reasons[method] = await refused(scene.send(method, scene.request(method, changes)))
        assert await scene.standing() == standing
    assert reasons == dict.fromkeys(TAKE_PINS, R.RATE_LIMITED)


async def test_cut_offs_are_changed_so_often_at_most(
    tmp_path: pathlib.Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendars, "CUT_OFFS_MAX", 1)
    async with till_world(tmp_path, sqlite_url) as till:
        await till.open_shop()
        changed = merchant_pb2.Merchant(name=SHOP, cut_off_minute=5)
        changing = till.call("UpdateMerchant", merchant=changed, update_mask=MASK)
        assert await refused(changing) is R.LIMIT_EXCEEDED
        assert (await till.call("GetMerchant", name=SHOP)).cut_off_minute == 0


def test_every_rpc_is_in_the_tables() -> None:
    found = reached()
    assert set(found) == set(METHODS) == set(documented())
    assert all(len(found[method]) > 1 for method in METHODS if not is_public(method))


def test_every_documented_reason_of_every_rpc_is_reached() -> None:
    wanted, found = documented(), reached()
    assert len(set().union(*wanted.values())) >= MUST_BE_FOUND
    missing = {
        method: sorted(left)
        for method, reasons in wanted.items()
        if (left := reasons - found[method])
    }
    assert missing == {}


def test_every_reason_that_is_reached_is_documented() -> None:
    wanted = documented()
    unsaid = {
        method: sorted(left)
        for method, reasons in reached().items()
        if (left := reasons - wanted[method] - OF_ANY_CALL)
    }
    assert unsaid == {}


def test_a_reason_without_a_row_would_be_noticed() -> None:
    found = reached()
    assert R.CARD_NOT_FOUND in documented()["BlockCard"]
    found["BlockCard"].discard(R.CARD_NOT_FOUND)
    assert documented()["BlockCard"] - found["BlockCard"] == {R.CARD_NOT_FOUND}
