"""Batches, work items and statements: messages to domain values and back."""

from __future__ import annotations

import re
from datetime import date, timedelta

from merchant.domain.business_days import parse_date
from merchant.domain.documents import BadRow, Batch, Comparison, Item, Merchant
from merchant.domain.reconciliation_rules import ResolveItem
from merchant.domain.settlement_rules import BatchState, RecordPayout
from merchant.names import (
    batch_name,
    invalid,
    item_name,
    merchant_name,
    redemption_name,
    text_of,
    us_from_wire,
    us_to_wire,
)
from merchant.usecases.settlement_lists import Filter, Statement, StatementLine
from merchant.usecases.sold_days import Days
from timebank.merchant.v1 import merchant_pb2, settlement_pb2, settlement_service_pb2

JOURNAL_DAYS_MAX = 31
STATEMENT_DAYS_MAX = 92
INVOICE_CHARACTERS_MAX = 40
RESOLUTION_CHARACTERS_MAX = 2_000
_PERSON = re.compile(r"[\x21-\x7e]{0,40}")
_State = settlement_pb2.SettlementBatch.State
_Outcome = settlement_pb2.ReconciliationItem.Outcome
_Kind = settlement_pb2.StatementLine.Kind
_LINE_KINDS = {
    "REDEMPTION": _Kind.KIND_CAPTURE,
    "REFUND": _Kind.KIND_REFUND,
    "SETTLEMENT": _Kind.KIND_SETTLEMENT,
}
UNITS = (merchant_pb2.UNIT_POINTS, merchant_pb2.UNIT_TIME)


def date_from_wire(field: str, text: str) -> str:
    """Reads a business day. Raises VALIDATION_FAILED."""
    return parse_date(field, text).isoformat()


def days_from_wire(start_date: str, end_date: str, days_max: int) -> Days:
    """Reads a period of at most so many business days. Raises VALIDATION_FAILED."""
    first = parse_date("start_date", start_date)
    last = parse_date("end_date", end_date)
    if not first <= last < first + timedelta(days=days_max):
        latest = min(first + timedelta(days=days_max - 1), date(9998, 12, 31))
        raise invalid("end_date", f"expected {first} to {latest}, got {last}")
    return Days(first.isoformat(), last.isoformat())


def payout_from_wire(
    batch_id: str, request: settlement_service_pb2.RecordPayoutRequest
) -> RecordPayout:
    """Reads a payment. Raises VALIDATION_FAILED."""
    if request.paid_fen < 0:
        raise invalid("paid_fen", f"expected 0 or more, got {request.paid_fen}")
    text, limit = request.invoice_number, INVOICE_CHARACTERS_MAX
    invoice_number = text_of("invoice_number", text, limit, characters_min=0)
    paid_us = us_from_wire(request.paid_time, "paid_time")
    return RecordPayout(batch_id, request.paid_fen, invoice_number, paid_us)


def batches_wanted(request: settlement_service_pb2.ListBatchesRequest) -> Filter:
    """Reads which batches are wanted. Raises VALIDATION_FAILED."""
    state = ""
    if request.state:
        if request.state not in _State.values():
            raise invalid("state", f"expected a value of the contract, got {request.state}")
        state = _State.Name(request.state).removeprefix("STATE_")
    return Filter(state, *_dates(request.start_date, request.end_date))


def items_wanted(request: settlement_service_pb2.ListReconciliationItemsRequest) -> Filter:
    """Reads which work items are wanted. Raises VALIDATION_FAILED."""
    outcome = ""
    if request.outcome:
        if request.outcome not in _Outcome.values():
            raise invalid("outcome", f"expected a value of the contract, got {request.outcome}")
        outcome = _Outcome.Name(request.outcome).removeprefix("OUTCOME_")
    dates = _dates(request.start_date, request.end_date)
    if not _PERSON.fullmatch(request.owner):
        raise invalid("owner", "expected at most 40 visible ASCII characters")
    return Filter(outcome, *dates, request.owner, request.resolved)


def resolution_from_wire(
    item_id: str, request: settlement_service_pb2.ResolveReconciliationItemRequest, caller: str
) -> ResolveItem:
    """Reads who looks into an item, and what was done. Raises VALIDATION_FAILED."""
    if not _PERSON.fullmatch(request.owner):
        raise invalid("owner", "expected at most 40 visible ASCII characters")
    text, limit = request.resolution, RESOLUTION_CHARACTERS_MAX
    if len(text) > limit or any(not line.isprintable() for line in text.split("\n")):
        raise invalid("resolution", f"expected at most {limit:,} characters of text")
    return ResolveItem(item_id, request.owner, text, caller)


