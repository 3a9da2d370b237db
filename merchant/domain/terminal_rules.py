"""Tills: how they get their keys, and where they stand.

A till has at most two keys, oldest first: the last one has no end, the one before it is taken for
ROTATION_OVERLAP_US after a rotation, so that a till which never saw the answer goes on. Of an
enrolment code only its digest is kept: with the time at which it expires while it waits, without
one once it was used.
Errors, first match wins: MERCHANT_NOT_FOUND and MERCHANT_NOT_ACTIVE (where a till is opened),
TERMINAL_EXISTS or TERMINAL_NOT_FOUND, ETAG_MISMATCH, TERMINAL_SUSPENDED, ENROLMENT_CODE_INVALID,
TERMINAL_SIGNATURE_INVALID.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.documents import Terminal, TerminalKey
from merchant.domain.enrolment_codes import CODE_LIFE_US, EnrolmentCode, judge
from merchant.domain.merchant_rules import Changes, active_merchant, check_version
from merchant.domain.payment_codes import CodeVerdict
from merchant.domain.states import TerminalState
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError

ROTATION_OVERLAP_US = 24 * 3_600 * 1_000_000


class CreateTerminal(NamedTuple):
    """A new till with the digest of the code by which it enrols."""

    terminal_id: str
    display_name: str
    location: str
    points_per_transaction_max: int
    enrolment_digest: str


class ChangeTerminal(NamedTuple):
    """New values of some fields of a till; `version` 0: whatever they were before."""

    terminal_id: str
    changes: Changes
    version: int


class Enrol(NamedTuple):
    """A till's first key, or one in place of all others; `proved`: the key signed for it."""

    terminal_id: str
    enrolment_digest: str
    key: TerminalKey
    proved: bool


class Rotate(NamedTuple):
    """A till's next key; `proved`: the old and the new one signed for it."""

    terminal_id: str
    old_key_id: str
    key: TerminalKey
    proved: bool


def create_terminal(transaction: Transaction, command: CreateTerminal) -> Terminal:
    """Registers a till; one that is there and says the same is given as it is, with its own code.

    Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE, TERMINAL_EXISTS.
    """
    active_merchant(transaction, merchant_of(command.terminal_id))
    existing = transaction.find(Terminal, command.terminal_id)
    said = command.display_name, command.location, command.points_per_transaction_max
    if existing is not None:
        stands = existing.display_name, existing.location, existing.points_per_transaction_max
        if stands != said:
            raise TimebankError(
                Reason.TERMINAL_EXISTS,
                f"terminal {command.terminal_id} exists and says something else: change it, or take"
                " another id",
                terminal=command.terminal_id,
            )
        return existing
    terminal = Terminal(
        command.terminal_id,
        command.display_name,
        command.location,
        TerminalState.PENDING,
        command.points_per_transaction_max,
        transaction.now_us,
        enrolment_digest=command.enrolment_digest,
        enrolment_expires_us=transaction.now_us + CODE_LIFE_US,
    )
    transaction.put(terminal)
    return terminal


def change_terminal(transaction: Transaction, command: ChangeTerminal) -> Terminal:
    """Changes what a till says of itself. Raises TERMINAL_NOT_FOUND, ETAG_MISMATCH."""
    terminal = find_terminal(transaction, command.terminal_id)
    check_version(command.terminal_id, terminal.version, command.version)
    return _put(transaction, terminal, terminal._replace(**dict(command.changes)))


def renew_enrolment(transaction: Transaction, terminal_id: str, digest: str) -> Terminal:
    """Gives a till another code; the one before it is void, its keys stay until this is used.

    Raises TERMINAL_NOT_FOUND, MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
    """
    terminal = find_terminal(transaction, terminal_id)
    active_merchant(transaction, merchant_of(terminal_id))
    expires_us = transaction.now_us + CODE_LIFE_US
    renewed = terminal._replace(enrolment_digest=digest, enrolment_expires_us=expires_us)
    return _put(transaction, terminal, renewed)


def enrol(transaction: Transaction, command: Enrol) -> Terminal:
    """Gives a till its key in place of every other, and uses the code up.

    The same key with the code that it used changes nothing: its answer may have been lost. A
    suspended till stays so. Raises ENROLMENT_CODE_INVALID, TERMINAL_SIGNATURE_INVALID.
    """
    terminal = transaction.find(Terminal, command.terminal_id)
    verdict = judge_enrolment(terminal, command.enrolment_digest, transaction.now_us)
    repeated = (
        verdict is CodeVerdict.USED
        and terminal is not None
        and terminal.keys[-1:] == (command.key,)
    )
    if terminal is None or not (verdict is CodeVerdict.GOOD or repeated):
        raise code_is_invalid()
    if not command.proved:
        raise TimebankError(
            Reason.TERMINAL_SIGNATURE_INVALID,
            "proof: expected a signature by the new key over the lines of TB1-ENROL; check that"
            " name, code and key are those of the request",
            terminal=command.terminal_id,
        )
    if repeated:
        return terminal
    enrolled = terminal._replace(
        keys=(command.key,),
        state=TerminalState.ACTIVE if terminal.state is TerminalState.PENDING else terminal.state,
        enrolment_expires_us=0,
    )
    return _put(transaction, terminal, enrolled)


