"""MemberService: members, life events, evaluations, TIME given away, personal data."""

from typing import Any

import grpc.aio

from ledger.domain import hours_commands as h
from ledger.domain.calendar import from_us, zone_of
from ledger.domain.facts import MemberState
from ledger.domain.hours_view import MEMBERS
from ledger.names import invalid, ledger_id_from_name, member_from_name, us_to_wire
from ledger.usecases.hours import Hours
from ledger.usecases.ledgers import Handle
from ledger.usecases.statements import Statements
from ledger.usecases.vault import PERSON, Vault
from ledger.wire_members import (
    RELATIONS,
    ROLES,
    changes_from_wire,
    check_memo,
    check_texts,
    day_from_wire,
    member_from_wire,
    member_id_from_wire,
    member_of,
    member_to_wire,
    minutes_from_wire,
    one_of,
    personal_from_wire,
    personal_to_wire,
)
from timebank.auth import PrincipalKind, current_call, current_principal
from timebank.errors import Reason, TimebankError
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import member_pb2, member_service_pb2
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceServicer
from timebank.paging import page_number, page_position, page_size_of, page_token

Context = grpc.aio.ServicerContext[Any, Any]


RATES = {
    PrincipalKind.MEMBER: ("RESIDENT", "PEER"),
    PrincipalKind.OFFICER: ("COMMUNITY",),
}
"""Roles in which kinds of caller rate; services and operators pass on any."""


