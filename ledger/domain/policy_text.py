"""Policies as JSON documents: what a city writes, and the one text that is stored.

Owns the document's keys, their limits, and which of them contradict each other. Refuses a document
with one error that names every fault and its place. The stored text says everything, defaults
too: a default that changes later changes no policy of the past.
"""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction

from ledger.domain.policy import (
    CreditBand,
    CreditExport,
    CreditExportKind,
    DeathPoints,
    DeathTime,
    Policy,
    SelfService,
    TimePayer,
    TransferTo,
)
from ledger.domain.policy_contradictions import find_contradictions
from ledger.domain.policy_earn_text import EARN_KEYS, MINUTES_MAX, earn_document, read_earn
from ledger.domain.policy_fields import (
    Faults,
    Fields,
    Json,
    Refused,
    canonical_json,
    describe,
    ratio_text,
    read_json,
)
from timebank.errors import Reason, TimebankError

TEXT_BYTES_MAX = 65_536
NAME_CHARACTERS_MAX = 64
ROWS_MAX = 100
HOURS_MAX = 1_000_000
CREDIT_POINTS_MAX = 1_000
STARS = 5
_ID = re.compile(r"[a-z0-9-]{1,40}")

_TOP_KEYS = (
    *("policy_id", "name", "effective_from", "effective_to", "earn", "transfers", "time_payer"),
    *("time_to_goods", "self_service", "reserve_ratio", "elder_issue_minutes", "publicity_days"),
    *("verifications", "back_entry_minutes_per_day", "back_entry_alarm_percent"),
    *("spot_check_percent", "presence_percent", "stars", "credit_export", "minors", "death"),
)


def parse_policy(text: str) -> Policy:
    """Reads a policy document.

    Raises VALIDATION_FAILED with every fault as a violation (place, what is wrong); `field` names
    the first place.
    """
    faults = Faults()
    if len(text) > TEXT_BYTES_MAX or len(text.encode(errors="replace")) > TEXT_BYTES_MAX:
        faults.add("", f"is longer than {TEXT_BYTES_MAX // 1024} KiB")
        raise _refusal(faults)
    document = read_json(text.removeprefix("\ufeff"), faults)
    if isinstance(document, dict):
        policy = _policy(Fields(document, "", faults, _TOP_KEYS))
        find_contradictions(policy, faults)
        if not faults.count:
            return policy
    elif not isinstance(document, Refused):
        faults.add("", f"expected one object in braces, got {describe(document)}")
    raise _refusal(faults)


def policy_to_text(policy: Policy) -> str:
    """Writes the one text of a policy: sorted keys, no spaces, everything said."""
    export = policy.credit_export
    document: dict[str, Json] = {
        "policy_id": policy.policy_id,
        "name": policy.name,
        "effective_from": policy.effective_from.isoformat(),
        "earn": earn_document(policy.earn),
        "transfers": [str(to) for to in policy.transfers],
        "time_payer": policy.time_payer,
        "time_to_goods": policy.time_to_goods,
        "self_service": policy.self_service,
        "reserve_ratio": ratio_text(policy.reserve_ratio),
        "elder_issue_minutes": policy.elder_issue_minutes,
        "publicity_days": policy.publicity_days,
        "verifications": policy.verifications,
        "back_entry_minutes_per_day": policy.back_entry_minutes_per_day,
        "back_entry_alarm_percent": policy.back_entry_alarm_percent,
        "spot_check_percent": policy.spot_check_percent,
        "presence_percent": policy.presence_percent,
        "stars": read_json(policy.stars_json, Faults()),
        "minors": {"redeem": policy.minors_redeem},
        "death": {"time": policy.death_time, "points": policy.death_points},
    }
    if policy.effective_to is not None:
        document["effective_to"] = policy.effective_to.isoformat()
    if export is not None:
        table: dict[str, Json] = {"kind": export.kind}
        if export.stars:
            table["stars"] = list(export.stars)
        if export.bands:
            table["bands"] = [
                {"upto_hours": band.upto_hours, "hours_per_point": ratio_text(band.hours_per_point)}
                for band in export.bands
            ]
        document["credit_export"] = table
    return canonical_json(document)


