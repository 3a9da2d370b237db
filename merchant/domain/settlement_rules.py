"""Settlement of a merchant's business day 日结: which lines a batch takes, and how it moves on.

Owns: the steps of a batch, each a transaction of its own. OPEN: lines join it page by page.
CLOSING: its lines, points and fen are fixed. CLOSED: the ledger has settled it and its file is
known, and what budgets have spent is what was paid (see merchant.domain.budget_adjustments). PAID:
the bank has paid it. A state never moves back, and a step that was done already changes nothing, so
that whoever finds a batch half-way, after a crash or in another process, just goes on. Refuses:
asking the ledger, and the bytes of files.
Rules: a merchant has one batch under way at a time, because each file names the one before, and its
days follow each other (see closing_dates.py). A batch has one rate: lines of another rate make the
next sequence. Lines of earlier days that come late keep their date. A batch whose points are not
more than zero settles nothing: what the merchant owes is one CARRIED line, which the next batch
with lines takes at its own rate. Refunds of later days are taken too when they alone would bring
the merchant's points below what it may owe. Lines in minutes of TIME join whatever the rate: TIME
is never turned into money, so they are listed and summed apart, come to no fen, and stay on the
merchant's TIME account.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from merchant.domain.budget_adjustments import BudgetShare, adjust_budgets, debtor_of
from merchant.domain.closing_dates import check_in_turn, check_over
from merchant.domain.documents import Batch, Line, Merchant
from merchant.domain.remainder_counts import count_remainders
from merchant.domain.remainders import fen_of_points
from merchant.domain.settlement_files import LINES_MAX
from merchant.domain.states import DocumentKind, MerchantState
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError

CARRIED = "CARRIED"
"""The kind of a line by which a batch is lowered by what the merchant owed after the one before."""


class BatchState(enum.StrEnum):
    """Where a batch stands; it only moves forward."""

    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    PAID = "PAID"


SETTLED = frozenset({BatchState.CLOSED, BatchState.PAID})


class OpenBatch(NamedTuple):
    """A batch to begin. `rate` is that of its first line, None when nothing is to be settled;
    `batches_seen` is how many the merchant had when that was looked up.
    """

    merchant_id: str
    business_date: str
    sequence: int
    rate: int | None
    batches_seen: int
    zone: str


class TakeLines(NamedTuple):
    """Lines that join a batch; `nets_refunds`: refunds of any day and rate as well."""

    batch_id: str
    line_ids: tuple[str, ...]
    nets_refunds: bool = False


class CloseBatch(NamedTuple):
    """What a batch is closed with: its file's digest and signature, the ledger's entry, and how the
    fen of its lines differ from what they made budgets spend.
    """

    batch_id: str
    file_sha256: str
    jws: str
    entry: str
    settled_us: int
    shares: tuple[BudgetShare, ...] = ()


class RecordPayout(NamedTuple):
    """A payment of a batch as the bank made it; `paid_us` is the bank's time."""

    batch_id: str
    paid_fen: int
    invoice_number: str
    paid_us: int


def open_batch(transaction: Transaction, command: OpenBatch) -> Batch:
    """Begins a batch of a day that is over; a day that is closed and has nothing late gives its
    last batch.

    Raises MERCHANT_NOT_FOUND, VALIDATION_FAILED for a day that is not over, OUTCOME_UNKNOWN while
    another one is under way, VALIDATION_FAILED while an earlier day is not closed.
    """
    merchant = find_merchant(transaction, command.merchant_id)
    check_over(merchant, command.business_date, command.zone, transaction.now_us)
    if merchant.open_batch or merchant.batches != command.batches_seen:
        raise _under_way(command.merchant_id)
    check_in_turn(merchant, command.business_date, command.zone)
    if command.rate is None and command.sequence > 1:
        before = batch_id_of(command.merchant_id, command.business_date, command.sequence - 1)
        return find_batch(transaction, before)
    batch = Batch(
        batch_id_of(command.merchant_id, command.business_date, command.sequence),
        command.business_date,
        command.sequence,
        BatchState.OPEN,
        merchant.fen_per_hundred_points if command.rate is None else command.rate,
        transaction.now_us,
    )
    if transaction.find(Batch, batch.batch_id) is not None:
        raise _under_way(command.merchant_id)
    transaction.put(batch)
    transaction.put(merchant._replace(open_batch=batch.batch_id))
    return batch


