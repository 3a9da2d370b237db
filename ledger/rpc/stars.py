"""StarService: stars, their reasons, reviews and selections."""

from typing import Any

import grpc.aio

from ledger.domain import hours_commands as h
from ledger.domain.facts import Member, Star
from ledger.names import invalid, ledger_id_from_name, member_from_name
from ledger.usecases.hours import Hours
from ledger.usecases.stars import StarRead, Stars
from ledger.usecases.vault import Vault
from ledger.wire_members import check_memo
from timebank.auth import current_call, current_principal
from timebank.certificates import mask_name
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import star_service_pb2
from timebank.ledger.v1.star_service_pb2_grpc import StarServiceServicer
from timebank.paging import page_position, page_size_of, page_token

STARS_MAX = 5
Context = grpc.aio.ServicerContext[Any, Any]


class StarRpcs(StarServiceServicer):
    """StarService."""

    def __init__(self, hours: Hours, stars: Stars, vault: Vault) -> None:
        self._hours = hours
        self._stars = stars
        self._vault = vault

    async def GetStar(
        self, request: star_service_pb2.GetStarRequest, context: Context
    ) -> star_service_pb2.Star:
        """Reads a star with its reasons."""
        return await self._star(request.name)

    async def _star(self, name: str) -> star_service_pb2.Star:
        ledger_id, member_id = member_from_name(name)
        principal = current_principal()
        handle = await self._hours.handle(ledger_id, principal)
        return _read_to_wire(ledger_id, await self._stars.get(handle, member_id, principal))

    async def ListStars(
        self, request: star_service_pb2.ListStarsRequest, context: Context
    ) -> star_service_pb2.ListStarsResponse:
        """Lists stars with names for publicity."""
        ledger_id = ledger_id_from_name(request.parent)
        size, star_min = page_size_of(request.page_size), request.star_min or 1
        if not 1 <= star_min <= STARS_MAX:
            raise invalid("star_min", f"expected 1 to {STARS_MAX}, got {star_min}")
        key = ("stars", ledger_id, star_min)
        position = page_position(request.page_token, *key)
        star, _, member_id = position.partition("|")
        # A token that we did not make says anything: an unknown star has nobody after it.
        after = (int(star) if star in "012345" and star else 0, member_id)
        if not position:
            after = (STARS_MAX + 1, "")
        handle = await self._hours.handle(ledger_id, current_principal())
        found = await self._stars.page(handle, after=after, star_min=star_min, limit=size + 1)
        last = ""
        if len(found) > size:
            held = found[size - 1][0]
            last = page_token(f"{held.star}|{held.member_id}", *key)
        now_us = self._hours.now_us()
        shown = [pair for pair in found[:size] if pair[1].adult_from_us <= now_us]
        people = await self._vault.find(handle, [item.member_id for item, _ in shown])
        return star_service_pb2.ListStarsResponse(
            stars=[
                _row_to_wire(ledger_id, item, member, people.get(item.member_id, {}))
                for item, member in shown
            ],
            next_page_token=last,
        )

    async def CloseStarReview(
        self, request: star_service_pb2.CloseStarReviewRequest, context: Context
    ) -> star_service_pb2.Star:
        """Closes a review."""
        _, member_id = member_from_name(request.name)
        command = h.CloseReview(member_id, request.keep, check_memo(request.memo))
        return await self._change(request.name, request.request_id, command)

    async def SelectStar(
        self, request: star_service_pb2.SelectStarRequest, context: Context
    ) -> star_service_pb2.Star:
        """Selects for the fifth star."""
        _, member_id = member_from_name(request.name)
        command = h.SelectStar(member_id, check_memo(request.memo))
        return await self._change(request.name, request.request_id, command)

    async def _change(
        self, name: str, request_id: str, command: h.HoursCommand
    ) -> star_service_pb2.Star:
        ledger_id, _ = member_from_name(name)
        await self._hours.carry_out(ledger_id, uuid_bytes(request_id), command, current_call())
        return await self._star(name)


def _read_to_wire(ledger_id: str, read: StarRead) -> star_service_pb2.Star:
    (progress, reasons, reasons_zh), standing = read.told(), read.standing
    quality = standing.quality if standing is not None else None
    return star_service_pb2.Star(
        name=f"ledgers/{ledger_id}/members/{read.member.member_id}/star",
        star=read.star.star,
        under_review=read.star.under_review,
        kept=read.star.kept,
        hours_minutes=standing.hours_minutes if standing is not None else 0,
        points_earned=standing.points_earned if standing is not None else 0,
        quality_tenths=quality.tenths if quality is not None else 0,
        missing_minutes=progress.missing_minutes if progress is not None else 0,
        missing_points=progress.missing_points if progress is not None else 0,
        reasons=reasons,
        reasons_zh=reasons_zh,
        medals=read.star.medals,
        policy_version=read.version.version if read.version is not None else "",
        pending_points=read.pending_points,
    )


def _row_to_wire(
    ledger_id: str, star: Star, member: Member, person: dict[str, str]
) -> star_service_pb2.Star:
    shown = person.get("display_name", "")
    return star_service_pb2.Star(
        name=f"ledgers/{ledger_id}/members/{star.member_id}/star",
        star=star.star,
        under_review=star.under_review,
        kept=star.kept,
        hours_minutes=star.hours_minutes,
        points_earned=star.points_earned,
        quality_tenths=star.quality_tenths,
        medals=star.medals,
        policy_version=star.policy_version,
        display_name=shown if member.publish_name else mask_name(shown),
    )
