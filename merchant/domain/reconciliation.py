"""Three-way match 三方对账: the ledger's lines, a merchant's journal, and what was paid out.

Owns: which line, row and payment belong together, and the one outcome of each. Refuses: reading
files (see merchant.domain.journals), and who works on an item.
Rules: every line and every row stands in exactly one item, every batch and every payment too. All
but MATCHED is work. Lines and rows meet under the same merchant reference: first those of one kind
and amount on one day, then on neighbouring days, then of one kind, then any; each in order. A late
line is of any day. Where two outcomes of this table fit, the earlier one is given:

    line and row   STATE_MISMATCH       the kinds differ: one says refund or void, the other not
                   AMOUNT_MISMATCH      the points differ
                   LATE_OFFLINE         the line was submitted after its day's batch had closed
                   CUTOFF_SHIFT         the merchant booked it on the day before or after
                   MATCHED
    line alone     LATE_OFFLINE         it may stand in the journal of its own day
                   MISSING_AT_MERCHANT
    row alone      DUPLICATE_AT_MERCHANT  another row of its reference and kind has an item
                   STATE_MISMATCH       it says void, and the ledger's lines do not sum to zero
                   MISSING_IN_LEDGER
    batch          UNPAID               less was paid than its net, or nothing
                   OVERPAID             more was paid than its net; of no batch, the net is 0
                   MATCHED

The same kind and amount booked two days apart or more is no pair: a line and a row alone. A
reference that the merchant voided agrees with lines that sum to zero, and with none: all MATCHED.
A batch with a net below zero is owed nothing: the debt is netted in the next one.
"""

from __future__ import annotations

import enum
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from merchant.domain.business_days import neighbours
from merchant.domain.journals import JournalKind, JournalRow, PaymentRow
from merchant.domain.settlement_records import LineKind


class Outcome(enum.StrEnum):
    """What the match says of an item; a closed list."""

    MATCHED = "MATCHED"
    MISSING_AT_MERCHANT = "MISSING_AT_MERCHANT"
    MISSING_IN_LEDGER = "MISSING_IN_LEDGER"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    STATE_MISMATCH = "STATE_MISMATCH"
    DUPLICATE_AT_MERCHANT = "DUPLICATE_AT_MERCHANT"
    CUTOFF_SHIFT = "CUTOFF_SHIFT"
    LATE_OFFLINE = "LATE_OFFLINE"
    UNPAID = "UNPAID"
    OVERPAID = "OVERPAID"


class LedgerLine(NamedTuple):
    """A settled line of one merchant; refunds have negative points. `business_date` is the batch's,
    also when the line is late.
    """

    redemption_id: str
    merchant_ref: str
    kind: LineKind
    points: int
    business_date: str
    late_offline: bool = False


class BatchNet(NamedTuple):
    """A closed batch and what it is worth."""

    batch: str
    merchant: str
    business_date: str
    sequence: int
    net_fen: int


class LineItem(NamedTuple):
    """What became of a line, a row, or both. The difference is the merchant's points less the
    ledger's.
    """

    outcome: Outcome
    line: LedgerLine | None
    row: JournalRow | None
    difference_points: int


class BatchItem(NamedTuple):
    """What became of a batch and its payments; no batch: they name one that is not there. The
    difference is what was paid less what was owed.
    """

    outcome: Outcome
    batch: BatchNet | None
    payments: tuple[PaymentRow, ...]
    difference_fen: int


class Reconciliation(NamedTuple):
    """All items of a three-way match."""

    line_items: tuple[LineItem, ...]
    batch_items: tuple[BatchItem, ...]

    @property
    def work_items(self) -> tuple[LineItem | BatchItem, ...]:
        """Gives every item that somebody has to look at."""
        return (
            *(item for item in self.line_items if item.outcome is not Outcome.MATCHED),
            *(item for item in self.batch_items if item.outcome is not Outcome.MATCHED),
        )


