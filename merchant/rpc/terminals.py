"""MerchantService: tills."""

from __future__ import annotations

from typing import cast

from merchant.domain.documents import Terminal
from merchant.domain.terminal_rules import ChangeTerminal
from merchant.domain.terminal_signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from merchant.names import (
    invalid,
    invalid_fields,
    merchant_from_name,
    new_id_of,
    terminal_from_name,
    version_from_etag,
)
from merchant.rpc.offers import Context, OfferRpcs, asking, next_token
from merchant.usecases.callers import check_changes_terminal
from merchant.usecases.merchants import Merchants
from merchant.usecases.tills import Proof, Tills
from merchant.wire_merchants import (
    TERMINAL_FIELDS,
    changes_from_wire,
    known_value,
    terminal_from_wire,
    terminal_to_wire,
)
from timebank.auth import current_principal
from timebank.merchant.v1 import merchant_pb2, merchant_service_pb2
from timebank.paging import page_position, page_size_of


class TerminalRpcs(OfferRpcs):
    """The part of MerchantService about tills."""

    def __init__(self, *, merchants: Merchants, tills: Tills) -> None:
        super().__init__(merchants=merchants)
        self._tills = tills

    async def CreateTerminal(
        self, request: merchant_service_pb2.CreateTerminalRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Registers a till."""
        ledger_id, merchant_id = merchant_from_name(request.parent, "parent")
        programme = await self._of_merchant(ledger_id, merchant_id)
        asker = asking(request.request_id)
        own_id = new_id_of("terminal_id", request.terminal_id)
        command = terminal_from_wire(f"{merchant_id}/{own_id}", request.terminal)
        terminal, code = await self._tills.create(programme, command, asker)
        return self._answer(ledger_id, terminal, code)

    async def GetTerminal(
        self, request: merchant_service_pb2.GetTerminalRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Reads a till."""
        ledger_id, merchant_id, own_id = terminal_from_name(request.name)
        principal = current_principal()
        programme = await self._merchants.programme(ledger_id, principal)
        terminal = await self._tills.find(programme, f"{merchant_id}/{own_id}", principal)
        return self._answer(ledger_id, terminal)

    async def ListTerminals(
        self, request: merchant_service_pb2.ListTerminalsRequest, context: Context
    ) -> merchant_service_pb2.ListTerminalsResponse:
        """Lists tills."""
        ledger_id, merchant_id = merchant_from_name(request.parent, "parent")
        size, principal = page_size_of(request.page_size), current_principal()
        known_value("state", request.state, merchant_pb2.Terminal.State.values())
        key = ("terminals", ledger_id, merchant_id, int(request.state))
        after = page_position(request.page_token, *key)
        programme = await self._merchants.programme(ledger_id, principal)
        page = await self._tills.listed(
            programme, merchant_id, principal, state=request.state, after=after, size=size
        )
        return merchant_service_pb2.ListTerminalsResponse(
            terminals=[self._answer(ledger_id, cast("Terminal", item)) for item in page.documents],
            next_page_token=next_token(page.next_after, key),
        )

    async def UpdateTerminal(
        self, request: merchant_service_pb2.UpdateTerminalRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Changes a till."""
        name = request.terminal.name
        ledger_id, merchant_id, own_id = terminal_from_name(name, "terminal.name")
        programme = await self._of_merchant(ledger_id, merchant_id)
        asker = asking(request.request_id)
        paths = request.update_mask.paths
        changes = changes_from_wire(request.terminal, TERMINAL_FIELDS, paths, prefix="terminal")
        version = version_from_etag(request.terminal.etag)
        command = ChangeTerminal(f"{merchant_id}/{own_id}", changes, version)
        terminal = await self._tills.change(programme, command, asker)
        return self._answer(ledger_id, terminal)

    async def EnrollTerminal(
        self, request: merchant_service_pb2.EnrollTerminalRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Gives a till its key."""
        ledger_id, merchant_id, own_id = terminal_from_name(request.name)
        asker = asking(request.request_id)
        _check_bytes(request, public_key=PUBLIC_KEY_BYTES, proof=SIGNATURE_BYTES)
        if not request.enrolment_code:
            raise invalid("enrolment_code", "expected the code that the till was given")
        proof = Proof(request.public_key, request.proof)
        terminal_id, code = f"{merchant_id}/{own_id}", request.enrolment_code
        terminal = await self._tills.enrol(ledger_id, request.name, terminal_id, code, proof, asker)
        return self._answer(ledger_id, terminal)

    async def RenewEnrolment(
        self, request: merchant_service_pb2.RenewEnrolmentRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Makes another enrolment code."""
        ledger_id, merchant_id, own_id = terminal_from_name(request.name)
        programme = await self._of_merchant(ledger_id, merchant_id)
        terminal_id, asker = f"{merchant_id}/{own_id}", asking(request.request_id)
        terminal, code = await self._tills.renew(programme, terminal_id, asker)
        return self._answer(ledger_id, terminal, code)

    async def RotateTerminalKey(
        self, request: merchant_service_pb2.RotateTerminalKeyRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Gives a till another key."""
        ledger_id, merchant_id, own_id = terminal_from_name(request.name)
        principal, terminal_id = current_principal(), f"{merchant_id}/{own_id}"
        check_changes_terminal(principal, terminal_id)
        programme = await self._merchants.programme(ledger_id, principal)
        asker = asking(request.request_id)
        sizes = {"old_proof": SIGNATURE_BYTES, "proof": SIGNATURE_BYTES}
        _check_bytes(request, public_key=PUBLIC_KEY_BYTES, **sizes)
        terminal = await self._tills.rotate(
            programme,
            request.name,
            terminal_id,
            old_key_id=request.old_key_id,
            old_signature=request.old_proof,
            proof=Proof(request.public_key, request.proof),
            asker=asker,
        )
        return self._answer(ledger_id, terminal)

    async def SuspendTerminal(
        self, request: merchant_service_pb2.SuspendTerminalRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Suspends a till."""
        ledger_id, merchant_id, own_id = terminal_from_name(request.name)
        programme = await self._of_merchant(ledger_id, merchant_id)
        terminal_id, asker = f"{merchant_id}/{own_id}", asking(request.request_id)
        terminal = await self._tills.suspend(programme, terminal_id, asker)
        return self._answer(ledger_id, terminal)

    async def ResumeTerminal(
        self, request: merchant_service_pb2.ResumeTerminalRequest, context: Context
    ) -> merchant_pb2.Terminal:
        """Ends the suspension of a till."""
        ledger_id, merchant_id, own_id = terminal_from_name(request.name)
        programme = await self._of_merchant(ledger_id, merchant_id)
        terminal_id, asker = f"{merchant_id}/{own_id}", asking(request.request_id)
        terminal = await self._tills.resume(programme, terminal_id, asker)
        return self._answer(ledger_id, terminal)

    def _answer(self, ledger_id: str, terminal: Terminal, code: str = "") -> merchant_pb2.Terminal:
        return terminal_to_wire(ledger_id, terminal, self._tills.now_us(), code=code)


def _check_bytes(request: object, **sizes: int) -> None:
    """Checks how long keys and signatures are. Raises VALIDATION_FAILED for all at once."""
    lengths = {field: len(getattr(request, field)) for field in sizes}
    violations = [
        (field, f"expected {sizes[field]} bytes, got {length}")
        for field, length in lengths.items()
        if length != sizes[field]
    ]
    if violations:
        raise invalid_fields(violations)
