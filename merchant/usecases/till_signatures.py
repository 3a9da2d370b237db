"""Whether a till did sign a call, checked without a look-up for each.

What a process remembers of a till: its live keys as loaded objects for KEYS_KEPT_US, and the nonces
of the last minutes. A signature that does not fit may be by a key that is newer than what is
remembered: then the till is looked up again, at most once in LOOK_AGAIN_US. Another process has its
own memory, and a restart forgets: a call that is repeated there has the same request id, so it is
carried out once all the same.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, TypeVar, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from merchant.domain.documents import Terminal
from merchant.domain.states import DocumentKind
from merchant.domain.terminal_rules import live_keys, no_terminal
from merchant.domain.terminal_signatures import (
    NONCES_MAX,
    NonceVerdict,
    NonceWindow,
    TillCall,
    TimeVerdict,
    canonical_text,
    check_time,
)
from merchant.usecases.programmes import Programme, Programmes
from timebank.errors import Reason, TimebankError

KEYS_KEPT_US = 5_000_000
LOOK_AGAIN_US = 1_000_000
TILLS_MAX = 10_000
"""Tills that a process remembers; those that were silent for longest are forgotten first."""

T = TypeVar("T")
_Name = tuple[str, str]
"""Ledger and terminal."""


class _Known(NamedTuple):
    """The live keys of a till, newest first, as they were at a time: (id, end or 0, key)."""

    looked_up_us: int
    keys: tuple[tuple[str, int, Ed25519PublicKey], ...]


class TillSignatures:
    """The memory of one process."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes
        self._known: OrderedDict[_Name, _Known] = OrderedDict()
        self._used: OrderedDict[_Name, NonceWindow] = OrderedDict()

    def forget(self, programme: Programme, terminal_id: str) -> None:
        """Drops the keys of a till that changed."""
        self._known.pop((programme.ledger_id, terminal_id), None)

    async def check(
        self, programme: Programme, terminal_id: str, call: TillCall, signature: bytes
    ) -> str:
        """Checks that a till signed a call just now and gives the id of the key.

        A till that is suspended signs too: its reversals are taken. The very same call again, as
        a retry on the way sends it, is harmless and passes. Raises VALIDATION_FAILED for a call
        that cannot be signed, TERMINAL_NOT_FOUND, TERMINAL_SIGNATURE_INVALID, RATE_LIMITED.
        """
        text = canonical_text(call)
        now_us = self._programmes.clock.now_us()
        verdict = check_time(call.timestamp_s, now_us)
        if verdict is not TimeVerdict.GOOD:
            early = "in the future" if verdict is TimeVerdict.TOO_NEW else "in the past"
            raise _unsigned(
                terminal_id,
                f"its time {call.timestamp_s} is more than five minutes {early}, it is"
                f" {now_us // 1_000_000} now: set the till's clock",
            )
        key_id = await self._signer(programme, terminal_id, text, signature, now_us)
        self._take_nonce((programme.ledger_id, terminal_id), call.nonce, signature, now_us)
        return key_id

    async def _signer(
        self, programme: Programme, terminal_id: str, text: bytes, signature: bytes, now_us: int
    ) -> str:
        name = programme.ledger_id, terminal_id
        known = self._known.get(name)
        if known is None or not 0 <= now_us - known.looked_up_us <= KEYS_KEPT_US:
            known = await self._look_up(programme, terminal_id, now_us)
        key_id = _signing_key(known, text, signature, now_us)
        if not key_id and now_us - known.looked_up_us > LOOK_AGAIN_US:
            known = await self._look_up(programme, terminal_id, now_us)
            key_id = _signing_key(known, text, signature, now_us)
        if key_id:
            return key_id
        if not known.keys:
            raise _unsigned(terminal_id, "it has no key: enrol it first")
        ids = ", ".join(key[0] for key in known.keys)
        raise _unsigned(
            terminal_id,
            f"expected one over the lines of TB1 by key {ids}: check the till's key and every line",
        )

    async def _look_up(self, programme: Programme, terminal_id: str, now_us: int) -> _Known:
        found = await self._programmes.find(programme, DocumentKind.TERMINAL, terminal_id)
        if found is None:
            raise no_terminal(terminal_id)
        keys = reversed(live_keys(cast("Terminal", found), now_us))
        known = _Known(
            now_us,
            tuple((key.key_id, key.expires_us, public_key_of(key.public_key)) for key in keys),
        )
        _remember(self._known, (programme.ledger_id, terminal_id), known)
        return known

    def _take_nonce(self, name: _Name, nonce: str, signature: bytes, now_us: int) -> None:
        window = self._used.get(name) or NonceWindow()
        verdict = window.take(nonce, signature, now_us)
        if verdict is NonceVerdict.TOO_MANY:
            raise TimebankError(
                Reason.RATE_LIMITED,
                f"terminal {name[1]} made more than {NONCES_MAX} calls within ten minutes: wait a"
                " minute",
                terminal=name[1],
            )
        if verdict is NonceVerdict.REPEATED:
            raise _unsigned(name[1], "its nonce was used before: take another for each call")
        _remember(self._used, name, window)


def public_key_of(text: str) -> Ed25519PublicKey:
    """Loads a key as documents keep it, in hexadecimal digits."""
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))


def is_signed(key: Ed25519PublicKey, text: bytes, signature: bytes) -> bool:
    """Says whether a key signed a text (RFC 8032 5.1.7)."""
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _signing_key(known: _Known, text: bytes, signature: bytes, now_us: int) -> str:
    for key_id, expires_us, key in known.keys:
        if (not expires_us or now_us < expires_us) and is_signed(key, text, signature):
            return key_id
    return ""


def _remember(memory: OrderedDict[_Name, T], name: _Name, value: T) -> None:
    memory[name] = value
    memory.move_to_end(name)
    if len(memory) > TILLS_MAX:
        memory.popitem(last=False)


def _unsigned(terminal_id: str, text: str) -> TimebankError:
    return TimebankError(
        Reason.TERMINAL_SIGNATURE_INVALID,
        f"signature of terminal {terminal_id}: {text}",
        terminal=terminal_id,
    )
