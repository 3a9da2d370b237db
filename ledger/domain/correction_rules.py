"""Rules of corrections: a reversal undoes an entry once, refunds give it back in parts.

A reversal takes what the original made while it still exists, then other unreserved lots, then debt
up to the account's limit; it never touches what a hold reserves. A refund goes into the lots it was
paid from, latest expiry first; lots that have expired meanwhile come back expired and leave again
by an explicit expiry. Errors of both, first match wins: ENTRY_NOT_FOUND, MOVEMENT_NOT_ALLOWED,
ALREADY_REVERSED, REFUND_EXCEEDS_CAPTURE, ACCOUNT_CLOSED, AMOUNT_OVERFLOW, INSUFFICIENT_BALANCE.
Frozen accounts let corrections through.
"""

from ledger.domain.account import Account, Lot, LotChange, take_unreserved
from ledger.domain.commands import Refund, Reverse
from ledger.domain.decisions import Decision, check_open, find_account, insufficient
from ledger.domain.entry import Entry, EntryKind, Posting
from ledger.domain.fold import Correction, Projections
from ledger.domain.movements import MOVEMENTS
from ledger.domain.posting_rules import check_overflow
from timebank.errors import Reason, TimebankError


def decide_reversal(state: Projections, command: Reverse, original: Entry | None) -> Decision:
    """Decides the reversal of an entry. Raises the reasons named above."""
    entry = _correctable(original, command.entry_index)
    correction = state.corrections.get(entry.log_index, Correction(entry.log_index))
    if correction.reversed_by is not None or correction.refunded:
        done = f"reversed by entry {correction.reversed_by}"
        if correction.reversed_by is None:
            done = f"refunded by {correction.refunded}"
        raise TimebankError(
            Reason.ALREADY_REVERSED,
            f"entry {entry.log_index} was {done}: it cannot be reversed",
            entry=entry.log_index,
        )
    accounts = [find_account(state, posting.account_id) for posting in entry.postings]
    for account in accounts:
        check_open(account)
    postings = []
    for account, posting in zip(accounts, entry.postings, strict=True):
        if posting.amount > 0:
            lots = _take_back(account, posting)
        else:
            lots = _restore(account, posting, 0, -posting.amount)
        check_overflow(account, account.posted - posting.amount)
        postings.append(
            Posting(posting.account_id, posting.unit, -posting.amount, lots, posting.earned)
        )
    return Decision(
        EntryKind.REVERSAL,
        postings,
        original_index=entry.log_index,
        memo=command.memo,
    )


def decide_refund(state: Projections, command: Refund, original: Entry | None) -> Decision:
    """Decides a refund of part or all of a movement between two accounts. Raises the reasons named
    above.
    """
    entry = _correctable(original, command.entry_index)
    if len(entry.postings) != 2:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"entry {entry.log_index} has {len(entry.postings)} postings: only a movement"
            " between two accounts can be refunded, reverse it instead",
            entry=entry.log_index,
        )
    payer_posting, payee_posting = sorted(entry.postings, key=lambda posting: posting.amount)
    correction = state.corrections.get(entry.log_index, Correction(entry.log_index))
    _check_refundable(correction, command.amount, payee_posting.amount)
    payer = find_account(state, payer_posting.account_id)
    payee = find_account(state, payee_posting.account_id)
    check_open(payer)
    check_open(payee)
    check_overflow(payer, payer.posted + command.amount)
    check_overflow(payee, payee.posted - command.amount)
    taken = _take_back(payee, payee_posting._replace(amount=command.amount))
    restored = _restore(payer, payer_posting, correction.refunded, command.amount)
    postings = [
        Posting(payee.account_id, payee.unit, -command.amount, taken, payee_posting.earned),
        Posting(payer.account_id, payer.unit, command.amount, restored, payer_posting.earned),
    ]
    return Decision(
        EntryKind.REFUND,
        postings,
        original_index=entry.log_index,
        natural_key=command.natural_key,
        memo=command.memo,
    )


