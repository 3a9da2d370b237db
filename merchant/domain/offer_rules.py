"""Offers: what a merchant gives for points or for TIME.

Errors, first match wins: MERCHANT_NOT_FOUND and MERCHANT_NOT_ACTIVE (but for pausing),
OFFER_EXISTS or OFFER_NOT_FOUND, ETAG_MISMATCH, MOVEMENT_NOT_ALLOWED, VALIDATION_FAILED (fields that
do not go together). What is authorised keeps the price that it was authorised with.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.documents import Merchant, Offer
from merchant.domain.merchant_rules import Changes, active_merchant, check_version
from merchant.domain.states import OfferState, OfferUnit
from merchant.domain.terminal_rules import merchant_of
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError

CATEGORY_SERVICE = 1
"""理发, 家政: the only merchants that may take TIME."""


class Content(NamedTuple):
    """What an offer says; `stock` None: unlimited, times 0: no bound."""

    title: str
    description: str
    unit: OfferUnit
    price: int
    cash_fen: int
    stock: int | None
    per_member_daily_max: int
    daily_max: int
    valid_from_us: int
    valid_until_us: int


class CreateOffer(NamedTuple):
    """A new offer."""

    offer_id: str
    content: Content


class ChangeOffer(NamedTuple):
    """New values of some fields of an offer; `version` 0: whatever they were before."""

    offer_id: str
    changes: Changes
    version: int


def content_of(offer: Offer) -> Content:
    """Gives what an offer says."""
    return Content(*(getattr(offer, name) for name in Content._fields))


def create_offer(transaction: Transaction, command: CreateOffer) -> Offer:
    """Adds an offer, open; one that is there and says the same is given as it is.

    Stock is not compared: it shrinks with each sale. Raises MERCHANT_NOT_FOUND,
    MERCHANT_NOT_ACTIVE, OFFER_EXISTS, MOVEMENT_NOT_ALLOWED, VALIDATION_FAILED.
    """
    merchant = active_merchant(transaction, merchant_of(command.offer_id))
    existing = transaction.find(Offer, command.offer_id)
    if existing is not None:
        stands = content_of(existing)
        if stands._replace(stock=command.content.stock) != command.content:
            raise TimebankError(
                Reason.OFFER_EXISTS,
                f"offer {command.offer_id} exists and says something else: change it, or take"
                " another id",
                offer=command.offer_id,
            )
        return existing
    _check_unit(merchant, command.content.unit)
    offer = Offer(
        command.offer_id,
        price_version=1,
        state=OfferState.ACTIVE,
        created_us=transaction.now_us,
        stocked=command.content.stock,
        **command.content._asdict(),
    )
    _check_validity(offer)
    transaction.put(offer)
    return offer


def change_offer(transaction: Transaction, command: ChangeOffer) -> Offer:
    """Changes an offer; another price or cash share is another price version.

    Raises OFFER_NOT_FOUND, MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE, ETAG_MISMATCH,
    VALIDATION_FAILED.
    """
    offer = _find(transaction, command.offer_id)
    active_merchant(transaction, merchant_of(command.offer_id))
    check_version(command.offer_id, offer.version, command.version)
    changed = offer._replace(**dict(command.changes))
    if changed == offer:
        return offer
    _check_validity(changed)
    if (changed.price, changed.cash_fen) != (offer.price, offer.cash_fen):
        changed = changed._replace(price_version=offer.price_version + 1)
    return _put(transaction, offer, changed._replace(stocked=_stocked(offer, changed)))


def _stocked(before: Offer, after: Offer) -> int | None:
    """Gives the pieces that were ever put in, after a change of the stock."""
    if after.stock == before.stock:
        return before.stocked
    if after.stock is None or before.stock is None or before.stocked is None:
        return None
    return before.stocked + after.stock - before.stock


def pause_offer(transaction: Transaction, offer_id: str) -> Offer:
    """Closes an offer for now; a paused one stays so. Raises OFFER_NOT_FOUND."""
    offer = _find(transaction, offer_id)
    return _put(transaction, offer, offer._replace(state=OfferState.PAUSED))


def resume_offer(transaction: Transaction, offer_id: str) -> Offer:
    """Opens an offer again; an open one stays so.

    Raises OFFER_NOT_FOUND, MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE.
    """
    offer = _find(transaction, offer_id)
    active_merchant(transaction, merchant_of(offer_id))
    return _put(transaction, offer, offer._replace(state=OfferState.ACTIVE))


def no_offer(offer_id: str) -> TimebankError:
    """Says that an offer does not exist."""
    return TimebankError(Reason.OFFER_NOT_FOUND, f"no offer {offer_id}", offer=offer_id)


def is_for_sale(offer: Offer, now_us: int) -> bool:
    """Says whether an offer of an active merchant may be redeemed now."""
    begun = offer.valid_from_us <= now_us
    ended = offer.valid_until_us != 0 and offer.valid_until_us <= now_us
    return offer.state is OfferState.ACTIVE and begun and not ended and offer.stock != 0


def _find(transaction: Transaction, offer_id: str) -> Offer:
    offer = transaction.find(Offer, offer_id)
    if offer is None:
        raise no_offer(offer_id)
    return offer


def _put(transaction: Transaction, before: Offer, after: Offer) -> Offer:
    if after == before:
        return before
    changed = after._replace(version=before.version + 1)
    transaction.put(changed)
    return changed


def _check_unit(merchant: Merchant, unit: OfferUnit) -> None:
    if unit is OfferUnit.TIME and merchant.category != CATEGORY_SERVICE:
        raise TimebankError(
            Reason.MOVEMENT_NOT_ALLOWED,
            f"merchant {merchant.merchant_id}: only those of services take TIME; price the offer in"
            " points",
            merchant=merchant.merchant_id,
        )


def _check_validity(offer: Offer) -> None:
    if offer.valid_until_us and offer.valid_until_us <= offer.valid_from_us:
        text = "expected a time after valid_from_time"
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"offer.valid_until_time: {text}",
            violations=[("offer.valid_until_time", text)],
            field="offer.valid_until_time",
        )
