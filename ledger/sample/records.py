"""What the people of the sample city did in a year, and what one officer typed in one night.

Owns: services with their times, evidence and attestation. Refuses: what they are worth, which the
ledger decides.
Rules: a volunteer serves at most once a day, so that nothing overlaps; back-entries stay far below
what raises the alarm, but for the one night.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ledger.sample.people import ELDERS, WANG, neighbourhood_of, officer_of, volunteer_id

ZONE = "Asia/Shanghai"
YEAR_DAYS = 365
WEDNESDAY = 2
WANG_MINUTES = 562 * 60
"""38 hours below the 600 of three stars."""
MEDICINE_MINUTES, VISIT_MINUTES = 240, 120
CORE_EVERY = 50
"""One volunteer in so many serves week after week."""
CORE_SERVICES, USUAL_SERVICES = (30, 50), (2, 6)
DURATIONS_MINUTES = (60, 60, 90, 90, 120, 120, 150, 180)
CORE_DURATIONS_MINUTES = (150, 180, 210, 240)
BACK_ENTRY_MINUTES_MAX = 480
BACK_ENTRY_SHARE = 10
"""An officer's back-entries are at most a tenth of what the officer recorded."""
NIGHT_OFFICER, NIGHT_SECOND = "o-wangchao-3", "o-wangchao-2"
NIGHT_MINUTES = 150
NIGHT_ENTRIES, NIGHT_ALONE = 12, 3
"""Back-entries of the night, of which the officer attested the last ones alone."""
NIGHT_ACCEPTED = BACK_ENTRY_MINUTES_MAX // NIGHT_MINUTES
NIGHT_ORGANIZER = "night-desk"
_ACTIVITIES = (
    ("送药上门", "medicine"),
    ("入户探访", "visit"),
    ("助餐送餐", "meals"),
    ("楼道清扫", "cleaning"),
    ("理发陪同", "escort"),
    ("智能手机教学", "teaching"),
    ("海滩清洁", "environment"),
    ("文明交通劝导", "traffic"),
)
_CLASSES = "AAAAAAAAAAAABBBBBDDE"


class Service(NamedTuple):
    """One service as it is submitted: times in the ledger's zone, minutes, and who attests it."""

    record_id: str
    volunteer: str
    start: datetime
    minutes: int
    evidence: str
    activity: str
    need_type: str
    place: str
    organizer: str
    recorder: str = ""
    verifiers: tuple[str, ...] = ()
    beneficiary: str = ""
    external_id: str = ""
    date_only: bool = False
    quality_tenths: int = 0
    content: str = ""

    @property
    def attested(self) -> bool:
        """Says whether it is attested already; class E never is."""
        return self.evidence != "E"