def batch_id_of(merchant_id: str, business_date: str, sequence: int) -> str:
    """Names a batch."""
    return f"{merchant_id}/{business_date}-{sequence}"


def makes_batch(line: Line, business_date: str) -> bool:
    """Says whether a line is reason enough for a batch of a day."""
    return line.kind != CARRIED and line.business_date <= business_date


def fits(line: Line, batch: Batch, *, nets_refunds: bool) -> bool:
    """Says whether a line that is not settled may join a batch."""
    if nets_refunds and line.points < 0:
        return True
    in_time = line.business_date <= batch.business_date
    any_rate = line.kind == CARRIED or line.minutes
    return in_time and bool(any_rate or line.rate == batch.rate)


def take_lines(transaction: Transaction, command: TakeLines) -> Batch:
    """Adds lines to an open batch; those that are settled already, or do not fit, stay."""
    kind = DocumentKind.LINE
    transaction.want(*((kind, line_id) for line_id in command.line_ids))
    batch = find_batch(transaction, command.batch_id)
    if batch.state != BatchState.OPEN:
        return batch
    own_id = batch.batch_id.partition("/")[2]
    count, taken, minutes = batch.line_count, [], []
    for line_id in command.line_ids:
        line = transaction.find(Line, line_id)
        if line is None or line.batch or count >= LINES_MAX:
            continue
        if not fits(line, batch, nets_refunds=command.nets_refunds):
            continue
        transaction.put(line._replace(batch=own_id))
        count += 1
        taken.append(line.points)
        minutes.append(line.minutes)
    redeemed = sum(points for points in taken if points > 0)
    redeemed_minutes = sum(amount for amount in minutes if amount > 0)
    batch = batch._replace(
        line_count=count,
        redeemed_points=batch.redeemed_points + redeemed,
        refunded_points=batch.refunded_points + redeemed - sum(taken),
        redeemed_minutes=batch.redeemed_minutes + redeemed_minutes,
        refunded_minutes=batch.refunded_minutes + redeemed_minutes - sum(minutes),
        remainders=count_remainders(batch.remainders, taken, fen_per_hundred_points=batch.rate),
    )
    transaction.put(batch)
    return batch


def fix_batch(transaction: Transaction, batch_id: str) -> Batch:
    """Fixes the lines of an open batch, and with them its points, its fen and the file before."""
    batch = find_batch(transaction, batch_id)
    if batch.state != BatchState.OPEN:
        return batch
    merchant = find_merchant(transaction, batch_id.partition("/")[0])
    net_points = batch.redeemed_points - batch.refunded_points
    batch = batch._replace(
        state=BatchState.CLOSING,
        net_points=net_points,
        net_fen=fen_of_points(net_points, fen_per_hundred_points=batch.rate),
        previous_file_sha256=merchant.last_file_sha256,
    )
    transaction.put(batch)
    return batch


def count_attempt(transaction: Transaction, batch_id: str, attempts: int) -> Batch:
    """Notes that the ledger declined, so that it is asked anew: its declines are final for their
    request id.
    """
    batch = find_batch(transaction, batch_id)
    if batch.attempts == attempts:
        batch = batch._replace(attempts=attempts + 1)
        transaction.put(batch)
    return batch


def close_batch(transaction: Transaction, command: CloseBatch) -> Batch:
    """Closes a batch that the ledger has settled: what its budgets have spent is set right, and
    what the merchant owes is carried on.
    """
    batch = find_batch(transaction, command.batch_id)
    if batch.state != BatchState.CLOSING:
        return batch
    merchant = find_merchant(transaction, batch.batch_id.partition("/")[0])
    debtor = debtor_of(merchant, command.shares)
    batch = batch._replace(
        state=BatchState.CLOSED,
        adjusted_fen=adjust_budgets(transaction, batch, command.shares, debtor),
        file_sha256=command.file_sha256,
        jws=command.jws,
        entry=command.entry,
        settled_us=command.settled_us,
        closed_us=transaction.now_us,
    )
    transaction.put(batch)
    transaction.put(
        merchant._replace(
            batches=merchant.batches + 1,
            last_closed_date=max(merchant.last_closed_date, batch.business_date),
            last_file_sha256=command.file_sha256,
            open_batch="",
        )
    )
    if batch.net_points < 0:
        transaction.put(_carried(batch, debtor, transaction.now_us))
    return batch


