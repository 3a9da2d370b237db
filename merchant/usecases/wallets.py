"""Wallets: issuing payment codes and cards, and what a typed PIN matches.

The numbers themselves are given out once and kept as keyed digests only; PINs as Argon2id hashes,
computed in a thread.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
from collections.abc import Callable
from typing import NamedTuple, cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from merchant.domain import card_numbers, payment_codes, pins
from merchant.domain.documents import Card, Code, Wallet
from merchant.domain.states import DocumentKind
from merchant.domain.wallet_rules import (
    IssueCard,
    IssueCode,
    SetPin,
    block_card,
    issue_card,
    issue_code,
    set_pin,
)
from merchant.usecases.programmes import Programme, Programmes, carry_out
from timebank.auth import Call
from timebank.errors import Reason, TimebankError

CODE_DEVICE_CHARACTERS_MAX = 64


class IssuedCode(NamedTuple):
    """A payment code, shown once, and until when it pays."""

    code: str
    expires_us: int


class Wallets:
    """What members pay with."""

    def __init__(
        self, programmes: Programmes, *, key: bytes, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._programmes = programmes
        self._key = key
        self._random_bytes = random_bytes
        self._hasher = PasswordHasher()

    async def issue_code(self, programme: Programme, member_id: str, device: str) -> IssuedCode:
        """Issues a payment code. Raises MEMBER_NOT_FOUND, RATE_LIMITED.

        A repeated call issues another code: codes cost nothing, and an answer that was lost must
        not be kept in clear.
        """
        accounts = await self._programmes.member_accounts(programme, member_id)
        random = self._random_bytes(payment_codes.RANDOM_BYTES)
        code = payment_codes.make_code(payment_codes.PREFIX_DEFAULT, random)
        command = IssueCode(
            member_id, device, self.code_digest(programme, code), accounts.points, accounts.time
        )
        answer = await carry_out(programme, functools.partial(issue_code, command=command))
        issued = cast("Code", answer.document)
        return IssuedCode(code, issued.issued_us + payment_codes.CODE_LIFE_US)

    def code_digest(self, programme: Programme, typed: str) -> str:
        """Gives the digest of a code as it was scanned or typed; of what is no code, one that finds
        nothing.
        """
        code = payment_codes.normalise(typed)
        if not payment_codes.is_well_formed(code, payment_codes.PREFIX_DEFAULT):
            return "malformed"
        return payment_codes.digest_of(self._key, programme.ledger_id, code).hex()

    def card_digest(self, programme: Programme, typed: str) -> str:
        """Gives the digest of a card's number as it was scanned or typed."""
        number = card_numbers.normalise(typed)
        if not card_numbers.is_well_formed(number, card_numbers.PREFIX_DEFAULT):
            return "malformed"
        return card_numbers.digest_of(self._key, programme.ledger_id, number).hex()

    async def issue_card(
        self, programme: Programme, member_id: str, card_id: str
    ) -> tuple[Card, str]:
        """Issues a card and gives its number; a repeated call with the id gives the same one.

        Raises MEMBER_NOT_FOUND.
        """
        accounts = await self._programmes.member_accounts(programme, member_id)
        number = self._card_number(card_id)
        digest = self.card_digest(programme, number)
        command = IssueCard(member_id, card_id, digest, accounts.points, accounts.time)
        answer = await carry_out(programme, functools.partial(issue_card, command=command))
        return cast("Card", answer.document), number

    def _card_number(self, card_id: str) -> str:
        """A number is drawn by the keyed hash of the card's id: nothing of it is stored."""
        drawn = hmac.digest(self._key, f"card number {card_id}".encode(), "sha256")
        return card_numbers.make_number(card_numbers.PREFIX_DEFAULT, drawn)

    async def block_card(
        self,
        programme: Programme,
        card_id: str,
        member_id: str,
        *,
        request_id: bytes,
        call: Call,
    ) -> Card:
        """Blocks a card. Raises CARD_NOT_FOUND."""
        digest = self.card_digest(programme, self._card_number(card_id))
        rule = functools.partial(block_card, digest=digest, member_id=member_id)
        answer = await carry_out(
            programme, rule, call=call, request_id=request_id, said=("block", digest)
        )
        return cast("Card", answer.document)

    async def set_pin(
        self,
        programme: Programme,
        member_id: str,
        pin: str,
        *,
        present: str | None,
    ) -> Wallet:
        """Sets a PIN; `present` None resets it. Raises MEMBER_NOT_FOUND, VALIDATION_FAILED,
        PIN_INVALID, PIN_LOCKED.
        """
        pins.check_new_pin(pin)
        await self._programmes.member_accounts(programme, member_id)
        matched = None
        if present is not None:
            matched = await self.matched_pin(programme, member_id, present) if present else ""
        hashed = await asyncio.to_thread(self._hasher.hash, pin)
        command = SetPin(member_id, hashed, matched)
        answer = await carry_out(programme, functools.partial(set_pin, command=command))
        return cast("Wallet", answer.document)

    async def matched_pin(self, programme: Programme, member_id: str, pin: str) -> str:
        """Gives the hash of the member's PIN when the typed one matches it, else nothing.

        Raises VALIDATION_FAILED for what cannot be a PIN, which is no try.
        """
        pins.check_pin(pin)
        found = await self._programmes.find(programme, DocumentKind.WALLET, member_id)
        wallet = cast("Wallet | None", found)
        if wallet is None or not wallet.pin_hash:
            return ""
        try:
            await asyncio.to_thread(self._hasher.verify, wallet.pin_hash, pin)
        except (VerificationError, InvalidHashError):
            return ""
        return wallet.pin_hash

    async def payer_of(self, programme: Programme, *, code: str = "", card: str = "") -> str:
        """Gives the member behind a live code or card, so that a PIN can be compared; empty when
        there is none.
        """
        if code:
            found = await self._programmes.find(programme, DocumentKind.CODE, code)
            return cast("Code", found).member_id if found is not None else ""
        found = await self._programmes.find(programme, DocumentKind.CARD, card)
        return cast("Card", found).member_id if found is not None else ""


def device_of(text: str) -> str:
    """Checks the name of a device. Raises VALIDATION_FAILED."""
    if not 1 <= len(text) <= CODE_DEVICE_CHARACTERS_MAX or not text.isprintable():
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"device: expected 1 to {CODE_DEVICE_CHARACTERS_MAX} printable characters",
            field="device",
        )
    return text
