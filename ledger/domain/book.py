"""The state machine of the ledger: requests in order in, entries and answers out.

Owns ordering, ledger time, idempotency within what it was given, chains and due expiries. It takes
time, randomness and the encoder as inputs and does no input or output, so that a simulation can
replay it exactly. Each request succeeds or declines by itself; expiries that fall due on the
accounts a request touches are entered first and stand even when the request is declined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ledger.domain import account_rules, correction_rules, hold_rules
from ledger.domain import commands as c
from ledger.domain.account import Account
from ledger.domain.decisions import Decision
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.fold import Projections
from ledger.domain.hold import Hold
from ledger.domain.hours_commands import HoursCommand, SubmitRecord, is_hours_command
from ledger.domain.hours_decisions import decide
from ledger.domain.hours_view import View, Who
from ledger.domain.hours_wants import taken_from
from ledger.domain.movements import SYSTEM_ACCOUNTS
from ledger.domain.outcomes import (
    Decline,
    Outcome,
    Recorded,
    Text,
    Written,
    commitment,
    natural_name,
)
from ledger.domain.posting_rules import decide_post
from ledger.domain.record_rules import earlier
from ledger.domain.register import Known, NotLoaded
from ledger.domain.snapshot import Snapshot
from ledger.domain.working_days import NO_HOLIDAYS, Holidays
from timebank.errors import Reason, TimebankError
from timebank.ids import ID_BYTES, id_from_bytes

ENTRY_BYTES_MAX = 65_535
NONCE_BYTES = 16
SALT_BYTES = 16
EXPIRY_CALLER = "ledger/expiry"
NEVER_STORED = frozenset({Reason.VALIDATION_FAILED, Reason.LEDGER_NOT_FOUND})
"""Refusals that a retry may turn into a success: the request was at fault, not the state."""


class Book:
    """One batch over a state: give it requests in order, then take what was written."""

    def __init__(
        self,
        state: Projections,
        *,
        next_index: int,
        now_us: int,
        random_bytes: Callable[[int], bytes],
        encode: Callable[[str, Entry], bytes],
        holidays: Holidays = NO_HOLIDAYS,
    ) -> None:
        self.state = state
        self.recorded: dict[bytes, Recorded] = {}
        self.natural: dict[tuple[EntryKind, str], Entry] = {}
        self.originals: dict[int, Entry] = {}
        self.texts_of: dict[int, Text] = {}
        self.written: list[Written] = []
        self.declines: list[Decline] = []
        self.texts: list[Text] = []
        self.now_us = now_us
        self._next_index = next_index
        self._random_bytes = random_bytes
        self._encode = encode
        self._view = View(state, now_us, holidays)

    def execute(self, request: c.Request) -> Outcome:
        """Carries a request out, or gives the stored answer when its key was seen before."""
        key = request.key
        if key:
            recorded = self.recorded.get(key)
            if recorded is not None:
                return self._replay(recorded, request)
        natural = self._natural_hit(request) if self.natural else None
        if natural is not None and natural.error is None:
            return natural
        try:
            if natural is not None and natural.error is not None:
                raise natural.error
            known = self._earlier_record(request)
            if known is not None:
                return Outcome(fact=known, replayed=True)
            self._expire_due(request.commands)
            outcome = Outcome(self._carry_out(request))
        except TimebankError as error:
            outcome = Outcome(error=error)
            if not key or _is_never_stored(error):
                return outcome
            self.declines.append(Decline(key, request.fingerprint, error))
        if key:
            self.recorded[key] = Recorded(request.fingerprint, outcome)
        return outcome

    def _replay(self, recorded: Recorded, request: c.Request) -> Outcome:
        entries = recorded.outcome.entries
        if recorded.fingerprint != request.fingerprint or not self._same_memos(entries, request):
            error = TimebankError(
                Reason.REQUEST_ID_REUSED,
                "this request_id was used for other content: make a new one for each new request",
                field="request_id",
            )
            return Outcome(error=error)
        return recorded.outcome._replace(replayed=True)

    def _same_memos(self, entries: Sequence[Entry], request: c.Request) -> bool:
        for entry, command in zip(entries, request.commands, strict=False):
            memo = getattr(command, "memo", "")
            text = self.texts_of.get(entry.log_index)
            if memo and text is not None and entry.commitments:
                digest = commitment(
                    self.state.ledger.ledger_id, entry.log_index, text._replace(text=memo)
                )
                if digest != entry.commitments[0][1]:
                    return False
        return True

    def _natural_hit(self, request: c.Request) -> Outcome | None:
        for command in request.commands:
            name = natural_name(command)
            entry = self.natural.get(name) if name else None
            if name is None or entry is None:
                continue
            first = entry.log_index - entry.chain_position
            indexes = range(first, first + len(request.commands))
            found = [self.originals.get(index) for index in indexes]
            chain = tuple(item for item in found if item is not None)
            if entry.fingerprint == request.fingerprint and self._same_memos(chain, request):
                return Outcome(chain, replayed=True)
            opened = name[0] is EntryKind.ACCOUNT_OPENED
            error = TimebankError(
                Reason.ACCOUNT_EXISTS if opened else Reason.ENTRY_EXISTS,
                f"{name[0].name} with natural key {name[1]!r} is entry {entry.log_index} and"
                " says something else: correct it, or use another key",
                natural_key=name[1],
                entry=entry.log_index,
            )
            return Outcome(error=error)
        return None

    def _carry_out(self, request: c.Request) -> tuple[Entry, ...]:
        commands = request.commands
        if isinstance(commands[0], c.ExpireDue):
            return ()
        if is_hours_command(commands[0]):
            return self._hours(request, commands[0])
        if len(commands) == 1:
            return (self._one(request, commands[0], 0, "")[0],)
        touched = self._touched(commands)
        indexes = [item.entry_index for item in commands if isinstance(item, c.Reverse | c.Refund)]
        snapshot = Snapshot(self.state, touched, indexes)
        marks = len(self.written), len(self.texts), self.now_us, self._next_index
        entries: list[Entry] = []
        last_hold = ""
        for position, command in enumerate(commands):
            try:
                entry, hold_id = self._one(request, command, position, last_hold)
            except TimebankError as error:
                snapshot.restore([item.entry for item in self.written[marks[0] :]])
                self._forget(*marks)
                raise TimebankError(
                    Reason.LINKED_ITEM_FAILED,
                    f"nothing was done: command {position + 1} of {len(commands)} failed: {error}",
                    violations=error.violations,
                    position=position,
                    failed_reason=error.reason.value,
                ) from error
            entries.append(entry)
            last_hold = hold_id or last_hold
        return tuple(entries)

    def view(self, who: Who) -> View:
        """Gives the state as the rules of members and records read it."""
        view = self._view
        view.now_us, view.who = self.now_us, who
        return view

    def _earlier_record(self, request: c.Request) -> Known | None:
        """Finds a record that was submitted before in the same words."""
        command = request.commands[0]
        if not isinstance(command, SubmitRecord):
            return None
        return earlier(self.view(request.who), command)

    def _hours(self, request: c.Request, command: HoursCommand) -> tuple[Entry, ...]:
        """Carries out a request about members or records. Raises NotLoaded with nothing written."""
        self._check_created()
        decisions = decide(self.view(request.who), command, self._new_id)
        entries: list[Entry] = []
        try:
            for decision in decisions:
                entries.append(self._write(decision, request, len(entries)))
        except (TimebankError, NotLoaded) as error:
            if entries:
                # What the first entries did cannot be taken back: a fault of the rules.
                raise RuntimeError(f"refused after an entry was made: {error}") from error
            raise
        return tuple(entries)

    def _forget(self, written: int, texts: int, now_us: int, next_index: int) -> None:
        for item in self.written[written:]:
            del self.originals[item.entry.log_index]
            self.natural.pop((item.entry.kind, item.entry.natural_key), None)
        del self.written[written:]
        del self.texts[texts:]
        self.now_us, self._next_index = now_us, next_index

    def _one(
        self, request: c.Request, command: c.Command, position: int, last_hold: str
    ) -> tuple[Entry, str]:
        if not isinstance(command, c.CreateLedger):
            self._check_created()
        if isinstance(command, c.Post):
            decision = decide_post(self.state, command, self.now_us, request.authorities)
        else:
            if isinstance(command, c.CaptureHold | c.VoidHold) and command.hold_id == "-":
                command = command._replace(hold_id=last_hold)
            decision = self._decide(command)
        entry = self._write(decision, request, position)
        if isinstance(command, c.CreateLedger):
            for kind, unit in SYSTEM_ACCOUNTS:
                opened = account_rules.system_account(kind, unit, self._new_id())
                self._write(opened, None, 0)
        created = decision.kind is EntryKind.HOLD_CREATED
        return entry, decision.hold_changes[0].hold_id if created else ""

    def _check_created(self) -> None:
        if not self._next_index:
            raise TimebankError(
                Reason.LEDGER_NOT_FOUND,
                f"ledger {self.state.ledger.ledger_id} has no entries yet: create it first",
                ledger=self.state.ledger.ledger_id,
            )

    def _decide(self, command: c.Command) -> Decision:
        state, now_us = self.state, self.now_us
        match command:
            case c.OpenAccount():
                return account_rules.decide_open(command, self._new_id())
            case c.ChangeAccount():
                return account_rules.decide_change(state, command)
            case c.SetLimits():
                return account_rules.decide_limits(state, command)
            case c.CreateHold():
                return hold_rules.decide_create(state, command, now_us, self._new_id())
            case c.CaptureHold():
                return hold_rules.decide_capture(state, command, now_us)
            case c.VoidHold():
                return hold_rules.decide_void(state, command, now_us)
            case c.Reverse():
                original = self.originals.get(command.entry_index)
                return correction_rules.decide_reversal(state, command, original)
            case c.Refund():
                original = self.originals.get(command.entry_index)
                return correction_rules.decide_refund(state, command, original)
            case c.CloseOpening():
                return account_rules.decide_close_opening(state)
            case c.RotateKey():
                return account_rules.decide_rotation(state, command)
            case c.CreateLedger():
                return account_rules.decide_ledger(command, exists=self._next_index > 0)
            case _:
                raise TypeError(f"no rule for {type(command).__name__}")

    def _write(self, decision: Decision, request: c.Request | None, position: int) -> Entry:
        index = self._next_index
        if decision.natural_key and (decision.kind, decision.natural_key) in self.natural:
            raise TimebankError(
                Reason.ENTRY_EXISTS,
                f"{decision.kind.name} with natural key {decision.natural_key!r} stands twice in"
                " the chain: give each its own",
                natural_key=decision.natural_key,
            )
        commitments: tuple[tuple[str, bytes], ...] = ()
        if decision.memo:
            text = Text(index, "memo", self._random_bytes(SALT_BYTES), decision.memo)
            commitments = ((text.field, commitment(self.state.ledger.ledger_id, index, text)),)
        entry = Entry(
            index,
            decision.kind,
            self.now_us,
            decision.effective_us or self.now_us,
            self._random_bytes(NONCE_BYTES),
            request.caller if request else EXPIRY_CALLER,
            request.actor if request else "",
            request.request_id if request else b"",
            position,
            request.fingerprint if request else b"",
            decision.natural_key,
            decision.cause,
            decision.policy_version,
            decision.postings,
            decision.hold_changes,
            decision.original_index,
            decision.account,
            decision.ledger,
            commitments,
            decision.facts,
            decision.tallies,
        )
        leaf = self._encode(self.state.ledger.ledger_id, entry)
        if len(leaf) > ENTRY_BYTES_MAX:
            raise TimebankError(
                Reason.ENTRY_TOO_LARGE,
                f"the entry would have {len(leaf)} bytes, at most {ENTRY_BYTES_MAX} fit: split it",
                size=len(leaf),
            )
        self.state.fold(entry)
        key = request.key if request and not position else b""
        self.written.append(Written(entry, leaf, key or None))
        self.originals[index] = entry
        if decision.natural_key:
            self.natural[decision.kind, decision.natural_key] = entry
        if decision.memo:
            self.texts.append(text)
        self._next_index = index + 1
        self.now_us += 1
        return entry

    def _touched(self, commands: Iterable[c.Command]) -> set[str]:
        touched: set[str] = set()
        for command in commands:
            touched.update(self._touched_by(command))
        return touched

    def _touched_by(self, command: c.Command) -> list[str]:
        if type(command) is c.Post:
            return [draft[0] for draft in command.postings]
        match command:
            case c.ChangeAccount() | c.SetLimits() | c.CreateHold():
                return [command.account_id]
            case c.CaptureHold():
                return [command.to_account_id, *self._accounts_of_hold(command.hold_id)]
            case c.VoidHold():
                return self._accounts_of_hold(command.hold_id)
            case c.Reverse() | c.Refund():
                original = self.originals.get(command.entry_index)
                return [posting.account_id for posting in original.postings] if original else []
            case c.ExpireDue():
                return list(command.account_ids)
            case _:
                return taken_from(self._view, command) if is_hours_command(command) else []

    def _accounts_of_hold(self, hold_id: str) -> list[str]:
        hold = self.state.holds.get(hold_id)
        return [hold.account_id] if hold else []

    def _expire_due(self, commands: Iterable[c.Command]) -> None:
        accounts, now_us = self.state.accounts, self.now_us
        due: set[str] = set()
        for command in commands:
            for account_id in self._touched_by(command):
                account = accounts.get(account_id)
                if account is None or not (account.lots or account.holds):
                    continue
                if account.due_us() <= now_us:
                    due.add(account_id)
        for account_id in sorted(due):
            self._expire(accounts[account_id])

    def _expire(self, account: Account) -> None:
        for hold in sorted(account.holds.values(), key=_expiry_and_id):
            if hold.expires_us <= self.now_us:
                self._write(hold_rules.decide_expiry(hold), None, 0)
        for lot in list(account.lots):
            free = lot.remaining - lot.reserved
            if lot.expires_us <= self.now_us and free:
                decision = correction_rules.decide_lot_expiry(self.state, account, lot)
                self._write(decision, None, 0)

    def _new_id(self) -> str:
        return id_from_bytes(self._random_bytes(ID_BYTES))


def _is_never_stored(error: TimebankError) -> bool:
    failed = error.metadata.get("failed_reason")
    return error.reason in NEVER_STORED or failed in {reason.value for reason in NEVER_STORED}


def _expiry_and_id(hold: Hold) -> tuple[int, str]:
    return hold.expires_us, hold.hold_id
