"""What ledger and journal say of one redemption, and what batches were paid."""

import pytest

from merchant.domain.documents import Advice, BadRow, Batch
from merchant.domain.reconciliation_rules import (
    LedgerRow,
    Outcome,
    compare_batch,
    compare_journal,
    outcome_of,
    outcome_of_payment,
)
from merchant.domain.reconciliation_tables import JournalRow, parse_advice, parse_journal
from merchant.domain.settlement_rules import BatchState
from merchant.domain.states import RedemptionState
from timebank.errors import Reason, TimebankError

R = RedemptionState
DAY = "2026-03-01"
SOLD = LedgerRow("a", DAY, R.CAPTURED, 10, 0)
ROW = JournalRow(1, "a", DAY, R.CAPTURED, 10, 0)
HEADING = "merchant_ref,business_date,state,captured_amount,refunded_amount\n"

OUTCOMES = [
    (SOLD, ROW, Outcome.MATCHED),
    (None, ROW, Outcome.MISSING_IN_LEDGER),
    (None, ROW._replace(state=R.VOIDED), Outcome.MATCHED),
    (None, ROW._replace(captured=0), Outcome.MATCHED),
    (SOLD._replace(state=R.EXPIRED, captured=0), ROW._replace(state=R.VOIDED), Outcome.MATCHED),
    (SOLD._replace(state=R.REVERSED, refunded=10), ROW, Outcome.STATE_MISMATCH),
    (SOLD, ROW._replace(state=R.PARTIALLY_CAPTURED, captured=9), Outcome.STATE_MISMATCH),
    (SOLD, ROW._replace(captured=9), Outcome.AMOUNT_MISMATCH),
    (SOLD, ROW._replace(business_date="2026-02-28"), Outcome.CUTOFF_SHIFT),
    (SOLD, ROW._replace(business_date="2026-02-28", offline=True), Outcome.LATE_OFFLINE),
    (SOLD, ROW._replace(business_date="2026-03-02", offline=True), Outcome.CUTOFF_SHIFT),
    (
        SOLD,
        ROW._replace(business_date="2026-02-28", offline=True, refunded=1),
        Outcome.AMOUNT_MISMATCH,
    ),
    (SOLD, ROW._replace(offline=True), Outcome.MATCHED),
    (None, ROW._replace(offline=True), Outcome.MISSING_IN_LEDGER),
]


@pytest.mark.parametrize(("known", "row", "expected"), OUTCOMES)
def test_the_first_outcome_that_fits_is_given(
    known: LedgerRow | None, row: JournalRow, expected: Outcome
) -> None:
    assert outcome_of(known, row) is expected


def test_what_the_journal_lacks_is_missing_unless_nothing_was_sold() -> None:
    ledger = {
        "a": SOLD,
        "void": SOLD._replace(merchant_ref="void", state=R.VOIDED, captured=0),
        "back": SOLD._replace(merchant_ref="back", state=R.REVERSED, refunded=10),
        "held": SOLD._replace(merchant_ref="held", state=R.AUTHORIZED, captured=0),
        "other": SOLD._replace(merchant_ref="other", business_date="2026-03-02"),
    }
    found, matched = compare_journal(ledger, [], first_date=DAY, last_date=DAY)
    assert [(item.outcome, item.merchant_ref) for item in found] == [
        (Outcome.MISSING_AT_MERCHANT, "a"),
    ]
    assert matched == 0


def test_bad_rows_are_told_by_number_and_the_others_count() -> None:
    text = HEADING + "\n".join(
        [
            f"a,{DAY},CAPTURED,10,0",
            f",{DAY},CAPTURED,10,0",
            "b,2026-03-05,CAPTURED,10,0",
            f"c,{DAY},SOLD,10,0",
            f"d,{DAY},CAPTURED,10,11",
            f"e,{DAY},CAPTURED,1.5,0",
            "f,01.03.2026,CAPTURED,1,0",
            "g,2026-03-02,CAPTURED,1,0",
        ]
    )
    rows, told = parse_journal(text.encode(), first_date=DAY, last_date=DAY)
    assert [row.merchant_ref for row in rows] == ["a", "g"]
    assert (told.row_count, told.rejected_count) == (8, 6)
    assert [bad.row for bad in told.bad_rows] == [2, 3, 4, 5, 6, 7]
    assert all(isinstance(bad, BadRow) and "expected" in bad.message for bad in told.bad_rows)


@pytest.mark.parametrize(
    ("cell", "expected"), [("true", True), ("TRUE", True), ("1", True), ("0", False), ("", False)]
)
def test_a_journal_may_say_which_sales_were_made_offline(cell: str, expected: bool) -> None:
    text = f"offline,{HEADING}{cell},a,{DAY},CAPTURED,10,0\nmaybe,b,{DAY},CAPTURED,10,0"
    rows, told = parse_journal(text.encode(), first_date=DAY, last_date=DAY)
    assert [row.offline for row in rows] == [expected]
    assert [(bad.row, bad.message) for bad in told.bad_rows] == [
        (2, "offline: expected true or false, got 'maybe'")
    ]


def test_a_file_without_its_columns_is_refused_whole() -> None:
    with pytest.raises(TimebankError) as refused:
        parse_advice(b"batch,paid\n", ledger_id="weihai")
    assert refused.value.reason is Reason.VALIDATION_FAILED


def test_an_advice_is_about_batches_of_its_own_ledger() -> None:
    name = "merchants/shop/batches/2026-03-01-1"
    text = "batch,paid_fen,paid_date\n" + "\n".join(
        f"{ledger}/{name},-5,2026-03-02" for ledger in ("ledgers/weihai", "ledgers/other")
    )
    rows, told = parse_advice(text.encode(), ledger_id="weihai")
    assert [(row.batch_id, row.paid_fen) for row in rows] == [("shop/2026-03-01-1", -5)]
    assert [bad.row for bad in told.bad_rows] == [2]


BATCH = Batch("shop/2026-03-01-1", DAY, 1, BatchState.CLOSED, 100, 0, net_fen=10)
PAYMENTS = [
    (10, (), Outcome.UNPAID, 0),
    (10, (4, 6), Outcome.MATCHED, 10),
    (10, (4, 7), Outcome.OVERPAID, 11),
    (10, (12, -2), Outcome.MATCHED, 10),
    (-10, (), Outcome.MATCHED, 0),
    (-10, (1,), Outcome.OVERPAID, 1),
]


@pytest.mark.parametrize(("net_fen", "paid", "expected", "total"), PAYMENTS)
def test_the_payments_of_a_batch_are_summed(
    net_fen: int, paid: tuple[int, ...], expected: Outcome, total: int
) -> None:
    advices = tuple(Advice(f"2026-03-{2 + place:02}", fen) for place, fen in enumerate(paid))
    batch = BATCH._replace(net_fen=net_fen)
    assert compare_batch(batch, advices) == (expected, total)


@pytest.mark.parametrize(
    ("net_fen", "paid_fen", "outcome"),
    [
        (500, 500, Outcome.MATCHED),
        (500, 0, Outcome.UNPAID),
        (500, 499, Outcome.UNPAID),
        (500, 501, Outcome.OVERPAID),
        (0, 0, Outcome.MATCHED),
        (0, 1, Outcome.OVERPAID),
        (-500, 0, Outcome.MATCHED),
        (-500, 1, Outcome.OVERPAID),
    ],
)
def test_what_was_paid_for_a_batch_is_compared_with_what_it_is_owed(
    net_fen: int, paid_fen: int, outcome: Outcome
) -> None:
    assert outcome_of_payment(net_fen, paid_fen) is outcome
