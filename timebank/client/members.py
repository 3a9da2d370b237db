"""The methods about members: registration, life events, family, no-shows, evaluations.

Owns: asking. Rules: a member is given by its volunteer number or its resource name; what only reads
is repeated freely, what changes carries a request id, so that a repeated call changes nothing.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime

from google.protobuf.field_mask_pb2 import FieldMask

from timebank.client.drafts import PersonalData
from timebank.client.hours_answers import (
    export_from_wire,
    member_from_wire,
    notice_from_wire,
    personal_from_wire,
)
from timebank.client.hours_requests import member_to_wire, personal_to_wire
from timebank.client.hours_views import ExpiryNoticeView, ExportView, MemberView
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.client.session import Session
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import member_service_pb2 as service_pb2


class Members(Session):
    """Members 会员."""

    async def register_member(
        self,
        member_id: str,
        *,
        home_unit: str = "",
        officer: str = "",
        guardian: str = "",
        guardian_consent: bool = False,
        adult_time: datetime | None = None,
        publish_name: bool = False,
        key_elder: bool = False,
        personal_data: PersonalData | None = None,
        request_id: str = "",
    ) -> MemberView:
        """Registers a member with an account each of HOURS, TIME and POINTS.

        `adult_time`: when a minor comes of age; None: is of age. Raises TimebankError:
        VALIDATION_FAILED, LEDGER_NOT_FOUND, MEMBER_EXISTS, MEMBER_NOT_FOUND (the guardian),
        SCOPE_MISSING.
        """
        request = service_pb2.RegisterMemberRequest(
            parent=self.ledger,
            request_id=request_id or new_request_id(),
            member_id=member_id,
            member=member_to_wire(
                self._names,
                home_unit=home_unit,
                officer=officer,
                guardian=guardian,
                guardian_consent=guardian_consent,
                adult_time=adult_time,
                publish_name=publish_name,
                key_elder=key_elder,
            ),
            personal_data=None if personal_data is None else personal_to_wire(personal_data),
        )
        return member_from_wire(await self._call(self._member_stub.RegisterMember, request))

    async def get_member(self, member: str) -> MemberView:
        """Reads a member. Raises TimebankError: MEMBER_NOT_FOUND."""
        request = service_pb2.GetMemberRequest(name=self._names.member(member))
        return member_from_wire(await self._call(self._member_stub.GetMember, request))

    def list_members(
        self, *, home_unit: str = "", page_size: int = PAGE_SIZE
    ) -> AsyncIterator[MemberView]:
        """Yields members by volunteer number, of a unit and below; empty: of any."""

        async def read(token: str) -> Page[MemberView]:
            request = service_pb2.ListMembersRequest(
                parent=self.ledger, page_size=page_size, page_token=token, home_unit=home_unit
            )
            response = await self._call(self._member_stub.ListMembers, request)
            return map(member_from_wire, response.members), response.next_page_token

        return pages(read)

    async def update_member(
        self,
        member: str,
        *,
        home_unit: str | None = None,
        officer: str | None = None,
        guardian: str | None = None,
        guardian_consent: bool | None = None,
        adult_time: datetime | None = None,
        of_age: bool = False,
        publish_name: bool | None = None,
        key_elder: bool | None = None,
        request_id: str = "",
    ) -> MemberView:
        """Changes what is given; None leaves alone, an empty text clears, `of_age` ends a minority.

        Raises TimebankError: VALIDATION_FAILED, also when nothing is given or `adult_time` and
        `of_age` both are; MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE, SCOPE_MISSING.
        """
        given: dict[str, object] = {
            "home_unit": home_unit,
            "officer": officer,
            "guardian": guardian,
            "guardian_consent": guardian_consent,
            "adult_time": True if of_age else adult_time,
            "publish_name": publish_name,
            "key_elder": key_elder,
        }
        paths = [field for field, value in given.items() if value is not None]
        if not paths or (of_age and adult_time is not None):
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                "expected something to change, and not both adult_time and of_age",
                field="update_mask",
            )
        request = service_pb2.UpdateMemberRequest(
            member=member_to_wire(
                self._names,
                name=self._names.member(member),
                home_unit=home_unit,
                officer=officer,
                guardian=guardian,
                guardian_consent=guardian_consent,
                adult_time=adult_time,
                publish_name=publish_name,
                key_elder=key_elder,
            ),
            update_mask=FieldMask(paths=paths),
            request_id=request_id or new_request_id(),
        )
        return member_from_wire(await self._call(self._member_stub.UpdateMember, request))

    async def suspend_member(
        self, member: str, *, memo: str = "", request_id: str = ""
    ) -> MemberView:
        """Suspends a registration 暂停.

        Raises TimebankError: MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE.
        """
        request = service_pb2.SuspendMemberRequest(
            name=self._names.member(member), request_id=request_id or new_request_id(), memo=memo
        )
        return member_from_wire(await self._call(self._member_stub.SuspendMember, request))

    async def reinstate_member(
        self, member: str, *, memo: str = "", request_id: str = ""
    ) -> MemberView:
        """Ends a suspension. Raises TimebankError: MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE."""
        request = service_pb2.ReinstateMemberRequest(
            name=self._names.member(member), request_id=request_id or new_request_id(), memo=memo
        )
        return member_from_wire(await self._call(self._member_stub.ReinstateMember, request))

    async def record_death(
        self, member: str, *, heir: str = "", memo: str = "", request_id: str = ""
    ) -> MemberView:
        """Records a death 身故; TIME goes to a relative, or to the public pool when none is named.

        Raises TimebankError: MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE, FAMILY_LINK_MISSING,
        HOLDS_REMAIN.
        """
        request = service_pb2.RecordDeathRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            heir=self._names.member(heir),
            memo=memo,
        )
        return member_from_wire(await self._call(self._member_stub.RecordDeath, request))

    async def export_member(
        self, member: str, *, destination: str, request_id: str = ""
    ) -> ExportView:
        """Lets a member move to another city 迁出; TIME and POINTS leave with a signed statement.

        Raises TimebankError: VALIDATION_FAILED, MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE, HOLDS_REMAIN.
        """
        request = service_pb2.ExportMemberRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            destination=destination,
        )
        return export_from_wire(await self._call(self._member_stub.ExportMember, request))

    async def merge_member(
        self, member: str, *, into: str, memo: str = "", request_id: str = ""
    ) -> MemberView:
        """Declares a member a duplicate of another 合并.

        Raises TimebankError: VALIDATION_FAILED, MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE.
        """
        request = service_pb2.MergeMemberRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            into=self._names.member(into),
            memo=memo,
        )
        return member_from_wire(await self._call(self._member_stub.MergeMember, request))

    async def unmerge_member(
        self, member: str, *, memo: str = "", request_id: str = ""
    ) -> MemberView:
        """Undoes a merge. Raises TimebankError: MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE."""
        request = service_pb2.UnmergeMemberRequest(
            name=self._names.member(member), request_id=request_id or new_request_id(), memo=memo
        )
        return member_from_wire(await self._call(self._member_stub.UnmergeMember, request))

    async def link_family(
        self,
        member: str,
        *,
        relative: str,
        relation: str,
        ended: bool = False,
        request_id: str = "",
    ) -> str:
        """Registers what a relative 亲属 is to a member, or that it has ended; gives the entry.

        `relation`: SPOUSE, PARENT, CHILD, SIBLING, GRANDPARENT or GRANDCHILD. Raises TimebankError:
        VALIDATION_FAILED, MEMBER_NOT_FOUND.
        """
        request = service_pb2.LinkFamilyRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            relative=self._names.member(relative),
            relation=relation,
            ended=ended,
        )
        return (await self._call(self._member_stub.LinkFamily, request)).entry

    async def report_no_show(
        self,
        member: str,
        *,
        activity: str,
        day: date,
        malicious: bool = False,
        request_id: str = "",
    ) -> MemberView:
        """Reports that a volunteer did not come 爽约, on a day in the ledger's zone.

        Raises TimebankError: VALIDATION_FAILED, MEMBER_NOT_FOUND, NO_SHOW_EXISTS.
        """
        request = service_pb2.ReportNoShowRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            activity=activity,
            day=f"{day:%Y-%m-%d}",
            malicious=malicious,
        )
        return member_from_wire(await self._call(self._member_stub.ReportNoShow, request))

    async def evaluate_member(
        self,
        member: str,
        *,
        role: str,
        score: int,
        rater: str = "",
        comment: str = "",
        request_id: str = "",
    ) -> str:
        """Evaluates a volunteer 评价 with 1 to 5; gives the entry.

        `role`: RESIDENT, PEER or COMMUNITY; `rater` empty: the caller. Raises TimebankError:
        VALIDATION_FAILED, MEMBER_NOT_FOUND, EVALUATION_EXISTS, EVALUATION_REFUSED.
        """
        request = service_pb2.EvaluateMemberRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            role=role,
            rater=rater,
            score=score,
            comment=comment,
        )
        return (await self._call(self._member_stub.EvaluateMember, request)).entry

    def list_expiry_notices(
        self, *, after: int = 0, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[ExpiryNoticeView]:
        """Yields notices that POINTS will expire, oldest first, after the last number seen."""

        async def read(token: str) -> Page[ExpiryNoticeView]:
            request = service_pb2.ListExpiryNoticesRequest(
                parent=self.ledger, page_size=page_size, page_token=token, after=after
            )
            response = await self._call(self._member_stub.ListExpiryNotices, request)
            return map(notice_from_wire, response.notices), response.next_page_token

        return pages(read)

    async def put_personal_data(
        self, member: str, personal_data: PersonalData, *, request_id: str = ""
    ) -> PersonalData:
        """Keeps personal data of a member in place of what was there.

        Raises TimebankError: VALIDATION_FAILED, MEMBER_NOT_FOUND, SCOPE_MISSING.
        """
        request = service_pb2.PutPersonalDataRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            personal_data=personal_to_wire(personal_data),
        )
        return personal_from_wire(await self._call(self._member_stub.PutPersonalData, request))

    async def get_personal_data(self, member: str) -> PersonalData:
        """Reads personal data. Raises TimebankError: MEMBER_NOT_FOUND, PERSONAL_DATA_ERASED."""
        request = service_pb2.GetPersonalDataRequest(name=self._names.member(member))
        return personal_from_wire(await self._call(self._member_stub.GetPersonalData, request))

    async def erase_personal_data(self, member: str, *, request_id: str = "") -> int:
        """Destroys the key of a member's personal data for ever; the log stays valid.

        Returns how many texts about the member became unreadable with it. Raises TimebankError:
        MEMBER_NOT_FOUND.
        """
        request = service_pb2.ErasePersonalDataRequest(
            name=self._names.member(member), request_id=request_id or new_request_id()
        )
        return (await self._call(self._member_stub.ErasePersonalData, request)).texts
