"""MerchantService: offers."""

from __future__ import annotations

from typing import Any, cast

import grpc.aio

from merchant.domain.documents import Offer
from merchant.domain.offer_rules import ChangeOffer, CreateOffer
from merchant.names import (
    ALL,
    merchant_from_name,
    new_id_of,
    offer_from_name,
    version_from_etag,
)
from merchant.usecases.callers import check_changes_merchant
from merchant.usecases.changes import Asker
from merchant.usecases.merchants import Merchants, Wish
from merchant.usecases.programmes import Programme
from merchant.wire_merchants import (
    OFFER_FIELDS,
    changes_from_wire,
    content_from_wire,
    known_value,
    offer_to_wire,
)
from timebank.auth import current_call, current_principal
from timebank.ids import uuid_bytes
from timebank.merchant.v1 import merchant_pb2, merchant_service_pb2
from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceServicer
from timebank.paging import page_position, page_size_of, page_token

Context = grpc.aio.ServicerContext[Any, Any]


class OfferRpcs(MerchantServiceServicer):
    """The part of MerchantService about offers."""

    def __init__(self, *, merchants: Merchants) -> None:
        self._merchants = merchants

    async def _of_merchant(self, ledger_id: str, merchant_id: str) -> Programme:
        """Gives the programme in which the caller may change tills and offers of a merchant."""
        principal = current_principal()
        check_changes_merchant(principal, merchant_id)
        return await self._merchants.programme(ledger_id, principal)

    async def CreateOffer(
        self, request: merchant_service_pb2.CreateOfferRequest, context: Context
    ) -> merchant_pb2.Offer:
        """Adds an offer."""
        ledger_id, merchant_id = merchant_from_name(request.parent, "parent")
        programme = await self._of_merchant(ledger_id, merchant_id)
        asker = asking(request.request_id)
        own_id = new_id_of("offer_id", request.offer_id)
        command = CreateOffer(f"{merchant_id}/{own_id}", content_from_wire(request.offer))
        offer = await self._merchants.create_offer(programme, command, asker)
        return offer_to_wire(ledger_id, offer)

    async def GetOffer(
        self, request: merchant_service_pb2.GetOfferRequest, context: Context
    ) -> merchant_pb2.Offer:
        """Reads an offer."""
        ledger_id, merchant_id, own_id = offer_from_name(request.name)
        programme = await self._merchants.programme(ledger_id, current_principal())
        offer = await self._merchants.find_offer(programme, f"{merchant_id}/{own_id}")
        return offer_to_wire(ledger_id, offer)

    async def ListOffers(
        self, request: merchant_service_pb2.ListOffersRequest, context: Context
    ) -> merchant_service_pb2.ListOffersResponse:
        """Lists offers."""
        ledger_id, merchant_id = merchant_from_name(request.parent, "parent")
        size = page_size_of(request.page_size)
        known_value("state", request.state, merchant_pb2.Offer.State.values())
        key = ("offers", ledger_id, merchant_id, int(request.state), request.redeemable)
        after = page_position(request.page_token, *key)
        programme = await self._merchants.programme(ledger_id, current_principal())
        page = await self._merchants.offers(
            programme,
            "" if merchant_id == ALL else merchant_id,
            Wish(state=request.state, redeemable=request.redeemable),
            after=after,
            size=size,
        )
        return merchant_service_pb2.ListOffersResponse(
            offers=[offer_to_wire(ledger_id, cast("Offer", item)) for item in page.documents],
            next_page_token=next_token(page.next_after, key),
        )

    async def UpdateOffer(
        self, request: merchant_service_pb2.UpdateOfferRequest, context: Context
    ) -> merchant_pb2.Offer:
        """Changes an offer."""
        ledger_id, merchant_id, own_id = offer_from_name(request.offer.name, "offer.name")
        programme = await self._of_merchant(ledger_id, merchant_id)
        asker = asking(request.request_id)
        paths = request.update_mask.paths
        changes = changes_from_wire(request.offer, OFFER_FIELDS, paths, prefix="offer")
        version = version_from_etag(request.offer.etag)
        command = ChangeOffer(f"{merchant_id}/{own_id}", changes, version)
        offer = await self._merchants.change_offer(programme, command, asker)
        return offer_to_wire(ledger_id, offer)

    async def PauseOffer(
        self, request: merchant_service_pb2.PauseOfferRequest, context: Context
    ) -> merchant_pb2.Offer:
        """Closes an offer for now."""
        ledger_id, merchant_id, own_id = offer_from_name(request.name)
        programme = await self._of_merchant(ledger_id, merchant_id)
        offer_id, asker = f"{merchant_id}/{own_id}", asking(request.request_id)
        offer = await self._merchants.pause_offer(programme, offer_id, asker)
        return offer_to_wire(ledger_id, offer)

    async def ResumeOffer(
        self, request: merchant_service_pb2.ResumeOfferRequest, context: Context
    ) -> merchant_pb2.Offer:
        """Opens an offer again."""
        ledger_id, merchant_id, own_id = offer_from_name(request.name)
        programme = await self._of_merchant(ledger_id, merchant_id)
        offer_id, asker = f"{merchant_id}/{own_id}", asking(request.request_id)
        offer = await self._merchants.resume_offer(programme, offer_id, asker)
        return offer_to_wire(ledger_id, offer)


def asking(request_id: str) -> Asker:
    """Says who asks for a change in the running call. Raises VALIDATION_FAILED."""
    return Asker(current_call(), uuid_bytes(request_id))


def next_token(after: str, key: tuple[object, ...]) -> str:
    """Writes the token of the page after an id; empty at the end."""
    return page_token(after, *key) if after else ""
