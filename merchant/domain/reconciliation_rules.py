"""Reconciliation 对账: where ledger, journal and bank differ there is work, and it is worked off.

Owns: the outcome of each redemption and batch, and the work items that are kept. Refuses: files.
Rules: everything but MATCHED is an item. Its id is made of what it says, so that the same file sent
in again keeps items with their owners and their age; open items about the same days or batches that
the comparison does not find any more are removed, and what was resolved stays resolved. Of the
outcomes of a redemption that stands on both sides the first that fits is given: STATE_MISMATCH,
AMOUNT_MISMATCH, LATE_OFFLINE (the till sold while its line was down, and the ledger learned of it
on a later business day), CUTOFF_SHIFT. Nothing was sold by a redemption that was voided,
reversed, expired or declined, whichever of these each side says, and a journal may leave it out.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from merchant.domain.documents import Advice, Batch, Comparison, Item
from merchant.domain.places import Key
from merchant.domain.reconciliation_tables import AdviceRow, JournalRow, Rows, reject
from merchant.domain.redemption_effects import RELEASED
from merchant.domain.settlement_rules import SETTLED
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError
from timebank.ids import ID_BYTES, id_from_bytes

_ADVICES_INDEX = Batch._fields.index("advices")


class Outcome(enum.StrEnum):
    """What a comparison says; a closed list."""

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


class LedgerRow(NamedTuple):
    """A redemption as the ledger knows it."""

    merchant_ref: str
    business_date: str
    state: RedemptionState
    captured: int
    refunded: int


class Difference(NamedTuple):
    """What will be a work item."""

    outcome: Outcome
    business_date: str
    merchant_ref: str
    ledger_amount: int
    merchant_amount: int
    place: int = 0
    """Which of several rows of one reference it is about."""


class KeepJournal(NamedTuple):
    """What a journal's comparison found, and the open items that were about the same."""

    merchant_id: str
    rows: Rows
    matched_count: int
    differences: tuple[Difference, ...]
    old_items: tuple[str, ...]


class TakeAdvice(NamedTuple):
    """An advice, by batch what it says of each, the batches it is compared with, and the open items
    about these.
    """

    rows: Rows
    paid: Mapping[str, Sequence[AdviceRow]]
    batches: tuple[Key, ...]
    old_items: tuple[str, ...]


class ResolveItem(NamedTuple):
    """Who looks into an item, and what was done; no resolution: it stays open."""

    item_id: str
    owner: str
    resolution: str
    caller: str


def compare_journal(
    ledger: Mapping[str, LedgerRow],
    rows: Sequence[JournalRow],
    *,
    first_date: str,
    last_date: str,
) -> tuple[list[Difference], int]:
    """Compares redemptions by reference with a journal; gives what differs, and how many rows
    agree. `ledger` has at least those of the days and those that rows name.
    """
    differences: list[Difference] = []
    seen: dict[str, int] = {}
    matched = 0
    for row in rows:
        place = seen[row.merchant_ref] = seen.get(row.merchant_ref, -1) + 1
        known = ledger.get(row.merchant_ref)
        outcome = Outcome.DUPLICATE_AT_MERCHANT if place else outcome_of(known, row)
        if outcome is Outcome.MATCHED:
            matched += 1
            continue
        differences.append(_difference(outcome, known, row, place))
    differences.extend(
        _difference(Outcome.MISSING_AT_MERCHANT, known, None)
        for known in ledger.values()
        if known.merchant_ref not in seen and known.captured and known.state not in RELEASED
    )
    within = [item for item in differences if first_date <= item.business_date <= last_date]
    return within, matched


def outcome_of(known: LedgerRow | None, row: JournalRow) -> Outcome:
    """Says how a redemption and the first row of its reference agree."""
    if known is None:
        sold = row.captured and row.state not in RELEASED
        return Outcome.MISSING_IN_LEDGER if sold else Outcome.MATCHED
    if known.state in RELEASED and row.state in RELEASED:
        return Outcome.MATCHED
    if known.state is not row.state:
        return Outcome.STATE_MISMATCH
    if (known.captured, known.refunded) != (row.captured, row.refunded):
        return Outcome.AMOUNT_MISMATCH
    if known.business_date == row.business_date:
        return Outcome.MATCHED
    late = row.offline and known.business_date > row.business_date
    return Outcome.LATE_OFFLINE if late else Outcome.CUTOFF_SHIFT


