"""Resource names, etags, texts and times of the contract, and the refusal of a field that breaks
its rule.

Rules: the id of a document below a merchant is `merchant/own`, of all others their own; what has no
such form is VALIDATION_FAILED. An etag is the version of a document, opaque to callers: any other
text is one that does not hold.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from timebank.errors import Reason, TimebankError

LEDGER_ID = re.compile(r"[a-z][a-z0-9-]{1,39}")
_ID = re.compile(r"[a-z0-9-]{1,64}")
_NEW_ID = re.compile(r"[a-z0-9-]{1,40}")
_PERSON = re.compile(r"[\x21-\x7e]{0,80}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
NAMES_KEPT = 4_096
"""Names of one form that are remembered as read: tills and offers come again and again."""
NO_VERSION = -1
"""The version of an etag that is none of ours: it holds for no document."""
ALL = "-"
"""The merchant of a parent that means all of them (AIP-159)."""
TIME_US_MAX = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, formats, halves of surrogate pairs, separators of lines; a wide space is seen."""


def invalid(field: str, text: str) -> TimebankError:
    """Says what is wrong with one field."""
    return invalid_fields([(field, text)])


def invalid_fields(violations: Sequence[tuple[str, str]]) -> TimebankError:
    """Says what is wrong with several fields at once."""
    return TimebankError(
        Reason.VALIDATION_FAILED,
        "; ".join(f"{field}: {text}" for field, text in violations),
        violations=violations,
        field=violations[0][0],
    )


def ledger_id_from_name(name: str, field: str = "parent") -> str:
    """Takes the ledger out of `ledgers/{ledger}`. Raises VALIDATION_FAILED."""
    prefix, _, ledger_id = name.partition("/")
    if prefix != "ledgers" or not LEDGER_ID.fullmatch(ledger_id):
        raise invalid(field, f"expected ledgers/{{ledger}}, got {name[:80]!r}")
    return ledger_id


def merchant_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of `ledgers/{ledger}/merchants/{merchant}`, or VALIDATION_FAILED."""
    return _under_ledger(name, "merchants", field)


def merchant_name(ledger_id: str, merchant_id: str) -> str:
    """Names a merchant."""
    return _name(ledger_id, "merchants", merchant_id)


def terminal_from_name(name: str, field: str = "name") -> tuple[str, str, str]:
    """Takes ledger, merchant and own id out of a terminal's name, or VALIDATION_FAILED."""
    return _under_merchant(name, "terminals", field)


def terminal_name(ledger_id: str, terminal_id: str) -> str:
    """Names a terminal; empty stays empty."""
    return _name_under_merchant(ledger_id, "terminals", terminal_id)


def offer_from_name(name: str, field: str = "name") -> tuple[str, str, str]:
    """Takes ledger, merchant and own id out of an offer's name, or VALIDATION_FAILED."""
    return _under_merchant(name, "offers", field)


def offer_name(ledger_id: str, offer_id: str) -> str:
    """Names an offer; empty stays empty."""
    return _name_under_merchant(ledger_id, "offers", offer_id)


def redemption_from_name(name: str, field: str = "name") -> tuple[str, str, str]:
    """Takes ledger, merchant and own id out of a redemption's name, or VALIDATION_FAILED."""
    return _under_merchant(name, "redemptions", field)


def redemption_name(ledger_id: str, redemption_id: str) -> str:
    """Names a redemption; empty stays empty."""
    return _name_under_merchant(ledger_id, "redemptions", redemption_id)


def batch_from_name(name: str, field: str = "name") -> tuple[str, str, str]:
    """Takes ledger, merchant and own id out of a settlement batch's name, or VALIDATION_FAILED."""
    return _under_merchant(name, "batches", field)


def batch_name(ledger_id: str, batch_id: str) -> str:
    """Names a settlement batch; empty stays empty."""
    return _name_under_merchant(ledger_id, "batches", batch_id)


def item_from_name(name: str, field: str = "name") -> tuple[str, str, str]:
    """Takes ledger, merchant and own id out of an item's name, or VALIDATION_FAILED."""
    return _under_merchant(name, "reconciliationItems", field)


def item_name(ledger_id: str, item_id: str) -> str:
    """Names a reconciliation item; empty stays empty."""
    return _name_under_merchant(ledger_id, "reconciliationItems", item_id)


def card_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of a card's name. Raises VALIDATION_FAILED."""
    return _under_ledger(name, "cards", field)


def card_name(ledger_id: str, card_id: str) -> str:
    """Names a card; empty stays empty."""
    return _name(ledger_id, "cards", card_id)


def voucher_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of a voucher's name. Raises VALIDATION_FAILED."""
    return _under_ledger(name, "vouchers", field)


def voucher_name(ledger_id: str, voucher_id: str) -> str:
    """Names a voucher; empty stays empty."""
    return _name(ledger_id, "vouchers", voucher_id)


