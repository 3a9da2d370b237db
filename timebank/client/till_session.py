"""What every method of a till's client works with: one till, its key, its stubs, how to call.

Owns: sending a request that the till signs. Refuses: any method of its own that callers see but
`lookup`, which the recipe needs too.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias, cast

import grpc.aio

from timebank.client.calls import Method
from timebank.client.merchant_answers import redemption_from_wire
from timebank.client.merchant_views import RedemptionView
from timebank.client.till_calls import TillCaller
from timebank.client.till_journal import TillJournal
from timebank.client.till_keys import TillKey, read_key
from timebank.client.till_requests import TillNames
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import redemption_pb2
from timebank.merchant.v1 import redemption_service_pb2 as service_pb2
from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceStub
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub

if TYPE_CHECKING:
    from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceAsyncStub
    from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceAsyncStub

SignedRequest: TypeAlias = (
    service_pb2.RedeemPointsRequest
    | service_pb2.AuthorizeRedemptionRequest
    | service_pb2.ConfirmRedemptionRequest
    | service_pb2.CaptureRedemptionRequest
    | service_pb2.VoidRedemptionRequest
    | service_pb2.ReverseRedemptionRequest
    | service_pb2.RefundRedemptionRequest
)


class TillSession:
    """A channel to a server, seen from one till."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        terminal: str,
        key_file: Path,
        call: TillCaller,
        journal: TillJournal | None = None,
    ) -> None:
        """Takes an open channel that repeats nothing by itself; leaving the block closes it.

        Raises VALIDATION_FAILED for a malformed name of a till.
        """
        self._channel = channel
        self._names = TillNames(terminal)
        self._key_file = key_file
        self._key: TillKey | None = None
        self._call = call
        self._journal = journal
        self._turn = asyncio.Lock()
        """Keeps two actions of this till from overlapping."""
        self._merchant_stub = cast("MerchantServiceAsyncStub", MerchantServiceStub(channel))
        self._stub = cast("RedemptionServiceAsyncStub", RedemptionServiceStub(channel))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    @property
    def journal(self) -> TillJournal:
        """Gives the till's journal. Raises VALIDATION_FAILED when connect() was given none."""
        if self._journal is None:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                "expected a journal, got none; pass journal=TillJournal.open(...) to connect()",
                field="journal",
            )
        return self._journal

    async def lookup(self, merchant_ref: str, *, attempts_max: int | None = None) -> RedemptionView:
        """Finds a redemption by the merchant's reference.

        Raises TimebankError: REDEMPTION_NOT_FOUND: the server has not got it, so far;
        OutcomeOpenError without an answer.
        """
        request = service_pb2.LookupRedemptionRequest(
            parent=self._names.merchant, merchant_ref=merchant_ref
        )
        answer = self._call.read(self._stub.LookupRedemption, request, attempts_max=attempts_max)
        return redemption_from_wire(await answer)

    def _till_key(self) -> TillKey:
        """Gives the till's key. Raises SIGNING_KEY_MISSING, SIGNER_UNAVAILABLE."""
        if self._key is None:
            self._key = read_key(self._key_file)
        return self._key

    async def _send(
        self, request: SignedRequest, *, attempts_max: int | None = None, was_open: bool = False
    ) -> RedemptionView:
        """Signs and sends a request; its message's name is that of its method.

        `was_open`: it was sent before, and nobody knows what became of it. Raises OutcomeOpenError
        when that is so now, any other TimebankError when it was refused.
        """
        method: Method[SignedRequest, redemption_pb2.Redemption] = getattr(
            self._stub, type(request).__name__.removesuffix("Request")
        )
        answer = await self._call.signed(
            method, request, self._till_key(), attempts_max=attempts_max, was_open=was_open
        )
        return redemption_from_wire(answer)