def _difference(
    outcome: Outcome, known: LedgerRow | None, row: JournalRow | None, place: int = 0
) -> Difference:
    date = known.business_date if known else row.business_date if row else ""
    ref = known.merchant_ref if known else row.merchant_ref if row else ""
    ledger_amount = known.captured - known.refunded if known else 0
    said = row.captured - row.refunded if row else 0
    return Difference(outcome, date, ref, ledger_amount, said, place)


def keep_journal(transaction: Transaction, command: KeepJournal) -> Comparison:
    """Replaces the open items of a journal's days by what differs now."""
    found = [
        Item(
            f"{command.merchant_id}/{_id_of(command.merchant_id, *map(str, difference))}",
            *(difference.business_date, difference.merchant_ref, difference.outcome.value),
            *(difference.ledger_amount, difference.merchant_amount, 0, 0, transaction.now_us),
        )
        for difference in command.differences
    ]
    open_count = _replace(transaction, command.old_items, found)
    return _comparison(transaction, command.rows, command.matched_count, open_count)


def take_advice(transaction: Transaction, command: TakeAdvice) -> Comparison:
    """Adds what the bank paid to batches, and replaces their open items by what differs now.

    What was paid for a batch on a day is replaced by what a later advice says of that day. A row
    about a batch that is not closed does not count.
    """
    transaction.want(*command.batches)
    advised: list[tuple[Batch, Sequence[AdviceRow]]] = []
    found, unknown, matched = [], dict(command.paid), 0
    for _, batch_id in command.batches:
        batch = transaction.find(Batch, batch_id)
        if batch is None or batch.state not in SETTLED:
            continue
        said = unknown.pop(batch_id, ())
        if said:
            advised.append((batch, said))
        outcome, paid_fen = compare_batch(batch, _paid(batch.advices, said))
        if outcome is Outcome.MATCHED:
            matched += 1
        else:
            found.append(_batch_item(batch, outcome, paid_fen, transaction.now_us))
    open_count = _replace(transaction, command.old_items, found)
    # After what may begin the rule anew, so that very many batches are written down once.
    for batch, said in advised:
        transaction.put(_with_advices(batch, _advised(batch.advices, said)))
    rows = _without(command.rows, itertools.chain.from_iterable(unknown.values()))
    return _comparison(transaction, rows, matched, open_count)


def _without(rows: Rows, unknown: Iterable[AdviceRow]) -> Rows:
    """Rejects rows about batches that are not closed."""
    for row in unknown:
        rows = reject(rows, row.row, f"batch: expected a closed batch, got {row.batch_id}")
    return rows


def _with_advices(batch: Batch, advices: tuple[Advice, ...]) -> Batch:
    """Gives a batch with other advices; with so many fields, and batches, `_replace` is slow."""
    return Batch._make((*batch[:_ADVICES_INDEX], advices, *batch[_ADVICES_INDEX + 1 :]))


def compare_batch(batch: Batch, paid: Sequence[Advice | AdviceRow]) -> tuple[Outcome, int]:
    """Compares a batch with what the bank says it paid; gives the outcome and those fen.

    What came back is negative; a batch with a net below zero is owed nothing.
    """
    paid_fen = paid[0].paid_fen if len(paid) == 1 else sum(advice.paid_fen for advice in paid)
    return outcome_of_payment(batch.net_fen, paid_fen), paid_fen


def outcome_of_payment(net_fen: int, paid_fen: int) -> Outcome:
    """Says whether a batch was paid what it is owed."""
    owed_fen = net_fen if net_fen > 0 else 0
    if paid_fen == owed_fen:
        return Outcome.MATCHED
    return Outcome.UNPAID if paid_fen < owed_fen else Outcome.OVERPAID