class MemberRpcs(MemberServiceServicer):
    """MemberService."""

    def __init__(self, hours: Hours, vault: Vault, statements: Statements) -> None:
        self._hours = hours
        self._vault = vault
        self._statements = statements

    async def _change(
        self, name: str, request_id: str, command: h.HoursCommand
    ) -> member_pb2.Member:
        ledger_id, member_id = member_from_name(name)
        await self._hours.carry_out(ledger_id, uuid_bytes(request_id), command, current_call())
        return await self._member(ledger_id, member_id)

    async def _member(self, ledger_id: str, member_id: str) -> member_pb2.Member:
        principal = current_principal()
        handle = await self._hours.handle(ledger_id, principal)
        return member_to_wire(ledger_id, await self._hours.member(handle, member_id, principal))

    async def RegisterMember(
        self, request: member_service_pb2.RegisterMemberRequest, context: Context
    ) -> member_pb2.Member:
        """Registers a member."""
        ledger_id = ledger_id_from_name(request.parent)
        member_id = member_id_from_wire(request.member_id)
        member = member_from_wire(ledger_id, member_id, request.member)
        personal = None
        if request.HasField("personal_data"):
            personal = personal_from_wire(request.personal_data)
        command = h.RegisterMember(member)
        written = await self._hours.carry_out(
            ledger_id, uuid_bytes(request.request_id), command, current_call()
        )
        if personal is not None:
            handle = await self._hours.handle(ledger_id, current_principal())
            await self._keep(handle, member_id, personal, replayed=written.replayed)
        return await self._member(ledger_id, member_id)

    async def _keep(
        self, handle: Handle, member_id: str, personal: dict[str, str], *, replayed: bool
    ) -> None:
        """Keeps personal data with a registration; repeated, it must be the same."""
        if replayed:
            if await self._vault.was_erased(handle, member_id):
                return
            kept = await self._vault.find(handle, [member_id])
            if kept and kept[member_id] != personal:
                raise TimebankError(
                    Reason.REQUEST_ID_REUSED,
                    "this request_id registered the member with other personal data: change it by"
                    " PutPersonalData",
                    field="request_id",
                )
        await self._vault.put(handle, member_id, PERSON, personal)

    async def GetMember(
        self, request: member_service_pb2.GetMemberRequest, context: Context
    ) -> member_pb2.Member:
        """Reads a member."""
        return await self._member(*member_from_name(request.name))

    async def ListMembers(
        self, request: member_service_pb2.ListMembersRequest, context: Context
    ) -> member_service_pb2.ListMembersResponse:
        """Lists members."""
        ledger_id, principal = ledger_id_from_name(request.parent), current_principal()
        size = page_size_of(request.page_size)
        key = ("members", ledger_id, request.home_unit)
        after = page_position(request.page_token, *key)
        handle = await self._hours.handle(ledger_id, principal)
        found = await self._hours.members(
            handle, principal, home_unit=request.home_unit, after=after, limit=size + 1
        )
        last = found[size - 1].member_id if len(found) > size else ""
        return member_service_pb2.ListMembersResponse(
            members=[member_to_wire(ledger_id, item) for item in found[:size]],
            next_page_token=page_token(last, *key) if last else "",
        )

    async def UpdateMember(
        self, request: member_service_pb2.UpdateMemberRequest, context: Context
    ) -> member_pb2.Member:
        """Changes a member."""
        ledger_id, member_id = member_from_name(request.member.name, "member.name")
        member = member_from_wire(ledger_id, member_id, request.member)
        changes = changes_from_wire(member, request.update_mask.paths)
        command = h.ChangeMember(member_id, changes)
        return await self._change(request.member.name, request.request_id, command)

    async def SuspendMember(
        self, request: member_service_pb2.SuspendMemberRequest, context: Context
    ) -> member_pb2.Member:
        """Suspends a registration."""
        _, member_id = member_from_name(request.name)
        state = MemberState.SUSPENDED
        command = h.SetMemberState(member_id, state, check_memo(request.memo))
        return await self._change(request.name, request.request_id, command)

    async def ReinstateMember(
        self, request: member_service_pb2.ReinstateMemberRequest, context: Context
    ) -> member_pb2.Member:
        """Ends a suspension."""
        _, member_id = member_from_name(request.name)
        command = h.SetMemberState(member_id, MemberState.ACTIVE, check_memo(request.memo))
        return await self._change(request.name, request.request_id, command)

    async def RecordDeath(
        self, request: member_service_pb2.RecordDeathRequest, context: Context
    ) -> member_pb2.Member:
        """Records a death."""
        ledger_id, member_id = member_from_name(request.name)
        heir = member_of(ledger_id, request.heir, "heir")
        command = h.RecordDeath(member_id, heir, check_memo(request.memo))
        return await self._change(request.name, request.request_id, command)

    async def ExportMember(
        self, request: member_service_pb2.ExportMemberRequest, context: Context
    ) -> member_service_pb2.ExportMemberResponse:
        """Lets a member move to another city."""
        ledger_id, member_id = member_from_name(request.name)
        check_texts([("destination", request.destination, 60)])
        if not request.destination:
            raise invalid("destination", "expected where the member moves to")
        command = h.ExportMember(member_id, request.destination)
        written = await self._hours.carry_out(
            ledger_id, uuid_bytes(request.request_id), command, current_call()
        )
        handle = await self._hours.handle(ledger_id, current_principal())
        statement = await self._statements.of_export(handle, member_id, written.entries[0])
        member = await self._member(ledger_id, member_id)
        return member_service_pb2.ExportMemberResponse(member=member, statement=statement)

    async def MergeMember(
        self, request: member_service_pb2.MergeMemberRequest, context: Context
    ) -> member_pb2.Member:
        """Declares a duplicate."""
        ledger_id, member_id = member_from_name(request.name)
        into = member_of(ledger_id, request.into, "into")
        if not into:
            raise invalid("into", "expected the resource name of a member")
        command = h.MergeMember(member_id, into, check_memo(request.memo))
        return await self._change(request.name, request.request_id, command)

    async def UnmergeMember(
        self, request: member_service_pb2.UnmergeMemberRequest, context: Context
    ) -> member_pb2.Member:
        """Undoes a merge."""
        _, member_id = member_from_name(request.name)
        command = h.UnmergeMember(member_id, check_memo(request.memo))
        return await self._change(request.name, request.request_id, command)

    async def LinkFamily(
        self, request: member_service_pb2.LinkFamilyRequest, context: Context
    ) -> member_service_pb2.LinkFamilyResponse:
        """Registers or ends a family link."""
        ledger_id, member_id = member_from_name(request.name)
        relative = member_of(ledger_id, request.relative, "relative")
        if not relative:
            raise invalid("relative", "expected the resource name of a member")
        relation = one_of("relation", request.relation, RELATIONS)
        command = h.LinkFamily(member_id, relative, relation, request.ended)
        entry, _ = await self._entry(ledger_id, request.request_id, command)
        return member_service_pb2.LinkFamilyResponse(entry=entry)

    async def _entry(
        self, ledger_id: str, request_id: str, command: h.HoursCommand
    ) -> tuple[str, str]:
        written = await self._hours.carry_out(
            ledger_id, uuid_bytes(request_id), command, current_call()
        )
        index = written.entries[0].log_index
        return f"ledgers/{ledger_id}/entries/{index}", written.answer.checkpoint

    async def ReportNoShow(
        self, request: member_service_pb2.ReportNoShowRequest, context: Context
    ) -> member_pb2.Member:
        """Reports a no-show."""
        ledger_id, member_id = member_from_name(request.name)
        handle = await self._hours.handle(ledger_id, current_principal())
        today = from_us(self._hours.now_us()).astimezone(zone_of(handle.time_zone)).date()
        day = day_from_wire("day", request.day, today.isoformat())
        check_texts([("activity", request.activity, 100)])
        if not request.activity or "|" in request.activity:
            raise invalid("activity", "expected the name of the activity, without |")
        command = h.ReportNoShow(member_id, request.activity, day, request.malicious)
        return await self._change(request.name, request.request_id, command)

    async def EvaluateMember(
        self, request: member_service_pb2.EvaluateMemberRequest, context: Context
    ) -> member_service_pb2.EvaluateMemberResponse:
        """Evaluates a volunteer."""
        ledger_id, member_id = member_from_name(request.name)
        role = one_of("role", request.role, ROLES)
        if not 1 <= request.score <= 5:
            raise invalid("score", f"expected 1 to 5, got {request.score}")
        rater = _rater(ledger_id, request.rater)
        kind = current_principal().kind
        if role not in RATES.get(kind, ROLES):
            raise TimebankError(Reason.SCOPE_MISSING, f"a {kind.value} does not rate as {role}")
        memo = check_memo(request.comment)
        command = h.EvaluateMember(member_id, role, rater, request.score, memo)
        entry, _ = await self._entry(ledger_id, request.request_id, command)
        return member_service_pb2.EvaluateMemberResponse(entry=entry)

    async def TransferTime(
        self, request: member_service_pb2.TransferTimeRequest, context: Context
    ) -> member_service_pb2.TransferTimeResponse:
        """Gives TIME away."""
        ledger_id, member_id = member_from_name(request.name)
        to = member_of(ledger_id, request.to, "to")
        minutes = minutes_from_wire(request.minutes)
        command = h.TransferTime(member_id, to, minutes, check_memo(request.memo))
        entry, checkpoint = await self._entry(ledger_id, request.request_id, command)
        return member_service_pb2.TransferTimeResponse(entry=entry, checkpoint=checkpoint)

    async def GrantTime(
        self, request: member_service_pb2.GrantTimeRequest, context: Context
    ) -> member_service_pb2.TransferTimeResponse:
        """Gives TIME of the pool."""
        ledger_id, member_id = member_from_name(request.name)
        minutes = minutes_from_wire(request.minutes)
        command = h.GrantTime(member_id, minutes, check_memo(request.memo))
        entry, checkpoint = await self._entry(ledger_id, request.request_id, command)
        return member_service_pb2.TransferTimeResponse(entry=entry, checkpoint=checkpoint)

    async def PutPersonalData(
        self, request: member_service_pb2.PutPersonalDataRequest, context: Context
    ) -> member_pb2.PersonalData:
        """Keeps personal data."""
        ledger_id, member_id = member_from_name(request.name)
        uuid_bytes(request.request_id)
        values = personal_from_wire(request.personal_data)
        principal = current_principal()
        handle = await self._hours.handle(ledger_id, principal)
        await self._hours.member(handle, member_id, principal)
        await self._vault.put(handle, member_id, PERSON, values)
        return personal_to_wire(values)

    async def GetPersonalData(
        self, request: member_service_pb2.GetPersonalDataRequest, context: Context
    ) -> member_pb2.PersonalData:
        """Reads personal data."""
        ledger_id, member_id = member_from_name(request.name)
        principal = current_principal()
        handle = await self._hours.handle(ledger_id, principal)
        await self._hours.member(handle, member_id, principal)
        return personal_to_wire(await self._vault.get(handle, member_id))

    async def ErasePersonalData(
        self, request: member_service_pb2.ErasePersonalDataRequest, context: Context
    ) -> member_service_pb2.ErasePersonalDataResponse:
        """Erases personal data."""
        ledger_id, member_id = member_from_name(request.name)
        uuid_bytes(request.request_id)
        principal = current_principal()
        handle = await self._hours.handle(ledger_id, principal)
        await self._hours.member(handle, member_id, principal)
        texts = await self._vault.erase(handle, member_id)
        return member_service_pb2.ErasePersonalDataResponse(texts=texts)

    async def ListExpiryNotices(
        self, request: member_service_pb2.ListExpiryNoticesRequest, context: Context
    ) -> member_service_pb2.ListExpiryNoticesResponse:
        """Lists notices of POINTS that will expire."""
        ledger_id = ledger_id_from_name(request.parent)
        size = page_size_of(request.page_size)
        if request.after < 0:
            raise invalid("after", f"expected 0 or more, got {request.after}")
        key = ("notices", ledger_id, request.after)
        after = page_number(request.page_token, *key, first=request.after)
        handle = await self._hours.handle(ledger_id, current_principal())
        found = await self._hours.notices(handle, after=after, limit=size + 1)
        more = len(found) > size
        return member_service_pb2.ListExpiryNoticesResponse(
            notices=[
                member_service_pb2.ExpiryNotice(
                    number=item.notice_no,
                    account=f"ledgers/{ledger_id}/accounts/{item.account_id}",
                    holder=item.holder,
                    points=item.points,
                    expire_time=us_to_wire(item.expires_us),
                    days=item.days,
                )
                for item in found[:size]
            ],
            next_page_token=page_token(str(found[size - 1].notice_no), *key) if more else "",
        )


def _rater(ledger_id: str, text: str) -> str:
    """Says who rates: the caller, or who a service or operator names."""
    principal = current_principal()
    mine = MEMBERS + principal.id if principal.kind is PrincipalKind.MEMBER else principal.id
    if not text:
        return mine
    if principal.kind not in (PrincipalKind.SERVICE, PrincipalKind.OPERATOR) and text != mine:
        raise TimebankError(
            Reason.SCOPE_MISSING, f"you rate as {mine}: leave the rater out", rater=text[:60]
        )
    if text.startswith("ledgers/"):
        return MEMBERS + member_of(ledger_id, text, "rater")
    check_texts([("rater", text, 60)])
    if "|" in text:
        raise invalid("rater", "expected an id without |")
    return text
