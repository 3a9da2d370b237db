"""Resource names and times of the contract, and the refusal of a field that breaks its rule."""

import re

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.calendar import TIME_US_MAX
from timebank.errors import Reason, TimebankError

LEDGER_ID = re.compile(r"[a-z][a-z0-9-]{1,39}")
_ID = re.compile(r"[0-9a-z]{1,40}")
MEMBER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
RECORD_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_NUMBER = re.compile(r"[a-z0-9][a-z0-9@-]{0,63}")
is_id = _ID.fullmatch
"""Tells whether a text may be the id of an account or a hold."""


def invalid(field: str, text: str) -> TimebankError:
    """Says what is wrong with one field."""
    return TimebankError(
        Reason.VALIDATION_FAILED, f"{field}: {text}", violations=[(field, text)], field=field
    )


def ledger_id_from_name(name: str, field: str = "parent") -> str:
    """Takes the ledger out of `ledgers/{ledger}`. Raises VALIDATION_FAILED."""
    prefix, _, ledger_id = name.partition("/")
    if prefix != "ledgers" or not LEDGER_ID.fullmatch(ledger_id):
        raise invalid(field, f"expected ledgers/{{ledger}}, got {name[:80]!r}")
    return ledger_id


def child_from_name(name: str, collection: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of `ledgers/{ledger}/{collection}/{id}`. Raises VALIDATION_FAILED."""
    parts = name.split("/")
    if (
        len(parts) != 4
        or parts[0] != "ledgers"
        or parts[2] != collection
        or not LEDGER_ID.fullmatch(parts[1])
        or not (_ID.fullmatch(parts[3]) or parts[3] == "-")
    ):
        raise invalid(field, f"expected ledgers/{{ledger}}/{collection}/{{id}}, got {name[:80]!r}")
    return parts[1], parts[3]


def member_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and number out of `ledgers/{ledger}/members/{member}`, or VALIDATION_FAILED."""
    return _numbered(name, "members", MEMBER_ID, field)


def record_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and number out of `ledgers/{ledger}/records/{record}`, or VALIDATION_FAILED."""
    return _numbered(name, "records", RECORD_ID, field)


def numbered_from_name(name: str, collection: str) -> tuple[str, str]:
    """Takes ledger and number out of the name of a policy or certificate, or VALIDATION_FAILED."""
    return _numbered(name, collection, _NUMBER, "name")


def _numbered(name: str, collection: str, pattern: re.Pattern[str], field: str) -> tuple[str, str]:
    parts = name.split("/")
    if (
        len(parts) != 4
        or (parts[0], parts[2]) != ("ledgers", collection)
        or not LEDGER_ID.fullmatch(parts[1])
        or not pattern.fullmatch(parts[3])
    ):
        raise invalid(field, f"expected ledgers/{{ledger}}/{collection}/{{id}}, got {name[:80]!r}")
    return parts[1], parts[3]


def index_from_name(name: str, field: str = "name") -> tuple[str, int]:
    """Takes ledger and index out of `ledgers/{ledger}/entries/{index}`, or VALIDATION_FAILED."""
    ledger_id, text = child_from_name(name, "entries", field)
    if not text.isdigit() or len(text) > 18:
        raise invalid(field, f"expected the index of an entry in decimal, got {text[:40]!r}")
    return ledger_id, int(text)


def us_from_wire(time: Timestamp, field: str) -> int:
    """Reads a time as microseconds since 1970. Raises VALIDATION_FAILED outside 1970 to 9999."""
    us = time.seconds * 1_000_000 + time.nanos // 1_000
    if not 0 < us <= TIME_US_MAX:
        raise invalid(field, "expected a time between 1970 and 9999")
    return us


def us_to_wire(time_us: int) -> Timestamp:
    """Writes microseconds since 1970 as a time."""
    seconds, us = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=us * 1_000)
