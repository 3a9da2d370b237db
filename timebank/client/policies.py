"""The methods about versions of the policy 积分政策: adopting, reading and replaying them.

Owns: page tokens of a replay. Rules: a replay that ends early is started again; what it corrected
already stays as it is.
"""

from collections.abc import AsyncIterator, Callable

from timebank.client.hours_answers import policy_from_wire
from timebank.client.hours_views import PolicyView, ReplayView
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import new_request_id
from timebank.client.session import Session
from timebank.ledger.v1 import policy_service_pb2 as service_pb2

ReplayProgress = Callable[[ReplayView], None]
"""Told the sums after each page."""


class Policies(Session):
    """Policies."""

    async def adopt_policy(
        self, document: str, *, replay: bool = False, request_id: str = ""
    ) -> PolicyView:
        """Adopts a version of the policy, a JSON document of at most 32 KiB.

        `replay`: it applies to the past, and `replay_policy` corrects what was posted. Raises
        TimebankError: VALIDATION_FAILED with the place of each fault, LEDGER_NOT_FOUND.
        """
        request = service_pb2.AdoptPolicyRequest(
            parent=self.ledger,
            request_id=request_id or new_request_id(),
            document=document,
            replay=replay,
        )
        return policy_from_wire(await self._call(self._policy_stub.AdoptPolicy, request))

    async def get_policy(self, version: str) -> PolicyView:
        """Reads a version of the policy. Raises TimebankError: POLICY_NOT_FOUND."""
        request = service_pb2.GetPolicyRequest(name=self._names.policy(version))
        return policy_from_wire(await self._call(self._policy_stub.GetPolicy, request))

    def list_policies(self, *, page_size: int = PAGE_SIZE) -> AsyncIterator[PolicyView]:
        """Yields the versions of the policy in the order of adoption."""

        async def read(token: str) -> Page[PolicyView]:
            request = service_pb2.ListPoliciesRequest(
                parent=self.ledger, page_size=page_size, page_token=token
            )
            response = await self._call(self._policy_stub.ListPolicies, request)
            return map(policy_from_wire, response.policies), response.next_page_token

        return pages(read)

    async def replay_policy(
        self, version: str, *, progress: ReplayProgress | None = None
    ) -> ReplayView:
        """Applies a version adopted as a replay to every posted record of its time, page by page.

        Raises TimebankError: POLICY_NOT_FOUND, VALIDATION_FAILED when it was not adopted as a
        replay, and what a correction is refused with.
        """
        records = corrected = 0
        token = ""
        while True:
            request = service_pb2.ReplayPolicyRequest(
                name=self._names.policy(version), request_id=new_request_id(), page_token=token
            )
            response = await self._call(self._policy_stub.ReplayPolicy, request)
            records += response.records
            corrected += response.corrected
            done = ReplayView(records=records, corrected=corrected)
            if progress is not None:
                progress(done)
            token = response.next_page_token
            if not token:
                return done
