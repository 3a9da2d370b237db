"""Commands that travel alone: the unary methods, which make receipts.

Owns: which method carries which command. Refuses: commands that no unary method gives a
receipt for.
"""

from typing import TYPE_CHECKING

from timebank.client.calls import Caller
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import command_pb2
from timebank.ledger.v1 import ledger_service_pb2 as service_pb2

if TYPE_CHECKING:
    from timebank.ledger.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub


async def send_alone(
    call: Caller, stub: "LedgerServiceAsyncStub", parent: str, item: command_pb2.BatchItem
) -> service_pb2.CommandResponse:
    """Sends an item of one command by its own method and asks for the receipt.

    Raises TimebankError: why it was refused.
    """
    command, id_ = item.commands[0], item.request_id
    match command.WhichOneof("command"):
        case "post":
            post = service_pb2.PostEntryRequest(
                parent=parent, request_id=id_, post=command.post, receipt=True
            )
            return await call(stub.PostEntry, post)
        case "create_hold":
            hold = service_pb2.CreateHoldRequest(
                parent=parent, request_id=id_, create_hold=command.create_hold, receipt=True
            )
            return await call(stub.CreateHold, hold)
        case "capture_hold":
            capture = service_pb2.CaptureHoldRequest(
                parent=parent, request_id=id_, capture_hold=command.capture_hold, receipt=True
            )
            return await call(stub.CaptureHold, capture)
        case "void_hold":
            void = service_pb2.VoidHoldRequest(
                parent=parent, request_id=id_, void_hold=command.void_hold, receipt=True
            )
            return await call(stub.VoidHold, void)
        case "reverse":
            reverse = service_pb2.ReverseEntryRequest(
                parent=parent, request_id=id_, reverse=command.reverse, receipt=True
            )
            return await call(stub.ReverseEntry, reverse)
        case "refund":
            refund = service_pb2.RefundEntryRequest(
                parent=parent, request_id=id_, refund=command.refund, receipt=True
            )
            return await call(stub.RefundEntry, refund)
        case other:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"expected a command with a method of its own, got {other}; use execute()",
                field="commands",
            )
