"""Merchants, their offers, and the limits that bind redemptions.

A merchant's accounts are opened in the ledger before its document is written; a repeated call finds
them by their natural keys, so that a crash in between costs nothing. How far its points account may
go negative is written here first and told to the ledger after; whoever repeats the call tells it
again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

from merchant.domain.control_rules import set_control
from merchant.domain.documents import Control, Controls, Document, Merchant, Offer
from merchant.domain.merchant_rules import (
    ChangeMerchant,
    CreateMerchant,
    MerchantMove,
    Terms,
    change_merchant,
    create_merchant,
    draft_merchant,
    move_merchant,
)
from merchant.domain.offer_rules import (
    ChangeOffer,
    CreateOffer,
    change_offer,
    create_offer,
    is_for_sale,
    no_offer,
    pause_offer,
    resume_offer,
)
from merchant.domain.states import DocumentKind, MerchantState
from merchant.domain.velocity import CONTROLS_ID
from merchant.ledger_client import Accounts
from merchant.usecases.changes import Asker, changed
from merchant.usecases.listings import Page, page_by_id
from merchant.usecases.programmes import Programme, Programmes, carry_out
from timebank.auth import Principal
from timebank.errors import MEANINGS, Reason, TimebankError

K = DocumentKind
AGREEING_MAX = 5
"""Times that the ledger is told a limit which changes meanwhile."""
_UNKNOWN_STATUSES = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"}
)


class Wish(NamedTuple):
    """Which documents of a list are wanted: in a category or a state, 0 for any."""

    category: int = 0
    state: int = 0
    redeemable: bool = False


class Merchants:
    """Merchants, offers and velocity controls."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes

    def now_us(self) -> int:
        """Gives the time."""
        return self._programmes.clock.now_us()

    async def programme(self, ledger_id: str, principal: Principal) -> Programme:
        """Gives a programme that the caller may use. Raises LEDGER_NOT_FOUND."""
        return await self._programmes.programme(ledger_id, principal)

    async def create(
        self, programme: Programme, merchant_id: str, terms: Terms, asker: Asker
    ) -> Merchant:
        """Registers a merchant. Raises MERCHANT_EXISTS, VALIDATION_FAILED, BUDGET_NOT_FOUND,
        OUTCOME_UNKNOWN.
        """
        found = await self._programmes.find(programme, K.MERCHANT, merchant_id)
        said = ("create merchant", merchant_id, terms)
        if found is None:
            draft = CreateMerchant(merchant_id, terms, "", "", "")
            await carry_out(
                programme,
                functools.partial(draft_merchant, command=draft),
                call=asker.call,
                request_id=asker.request_id,
                said=said,
                remembers=False,
            )
            with _asking_ledger(merchant_id):
                accounts = await programme.ledger.open_merchant(merchant_id, terms.debt_points_max)
        else:
            known = cast("Merchant", found)
            accounts = Accounts(known.points_account, known.time_account, known.fund_account)
        command = CreateMerchant(merchant_id, terms, *accounts)
        rule = functools.partial(create_merchant, command=command)
        return cast("Merchant", await changed(programme, rule, said, asker))

    async def change(self, programme: Programme, command: ChangeMerchant, asker: Asker) -> Merchant:
        """Changes terms. Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE, ETAG_MISMATCH,
        VALIDATION_FAILED, LIMIT_EXCEEDED, BUDGET_NOT_FOUND, OUTCOME_UNKNOWN.
        """
        rule = functools.partial(change_merchant, command=command, zone=programme.zone)
        merchant = cast("Merchant", await changed(programme, rule, command, asker))
        if "debt_points_max" in dict(command.changes):
            merchant = await self._tell_debt(programme, merchant)
        return merchant

    async def _tell_debt(self, programme: Programme, merchant: Merchant) -> Merchant:
        """Tells the ledger how far the points account may go negative, until it is what stands."""
        client = programme.ledger.client
        for _ in range(AGREEING_MAX):
            with _asking_ledger(merchant.merchant_id):
                account = await client.get_account(merchant.points_account)
                if account.min_balance == -merchant.debt_points_max:
                    return merchant
                await client.set_account_limits(
                    merchant.points_account,
                    min_balance=-merchant.debt_points_max,
                    max_balance=account.max_balance,
                    debt_limit=account.debt_limit,
                )
            merchant = await self.find(programme, merchant.merchant_id)
        raise _unknown(merchant.merchant_id)

    async def move(
        self, programme: Programme, merchant_id: str, way: MerchantMove, asker: Asker
    ) -> Merchant:
        """Suspends, resumes or begins an exit. Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE."""
        rule = functools.partial(move_merchant, merchant_id=merchant_id, way=way)
        said = (way.name, "merchant", merchant_id)
        return cast("Merchant", await changed(programme, rule, said, asker))

    async def find(self, programme: Programme, merchant_id: str) -> Merchant:
        """Reads a merchant. Raises MERCHANT_NOT_FOUND."""
        found = await self._programmes.find(programme, K.MERCHANT, merchant_id)
        if found is None:
            raise TimebankError(
                Reason.MERCHANT_NOT_FOUND, f"no merchant {merchant_id}", merchant=merchant_id
            )
        return cast("Merchant", found)

    async def listed(self, programme: Programme, wish: Wish, *, after: str, size: int) -> Page:
        """Lists merchants by id."""

        async def wanted(document: Document) -> bool:
            merchant = cast("Merchant", document)
            return wish.category in (0, merchant.category) and wish.state in (0, merchant.state)

        return await page_by_id(
            self._programmes,
            programme,
            K.MERCHANT,
            parent=None,
            after=after,
            size=size,
            wanted=wanted,
        )

    async def create_offer(self, programme: Programme, command: CreateOffer, asker: Asker) -> Offer:
        """Adds an offer. Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE, OFFER_EXISTS,
        MOVEMENT_NOT_ALLOWED, VALIDATION_FAILED.
        """
        rule = functools.partial(create_offer, command=command)
        return cast("Offer", await changed(programme, rule, command, asker))

    async def change_offer(self, programme: Programme, command: ChangeOffer, asker: Asker) -> Offer:
        """Changes an offer. Raises OFFER_NOT_FOUND, MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE,
        ETAG_MISMATCH, VALIDATION_FAILED.
        """
        rule = functools.partial(change_offer, command=command)
        return cast("Offer", await changed(programme, rule, command, asker))

    async def pause_offer(self, programme: Programme, offer_id: str, asker: Asker) -> Offer:
        """Closes an offer for now. Raises OFFER_NOT_FOUND."""
        rule = functools.partial(pause_offer, offer_id=offer_id)
        return cast("Offer", await changed(programme, rule, ("pause", offer_id), asker))

    async def resume_offer(self, programme: Programme, offer_id: str, asker: Asker) -> Offer:
        """Opens an offer again. Raises OFFER_NOT_FOUND, MERCHANT_NOT_ACTIVE."""
        rule = functools.partial(resume_offer, offer_id=offer_id)
        return cast("Offer", await changed(programme, rule, ("resume", offer_id), asker))

    async def find_offer(self, programme: Programme, offer_id: str) -> Offer:
        """Reads an offer. Raises OFFER_NOT_FOUND."""
        found = await self._programmes.find(programme, K.OFFER, offer_id)
        if found is None:
            raise no_offer(offer_id)
        return cast("Offer", found)

    async def offers(
        self, programme: Programme, merchant_id: str, wish: Wish, *, after: str, size: int
    ) -> Page:
        """Lists the offers of a merchant, or of all when none is named, by merchant and id.

        Raises MERCHANT_NOT_FOUND.
        """
        active: dict[str, bool] = {}
        if merchant_id:
            merchant = await self.find(programme, merchant_id)
            active[merchant_id] = merchant.state is MerchantState.ACTIVE

        async def wanted(document: Document) -> bool:
            offer = cast("Offer", document)
            if wish.state not in (0, offer.state):
                return False
            if not wish.redeemable:
                return True
            owner = offer.offer_id.partition("/")[0]
            if owner not in active:
                merchant = await self.find(programme, owner)
                active[owner] = merchant.state is MerchantState.ACTIVE
            return active[owner] and is_for_sale(offer, self.now_us())

        return await page_by_id(
            self._programmes,
            programme,
            K.OFFER,
            parent=merchant_id or None,
            after=after,
            size=size,
            wanted=wanted,
        )

    async def set_control(self, programme: Programme, control: Control, asker: Asker) -> None:
        """Sets a velocity control, or removes it. Raises VALIDATION_FAILED."""
        rule = functools.partial(set_control, control=control)
        await changed(programme, rule, control, asker)

    async def controls(self, programme: Programme) -> tuple[Control, ...]:
        """Lists the velocity controls by id."""
        found = await self._programmes.find(programme, K.CONTROLS, CONTROLS_ID)
        return cast("Controls", found).controls if found is not None else ()


@contextmanager
def _asking_ledger(merchant_id: str) -> Iterator[None]:
    """Says of what the ledger did not answer that it is not known."""
    try:
        yield
    except TimebankError as error:
        if error.reason is Reason.ACCOUNT_EXISTS:
            raise TimebankError(
                Reason.MERCHANT_EXISTS,
                f"the accounts of merchant {merchant_id} were opened with another debt_points_max:"
                " create it with that one, or take another id",
                merchant=merchant_id,
            ) from error
        if MEANINGS[error.reason].status.name in _UNKNOWN_STATUSES:
            raise _unknown(merchant_id) from error
        raise


def _unknown(merchant_id: str) -> TimebankError:
    return TimebankError(
        Reason.OUTCOME_UNKNOWN,
        "the ledger has not answered yet: repeat the call with the same request id",
        merchant=merchant_id,
    )