def judge_enrolment(terminal: Terminal | None, digest: str, now_us: int) -> CodeVerdict:
    """Says what a code is to a till, by the digests of both."""
    if terminal is None or not digest or terminal.enrolment_digest != digest:
        return CodeVerdict.UNKNOWN
    expires_us = terminal.enrolment_expires_us
    code = EnrolmentCode(
        digest.encode(),
        terminal.terminal_id,
        expires_us - CODE_LIFE_US,
        used_us=0 if expires_us else now_us,
    )
    return judge(code, now_us)


def code_is_invalid() -> TimebankError:
    """One answer for unknown tills and for codes that are wrong, used or expired."""
    return TimebankError(
        Reason.ENROLMENT_CODE_INVALID,
        "no till waits for this code: check the till's name, or have a new code made",
    )


def rotate_key(transaction: Transaction, command: Rotate) -> Terminal:
    """Gives a till its next key; the old one is taken for a day more, one still older no longer.

    Only the newest key allows another: one that is being replaced may be the one that leaked. The
    rotation that was carried out already changes nothing. Raises TERMINAL_NOT_FOUND,
    TERMINAL_SUSPENDED, TERMINAL_SIGNATURE_INVALID.
    """
    terminal = find_terminal(transaction, command.terminal_id)
    check_not_suspended(terminal)
    keys = live_keys(terminal, transaction.now_us)
    ids = [key.key_id for key in keys]
    if not command.proved or command.old_key_id not in ids:
        raise _not_rotated(command, "signatures by the old key and by the new one")
    if ids == [command.old_key_id, command.key.key_id]:
        return terminal
    if ids[-1] != command.old_key_id or command.key.key_id in ids:
        raise _not_rotated(command, f"{ids[-1]}, its newest key, to give way to a new one")
    old = keys[-1]._replace(expires_us=transaction.now_us + ROTATION_OVERLAP_US)
    return _put(transaction, terminal, terminal._replace(keys=(old, command.key)))


def _not_rotated(command: Rotate, expected: str) -> TimebankError:
    return TimebankError(
        Reason.TERMINAL_SIGNATURE_INVALID,
        f"key {command.old_key_id} of terminal {command.terminal_id}: expected {expected}",
        terminal=command.terminal_id,
    )


def suspend_terminal(transaction: Transaction, terminal_id: str) -> Terminal:
    """Suspends a till; a suspended one stays so. Raises TERMINAL_NOT_FOUND."""
    terminal = find_terminal(transaction, terminal_id)
    return _put(transaction, terminal, terminal._replace(state=TerminalState.SUSPENDED))


def resume_terminal(transaction: Transaction, terminal_id: str) -> Terminal:
    """Ends a suspension: a till with a key is active, one without is pending.

    Raises TERMINAL_NOT_FOUND, MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
    """
    terminal = find_terminal(transaction, terminal_id)
    active_merchant(transaction, merchant_of(terminal_id))
    state = TerminalState.ACTIVE if terminal.keys else TerminalState.PENDING
    return _put(transaction, terminal, terminal._replace(state=state))


def find_terminal(transaction: Transaction, terminal_id: str) -> Terminal:
    """Finds a till. Raises TERMINAL_NOT_FOUND."""
    terminal = transaction.find(Terminal, terminal_id)
    if terminal is None:
        raise no_terminal(terminal_id)
    return terminal


def check_not_suspended(terminal: Terminal) -> None:
    """Refuses a till that is lost or out of use, with TERMINAL_SUSPENDED."""
    if terminal.state is TerminalState.SUSPENDED:
        raise TimebankError(
            Reason.TERMINAL_SUSPENDED,
            f"terminal {terminal.terminal_id} is SUSPENDED: resume it, then call again",
            terminal=terminal.terminal_id,
        )


def no_terminal(terminal_id: str) -> TimebankError:
    """Says that a till does not exist, or is none of the caller's business."""
    return TimebankError(
        Reason.TERMINAL_NOT_FOUND, f"no terminal {terminal_id}", terminal=terminal_id
    )


def live_keys(terminal: Terminal, now_us: int) -> tuple[TerminalKey, ...]:
    """Gives the keys whose signatures are taken, oldest first."""
    return tuple(key for key in terminal.keys if not key.expires_us or now_us < key.expires_us)


def merchant_of(document_id: str) -> str:
    """Gives the merchant that a till or an offer belongs to."""
    return document_id.partition("/")[0]


def _put(transaction: Transaction, before: Terminal, after: Terminal) -> Terminal:
    """Writes what changed, without keys that have ended."""
    if after == before:
        return before
    keys = live_keys(after, transaction.now_us)
    changed = after._replace(keys=keys, version=before.version + 1)
    transaction.put(changed)
    return changed