def budget_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of a budget's name. Raises VALIDATION_FAILED."""
    return _under_ledger(name, "budgets", field)


def budget_name(ledger_id: str, budget_id: str) -> str:
    """Names a budget; empty stays empty."""
    return _name(ledger_id, "budgets", budget_id)


def spending_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of a spending's name. Raises VALIDATION_FAILED."""
    return _under_ledger(name, "spendings", field)


def spending_name(ledger_id: str, spending_id: str) -> str:
    """Names a spending; empty stays empty."""
    return _name(ledger_id, "spendings", spending_id)


def income_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of an income's name. Raises VALIDATION_FAILED."""
    return _under_ledger(name, "incomes", field)


def income_name(ledger_id: str, income_id: str) -> str:
    """Names an income; empty stays empty."""
    return _name(ledger_id, "incomes", income_id)


def control_from_name(name: str, field: str = "name") -> tuple[str, str]:
    """Takes ledger and id out of a velocity control's name. Raises VALIDATION_FAILED."""
    return _under_ledger(name, "velocityControls", field)


def control_name(ledger_id: str, control_id: str) -> str:
    """Names a velocity control."""
    return _name(ledger_id, "velocityControls", control_id)


def member_from_name(name: str, field: str = "member") -> tuple[str, str]:
    """Takes ledger and number out of `ledgers/{ledger}/members/{member}`, or VALIDATION_FAILED."""
    return _under_ledger(name, "members", field)


def member_name(ledger_id: str, member_id: str) -> str:
    """Names a member; empty stays empty."""
    return _name(ledger_id, "members", member_id)


def new_id_of(field: str, text: str) -> str:
    """Reads the id that a caller gives to what it creates. Raises VALIDATION_FAILED."""
    if not _NEW_ID.fullmatch(text) or text == ALL:
        expected = "expected 1 to 40 characters of a-z, 0-9 and -"
        raise invalid(field, f"{expected}, got {text[:60]!r}")
    return text


def text_of(field: str, text: str, characters_max: int, *, characters_min: int = 1) -> str:
    """Reads one line of text. Raises VALIDATION_FAILED for one that is blank though it must not
    be, too long, or has characters that cannot be seen.
    """
    # Nothing printable is unseen, but a wide space is seen and not printable.
    seen = text.isprintable() or all(
        unicodedata.category(character) not in _UNSEEN for character in text[:4_096]
    )
    if not seen or not characters_min <= len(text) <= characters_max:
        length = f"{characters_min} to {characters_max}"
        raise invalid(field, f"expected {length} characters that can be seen, got {len(text)}")
    if characters_min and not text.strip():
        raise invalid(field, "expected more than spaces")
    return text


def person_of(field: str, text: str) -> str:
    """Reads the id of somebody, empty for nobody. Raises VALIDATION_FAILED."""
    if not _PERSON.fullmatch(text):
        raise invalid(field, "expected at most 80 visible ASCII characters")
    return text


def etag_of(version: int) -> str:
    """Writes the version of a document as an etag."""
    return str(version)


def version_from_etag(etag: str) -> int:
    """Reads an etag: 0 for none, NO_VERSION for one that is none of ours."""
    if not etag:
        return 0
    return int(etag) if _VERSION.fullmatch(etag) else NO_VERSION


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


@functools.lru_cache(maxsize=NAMES_KEPT)
def _under_ledger(name: str, collection: str, field: str) -> tuple[str, str]:
    parts = name.split("/", 4)
    if (
        len(parts) != 4
        or (parts[0], parts[2]) != ("ledgers", collection)
        or not LEDGER_ID.fullmatch(parts[1])
        or not _ID.fullmatch(parts[3])
    ):
        raise invalid(field, f"expected ledgers/{{ledger}}/{collection}/{{id}}, got {name[:80]!r}")
    return parts[1], parts[3]


@functools.lru_cache(maxsize=NAMES_KEPT)
def _under_merchant(name: str, collection: str, field: str) -> tuple[str, str, str]:
    parts = name.split("/", 6)
    if (
        len(parts) != 6
        or (parts[0], parts[2], parts[4]) != ("ledgers", "merchants", collection)
        or not LEDGER_ID.fullmatch(parts[1])
        or not _ID.fullmatch(parts[3])
        or not _ID.fullmatch(parts[5])
    ):
        form = f"ledgers/{{ledger}}/merchants/{{merchant}}/{collection}/{{id}}"
        raise invalid(field, f"expected {form}, got {name[:120]!r}")
    return parts[1], parts[3], parts[5]


def _name(ledger_id: str, collection: str, own_id: str) -> str:
    return f"ledgers/{ledger_id}/{collection}/{own_id}" if own_id else ""


def _name_under_merchant(ledger_id: str, collection: str, document_id: str) -> str:
    if not document_id:
        return ""
    merchant_id, _, own_id = document_id.partition("/")
    return f"ledgers/{ledger_id}/merchants/{merchant_id}/{collection}/{own_id}"