def _correctable(original: Entry | None, index: int) -> Entry:
    if original is None:
        raise TimebankError(Reason.ENTRY_NOT_FOUND, f"no entry {index}", entry=index)
    movement = MOVEMENTS.get(original.kind)
    if movement is None or not movement.reversible:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"entry {index} is a {original.kind.name}, which cannot be reversed or refunded",
            entry=index,
            kind=original.kind.name,
        )
    return original


def _check_refundable(correction: Correction, amount: int, captured: int) -> None:
    if correction.reversed_by is not None:
        raise TimebankError(
            Reason.ALREADY_REVERSED,
            f"entry {correction.original_index} was reversed by entry {correction.reversed_by}",
            entry=correction.original_index,
        )
    if correction.refunded + amount > captured:
        raise TimebankError(
            Reason.REFUND_EXCEEDS_CAPTURE,
            f"entry {correction.original_index} moved {captured}, {correction.refunded} of it"
            f" refunded: {amount} more is too much",
            entry=correction.original_index,
            refunded=correction.refunded,
        )


def _take_back(account: Account, credited: Posting) -> list[LotChange] | tuple[LotChange, ...]:
    """Takes a credit back: from its own lots, other unreserved lots, then debt up to the limit."""
    amount = credited.amount
    free = account.posted - account.held - amount
    if account.min_balance is not None and free < account.min_balance - account.debt_limit:
        raise insufficient(account, amount)
    check_overflow(account, free)
    if not account.has_lots:
        return ()
    own = {change.expires_us for change in credited.lots}
    order = sorted(account.lots, key=lambda lot: (lot.expires_us not in own, lot.expires_us))
    made = {change.expires_us: change.remaining for change in credited.lots}
    first = [
        Lot(lot.expires_us, min(lot.remaining - lot.reserved, made[lot.expires_us]))
        for lot in order
        if lot.expires_us in own
    ]
    changes = take_unreserved(first, amount)
    left = amount + sum(change.remaining for change in changes)
    if left:
        changes += take_unreserved(_less(order, changes), left)
    return _merged(changes)


def _less(lots: list[Lot], changes: list[LotChange]) -> list[Lot]:
    taken = {change.expires_us: change.remaining for change in changes}
    return [
        Lot(lot.expires_us, lot.remaining + taken.get(lot.expires_us, 0), lot.reserved)
        for lot in lots
    ]


def _merged(changes: list[LotChange]) -> list[LotChange]:
    totals: dict[int, int] = {}
    for change in changes:
        totals[change.expires_us] = totals.get(change.expires_us, 0) + change.remaining
    return [LotChange(expires_us, total) for expires_us, total in sorted(totals.items())]


def _restore(
    account: Account, debited: Posting, already: int, amount: int
) -> list[LotChange] | tuple[LotChange, ...]:
    """Gives a debit back into the lots it took, latest expiry first, after debt is repaid."""
    if not account.has_lots:
        return ()
    left = amount - min(account.debt, amount)
    changes = []
    for change in sorted(debited.lots, reverse=True):
        free = -change.remaining
        skipped = min(already, free)
        already -= skipped
        given = min(free - skipped, left)
        if given:
            changes.append(LotChange(change.expires_us, given))
            left -= given
    if left:
        changes.append(LotChange(min(change.expires_us for change in debited.lots), left))
    return _merged(changes)


def decide_lot_expiry(state: Projections, account: Account, lot: Lot) -> Decision:
    """Moves the unreserved rest of a lot to the EXPIRED account, with its expiry as effective
    time.
    """
    free = lot.remaining - lot.reserved
    sink = state.expired_accounts[account.unit]
    postings = [
        Posting(account.account_id, account.unit, -free, (LotChange(lot.expires_us, -free),)),
        Posting(sink, account.unit, free),
    ]
    return Decision(EntryKind.LOT_EXPIRED, postings, effective_us=lot.expires_us)
