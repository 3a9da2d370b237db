"""RedemptionService: what members pay with."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import grpc.aio
import segno

from merchant.domain import pins
from merchant.domain.documents import Card, Wallet
from merchant.domain.states import DocumentKind
from merchant.domain.wallet_rules import no_card
from merchant.names import card_from_name, invalid, ledger_id_from_name, member_from_name
from merchant.usecases.callers import serves_unit
from merchant.usecases.programmes import Programme, Programmes
from merchant.usecases.wallets import Wallets, device_of
from merchant.wire_merchants import known_value
from merchant.wire_redemptions import card_to_wire
from timebank.auth import PrincipalKind, current_call, current_principal
from timebank.errors import Reason, TimebankError
from timebank.ids import ID_BYTES, id_from_bytes, uuid_bytes
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceServicer
from timebank.paging import page_number, page_size_of, page_token

Context = grpc.aio.ServicerContext[Any, Any]
QR_SCALE = 8
STATE_ACTIVE, STATE_BLOCKED = redemption_pb2.Card.STATE_ACTIVE, redemption_pb2.Card.STATE_BLOCKED
PAGES_LOOKED_AT = 20
"""A call reads so many pages at most: a page may have fewer rows than wanted, and a next one."""
MEMBERS_ASKED_AT_ONCE = 20
"""Questions to the ledger that are under way together."""


class WalletRpcs(RedemptionServiceServicer):
    """The part of RedemptionService about codes, PINs and cards."""

    def __init__(self, programmes: Programmes, wallets: Wallets) -> None:
        self._programmes = programmes
        self._wallets = wallets

    async def IssuePaymentCode(
        self, request: redemption_service_pb2.IssuePaymentCodeRequest, context: Context
    ) -> redemption_pb2.PaymentCode:
        """Issues a payment code."""
        uuid_bytes(request.request_id)
        programme, member_id = await self._member(request.name)
        device = device_of(request.device)
        issued = await self._wallets.issue_code(programme, member_id, device)
        answer = redemption_pb2.PaymentCode(code=issued.code)
        answer.expire_time.FromMicroseconds(issued.expires_us)
        if request.qr_png:
            answer.qr_png = _qr(issued.code)
        return answer

    async def SetPin(
        self, request: redemption_service_pb2.SetPinRequest, context: Context
    ) -> redemption_pb2.PinStatus:
        """Sets the member's own PIN."""
        request_id = uuid_bytes(request.request_id)
        programme, member_id = await self._member(request.name)
        wallet = await self._wallets.set_pin(
            programme,
            member_id,
            request.pin,
            present=request.present_pin,
            request_id=request_id,
            call=current_call(),
        )
        return _pin_status(wallet)

    async def ResetPin(
        self, request: redemption_service_pb2.ResetPinRequest, context: Context
    ) -> redemption_pb2.PinStatus:
        """Sets or removes a PIN without knowing the present one, the member being there."""
        request_id = uuid_bytes(request.request_id)
        programme, member_id = await self._member(request.name)
        wallet = await self._wallets.set_pin(
            programme,
            member_id,
            request.pin,
            present=None,
            request_id=request_id,
            call=current_call(),
        )
        return _pin_status(wallet)

    async def IssueCard(
        self, request: redemption_service_pb2.IssueCardRequest, context: Context
    ) -> redemption_pb2.Card:
        """Issues a card; earlier ones are blocked."""
        request_id = uuid_bytes(request.request_id)
        card_id = id_of_request(current_principal().name, request_id)
        ledger_id = ledger_id_from_name(request.parent)
        programme = await self._programmes.programme(ledger_id, current_principal())
        member_id = self._member_of(programme, request.member)
        await self._check_unit(programme, member_id)
        card, number = await self._wallets.issue_card(
            programme, member_id, card_id, request_id=request_id, call=current_call()
        )
        return card_to_wire(ledger_id, card, number)

    async def BlockCard(
        self, request: redemption_service_pb2.BlockCardRequest, context: Context
    ) -> redemption_pb2.Card:
        """Blocks a card."""
        ledger_id, card_id = card_from_name(request.name)
        programme = await self._programmes.programme(ledger_id, current_principal())
        principal = current_principal()
        own = principal.id if principal.kind is PrincipalKind.MEMBER else ""
        if principal.kind is PrincipalKind.OFFICER:
            own = await self._wallets.holder_of(programme, card_id)
            if not await self._is_served(programme, own):
                raise no_card()
        blocked = await self._wallets.block_card(
            programme,
            card_id,
            own,
            request_id=uuid_bytes(request.request_id),
            call=current_call(),
        )
        return card_to_wire(ledger_id, blocked)

    async def ListCards(
        self, request: redemption_service_pb2.ListCardsRequest, context: Context
    ) -> redemption_service_pb2.ListCardsResponse:
        """Lists cards, newest first."""
        ledger_id, size = ledger_id_from_name(request.parent), page_size_of(request.page_size)
        known_value("state", request.state, redemption_pb2.Card.State.values())
        principal = current_principal()
        programme = await self._programmes.programme(ledger_id, principal)
        member_id = principal.id if principal.kind is PrincipalKind.MEMBER else ""
        if request.member:
            _, member_id = await self._member(request.member, "member")
        key = ("cards", request.parent, principal.name, member_id, int(request.state))
        before = page_number(request.page_token, *key, first=-1)
        wanted = _Wanted(member_id, request.state, principal.kind is PrincipalKind.OFFICER)
        cards, before = await self._cards(programme, wanted, before, size)
        return redemption_service_pb2.ListCardsResponse(
            cards=[card_to_wire(ledger_id, card) for card in cards],
            next_page_token=page_token(str(before), *key) if before >= 0 else "",
        )

    async def _cards(
        self, programme: Programme, wanted: _Wanted, before: int, size: int
    ) -> tuple[list[Card], int]:
        """Gives a page of cards, and the sequence that the next one begins before; -1 at the end.
        It may be shorter than it should, with a next one: the ledger is asked for the units of no
        more members than a full page and the card after it have.
        """
        found: list[Card] = []
        served: dict[str, bool] = {}
        for _ in range(PAGES_LOOKED_AT):
            rows = await self._programmes.listed(
                programme, DocumentKind.CARD, "", after=before, newest_first=True, limit=size + 1
            )
            cards = [(sequence, cast("Card", document)) for sequence, document in rows]
            if wanted.by_unit:
                holders = [card.member_id for _, card in cards if wanted.fits(card)]
                await self._learn_units(programme, holders, served, members_max=size + 1)
            for sequence, card in cards:
                if wanted.fits(card):
                    shown = served.get(card.member_id) if wanted.by_unit else True
                    if shown is None or (shown and len(found) == size):
                        return found, before
                    if shown:
                        found.append(card)
                before = sequence
            if len(rows) <= size:
                return found, -1
            if len(served) > size:
                break
        return found, before

    async def _learn_units(
        self,
        programme: Programme,
        member_ids: Sequence[str],
        served: dict[str, bool],
        *,
        members_max: int,
    ) -> None:
        """Adds to `served` which members are of the caller's units, in their order, until it knows
        so many.
        """
        unknown = [one for one in dict.fromkeys(member_ids) if one not in served]
        unknown = unknown[: members_max - len(served)]
        for start in range(0, len(unknown), MEMBERS_ASKED_AT_ONCE):
            asked = unknown[start : start + MEMBERS_ASKED_AT_ONCE]
            answers = await asyncio.gather(*(self._is_served(programme, one) for one in asked))
            served.update(zip(asked, answers, strict=True))

    async def _member(self, name: str, field: str = "name") -> tuple[Programme, str]:
        ledger_id, member_id = member_from_name(name, field)
        principal = current_principal()
        programme = await self._programmes.programme(ledger_id, principal)
        if principal.kind is PrincipalKind.MEMBER and principal.id != member_id:
            raise _no_member(member_id)
        await self._check_unit(programme, member_id)
        return programme, member_id

    async def _check_unit(self, programme: Programme, member_id: str) -> None:
        """Refuses an officer the members of other units, with MEMBER_NOT_FOUND."""
        if not await self._is_served(programme, member_id):
            raise _no_member(member_id)

    async def _is_served(self, programme: Programme, member_id: str) -> bool:
        """Says whether a member is one of the caller's units; only officers are bound to units."""
        principal = current_principal()
        if principal.kind is not PrincipalKind.OFFICER:
            return True
        return serves_unit(principal, await programme.ledger.home_unit(member_id))

    @staticmethod
    def _member_of(programme: Programme, name: str) -> str:
        """Gives the member that a request names, or the one that calls.

        Raises SCOPE_MISSING when a member names somebody else.
        """
        principal = current_principal()
        by_member = principal.kind is PrincipalKind.MEMBER
        if by_member and not name:
            return principal.id
        ledger_id, member_id = member_from_name(name, "member")
        if ledger_id != programme.ledger_id:
            raise invalid("member", "expected a member of this ledger")
        if by_member and member_id != principal.id:
            raise TimebankError(
                Reason.SCOPE_MISSING, "a member pays from their own points: name yourself or nobody"
            )
        return member_id


