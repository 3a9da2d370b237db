"""What a chain may have to undo: copies of the accounts, holds and corrections that it touches."""

from collections.abc import Iterable, Sequence

from ledger.domain.calendar import year_of
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.fold import Correction, Projections


class Snapshot:
    """Copies taken before a chain; `restore` puts them back."""

    def __init__(
        self, state: Projections, account_ids: Iterable[str], indexes: Iterable[int]
    ) -> None:
        self._state = state
        self._accounts = {
            name: state.accounts[name].copy() for name in account_ids if name in state.accounts
        }
        self._corrections = {
            index: (state.corrections[index].reversed_by, state.corrections[index].refunded)
            for index in indexes
            if index in state.corrections
        }
        # What an earlier request of the batch took back must still be stored.
        self._corrected = self._corrections.keys() & state.changed_corrections.keys()
        self._rows = len(state.posting_rows)

    def restore(self, undone: Sequence[Entry]) -> None:
        """Undoes entries written since: drops what they created and puts the copies back."""
        state = self._state
        for entry in undone:
            self._drop_created(entry)
            for posting in entry.postings:
                if posting.earned:
                    account = state.accounts[posting.account_id]
                    key = (account.no, year_of(entry.effective_us, state.ledger.time_zone))
                    state.earned[key] -= posting.amount
            if entry.original_index is not None:
                old = self._corrections.get(entry.original_index, (None, 0))
                correction = Correction(entry.original_index, *old)
                state.corrections[entry.original_index] = correction
                state.changed_corrections.pop(entry.original_index, None)
                if entry.original_index in self._corrected:
                    state.changed_corrections[entry.original_index] = correction
        del state.posting_rows[self._rows :]
        for name, account in self._accounts.items():
            state.accounts[name] = account
            for changed in (state.changed_accounts, state.changed_facts):
                if name in changed:
                    changed[name] = account
            for hold_id, hold in account.holds.items():
                state.holds[hold_id] = hold
                if hold_id in state.changed_holds:
                    state.changed_holds[hold_id] = hold

    def _drop_created(self, entry: Entry) -> None:
        state = self._state
        if entry.kind is EntryKind.ACCOUNT_OPENED and entry.account is not None:
            for accounts in (state.accounts, state.changed_accounts, state.changed_facts):
                accounts.pop(entry.account.account_id, None)
        if entry.kind is EntryKind.HOLD_CREATED:
            for change in entry.hold_changes:
                state.holds.pop(change.hold_id, None)
                state.changed_holds.pop(change.hold_id, None)