def reconcile(
    lines: Iterable[LedgerLine],
    rows: Iterable[JournalRow],
    batches: Sequence[BatchNet],
    payments: Iterable[PaymentRow],
    *,
    first_date: str,
    last_date: str,
) -> Reconciliation:
    """Matches everything of one merchant: see `match_lines` and `match_payments`."""
    return Reconciliation(
        match_lines(lines, rows, first_date=first_date, last_date=last_date),
        match_payments(batches, payments),
    )


def match_lines(
    lines: Iterable[LedgerLine], rows: Iterable[JournalRow], *, first_date: str, last_date: str
) -> tuple[LineItem, ...]:
    """Matches the ledger's lines and the journal's rows of one merchant.

    Give those of the day before `first_date` and of the day after `last_date` as well: they are
    partners of what the cut-off shifted. Items without a line or row from first to last date are
    left out. Items come in the order of the references, lines' first.
    """
    groups: dict[str, tuple[list[LedgerLine], list[JournalRow]]] = {}
    for line in lines:
        groups.setdefault(line.merchant_ref, ([], []))[0].append(line)
    for row in rows:
        groups.setdefault(row.merchant_ref, ([], []))[1].append(row)
    return tuple(
        item
        for its_lines, its_rows in groups.values()
        for item in _match_group(its_lines, its_rows)
        if (item.line is not None and first_date <= item.line.business_date <= last_date)
        or (item.row is not None and first_date <= item.row.business_date <= last_date)
    )


def match_payments(
    batches: Sequence[BatchNet], payments: Iterable[PaymentRow]
) -> tuple[BatchItem, ...]:
    """Matches batches, of one merchant or of many, and what was paid for them.

    The payments of a batch are summed; what came back is negative. Batches come in order, then
    payments that name no batch.
    """
    paid: dict[str, list[PaymentRow]] = {batch.batch: [] for batch in batches}
    ids = {(batch.merchant, batch.business_date, batch.sequence): batch.batch for batch in batches}
    strays: list[BatchItem] = []
    for payment in payments:
        named = (payment.merchant, payment.business_date, payment.sequence)
        its = paid.get(payment.batch or ids.get(named, ""))
        if its is None:
            outcome = _outcome_of_payment(payment.paid_fen)
            strays.append(BatchItem(outcome, None, (payment,), payment.paid_fen))
        else:
            its.append(payment)
    return (*(_batch_item(batch, paid[batch.batch]) for batch in batches), *strays)


def _batch_item(batch: BatchNet, payments: list[PaymentRow]) -> BatchItem:
    difference = sum(payment.paid_fen for payment in payments) - max(batch.net_fen, 0)
    return BatchItem(_outcome_of_payment(difference), batch, tuple(payments), difference)


def _outcome_of_payment(difference_fen: int) -> Outcome:
    if difference_fen < 0:
        return Outcome.UNPAID
    return Outcome.OVERPAID if difference_fen else Outcome.MATCHED


def _match_group(lines: list[LedgerLine], rows: list[JournalRow]) -> Iterator[LineItem]:
    """Matches what has the same reference."""
    if len(lines) == len(rows) == 1 and not _are_days_apart(lines[0], rows[0]):
        # Nearly all are like this, and the rest comes to the same.
        yield _item(_outcome_of_pair(lines[0], rows[0]), lines[0], rows[0])
        return
    voided = any(row.kind is JournalKind.VOID for row in rows)
    if voided and not sum(line.points for line in lines):
        for line, row in zip_longest(lines, rows):
            yield _item(Outcome.MATCHED, line, row)
        return
    pairs, lines_left, rows_left = _pair(lines, rows)
    kinds_seen = {row.kind for _, row in pairs}
    for line, row in pairs:
        yield _item(_outcome_of_pair(line, row), line, row)
    for line in lines_left:
        late = line.late_offline
        yield _item(Outcome.LATE_OFFLINE if late else Outcome.MISSING_AT_MERCHANT, line, None)
    for row in rows_left:
        outcome = Outcome.MISSING_IN_LEDGER
        if row.kind in kinds_seen:
            outcome = Outcome.DUPLICATE_AT_MERCHANT
        elif row.kind is JournalKind.VOID:
            outcome = Outcome.STATE_MISMATCH
        kinds_seen.add(row.kind)
        yield _item(outcome, None, row)


