"""What every method of the client works with: one ledger, its stubs, and how to call.

Owns: the parts that the groups of methods share. Refuses: any method of its own.
"""

from typing import TYPE_CHECKING, cast

import grpc.aio

from timebank.client.batches import CALLS_MAX, ITEMS_MAX, Batcher
from timebank.client.calls import Caller
from timebank.client.names import Names
from timebank.ledger.v1.certificate_service_pb2_grpc import CertificateServiceStub
from timebank.ledger.v1.hours_service_pb2_grpc import HoursServiceStub
from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from timebank.ledger.v1.log_service_pb2_grpc import LogServiceStub
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.ledger.v1.policy_service_pb2_grpc import PolicyServiceStub
from timebank.ledger.v1.star_service_pb2_grpc import StarServiceStub

if TYPE_CHECKING:
    from timebank.ledger.v1.certificate_service_pb2_grpc import CertificateServiceAsyncStub
    from timebank.ledger.v1.hours_service_pb2_grpc import HoursServiceAsyncStub
    from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from timebank.ledger.v1.log_service_pb2_grpc import LogServiceAsyncStub
    from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceAsyncStub
    from timebank.ledger.v1.policy_service_pb2_grpc import PolicyServiceAsyncStub
    from timebank.ledger.v1.star_service_pb2_grpc import StarServiceAsyncStub


class Session:
    """A channel to a server, seen from one ledger."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        ledger: str,
        call: Caller,
        items_max: int = ITEMS_MAX,
        calls_max: int = CALLS_MAX,
    ) -> None:
        """Takes an open channel (a local stub's will do), the ledger's id, and how to call."""
        self._channel = channel
        self._names = Names(ledger)
        self._call = call
        self._ledger_stub = cast("LedgerServiceAsyncStub", LedgerServiceStub(channel))
        self._log_stub = cast("LogServiceAsyncStub", LogServiceStub(channel))
        self._member_stub = cast("MemberServiceAsyncStub", MemberServiceStub(channel))
        self._hours_stub = cast("HoursServiceAsyncStub", HoursServiceStub(channel))
        self._policy_stub = cast("PolicyServiceAsyncStub", PolicyServiceStub(channel))
        self._star_stub = cast("StarServiceAsyncStub", StarServiceStub(channel))
        self._certificate_stub = cast(
            "CertificateServiceAsyncStub", CertificateServiceStub(channel)
        )
        self._items_max = items_max
        self._calls_max = calls_max
        self._batcher: Batcher | None = None

    @property
    def ledger(self) -> str:
        """Gives the resource name of the ledger. Raises VALIDATION_FAILED when none was given."""
        return self._names.ledger

    def _batches(self) -> Batcher:
        """Gives what sends items of the ledger together."""
        if self._batcher is None:
            self._batcher = Batcher(
                self._call,
                self._ledger_stub.BatchExecute,
                parent=self._names.ledger,
                items_max=self._items_max,
                calls_max=self._calls_max,
            )
        return self._batcher
