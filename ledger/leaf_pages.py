"""Pages of leaves for an audit: what each leaf says of its row, and its plain effects folded at
speed.

Owns the two loops that a rebuild spends its time in. What plain postings do is written out here
once more, without building an Entry; everything else goes to `Projections.fold`, and a test holds
the two to one meaning. It decides nothing, and stops at the first entry that breaks a rule of the
log.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from google.protobuf.message import DecodeError

from ledger import leaf
from ledger.domain.account import NEVER_US, Account, LotChange
from ledger.domain.calendar import year_of
from ledger.domain.entry import POSTINGS_MAX, POSTINGS_MIN, Entry, EntryKind
from ledger.domain.facts import Member, PolicyRow, Star, key_of
from ledger.domain.fold import Projections
from ledger.leaf_facts import fact_row
from timebank.errors import TimebankError
from timebank.ledger.v1 import entry_pb2

ENTRY_BYTES_MAX = 65_535
KEY_BYTES = 16
LeafColumns = tuple[int, int, int, bytes | None, str | None, str | None, bytes]
"""What a row of `entries` must be, in the order of its columns without the ledger."""
PostingColumns = tuple[int, int, int, int, int]
"""A row of `postings` as (log_index, account_no, amount, balance_after, effective_us)."""
UNREADABLE = (
    *(DecodeError, TimebankError),
    *(ValueError, LookupError, TypeError, OverflowError, AttributeError),
)
"""What a leaf that breaks its contract may raise while it is read or folded."""

_KEPT = (Member, Star, PolicyRow)
"""Facts by which stars are judged again."""
_OPENING_CLOSED = int(EntryKind.OPENING_CLOSED)
# Debits that may go below the minimum: what was given is taken back, or its time is over.
_FORCED = frozenset(
    {
        EntryKind.LOT_EXPIRED,
        EntryKind.REVERSAL,
        EntryKind.REFUND,
        EntryKind.RECORD_CORRECTED,
    }
)


class BrokenLeaf(Exception):
    """The first entry of a page that cannot be what the ledger wrote."""

    def __init__(self, log_index: int, expected: str, got: str) -> None:
        super().__init__(expected)
        self.log_index = log_index
        self.expected = expected
        self.got = got


class Cursor(NamedTuple):
    """Where the log stands: what the next leaf must follow."""

    next_index: int = 0
    recorded_us: int = -1
    ledger_id: str = ""


def columns_of(leaves: Sequence[bytes], after: Cursor) -> tuple[list[LeafColumns], Cursor]:
    """Reads what the rows of consecutive leaves must be, and checks what a leaf keeps by itself.

    Raises BrokenLeaf for bytes that are no entry, too many of them, another ledger, a gap in
    indexes, a time that does not increase, or an effect before its cause.
    """
    from_string = entry_pb2.Entry.FromString
    rows: list[LeafColumns] = []
    index, recorded_before, ledger_id = after
    for data in leaves:
        try:
            entry = from_string(data)
        except Exception as error:
            raise BrokenLeaf(index, "the bytes of an entry", f"{error}") from error
        recorded_us = entry.recorded_time_us
        if (
            entry.index != index
            or recorded_us <= recorded_before
            or entry.effective_time_us > recorded_us
            or entry.ledger_id != ledger_id
            or len(data) > ENTRY_BYTES_MAX
        ):
            if index or ledger_id:
                raise _broken_header(entry, len(data), Cursor(index, recorded_before, ledger_id))
            ledger_id = entry.ledger_id
            if entry.index or recorded_us < 0 or entry.effective_time_us > recorded_us:
                raise _broken_header(entry, len(data), Cursor(0, -1, ledger_id))
        key = None
        request_id = entry.request_id
        if request_id and not entry.chain_position:
            key = sha256(entry.caller.encode() + b"\0" + request_id).digest()[:KEY_BYTES]
        rows.append(
            (
                index,
                entry.kind,
                recorded_us,
                key,
                entry.natural_key or None,
                entry.cause or None,
                data,
            )
        )
        recorded_before = recorded_us
        index += 1
    return rows, Cursor(index, recorded_before, ledger_id)


def _broken_header(entry: entry_pb2.Entry, size: int, after: Cursor) -> BrokenLeaf:
    index = after.next_index
    if entry.index != index:
        return BrokenLeaf(index, f"the entry of index {index}", f"that of index {entry.index}")
    if entry.ledger_id != after.ledger_id:
        return BrokenLeaf(
            index, f"an entry of ledger {after.ledger_id!r}", f"one of {entry.ledger_id!r}"
        )
    if entry.recorded_time_us <= after.recorded_us:
        return BrokenLeaf(
            index,
            f"a recorded time after {after.recorded_us} us",
            f"{entry.recorded_time_us} us",
        )
    if entry.effective_time_us > entry.recorded_time_us:
        return BrokenLeaf(
            index,
            f"an effective time of at most {entry.recorded_time_us} us",
            f"{entry.effective_time_us} us",
        )
    return BrokenLeaf(index, f"at most {ENTRY_BYTES_MAX} bytes", f"{size} bytes")


def commitments_of(data: bytes) -> dict[str, bytes]:
    """Gives the commitments of a leaf by field."""
    return {item.field: item.digest for item in entry_pb2.Entry.FromString(data).commitments}


def fold_page(
    state: Projections, leaves: Sequence[bytes], first_index: int
) -> list[PostingColumns]:
    """Folds consecutive leaves into the state and gives their posting rows, in the order of the
    log.

    Raises BrokenLeaf for a leaf that does not fold, postings that do not sum to zero per unit, and
    a debit below the account's minimum; the state is worthless then.
    """
    from_string = entry_pb2.Entry.FromString
    accounts = state.accounts
    rows: list[PostingColumns] = []
    index = first_index
    try:
        for data in leaves:
            entry = from_string(data)
            postings = entry.postings
            if entry.facts or entry.tallies:
                _fold_facts(state, entry)
            if (
                (not postings and not entry.facts)
                or entry.hold_changes
                or entry.HasField("original_index")
                or entry.HasField("account")
                or entry.HasField("ledger")
                or entry.kind == _OPENING_CLOSED
            ):
                _fold_whole(state, leaf.from_message(entry), rows)
                index += 1
                continue
            effective_us = entry.effective_time_us
            total, unit, mixed, short = 0, 0, False, None
            for posting in postings:
                account = accounts[posting.account_id]
                amount = posting.amount
                account.posted = posted = account.posted + amount
                account.changed_index = index
                total += amount
                account_unit = account.unit
                if int(posting.unit) != account_unit:
                    raise BrokenLeaf(index, f"a posting of {account_unit.name}", str(posting.unit))
                if account_unit != unit:
                    # Units follow one another, as a rule, each summing to 0 by itself.
                    mixed = mixed or total != amount
                    unit = account_unit
                rows.append((index, account.no, amount, posted, effective_us))
                if account.has_lots:
                    _fold_lots(account, posting)
                if posting.earned:
                    _fold_earned(state, account, amount, effective_us)
                minimum = account.min_balance
                if amount < 0 and minimum is not None and posted - account.held < minimum:
                    short = account
            if (
                total
                or mixed
                or short is not None
                or not POSTINGS_MIN <= len(postings) <= POSTINGS_MAX
            ) and postings:
                _check_postings(index, leaf.from_message(entry), short)
            index += 1
    except UNREADABLE as error:
        raise BrokenLeaf(index, "an entry whose effects fold", _told(error)) from error
    return rows


def _fold_facts(state: Projections, entry: entry_pb2.Entry) -> None:
    """Folds where facts stand and what sums become; of records nothing else is kept."""
    index = entry.index
    for item in entry.facts:
        row, fact = fact_row(item, index)
        state.fact_rows[row.kind, row.fact_id] = row
        if isinstance(fact, _KEPT):
            state.kept_facts[key_of(fact)] = fact
    sums = state.tally_changes
    for change in entry.tallies:
        key = (change.subject, change.name, change.period)
        sums[key] = sums.get(key, 0) + change.amount


def _fold_lots(account: Account, posting: entry_pb2.Posting) -> None:
    lot_sum = 0
    for lot in posting.lots:
        remaining = lot.remaining
        account.change_lot(LotChange(lot.expire_time_us or NEVER_US, remaining, lot.reserved))
        lot_sum += remaining
    account.debt += lot_sum - posting.amount


def _fold_earned(state: Projections, account: Account, amount: int, effective_us: int) -> None:
    key = (account.no, year_of(effective_us, state.ledger.time_zone))
    state.earned[key] = state.earned.get(key, 0) + amount


def _fold_whole(state: Projections, entry: Entry, rows: list[PostingColumns]) -> None:
    """Folds an entry by the rules of the writer."""
    held_before = {change.account_id for change in entry.hold_changes}
    state.fold(entry)
    rows.extend((row[1], row[0], *row[2:]) for row in state.posting_rows)
    state.posting_rows.clear()
    short = None
    for posting in entry.postings:
        account = state.accounts[posting.account_id]
        if account.unit is not posting.unit:
            raise BrokenLeaf(
                entry.log_index, f"a posting of {account.unit.name}", posting.unit.name
            )
        # A capture takes what was reserved before: it changes nothing that is available.
        if posting.amount < 0 and posting.account_id not in held_before and _is_short(account):
            short = account
    if entry.postings:
        _check_postings(entry.log_index, entry, short)
    if entry.kind is EntryKind.HOLD_CREATED:
        held = state.accounts[entry.hold_changes[0].account_id]
        _check_minimum(entry, held if _is_short(held) else None)


def _is_short(account: Account) -> bool:
    minimum = account.min_balance
    return minimum is not None and account.posted - account.held < minimum


def _check_postings(index: int, entry: Entry, short: Account | None) -> None:
    """Checks the postings of an entry that a quick look did not clear."""
    count = len(entry.postings)
    if not POSTINGS_MIN <= count <= POSTINGS_MAX:
        raise BrokenLeaf(index, f"{POSTINGS_MIN} to {POSTINGS_MAX} postings", f"{count}")
    sums: dict[str, int] = {}
    for posting in entry.postings:
        sums[posting.unit.name] = sums.get(posting.unit.name, 0) + posting.amount
    for unit, total in sums.items():
        if total:
            raise BrokenLeaf(index, f"postings of {unit} that sum to 0", f"a sum of {total}")
    _check_minimum(entry, short)


def _check_minimum(entry: Entry, short: Account | None) -> None:
    if short is None or entry.kind in _FORCED:
        return
    raise BrokenLeaf(
        entry.log_index,
        f"at least {short.min_balance} available to account {short.account_id}",
        f"{short.posted - short.held} after a {entry.kind.name}",
    )


def _told(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"an effect on {error} which no entry made before"
    return f"{type(error).__name__}: {error}"
