"""Overlaps of service records: nobody is in two places at once.

Intervals are half-open, so back-to-back at the same minute is fine. The same service recorded by
two organizations (overlap of at least 80 % of the shorter) is stored as disputed, any other overlap
is refused. It is decided under the ledger's lock, so that racing submissions cannot both win.
"""

from __future__ import annotations

from ledger.domain.facts import Member, Record, RecordState
from ledger.domain.hours_view import View
from timebank.errors import Reason, TimebankError

DUPLICATE_PERCENT = 80
_GONE = frozenset({RecordState.VOIDED, RecordState.CORRECTED, RecordState.DISPUTED})


def check_overlap(view: View, record: Record, root: Member, *, strict: bool = False) -> str:
    """Gives the record of another organization that this one duplicates; empty without one.

    Raises RECORD_OVERLAPS for any other overlap, and for a duplicate too when `strict`.
    """
    if record.date_only:
        return ""
    duplicate = ""
    for other in _near(view, record, root):
        start_us = max(record.started_us, other.started_us)
        common_us = min(record.ended_us, other.ended_us) - start_us
        if common_us <= 0:
            continue
        shorter_us = min(record.ended_us - record.started_us, other.ended_us - other.started_us)
        is_duplicate = (
            other.organizer != record.organizer
            and common_us * 100 >= shorter_us * DUPLICATE_PERCENT
        )
        if strict or not is_duplicate:
            raise TimebankError(
                Reason.RECORD_OVERLAPS,
                f"record {other.record_id} of {record.volunteer} overlaps in time: correct one of"
                " them",
                record=record.record_id,
                other=other.record_id,
            )
        duplicate = other.record_id
    return duplicate


def _near(view: View, record: Record, root: Member) -> list[Record]:
    seen: dict[str, Record] = {}
    for member in view.group(root.member_id):
        span = (member.member_id, record.started_us, record.ended_us)
        for record_id in view.state.register.in_span(span):
            if record_id in (record.record_id, record.supersedes) or record_id in seen:
                continue
            other = view.record(record_id)
            if other.state not in _GONE and not other.date_only:
                seen[record_id] = other
    return list(seen.values())
