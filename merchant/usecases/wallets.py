"""Wallets: issuing payment codes and cards, and what a typed PIN matches.

The numbers themselves are given out once and kept as keyed digests only; PINs as Argon2id hashes.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Callable
from typing import NamedTuple, cast

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
    no_card,
    set_pin,
)
from merchant.store.documents import find_document
from merchant.store.programmes import list_programmes
from merchant.usecases.pin_hashing import PinHashing
from merchant.usecases.programmes import Programme, Programmes, carry_out
from timebank.auth import Call
from timebank.errors import Reason, TimebankError

CODE_DEVICE_CHARACTERS_MAX = 64
MALFORMED = "malformed"
"""Stands for the digest of what cannot be a code, and finds nothing."""
PIN_OF_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=1$N88s4SGjGu9BMsncGEkMhw"
    "$kWlLPJ4N+bUPVuTrjpYd3ddYo4qAjggKHAMu2C2IOV8"
)
"""The hash of a random text that no PIN is, as costly to compare as a member's."""
LEDGERS_LOOKED_AT = 50
"""Other ledgers in which the owner of an unknown code is looked for."""


class Typed(NamedTuple):
    """What was scanned or typed of a payer: one of both, or neither."""

    code: str = ""
    card: str = ""


class IssuedCode(NamedTuple):
    """A payment code, shown once, and until when it pays."""

    code: str
    expires_us: int


class Wallets:
    """What members pay with."""

    def __init__(
        self,
        programmes: Programmes,
        *,
        key: bytes,
        random_bytes: Callable[[int], bytes],
        pin_hashing: PinHashing | None = None,
    ) -> None:
        """Takes what hashes PINs, which its owner closes; without it, one of its own."""
        self._programmes = programmes
        self._key = key
        self._random_bytes = random_bytes
        self._pin_hashing = pin_hashing or PinHashing()

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
        return self._code_digest(programme.ledger_id, typed)

    def _code_digest(self, ledger_id: str, typed: str) -> str:
        code = payment_codes.normalise(typed)
        if not payment_codes.is_well_formed(code, payment_codes.PREFIX_DEFAULT):
            return MALFORMED
        return payment_codes.digest_of(self._key, ledger_id, code).hex()

    def card_digest(self, programme: Programme, typed: str) -> str:
        """Gives the digest of a card's number as it was scanned or typed."""
        return self._card_digest(programme.ledger_id, typed)

    def _card_digest(self, ledger_id: str, typed: str) -> str:
        number = card_numbers.normalise(typed)
        if not card_numbers.is_well_formed(number, card_numbers.PREFIX_DEFAULT):
            return MALFORMED
        return card_numbers.digest_of(self._key, ledger_id, number).hex()

    async def is_of_another_ledger(self, ledger_id: str, typed: Typed) -> bool:
        """Says whether a code or card is one of another ledger of this service.

        Raises VALIDATION_FAILED for a text that is too long, and what a failing database raises.
        """
        reader = self._programmes.databases.reader
        kind = DocumentKind.CARD if typed.card else DocumentKind.CODE
        others = [known for known in await list_programmes(reader) if known[1] != ledger_id]
        found = False
        for ledger_no, other_id in others[:LEDGERS_LOOKED_AT]:
            if typed.card:
                digest = self._card_digest(other_id, typed.card)
            else:
                digest = self._code_digest(other_id, typed.code)
            if await find_document(reader, ledger_no, kind, digest) is not None:
                found = True
        return found

    async def issue_card(
        self, programme: Programme, member_id: str, card_id: str, *, request_id: bytes, call: Call
    ) -> tuple[Card, str]:
        """Issues a card and gives its number; a repeated call with the id gives the same one.

        Raises MEMBER_NOT_FOUND, REQUEST_ID_REUSED.
        """
        accounts = await self._programmes.member_accounts(programme, member_id)
        number = self._card_number(card_id)
        digest = self.card_digest(programme, number)
        command = IssueCard(member_id, card_id, digest, accounts.points, accounts.time)
        rule, said = functools.partial(issue_card, command=command), ("card", member_id)
        answer = await carry_out(programme, rule, call=call, request_id=request_id, said=said)
        return cast("Card", answer.document), number

    def _card_number(self, card_id: str) -> str:
        """A number is drawn by the keyed hash of the card's id: nothing of it is stored."""
        drawn = hmac.digest(self._key, f"card number {card_id}".encode(), "sha256")
        return card_numbers.make_number(card_numbers.PREFIX_DEFAULT, drawn)

    async def holder_of(self, programme: Programme, card_id: str) -> str:
        """Gives the member whose card it is. Raises CARD_NOT_FOUND."""
        digest = self.card_digest(programme, self._card_number(card_id))
        found = await self._programmes.find(programme, DocumentKind.CARD, digest)
        if found is None:
            raise no_card()
        return cast("Card", found).member_id

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
        request_id: bytes,
        call: Call,
    ) -> Wallet:
        """Sets a PIN; `present` None resets it, to none when `pin` is empty. Raises
        MEMBER_NOT_FOUND, VALIDATION_FAILED, RATE_LIMITED, REQUEST_ID_REUSED, PIN_REQUIRED,
        PIN_INVALID, PIN_LOCKED.
        """
        if pin or present is not None:
            pins.check_new_pin(pin)
        await self._programmes.member_accounts(programme, member_id)
        matched = None if present is None else ""
        if present:
            matched = await self.matched_pin(programme, member_id, present, caller=call.actor)
        hashed = await self._pin_hashing.hash(pin, caller=call.actor) if pin else ""
        rule = functools.partial(
            set_pin, command=SetPin(member_id, hashed, matched, typed=bool(present))
        )
        # Without the PINs: who knew a call's id could try them by it, and no try would count.
        said = ("pin", member_id, present is None, bool(pin))
        answer = await carry_out(programme, rule, call=call, request_id=request_id, said=said)
        return cast("Wallet", answer.document)

    async def matched_pin(
        self, programme: Programme, member_id: str, pin: str, *, caller: str = ""
    ) -> str:
        """Gives the hash of the member's PIN when the typed one matches it, else nothing.

        Without such a member, or a PIN of theirs, a PIN of nobody is compared: the answer takes as
        long. Raises VALIDATION_FAILED for what cannot be a PIN, RATE_LIMITED when too many wait to
        be compared, in all or of `caller`, the person or till behind the call; neither is a try.
        """
        pins.check_pin(pin)
        found = await self._programmes.find(programme, DocumentKind.WALLET, member_id)
        wallet = cast("Wallet | None", found)
        pin_hash = wallet.pin_hash if wallet is not None else ""
        compared = pin_hash or PIN_OF_NOBODY
        matches = await self._pin_hashing.matches(pin, pin_hash=compared, caller=caller)
        return pin_hash if matches else ""

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
