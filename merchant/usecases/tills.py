"""Tills: how they get their keys and change them, and what their merchant says of them.

Owns: what the rules cannot do, which is to make codes and to check Ed25519 (RFC 8032). Rules: an
enrolment code is drawn from the request that asks for it and a secret, so that a repeated request
is answered by the same code and nobody keeps it; wrong codes are counted in this process and not in
the database, for anybody may send them, and only a code that looks good reaches the writer.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, cast

from merchant.domain import enrolment_codes
from merchant.domain.documents import Document, Terminal, TerminalKey
from merchant.domain.enrolment_codes import enrolment_text, key_id_of, rotation_text
from merchant.domain.payment_codes import (
    CodeVerdict,
    WindowCount,
    after_wrong_try,
    is_locked,
    keyed_digest,
)
from merchant.domain.states import DocumentKind
from merchant.domain.terminal_rules import (
    ChangeTerminal,
    CreateTerminal,
    Enrol,
    Rotate,
    change_terminal,
    check_not_suspended,
    code_is_invalid,
    create_terminal,
    enrol,
    judge_enrolment,
    no_terminal,
    renew_enrolment,
    resume_terminal,
    rotate_key,
    suspend_terminal,
)
from merchant.domain.terminal_signatures import TillCall
from merchant.domain.transactions import Transaction
from merchant.usecases.callers import sees_terminal, sees_terminals
from merchant.usecases.changes import Asker, changed
from merchant.usecases.listings import Page, page_by_id
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.till_signatures import TillSignatures, is_signed, public_key_of
from timebank.auth import Call, Principal, PrincipalKind
from timebank.errors import Reason, TimebankError

TRIED_MAX = 10_000
"""Names of tills for which a process counts wrong codes; the oldest are forgotten first."""


class Coded(NamedTuple):
    """A till, and the code by which it enrols, while it waits."""

    terminal: Terminal
    code: str = ""


class Proof(NamedTuple):
    """A new public key, 32 bytes, and the signature by which it proves itself, 64 bytes."""

    public_key: bytes
    signature: bytes


class Tills:
    """Tills of merchants."""

    def __init__(self, programmes: Programmes, *, key: bytes) -> None:
        self._programmes = programmes
        self._key = key
        self._signatures = TillSignatures(programmes)
        self._tries: OrderedDict[tuple[str, str], WindowCount] = OrderedDict()

    async def check(
        self, programme: Programme, terminal_id: str, call: TillCall, signature: bytes
    ) -> str:
        """Checks that a till signed a call just now and gives the id of the key.

        Raises VALIDATION_FAILED, TERMINAL_NOT_FOUND, TERMINAL_SIGNATURE_INVALID, RATE_LIMITED.
        """
        return await self._signatures.check(programme, terminal_id, call, signature)

    async def check_in_use(self, programme: Programme, terminal_id: str) -> None:
        """Refuses a suspended till. Raises TERMINAL_NOT_FOUND, TERMINAL_SUSPENDED."""
        found = await self._programmes.find(programme, DocumentKind.TERMINAL, terminal_id)
        if found is None:
            raise no_terminal(terminal_id)
        check_not_suspended(cast("Terminal", found))

    async def create(self, programme: Programme, command: CreateTerminal, asker: Asker) -> Coded:
        """Registers a till. Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE, TERMINAL_EXISTS."""
        code, digest = self._new_code(programme, command.terminal_id, asker)
        wanted = command._replace(enrolment_digest=digest)
        rule = functools.partial(create_terminal, command=wanted)
        return await self._coded(programme, rule, ("create", command), asker, code, digest)

    async def renew(self, programme: Programme, terminal_id: str, asker: Asker) -> Coded:
        """Makes another enrolment code. Raises TERMINAL_NOT_FOUND, MERCHANT_NOT_ACTIVE."""
        code, digest = self._new_code(programme, terminal_id, asker)
        rule = functools.partial(renew_enrolment, terminal_id=terminal_id, digest=digest)
        return await self._coded(programme, rule, ("renew", terminal_id), asker, code, digest)

    async def _coded(
        self,
        programme: Programme,
        rule: Callable[[Transaction], Document],
        said: object,
        asker: Asker,
        code: str,
        digest: str,
    ) -> Coded:
        """Gives a till with the code of this request, unless it was used or replaced since."""
        terminal = cast("Terminal", await changed(programme, rule, said, asker))
        verdict = judge_enrolment(terminal, digest, self.now_us())
        return Coded(terminal, code if verdict is CodeVerdict.GOOD else "")

    def _new_code(self, programme: Programme, terminal_id: str, asker: Asker) -> tuple[str, str]:
        principal = asker.call.principal
        assert principal is not None, "only who is known may have a till"
        text = f"{terminal_id}\0{principal.name}\0{asker.request_id.hex()}"
        drawn = keyed_digest(self._key, "enrolment-draw", programme.ledger_id, text)
        code = enrolment_codes.make_code(drawn)
        return code, self._digest(programme.ledger_id, code)

    def _digest(self, ledger_id: str, code: str) -> str:
        return enrolment_codes.digest_of(self._key, ledger_id, code).hex()

    async def enrol(
        self, ledger_id: str, name: str, terminal_id: str, typed: str, proof: Proof, asker: Asker
    ) -> Terminal:
        """Gives a till its key, whoever calls; `name` is the till's resource name.

        Raises VALIDATION_FAILED, RATE_LIMITED, ENROLMENT_CODE_INVALID, TERMINAL_SIGNATURE_INVALID.
        """
        code = enrolment_codes.normalise(typed)
        text = enrolment_text(name, code, proof.public_key)
        key = TerminalKey(key_id_of(proof.public_key), proof.public_key.hex())
        proved = is_signed(public_key_of(key.public_key), text, proof.signature)
        digest = self._digest(ledger_id, code)
        self._count_try((ledger_id, terminal_id))
        programme = await self._waiting_for(ledger_id, terminal_id, digest, key)
        rule = functools.partial(enrol, command=Enrol(terminal_id, digest, key, proved=proved))
        # The till is nobody yet: its name stands for it, so that a repeated call is found.
        caller = Principal(PrincipalKind.TERMINAL, terminal_id)
        itself = asker._replace(call=Call(caller, caller.name, asker.call.deadline_s))
        said = ("enrol", terminal_id, digest, key)
        terminal = cast("Terminal", await changed(programme, rule, said, itself))
        self._tries.pop((ledger_id, terminal_id), None)
        self._signatures.forget(programme, terminal_id)
        return terminal

    async def _waiting_for(
        self, ledger_id: str, terminal_id: str, digest: str, key: TerminalKey
    ) -> Programme:
        """Finds the programme of a till that waits for this code, or has this key already."""
        if ledger_id not in await self._programmes.known():
            raise code_is_invalid()
        programme = await self._programmes.programme(ledger_id, None)
        found = await self._programmes.find(programme, DocumentKind.TERMINAL, terminal_id)
        terminal = cast("Terminal | None", found)
        verdict = judge_enrolment(terminal, digest, self.now_us())
        if terminal is None or not (verdict is CodeVerdict.GOOD or key in terminal.keys):
            raise code_is_invalid()
        return programme

    def _count_try(self, till: tuple[str, str]) -> None:
        """Counts a code before it is looked at, so that many at once are many; a good one clears
        the count. Raises RATE_LIMITED.
        """
        tries = self._tries.get(till, WindowCount())
        if is_locked(tries, self.now_us()):
            raise TimebankError(
                Reason.RATE_LIMITED, "too many wrong codes for this till: wait a minute"
            )
        self._tries[till] = after_wrong_try(tries, self.now_us())
        if len(self._tries) > TRIED_MAX:
            self._tries.popitem(last=False)

    async def rotate(
        self,
        programme: Programme,
        name: str,
        terminal_id: str,
        *,
        old_key_id: str,
        old_signature: bytes,
        proof: Proof,
        asker: Asker,
    ) -> Terminal:
        """Gives a till its next key; `name` is the till's resource name.

        Raises VALIDATION_FAILED, TERMINAL_NOT_FOUND, TERMINAL_SUSPENDED,
        TERMINAL_SIGNATURE_INVALID.
        """
        text = rotation_text(name, old_key_id, proof.public_key)
        key = TerminalKey(key_id_of(proof.public_key), proof.public_key.hex())
        found = await self._programmes.find(programme, DocumentKind.TERMINAL, terminal_id)
        old_keys = cast("Terminal", found).keys if found is not None else ()
        proved = is_signed(public_key_of(key.public_key), text, proof.signature) and any(
            old.key_id == old_key_id
            and is_signed(public_key_of(old.public_key), text, old_signature)
            for old in old_keys
        )
        command = Rotate(terminal_id, old_key_id, key, proved=proved)
        said = ("rotate", terminal_id, old_key_id, key)
        rule = functools.partial(rotate_key, command=command)
        return await self._changed(programme, terminal_id, rule, said, asker)

    async def change(self, programme: Programme, command: ChangeTerminal, asker: Asker) -> Terminal:
        """Changes what a till says of itself. Raises TERMINAL_NOT_FOUND, ETAG_MISMATCH."""
        rule = functools.partial(change_terminal, command=command)
        return await self._changed(programme, command.terminal_id, rule, command, asker)

    async def suspend(self, programme: Programme, terminal_id: str, asker: Asker) -> Terminal:
        """Suspends a till. Raises TERMINAL_NOT_FOUND."""
        rule = functools.partial(suspend_terminal, terminal_id=terminal_id)
        said = ("suspend", terminal_id)
        return await self._changed(programme, terminal_id, rule, said, asker)

    async def resume(self, programme: Programme, terminal_id: str, asker: Asker) -> Terminal:
        """Ends a suspension. Raises TERMINAL_NOT_FOUND, MERCHANT_NOT_ACTIVE."""
        rule = functools.partial(resume_terminal, terminal_id=terminal_id)
        said = ("resume", terminal_id)
        return await self._changed(programme, terminal_id, rule, said, asker)

    async def _changed(
        self,
        programme: Programme,
        terminal_id: str,
        rule: Callable[[Transaction], Document],
        said: object,
        asker: Asker,
    ) -> Terminal:
        terminal = cast("Terminal", await changed(programme, rule, said, asker))
        self._signatures.forget(programme, terminal_id)
        return terminal

    async def find(self, programme: Programme, terminal_id: str, principal: Principal) -> Terminal:
        """Reads a till. Raises TERMINAL_NOT_FOUND, also for one that the caller may not see."""
        if not sees_terminal(principal, terminal_id):
            raise no_terminal(terminal_id)
        found = await self._programmes.find(programme, DocumentKind.TERMINAL, terminal_id)
        if found is None:
            raise no_terminal(terminal_id)
        return cast("Terminal", found)

    async def listed(
        self,
        programme: Programme,
        merchant_id: str,
        principal: Principal,
        *,
        state: int,
        after: str,
        size: int,
    ) -> Page:
        """Lists the tills of a merchant that the caller may see, by id.

        Raises MERCHANT_NOT_FOUND.
        """
        visible = sees_terminals(principal, merchant_id)
        found = await self._programmes.find(programme, DocumentKind.MERCHANT, merchant_id)
        if found is None or not visible:
            raise TimebankError(
                Reason.MERCHANT_NOT_FOUND, f"no merchant {merchant_id}", merchant=merchant_id
            )

        async def wanted(document: Document) -> bool:
            terminal = cast("Terminal", document)
            seen = sees_terminal(principal, terminal.terminal_id)
            return seen and state in (0, terminal.state)

        return await page_by_id(
            self._programmes,
            programme,
            DocumentKind.TERMINAL,
            parent=merchant_id,
            after=after,
            size=size,
            wanted=wanted,
        )

    def now_us(self) -> int:
        """Gives the time."""
        return self._programmes.clock.now_us()