def services_of_wang(first_day: date) -> list[Service]:
    """Gives the year of 王阿姨: medicine on Wednesdays, and visits until her hours are full."""
    days = [first_day + timedelta(days=number) for number in range(YEAR_DAYS)]
    wednesdays = [day for day in days if day.weekday() == WEDNESDAY]
    others = [day for day in days if day.weekday() != WEDNESDAY]
    left = WANG_MINUTES - MEDICINE_MINUTES * len(wednesdays)
    visits = -(-left // VISIT_MINUTES)
    chosen = [others[at * len(others) // visits] for at in range(visits)]
    found = [_medicine(day, number) for number, day in enumerate(wednesdays)]
    for number, day in enumerate(chosen):
        minutes = min(VISIT_MINUTES, left - number * VISIT_MINUTES)
        found.append(_visit(day, number, minutes))
    return sorted(found, key=_start)


def _medicine(day: date, number: int) -> Service:
    elder = ELDERS[number % len(ELDERS)][0]
    return Service(
        f"r-{WANG}-{day:%Y%m%d}",
        WANG,
        _at(day, 9),
        MEDICINE_MINUTES,
        "B",
        "周三送药",
        "medicine",
        "顺城里小区12栋",
        "shuncheng-community",
        officer_of("shuncheng", 1),
        (f"members/{elder}",),
        elder,
        quality_tenths=48,
        content="为12栋独居老人取药、送药，核对用药时间",
    )


def _visit(day: date, number: int, minutes: int) -> Service:
    activity, need_type = _ACTIVITIES[1 + number % 2]
    return Service(
        f"r-{WANG}-{day:%Y%m%d}",
        WANG,
        _at(day, 9),
        minutes,
        "A",
        activity,
        need_type,
        "顺城里小区",
        "shuncheng-community",
        officer_of("shuncheng", 1),
        quality_tenths=47,
    )


def services_of(seed: int, number: int, first_day: date) -> list[Service]:
    """Gives the year of a volunteer, by number from 1, in the order of time."""
    chosen = random.Random(f"{seed}/services/{number}")
    core = is_core(number)
    count = chosen.randint(*(CORE_SERVICES if core else USUAL_SERVICES))
    days = sorted(chosen.sample(range(YEAR_DAYS), count))
    durations = CORE_DURATIONS_MINUTES if core else DURATIONS_MINUTES
    return [
        _service(chosen, number, first_day + timedelta(days=day), chosen.choice(durations))
        for day in days
    ]


def is_core(number: int) -> bool:
    """Says whether a volunteer serves week after week."""
    return number % CORE_EVERY == 1


def _service(chosen: random.Random, number: int, day: date, minutes: int) -> Service:
    """Makes a service of one day; its class decides who attests it."""
    home = neighbourhood_of(number)
    activity, need_type = chosen.choice(_ACTIVITIES)
    start = _at(day, chosen.randint(8, 16), 30 * chosen.randint(0, 1))
    evidence = chosen.choice(_CLASSES)
    quality = chosen.choice((0, 0, 38, 42, 45, 48, 50))
    elder = chosen.choice(ELDERS)[0] if chosen.random() < 0.3 else ""
    volunteer = volunteer_id(number)
    record_id = f"r-{volunteer}-{day:%Y%m%d}"
    service = Service(
        record_id,
        volunteer,
        start,
        minutes,
        evidence,
        activity,
        need_type,
        home,
        f"{home}-community",
        officer_of(home, 1 + number % 2),
        quality_tenths=quality,
    )
    if evidence == "B":
        second = officer_of(home, 2 - number % 2)
        who = f"members/{elder}" if elder else second
        return service._replace(verifiers=(who,), beneficiary=elder)
    if evidence == "D":
        only = chosen.random() < 0.5
        return service._replace(recorder="", external_id=f"qd-{record_id}", date_only=only)
    return service._replace(recorder="") if evidence == "E" else service


def with_back_entries(services: list[Service]) -> list[Service]:
    """Turns a few checked-in services of each officer into back-entries 补录, and puts those last.

    They stay within the day's cap of each officer and far below the share that raises the alarm.
    """
    recorded: dict[str, int] = {}
    for service in services:
        recorded[service.recorder] = recorded.get(service.recorder, 0) + service.minutes
    entered: dict[str, int] = {}
    usual, afterwards = [], []
    for service in services:
        officer = service.recorder
        minutes = entered.get(officer, 0) + service.minutes
        share = minutes * BACK_ENTRY_SHARE <= recorded[officer]
        fits = minutes <= BACK_ENTRY_MINUTES_MAX and share
        free = service.evidence == "A" and service.volunteer != WANG
        if fits and free:
            entered[officer] = minutes
            afterwards.append(_back_entry(service))
        else:
            usual.append(service)
    return [*usual, *afterwards]


def _back_entry(service: Service) -> Service:
    stem, _, number = service.recorder.rpartition("-")
    second = f"{stem}-{3 - int(number)}"
    return service._replace(evidence="C", verifiers=(second,), content="签到设备故障，事后补录")


def night_services(first_day: date) -> Iterator[Service]:
    """Gives what one officer typed in one night, for volunteers who were not there.

    The first few fit under the day's cap and raise the alarm, the following ones exceed it, and the
    last ones the officer attested alone.
    """
    day = first_day + timedelta(days=YEAR_DAYS - 1)
    for number in range(NIGHT_ENTRIES):
        alone = number >= NIGHT_ENTRIES - NIGHT_ALONE
        yield Service(
            f"r-night-{number + 1:02}",
            volunteer_id(number + 1),
            _at(day - timedelta(days=number), 21),
            NIGHT_MINUTES,
            "C",
            "夜间值守",
            "night-watch",
            "wangchao",
            NIGHT_ORGANIZER,
            NIGHT_OFFICER,
            (NIGHT_OFFICER if alone else NIGHT_SECOND,),
            content="夜里一次补录",
        )


def _start(service: Service) -> datetime:
    return service.start


def _at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(ZONE))