def _policy(fields: Fields) -> Policy:
    """Reads the document; where a fault stands the default, or the first date there is."""
    policy_id = fields.text("policy_id", length_max=40)
    if isinstance(fields.values.get("policy_id", ""), str) and not _ID.fullmatch(policy_id):
        fields.fault("policy_id", "is needed: 1 to 40 of a-z, 0-9 and '-'")
    from_date = fields.date("effective_from")
    if from_date is None and fields.values.get("effective_from") is None:
        fields.fault("effective_from", "is needed: the first day on which it holds, 2026-01-01")
    minors = fields.group("minors", ("redeem",))
    death = fields.group("death", ("time", "points"))
    return Policy(
        policy_id=policy_id,
        name=fields.text("name", length_max=NAME_CHARACTERS_MAX),
        effective_from=from_date or date.min,
        effective_to=fields.date("effective_to"),
        earn=read_earn(fields.group("earn", EARN_KEYS)),
        transfers=_transfers(fields),
        time_payer=fields.word("time_payer", TimePayer.ISSUANCE),
        time_to_goods=fields.boolean("time_to_goods", False),
        self_service=fields.word("self_service", SelfService.HONOUR_ONLY),
        reserve_ratio=fields.rate("reserve_ratio", Fraction(0)),
        elder_issue_minutes=fields.integer("elder_issue_minutes", 0, 0, MINUTES_MAX),
        publicity_days=fields.integer("publicity_days", 3, 0, 365),
        verifications=fields.integer("verifications", 1, 1, 5),
        back_entry_minutes_per_day=fields.integer("back_entry_minutes_per_day", 480, 0, 1440),
        back_entry_alarm_percent=fields.integer("back_entry_alarm_percent", 20, 0, 100),
        spot_check_percent=fields.integer("spot_check_percent", 5, 0, 100),
        presence_percent=fields.integer("presence_percent", 60, 0, 100),
        stars_json=canonical_json(fields.table("stars")),
        credit_export=_credit_export(fields),
        minors_redeem=minors.boolean("redeem", False),
        death_time=death.word("time", DeathTime.RELATIVES),
        death_points=death.word("points", DeathPoints.LAPSE),
    )


def _transfers(fields: Fields) -> tuple[TransferTo, ...]:
    if not fields.given("transfers"):
        return (TransferTo.RELATIVES, TransferTo.POOL)
    found: list[TransferTo] = []
    for place, value in fields.items("transfers", len(TransferTo)):
        word = fields.as_word(place, value, TransferTo.POOL)
        if word in found and value == word:
            fields.faults.add(place, f"{word} stands twice; keep one of the two")
        found.append(word)
    return tuple(to for to in TransferTo if to in found)


def _credit_export(fields: Fields) -> CreditExport | None:
    if fields.values.get("credit_export") is None:
        return None
    export = fields.group("credit_export", ("kind", "bands", "stars"))
    if not export.given("kind"):
        export.fault("kind", f"is needed: {' or '.join(CreditExportKind)}")
    bands: list[CreditBand] = []
    for row in export.rows("bands", ROWS_MAX, ("upto_hours", "hours_per_point")):
        if not row.given("hours_per_point"):
            row.fault("hours_per_point", "is needed: the hours that make one point, such as 2")
        upto = row.optional_integer("upto_hours", 1, HOURS_MAX)
        bands.append(CreditBand(upto, row.rate("hours_per_point", Fraction(1), positive=True)))
    stars = []
    for place, value in export.items("stars", STARS):
        sound = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, int) and sound and 0 <= value <= CREDIT_POINTS_MAX:
            stars.append(value)
        elif not isinstance(value, Refused):
            expected = f"points from 0 to {CREDIT_POINTS_MAX}"
            fields.faults.add(place, f"expected {expected}, got {describe(value)}")
    kind = export.word("kind", CreditExportKind.HOURS_BANDS)
    return CreditExport(kind, tuple(bands), tuple(stars))


def _refusal(faults: Faults) -> TimebankError:
    shown = "; ".join(f"{place}: {text}" if place else text for place, text in faults.found[:1])
    more = f", and {faults.count - 1} more" if faults.count > 1 else ""
    number = f"{faults.count} fault" + ("s" if faults.count > 1 else "")
    return TimebankError(
        Reason.VALIDATION_FAILED,
        f"the policy has {number}: {shown}{more}; correct the document and check it again",
        violations=[(place or "policy", text) for place, text in faults.found],
        field=faults.found[0][0] or "policy",
    )
