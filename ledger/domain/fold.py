"""Projections of the log: what balances, lots, holds and reversals are after an entry.

Owns the only code that changes them. It folds the effects that an entry states and decides nothing,
so the writer and the audit share it, and yesterday's log stays valid when the rules change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.domain.account import Account, AccountKind, AccountState
from ledger.domain.calendar import year_of
from ledger.domain.entry import AccountFact, Entry, EntryKind, HoldChange, Posting
from ledger.domain.facts import Fact, FactKey, FactRow, TallyKey, row_of
from ledger.domain.hold import Hold, HoldState
from ledger.domain.register import Register
from timebank.units import Unit

SYSTEM_ACCOUNTS_COUNT = 8
"""Entries 1 to 8 open the accounts that every ledger has."""


class PostingRow(NamedTuple):
    """One posting as it is stored: `balance_after` makes as-of balances a single look-up."""

    account_no: int
    log_index: int
    amount: int
    balance_after: int
    effective_us: int


@dataclass(slots=True)
class Correction:
    """What was already taken back of an entry."""

    original_index: int
    reversed_by: int | None = None
    refunded: int = 0


@dataclass(slots=True)
class LedgerState:
    """What facts say about the ledger itself."""

    ledger_id: str
    display_name: str = ""
    time_zone: str = ""
    log_origin: str = ""
    verifier_keys: list[str] = field(default_factory=list)
    opening_closed: bool = False
    created_us: int = 0


@dataclass(slots=True)
class Projections:
    """State folded from entries, and what of it changed since `clear_changes`."""

    ledger: LedgerState
    accounts: dict[str, Account] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    corrections: dict[int, Correction] = field(default_factory=dict)
    expired_accounts: dict[Unit, str] = field(default_factory=dict)
    system_accounts: dict[tuple[AccountKind, Unit], str] = field(default_factory=dict)
    posting_rows: list[PostingRow] = field(default_factory=list)
    earned: dict[tuple[int, int], int] = field(default_factory=dict)
    changed_accounts: dict[str, Account] = field(default_factory=dict)
    changed_facts: dict[str, Account] = field(default_factory=dict)
    changed_lots: set[tuple[str, int]] = field(default_factory=set)
    changed_holds: dict[str, Hold] = field(default_factory=dict)
    changed_corrections: dict[int, Correction] = field(default_factory=dict)
    ledger_changed: bool = False
    register: Register = field(default_factory=Register)
    fact_rows: dict[tuple[int, str], FactRow] = field(default_factory=dict)
    tally_changes: dict[TallyKey, int] = field(default_factory=dict)
    kept_facts: dict[FactKey, Fact] = field(default_factory=dict)

    def know_system(self, account: Account) -> None:
        """Notes an account that the ledger itself has."""
        self.system_accounts[account.kind, account.unit] = account.account_id
        if account.kind is AccountKind.EXPIRED:
            self.expired_accounts[account.unit] = account.account_id

    def clear_changes(self) -> None:
        """Forgets what changed, once it is stored."""
        self.posting_rows = []
        self.earned = {}
        self.changed_accounts = {}
        self.changed_facts = {}
        self.changed_lots = set()
        self.changed_holds = {}
        self.changed_corrections = {}
        self.ledger_changed = False
        self.fact_rows = {}
        self.tally_changes = {}

    def fold(self, entry: Entry) -> None:
        """Adds the effects of an entry. Raises KeyError when it names an account or hold that never
        was.
        """
        if entry.account is not None:
            self._fold_account(entry.account, entry)
        if entry.ledger is not None or entry.kind is EntryKind.OPENING_CLOSED:
            self._fold_ledger(entry)
        for posting in entry.postings:
            self._fold_posting(posting, entry)
        for change in entry.hold_changes:
            self._fold_hold(change, entry)
        if entry.original_index is not None:
            self._fold_correction(entry)
        if entry.facts or entry.tallies:
            self._fold_facts(entry)

    def _fold_facts(self, entry: Entry) -> None:
        for fact in entry.facts:
            row = row_of(fact, entry.log_index)
            self.fact_rows[row.kind, row.fact_id] = row
            self.register.put(fact, entry.log_index, entry.tallies)
        for key, amount in entry.tallies:
            self.tally_changes[key] = self.tally_changes.get(key, 0) + amount
            self.register.add(key, amount)

    def _fold_posting(self, posting: Posting, entry: Entry) -> None:
        account_id, _, amount, lots, earned = posting
        account = self.accounts[account_id]
        account.posted += amount
        account.changed_index = entry.log_index
        if account.has_lots:
            lot_sum = 0
            for change in lots:
                account.change_lot(change)
                lot_sum += change.remaining
                self.changed_lots.add((account_id, change.expires_us))
            account.debt += lot_sum - amount
        self.changed_accounts[account_id] = account
        self.posting_rows.append(
            PostingRow(account.no, entry.log_index, amount, account.posted, entry.effective_us)
        )
        if earned:
            year = year_of(entry.effective_us, self.ledger.time_zone)
            key = (account.no, year)
            self.earned[key] = self.earned.get(key, 0) + amount
            self.register.earn(account_id, year, amount)

    def _fold_hold(self, change: HoldChange, entry: Entry) -> None:
        account = self.accounts[change.account_id]
        hold = self.holds.get(change.hold_id)
        if entry.kind is EntryKind.HOLD_CREATED:
            hold = Hold(
                hold_id=change.hold_id,
                account_id=change.account_id,
                kind=change.kind,
                amount=change.held,
                expires_us=change.expires_us,
                created_index=entry.log_index,
                created_us=entry.recorded_us,
            )
            self.holds[hold.hold_id] = hold
        if hold is None:
            raise KeyError(change.hold_id)
        account.held += change.held
        account.changed_index = entry.log_index
        hold.state = change.state
        hold.captured += change.captured
        hold.released += change.released
        for lot in change.lots:
            account.change_lot(lot)
            self.changed_lots.add((account.account_id, lot.expires_us))
        self._fold_reservations(hold, change, entry)
        if hold.state is HoldState.ACTIVE:
            account.holds[hold.hold_id] = hold
        else:
            account.holds.pop(hold.hold_id, None)
        self.changed_accounts[account.account_id] = account
        self.changed_holds[hold.hold_id] = hold

    def _fold_reservations(self, hold: Hold, change: HoldChange, entry: Entry) -> None:
        moved = list(change.lots)
        for posting in entry.postings:
            if posting.account_id == change.account_id:
                moved.extend(lot for lot in posting.lots if lot.reserved)
        for lot in moved:
            left = hold.lots.get(lot.expires_us, 0) + lot.reserved
            if left:
                hold.lots[lot.expires_us] = left
            else:
                hold.lots.pop(lot.expires_us, None)

    def _fold_account(self, fact: AccountFact, entry: Entry) -> None:
        account = self.accounts.get(fact.account_id)
        if entry.kind is EntryKind.ACCOUNT_OPENED:
            account = Account(
                no=entry.log_index,
                account_id=fact.account_id,
                holder=fact.holder,
                unit=fact.unit,
                kind=fact.kind,
                opened_us=entry.recorded_us,
            )
            self.accounts[fact.account_id] = account
            if entry.log_index <= SYSTEM_ACCOUNTS_COUNT:
                self.know_system(account)
        if account is None:
            raise KeyError(fact.account_id)
        account.state = AccountState(fact.state)
        account.min_balance = fact.min_balance
        account.max_balance = fact.max_balance
        account.debt_limit = fact.debt_limit
        account.changed_index = entry.log_index
        self.changed_facts[fact.account_id] = account
        self.changed_accounts[fact.account_id] = account

    def _fold_ledger(self, entry: Entry) -> None:
        state = self.ledger
        if entry.kind is EntryKind.LEDGER_CREATED:
            state.created_us = entry.recorded_us
        if entry.kind is EntryKind.OPENING_CLOSED:
            state.opening_closed = True
        if entry.ledger is not None:
            state.display_name = entry.ledger.display_name or state.display_name
            state.time_zone = entry.ledger.time_zone or state.time_zone
            state.log_origin = entry.ledger.log_origin or state.log_origin
            if entry.ledger.verifier_key:
                state.verifier_keys.append(entry.ledger.verifier_key)
        self.ledger_changed = True

    def _fold_correction(self, entry: Entry) -> None:
        index = entry.original_index
        assert index is not None
        correction = self.corrections.setdefault(index, Correction(index))
        if entry.kind is EntryKind.REVERSAL:
            correction.reversed_by = entry.log_index
        else:
            correction.refunded += sum(p.amount for p in entry.postings if p.amount > 0)
        self.changed_corrections[index] = correction
