"""The steps of a batch: what it takes, and that each step counts once."""

import functools

import pytest

from merchant.domain.documents import Batch, Line, Merchant
from merchant.domain.settlement_rules import (
    CARRIED,
    BatchState,
    CloseBatch,
    OpenBatch,
    RecordPayout,
    TakeLines,
    begin_payout,
    close_batch,
    finish_payout,
    fits,
    fix_batch,
    open_batch,
    take_lines,
)
from merchant.domain.states import DocumentKind, MerchantState
from tests.merchant.domain.transactions import Desk
from timebank.errors import Reason

DAY = "2025-10-08"
"""NOW_US of Desk is 2025-10-09 in Shanghai."""
K = DocumentKind
ID = f"shop/{DAY}-1"
BATCH = Batch(ID, DAY, 1, BatchState.OPEN, 85, 0)
MERCHANT = Merchant(
    *("shop", "小卖部", 2, MerchantState.ACTIVE, 85, 0, "b", 500, "p", "t", "f", 0),
    last_closed_date="2025-10-07",
)
OPEN = OpenBatch("shop", DAY, 1, None, 0, "Asia/Shanghai")


def line(number: int = 1, points: int = 13, **changes: object) -> Line:
    """A line of the day."""
    redemption_id = f"shop/r{number}"
    made = Line(f"{redemption_id}/1", redemption_id, "t1-1", "REDEMPTION", points, 85, 0, DAY)
    return made._replace(**changes)  # type: ignore[arg-type]  # a test names fields


FITS = [
    (line(), False, True),
    (line(business_date="2025-10-01"), False, True),
    (line(business_date="2025-10-09"), False, False),
    (line(rate=100), False, False),
    (line(kind=CARRIED, points=-5, rate=100), False, True),
    (line(kind=CARRIED, points=-5, business_date="2025-10-09"), False, False),
    (line(points=-5, rate=100, business_date="2025-10-09"), False, False),
    (line(points=-5, rate=100, business_date="2025-10-09"), True, True),
    (line(business_date="2025-10-09"), True, False),
]


@pytest.mark.parametrize(("given", "nets_refunds", "expected"), FITS)
def test_a_line_fits_by_its_day_and_rate(given: Line, nets_refunds: bool, expected: bool) -> None:
    assert fits(given, BATCH, nets_refunds=nets_refunds) is expected


def test_lines_join_once_and_are_summed() -> None:
    lines = [line(1), line(2, -4), line(3, 7, business_date="2025-10-09")]
    desk = Desk(BATCH, MERCHANT, *lines)
    command = TakeLines(ID, tuple(item.line_id for item in lines))
    for _ in range(2):
        batch = desk.do(functools.partial(take_lines, command=command))
    assert (batch.line_count, batch.redeemed_points, batch.refunded_points) == (2, 13, 4)
    assert desk.state.documents[K.LINE, "shop/r1/1"] == line(1, batch=f"{DAY}-1")
    assert desk.state.documents[K.LINE, "shop/r3/1"] == lines[2]


def test_a_batch_takes_no_line_any_more_once_it_is_fixed() -> None:
    desk = Desk(BATCH._replace(line_count=1, redeemed_points=13), MERCHANT, line(2))
    fixed = desk.do(functools.partial(fix_batch, batch_id=ID))
    assert (fixed.state, fixed.net_points, fixed.net_fen) == (BatchState.CLOSING, 13, 11)
    command = TakeLines(ID, ("shop/r2/1",))
    assert desk.do(functools.partial(take_lines, command=command)) == fixed
    assert desk.do(functools.partial(fix_batch, batch_id=ID)) == fixed


def test_one_batch_of_a_merchant_is_under_way_at_a_time() -> None:
    desk = Desk(MERCHANT)
    rule = functools.partial(open_batch, command=OPEN)
    assert desk.do(rule).batch_id == ID
    assert desk.refused(rule) is Reason.OUTCOME_UNKNOWN
    seen = functools.partial(open_batch, command=OPEN._replace(batches_seen=1))
    assert Desk(MERCHANT).refused(seen) is Reason.OUTCOME_UNKNOWN


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (OPEN._replace(merchant_id="none"), Reason.MERCHANT_NOT_FOUND),
        (OPEN._replace(business_date="2025-10-09"), Reason.VALIDATION_FAILED),
        (OPEN._replace(business_date="yesterday"), Reason.VALIDATION_FAILED),
    ],
)
def test_a_batch_is_not_begun(command: OpenBatch, reason: Reason) -> None:
    assert Desk(MERCHANT).refused(functools.partial(open_batch, command=command)) is reason


def test_closing_chains_files_and_carries_what_is_owed() -> None:
    owing = BATCH._replace(state=BatchState.CLOSING, net_points=-5, refunded_points=5)
    desk = Desk(owing, MERCHANT._replace(open_batch=ID, last_closed_date="2025-10-09"))
    rule = functools.partial(close_batch, command=CloseBatch(ID, "ab" * 32, "jws", "", 0))
    closed = desk.do(rule)
    assert desk.do(rule) == closed
    assert (closed.state, closed.file_sha256) == (BatchState.CLOSED, "ab" * 32)
    merchant = desk.state.documents[K.MERCHANT, "shop"]
    assert isinstance(merchant, Merchant)
    assert (merchant.batches, merchant.open_batch) == (1, "")
    assert (merchant.last_closed_date, merchant.last_file_sha256) == ("2025-10-09", "ab" * 32)
    carried = desk.state.documents[K.LINE, f"shop/carried/{DAY}-1"]
    assert isinstance(carried, Line)
    assert (carried.points, carried.kind, carried.redemption_id) == (-5, CARRIED, ID)


CLOSED = BATCH._replace(state=BatchState.CLOSED, net_fen=11)
PAYOUT = RecordPayout(ID, 11, "", 5)


@pytest.mark.parametrize(
    ("batch", "command", "reason"),
    [
        (CLOSED, PAYOUT._replace(batch_id="shop/none"), Reason.BATCH_NOT_FOUND),
        (BATCH, PAYOUT, Reason.BATCH_STATE),
        (CLOSED, PAYOUT._replace(paid_fen=10), Reason.VALIDATION_FAILED),
        (CLOSED._replace(net_fen=-3), PAYOUT, Reason.VALIDATION_FAILED),
        (CLOSED._replace(paid_us=4), PAYOUT, Reason.BATCH_STATE),
    ],
)
def test_a_payout_is_refused(batch: Batch, command: RecordPayout, reason: Reason) -> None:
    assert Desk(batch).refused(functools.partial(begin_payout, command=command)) is reason


def test_a_payout_of_nothing_is_paid_without_the_ledger() -> None:
    desk = Desk(CLOSED._replace(net_fen=-3))
    desk.do(functools.partial(begin_payout, command=PAYOUT._replace(paid_fen=0)))
    paid = desk.do(functools.partial(finish_payout, batch_id=ID, entry=""))
    assert (paid.state, paid.paid_fen) == (BatchState.PAID, 0)
    assert desk.do(functools.partial(finish_payout, batch_id=ID, entry="other")) == paid
