"""Requests and answers as bytes, for callers that make very many of one shape.

Owns: methods' paths, and bytes that differ in their request id only: a template is made once, and
each request is the template with another id, so that a load generator spends its time on calls.
Refuses: views, errors and repetition; `LedgerClient` is for everybody else.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from timebank.client.commands import Command, Post
from timebank.client.names import Names
from timebank.client.requests import command_to_wire, item_to_wire
from timebank.ledger.v1 import ledger_service_pb2 as service_pb2

POST_ENTRY = "/timebank.ledger.v1.LedgerService/PostEntry"
BATCH_EXECUTE = "/timebank.ledger.v1.LedgerService/BatchExecute"
GET_BALANCE = "/timebank.ledger.v1.LedgerService/GetBalance"
PLACEHOLDER = "00000000-0000-4000-8000-000000000000"
"""Stands where the request id goes: a UUID is 36 characters, whichever it is."""
_PLACEHOLDER_BYTES = PLACEHOLDER.encode()


class Outcomes(NamedTuple):
    """How many items of a batch were carried out and how many refused."""

    written: int
    refused: int


def post_template(post: Post, names: Names) -> bytes:
    """Gives a PostEntry request with PLACEHOLDER for its request id."""
    request = service_pb2.PostEntryRequest(
        parent=names.ledger, request_id=PLACEHOLDER, post=command_to_wire(post, names).post
    )
    return request.SerializeToString()


def item_template(commands: Sequence[Command], names: Names) -> bytes:
    """Gives one item of a BatchExecute request with PLACEHOLDER for its request id."""
    item = item_to_wire(commands, names, PLACEHOLDER)
    return service_pb2.BatchExecuteRequest(items=[item]).SerializeToString()


def fill(template: bytes, request_id: str) -> bytes:
    """Gives the request or item of a template with a request id of its own."""
    return template.replace(_PLACEHOLDER_BYTES, request_id.encode(), 1)


def batch_request(names: Names, items: Iterable[bytes]) -> bytes:
    """Joins filled item templates: protobuf messages that are joined are merged."""
    parent = service_pb2.BatchExecuteRequest(parent=names.ledger).SerializeToString()
    return parent + b"".join(items)


def balance_request(account: str, names: Names) -> bytes:
    """Gives a GetBalance request."""
    return service_pb2.GetBalanceRequest(name=names.account(account)).SerializeToString()


def batch_outcomes(response: bytes) -> Outcomes:
    """Counts the outcomes in a BatchExecute answer."""
    results = service_pb2.BatchExecuteResponse.FromString(response).results
    written = sum(result.HasField("ok") for result in results)
    return Outcomes(written=written, refused=len(results) - written)
