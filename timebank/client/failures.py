"""Failed calls become `TimebankError`.

Owns: what a status means when nobody said whether the call was carried out. Rules: an outcome
that is not known reads as one to be asked for again with the same request id, never as a refusal;
the canonical code stands in the metadata as `code`.
"""

import grpc
import grpc.aio

from timebank.errors import Reason, TimebankError, from_rpc_error

UNKNOWN_OUTCOMES = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.ABORTED,
    }
)


def error_from_call(failure: grpc.aio.AioRpcError) -> TimebankError:
    """Reads why a call failed: the server's reason, or the nearest one to the bare status."""
    code = failure.code()
    error = from_rpc_error(failure)
    if error.metadata.get("code") == code.name and code in UNKNOWN_OUTCOMES:
        text = f"{error.message}; whether it was carried out is not known: ask again with the same"
        error = TimebankError(Reason.DATABASE_UNAVAILABLE, f"{text} request id", code=code.name)
    error.metadata.setdefault("code", code.name)
    return error


def name_request(error: TimebankError, request_id: str) -> None:
    """Puts the request id into the metadata: who does not know the outcome asks again with it."""
    if request_id:
        error.metadata["request_id"] = request_id


def duplicate(error: TimebankError) -> TimebankError:
    """Makes an equal error, so that callers of one batch do not share a traceback."""
    twin = TimebankError(error.reason, error.message, violations=error.violations)
    twin.metadata = dict(error.metadata)
    return twin
