"""The client of a till: every call of the contract that a till makes, signed.

Owns: the connection of one till, its enrolment, and the calls by themselves. The recipe for when
the line fails in the middle of a call is in till_recipes.py, and TillClient includes it. Rules: a
client belongs to one event loop and one till; a call that changes something is repeated with the
same request id, and signed anew each time.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

from timebank.channels import TlsFiles
from timebank.client.calls import Repetition
from timebank.client.merchant_answers import (
    offer_from_wire,
    quote_from_wire,
    terminal_from_wire,
)
from timebank.client.merchant_views import OfferView, QuoteView, RedemptionView, TerminalView
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.client.till_calls import (
    TILL_REPETITION,
    TILL_TIMEOUT_S,
    TillCaller,
    open_till_channel,
)
from timebank.client.till_journal import TillJournal
from timebank.client.till_keys import enrolment_request_id, keep_key, waiting_key
from timebank.client.till_recipes import TillRecipes
from timebank.client.till_requests import (
    Purchase,
    TillNames,
    authorize_request,
    capture_request,
    confirm_request,
    quote_request,
    redeem_request,
    refund_request,
    reverse_request,
    void_request,
)
from timebank.client.till_signatures import clean_enrolment_code, enrolment_text
from timebank.clock import Clock, SystemClock
from timebank.merchant.v1 import merchant_service_pb2


class TillClient(TillRecipes):
    """A connection of one till to a server.

    Example:
        journal = TillJournal.open(folder / "journal.jsonl", terminal)
        async with TillClient.connect(
            "127.0.0.1:50051", terminal=terminal, key_file=folder / "till.pem", journal=journal
        ) as till:
            await till.enrol("K7QM2Z4P")
            result = await till.redeem_for_sure(Purchase(offer="coffee", payment_code=code))

    """

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        terminal: str,
        key_file: Path,
        journal: TillJournal | None = None,
        token: str | Callable[[], str] | None = None,
        tls: TlsFiles | None = None,
        language: str | None = None,
        timeout_s: float = TILL_TIMEOUT_S,
        repetition: Repetition = TILL_REPETITION,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Self:
        """Makes the client of a till, by its resource name, of the server at `host:port`.

        `key_file` need not exist before `enrol`; the recipes need a `journal`. `timeout_s` is the
        deadline of each attempt. Nothing is sent before the first call.

        Raises VALIDATION_FAILED when the name is malformed or a TLS file cannot be read.
        """
        TillNames(terminal)
        call = TillCaller(
            terminal=terminal,
            clock=clock or SystemClock(),
            token=token,
            language=language,
            timeout_s=timeout_s,
            repetition=repetition,
            random_bytes=random_bytes,
        )
        channel = open_till_channel(address, tls=tls)
        return cls(channel, terminal=terminal, key_file=key_file, call=call, journal=journal)

    async def enrol(self, code: str) -> TerminalView:
        """Makes the till's key, proves that the till has it, and keeps it (mode 0600).

        The same code again after an answer that got lost is answered again. Raises TimebankError:
        ENROLMENT_CODE_INVALID, RATE_LIMITED, SIGNER_UNAVAILABLE (the key file); OutcomeOpenError.
        """
        cleaned = clean_enrolment_code(code)
        key = waiting_key(self._key_file)
        request = merchant_service_pb2.EnrollTerminalRequest(
            name=self._names.terminal,
            request_id=enrolment_request_id(key, cleaned),
            enrolment_code=cleaned,
            public_key=key.public_key,
            proof=key.sign(enrolment_text(self._names.terminal, cleaned, key.public_key)),
        )
        answer = await self._call.read(self._merchant_stub.EnrollTerminal, request)
        keep_key(self._key_file, key)
        self._key = key
        return terminal_from_wire(answer)

    def offers(self, *, page_size: int = PAGE_SIZE) -> AsyncIterator[OfferView]:
        """Yields the merchant's offers by id."""

        async def read(token: str) -> Page[OfferView]:
            request = merchant_service_pb2.ListOffersRequest(
                parent=self._names.merchant, page_size=page_size, page_token=token
            )
            response = await self._call.read(self._merchant_stub.ListOffers, request)
            return map(offer_from_wire, response.offers), response.next_page_token

        return pages(read)

    async def offer(self, offer: str) -> OfferView:
        """Reads an offer by its id. Raises TimebankError: OFFER_NOT_FOUND; OutcomeOpenError."""
        request = merchant_service_pb2.GetOfferRequest(name=self._names.offer(offer))
        return offer_from_wire(await self._call.read(self._merchant_stub.GetOffer, request))

    async def quote(self, purchase: Purchase) -> QuoteView:
        """Asks what a purchase would cost, and with a payer whether it can be.

        Raises TimebankError: why it cannot be; OutcomeOpenError without an answer.
        """
        request = quote_request(self._names, purchase, new_request_id())
        return quote_from_wire(await self._call.read(self._stub.QuoteRedemption, request))

    async def redeem(
        self, purchase: Purchase, *, merchant_ref: str, request_id: str = ""
    ) -> RedemptionView:
        """Authorises and captures, without a journal.

        Raises TimebankError: why not; OutcomeOpenError: see redeem_for_sure for what to do then.
        """
        id_ = request_id or new_request_id()
        return await self._send(
            redeem_request(self._names, purchase, merchant_ref=merchant_ref, request_id=id_)
        )

    async def authorize(
        self,
        purchase: Purchase,
        *,
        merchant_ref: str,
        hold_minutes: int = 0,
        request_id: str = "",
    ) -> RedemptionView:
        """Holds the amount; 0 minutes: as the server does by default. Raises as `redeem`."""
        return await self._send(
            authorize_request(
                self._names,
                purchase,
                merchant_ref=merchant_ref,
                request_id=request_id or new_request_id(),
                hold_minutes=hold_minutes,
            )
        )

    async def confirm(
        self, name: str, *, merchant_ref: str, pin: str, request_id: str = ""
    ) -> RedemptionView:
        """Gives the member's PIN for a redemption that waits for it.

        Raises TimebankError: PIN_INVALID, PIN_LOCKED, HOLD_RELEASED and as `redeem`.
        """
        id_ = request_id or new_request_id()
        return await self._send(
            confirm_request(name, merchant_ref=merchant_ref, request_id=id_, pin=pin)
        )

    async def capture(
        self,
        name: str,
        *,
        merchant_ref: str,
        op_ref: str,
        amount: int,
        final: bool = False,
        request_id: str = "",
    ) -> RedemptionView:
        """Pays part or all of what is held. Raises TimebankError: why not; OutcomeOpenError."""
        return await self._send(
            capture_request(
                name,
                merchant_ref=merchant_ref,
                request_id=request_id or new_request_id(),
                op_ref=op_ref,
                amount=amount,
                final=final,
            )
        )

    async def void(self, name: str, *, merchant_ref: str, request_id: str = "") -> RedemptionView:
        """Releases what is held. Raises TimebankError: ALREADY_CAPTURED; OutcomeOpenError."""
        id_ = request_id or new_request_id()
        return await self._send(void_request(name, merchant_ref=merchant_ref, request_id=id_))

    async def reverse(self, *, merchant_ref: str, request_id: str = "") -> RedemptionView:
        """Undoes a redemption, known or not. Raises TimebankError: BATCH_CLOSED;
        OutcomeOpenError: to be repeated until it is answered.
        """
        id_ = request_id or new_request_id()
        return await self._send(
            reverse_request(self._names, merchant_ref=merchant_ref, request_id=id_)
        )

    async def refund(
        self,
        name: str,
        *,
        merchant_ref: str,
        op_ref: str,
        amount: int,
        request_id: str = "",
    ) -> RedemptionView:
        """Gives part or all of what was captured back.

        Raises TimebankError: REFUND_EXCEEDS_CAPTURE, INSUFFICIENT_BALANCE; OutcomeOpenError.
        """
        return await self._send(
            refund_request(
                name,
                merchant_ref=merchant_ref,
                request_id=request_id or new_request_id(),
                op_ref=op_ref,
                amount=amount,
            )
        )