def _carried(batch: Batch, budget: str, now_us: int) -> Line:
    """Makes the line by which the next batch is lowered; it names the batch that it comes from."""
    own_id = batch.batch_id.partition("/")[2]
    line_id = f"{batch.batch_id.partition('/')[0]}/carried/{own_id}"
    return Line(
        *(line_id, batch.batch_id, "", CARRIED, batch.net_points, batch.rate, now_us),
        batch.business_date,
        budget=budget,
    )


def leave(transaction: Transaction, merchant_id: str) -> Merchant:
    """Ends the exit of a merchant for whom nothing is left to settle."""
    merchant = find_merchant(transaction, merchant_id)
    if merchant.state is MerchantState.LEAVING and not merchant.open_batch:
        merchant = merchant._replace(state=MerchantState.LEFT, version=merchant.version + 1)
        transaction.put(merchant)
    return merchant


def begin_payout(transaction: Transaction, command: RecordPayout) -> Batch:
    """Notes how a closed batch was paid, before the ledger is told; the same again is as it is.

    Raises BATCH_NOT_FOUND, BATCH_STATE, VALIDATION_FAILED for another sum than is owed.
    """
    batch = find_batch(transaction, command.batch_id)
    if batch.state not in SETTLED:
        raise _batch_state(batch, "close it first")
    owed_fen = max(batch.net_fen, 0)
    if batch.paid_us:
        said = (command.paid_fen, command.invoice_number, command.paid_us)
        if said != (owed_fen, batch.invoice_number, batch.paid_us):
            raise _batch_state(batch, "its payment was recorded with other content")
        return batch
    if command.paid_fen != owed_fen:
        text = f"expected {owed_fen}, what batch {batch.batch_id} comes to, got {command.paid_fen}"
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"paid_fen: {text}",
            violations=[("paid_fen", text)],
            field="paid_fen",
        )
    batch = batch._replace(
        invoice_number=command.invoice_number, paid_us=command.paid_us, attempts=0
    )
    transaction.put(batch)
    return batch


def finish_payout(transaction: Transaction, batch_id: str, entry: str) -> Batch:
    """Takes in that the ledger has entered a payment; no entry: there was nothing to pay."""
    batch = find_batch(transaction, batch_id)
    if batch.state == BatchState.CLOSED:
        paid_fen = max(batch.net_fen, 0)
        batch = batch._replace(state=BatchState.PAID, payout_entry=entry, paid_fen=paid_fen)
        transaction.put(batch)
    return batch


def find_batch(transaction: Transaction, batch_id: str) -> Batch:
    """Finds a batch. Raises BATCH_NOT_FOUND."""
    batch = transaction.find(Batch, batch_id)
    if batch is None:
        raise no_batch(batch_id)
    return batch


def find_merchant(transaction: Transaction, merchant_id: str) -> Merchant:
    """Finds a merchant. Raises MERCHANT_NOT_FOUND."""
    merchant = transaction.find(Merchant, merchant_id)
    if merchant is None:
        raise no_merchant(merchant_id)
    return merchant


def no_batch(batch_id: str) -> TimebankError:
    """Says that a batch does not exist, or is none of the caller's business."""
    return TimebankError(Reason.BATCH_NOT_FOUND, f"no batch {batch_id}", batch=batch_id)


def no_merchant(merchant_id: str) -> TimebankError:
    """Says that a merchant does not exist, or is none of the caller's business."""
    return TimebankError(
        Reason.MERCHANT_NOT_FOUND, f"no merchant {merchant_id}", merchant=merchant_id
    )


def check_closed(batch: Batch) -> None:
    """Refuses a batch that has no file yet, with BATCH_STATE."""
    if batch.state not in SETTLED:
        raise _batch_state(batch, "it has a file once it is closed")


def _batch_state(batch: Batch, advice: str) -> TimebankError:
    return TimebankError(
        Reason.BATCH_STATE,
        f"batch {batch.batch_id} is {batch.state}: {advice}",
        batch=batch.batch_id,
        state=batch.state,
    )


def _under_way(merchant_id: str) -> TimebankError:
    return TimebankError(
        Reason.OUTCOME_UNKNOWN,
        f"another batch of merchant {merchant_id} is being closed: call again in a moment",
        merchant=merchant_id,
    )