class _Wanted(NamedTuple):
    """Which cards a list wants: of a member, in a state, 0 for any; `by_unit`: of some units."""

    member_id: str
    state: int
    by_unit: bool

    def fits(self, card: Card) -> bool:
        """Says whether a card is of the member and in the state."""
        state = STATE_BLOCKED if card.blocked else STATE_ACTIVE
        return self.member_id in ("", card.member_id) and self.state in (0, state)


def _no_member(member_id: str) -> TimebankError:
    return TimebankError(Reason.MEMBER_NOT_FOUND, f"no member {member_id}", member=member_id)


def id_of_request(caller: str, request_id: bytes) -> str:
    """Names what a request makes, so that a repeated one names the same."""
    return id_from_bytes(hashlib.sha256(caller.encode() + b"\0" + request_id).digest()[:ID_BYTES])


def _pin_status(wallet: Wallet) -> redemption_pb2.PinStatus:
    state = pins.PinState(wallet.pin_hash, wallet.pin_failed, wallet.pin_locked)
    return redemption_pb2.PinStatus(
        set=bool(wallet.pin_hash), tries_left=pins.tries_left(state), locked=state.locked
    )


def _qr(code: str) -> bytes:
    out = io.BytesIO()
    segno.make_qr(code).save(out, kind="png", scale=QR_SCALE)
    return out.getvalue()
