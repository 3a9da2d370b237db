"""The methods about stars 星级: reading them with their reasons, reviews and selections.

Owns: asking. Refuses: reckoning; the server says what a star stands on.
"""

from collections.abc import AsyncIterator

from timebank.client.hours_answers import star_from_wire
from timebank.client.hours_views import StarView
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.client.session import Session
from timebank.ledger.v1 import star_service_pb2 as service_pb2


class Stars(Session):
    """Stars."""

    async def star(self, member: str) -> StarView:
        """Reads the star of a member with its reasons. Raises TimebankError: MEMBER_NOT_FOUND."""
        request = service_pb2.GetStarRequest(name=self._names.member(member))
        return star_from_wire(await self._call(self._star_stub.GetStar, request))

    def list_stars(
        self, *, star_min: int = 1, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[StarView]:
        """Yields the stars of members with at least `star_min`, 1 to 5, highest first."""

        async def read(token: str) -> Page[StarView]:
            request = service_pb2.ListStarsRequest(
                parent=self.ledger, page_size=page_size, page_token=token, star_min=star_min
            )
            response = await self._call(self._star_stub.ListStars, request)
            return map(star_from_wire, response.stars), response.next_page_token

        return pages(read)

    async def close_star_review(
        self, member: str, *, keep: bool, memo: str = "", request_id: str = ""
    ) -> StarView:
        """Closes a review 复核: the star stays, or becomes what hours and quality give.

        Raises TimebankError: MEMBER_NOT_FOUND, STAR_STATE.
        """
        request = service_pb2.CloseStarReviewRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            keep=keep,
            memo=memo,
        )
        return star_from_wire(await self._call(self._star_stub.CloseStarReview, request))

    async def select_star(self, member: str, *, memo: str = "", request_id: str = "") -> StarView:
        """Selects 评选 a member of four stars for the fifth, where the policy says so.

        Raises TimebankError: MEMBER_NOT_FOUND, STAR_STATE.
        """
        request = service_pb2.SelectStarRequest(
            name=self._names.member(member), request_id=request_id or new_request_id(), memo=memo
        )
        return star_from_wire(await self._call(self._star_stub.SelectStar, request))
