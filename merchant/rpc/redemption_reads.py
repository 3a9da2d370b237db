"""RedemptionService: reading redemptions, and who may know of which."""

from __future__ import annotations

from typing import Any, cast

import grpc.aio

from merchant.domain.business_days import parse_date
from merchant.domain.documents import Redemption
from merchant.domain.settlement_rules import no_batch, no_merchant
from merchant.domain.states import DocumentKind, RedemptionState
from merchant.names import (
    ALL,
    batch_from_name,
    invalid,
    member_from_name,
    merchant_from_name,
    redemption_from_name,
    terminal_from_name,
)
from merchant.rpc.vouchers import VoucherRpcs
from merchant.usecases.callers import is_own, owner_of
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.redemption_lists import RedemptionLists, Wanted
from merchant.usecases.redemptions import Outcome, Redemptions, redemption_id_of
from merchant.usecases.tills import Tills
from merchant.usecases.vouchers import Vouchers
from merchant.usecases.wallets import Wallets
from merchant.wire_redemptions import merchant_ref_from_wire, redemption_to_wire
from timebank.auth import Principal, PrincipalKind, current_principal
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2
from timebank.paging import page_number, page_size_of, page_token

Context = grpc.aio.ServicerContext[Any, Any]
SEES_MEMBERS = frozenset(
    {PrincipalKind.OPERATOR, PrincipalKind.AUDITOR, PrincipalKind.SERVICE, PrincipalKind.OFFICER}
)
_SEES_NO_MEMBERS = frozenset({PrincipalKind.MERCHANT, PrincipalKind.TERMINAL})


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
        self._lists = RedemptionLists(programmes)

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
        return (await self._lists.with_batches(programme, [redemption]))[0]

    async def ListRedemptions(
        self, request: redemption_service_pb2.ListRedemptionsRequest, context: Context
    ) -> redemption_service_pb2.ListRedemptionsResponse:
        """Lists redemptions, newest first."""
        programme, merchant_id = await self._merchant(request.parent)
        size, wanted = page_size_of(request.page_size), _wanted(request)
        key = ("redemptions", request.parent, *wanted, request.batch)
        before = page_number(request.page_token, *key, first=-1)
        if request.batch:
            batch_id = await self._batch_id(programme, merchant_id, request.batch)
            page = await self._lists.of_batch(programme, batch_id, wanted, before=before, size=size)
        else:
            of = await self._parent(programme, merchant_id)
            page = await self._lists.of_merchant(programme, of, wanted, before=before, size=size)
        found = await self._lists.with_batches(programme, page.redemptions)
        more = page.next_before >= 0
        return redemption_service_pb2.ListRedemptionsResponse(
            redemptions=[self._answer(programme, Outcome(one)) for one in found],
            next_page_token=page_token(str(page.next_before), *key) if more else "",
        )

    # Who asks, and for what.

    async def _merchant(self, name: str) -> tuple[Programme, str]:
        ledger_id, merchant_id = merchant_from_name(name, "parent")
        principal = current_principal()
        if merchant_id == ALL and principal.kind in _SEES_NO_MEMBERS:
            merchant_id = owner_of(principal)
        check_merchant(principal, merchant_id)
        return await self._programmes.programme(ledger_id, principal), merchant_id

    async def _parent(self, programme: Programme, merchant_id: str) -> str | None:
        """Names the merchant of a list, None: all. Raises MERCHANT_NOT_FOUND."""
        if merchant_id == ALL:
            return None
        found = await self._programmes.find(programme, DocumentKind.MERCHANT, merchant_id)
        if found is None:
            raise no_merchant(merchant_id)
        return merchant_id

    async def _batch_id(self, programme: Programme, merchant_id: str, name: str) -> str:
        """Finds a batch of a merchant, or of any. Raises BATCH_NOT_FOUND for another's."""
        ledger_id, owner, own_id = batch_from_name(name, "batch")
        batch_id = f"{owner}/{own_id}"
        found = None
        if ledger_id == programme.ledger_id and merchant_id in (owner, ALL):
            found = await self._programmes.find(programme, DocumentKind.BATCH, batch_id)
        if found is None:
            raise no_batch(batch_id)
        return batch_id

    async def _redemption_id(self, name: str) -> tuple[Programme, str]:
        ledger_id, merchant_id, own_id = redemption_from_name(name)
        principal = current_principal()
        if not is_own(principal, merchant_id):
            raise not_found(f"{merchant_id}/{own_id}")
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
    if principal.kind in _SEES_NO_MEMBERS and owner_of(principal) != merchant_id:
        raise no_merchant(merchant_id)


def _wanted(request: redemption_service_pb2.ListRedemptionsRequest) -> Wanted:
    """Reads which redemptions are wanted, of those that the caller may see.

    Raises VALIDATION_FAILED, SCOPE_MISSING.
    """
    principal, member_id, terminal = current_principal(), "", ""
    if request.state and int(request.state) not in {int(state) for state in RedemptionState}:
        raise invalid("state", f"expected a value of the contract, got {request.state}")
    if request.business_date:
        parse_date("business_date", request.business_date)
    if request.terminal:
        terminal = "/".join(terminal_from_name(request.terminal, "terminal")[1:])
    if request.member:
        member_id = member_from_name(request.member)[1]
    if principal.kind is PrincipalKind.MEMBER and not member_id:
        member_id = principal.id
    foreign = principal.kind is PrincipalKind.MEMBER and member_id != principal.id
    if foreign or (member_id and principal.kind in _SEES_NO_MEMBERS):
        raise TimebankError(
            Reason.SCOPE_MISSING,
            "a member lists their own redemptions, a merchant and its tills those of any member:"
            " leave member out",
        )
    return Wanted(request.state, request.business_date, terminal, member_id)


def not_found(redemption_id: str) -> TimebankError:
    """Says that a redemption does not exist, or is none of the caller's business."""
    return TimebankError(Reason.REDEMPTION_NOT_FOUND, f"no redemption {redemption_id}")