def resolve_item(transaction: Transaction, command: ResolveItem) -> Item:
    """Gives an item to an owner, or closes it; the same resolution again is as it is.

    Raises RECONCILIATION_ITEM_NOT_FOUND, RECONCILIATION_ITEM_STATE.
    """
    item = transaction.find(Item, command.item_id)
    if item is None:
        raise TimebankError(
            Reason.RECONCILIATION_ITEM_NOT_FOUND,
            f"no reconciliation item {command.item_id}",
            item=command.item_id,
        )
    owner = command.owner or item.owner or command.caller
    if item.resolved_us:
        if (owner, command.resolution) == (item.owner, item.resolution):
            return item
        raise TimebankError(
            Reason.RECONCILIATION_ITEM_STATE,
            f"reconciliation item {command.item_id} is resolved: it stays as it is",
            item=command.item_id,
        )
    resolved_us = transaction.now_us if command.resolution else 0
    item = item._replace(owner=owner, resolution=command.resolution, resolved_us=resolved_us)
    transaction.put(item)
    return item


def is_about(item: Item, first_date: str, last_date: str, refs: frozenset[str]) -> bool:
    """Says whether an open item is about a redemption of these days or with these references."""
    if item.resolved_us or item.batch:
        return False
    return first_date <= item.business_date <= last_date or item.merchant_ref in refs


def keys_of(command: KeepJournal | TakeAdvice) -> tuple[Key, ...]:
    """Names the documents that a command is sure to ask for."""
    old = tuple((DocumentKind.ITEM, item_id) for item_id in command.old_items)
    if isinstance(command, TakeAdvice):
        return (*old, *command.batches)
    return old


def _paid(before: tuple[Advice, ...], said: Sequence[AdviceRow]) -> Sequence[Advice | AdviceRow]:
    """Gives what was paid for a batch by day; a first row says it as it stands."""
    if not said:
        return before
    return _advised(before, said) if before or len(said) > 1 else said


def _advised(before: tuple[Advice, ...], said: Sequence[AdviceRow]) -> tuple[Advice, ...]:
    if not before and len(said) == 1:
        return (Advice(said[0].paid_date, said[0].paid_fen),)
    by_date = {advice.paid_date: advice for advice in before}
    sums: dict[str, int] = {}
    for row in said:
        sums[row.paid_date] = sums.get(row.paid_date, 0) + row.paid_fen
    by_date |= {date: Advice(date, fen) for date, fen in sums.items()}
    return tuple(by_date[date] for date in sorted(by_date))


def _batch_item(batch: Batch, outcome: Outcome, paid_fen: int, now_us: int) -> Item:
    merchant_id = batch.batch_id.partition("/")[0]
    own_id = _id_of(batch.batch_id, outcome.value, batch.net_fen, paid_fen)
    return Item(
        f"{merchant_id}/{own_id}",
        *(batch.business_date, "", outcome.value, batch.net_points, 0),
        *(batch.net_fen, paid_fen, now_us),
        batch=batch.batch_id,
    )


def _replace(transaction: Transaction, old_items: Sequence[str], found: Sequence[Item]) -> int:
    """Keeps the items that were found and removes open ones that were not; gives how many are
    open.
    """
    kind = DocumentKind.ITEM
    transaction.want(*((kind, item.item_id) for item in found), *((kind, old) for old in old_items))
    open_count, kept = 0, set()
    for item in found:
        known = transaction.find(Item, item.item_id)
        kept.add(item.item_id)
        if known is None:
            transaction.put(item)
        open_count += known is None or not known.resolved_us
    for item_id in old_items:
        known = transaction.find(Item, item_id)
        if item_id not in kept and known is not None and not known.resolved_us:
            transaction.delete(Item, item_id)
    return open_count


def _comparison(transaction: Transaction, rows: Rows, matched: int, open_count: int) -> Comparison:
    comparison = Comparison(
        *(transaction.new_id(), transaction.now_us, rows.row_count, rows.rejected_count),
        *(matched, open_count, rows.bad_rows),
    )
    transaction.put(comparison)
    return comparison


def _id_of(*said: object) -> str:
    """Makes the id of an item of what it says."""
    return id_from_bytes(hashlib.sha256(repr(said).encode()).digest()[:ID_BYTES])
