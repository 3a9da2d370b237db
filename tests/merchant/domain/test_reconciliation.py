"""The three-way match: every outcome, their precedence, and that nothing is lost."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.journals import (
    JournalKind,
    JournalRow,
    PaymentRow,
    parse_journal,
    parse_payout_advice,
)
from merchant.domain.reconciliation import (
    BatchNet,
    LedgerLine,
    LineItem,
    Outcome,
    match_lines,
    match_payments,
    reconcile,
)
from merchant.domain.settlement_records import LineKind

DAY = "2026-03-02"
BEFORE, AFTER, LATER = "2026-03-01", "2026-03-03", "2026-03-05"
JOURNAL = """merchant_ref,points,kind,time,business_date
matched,100,REDEMPTION,2026-03-02 10:00,
in-ledger-missing,100,REDEMPTION,2026-03-02 10:00,
amount,90,REDEMPTION,2026-03-02 10:00,
state,100,VOID,2026-03-02 10:00,
matched,100,REDEMPTION,2026-03-02 10:05,
shifted,100,REDEMPTION,2026-03-02 23:59,2026-03-03
late,100,REDEMPTION,2026-02-20 10:00,
"""
ADVICE = """batch,merchant,business_date,sequence,paid_fen,paid_date,bank_reference
b-1,,,,500,2026-03-04,N1
,m-01,2026-03-02,2,300,2026-03-04,N2
,m-01,2026-03-02,2,150,2026-03-05,N3
"""


def line(
    points: int = 100, *, ref: str = "A", date: str = DAY, late: bool = False, id_: str = "r1"
) -> LedgerLine:
    kind = LineKind.REDEMPTION if points > 0 else LineKind.REFUND
    return LedgerLine(id_, ref, kind, points, date, late)


def row(
    points: int = 100, *, ref: str = "A", date: str = DAY, void: bool = False, number: int = 2
) -> JournalRow:
    kind = JournalKind.REDEMPTION if points > 0 else JournalKind.REFUND
    return JournalRow(number, ref, JournalKind.VOID if void else kind, points, 0, date)


def matched(
    lines: list[LedgerLine], rows: list[JournalRow], *, first: str = DAY, last: str = DAY
) -> tuple[LineItem, ...]:
    return match_lines(lines, rows, first_date=first, last_date=last)


def outcomes(lines: list[LedgerLine], rows: list[JournalRow]) -> list[Outcome]:
    return [item.outcome for item in matched(lines, rows)]


def test_one_triple_of_files_gives_each_outcome_exactly_once() -> None:
    journal = parse_journal(JOURNAL.encode("utf-8"), zone="Asia/Shanghai", cut_off_minute=0)
    advice = parse_payout_advice(ADVICE.encode("utf-8"))
    assert (journal.broken, advice.broken) == ((), ())
    references = ["matched", "at-merchant-missing", "amount", "state", "shifted"]
    lines = [line(ref=reference) for reference in references]
    found = reconcile(
        [*lines, line(ref="late", late=True)],
        journal.rows,
        [BatchNet("b-1", "m-01", DAY, 1, 600), BatchNet("b-2", "m-01", DAY, 2, 400)],
        advice.rows,
        first_date=DAY,
        last_date=DAY,
    )
    of_lines = Counter(item.outcome for item in found.line_items)
    of_batches = Counter(item.outcome for item in found.batch_items)
    assert of_lines + of_batches == Counter(Outcome)
    assert {item.outcome for item in found.work_items} == set(Outcome) - {Outcome.MATCHED}


@pytest.mark.parametrize(
    ("the_line", "the_row", "expected"),
    [
        (line(), row(), Outcome.MATCHED),
        (line(-5), row(-5), Outcome.MATCHED),
        (line(), row(date=BEFORE), Outcome.CUTOFF_SHIFT),
        (line(), row(date=AFTER), Outcome.CUTOFF_SHIFT),
        (line(late=True), row(), Outcome.LATE_OFFLINE),
        (line(late=True), row(date=AFTER), Outcome.LATE_OFFLINE),
        (line(late=True), row(date=LATER), Outcome.LATE_OFFLINE),
        (line(), row(90), Outcome.AMOUNT_MISMATCH),
        (line(), row(90, date=AFTER), Outcome.AMOUNT_MISMATCH),
        (line(), row(90, date=LATER), Outcome.AMOUNT_MISMATCH),
        (line(late=True), row(90), Outcome.AMOUNT_MISMATCH),
        (line(), row(-100), Outcome.STATE_MISMATCH),
        (line(), row(void=True), Outcome.STATE_MISMATCH),
        (line(-100), row(100), Outcome.STATE_MISMATCH),
        (line(late=True), row(90, date=AFTER, void=True), Outcome.STATE_MISMATCH),
    ],
)
def test_of_two_outcomes_the_one_that_is_earlier_in_the_table_wins(
    the_line: LedgerLine, the_row: JournalRow, expected: Outcome
) -> None:
    (item,) = matched([the_line], [the_row])
    assert (item.outcome, item.line, item.row) == (expected, the_line, the_row)


@pytest.mark.parametrize(
    ("lines", "rows", "expected"),
    [
        ([line()], [], ["MISSING_AT_MERCHANT"]),
        ([line(late=True)], [], ["LATE_OFFLINE"]),
        ([], [row()], ["MISSING_IN_LEDGER"]),
        ([], [row(), row()], ["MISSING_IN_LEDGER", "DUPLICATE_AT_MERCHANT"]),
        ([line()], [row(), row()], ["MATCHED", "DUPLICATE_AT_MERCHANT"]),
        ([line()], [row(90), row()], ["MATCHED", "DUPLICATE_AT_MERCHANT"]),
        ([line()], [row(date=AFTER), row()], ["MATCHED"]),
        ([line(), line()], [row()], ["MATCHED", "MISSING_AT_MERCHANT"]),
        ([line(), line(-40)], [row(), row(-40)], ["MATCHED", "MATCHED"]),
        ([line()], [row(), row(-40)], ["MATCHED", "MISSING_IN_LEDGER"]),
        ([line(), line(-40)], [row()], ["MATCHED", "MISSING_AT_MERCHANT"]),
        ([line(60), line(40)], [row(40), row(60)], ["MATCHED", "MATCHED"]),
        ([line(60), line(40)], [row(40), row(50)], ["MATCHED", "AMOUNT_MISMATCH"]),
        ([line()], [row(), row(void=True)], ["MATCHED", "STATE_MISMATCH"]),
    ],
)
def test_lines_and_rows_of_one_reference_meet_the_likest_first(
    lines: list[LedgerLine], rows: list[JournalRow], expected: list[str]
) -> None:
    assert outcomes(lines, rows) == expected


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        ([], [row(void=True)]),
        ([], [row(), row(void=True)]),
        ([line(), line(-100)], [row(void=True)]),
        ([line(), line(-100)], [row(), row(void=True)]),
    ],
)
def test_a_voided_reference_agrees_with_lines_that_sum_to_zero(
    lines: list[LedgerLine], rows: list[JournalRow]
) -> None:
    assert set(outcomes(lines, rows)) == {Outcome.MATCHED}


def test_the_same_movement_booked_days_apart_is_no_pair() -> None:
    items = matched([line()], [row(date=LATER)], last=LATER)
    assert [item.outcome for item in items] == ["MISSING_AT_MERCHANT", "MISSING_IN_LEDGER"]


def test_neighbouring_days_lend_partners_and_make_no_items_of_their_own() -> None:
    lines = [line(ref="A"), line(ref="B", date=BEFORE), line(ref="C", date=AFTER)]
    rows = [row(ref="A", date=AFTER), row(ref="D", date=BEFORE), row(ref="E", date=AFTER)]
    assert outcomes(lines, rows) == [Outcome.CUTOFF_SHIFT]


def test_the_difference_is_the_merchants_points_less_the_ledgers() -> None:
    items = matched(
        [line(100, ref="A"), line(100, ref="B"), line(100, ref="C")],
        [row(90, ref="A"), row(100, ref="B", void=True), row(70, ref="D")],
    )
    assert [item.difference_points for item in items] == [-10, -100, -100, 70]


@pytest.mark.parametrize(
    ("net_fen", "paid", "outcome", "difference_fen"),
    [
        (500, [500], Outcome.MATCHED, 0),
        (500, [300, 200], Outcome.MATCHED, 0),
        (500, [], Outcome.UNPAID, -500),
        (500, [499], Outcome.UNPAID, -1),
        (500, [500, -500], Outcome.UNPAID, -500),
        (500, [501], Outcome.OVERPAID, 1),
        (0, [], Outcome.MATCHED, 0),
        (0, [1], Outcome.OVERPAID, 1),
        (-500, [], Outcome.MATCHED, 0),
        (-500, [1], Outcome.OVERPAID, 1),
    ],
)
def test_what_was_paid_for_a_batch_is_summed_and_compared_with_its_net(
    net_fen: int, paid: list[int], outcome: Outcome, difference_fen: int
) -> None:
    payments = [
        PaymentRow(number, "b-1", "", "", 0, fen, DAY, f"N{number}")
        for number, fen in enumerate(paid)
    ]
    (item,) = match_payments([BatchNet("b-1", "m-01", DAY, 1, net_fen)], payments)
    assert (item.outcome, item.difference_fen) == (outcome, difference_fen)
    assert item.payments == tuple(payments)


def test_a_payment_of_no_batch_is_overpaid_and_one_that_came_back_unpaid() -> None:
    stray = PaymentRow(2, "b-9", "", "", 0, 7, DAY, "N1")
    other = PaymentRow(3, "", "m-01", DAY, 9, -7, DAY, "N2")
    items = match_payments([BatchNet("b-1", "m-01", DAY, 1, 0)], [stray, other])
    assert [item.outcome for item in items] == ["MATCHED", "OVERPAID", "UNPAID"]
    assert [item.batch is None for item in items] == [False, True, True]


DAYS = st.sampled_from([BEFORE, DAY, AFTER, LATER])
REFERENCES = st.sampled_from("ABC")
POINTS = st.sampled_from([1, 2, -1])


@given(
    st.lists(st.tuples(POINTS, REFERENCES, DAYS, st.booleans()), max_size=12),
    st.lists(st.tuples(POINTS, REFERENCES, DAYS, st.booleans()), max_size=12),
)
def test_every_line_and_every_row_stands_in_exactly_one_item(
    some_lines: list[tuple[int, str, str, bool]], some_rows: list[tuple[int, str, str, bool]]
) -> None:
    lines = [
        line(points, ref=ref, date=date, late=late, id_=f"r{number}")
        for number, (points, ref, date, late) in enumerate(some_lines)
    ]
    rows = [
        row(points, ref=ref, date=date, void=void, number=number)
        for number, (points, ref, date, void) in enumerate(some_rows)
    ]
    items = matched(lines, rows, first=BEFORE, last=LATER)
    assert Counter(item.line for item in items if item.line) == Counter(lines)
    assert Counter(item.row for item in items if item.row) == Counter(rows)
    for item in items:
        if item.line and item.row:
            assert item.line.merchant_ref == item.row.merchant_ref


@given(st.permutations([line(60, id_="r1"), line(40, id_="r2"), line(-40, id_="r3")]))
def test_the_order_of_lines_does_not_change_what_is_found(lines: list[LedgerLine]) -> None:
    rows = [row(40, date=AFTER), row(-40), row(70)]
    expected = ["AMOUNT_MISMATCH", "CUTOFF_SHIFT", "MATCHED"]
    assert sorted(outcomes(lines, rows)) == expected
