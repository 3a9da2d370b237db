"""What a sequencer keeps in memory between batches: accounts, live holds, the tree; and how it is
filled.

Valid only while the committed head is the one this process wrote last; `Memory.matches` says so.
Dropping it is always safe.
"""

from collections.abc import Iterable, Sequence

from ledger.domain.commands import (
    CaptureHold,
    ChangeAccount,
    CreateHold,
    ExpireDue,
    Post,
    Refund,
    Request,
    Reverse,
    SetLimits,
    VoidHold,
)
from ledger.domain.fold import SYSTEM_ACCOUNTS_COUNT, Projections
from ledger.domain.hold import HoldState
from ledger.domain.outcomes import Text
from ledger.domain.register import Wants
from ledger.leaf_facts import known_in
from ledger.store.batches import (
    Head,
    Loaded,
    Wanted,
    ledger_from_row,
    load,
)
from ledger.store.facts import Found, take_found
from ledger.tree import LogTree, restore, unfinished_tiles
from timebank.database.statements import Plan, Read

_LEDGER = """SELECT l.ledger_id, l.display_name, l.time_zone, l.log_origin, l.verifier_keys,
l.opening_closed, l.created_us FROM k CROSS JOIN ledgers l
WHERE l.ledger_no = :ledger AND l.ledger_no = k.k0"""
_SYSTEM = """SELECT a.account_id FROM k CROSS JOIN accounts a
WHERE a.ledger_no = :ledger AND a.account_no = k.k0"""
_TILE_ROOTS = """SELECT t.level, t.tile_index, t.root FROM k CROSS JOIN tiles t
WHERE t.ledger_no = :ledger AND t.level = k.k0 AND t.tile_index = k.k1"""
_LEAVES = """SELECT e.log_index, e.leaf FROM k CROSS JOIN entries e
WHERE e.ledger_no = :ledger AND e.log_index = k.k0"""
_TEXTS = """SELECT t.log_index, t.field, t.salt, t.text FROM k CROSS JOIN texts t
WHERE t.ledger_no = :ledger AND t.log_index = k.k0"""


class Memory:
    """State and tree of one ledger as of one committed head."""

    def __init__(self, head: Head, state: Projections, tree: LogTree) -> None:
        self.head = head
        self.state = state
        self.tree = tree

    def matches(self, head: Head) -> bool:
        """Says whether the memory is that of a committed head."""
        return self.head.batch_id == head.batch_id and self.head.size == head.size

    def missing(self, wanted: Wanted) -> Wanted:
        """Leaves out of what is wanted all that is in memory."""
        state = self.state
        return Wanted(
            [name for name in wanted.account_ids if name not in state.accounts],
            [name for name in wanted.hold_ids if name not in state.holds],
            wanted.entry_indexes,
        )

    def add(self, loaded: Loaded) -> None:
        """Takes loaded rows in."""
        for account in loaded.accounts:
            self.state.accounts[account.account_id] = account
        for hold in loaded.holds:
            self.state.holds[hold.hold_id] = hold
        for correction in loaded.corrections:
            self.state.corrections[correction.original_index] = correction

    def take(self, wants: Wants, found: Found) -> None:
        """Takes in what was looked up for a batch about members and records."""
        take_found(self.state, wants, found, known_in)

    def settle(self, head: Head, *, accounts_max: int) -> None:
        """Accepts a committed batch: forgets its changes and what need not be kept."""
        self.head = head
        state = self.state
        state.clear_changes()
        state.register.settle()
        state.corrections.clear()
        if len(state.accounts) > accounts_max:
            system = set(state.system_accounts.values())
            kept = {name: item for name, item in state.accounts.items() if name in system}
            state.accounts, state.holds = kept, {}
        else:
            ended = [
                name for name, hold in state.holds.items() if hold.state is not HoldState.ACTIVE
            ]
            for name in ended:
                del state.holds[name]


def restore_memory(ledger_no: int, head: Head) -> Plan[Memory]:
    """Builds the memory of a head from the tables, with no accounts but those of the ledger."""
    rows = yield Read(_LEDGER, ("int64",), [(ledger_no,)])
    state = Projections(ledger_from_row(rows[0]))
    numbers = [(number,) for number in range(1, SYSTEM_ACCOUNTS_COUNT + 1)]
    system = yield Read(_SYSTEM, ("int64",), numbers)
    loaded = yield from load(Wanted([row[0] for row in system]))
    for account in loaded.accounts:
        state.accounts[account.account_id] = account
        state.know_system(account)
    indexes, tiles = unfinished_tiles(head.size)
    leaves = yield Read(_LEAVES, ("int64",), [(index,) for index in indexes])
    roots = yield Read(_TILE_ROOTS, ("int16", "int64"), tiles)
    tree = restore(
        head.size,
        head.frontier,
        {row[0]: row[1] for row in leaves},
        {(level, index): root for level, index, root in roots},
    )
    return Memory(head, state, tree)


def load_texts(indexes: Sequence[int]) -> Plan[dict[int, Text]]:
    """Loads the texts and salts of entries."""
    rows = yield Read(_TEXTS, ("int64",), [(index,) for index in indexes])
    return {row[0]: Text(*row) for row in rows}


def wanted_by(requests: Iterable[Request]) -> Wanted:
    """Names what requests need, as far as they say it."""
    accounts: dict[str, None] = {}
    holds: dict[str, None] = {}
    indexes: dict[int, None] = {}
    for request in requests:
        for command in request.commands:
            match command:
                case Post():
                    for draft in command.postings:
                        accounts[draft[0]] = None
                case ChangeAccount() | SetLimits() | CreateHold():
                    accounts[command.account_id] = None
                case CaptureHold():
                    accounts[command.to_account_id] = None
                    holds[command.hold_id] = None
                case VoidHold():
                    holds[command.hold_id] = None
                case Reverse() | Refund():
                    indexes[command.entry_index] = None
                case ExpireDue():
                    accounts.update(dict.fromkeys(command.account_ids))
                case _:
                    pass
    return Wanted(list(accounts), list(holds), list(indexes))
