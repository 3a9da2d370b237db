"""The methods that give TIME 时间币 away: to relatives, friends and the pool, and by the pool.

Owns: asking. Refuses: who may give whom, which the policy in force says.
"""

from timebank.client.hours_answers import gift_from_wire
from timebank.client.hours_views import TimeGiftView
from timebank.client.requests import new_request_id
from timebank.client.session import Session
from timebank.ledger.v1 import member_service_pb2 as service_pb2


class TimeGifts(Session):
    """TIME given by policy."""

    async def transfer_time(
        self, member: str, *, minutes: int, to: str = "", memo: str = "", request_id: str = ""
    ) -> TimeGiftView:
        """Gives minutes of a member's TIME to another member, or to the public pool 公共时间池.

        Raises TimebankError: VALIDATION_FAILED, MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE,
        FAMILY_LINK_MISSING, MOVEMENT_NOT_ALLOWED, INSUFFICIENT_BALANCE.
        """
        request = service_pb2.TransferTimeRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            to=self._names.member(to),
            minutes=minutes,
            memo=memo,
        )
        return gift_from_wire(await self._call(self._member_stub.TransferTime, request))

    async def grant_time(
        self, member: str, *, minutes: int, memo: str = "", request_id: str = ""
    ) -> TimeGiftView:
        """Gives minutes of the public pool's TIME to a key elder 重点老人.

        Raises TimebankError: VALIDATION_FAILED, MEMBER_NOT_FOUND, MEMBER_NOT_ACTIVE,
        MOVEMENT_NOT_ALLOWED, LIMIT_EXCEEDED, INSUFFICIENT_BALANCE.
        """
        request = service_pb2.GrantTimeRequest(
            name=self._names.member(member),
            request_id=request_id or new_request_id(),
            minutes=minutes,
            memo=memo,
        )
        return gift_from_wire(await self._call(self._member_stub.GrantTime, request))
