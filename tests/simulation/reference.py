"""A reference model of the ledger, written from its specification by brute force.

Owns the order of things: batches, ledger time, replays, chains and due expiries. A request that
fails is undone by putting a deep copy back. Imports nothing of the ledger.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.simulation import asked as q
from tests.simulation import moves as rules
from tests.simulation.books import Account, Books, Entry
from tests.simulation.moves import Declined
from tests.simulation.rulebook import apply, end_hold, expire_lot
from tests.support.commands import CLEARING, ISSUANCE


@dataclass
class Remembered:
    """What a request id, or a natural key, once said and got."""

    commands: tuple[q.Command, ...]
    reply: q.Reply


class Reference:
    """The model. `carry_out` gives the answer that a server must give."""

    def __init__(self, system: Sequence[tuple[str, int, int]], created_us: int) -> None:
        self.books = Books()
        self.requests: dict[str, Remembered] = {}
        self.natural: dict[tuple[int, str], Remembered] = {}
        self.log_time_us = created_us + len(system)
        self.books.log = [Entry(rules.LEDGER_CREATED, created_us)]
        for number, (name, kind, unit) in enumerate(system):
            minimum = None if kind in (ISSUANCE, CLEARING) else 0
            account = Account(unit, kind, minimum, None, 0, name, changed_index=number + 1)
            self.books.accounts[number] = account
            opened = Entry(rules.ACCOUNT_OPENED, created_us + number + 1, opened=number)
            self.books.log.append(opened)

    def begin(self, clock_us: int) -> None:
        """Begins a batch: ledger time never stands still."""
        self.books.now_us = max(clock_us, self.log_time_us + 1)

    def carry_out(self, request: q.Request) -> q.Reply:
        """Carries one request of the batch out and gives the expected answer."""
        for command in request.commands:
            if reason := rules.malformed(command):
                return q.Reply(reason)
        earlier = self.requests.get(request.request_id)
        if earlier is not None:
            if earlier.commands != request.commands:
                return q.Reply("REQUEST_ID_REUSED")
            return earlier.reply._replace(replayed=True)
        reply = self._by_natural_key(request)
        if reply is not None and not reply.reason:
            return reply
        self._at_fault = False
        if reply is None:
            reply = self._decide(request)
        if not self._at_fault:
            self.requests[request.request_id] = Remembered(request.commands, reply)
        self.log_time_us = self.books.log[-1].recorded_us
        return reply

    def due(self, clock_us: int) -> list[int]:
        """Lists the accounts on which something is due."""
        return [number for number in self.books.accounts if self.books.is_due(number, clock_us)]

    def sweep(self, clock_us: int) -> int:
        """Enters what is due by the clock and gives the number of accounts it touched."""
        due = self.due(clock_us)
        self.begin(clock_us)
        self._expire(due)
        self.log_time_us = self.books.log[-1].recorded_us
        return len(due)

    def learn(self, expected: q.Reply, got: q.Reply) -> None:
        """Takes over the names that the server gave to what a request made."""
        for wanted, told in zip(expected.results, got.results, strict=True):
            entry = self.books.log[wanted.log_index]
            if entry.kind == rules.HOLD_CREATED and entry.hold is not None:
                self.books.holds[entry.hold].name = told.hold
            if entry.opened is not None:
                self.books.accounts[entry.opened].name = told.account

    def _by_natural_key(self, request: q.Request) -> q.Reply | None:
        for command in request.commands:
            key = rules.natural_key(command)
            earlier = self.natural.get(key) if key else None
            if key is None or earlier is None:
                continue
            if earlier.commands == request.commands:
                return earlier.reply._replace(replayed=True)
            opened = key[0] == rules.ACCOUNT_OPENED
            return q.Reply("ACCOUNT_EXISTS" if opened else "ENTRY_EXISTS")
        return None

    def _decide(self, request: q.Request) -> q.Reply:
        self._expire(self._touched(request.commands))
        before = copy.deepcopy(self.books)
        first = len(before.log)
        last_hold = q.UNKNOWN
        seen: set[tuple[int, str]] = set()
        for command in request.commands:
            try:
                key = rules.natural_key(command)
                if key in seen:
                    raise Declined("ENTRY_EXISTS")
                if isinstance(command, q.Capture | q.Void) and command.hold == q.LAST_HOLD:
                    command = command._replace(hold=last_hold)
                entry = apply(self.books, command)
                if key is not None:
                    seen.add(key)
            except Declined as declined:
                self.books = before
                self._at_fault = declined.reason == "VALIDATION_FAILED"
                alone = len(request.commands) == 1
                return q.Reply(declined.reason if alone else "LINKED_ITEM_FAILED")
            self._append(entry)
            if entry.kind == rules.HOLD_CREATED:
                last_hold = entry.hold if entry.hold is not None else q.UNKNOWN
        log = self.books.log
        results = tuple(q.Result(i, log[i].recorded_us) for i in range(first, len(log)))
        reply = q.Reply(results=results)
        for key in seen:
            self.natural[key] = Remembered(request.commands, reply)
        return reply

    def _append(self, entry: Entry) -> None:
        """Puts an entry at the end of the log and its index on whatever it touched."""
        books = self.books
        entry.recorded_us = books.now_us
        touched = {leg[0] for leg in entry.legs}
        if entry.opened is not None:
            touched.add(entry.opened)
        if entry.hold is not None:
            touched.add(books.holds[entry.hold].account)
        for number in touched:
            books.accounts[number].changed_index = len(books.log)
        books.log.append(entry)
        books.now_us += 1

    def _touched(self, commands: Iterable[q.Command]) -> set[int]:
        touched: set[int] = set()
        for command in commands:
            if isinstance(command, q.Post):
                touched.update(leg.account for leg in command.legs)
            elif isinstance(command, q.Hold | q.Change | q.Limits):
                touched.add(command.account)
            elif isinstance(command, q.Reverse | q.Refund):
                known = self.books.log[command.entry : command.entry + 1]
                touched.update(leg[0] for entry in known for leg in entry.legs)
            if isinstance(command, q.Capture):
                touched.add(command.to_account)
            if isinstance(command, q.Capture | q.Void) and command.hold in self.books.holds:
                touched.add(self.books.holds[command.hold].account)
        return touched & set(self.books.accounts)

    def _expire(self, accounts: Iterable[int]) -> None:
        """Enters due expiries, holds first, in the order of names."""
        books = self.books
        for number in sorted(accounts, key=lambda number: books.accounts[number].name):
            if not books.is_due(number, books.now_us):
                continue
            holds = [(h.expires_us, h.name, key) for key, h in books.holds.items()]
            for _, _, key in sorted(holds):
                hold = books.holds[key]
                mine = hold.account == number and hold.state == "ACTIVE"
                if mine and hold.expires_us <= books.now_us:
                    self._append(end_hold(books, key, "EXPIRED", rules.HOLD_EXPIRED))
            for expiry, free in books.free_lots(number):
                if expiry <= books.now_us:
                    self._append(expire_lot(books, number, expiry, free))
