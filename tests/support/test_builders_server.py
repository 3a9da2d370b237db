"""The server in a test's own event loop is the whole stack, on both databases."""

import uuid

import grpc
import pytest

from tests.support.builders_server import LocalServer
from tests.support.keys import ORIGIN
from timebank.ledger.v1 import ledger_pb2, ledger_service_pb2, ledger_service_pb2_grpc


def creation() -> ledger_service_pb2.CreateLedgerRequest:
    """A valid request for a ledger that the server has the key of."""
    return ledger_service_pb2.CreateLedgerRequest(
        ledger_id="weihai",
        ledger=ledger_pb2.Ledger(display_name="威海", time_zone="Asia/Shanghai", log_origin=ORIGIN),
        request_id=str(uuid.uuid4()),
    )


async def test_a_ledger_is_signed_by_the_key_of_the_server(server: LocalServer) -> None:
    stub: ledger_service_pb2_grpc.LedgerServiceAsyncStub
    stub = ledger_service_pb2_grpc.LedgerServiceStub(server.channel)  # type: ignore[assignment]  # the async stub is a type only
    created = await stub.CreateLedger(creation())
    assert list(created.verifier_keys) == [server.verifier_key]


async def test_a_refusal_reaches_the_caller_as_a_status(server: LocalServer) -> None:
    stub: ledger_service_pb2_grpc.LedgerServiceAsyncStub
    stub = ledger_service_pb2_grpc.LedgerServiceStub(server.channel)  # type: ignore[assignment]  # the async stub is a type only
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.GetLedger(ledger_service_pb2.GetLedgerRequest(name="ledgers/nowhere"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
