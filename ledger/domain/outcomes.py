"""What a batch leaves behind: outcomes, texts kept outside the log, declines; and by which keys a
request is known again.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from ledger.domain import commands as c
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.register import Known
from timebank.errors import TimebankError


class Outcome(NamedTuple):
    """The answer to a request: one entry a command, or why not; `fact` when a record was there
    before.
    """

    entries: tuple[Entry, ...] = ()
    error: TimebankError | None = None
    replayed: bool = False
    fact: Known | None = None


class Recorded(NamedTuple):
    """What an earlier request of the same key said and got."""

    fingerprint: bytes
    outcome: Outcome


class Text(NamedTuple):
    """A text kept outside the log, and the salt of its commitment."""

    log_index: int
    field: str
    salt: bytes
    text: str


class Written(NamedTuple):
    """An entry, the bytes that are its leaf, and the key of the request that it answers first."""

    entry: Entry
    leaf: bytes
    request_key: bytes | None


class Decline(NamedTuple):
    """A refusal to remember: a retry can never turn it into a success."""

    key: bytes
    fingerprint: bytes
    error: TimebankError


def commitment(ledger_id: str, index: int, text: Text) -> bytes:
    """Commits to a text: HMAC-SHA-256 under its salt over ledger, entry, field and text, each with
    its length.
    """
    parts = (ledger_id, str(index), text.field, text.text)
    data = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(text.salt, data, hashlib.sha256).digest()


def natural_name(command: c.Command) -> tuple[EntryKind, str] | None:
    """Gives the kind and natural key under which a command may be written only once."""
    match command:
        case c.Post() | c.CaptureHold() if command.natural_key:
            return command.kind, command.natural_key
        case c.OpenAccount() if command.natural_key:
            return EntryKind.ACCOUNT_OPENED, command.natural_key
        case c.CreateHold() if command.natural_key:
            return EntryKind.HOLD_CREATED, command.natural_key
        case c.Refund() if command.natural_key:
            return EntryKind.REFUND, command.natural_key
        case _:
            return None
