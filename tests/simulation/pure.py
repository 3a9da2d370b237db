"""A simulated ledger without a server: the pure state machine, batch after batch, in memory.

Owns what the sequencer would load for each batch: everything is kept. Thousands of steps a second
go through it, and the same history can be replayed with the same randomness.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ledger import leaf
from ledger.domain import commands as c
from ledger.domain.book import EXPIRY_CALLER, Book
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.fold import LedgerState, Projections
from ledger.domain.movements import Authority
from ledger.domain.outcomes import Outcome, Recorded, Text
from ledger.wire import CommandReader
from tests.simulation import asked as q
from tests.simulation.over_rpcs import account_name, command_message
from tests.simulation.reference import Reference
from tests.simulation.steps import ASKING, CLOCK_MOVES_S, FIRST_ACCOUNTS, Steps, first_grants
from tests.support.commands import START_US, ZONE
from tests.support.keys import ORIGIN
from timebank.errors import TimebankError
from timebank.ids import uuid_bytes

LEDGER = "weihai"
KINDS = (*ASKING, *("record",) * 3, *("wait",) * 4, "sweep", "sweep")


class Given(NamedTuple):
    """One batch: its requests, and what the clock said."""

    clock_us: int
    requests: tuple[c.Request, ...]


class PureLedger:
    """The state machine with all that it was ever told."""

    def __init__(self, seed: int) -> None:
        self.state = Projections(LedgerState(LEDGER))
        self.entries: list[Entry] = []
        self.leaves: list[bytes] = []
        self.given: list[Given] = []
        self.earned: Counter[tuple[int, int]] = Counter()
        self._random = random.Random(seed)
        self._recorded: dict[bytes, Recorded] = {}
        self._natural: dict[tuple[EntryKind, str], Entry] = {}
        self._originals: dict[int, Entry] = {}
        self._texts: dict[int, Text] = {}

    def create(self, clock_us: int) -> None:
        """Makes the ledger and the accounts that it has at once."""
        command = c.CreateLedger("威海时间银行", ZONE, ORIGIN, "key")
        self.carry_out(Given(clock_us, (c.make_request((command,), caller="x", request_id=b""),)))

    def carry_out(self, given: Given) -> list[Outcome]:
        """Carries a batch out."""
        head_us = self.entries[-1].recorded_us if self.entries else 0
        book = Book(
            self.state,
            next_index=len(self.leaves),
            now_us=max(given.clock_us, head_us + 1),
            random_bytes=self._random.randbytes,
            encode=leaf.encode,
        )
        book.recorded, book.natural = self._recorded, self._natural
        book.originals, book.texts_of = self._originals, self._texts
        outcomes = [book.execute(request) for request in given.requests]
        self.leaves.extend(item.leaf for item in book.written)
        self.entries.extend(item.entry for item in book.written)
        self._texts.update({text.log_index: text for text in book.texts})
        self.earned.update(self.state.earned)
        self.state.clear_changes()
        self.given.append(given)
        return outcomes


class PureHistory:
    """A history on a pure ledger beside its reference model, all from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._clock_us = START_US
        self.ledger = PureLedger(seed)
        self.ledger.create(START_US)
        system = [
            (f"ledgers/{LEDGER}/accounts/{account.account_id}", account.kind, account.unit)
            for account in self.ledger.state.accounts.values()
        ]
        self.steps = Steps(Reference([(n, int(k), int(u)) for n, k, u in system], START_US))
        self.steps.model.books.posts_records = True
        firsts: list[q.Command] = [*FIRST_ACCOUNTS]
        self._submit([self.steps.request(x) for x in firsts])
        self._submit([self.steps.request(x) for x in first_grants(list(system))])

    def step(self) -> None:
        """Does something and compares everything with the model."""
        which = self._random.choice(KINDS)
        teller = self.steps.teller(self._random.randrange(2**32))
        if which == "wait":
            self._clock_us += teller.choose(CLOCK_MOVES_S) * 1_000_000
        elif which == "sweep":
            self._sweep()
        else:
            self._submit(self.steps.next(which, teller)[0])

    def _sweep(self) -> None:
        model = self.steps.model
        before = len(model.books.log)
        names = tuple(model.books.accounts[n].name for n in model.due(self._clock_us))
        model.sweep(self._clock_us)
        command = c.ExpireDue(tuple(name.rpartition("/")[2] for name in names))
        request = c.make_request((command,), caller=EXPIRY_CALLER, request_id=b"")
        self.ledger.carry_out(Given(self._clock_us, (request,)))
        self.steps.note_entries(before)
        self._check()

    def _submit(self, requests: Sequence[q.Request]) -> None:
        model = self.steps.model
        before = len(model.books.log)
        asked = [(request, self._read(request)) for request in requests]
        batch = [read for _, read in asked if isinstance(read, c.Request)]
        outcomes = iter(self.ledger.carry_out(Given(self._clock_us, tuple(batch))))
        model.begin(self._clock_us)
        for request, read in asked:
            expected = model.carry_out(request)
            got = _reply(next(outcomes)) if isinstance(read, c.Request) else read
            assert expected.reason == got.reason, f"{request}: expected {expected}, got {got}"
            assert expected.replayed == got.replayed
            places = [(r.log_index, r.recorded_us) for r in expected.results]
            assert places == [(r.log_index, r.recorded_us) for r in got.results]
            model.learn(expected, got)
            self.steps.note(request, expected)
        self.steps.note_entries(before)
        self._check()

    def _read(self, request: q.Request) -> c.Request | q.Reply:
        """Reads a request as the server would, or gives its refusal."""
        try:
            commands = self._commands(request)
        except TimebankError as error:
            return q.Reply(error.reason.value)
        return c.make_request(
            commands,
            caller="operator/wang",
            request_id=uuid_bytes(request.request_id),
            authorities=frozenset({Authority.POST, Authority.OPENING, Authority.RECORDS}),
        )

    def _commands(self, request: q.Request) -> tuple[c.Command, ...]:
        model, command = self.steps.model, request.commands[0]
        if isinstance(command, q.CloseOpening):
            return (c.CloseOpening(),)
        if isinstance(command, q.Change | q.Limits):
            account_id = account_name(command.account, model).rpartition("/")[2]
            etag = max(command.etag, 0)
            if isinstance(command, q.Change):
                return (c.ChangeAccount(EntryKind(command.kind), account_id, etag),)
            limits = (command.minimum, command.maximum, command.debt_limit)
            return (c.SetLimits(account_id, *limits, etag),)
        messages = [command_message(item, model) for item in request.commands]
        return CommandReader(LEDGER).commands_from_wire(messages)

    def _check(self) -> None:
        """Compares the projections with the model, balance by balance and lot by lot."""
        books, state = self.steps.model.books, self.ledger.state
        assert len(self.ledger.leaves) == len(books.log)
        for number, wanted in books.accounts.items():
            got = state.accounts[wanted.name.rpartition("/")[2]]
            held = books.held(number)
            amounts = (wanted.posted, held, wanted.debt, wanted.changed_index)
            assert (got.posted, got.held, got.debt, got.changed_index) == amounts
            lots = [(x, left, books.reserved(number, x)) for x, left in sorted(wanted.lots.items())]
            assert [(lot.expires_us, lot.remaining, lot.reserved) for lot in got.lots] == lots
            limits = (got.state.name, got.min_balance, got.max_balance, got.debt_limit)
            wanted_limits = (wanted.minimum, wanted.maximum, wanted.debt_limit)
            assert limits == (wanted.state, *wanted_limits)
            if got.has_lots:
                assert got.posted == sum(lot.remaining for lot in got.lots) - got.debt
                assert got.held <= sum(lot.remaining for lot in got.lots)
        for hold in books.holds.values():
            kept = state.holds[hold.name.rpartition("/")[2]]
            assert (kept.state.name, kept.captured, kept.released, kept.lots) == (
                *(hold.state, hold.captured, hold.released, hold.lots),
            )


def _reply(outcome: Outcome) -> q.Reply:
    if outcome.error is not None:
        return q.Reply(outcome.error.reason.value, replayed=outcome.replayed)
    names = f"ledgers/{LEDGER}"
    results = [
        q.Result(
            entry.log_index,
            entry.recorded_us,
            f"{names}/holds/{entry.hold_changes[0].hold_id}" if entry.hold_changes else "",
            f"{names}/accounts/{entry.account.account_id}" if entry.account else "",
        )
        for entry in outcome.entries
    ]
    return q.Reply(results=tuple(results), replayed=outcome.replayed)
