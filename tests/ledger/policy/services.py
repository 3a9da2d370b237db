"""Policies and services for the tests of earning: valid ones, of which a test changes a field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ledger.domain.earning import Earned, Service, TallyKey, earn
from ledger.domain.policy import Policy, PolicyTimeline
from ledger.domain.policy_fields import Json
from ledger.domain.policy_text import parse_policy
from ledger.domain.service_split import policy_version
from ledger.policies import load_preset

ZONE = "Asia/Shanghai"
MINUTE_US = 60_000_000
HOUR = 60


def us(text: str, zone: str = ZONE) -> int:
    """Microseconds of a local time such as `2026-03-01 09:00`."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return (local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def document(**keys: Json) -> str:
    """A policy document that holds from 2026."""
    return json.dumps({"policy_id": "test", "effective_from": "2026-01-01", **keys})


def policy(**earn_keys: Json) -> Policy:
    """A policy with these keys of `earn`."""
    return parse_policy(document(earn=earn_keys))


def timeline(*policies: Policy, zone: str = ZONE) -> PolicyTimeline:
    """Versions v1, v2 ... on their own dates."""
    return tuple(
        policy_version(f"v{number}", one, zone) for number, one in enumerate(policies, start=1)
    )


def preset(name: str) -> PolicyTimeline:
    """A preset in force from its own date."""
    return timeline(parse_policy(load_preset(name)))


def service(
    started: str = "2026-03-02 09:00", minutes: int = HOUR, *, lasts: int | None = None
) -> Service:
    """A service with evidence A; it lasts as long as its minutes unless told otherwise."""
    start_us = us(started)
    length = minutes if lasts is None else lasts
    return Service(start_us, start_us + length * MINUTE_US, minutes, "A")


class Member:
    """Somebody whose services follow each other, with tallies as a ledger would keep them."""

    def __init__(self, versions: PolicyTimeline, *, stored_time: int = 0, zone: str = ZONE) -> None:
        self.versions = versions
        self.zone = zone
        self.hours = self.pool_time = self.points = 0
        self.time = stored_time
        self.tallies: dict[TallyKey, int] = {}

    def serve(self, one: Service) -> Earned:
        earned = earn(
            self.versions, one, zone=self.zone, tallies=self.tallies, stored_time=self.time
        )
        self._book(earned, 1)
        return earned

    def serve_all(self, services: Iterable[Service]) -> Member:
        for one in services:
            self.serve(one)
        return self

    def take_back(self, earned: Earned) -> None:
        """What a correction does: amounts and tallies go back."""
        self._book(earned, -1)

    def _book(self, earned: Earned, sign: int) -> None:
        self.hours += sign * earned.hours
        self.time += sign * earned.time
        self.pool_time += sign * earned.pool_time
        self.points += sign * earned.points
        for key, count in earned.tallies:
            self.tallies[key] = self.tallies.get(key, 0) + sign * count