_Pair = tuple[LedgerLine, JournalRow]
_Key = tuple[str | int, ...]


def _pair(
    lines: list[LedgerLine], rows: list[JournalRow]
) -> tuple[list[_Pair], list[LedgerLine], list[JournalRow]]:
    """Pairs lines and rows of one reference, the likest first; and gives what is left."""
    pairs: list[_Pair] = []
    lines_apart: list[LedgerLine] = []
    rows_apart: list[JournalRow] = []
    for line_keys, row_key in _PASSES:
        if not lines or not rows:
            break
        found, lines, rows = _pair_by(line_keys, row_key, lines, rows)
        for line, row in found:
            if _are_days_apart(line, row):
                lines_apart.append(line)
                rows_apart.append(row)
            else:
                pairs.append((line, row))
    return pairs, lines_apart + lines, rows_apart + rows


def _pair_by(
    line_keys: Callable[[LedgerLine], tuple[_Key, ...]],
    row_key: Callable[[JournalRow], _Key],
    lines: list[LedgerLine],
    rows: list[JournalRow],
) -> tuple[list[_Pair], list[LedgerLine], list[JournalRow]]:
    """Pairs each line with the first row that has one of its keys and is not taken yet."""
    waiting: defaultdict[_Key, deque[int]] = defaultdict(deque)
    for index, row in enumerate(rows):
        waiting[row_key(row)].append(index)
    pairs: list[_Pair] = []
    lines_left: list[LedgerLine] = []
    taken: set[int] = set()
    for line in lines:
        queue = next((waiting[key] for key in line_keys(line) if waiting.get(key)), None)
        if queue is None:
            lines_left.append(line)
            continue
        index = queue.popleft()
        taken.add(index)
        pairs.append((line, rows[index]))
    return pairs, lines_left, [row for index, row in enumerate(rows) if index not in taken]


def _neighbour_keys(line: LedgerLine) -> tuple[_Key, ...]:
    return tuple((str(line.kind), line.points, day) for day in neighbours(line.business_date))


_PASSES: tuple[
    tuple[Callable[[LedgerLine], tuple[_Key, ...]], Callable[[JournalRow], _Key]], ...
] = (
    (
        lambda line: ((str(line.kind), line.points, line.business_date),),
        lambda row: (str(row.kind), row.points, row.business_date),
    ),
    (_neighbour_keys, lambda row: (str(row.kind), row.points, row.business_date)),
    (
        lambda line: ((str(line.kind), line.points),),
        lambda row: (str(row.kind), row.points),
    ),
    (lambda line: ((str(line.kind),),), lambda row: (str(row.kind),)),
    (lambda _line: ((),), lambda _row: ()),
)
"""How like a line and a row have to be, pass by pass."""


def _are_days_apart(line: LedgerLine, row: JournalRow) -> bool:
    """Says whether one movement seems booked on two days that no cut-off explains."""
    return (
        row.business_date != line.business_date
        and row.points == line.points
        and str(row.kind) == str(line.kind)
        and not line.late_offline
        and row.business_date not in neighbours(line.business_date)
    )


def _outcome_of_pair(line: LedgerLine, row: JournalRow) -> Outcome:
    """Gives the first outcome of the table that holds."""
    if str(line.kind) != str(row.kind):
        return Outcome.STATE_MISMATCH
    if line.points != row.points:
        return Outcome.AMOUNT_MISMATCH
    if line.late_offline:
        return Outcome.LATE_OFFLINE
    if line.business_date != row.business_date:
        return Outcome.CUTOFF_SHIFT
    return Outcome.MATCHED


def _item(outcome: Outcome, line: LedgerLine | None, row: JournalRow | None) -> LineItem:
    said = row.points if row is not None and row.kind is not JournalKind.VOID else 0
    return LineItem(outcome, line, row, said - (line.points if line is not None else 0))
