"""Requests of every rpc with one field missing, too long, or holding what is no text."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from tests.merchant.rpc.requests import METHODS, fields_of, is_required, request_class
from tests.merchant.rpc.scenes import Refusal
from tests.merchant.rpc.signature_refusals import fixed
from timebank.errors import Reason as R

V = R.VALIDATION_FAILED
LONG = "x" * 10_000
NOT_TEXT = ("王\0芳", "a\nb", "a\u202eb")
ETAGS = ("merchant.etag", "terminal.etag", "offer.etag", "budget.etag")
OF_LINES = {"offer.description", "resolution"}
"""Texts of several lines, in any script: only NUL is refused in them."""
SECRETS = {"payment_code", "card_number", "code", "enrolment_code"}
"""What is no code is refused as a wrong one is; only its length is told apart."""
NOTHING_IS_FINE = {"budget.limit_fen"}
"""Required numbers that may be 0."""
BAD_TIMES = (Timestamp(seconds=-1), Timestamp(seconds=2**62), Timestamp(nanos=-1))


def _not_looked_at(method: str, path: str) -> bool:
    """Says whether a call does not look at a field: what is made has no name and no etag yet."""
    made = method.startswith(("Create", "Record", "Propose"))
    return made and path.endswith((".name", ".etag", ".cut_off_effective_date"))


def _changes(method: str, path: str, value: object) -> dict[str, Any]:
    """One bad field, which the mask names when it is one of an update."""
    changed = method.startswith("Update") and not path.endswith((".name", ".etag"))
    mask = {"update_mask.paths": [path.partition(".")[2]]} if changed and "." in path else {}
    return {**mask, path: value}


def _bad_values(path: str, field: FieldDescriptor) -> tuple[Any, ...]:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return (b"x" * 5_000,)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return (99, -1)
    if field.message_type is not None:
        return BAD_TIMES if field.message_type.name == "Timestamp" else ()
    if field.type != FieldDescriptor.TYPE_STRING:
        return ()
    if path in SECRETS:
        return (LONG,)
    return (LONG, "\0") if path in OF_LINES else (LONG, *NOT_TEXT)


def _rows(method: str) -> Iterator[Refusal]:
    for path, field in fields_of(request_class(method).DESCRIPTOR):
        if field.is_repeated or _not_looked_at(method, path):
            continue
        if is_required(field) and path not in NOTHING_IS_FINE:
            yield Refusal(method, V, f"no {path}", fixed(**_changes(method, path, None)))
        reason = R.PAGE_TOKEN_MISMATCH if path == "page_token" else V
        reason = R.ETAG_MISMATCH if path in ETAGS else reason
        for value in _bad_values(path, field):
            changes = fixed(**_changes(method, path, value))
            yield Refusal(method, reason, f"{path} {str(value)[:20]!r}", changes)


BAD_FIELDS: tuple[Refusal, ...] = tuple(row for method in METHODS for row in _rows(method))