def batch_to_wire(
    ledger_id: str, batch: Batch, *, replayed: bool = False
) -> settlement_pb2.SettlementBatch:
    """Writes a batch."""
    is_paid = batch.state == BatchState.PAID
    return settlement_pb2.SettlementBatch(
        name=batch_name(ledger_id, batch.batch_id),
        business_date=batch.business_date,
        sequence=batch.sequence,
        state=_State.Value(f"STATE_{batch.state}"),
        line_count=batch.line_count,
        redeemed_points=batch.redeemed_points,
        refunded_points=batch.refunded_points,
        net_points=batch.net_points,
        redeemed_minutes=batch.redeemed_minutes,
        refunded_minutes=batch.refunded_minutes,
        net_minutes=batch.net_minutes,
        net_fen=batch.net_fen,
        file_sha256=batch.file_sha256,
        previous_file_sha256=batch.previous_file_sha256,
        invoice_number=batch.invoice_number if is_paid else "",
        close_time=us_to_wire(batch.closed_us) if batch.closed_us else None,
        paid_time=us_to_wire(batch.paid_us) if is_paid else None,
        settlement_entry=batch.entry,
        file_signature=batch.jws,
        payout_entry=batch.payout_entry,
        paid_fen=batch.paid_fen,
        replayed=replayed,
    )


def item_to_wire(ledger_id: str, item: Item) -> settlement_pb2.ReconciliationItem:
    """Writes a work item."""
    return settlement_pb2.ReconciliationItem(
        name=item_name(ledger_id, item.item_id),
        business_date=item.business_date,
        merchant_ref=item.merchant_ref,
        outcome=_Outcome.Value(f"OUTCOME_{item.outcome}"),
        ledger_amount=item.ledger_points,
        merchant_amount=item.merchant_points,
        settled_fen=item.ledger_fen,
        paid_fen=item.paid_fen,
        owner=item.owner,
        open_time=us_to_wire(item.opened_us),
        resolve_time=us_to_wire(item.resolved_us) if item.resolved_us else None,
        resolution=item.resolution,
    )


def journal_answer(
    comparison: Comparison, *, replayed: bool
) -> settlement_service_pb2.SubmitMerchantJournalResponse:
    """Writes what came of a journal."""
    return settlement_service_pb2.SubmitMerchantJournalResponse(
        row_count=comparison.row_count,
        accepted_count=comparison.row_count - comparison.rejected_count,
        rejected_count=comparison.rejected_count,
        errors=map(_error, comparison.bad_rows),
        matched_count=comparison.matched_count,
        item_count=comparison.item_count,
        replayed=replayed,
    )


def advice_answer(
    comparison: Comparison, *, replayed: bool
) -> settlement_service_pb2.SubmitPayoutAdviceResponse:
    """Writes what came of a payout advice."""
    return settlement_service_pb2.SubmitPayoutAdviceResponse(
        row_count=comparison.row_count,
        accepted_count=comparison.row_count - comparison.rejected_count,
        rejected_count=comparison.rejected_count,
        errors=map(_error, comparison.bad_rows),
        matched_count=comparison.matched_count,
        item_count=comparison.item_count,
        replayed=replayed,
    )


def statement_to_wire(
    ledger_id: str, merchant: Merchant, days: Days, unit: int, statement: Statement
) -> settlement_pb2.MerchantStatement:
    """Writes a page of a statement, without the token of the next one."""
    return settlement_pb2.MerchantStatement(
        merchant=merchant_name(ledger_id, merchant.merchant_id),
        start_date=days.first,
        end_date=days.last,
        unit=unit,  # type: ignore[arg-type]  # checked to be one of the contract's
        opening_balance=statement.opening,
        closing_balance=statement.closing,
        lines=[_line(ledger_id, line) for line in statement.lines],
    )


def _line(ledger_id: str, line: StatementLine) -> settlement_pb2.StatementLine:
    movement, redemption, batch = line.movement, line.redemption, line.batch
    return settlement_pb2.StatementLine(
        kind=_LINE_KINDS.get(movement.kind, _Kind.KIND_OTHER),
        time=us_to_wire(movement.recorded_us),
        business_date=line.business_date,
        merchant_ref=redemption.merchant_ref if redemption else "",
        redemption=redemption_name(ledger_id, redemption.redemption_id) if redemption else "",
        batch=batch_name(ledger_id, batch.batch_id) if batch else "",
        amount=movement.amount,
        balance=line.balance,
        entry=movement.entry,
        settled_fen=batch.net_fen if batch else 0,
    )


def _error(bad: BadRow) -> settlement_pb2.RowError:
    return settlement_pb2.RowError(row=bad.row, message=bad.message)


def _dates(start_date: str, end_date: str) -> tuple[str, str]:
    """Reads the bounds of a list; empty ones stay empty."""
    first = date_from_wire("start_date", start_date) if start_date else ""
    return first, date_from_wire("end_date", end_date) if end_date else ""
