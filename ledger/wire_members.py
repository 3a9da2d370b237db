"""Members and personal data: messages to domain values and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from ledger.domain.facts import Member
from ledger.names import MEMBER_ID, invalid, member_from_name, us_from_wire, us_to_wire
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import member_pb2

UNIT_LENGTH_MAX = 100
MEMO_LENGTH_MAX = 2_000
PERSONAL_LIMITS = {
    "display_name": 60,
    "id_type": 30,
    "id_number": 40,
    "phone": 30,
    "national_number": 40,
}
RELATIONS = ("SPOUSE", "PARENT", "CHILD", "SIBLING", "GRANDPARENT", "GRANDCHILD")
ROLES = ("RESIDENT", "PEER", "COMMUNITY")
CHANGEABLE = (
    *("home_unit", "officer", "guardian", "guardian_consent"),
    *("adult_time", "publish_name", "key_elder"),
)
_PERSON_ID = re.compile(r"[\x21-\x7e]{0,40}")
_UNIT = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*")
_IDENTITY_NUMBER = re.compile(r"\d{17}[\dx]|\d{15}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def check_texts(limits: Iterable[tuple[str, str, int]]) -> None:
    """Refuses texts that are too long or hold control characters, all at once."""
    violations = [
        (field, f"expected at most {limit} characters without control characters")
        for field, text, limit in limits
        if len(text) > limit or not text.isprintable()
    ]
    if violations:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "; ".join(f"{field}: {text}" for field, text in violations),
            violations=violations,
            field=violations[0][0],
        )


def check_memo(memo: str) -> str:
    """Refuses a text that is too long or holds NUL."""
    if len(memo) > MEMO_LENGTH_MAX or "\0" in memo:
        raise invalid("memo", f"expected at most {MEMO_LENGTH_MAX} characters, none of them NUL")
    return memo


def member_id_from_wire(member_id: str) -> str:
    """Reads a volunteer number. Raises VALIDATION_FAILED, also for what looks like an identity
    number.
    """
    if not MEMBER_ID.fullmatch(member_id):
        raise invalid("member_id", "expected 1 to 40 characters of a-z, 0-9 and -")
    if _IDENTITY_NUMBER.fullmatch(member_id):
        raise invalid("member_id", "this looks like an identity number: give a volunteer number")
    return member_id


def person_id(field: str, text: str) -> str:
    """Reads the id of an officer or service."""
    if not _PERSON_ID.fullmatch(text) or text.startswith("members/"):
        raise invalid(field, "expected at most 40 visible ASCII characters, not a member")
    return text


def member_of(ledger_id: str, name: str, field: str) -> str:
    """Takes the number out of the name of a member of this ledger; empty stays empty."""
    if not name:
        return ""
    other, member_id = member_from_name(name, field)
    if other != ledger_id:
        raise invalid(field, f"expected a member of ledger {ledger_id}, got one of {other}")
    return member_id


def member_from_wire(ledger_id: str, member_id: str, message: member_pb2.Member) -> Member:
    """Reads a member to register or change. Raises VALIDATION_FAILED."""
    unit = message.home_unit
    if unit and (len(unit) > UNIT_LENGTH_MAX or not _UNIT.fullmatch(unit)):
        raise invalid(
            "member.home_unit", "expected parts of a-z, 0-9 and - separated by /, at most 100 long"
        )
    adult_us = 0
    if message.HasField("adult_time"):
        adult_us = us_from_wire(message.adult_time, "member.adult_time")
    return Member(
        member_id,
        home_unit=unit,
        officer=person_id("member.officer", message.officer),
        guardian=member_of(ledger_id, message.guardian, "member.guardian"),
        guardian_consent=message.guardian_consent,
        adult_from_us=adult_us,
        publish_name=message.publish_name,
        key_elder=message.key_elder,
    )


def changes_from_wire(
    member: Member, paths: Iterable[str]
) -> tuple[tuple[str, str | bool | int], ...]:
    """Reads which fields of a member to replace. Raises VALIDATION_FAILED for one that may not."""
    wanted = list(paths) or list(CHANGEABLE)
    for path in wanted:
        if path not in CHANGEABLE:
            raise invalid("update_mask", f"expected {', '.join(CHANGEABLE)}, got {path[:40]!r}")
    fields = ["adult_from_us" if path == "adult_time" else path for path in wanted]
    return tuple((field, getattr(member, field)) for field in fields)


def member_to_wire(ledger_id: str, member: Member) -> member_pb2.Member:
    """Writes a member."""

    def name(collection: str, item: str) -> str:
        return f"ledgers/{ledger_id}/{collection}/{item}" if item else ""

    return member_pb2.Member(
        name=name("members", member.member_id),
        state=member.state,  # type: ignore[arg-type]  # the domain's enum has the contract's numbers
        home_unit=member.home_unit,
        officer=member.officer,
        guardian=name("members", member.guardian),
        guardian_consent=member.guardian_consent,
        adult_time=us_to_wire(member.adult_from_us) if member.adult_from_us else None,
        publish_name=member.publish_name,
        key_elder=member.key_elder,
        merged_into=name("members", member.merged_into),
        hours_account=name("accounts", member.hours_account),
        time_account=name("accounts", member.time_account),
        points_account=name("accounts", member.points_account),
    )


def personal_from_wire(message: member_pb2.PersonalData) -> dict[str, str]:
    """Reads personal data. Raises VALIDATION_FAILED."""
    values = {field: str(getattr(message, field)) for field in PERSONAL_LIMITS}
    check_texts((field, values[field], limit) for field, limit in PERSONAL_LIMITS.items())
    if not values["display_name"].strip():
        raise invalid("personal_data.display_name", "expected a name")
    return {field: value for field, value in values.items() if value}


def personal_to_wire(values: dict[str, str]) -> member_pb2.PersonalData:
    """Writes personal data."""
    return member_pb2.PersonalData(**values)


def one_of(field: str, text: str, allowed: Iterable[str]) -> str:
    """Reads a word out of a list."""
    if text not in allowed:
        raise invalid(field, f"expected one of {', '.join(allowed)}, got {text[:40]!r}")
    return text


def day_from_wire(field: str, text: str, today: str) -> str:
    """Reads a day, not in the future."""
    try:
        known = bool(_DAY.fullmatch(text)) and date.fromisoformat(text).isoformat() <= today
    except ValueError:
        known = False
    if not known:
        raise invalid(field, f"expected YYYY-MM-DD, at most {today}, got {text[:40]!r}")
    return text


def minutes_from_wire(minutes: int) -> int:
    """Reads minutes of TIME to give."""
    if not 0 < minutes <= 10_000_000:
        raise invalid("minutes", f"expected 1 to 10,000,000, got {minutes}")
    return minutes
