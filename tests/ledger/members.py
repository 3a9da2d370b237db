"""Builders of records for tests that write through the book, without a server."""

import json

from ledger.domain.facts import Evidence, Record, RecordState

HOUR_US = 3_600_000_000
POLICY = json.dumps(
    {
        "policy_id": "test",
        "effective_from": "2025-01-01",
        "earn": {"reward": "BOTH", "expiry": {"points": {"months": 12}}},
        "publicity_days": 3,
        "spot_check_percent": 0,
    }
)


def record(record_id: str, volunteer: str, start_us: int, *, hours: int = 1) -> Record:
    """A record of class A."""
    return Record(
        record_id,
        RecordState.CLAIMED,
        volunteer,
        activity="送药上门",
        organizer="community",
        recorder="grid-7",
        started_us=start_us,
        ended_us=start_us + hours * HOUR_US,
        minutes=hours * 60,
        evidence=Evidence.A,
        content=record_id.encode().ljust(16, b"x")[:16],
    )
