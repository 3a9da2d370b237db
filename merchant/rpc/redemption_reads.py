"""RedemptionService: reading redemptions, and who may know of which."""

from __future__ import annotations

from typing import Any, cast

import grpc.aio

from merchant.domain.documents import Line, Redemption
from merchant.domain.states import DocumentKind
from merchant.names import invalid, merchant_from_name, redemption_from_name
from merchant.rpc.vouchers import VoucherRpcs
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.redemptions import Outcome, Redemptions, redemption_id_of
from merchant.usecases.tills import Tills
from merchant.usecases.vouchers import Vouchers
from merchant.usecases.wallets import Wallets
from merchant.wire_redemptions import merchant_ref_from_wire, redemption_to_wire
from timebank.auth import Principal, PrincipalKind, current_principal
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2
from timebank.paging import page_number, page_size_of, page_token

PAGES_LOOKED_AT = 20
"""A call reads so many pages at most: a page may have fewer rows than wanted, and a next one."""
Context = grpc.aio.ServicerContext[Any, Any]
SEES_MEMBERS = frozenset(
    {PrincipalKind.OPERATOR, PrincipalKind.AUDITOR, PrincipalKind.SERVICE, PrincipalKind.OFFICER}
)


class RedemptionReadRpcs(VoucherRpcs):
    """The part of RedemptionService that reads redemptions."""

    def __init__(
        self,
        programmes: Programmes,
        redemptions: Redemptions,
        wallets: Wallets,
        vouchers: Vouchers,
        tills: Tills,
    ) -> None:
        super().__init__(programmes, wallets, vouchers, tills)
        self._redemptions = redemptions

    async def GetRedemption(
        self, request: redemption_service_pb2.GetRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Reads a redemption."""
        programme, redemption_id = await self._redemption_id(request.name)
        await self._find(programme, redemption_id)
        found = await self._redemptions.look(programme, redemption_id)
        return self._answer(programme, Outcome(await self._with_batch(programme, found)))

    async def LookupRedemption(
        self, request: redemption_service_pb2.LookupRedemptionRequest, context: Context
    ) -> redemption_pb2.Redemption:
        """Reads a redemption by the merchant's reference, asking the ledger when it must."""
        programme, merchant_id = await self._merchant(request.parent)
        merchant_ref = merchant_ref_from_wire(request.merchant_ref)
        redemption_id = redemption_id_of(merchant_id, merchant_ref)
        found = await self._redemptions.look(programme, redemption_id)
        return self._answer(programme, Outcome(await self._with_batch(programme, found)))

    async def _with_batch(self, programme: Programme, redemption: Redemption) -> Redemption:
        """Tells the batch that settled a redemption, which its first line knows."""
        if not redemption.lines:
            return redemption
        name = f"{redemption.redemption_id}/1"
        line = cast("Line | None", await self._programmes.find(programme, DocumentKind.LINE, name))
        return redemption._replace(batch=line.batch if line is not None else "")

    async def ListRedemptions(
        self, request: redemption_service_pb2.ListRedemptionsRequest, context: Context
    ) -> redemption_service_pb2.ListRedemptionsResponse:
        """Lists redemptions, newest first."""
        programme, merchant_id = await self._merchant(request.parent)
        principal, size = current_principal(), page_size_of(request.page_size)
        if request.batch:
            raise invalid("batch", "not built yet: read the batch's file, or LookupRedemption")
        member = request.member
        if principal.kind is PrincipalKind.MEMBER:
            member = f"ledgers/{programme.ledger_id}/members/{principal.id}"
        filters = (request.state, request.business_date, request.terminal, member)
        key = ("redemptions", request.parent, *filters)
        before = page_number(request.page_token, *key, first=-1)
        found: list[redemption_pb2.Redemption] = []
        for _ in range(PAGES_LOOKED_AT):
            rows = await self._programmes.listed(
                programme,
                DocumentKind.REDEMPTION,
                merchant_id,
                after=before,
                newest_first=True,
                limit=size + 1,
            )
            for sequence, document in rows:
                message = self._answer(programme, Outcome(cast("Redemption", document)))
                shown = f"ledgers/{programme.ledger_id}/members/{document.member_id}"  # type: ignore[union-attr]  # it is a redemption
                if _matches(message, shown, filters):
                    if len(found) == size:
                        return redemption_service_pb2.ListRedemptionsResponse(
                            redemptions=found, next_page_token=page_token(str(before), *key)
                        )
                    found.append(message)
                before = sequence
            if len(rows) <= size:
                return redemption_service_pb2.ListRedemptionsResponse(redemptions=found)
        return redemption_service_pb2.ListRedemptionsResponse(
            redemptions=found, next_page_token=page_token(str(before), *key)
        )

    # Who asks, and for what.

    async def _merchant(self, name: str) -> tuple[Programme, str]:
        ledger_id, merchant_id = merchant_from_name(name, "parent")
        principal = current_principal()
        check_merchant(principal, merchant_id)
        return await self._programmes.programme(ledger_id, principal), merchant_id

    async def _redemption_id(self, name: str) -> tuple[Programme, str]:
        ledger_id, merchant_id, own_id = redemption_from_name(name)
        principal = current_principal()
        check_merchant(principal, merchant_id)
        programme = await self._programmes.programme(ledger_id, principal)
        return programme, f"{merchant_id}/{own_id}"

    async def _find(self, programme: Programme, redemption_id: str) -> Redemption:
        """Finds a redemption that the caller may know of. Raises REDEMPTION_NOT_FOUND."""
        found = await self._programmes.find(programme, DocumentKind.REDEMPTION, redemption_id)
        redemption = cast("Redemption | None", found)
        principal = current_principal()
        if redemption is None:
            raise not_found(redemption_id)
        foreign = redemption.member_id not in ("", principal.id)
        if principal.kind is PrincipalKind.MEMBER and foreign:
            raise not_found(redemption_id)
        return redemption

    def _answer(self, programme: Programme, outcome: Outcome) -> redemption_pb2.Redemption:
        principal = current_principal()
        redemption = outcome.redemption
        own = principal.kind is PrincipalKind.MEMBER and principal.id == redemption.member_id
        return redemption_to_wire(
            programme.ledger_id,
            redemption,
            shows_member=own or principal.kind in SEES_MEMBERS,
            replayed=outcome.replayed,
        )


def check_merchant(principal: Principal, merchant_id: str) -> None:
    """Refuses the redemptions of other merchants. Raises MERCHANT_NOT_FOUND."""
    owner = principal.id.partition("/")[0]
    limited = principal.kind in (PrincipalKind.MERCHANT, PrincipalKind.TERMINAL)
    if limited and owner != merchant_id:
        raise TimebankError(Reason.MERCHANT_NOT_FOUND, f"no merchant {merchant_id}")


def _matches(message: redemption_pb2.Redemption, member: str, filters: tuple[Any, ...]) -> bool:
    state, business_date, terminal, wanted_member = filters
    return (
        (not state or message.state == state)
        and (not business_date or message.business_date == business_date)
        and (not terminal or message.terminal == terminal)
        and (not wanted_member or member == wanted_member)
    )


def not_found(redemption_id: str) -> TimebankError:
    """Says that a redemption does not exist, or is none of the caller's business."""
    return TimebankError(Reason.REDEMPTION_NOT_FOUND, f"no redemption {redemption_id}")
